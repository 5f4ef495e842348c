//! Acting on one object: read it fresh, write down what it was, set the target.

use access::Reached;
use access::audit::{self, Act, Actor, Stage};
use ads::Failure;
use ads::object::{AdObject, Level, Status};
use ads::rule::{Action, Decision, Outcome};
use graph_api::launch::Changes;
use jiff::Timestamp;
use jiff::civil::Date;
use runtime::problem;
use serde_json::{Value, json};
use store::Table;

/// Carries out a recorded decision, and writes into it how it ended. A failure that may pass is an error:
/// the decision stays open and is taken up again.
pub(crate) async fn act(
    table: &Table,
    reached: &Reached,
    decision: &mut Decision,
    today: Date,
    now: Timestamp,
) -> Result<(), Failure> {
    if matches!(decision.action, Action::Notify {}) {
        decision.outcome = Outcome::Done;
        return Ok(());
    }
    // People change things in Ads Manager: what is there now decides, not what was mirrored an hour ago.
    let Some(object) = reached.refresh(decision.level, &decision.object).await? else {
        return refuse(decision, "Meta does not show the object any more");
    };
    let (before, changes) = match step(&decision.action, &object, reached) {
        // Written down before the change: if it is so now, an earlier try of ours has done it.
        Step::AlreadySo if decision.before.is_some() => {
            decision.outcome = Outcome::Done;
            return Ok(());
        }
        Step::AlreadySo => {
            decision.outcome = Outcome::AlreadySo;
            return Ok(());
        }
        Step::Impossible(reason) => return refuse(decision, reason),
        Step::Change { .. } if decision.day != today => {
            decision.outcome = Outcome::Lapsed;
            decision.reason = Some("it could not be done on its day".to_owned());
            return Ok(());
        }
        Step::Change { before, changes } => (before, changes),
    };
    decision.before = Some(before);
    table.conclude(&reached.workspace, decision, now + LONGEST_CALL).await?;
    audit::leave(table, &reached.workspace, &entry(decision, Stage::Intended, None), now).await?;
    match reached.change(object.level, &object.id, &changes).await {
        Ok(()) => {
            decision.outcome = Outcome::Done;
            Ok(())
        }
        Err(failure) if failure.may_pass() => Err(failure),
        Err(failure) => refuse(decision, problem::detail(&failure)),
    }
}

/// A change with all its retries takes no longer; until then the decision is ours.
const LONGEST_CALL: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);

/// What a decision does, for the audit log: one act, however many evaluations it takes.
pub(crate) fn entry(decision: &Decision, stage: Stage, meta: Option<String>) -> Act {
    let Decision { rule, day, object, level, .. } = decision;
    let (what, name, after) = match &decision.action {
        Action::Notify {} => ("noted", "", Value::Null),
        Action::Pause {} => ("paused", "status", json!(Status::Paused)),
        Action::SetBudget { daily_budget } => ("budget_set", "daily_budget", json!(daily_budget.amount)),
    };
    let who = Actor::Rule { rule: rule.to_string() };
    let act = Act::new(
        format!("rule/{rule}/{day}/{object}"),
        who,
        &format!("{level}.{what}"),
        format!("{level}/{object}"),
    );
    let act =
        act.in_account(&decision.ad_account).changing(json!({name: decision.before}), json!({name: after}));
    Act { stage, meta, reason: decision.reason.clone(), ..act }
}

fn refuse(decision: &mut Decision, reason: impl Into<String>) -> Result<(), Failure> {
    decision.outcome = Outcome::Refused;
    decision.reason = Some(reason.into());
    Ok(())
}

enum Step {
    AlreadySo,
    Impossible(&'static str),
    Change { before: String, changes: Changes },
}

fn step(action: &Action, object: &AdObject, reached: &Reached) -> Step {
    match action {
        Action::Notify {} => Step::AlreadySo,
        Action::Pause {} if object.status != Some(Status::Active) => Step::AlreadySo,
        Action::Pause {} => Step::Change {
            before: Status::Active.as_str().to_owned(),
            changes: Changes { status: Some(Status::Paused.as_str().to_owned()), ..Changes::default() },
        },
        Action::SetBudget { daily_budget } if daily_budget.currency != reached.account.currency => {
            Step::Impossible("the rule's budget is in another currency than the ad account")
        }
        Action::SetBudget { daily_budget } => match object.daily_budget {
            Some(now) if now == daily_budget.amount => Step::AlreadySo,
            Some(now) => Step::Change {
                before: now.to_string(),
                changes: Changes { daily_budget: Some(daily_budget.amount), ..Changes::default() },
            },
            None if object.lifetime_budget.is_some() => {
                Step::Impossible("it has a lifetime budget, which is not set by the day")
            }
            None if object.level == Level::Campaign => {
                Step::Impossible("the campaign holds no budget; its ad sets do")
            }
            None => Step::Impossible("the ad set holds no budget; its campaign does"),
        },
    }
}
