//! What goes wrong, when and where: single faults ordered by a test, and whole plans of them.

mod case;
mod kind;
mod plan;
mod refusal;

use axum::http::Method;

use crate::generator::Chance;

pub use case::{Ending, FaultCase};
pub use kind::FaultKind;
pub use plan::{Area, FaultPlan, Place, Rule, When};
pub use refusal::{ErrorData, Refusal, ThrottleKind};

/// A fault for coming calls.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Only calls of this method; any when absent.
    pub method: Option<String>,
    /// Only calls whose path and query contain this; an item of a batch has those of its `relative_url`.
    pub path_contains: String,
    /// How many matching calls fail.
    pub times: u32,
    /// How many matching calls are let through first.
    pub skip: u32,
    /// What goes wrong.
    pub kind: FaultKind,
}

impl From<Fault> for Rule {
    fn from(fault: Fault) -> Self {
        Self {
            when: When { skip: fault.skip, times: Some(fault.times), ..When::default() },
            place: Place { method: fault.method, path_contains: fault.path_contains, area: None },
            what: fault.kind,
        }
    }
}

/// What the rules look at of something that may go wrong.
#[derive(Clone, Copy)]
pub(crate) struct Sight<'a> {
    pub(crate) method: &'a Method,
    /// As sent, with the query.
    pub(crate) path: &'a str,
    pub(crate) area: Area,
}

/// The faults still to come.
#[derive(Default)]
pub(crate) struct Faults {
    /// Ordered one by one; asked before the plan.
    ordered: Vec<Pending>,
    plan: Vec<Pending>,
    seed: u64,
    struck: u64,
}

/// A rule, and how far it has come.
struct Pending {
    rule: Rule,
    /// Its place in the plan, which its luck follows from.
    number: u64,
    seen: u32,
    struck: u32,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.ordered.push(Pending::new(fault.into(), 0));
    }

    /// Puts a plan in the place of the one before. Faults ordered one by one stay.
    pub(crate) fn set_plan(&mut self, plan: FaultPlan) {
        self.seed = plan.seed;
        self.plan = (0..).zip(plan.rules).map(|(number, rule)| Pending::new(rule, number)).collect();
    }

    /// Faults that struck so far.
    pub(crate) fn struck(&self) -> u64 {
        self.struck
    }

    /// Whether some rule may still want this.
    pub(crate) fn may_yet(&self, wanted: impl Fn(&FaultKind) -> bool) -> bool {
        self.ordered.iter().chain(&self.plan).any(|pending| !pending.is_over() && wanted(&pending.rule.what))
    }

    /// The fault of this call, delivery or item of a batch, if it has one. The rule that comes first goes first;
    /// those behind it do not count what it struck.
    pub(crate) fn next(&mut self, sight: Sight<'_>) -> Option<FaultKind> {
        let chance = Chance::new(self.seed);
        for pending in self.ordered.iter_mut().chain(&mut self.plan) {
            if pending.strikes(sight, chance) {
                self.struck += 1;
                let what = pending.rule.what.clone();
                self.ordered.retain(|pending| !pending.is_over());
                return Some(what);
            }
        }
        None
    }
}

impl Pending {
    fn new(rule: Rule, number: u64) -> Self {
        Self { rule, number, seen: 0, struck: 0 }
    }

    fn is_over(&self) -> bool {
        self.rule.when.times.is_some_and(|times| self.struck >= times)
    }

    fn strikes(&mut self, sight: Sight<'_>, chance: Chance) -> bool {
        let (place, when) = (&self.rule.place, &self.rule.when);
        if self.is_over() || !place.holds(sight) || !self.rule.what.can_strike(sight) {
            return false;
        }
        self.seen += 1;
        let Some(after) = self.seen.checked_sub(when.skip + 1) else { return false };
        let strikes = after % when.every.max(1) == 0
            && chance.of(self.number).of(u64::from(self.seen)).between(0, 999) < u64::from(when.per_mille);
        self.struck += u32::from(strikes);
        strikes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight<'a>(method: &'a Method, path: &'a str) -> Sight<'a> {
        Sight { method, path, area: Area::of_path(path) }
    }

    #[test]
    fn a_fault_waits_then_strikes_then_is_over() {
        let mut faults = Faults::default();
        let kind = FaultKind::Html;
        faults.add(Fault {
            method: Some("post".into()),
            path_contains: "/ads".into(),
            times: 2,
            skip: 1,
            kind,
        });
        let mut strikes = |method: Method| faults.next(sight(&method, "/v26.0/act_1/ads?x=1")).is_some();
        assert!(!strikes(Method::GET));
        assert_eq!([(); 4].map(|()| strikes(Method::POST)), [false, true, true, false]);
        assert_eq!(faults.struck(), 2);
    }

    #[test]
    fn a_plan_strikes_every_nth_call_of_its_area() {
        let mut faults = Faults::default();
        let when = When { skip: 1, every: 2, ..When::default() };
        let place = Place { area: Some(Area::Insights), ..Place::default() };
        faults.set_plan(FaultPlan { seed: 1, rules: vec![Rule { when, place, what: FaultKind::Html }] });
        let mut strikes = |path| faults.next(sight(&Method::GET, path)).is_some();
        assert!([(); 3].map(|()| strikes("/v26.0/act_1/ads")).iter().all(|struck| !struck));
        assert_eq!([(); 5].map(|()| strikes("/act_1/insights")), [false, true, false, true, false]);
    }

    #[test]
    fn a_rate_is_about_what_it_says_and_follows_from_the_seed() {
        let struck = |seed| {
            let mut faults = Faults::default();
            let when = When { per_mille: 200, ..When::default() };
            faults.set_plan(FaultPlan {
                seed,
                rules: vec![Rule { when, place: Place::default(), what: FaultKind::Html }],
            });
            let strikes = |_| faults.next(sight(&Method::GET, "/act_1/ads")).is_some();
            (0..1_000).map(strikes).collect::<Vec<_>>()
        };
        let count = struck(3).iter().filter(|struck| **struck).count();
        assert!((150..250).contains(&count), "{count}");
        assert_eq!(struck(3), struck(3));
        assert_ne!(struck(3), struck(4));
    }
}
