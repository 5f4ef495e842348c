//! Compares facts with rules and acts.
//!
//! An account is evaluated when its last open week completes, and on a schedule. Each rule sums the facts of
//! its window per object; where the condition holds and the guard is satisfied, the decision is recorded
//! before the act, at most one for a rule, an object and a day. Numbers that are not complete decide nothing.

mod act;
#[cfg(feature = "describe")]
mod describe;
mod rules;

use access::audit::{self, Stage};
use access::{Access, Entrance, Reached, UseCase};
use ads::Failure;
use ads::date::{DateRange, IsoWeek};
use ads::id::AdAccountId;
use ads::job::Job;
use ads::object::{AdObject, EffectiveStatus};
use ads::rule::{Action, Decision, Outcome, Rule, Verdict};
use ads::tenant::Tenant;
use bytes::Bytes;
use http::{Method, Request};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan};
use runtime::route::{Access::Role as Needs, Route, Visit};
use runtime::session::Role;
use runtime::{Host, Reply};
use store::account::AdAccount;
use store::chunk::{Chunk, ChunkState};
use store::decision::Recorded;
use store::fact;

/// Today's numbers may be this old. A sync runs every hour.
const FRESH: SignedDuration = SignedDuration::from_hours(2);

/// Decisions of so many days ago are looked through for ones that nobody confirmed.
const OPEN_DAYS: i32 = 7;

#[cfg(feature = "describe")]
pub use crate::describe::describe;

/// What can be asked of this function.
#[derive(Debug, Clone, Copy)]
pub enum Endpoint {
    /// List rules.
    Rules,
    /// Add a rule.
    Add,
    /// Replace a rule.
    Replace,
    /// Remove a rule.
    Remove,
    /// What a rule decided.
    Decisions,
}

/// Every route of this function.
pub static ROUTES: &[Route<Endpoint>] = &[
    Route {
        method: Method::GET,
        path: "/v1/workspaces/{workspace}/rules",
        access: Needs(Role::Viewer),
        endpoint: Endpoint::Rules,
    },
    Route {
        method: Method::POST,
        path: "/v1/workspaces/{workspace}/rules",
        access: Needs(Role::Editor),
        endpoint: Endpoint::Add,
    },
    Route {
        method: Method::PUT,
        path: "/v1/workspaces/{workspace}/rules/{rule}",
        access: Needs(Role::Editor),
        endpoint: Endpoint::Replace,
    },
    Route {
        method: Method::DELETE,
        path: "/v1/workspaces/{workspace}/rules/{rule}",
        access: Needs(Role::Editor),
        endpoint: Endpoint::Remove,
    },
    Route {
        method: Method::GET,
        path: "/v1/workspaces/{workspace}/rules/{rule}/decisions",
        access: Needs(Role::Viewer),
        endpoint: Endpoint::Decisions,
    },
];

/// The function.
#[derive(Debug, Clone)]
pub struct EvaluateRules {
    access: Access,
    host: Host,
    entrance: Entrance,
}

impl EvaluateRules {
    /// The function on this host.
    pub fn new(access: Access, host: Host) -> Self {
        let entrance = Entrance::new(&access.table, &host);
        Self { access, host, entrance }
    }

    /// Answers a request.
    pub async fn handle(&self, request: Request<Bytes>) -> Reply {
        let own_way = |_| false;
        self.entrance.serve("evaluate-rules", ROUTES, request, own_way, |visit| self.answer(visit)).await
    }

    async fn answer(&self, visit: Visit<Endpoint>) -> Result<Reply, Failure> {
        if !matches!(visit.endpoint, Endpoint::Decisions) {
            visit.takes_no_query()?;
        }
        match visit.endpoint {
            Endpoint::Rules => self.rules(&visit).await,
            Endpoint::Add => self.add(&visit).await,
            Endpoint::Replace => self.replace(&visit).await,
            Endpoint::Remove => self.remove(&visit).await,
            Endpoint::Decisions => self.decisions(&visit).await,
        }
    }

    /// Does a job.
    pub async fn process(&self, job: Job) -> Result<(), Failure> {
        match job {
            Job::EvaluateRules { workspace, ad_account } => self.evaluate(&workspace, &ad_account).await,
            other => Err(other.misdirected()),
        }
    }

