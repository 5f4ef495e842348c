//! Activation: a campaign starts, with what it holds at that time, and it is looked at whether it can deliver.

use std::time::Duration;

use connector::AccountClient;
use domain::Error;
use domain::entity::{Changes, EffectiveStatus, Entity, Level, Status};
use domain::id::EntityId;
use domain::launch::Launch;
use store::schedule::{ActivationScope, Schedule, ScheduleProblem};

use super::run::{RETRY_DELAY, Ran};
use crate::ManageCampaign;
use crate::launch::is_settled;

/// Delay before an activation goes on that did not end within an invocation.
const CONTINUE_DELAY: Duration = Duration::from_secs(1);

/// Problems that are kept with an activation.
const MAX_PROBLEMS: usize = 50;

impl ManageCampaign {
    /// Activates a campaign with what it holds now: ads, then ad sets, and the campaign last, because nothing may run before
    /// all of it is ready. What is active already is left alone, so that a repetition goes on where it stopped.
    pub(super) async fn activate(
        &self,
        client: &AccountClient,
        activation: &mut Schedule,
    ) -> Result<Ran, Error> {
        let campaign = activation.campaign.clone();
        let launches = self.recent_launches(&client.workspace, &campaign).await?;
        if !launches.iter().all(is_settled) {
            let reason = "the campaign is still being launched".to_owned();
            return Err(Error::RateLimited { retry_after: RETRY_DELAY, reason });
        }
        let below = held_by(client, &campaign, &launches).await?;
        let scope = self.decide_scope(client, activation, &below).await?;
        let mut problems = Vec::new();
        if scope == ActivationScope::Everything {
            for entity in [Level::Ad, Level::AdSet].iter().flat_map(|level| of_level(&below, *level)) {
                if entity.status != Some(Status::Paused) {
                    continue;
                }
                if self.ends_soon() {
                    let reason = "the activation goes on with the next invocation".to_owned();
                    return Err(Error::RateLimited { retry_after: CONTINUE_DELAY, reason });
                }
                match client.apply_change(entity.level, &entity.id, &active()).await {
                    Ok(()) => {}
                    // One that Meta refuses keeps nothing else from starting.
                    Err(error @ (Error::RejectedByPlatform(_) | Error::NotFound(_))) => {
                        problems.push(problem(entity, error.public_detail()));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        client.apply_change(Level::Campaign, &campaign, &active()).await?;
        // The descendants' effective status changes only once the campaign is active.
        client.refresh(Level::Campaign, &campaign).await?;
        let below = held_by(client, &campaign, &launches).await?;
        problems.extend(below.iter().filter_map(|entity| Some(problem(entity, obstacle(entity)?))));
        problems.truncate(MAX_PROBLEMS);
        let failure = match of_level(&below, Level::Ad).any(may_deliver) {
            true => None,
            false => Some("the campaign is active, but nothing in it can deliver".to_owned()),
        };
        Ok(Ran { failure, problems })
    }

    /// Returns what is to be activated with the campaign, and keeps the decision: while the activation is under way, what it
    /// is based on changes.
    async fn decide_scope(
        &self,
        client: &AccountClient,
        activation: &mut Schedule,
        below: &[Entity],
    ) -> Result<ActivationScope, Error> {
        if let Some(scope) = activation.scope {
            return Ok(scope);
        }
        let is_active = |entity: &Entity| entity.status == Some(Status::Active);
        let runs = of_level(below, Level::Ad).filter(|ad| is_active(ad)).any(|ad| {
            let mut ad_sets = of_level(below, Level::AdSet);
            ad_sets.any(|ad_set| Some(&ad_set.id) == ad.adset_id.as_ref() && is_active(ad_set))
        });
        let scope = if runs { ActivationScope::Campaign } else { ActivationScope::Everything };
        let decided = Schedule { scope: Some(scope), version: activation.version + 1, ..activation.clone() };
        let (table, account) = (&self.connector.table, &client.account.id);
        table.upsert_schedule(&client.workspace, account, &decided, Some(activation), None).await?;
        *activation = decided;
        Ok(scope)
    }
}

/// Reads the ad sets and ads of a campaign. Listings may lack for some minutes what was just launched.
async fn held_by(
    client: &AccountClient,
    campaign: &EntityId,
    launches: &[Launch],
) -> Result<Vec<Entity>, Error> {
    let mut below = client.refresh_descendants(Level::Campaign, campaign).await?;
    for created in launches.iter().flat_map(|launch| &launch.created) {
        let is_listed = created.id == *campaign || below.iter().any(|entity| entity.id == created.id);
        if !is_listed && let Some(entity) = client.refresh(created.step.level(), &created.id).await? {
            below.push(entity);
        }
    }
    Ok(below)
}

fn active() -> Changes {
    Changes { status: Some(Status::Active), ..Changes::default() }
}

fn of_level(entities: &[Entity], level: Level) -> impl Iterator<Item = &Entity> {
    entities.iter().filter(move |entity| entity.level == level)
}

fn problem(entity: &Entity, reason: String) -> ScheduleProblem {
    ScheduleProblem { level: entity.level, id: entity.id.clone(), name: entity.name.clone(), reason }
}

/// Returns whether an ad delivers, or will once Meta has looked at it.
fn may_deliver(ad: &Entity) -> bool {
    use EffectiveStatus::{Active, InProcess, PendingReview, Preapproved};
    matches!(ad.effective_status, Some(Active | InProcess | PendingReview | Preapproved))
}

/// Returns why an entity that is switched on cannot deliver.
fn obstacle(entity: &Entity) -> Option<String> {
    use EffectiveStatus::{Disapproved, PendingBillingInfo, WithIssues};
    let status = entity.effective_status.as_ref()?;
    if entity.status != Some(Status::Active)
        || !matches!(status, Disapproved | PendingBillingInfo | WithIssues)
    {
        return None;
    }
    let issues = entity.issues.iter().filter_map(|issue| issue.message.clone().or(issue.summary.clone()));
    let reviews =
        entity.review_feedback.iter().map(|review| format!("{}: {}", review.policy, review.explanation));
    let reasons: Vec<_> = issues.chain(reviews).collect();
    let why = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) };
    Some(format!("Meta says {}{why}", status.as_str()))
}
