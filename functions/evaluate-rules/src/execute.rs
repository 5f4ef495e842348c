//! Applies a decision to one entity: reads it from Meta, records its previous value, sets the target.

use connector::AccountClient;
use domain::Error;
use domain::decision::{Decision, DecisionOutcome};
use domain::entity::{Changes, Entity, Level, Status};
use domain::rule::Action;
use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Value, json};
use store::Table;
use store::audit::{Actor, AuditEvent, Phase};
use store::decision::DECISION_LEASE_TTL;

/// Executes a recorded decision and sets its outcome. After an error the decision stays open, and a later evaluation
/// resumes it.
pub(crate) async fn execute(
    table: &Table,
    client: &AccountClient,
    decision: &mut Decision,
    today: Date,
    now: Timestamp,
) -> Result<(), Error> {
    if matches!(decision.action, Action::Notify {}) {
        decision.outcome = DecisionOutcome::Done;
        return Ok(());
    }
    // People also change entities in Ads Manager, so the current state counts, not the last sync.
    let Some(entity) = client.refresh(decision.level, &decision.entity).await? else {
        return reject(decision, "the platform no longer returns it");
    };
    let (before, changes) = match plan(&decision.action, &entity, client) {
        // The previous value is recorded before the change: if the target is set now, an earlier attempt set it.
        Plan::NoChange if decision.before.is_some() => {
            decision.outcome = DecisionOutcome::Done;
            return Ok(());
        }
        Plan::NoChange => {
            decision.outcome = DecisionOutcome::NoChange;
            return Ok(());
        }
        Plan::NotApplicable(reason) => return reject(decision, reason),
        Plan::Change { .. } if decision.day != today => {
            decision.outcome = DecisionOutcome::Expired;
            decision.reason = Some("it could not be done on its day".to_owned());
            return Ok(());
        }
        Plan::Change { before, changes } => (before, changes),
    };
    // All evaluations that work on the decision share one event, which the first one records.
    let known = Decision { before: Some(before), ..decision.clone() };
    let intended = decision.before.is_none().then(|| audit_event(&known, Phase::Intended, None).at(now));
    let lease_until = now + DECISION_LEASE_TTL;
    if !table.update_open_decision(&client.workspace, &known, lease_until, intended.as_ref()).await? {
        // Closed or deleted since: nothing is left to do.
        return Ok(());
    }
    *decision = known;
    match client.apply_change(entity.level, &entity.id, &changes).await {
        Ok(()) => {
            decision.outcome = DecisionOutcome::Done;
            Ok(())
        }
        Err(error) if error.is_retryable() => Err(error),
        Err(error) => reject(decision, error.audit_detail()),
    }
}

/// Returns the audit event of a decision. All evaluations that work on it share one event.
pub(crate) fn audit_event(decision: &Decision, phase: Phase, meta: Option<String>) -> AuditEvent {
    let Decision { rule, day, entity, level, at, .. } = decision;
    let (verb, field, after) = match &decision.action {
        Action::Notify {} => ("noted", "", Value::Null),
        Action::Pause {} => ("paused", "status", json!(Status::Paused)),
        Action::SetBudget { daily_budget } => ("budget_set", "daily_budget", json!(daily_budget.amount)),
    };
    let actor = Actor::Rule { rule: rule.to_string() };
    let event = AuditEvent::new(
        // With the time, because a decision whose account was deleted may be made again that day.
        format!("rule/{rule}/{day}/{entity}/{at}"),
        actor,
        &format!("{level}.{verb}"),
        format!("{level}/{entity}"),
    );
    let event = event
        .in_account(&decision.ad_account)
        .with_change(json!({field: decision.before}), json!({field: after}));
    AuditEvent { phase, meta, reason: decision.reason.clone(), ..event }
}

fn reject(decision: &mut Decision, reason: impl Into<String>) -> Result<(), Error> {
    decision.outcome = DecisionOutcome::Rejected;
    decision.reason = Some(reason.into());
    Ok(())
}

enum Plan {
    NoChange,
    NotApplicable(&'static str),
    Change { before: String, changes: Box<Changes> },
}

fn plan(action: &Action, entity: &Entity, client: &AccountClient) -> Plan {
    match action {
        Action::Notify {} => Plan::NoChange,
        Action::Pause {} if entity.status != Some(Status::Active) => Plan::NoChange,
        Action::Pause {} => Plan::Change {
            before: Status::Active.as_str().to_owned(),
            changes: Box::new(Changes { status: Some(Status::Paused), ..Changes::default() }),
        },
        Action::SetBudget { daily_budget } if daily_budget.currency != client.account.currency => {
            Plan::NotApplicable("the rule's budget is in another currency than the ad account")
        }
        Action::SetBudget { daily_budget } => match entity.daily_budget {
            Some(now) if now == daily_budget.amount => Plan::NoChange,
            Some(now) => Plan::Change {
                before: now.to_string(),
                changes: Box::new(Changes { daily_budget: Some(daily_budget.amount), ..Changes::default() }),
            },
            None if entity.lifetime_budget.is_some() => {
                Plan::NotApplicable("it has a lifetime budget, which is not set by the day")
            }
            None if entity.level == Level::Campaign => {
                Plan::NotApplicable("the campaign holds no budget; its ad sets do")
            }
            None => Plan::NotApplicable("the ad set holds no budget; its campaign does"),
        },
    }
}