    async fn evaluate(&self, workspace: &Tenant, ad_account: &AdAccountId) -> Result<(), Failure> {
        let table = &self.access.table;
        if !table.account(workspace, ad_account).await?.is_some_and(|account| account.selected) {
            let beat = Job::EvaluateRules { workspace: workspace.clone(), ad_account: ad_account.clone() };
            return self.host.schedules.stop_beat(&beat).await;
        }
        let rules = table.rules(workspace).await?;
        let rules: Vec<_> = rules.into_iter().filter(|rule| rule.spec.applies_to(ad_account)).collect();
        if rules.is_empty() {
            return Ok(());
        }
        let reached = self.access.reach(workspace, ad_account, UseCase::AdsManagement).await?;
        let evaluated = self.evaluate_all(&reached, &rules).await;
        reached.done(evaluated).await
    }

    async fn evaluate_all(&self, reached: &Reached, rules: &[Rule]) -> Result<(), Failure> {
        let chunks = self.access.table.chunks(&reached.workspace, &reached.account.id).await?;
        // One object that must wait, such as after four budget changes in an hour, does not hold up the others.
        let mut failed = None;
        for rule in rules {
            if let Err(failure) = self.finish_open(reached, rule).await {
                failed = Some(failure);
            }
            for decision in self.consider(reached, rule, &chunks).await? {
                if let Err(failure) = self.decide(reached, decision).await {
                    failed = Some(failure);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Finishes what an earlier evaluation decided and nobody confirmed: today's is done, older is too late.
    async fn finish_open(&self, reached: &Reached, rule: &Rule) -> Result<(), Failure> {
        let (table, workspace) = (&self.access.table, &reached.workspace);
        let now = self.host.clock.now();
        let today = reached.account.today(now);
        let recent = today.saturating_sub(OPEN_DAYS.days());
        let mut failed = None;
        for decision in table.decisions_since(workspace, &rule.id, recent).await? {
            let open = decision.outcome == Outcome::Deciding && decision.ad_account == reached.account.id;
            if !open {
                continue;
            }
            let Some(decision) = table.take_decision(workspace, &decision, now).await? else { continue };
            if let Err(failure) = self.carry_out(reached, decision, today).await {
                failed = Some(failure);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// What a rule wants done now.
    async fn consider(
        &self,
        reached: &Reached,
        rule: &Rule,
        chunks: &[Chunk],
    ) -> Result<Vec<Decision>, Failure> {
        let (workspace, account) = (&reached.workspace, &reached.account);
        let table = &self.access.table;
        let now = self.host.clock.now();
        let today = account.today(now);
        let window = rule.spec.when.window.days(today);
        if !window.weeks().all(|week| is_fresh(account, window, week, chunks, now)) {
            tracing::info!(%workspace, rule = %rule.id, "A rule waits: its window is not measured to its end.");
            return Ok(Vec::new());
        }
        let weeks = table.facts(workspace, &account.id, rule.spec.level, window).await?;
        let sums = fact::sums(&weeks, window);
        let objects = table.objects(workspace, &account.id, rule.spec.level).await?;
        let mut decisions = Vec::new();
        // Only what runs is looked at: nothing can be done about the rest.
        for object in objects.iter().map(|kept| &kept.object).filter(|object| runs(object)) {
            let measures = sums.get(&object.id).cloned().unwrap_or_default();
            let Verdict::Holds(value) = rule.spec.when.verdict(&measures) else { continue };
            let objection = rule.spec.guard.objection(&measures);
            decisions.push(Decision {
                rule: rule.id.clone(),
                rule_name: rule.spec.name.clone(),
                ad_account: account.id.clone(),
                level: rule.spec.level,
                object: object.id.clone(),
                object_name: object.name.clone(),
                day: today,
                window,
                condition: rule.spec.when.clone(),
                value,
                impressions: measures.impressions,
                spend: measures.spend,
                action: rule.spec.action.clone(),
                outcome: if objection.is_some() { Outcome::Guarded } else { Outcome::Deciding },
                reason: objection,
                before: None,
                at: now,
            });
        }
        tracing::info!(%workspace, rule = %rule.id, objects = objects.len(), held = decisions.len(), "Evaluated a rule.");
        Ok(decisions)
    }

    /// Records a decision before its act; one that was made today already is left alone.
    async fn decide(&self, reached: &Reached, decision: Decision) -> Result<(), Failure> {
        let (table, now) = (&self.access.table, self.host.clock.now());
        match table.decide(&reached.workspace, &decision, now).await? {
            Recorded::Ours if decision.outcome == Outcome::Deciding => {
                let day = decision.day;
                self.carry_out(reached, decision, day).await
            }
            Recorded::Ours | Recorded::Already => Ok(()),
        }
    }

    /// Acts and records how it ended. A crash or a failure that may pass leaves the decision open, and a
    /// later evaluation takes it up: acts set targets, so doing one twice is doing it once.
    async fn carry_out(&self, reached: &Reached, mut decision: Decision, today: Date) -> Result<(), Failure> {
        let (table, workspace) = (&self.access.table, &reached.workspace);
        let acted = act::act(table, reached, &mut decision, today, self.host.clock.now()).await;
        // What was intended is ended before the decision says so: if this process dies between, the decision is
        // taken up again and says the same.
        if acted.is_ok() && decision.before.is_some() {
            let stage = match decision.outcome {
                Outcome::Done | Outcome::AlreadySo => Stage::Done,
                Outcome::Lapsed => Stage::Unknown,
                Outcome::Refused | Outcome::Guarded | Outcome::Deciding => Stage::Failed,
            };
            let ended = act::entry(&decision, stage, reached.caller.trace());
            audit::leave(table, workspace, &ended, self.host.clock.now()).await?;
        }
        table.conclude(workspace, &decision, self.host.clock.now()).await?;
        if acted.is_ok() && decision.outcome == Outcome::Done && !matches!(decision.action, Action::Notify {})
        {
            // What Meta made of it; a sync would show it later as well.
            reached.refresh(decision.level, &decision.object).await?;
            if matches!(decision.action, Action::Pause {}) {
                reached.refresh_below(decision.level, &decision.object).await?;
            }
        }
        tracing::info!(rule = %decision.rule, object = %decision.object, outcome = ?decision.outcome, "A rule decided.");
        acted
    }
}

/// Whether a week's numbers are complete up to the end of the window: measured after its last day was over,
/// or for a window that is not over, lately.
fn is_fresh(account: &AdAccount, window: DateRange, week: IsoWeek, chunks: &[Chunk], now: Timestamp) -> bool {
    let over = account.end_of(window.until.min(week.range().until));
    let needed = if over <= now { over } else { now - FRESH };
    let chunk = chunks.iter().find(|chunk| chunk.week == week && chunk.state == ChunkState::Done);
    chunk.and_then(|chunk| chunk.completed_at).is_some_and(|completed| completed >= needed)
}

fn runs(object: &AdObject) -> bool {
    matches!(object.effective_status, Some(EffectiveStatus::Active | EffectiveStatus::WithIssues))
}

#[cfg(test)]
mod tests {
    use ads::rule::Window;

    use super::*;

    /// Whether a rule with this window may decide at `now`, when the week was completed at `completed`.
    fn decides(window: Window, completed: &str, now: &str) -> bool {
        let account = AdAccount {
            id: "act_1".parse().unwrap(),
            connection: "c".parse().unwrap(),
            name: None,
            account_status: None,
            currency: "SGD".parse().unwrap(),
            timezone: "Asia/Singapore".to_owned(),
            selected: true,
            structure_synced_at: None,
            details: Default::default(),
        };
        let now: Timestamp = now.parse().unwrap();
        let days = window.days(account.today(now));
        days.weeks().all(|week| {
            let chunk = Chunk {
                week,
                state: ChunkState::Done,
                requested: 1,
                fence: 1,
                lease_until: None,
                pages: 1,
                rows: 1,
                written: 1,
                unchanged: 0,
                completed_at: Some(completed.parse().unwrap()),
                failure: None,
            };
            is_fresh(&account, days, week, &[chunk], now)
        })
    }

    #[test]
    fn yesterday_is_judged_once_it_was_measured_to_its_end() {
        // Midnight in Singapore is 16:00 in London's winter.
        let now = "2026-11-20T16:05:00Z";
        assert!(!decides(Window::Yesterday, "2026-11-20T15:55:00Z", now), "five minutes were missing");
        assert!(decides(Window::Yesterday, "2026-11-20T16:01:00Z", now));
        assert!(!decides(Window::Last7Days, "2026-11-19T20:00:00Z", now));
    }

    #[test]
    fn today_is_judged_on_numbers_of_the_last_two_hours() {
        let now = "2026-11-20T10:00:00Z";
        assert!(decides(Window::Today, "2026-11-20T08:30:00Z", now));
        assert!(!decides(Window::Today, "2026-11-20T07:30:00Z", now));
    }
}
