//! Evaluates rules over facts and applies their decisions.
//!
//! An account is evaluated when its last open chunk completes, and on a schedule. Each rule sums the facts of its
//! window per entity. Where the condition holds and the guard is satisfied, the decision is recorded before it is
//! executed, at most once per rule, entity and day. Incomplete facts lead to no decision, and a row that could not be
//! read to one of insufficient data.

mod execute;
mod incomplete;
mod rules;

use std::collections::HashSet;
use std::slice;
use std::sync::LazyLock;

use bytes::Bytes;
use connector::{AccountClient, Connector, Purpose};
use domain::Error;
use domain::dataset::Dataset;
use domain::date::IsoWeek;
use domain::decision::{Decision, DecisionOutcome};
use domain::entity::EffectiveStatus;
use domain::id::{AdAccountId, EntityId};
use domain::job::Job;
use domain::metrics::Metric;
use domain::rule::{Action, Evaluation, Rule};
use domain::tenant::Tenant;
use http::Request;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan};
use middleware::Middleware;
use query::{Attribute, Filter, Measure, Query};
use runtime::endpoint::Endpoint;
use runtime::{Host, Response};
use store::account::AdAccount;
use store::audit::Phase;
use store::chunk::Chunk;
use store::decision::DecisionClaim;

use crate::incomplete::IncompleteMetrics;

/// Maximum age of today's facts. A sync runs every hour.
const MAX_DATA_AGE: SignedDuration = SignedDuration::from_hours(2);

/// Days to look back for decisions that were left open.
const OPEN_DECISION_LOOKBACK_DAYS: i32 = 7;

/// All endpoints of this function.
pub static ENDPOINTS: LazyLock<Vec<Endpoint<EvaluateRules>>> = LazyLock::new(|| {
    vec![
        rules::list_rules(),
        rules::create_rule(),
        rules::get_rule(),
        rules::replace_rule(),
        rules::delete_rule(),
        rules::list_decisions(),
    ]
});

/// The `evaluate-rules` function.
#[derive(Debug, Clone)]
pub struct EvaluateRules {
    connector: Connector,
    host: Host,
    middleware: Middleware,
}

impl EvaluateRules {
    /// Creates the function.
    pub fn new(connector: Connector, host: Host) -> Self {
        let middleware = Middleware::new(&connector.table, &host);
        Self { connector, host, middleware }
    }

    /// Handles a request.
    pub async fn handle(&self, request: Request<Bytes>) -> Response {
        self.middleware.serve("evaluate-rules", &ENDPOINTS, self, request).await
    }

    /// Processes a job.
    pub async fn process(&self, job: Job) -> Result<(), Error> {
        match job {
            Job::EvaluateRules { workspace, ad_account } => self.evaluate(&workspace, &ad_account).await,
            other => Err(other.wrong_queue()),
        }
    }

    async fn evaluate(&self, workspace: &Tenant, ad_account: &AdAccountId) -> Result<(), Error> {
        let table = &self.connector.table;
        if !table.account(workspace, ad_account).await?.is_some_and(|account| account.selected) {
            return Ok(());
        }
        let rules = table.rules(workspace).await?;
        let rules: Vec<_> = rules.into_iter().filter(|rule| rule.spec.applies_to(ad_account)).collect();
        if rules.is_empty() {
            return Ok(());
        }
        let client = match self.connector.open(workspace, ad_account, Purpose::Action).await {
            Ok(client) => client,
            Err(error) => {
                let wait = self.connector.long_wait(error)?;
                return Ok(table.defer_rules(workspace, ad_account, wait.until).await?);
            }
        };
        let result = self.evaluate_all(&client, &rules).await;
        client.close(result).await
    }

