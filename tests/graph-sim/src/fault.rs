//! Faults to inject: single faults queued by a test, and whole plans.

mod case;
mod error_response;
mod kind;
mod plan;

use axum::http::Method;

use crate::generator::SeededRng;

pub use case::{ExpectedOutcome, FaultCase};
pub use error_response::{ErrorData, ErrorResponse, ThrottleKind};
pub use kind::FaultKind;
pub use plan::{Area, FaultPlan, FaultRule, RequestMatcher, Trigger};

/// A fault for future calls.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Only calls of this method; any when `None`.
    pub method: Option<String>,
    /// Only calls whose path and query contain this text; for an item of a batch, its `relative_url`.
    pub path_contains: String,
    /// How many matching calls fail.
    pub times: u32,
    /// How many matching calls are let through first.
    pub skip: u32,
    /// The fault to inject.
    pub kind: FaultKind,
}

impl From<Fault> for FaultRule {
    fn from(fault: Fault) -> Self {
        Self {
            when: Trigger { skip: fault.skip, times: Some(fault.times), ..Trigger::default() },
            matcher: RequestMatcher { method: fault.method, path_contains: fault.path_contains, area: None },
            what: fault.kind,
        }
    }
}

/// The properties of a request that rules match on.
#[derive(Clone, Copy)]
pub(crate) struct RequestInfo<'a> {
    pub(crate) method: &'a Method,
    /// As sent, with the query.
    pub(crate) path: &'a str,
    pub(crate) area: Area,
}

/// The faults that can still be injected.
#[derive(Default)]
pub(crate) struct Faults {
    /// Faults queued one by one; they are checked before the plan.
    queued: Vec<RuleState>,
    plan: Vec<RuleState>,
    seed: u64,
    injected: u64,
}

/// A rule and how often it has matched.
struct RuleState {
    rule: FaultRule,
    /// Index of the rule in the plan, which seeds its random decisions.
    number: u64,
    matched: u32,
    injected: u32,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.queued.push(RuleState::new(fault.into(), 0));
    }

    /// Replaces the plan. Queued faults stay.
    pub(crate) fn set_plan(&mut self, plan: FaultPlan) {
        self.seed = plan.seed;
        self.plan = (0..).zip(plan.rules).map(|(number, rule)| RuleState::new(rule, number)).collect();
    }

    /// Returns the number of faults injected so far.
    pub(crate) fn injected(&self) -> u64 {
        self.injected
    }

    /// Returns whether any rule may still inject a fault for which `wanted` holds.
    pub(crate) fn may_still_inject(&self, wanted: impl Fn(&FaultKind) -> bool) -> bool {
        self.queued.iter().chain(&self.plan).any(|state| !state.is_exhausted() && wanted(&state.rule.what))
    }

    /// Returns the fault to inject into this call, delivery or batch item. The first rule that applies wins; the rules
    /// after it do not count the request.
    pub(crate) fn next(&mut self, request: RequestInfo<'_>) -> Option<FaultKind> {
        let rng = SeededRng::new(self.seed);
        for state in self.queued.iter_mut().chain(&mut self.plan) {
            if state.should_inject(request, rng) {
                self.injected += 1;
                let what = state.rule.what.clone();
                self.queued.retain(|state| !state.is_exhausted());
                return Some(what);
            }
        }
        None
    }
}

impl RuleState {
    fn new(rule: FaultRule, number: u64) -> Self {
        Self { rule, number, matched: 0, injected: 0 }
    }

    fn is_exhausted(&self) -> bool {
        self.rule.when.times.is_some_and(|times| self.injected >= times)
    }

    fn should_inject(&mut self, request: RequestInfo<'_>, rng: SeededRng) -> bool {
        let (matcher, when) = (&self.rule.matcher, &self.rule.when);
        if self.is_exhausted() || !matcher.matches(request) || !self.rule.what.applies_to(request) {
            return false;
        }
        self.matched += 1;
        let Some(after) = self.matched.checked_sub(when.skip + 1) else { return false };
        let injects = after % when.every.max(1) == 0
            && rng.derive(self.number).derive(u64::from(self.matched)).between(0, 999)
                < u64::from(when.per_mille);
        self.injected += u32::from(injects);
        injects
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request<'a>(method: &'a Method, path: &'a str) -> RequestInfo<'a> {
        RequestInfo { method, path, area: Area::of_path(path) }
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
        let mut injects = |method: Method| faults.next(request(&method, "/v26.0/act_1/ads?x=1")).is_some();
        assert!(!injects(Method::GET));
        assert_eq!([(); 4].map(|()| injects(Method::POST)), [false, true, true, false]);
        assert_eq!(faults.injected(), 2);
    }

    #[test]
    fn a_plan_strikes_every_nth_call_of_its_area() {
        let mut faults = Faults::default();
        let when = Trigger { skip: 1, every: 2, ..Trigger::default() };
        let matcher = RequestMatcher { area: Some(Area::Insights), ..RequestMatcher::default() };
        faults
            .set_plan(FaultPlan { seed: 1, rules: vec![FaultRule { when, matcher, what: FaultKind::Html }] });
        let mut injects = |path| faults.next(request(&Method::GET, path)).is_some();
        assert!([(); 3].map(|()| injects("/v26.0/act_1/ads")).iter().all(|injected| !injected));
        assert_eq!([(); 5].map(|()| injects("/act_1/insights")), [false, true, false, true, false]);
    }

    #[test]
    fn a_rate_is_about_what_it_says_and_follows_from_the_seed() {
        let injected = |seed| {
            let mut faults = Faults::default();
            let when = Trigger { per_mille: 200, ..Trigger::default() };
            faults.set_plan(FaultPlan {
                seed,
                rules: vec![FaultRule { when, matcher: RequestMatcher::default(), what: FaultKind::Html }],
            });
            let injects = |_| faults.next(request(&Method::GET, "/act_1/ads")).is_some();
            (0..1_000).map(injects).collect::<Vec<_>>()
        };
        let count = injected(3).iter().filter(|injected| **injected).count();
        assert!((150..250).contains(&count), "{count}");
        assert_eq!(injected(3), injected(3));
        assert_ne!(injected(3), injected(4));
    }
}
