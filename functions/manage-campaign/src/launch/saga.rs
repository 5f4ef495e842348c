//! The steps of a launch: run, named and committed, or undone.

use std::time::Duration;

use connector::AccountClient;
use domain::Error;
use domain::entity::Level;
use domain::id::EntityId;
use domain::launch::{Created, Launch, LaunchState, Step};
use domain::tenant::Tenant;
use jiff::SignedDuration;
use serde_json::{Map, Value, json};
use store::audit::{Actor, AuditEvent, Phase};
use store::launch::StoredLaunch;

use super::is_settled;
use super::view::name_of;
use crate::ManageCampaign;
use crate::background::LEASE_TTL;

/// Differences that are kept of a launch: with more than these, all of it is to be looked at.
const MAX_DIFFERENCES: usize = 50;

/// How long a listing of the platform may lack an entity that exists.
const LISTING_LAG: SignedDuration = SignedDuration::from_mins(2);

impl ManageCampaign {
    /// Runs until the launch is committed or rolled back, or the invocation ends. In that case, or on an error, it
    /// releases the lease to other workers.
    pub(super) async fn run(&self, client: &AccountClient, stored: &mut StoredLaunch) -> Result<(), Error> {
        let outcome = self.run_steps(client, stored).await;
        if outcome.is_err() || !is_settled(&stored.launch) {
            self.release(&client.workspace, stored).await?;
        }
        outcome
    }

    /// Releases the lease of a launch.
    pub(super) async fn release(&self, workspace: &Tenant, stored: &mut StoredLaunch) -> Result<(), Error> {
        // One second in the past, so that the next request can claim the launch at once.
        let free = self.host.clock.now() - SignedDuration::from_secs(1);
        Ok(self.connector.table.save_launch(workspace, stored, free, None).await?)
    }

    async fn run_steps(&self, client: &AccountClient, stored: &mut StoredLaunch) -> Result<(), Error> {
        while stored.launch.state == LaunchState::Running {
            if self.ends_soon() {
                return Ok(());
            }
            // Also after the last step, whose answer may be the first that tells.
            if let Err(error) = self.connector.check_launch().await {
                self.give_up(client, stored, None, error).await?;
                break;
            }
            let Some(step) = stored.launch.next_step() else {
                remove_doubles(client, &mut stored.launch).await?;
                if let Some(number) = stored.launch.created.iter().position(|created| !created.named) {
                    let created = &stored.launch.created[number];
                    match client.name_created(&stored.launch, created).await {
                        Ok(()) => stored.launch.created[number].named = true,
                        Err(error) => {
                            let step = created.step;
                            self.give_up(client, stored, Some(step), error).await?;
                        }
                    }
                    continue;
                }
                client.refresh_created(&stored.launch.created).await?;
                let mut differences = client.launch_differences(&stored.launch).await?;
                differences.truncate(MAX_DIFFERENCES);
                stored.launch.differences = differences;
                self.finish(&client.workspace, stored, LaunchState::Committed).await?;
                break;
            };
            match self.run_step(client, stored, step).await {
                Ok(id) => self.record_created(client, stored, step, id).await?,
                Err(error) => self.give_up(client, stored, Some(step), error).await?,
            }
        }
        if stored.launch.state == LaunchState::RollingBack {
            self.undo(client, stored).await?;
        }
        Ok(())
    }

    /// Begins to roll back after an error that another attempt cannot change. Returns any other error.
    async fn give_up(
        &self,
        client: &AccountClient,
        stored: &mut StoredLaunch,
        step: Option<Step>,
        error: Error,
    ) -> Result<(), Error> {
        if error.is_retryable() {
            return Err(error);
        }
        let at = step.map(|step| format!("{step}: ")).unwrap_or_default();
        stored.launch.state = LaunchState::RollingBack;
        stored.launch.failure = Some(format!("{at}{}", error.public_detail()));
        stored.audit_reason = Some(format!("{at}{}", error.audit_detail()));
        self.save(client, stored).await
    }

    async fn run_step(
        &self,
        client: &AccountClient,
        stored: &mut StoredLaunch,
        step: Step,
    ) -> Result<EntityId, Error> {
        if stored.launch.intent == Some(step) {
            if let Some(id) = client.find_created(&stored.launch, step).await? {
                return Ok(id);
            }
            self.await_listing(&stored.launch)?;
            stored.launch.resent = true;
        }
        (stored.launch.intent, stored.launch.intent_at) = (Some(step), Some(self.host.clock.now()));
        self.save(client, stored).await?;
        match client.create(&stored.launch, step).await {
            // The response was lost. The entity may exist; if it is not found, a later attempt decides.
            Err(error @ Error::Indeterminate(_)) => {
                self.save(client, stored).await?;
                client.find_created(&stored.launch, step).await?.ok_or(error)
            }
            response => {
                // The platform responded, so the outcome of this step is known.
                (stored.launch.intent, stored.launch.intent_at) = (None, None);
                response
            }
        }
    }