    async fn evaluate_all(&self, client: &AccountClient, rules: &[Rule]) -> Result<(), Error> {
        let (workspace, account) = (&client.workspace, &client.account.id);
        let chunks = self.connector.table.chunks(workspace, account).await?;
        let chunks: Vec<_> = chunks.into_iter().filter(|chunk| chunk.dataset == Dataset::AD_DAY).collect();
        let today = client.account.today(self.host.clock.now())?;
        let since = today.saturating_sub(OPEN_DECISION_LOOKBACK_DAYS.days());
        // One throttled entity, such as after four budget changes in an hour, does not hold up the others.
        let mut failed = None;
        for rule in rules {
            let recent = self.connector.table.decisions_since(workspace, &rule.id, since).await?;
            if let Err(error) = self.resume_open_decisions(client, &recent, today).await {
                failed = Some(error);
            }
            let decided: HashSet<&EntityId> = recent
                .iter()
                .filter(|known| known.day == today && known.outcome != DecisionOutcome::InsufficientData)
                .map(|known| &known.entity)
                .collect();
            for decision in self.evaluate_rule(client, rule, &chunks).await? {
                // The table would refuse it, and charge for that.
                if decision.day == today && decided.contains(&decision.entity) {
                    continue;
                }
                if let Err(error) = self.record_decision(client, decision).await {
                    failed = Some(error);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Resumes decisions that an earlier evaluation left open: executes today's and expires older ones.
    async fn resume_open_decisions(
        &self,
        client: &AccountClient,
        recent: &[Decision],
        today: Date,
    ) -> Result<(), Error> {
        let (table, workspace) = (&self.connector.table, &client.workspace);
        let now = self.host.clock.now();
        let mut failed = None;
        for decision in recent {
            let open =
                decision.outcome == DecisionOutcome::Pending && decision.ad_account == client.account.id;
            if !open {
                continue;
            }
            let Some(decision) = table.claim_decision(workspace, decision, now).await? else { continue };
            if let Err(error) = self.execute_decision(client, decision, today).await {
                failed = Some(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Returns the decisions of a rule for the current facts.
    async fn evaluate_rule(
        &self,
        client: &AccountClient,
        rule: &Rule,
        chunks: &[Chunk],
    ) -> Result<Vec<Decision>, Error> {
        let (workspace, account) = (&client.workspace, &client.account);
        let table = &self.connector.table;
        let now = self.host.clock.now();
        let today = account.today(now)?;
        let window = rule.spec.when.window.days(today);
        let mut is_measured = true;
        for day in window.days_within(window) {
            let chunk = chunks.iter().find(|chunk| chunk.week == IsoWeek::of(day));
            is_measured &= is_fresh(account, day, chunk.and_then(|chunk| chunk.measured_at(day)), now)?;
        }
        if !is_measured {
            tracing::info!(%workspace, rule = %rule.id, "A rule was skipped: the facts of its window are incomplete.");
            return Ok(Vec::new());
        }
        let needed = [rule.spec.when.measure, Metric::Spend, Metric::Impressions];
        let running = RUNNING.iter().map(|status| status.as_str().to_owned()).collect();
        let query = Query {
            measures: needed.map(Measure::Metric).into(),
            // No action applies to the others.
            filters: vec![Filter::Attribute {
                attribute: Attribute::EffectiveStatus,
                values: running,
                is_among: true,
            }],
            order: Some(Vec::new()),
            limit: Some(u16::MAX),
            ..Query::new(rule.spec.level, window)
        };
        let answer = query::execute(table, workspace, slice::from_ref(account), &query, None).await?;
        if answer.more {
            tracing::warn!(%workspace, rule = %rule.id, evaluated = answer.rows.len(), of = answer.totals.rows, "A rule has more entities than one evaluation takes.");
        }
        let incomplete =
            IncompleteMetrics::find(table, workspace, account, (rule.spec.level, window), chunks).await?;
        let entities = answer.rows.len();
        let mut decisions = Vec::new();
        for row in answer.rows {
            let (Some(entity), Some(measures)) = (row.entity, row.numbers.measures) else { continue };
            let Evaluation::Met(value) = rule.spec.when.evaluate(&measures) else { continue };
            let reason =
                rule.spec.guard.insufficient_data(&measures).or_else(|| incomplete.reason(&entity.id));
            decisions.push(Decision {
                rule: rule.id.clone(),
                rule_name: rule.spec.name.clone(),
                ad_account: account.id.clone(),
                level: rule.spec.level,
                entity: entity.id.clone(),
                entity_name: entity.name.clone(),
                day: today,
                window,
                condition: rule.spec.when.clone(),
                value,
                impressions: measures.impressions,
                spend: measures.spend,
                action: rule.spec.action.clone(),
                outcome: if reason.is_some() {
                    DecisionOutcome::InsufficientData
                } else {
                    DecisionOutcome::Pending
                },
                reason,
                before: None,
                at: now,
            });
        }
        tracing::info!(%workspace, rule = %rule.id, entities, matched = decisions.len(), "Evaluated a rule.");
        Ok(decisions)
    }

    /// Records a decision before it is executed. Skips one that was already made today.
    async fn record_decision(&self, client: &AccountClient, decision: Decision) -> Result<(), Error> {
        let (table, now) = (&self.connector.table, self.host.clock.now());
        match table.record_decision(&client.workspace, &decision, now).await? {
            DecisionClaim::Acquired if decision.outcome == DecisionOutcome::Pending => {
                let day = decision.day;
                self.execute_decision(client, decision, day).await
            }
            DecisionClaim::Acquired | DecisionClaim::AlreadyDecided => Ok(()),
        }
    }

    /// Executes a decision and records its outcome. A crash or a retryable error leaves the decision open, and a later
    /// evaluation resumes it: actions set targets, so repeating one is idempotent.
    async fn execute_decision(
        &self,
        client: &AccountClient,
        mut decision: Decision,
        today: Date,
    ) -> Result<(), Error> {
        let (table, workspace) = (&self.connector.table, &client.workspace);
        let result = execute::execute(table, client, &mut decision, today, self.host.clock.now()).await;
        let now = self.host.clock.now();
        let ended = (result.is_ok() && decision.before.is_some()).then(|| {
            let phase = match decision.outcome {
                DecisionOutcome::Done | DecisionOutcome::NoChange => Phase::Done,
                DecisionOutcome::Expired => Phase::Unknown,
                DecisionOutcome::Rejected | DecisionOutcome::InsufficientData | DecisionOutcome::Pending => {
                    Phase::Failed
                }
            };
            execute::audit_event(&decision, phase, client.request_id()).at(now)
        });
        table.update_open_decision(workspace, &decision, now, ended.as_ref()).await?;
        if result.is_ok()
            && decision.outcome == DecisionOutcome::Done
            && !matches!(decision.action, Action::Notify {})
        {
            // Stores the state after the change without waiting for the next sync.
            client.refresh(decision.level, &decision.entity).await?;
            if matches!(decision.action, Action::Pause {}) {
                client.refresh_descendants(decision.level, &decision.entity).await?;
            }
        }
        tracing::info!(rule = %decision.rule, entity = %decision.entity, outcome = ?decision.outcome, "Executed a decision.");
        result
    }
}

/// The states of entities that are evaluated.
const RUNNING: [EffectiveStatus; 2] = [EffectiveStatus::Active, EffectiveStatus::WithIssues];

/// Checks whether a day's facts are complete: measured after it ended or, while it has not ended, recently.
fn is_fresh(
    account: &AdAccount,
    day: Date,
    measured_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<bool, Error> {
    let end = account.end_of(day)?;
    let needed = if end <= now { end } else { now - MAX_DATA_AGE };
    Ok(measured_at.is_some_and(|measured_at| measured_at >= needed))
}

#[cfg(test)]
mod tests {
    use domain::rule::Window;

    use super::*;

    /// Returns whether a rule with this window decides at `now` when its days were last measured at `measured`.
    fn decides(window: Window, measured: &str, now: &str) -> bool {
        let (id, currency) = ("act_1".parse().unwrap(), "SGD".parse().unwrap());
        let account = AdAccount::new(id, currency, "Asia/Singapore".to_owned());
        let now: Timestamp = now.parse().unwrap();
        let days = window.days(account.today(now).unwrap());
        let measured = measured.parse().unwrap();
        days.days_within(days).all(|day| is_fresh(&account, day, Some(measured), now).unwrap())
    }

    #[test]
    fn yesterday_is_evaluated_once_it_was_measured_to_its_end() {
        // Midnight in Singapore is 16:00 UTC.
        let now = "2026-11-20T16:05:00Z";
        assert!(!decides(Window::Yesterday, "2026-11-20T15:55:00Z", now), "five minutes were missing");
        assert!(decides(Window::Yesterday, "2026-11-20T16:01:00Z", now));
        assert!(!decides(Window::Last7Days, "2026-11-19T20:00:00Z", now));
    }

    #[test]
    fn today_is_evaluated_on_numbers_of_the_last_two_hours() {
        let now = "2026-11-20T10:00:00Z";
        assert!(decides(Window::Today, "2026-11-20T08:30:00Z", now));
        assert!(!decides(Window::Today, "2026-11-20T07:30:00Z", now));
    }
}
