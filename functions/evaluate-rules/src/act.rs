//! Acting on one object: read it fresh, set the target, read it back.

use access::Reached;
use ads::Failure;
use ads::object::{AdObject, Level, Status};
use ads::rule::{Action, Decision, Outcome};
use graph_api::launch::Changes;

/// Carries out a recorded decision and answers it with its outcome. A failure that may pass is an error:
/// the decision stays open and is taken up again.
pub(crate) async fn act(reached: &Reached, mut decision: Decision) -> Result<Decision, Failure> {
    if decision.action == Action::Notify {
        decision.outcome = Outcome::Done;
        return Ok(decision);
    }
    // People change things in Ads Manager: what is there now decides, not what was mirrored an hour ago.
    let Some(object) = reached.refresh(decision.level, &decision.object).await? else {
        decision.outcome = Outcome::Refused;
        decision.reason = Some("Meta does not show the object any more".to_owned());
        return Ok(decision);
    };
    match step(&decision.action, &object) {
        Step::AlreadySo => decision.outcome = Outcome::AlreadySo,
        Step::Impossible(reason) => {
            decision.outcome = Outcome::Refused;
            decision.reason = Some(reason);
        }
        Step::Change { before, changes } => {
            decision.before = Some(before);
            match reached.heed(reached.caller.change(&object.id, &changes).await).await {
                Ok(()) => {
                    decision.outcome = Outcome::Done;
                    reached.refresh(decision.level, &decision.object).await?;
                }
                Err(failure) if failure.may_pass() => return Err(failure),
                Err(failure) => {
                    decision.outcome = Outcome::Refused;
                    decision.reason = Some(failure.to_string());
                }
            }
        }
    }
    Ok(decision)
}

enum Step {
    AlreadySo,
    Impossible(String),
    Change { before: String, changes: Changes },
}

fn step(action: &Action, object: &AdObject) -> Step {
    match action {
        Action::Notify => Step::AlreadySo,
        Action::Pause if object.status != Some(Status::Active) => Step::AlreadySo,
        Action::Pause => Step::Change {
            before: Status::Active.as_str().to_owned(),
            changes: Changes { status: Some(Status::Paused.as_str().to_owned()), ..Changes::default() },
        },
        Action::SetBudget { daily_budget } => match object.daily_budget {
            Some(now) if now == *daily_budget => Step::AlreadySo,
            Some(now) => Step::Change {
                before: now.to_string(),
                changes: Changes { daily_budget: Some(*daily_budget), ..Changes::default() },
            },
            None if object.level == Level::Campaign => {
                Step::Impossible("the campaign holds no daily budget; its ad sets do".to_owned())
            }
            None => Step::Impossible("the ad set holds no daily budget; its campaign does".to_owned()),
        },
    }
}