    /// Returns an error for as long as a listing may lack what was requested: that it does not show it is no proof.
    fn await_listing(&self, launch: &Launch) -> Result<(), Error> {
        let requested_at = launch.intent_at.unwrap_or(launch.started_at);
        let left = (requested_at + LISTING_LAG).duration_since(self.host.clock.now());
        let Some(retry_after) = Duration::try_from(left).ok().filter(|left| !left.is_zero()) else {
            return Ok(());
        };
        let reason =
            "whether the last request was carried out is not known yet, and is looked up again".to_owned();
        Err(Error::RateLimited { retry_after, reason })
    }

    async fn record_created(
        &self,
        client: &AccountClient,
        stored: &mut StoredLaunch,
        step: Step,
        id: EntityId,
    ) -> Result<(), Error> {
        stored.launch.created.push(Created { step, id, at: Some(self.host.clock.now()), named: false });
        (stored.launch.intent, stored.launch.intent_at) = (None, None);
        self.save(client, stored).await
    }

    /// Deletes the created entities, newest first, starting with one that a lost response may have left. An entity that
    /// is already gone counts as deleted.
    async fn undo(&self, client: &AccountClient, stored: &mut StoredLaunch) -> Result<(), Error> {
        if let Some(step) = stored.launch.intent {
            match client.find_created(&stored.launch, step).await? {
                Some(id) => self.record_created(client, stored, step, id).await?,
                None => {
                    self.await_listing(&stored.launch)?;
                    (stored.launch.intent, stored.launch.intent_at) = (None, None);
                }
            }
        }
        remove_doubles(client, &mut stored.launch).await?;
        while let Some(created) = stored.launch.created.last().cloned() {
            client.delete(&created.id).await?;
            stored.launch.created.pop();
            self.save(client, stored).await?;
        }
        self.finish(&client.workspace, stored, LaunchState::RolledBack).await
    }

    /// Saves the final state of a launch, and records its outcome in the same transaction. If that fails, the launch is
    /// not in that state, and the next worker finishes it.
    pub(super) async fn finish(
        &self,
        workspace: &Tenant,
        stored: &mut StoredLaunch,
        state: LaunchState,
    ) -> Result<(), Error> {
        let mut ended = stored.clone();
        ended.launch.state = state;
        let launch = &ended.launch;
        let created = launch.created.iter().map(|created| (created.step.to_string(), json!(created.id)));
        let mut created: Map<String, Value> = created.collect();
        created.insert("name".to_owned(), name_of(launch).into());
        if !launch.differences.is_empty() {
            created.insert("differences".to_owned(), launch.differences.len().into());
        }
        let event = AuditEvent {
            phase: match launch.state {
                LaunchState::Committed => Phase::Done,
                LaunchState::RolledBack => Phase::Failed,
                LaunchState::Running | LaunchState::RollingBack | LaunchState::NeedsReview => Phase::Unknown,
            },
            meta: launch.id_of(Step::Campaign).map(ToString::to_string),
            reason: ended.audit_reason.clone(),
            after: created.into(),
            ..audit_event(&ended)
        };
        let now = self.host.clock.now();
        self.connector.table.save_launch(workspace, &mut ended, now, Some(&event.at(now))).await?;
        *stored = ended;
        Ok(())
    }

    /// Saves the launch and extends its lease.
    async fn save(&self, client: &AccountClient, stored: &mut StoredLaunch) -> Result<(), Error> {
        let until = self.host.clock.now() + LEASE_TTL;
        Ok(self.connector.table.save_launch(&client.workspace, stored, until, None).await?)
    }
}

/// Returns the audit event of a launch. All workers share one event of the requesting person.
pub(super) fn audit_event(stored: &StoredLaunch) -> AuditEvent {
    let launch = &stored.launch;
    let actor = stored.requested_by.clone().map_or(Actor::Operator, |subject| Actor::Person { subject });
    let event = AuditEvent::new(
        // With the time, because a launch whose account was deleted may be repeated under its key.
        format!("launch/{}/{}", launch.id, launch.started_at),
        actor,
        "campaign.launched",
        format!("launch/{}", launch.id),
    );
    event.in_account(&launch.ad_account)
}

/// Deletes what bears the launch's mark and is not of its steps: a request that was sent again because its outcome was
/// unknown may have been carried out twice.
async fn remove_doubles(client: &AccountClient, launch: &mut Launch) -> Result<(), Error> {
    if !launch.resent {
        return Ok(());
    }
    for level in [Level::Ad, Level::AdSet, Level::Campaign] {
        for id in client.find_marked(launch, level).await? {
            if !launch.created.iter().any(|created| created.id == id) {
                tracing::warn!(launch = %launch.id, %level, %id, "An entity was created twice, and is deleted.");
                client.delete(&id).await?;
            }
        }
    }
    // Once is enough, also while the names are being set.
    launch.resent = false;
    Ok(())
}
