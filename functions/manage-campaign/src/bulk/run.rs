//! The worker of bulk changes.

use std::collections::HashMap;
use std::time::Duration;

use connector::{AccountClient, EntityRead, Purpose};
use domain::Error;
use domain::bulk::{BulkObject, BulkObjectState, BulkState};
use domain::entity::{Changes, Level};
use domain::id::{AdAccountId, BulkChangeId, EntityId};
use domain::job::Job;
use domain::tenant::Tenant;
use jiff::SignedDuration;
use serde_json::json;
use store::StoreError;
use store::audit::{Actor, AuditEvent, EventRecord, Phase};
use store::bulk::StoredBulkChange;
use store::changed_entities::whole_account;

use crate::ManageCampaign;
use crate::launch::{LAUNCH_LEASE_TTL, RECOVERY_DELAY};

/// Objects that are changed at a time: two actions for the event of each, in one transaction of a hundred.
const OBJECTS_PER_STEP: usize = 40;

/// An object that is not settled after this time stays unknown.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(24);

impl ManageCampaign {
    /// Goes on with a bulk change until it is done or the invocation ends.
    pub(crate) async fn apply_bulk_change(
        &self,
        workspace: &Tenant,
        ad_account: &AdAccountId,
        id: &BulkChangeId,
    ) -> Result<(), Error> {
        let table = &self.connector.table;
        let job = Job::ApplyBulkChange {
            workspace: workspace.clone(),
            ad_account: ad_account.clone(),
            bulk_change: id.clone(),
        };
        match table.bulk_change(workspace, ad_account, id).await? {
            Some(bulk) if bulk.change.state == BulkState::Running => {}
            _ => return Ok(()),
        }
        let now = self.host.clock.now();
        let claimed = table.claim_bulk_change(workspace, ad_account, id, now, now + LAUNCH_LEASE_TTL).await;
        let mut bulk = match claimed {
            Ok(bulk) => bulk,
            // Another worker holds the lease.
            Err(StoreError::Conflict) => return self.process_after(RECOVERY_DELAY, &job).await,
            Err(error) => return Err(error.into()),
        };
        let result = match self.connector.open(workspace, ad_account, Purpose::Action).await {
            Ok(client) => {
                let result = self.change_objects(&client, &mut bulk).await;
                client.close(result).await
            }
            Err(error) => Err(error),
        };
        let Err(error) = result else {
            return match bulk.change.state {
                BulkState::Done => Ok(()),
                // The invocation ends; the next one goes on.
                BulkState::Running => {
                    self.release_bulk_change(workspace, &mut bulk).await?;
                    self.host.queues.send(&[job]).await
                }
            };
        };
        if error.is_retryable() && now.duration_since(bulk.requested_at) < MAX_AGE {
            self.release_bulk_change(workspace, &mut bulk).await?;
            let after = match error {
                Error::RateLimited { retry_after, .. } => retry_after,
                _ => Duration::from_secs(30),
            };
            tracing::info!(%workspace, bulk_change = %id, %error, after_secs = after.as_secs(), "A bulk change waits.");
            return self.process_after(after, &job).await;
        }
        // Nothing more can be done: what is not settled is refused, or stays unknown.
        tracing::warn!(%workspace, bulk_change = %id, %error, "A bulk change ends before all of it is done.");
        for object in bulk.change.objects.iter_mut().filter(|object| !object.is_settled()) {
            let was_sent = object.state == BulkObjectState::Sent;
            let state = if was_sent { BulkObjectState::Unknown } else { BulkObjectState::Rejected };
            object.settle(state, error.public_detail());
        }
        self.finish_bulk_change(workspace, &mut bulk).await
    }

    async fn release_bulk_change(
        &self,
        workspace: &Tenant,
        bulk: &mut StoredBulkChange,
    ) -> Result<(), Error> {
        let free = self.host.clock.now() - SignedDuration::from_secs(1);
        Ok(self.connector.table.save_bulk_change(workspace, bulk, free, &[]).await?)
    }

    async fn change_objects(&self, client: &AccountClient, bulk: &mut StoredBulkChange) -> Result<(), Error> {
        loop {
            if self.ends_soon() {
                return Ok(());
            }
            let is_open = |(_, object): &(usize, &BulkObject)| !object.is_settled();
            let mut open = bulk.change.objects.iter().enumerate().filter(is_open).peekable();
            let Some(level) = open.peek().map(|(_, object)| object.level) else { break };
            let step: Vec<usize> = open
                .filter(|(_, object)| object.level == level)
                .map(|(number, _)| number)
                .take(OBJECTS_PER_STEP)
                .collect();
            self.change_some(client, bulk, (level, step)).await?;
        }
        self.refresh_after(client, bulk).await?;
        self.finish_bulk_change(&client.workspace, bulk).await
    }

