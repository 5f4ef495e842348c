//! Compares facts with rules and acts.
//!
//! An account is evaluated when its last open week completes, and on a schedule. Each rule sums the facts of
//! its window per object; where the condition holds and the guard is satisfied, the decision is recorded
//! before the act, at most one for a rule, an object and a day. Weeks that are not complete decide nothing.

mod act;
mod rules;

use access::{Access, Reached};
use ads::Failure;
use ads::id::{AdAccountId, WorkspaceId};
use ads::job::Job;
use ads::object::{AdObject, EffectiveStatus};
use ads::rule::{Decision, Outcome, Rule, Verdict};
use bytes::Bytes;
use http::{Method, Request};
use runtime::route::{self, Access::Role as Needs, Route, Visit};
use runtime::schedule::When;
use runtime::session::Role;
use runtime::{Host, Reply};
use store::chunk::{Chunk, ChunkState};
use store::decision::Recorded;
use store::fact;

/// How often an account is evaluated when nothing else causes it.
const HEARTBEAT_MINUTES: u32 = 30;

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
}

impl EvaluateRules {
    /// The function on this host.
    pub fn new(access: Access, host: Host) -> Self {
        Self { access, host }
    }

    /// Answers a request.
    pub async fn handle(&self, request: Request<Bytes>) -> Reply {
        route::serve(ROUTES, &self.host.sessions, &self.host.clock, request, |visit| self.answer(visit)).await
    }

    async fn answer(&self, visit: Visit<Endpoint>) -> Result<Reply, Failure> {
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

    async fn evaluate(&self, workspace: &WorkspaceId, ad_account: &AdAccountId) -> Result<(), Failure> {
        let table = &self.access.table;
        let heartbeat = format!("rules-{workspace}-{ad_account}");
        if !table.account(workspace, ad_account).await?.is_some_and(|account| account.selected) {
            return self.host.schedules.cancel(&heartbeat).await;
        }
        let rules = table.rules(workspace).await?;
        let rules: Vec<_> = rules.into_iter().filter(|rule| rule.spec.applies_to(ad_account)).collect();
        if !rules.is_empty() {
            let reached = self.access.reach(workspace, ad_account).await?;
            let chunks = table.chunks(workspace, ad_account).await?;
            for rule in &rules {
                self.apply(&reached, rule, &chunks).await?;
            }
        }
        let beat = Job::EvaluateRules { workspace: workspace.clone(), ad_account: ad_account.clone() };
        let when = When::EveryMinutes(HEARTBEAT_MINUTES);
        self.host.schedules.ensure(&heartbeat, &when, &beat).await
    }

    async fn apply(&self, reached: &Reached, rule: &Rule, chunks: &[Chunk]) -> Result<(), Failure> {
        let (workspace, account) = (&reached.workspace, &reached.account);
        let table = &self.access.table;
        let today = account.today(self.host.clock.now());
        let window = rule.spec.when.window.days(today);
        let complete =
            |week| chunks.iter().any(|chunk| chunk.week == week && chunk.state == ChunkState::Done);
        if !window.weeks().all(complete) {
            tracing::info!(%workspace, rule = %rule.id, "A rule waits: its window is not measured completely.");
            return Ok(());
        }
        let weeks = table.facts(workspace, &account.id, rule.spec.level, window).await?;
        let sums = fact::sums(&weeks, window);
        let objects = table.objects(workspace, &account.id, rule.spec.level).await?;
        let mut held = 0;
        // Only what runs is looked at: nothing can be done about the rest.
        for object in objects.iter().map(|kept| &kept.object).filter(|object| runs(object)) {
            let measures = sums.get(&object.id).cloned().unwrap_or_default();
            let Verdict::Holds(value) = rule.spec.when.verdict(&measures) else { continue };
            held += 1;
            let objection = rule.spec.guard.objection(&measures);
            let decision = Decision {
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
                at: self.host.clock.now(),
            };
            self.carry_out(reached, decision).await?;
        }
        tracing::info!(%workspace, rule = %rule.id, objects = objects.len(), held, "Evaluated a rule.");
        Ok(())
    }

    /// Records the decision, acts, records how it ended. A crash between leaves the decision open, and the
    /// next evaluation of the day takes it up again: acts set targets, so doing one twice is doing it once.
    async fn carry_out(&self, reached: &Reached, decision: Decision) -> Result<(), Failure> {
        let table = &self.access.table;
        if table.decide(&reached.workspace, &decision).await? == Recorded::Already {
            return Ok(());
        }
        if decision.outcome == Outcome::Guarded {
            return Ok(());
        }
        let concluded = act::act(reached, decision).await?;
        tracing::info!(rule = %concluded.rule, object = %concluded.object, outcome = ?concluded.outcome, "A rule decided.");
        Ok(table.conclude(&reached.workspace, &concluded).await?)
    }
}

fn runs(object: &AdObject) -> bool {
    matches!(object.effective_status, Some(EffectiveStatus::Active | EffectiveStatus::WithIssues))
}
