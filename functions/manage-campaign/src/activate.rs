//! Activation: a campaign starts, with what it holds at that time, and it is looked at whether it can deliver.

use std::time::Duration;

use connector::{AccountClient, Purpose};
use domain::Error;
use domain::entity::{Changes, EffectiveStatus, Entity, Level, Status};
use domain::id::{AdAccountId, EntityId};
use domain::launch::Launch;
use domain::tenant::Tenant;
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use serde_json::json;
use store::StoreError;
use store::audit::{Actor, AuditEvent, Phase};
use store::schedule::{Activation, ActivationProblem, ActivationScope, ActivationState};

use crate::ManageCampaign;
use crate::launch::is_settled;
use crate::schedule::{audit_value, job_of};

/// Maximum time after the scheduled activation during which a failing one is retried.
const MAX_ACTIVATION_DELAY: SignedDuration = SignedDuration::from_hours(6);

/// Delay between two attempts.
const RETRY_DELAY: Duration = Duration::from_secs(60);

/// Delay before an activation goes on that did not end within an invocation.
const CONTINUE_DELAY: Duration = Duration::from_secs(1);

/// Problems that are kept with an activation.
const MAX_PROBLEMS: usize = 50;

impl ManageCampaign {
    /// Handles a timer that fired.
    pub(crate) async fn activate(
        &self,
        workspace: &Tenant,
        ad_account: &AdAccountId,
        campaign: &EntityId,
        timer: &str,
    ) -> Result<(), Error> {
        let table = &self.connector.table;
        let due = table.activation(workspace, ad_account, campaign).await?;
        let pending = [ActivationState::Scheduled, ActivationState::Activating];
        let Some(due) = due.filter(|due| due.timer == timer && pending.contains(&due.state)) else {
            tracing::info!(%workspace, %campaign, "An obsolete timer fired.");
            return Ok(());
        };
        // Recorded before it is executed: from here on it cannot be cancelled, and any worker resumes it.
        let mut activating =
            Activation { state: ActivationState::Activating, version: due.version + 1, ..due.clone() };
        // All attempts share one event, which the first one records.
        let actor = Actor::Schedule { timer: timer.to_owned() };
        let event = AuditEvent::new(
            format!("timer/{timer}"),
            actor,
            "campaign.activated",
            format!("campaign/{campaign}"),
        );
        let event =
            event.in_account(ad_account).with_change(audit_value(&due), json!({"status": Status::Active}));
        let intended = event.clone().at(self.host.clock.now());
        let intended = (due.state == ActivationState::Scheduled).then_some(&intended);
        match table.upsert_activation(workspace, ad_account, &activating, Some(&due), intended).await {
            Ok(()) => {}
            Err(StoreError::Conflict) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let mut trace = None;
        let outcome = match self.connector.open(workspace, ad_account, Purpose::Action).await {
            Ok(client) => {
                let started = self.start(&client, &mut activating).await;
                trace = client.request_id();
                client.close(started).await
            }
            Err(error) => Err(error),
        };
        let mut event = event.ended(&outcome, trace);
        let (state, failure, problems) = match outcome {
            Ok(Started { can_deliver: true, problems }) => (ActivationState::Activated, None, problems),
            Ok(Started { can_deliver: false, problems }) => {
                let why = "the campaign is active, but nothing in it can deliver".to_owned();
                (event.phase, event.reason) = (Phase::Failed, Some(why.clone()));
                (ActivationState::Failed, Some(why), problems)
            }
            Err(error) if error.is_retryable() && !self.is_late(&due) => {
                let after = match error {
                    Error::RateLimited { retry_after, .. } => retry_after,
                    _ => RETRY_DELAY,
                };
                tracing::info!(%workspace, %campaign, %error, after_secs = after.as_secs(), "An activation waits.");
                return self.process_after(after, &job_of(workspace, ad_account, &due)).await;
            }
            Err(error) => {
                tracing::warn!(%workspace, %campaign, %error, "An activation failed.");
                (ActivationState::Failed, Some(error.public_detail()), Vec::new())
            }
        };
        tracing::info!(
            %workspace, %campaign, ?state, failure, problems = problems.len(), "Ran a scheduled activation."
        );
        let version = activating.version + 1;
        let concluded = Activation { state, failure, problems, version, ..activating.clone() };
        let event = event.at(self.host.clock.now());
        match table
            .upsert_activation(workspace, ad_account, &concluded, Some(&activating), Some(&event))
            .await
        {
            Ok(()) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn is_late(&self, due: &Activation) -> bool {
        // A time that cannot be resolved counts as past.
        let zone = TimeZone::get(&due.timezone);
        let at = zone.and_then(|zone| zone.to_ambiguous_zoned(due.at).compatible());
        at.map_or(true, |at| self.host.clock.now().duration_since(at.timestamp()) > MAX_ACTIVATION_DELAY)
    }

    /// Activates a campaign with what it holds now: ads, then ad sets, and the campaign last, because nothing may run before
    /// all of it is ready. What is active already is left alone, so that a repetition goes on where it stopped.
    async fn start(&self, client: &AccountClient, activation: &mut Activation) -> Result<Started, Error> {
        let campaign = activation.campaign.clone();
        let launch = self.recent_launch(&client.workspace, &campaign).await?;
        if launch.as_ref().is_some_and(|launch| !is_settled(launch)) {
            let reason = "the campaign is still being launched".to_owned();
            return Err(Error::RateLimited { retry_after: RETRY_DELAY, reason });
        }
        let below = held_by(client, &campaign, launch.as_ref()).await?;
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
        let below = held_by(client, &campaign, launch.as_ref()).await?;
        problems.extend(below.iter().filter_map(|entity| Some(problem(entity, obstacle(entity)?))));
        problems.truncate(MAX_PROBLEMS);
        Ok(Started { can_deliver: of_level(&below, Level::Ad).any(may_deliver), problems })
    }

    /// Returns what is to be activated with the campaign, and keeps the decision: while the activation is under way, what it
    /// is based on changes.
    async fn decide_scope(
        &self,
        client: &AccountClient,
        activation: &mut Activation,
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
        let decided =
            Activation { scope: Some(scope), version: activation.version + 1, ..activation.clone() };
        let (table, account) = (&self.connector.table, &client.account.id);
        table.upsert_activation(&client.workspace, account, &decided, Some(activation), None).await?;
        *activation = decided;
        Ok(scope)
    }
}

/// Reads the ad sets and ads of a campaign. Listings may lack for some minutes what was just launched.
async fn held_by(
    client: &AccountClient,
    campaign: &EntityId,
    launch: Option<&Launch>,
) -> Result<Vec<Entity>, Error> {
    let mut below = client.refresh_descendants(Level::Campaign, campaign).await?;
    for created in launch.iter().flat_map(|launch| &launch.created) {
        let is_listed = created.id == *campaign || below.iter().any(|entity| entity.id == created.id);
        if !is_listed && let Some(entity) = client.refresh(created.step.level(), &created.id).await? {
            below.push(entity);
        }
    }
    Ok(below)
}

/// What became of an activated campaign.
struct Started {
    /// Whether some ad may deliver, now or after its review.
    can_deliver: bool,
    problems: Vec<ActivationProblem>,
}

fn active() -> Changes {
    Changes { status: Some(Status::Active), ..Changes::default() }
}

fn of_level(entities: &[Entity], level: Level) -> impl Iterator<Item = &Entity> {
    entities.iter().filter(move |entity| entity.level == level)
}

fn problem(entity: &Entity, reason: String) -> ActivationProblem {
    ActivationProblem { level: entity.level, id: entity.id.clone(), name: entity.name.clone(), reason }
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