    /// Changes some objects of a level: read, marked as sent, changed, and read again.
    async fn change_some(
        &self,
        client: &AccountClient,
        bulk: &mut StoredBulkChange,
        (level, numbers): (Level, Vec<usize>),
    ) -> Result<(), Error> {
        let mut places: HashMap<EntityId, usize> = HashMap::new();
        for number in numbers {
            places.insert(bulk.change.objects[number].id.clone(), number);
        }
        let ids: Vec<EntityId> = places.keys().cloned().collect();
        let (mut to_send, mut events) = (Vec::new(), Vec::new());
        for (id, read) in client.refresh_entities(level, &ids).await? {
            let Some(number) = places.get(&id).copied() else { continue };
            let object = &mut bulk.change.objects[number];
            let was_sent = object.state == BulkObjectState::Sent;
            let is_sent = match read {
                EntityRead::Found(shown) => object.decide(&shown),
                EntityRead::NotFound => {
                    object.settle(BulkObjectState::Gone, "the platform does not show it".to_owned());
                    false
                }
                EntityRead::Failed(error) => {
                    let state = if was_sent { BulkObjectState::Unknown } else { BulkObjectState::Rejected };
                    object.settle(state, error.public_detail());
                    false
                }
            };
            match (is_sent, was_sent) {
                (true, false) => {
                    object.state = BulkObjectState::Sent;
                    events.push(number);
                }
                // It was sent before, and its event is still open.
                (false, true) => events.push(number),
                _ => {}
            }
            if is_sent {
                to_send.push(number);
            }
        }
        self.save_bulk_change(client, bulk, &events).await?;
        if to_send.is_empty() {
            return Ok(());
        }
        let changes: Vec<(EntityId, Changes)> = to_send
            .iter()
            .map(|number| &bulk.change.objects[*number])
            .map(|object| (object.id.clone(), object.after.clone()))
            .collect();
        let (mut confirmed, mut ended, mut waits) = (Vec::new(), Vec::new(), None);
        for (number, changed) in to_send.into_iter().zip(client.apply_changes(level, &changes).await) {
            let object = &mut bulk.change.objects[number];
            match changed {
                Ok(()) => confirmed.push(object.id.clone()),
                Err(error) if error.is_retryable() || matches!(error, Error::Indeterminate(_)) => {
                    waits = Some(error)
                }
                Err(error) => {
                    object.settle(BulkObjectState::Rejected, error.public_detail());
                    ended.push(number);
                }
            }
        }
        if !confirmed.is_empty() {
            // What cannot be read now stays sent, and is looked at in the next step.
            match client.refresh_entities(level, &confirmed).await {
                Ok(read) => {
                    for (id, read) in read {
                        if let (Some(number), EntityRead::Found(shown)) = (places.get(&id).copied(), read) {
                            bulk.change.objects[number].confirm(&shown);
                            ended.push(number);
                        }
                    }
                }
                Err(error) => waits = waits.or(Some(error)),
            }
        }
        self.save_bulk_change(client, bulk, &ended).await?;
        match waits {
            Some(Error::Indeterminate(why)) => Err(Error::Unavailable(why)),
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Saves a bulk change with the events of these objects: that their change is sent, or how it ended.
    async fn save_bulk_change(
        &self,
        client: &AccountClient,
        bulk: &mut StoredBulkChange,
        numbers: &[usize],
    ) -> Result<(), Error> {
        let now = self.host.clock.now();
        let events: Vec<EventRecord> =
            numbers.iter().map(|number| event_of(bulk, &bulk.change.objects[*number]).at(now)).collect();
        let until = now + LAUNCH_LEASE_TTL;
        Ok(self.connector.table.save_bulk_change(&client.workspace, bulk, until, &events).await?)
    }

    async fn finish_bulk_change(&self, workspace: &Tenant, bulk: &mut StoredBulkChange) -> Result<(), Error> {
        let mut done = bulk.clone();
        done.change.state = BulkState::Done;
        let now = self.host.clock.now();
        let [changed, rejected] =
            [BulkObjectState::Done, BulkObjectState::Rejected].map(|state| done.count(state));
        let event = AuditEvent::new(
            format!("bulk_change/{}", done.change.id),
            Actor::Person { subject: done.requested_by.clone() },
            "bulk_change.ended",
            format!("bulk_change/{}", done.change.id),
        );
        let after = json!({"objects": done.change.objects.len(), "changed": changed, "rejected": rejected});
        let event = event.in_account(&done.change.ad_account).with_change(serde_json::Value::Null, after);
        let event = event.done_at(now);
        self.connector.table.save_bulk_change(workspace, &mut done, now, &[event]).await?;
        *bulk = done;
        Ok(())
    }

    /// What is below an object delivers or not with its status: the account's entities are read by a job.
    async fn refresh_after(&self, client: &AccountClient, bulk: &StoredBulkChange) -> Result<(), Error> {
        let has_below = |object: &BulkObject| {
            object.level < Level::Ad && object.state == BulkObjectState::Done && object.after.status.is_some()
        };
        if !bulk.change.objects.iter().any(has_below) {
            return Ok(());
        }
        let (workspace, ad_account) = (client.workspace.clone(), client.account.id.clone());
        let (changed, now) = (whole_account(&ad_account), self.host.clock.now());
        let delay = self.connector.table.add_changed_entity(&workspace, &ad_account, &changed, now).await?;
        match delay {
            Some(delay) => {
                let job = Job::SyncChangedEntities { workspace, ad_account };
                self.host.queues.send_delayed(&job, delay).await
            }
            None => Ok(()),
        }
    }
}

/// Returns the event of an object's change, as far as it has come.
fn event_of(bulk: &StoredBulkChange, object: &BulkObject) -> AuditEvent {
    let BulkObject { level, id, before, after, state, reason, .. } = object;
    let event = AuditEvent::new(
        format!("bulk_change/{}/{level}/{id}", bulk.change.id),
        Actor::Person { subject: bulk.requested_by.clone() },
        &format!("{level}.changed"),
        format!("{level}/{id}"),
    );
    let event = event.in_account(&bulk.change.ad_account).with_change(json!(before), json!(after));
    AuditEvent {
        phase: match state {
            BulkObjectState::Pending | BulkObjectState::Sent => Phase::Intended,
            BulkObjectState::Done | BulkObjectState::Unchanged => Phase::Done,
            BulkObjectState::Rejected | BulkObjectState::ChangedMeanwhile | BulkObjectState::Gone => {
                Phase::Failed
            }
            BulkObjectState::Unknown => Phase::Unknown,
        },
        // The platform's words may name a person.
        reason: reason.as_ref().map(|_| format!("{state:?}")),
        ..event
    }
}
