//! The worker of bulk changes.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use connector::{AccountClient, EntityRead, Purpose};
use domain::Error;
use domain::bulk::{BulkChange, BulkObject, BulkObjectState, BulkState};
use domain::entity::{Changes, Level};
use domain::id::{AdAccountId, BulkChangeId, EntityId};
use domain::job::Job;
use domain::tenant::Tenant;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use store::StoreError;
use store::audit::{Actor, AuditEvent, EventRecord, Phase};
use store::bulk::StoredBulkChange;
use store::changed_entities::whole_account;

use crate::ManageCampaign;
use crate::background::{LEASE_TTL, RECOVERY_DELAY};

/// Objects that are changed at a time: two actions for the event of each, in one transaction of a hundred.
pub(super) const OBJECTS_PER_STEP: usize = 40;

/// An object that is not settled after this time stays unknown.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(24);

/// How long it is looked, after a stop, whether the platform has taken what was sent before: its listings lag two minutes.
const STOP_PATIENCE: SignedDuration = SignedDuration::from_mins(3);

/// The pause before objects are looked at again whose change the platform confirmed and does not show yet.
const CONFIRMATION_PAUSE: Duration = Duration::from_secs(30);

/// What a run leaves for a later one.
#[derive(Default)]
struct Left {
    /// Objects that this run does not touch again.
    numbers: HashSet<usize>,
    /// Why, and until when at least.
    why: Option<Error>,
}

impl Left {
    fn add(&mut self, number: usize, error: Error) {
        self.numbers.insert(number);
        let wait = |error: &Error| match error {
            Error::RateLimited { retry_after, .. } => *retry_after,
            _ => CONFIRMATION_PAUSE,
        };
        if self.why.as_ref().is_none_or(|known| wait(&error) < wait(known)) {
            self.why = Some(error);
        }
    }
}

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
        let claimed = table.claim_bulk_change(workspace, ad_account, id, now, now + LEASE_TTL).await;
        let mut bulk = match claimed {
            Ok(bulk) => bulk,
            // Another worker holds the lease.
            Err(StoreError::Conflict) => return self.process_after(RECOVERY_DELAY, &job).await,
            Err(error) => return Err(error.into()),
        };
        // What waits for the platform's quota can be stopped, too.
        self.leave_stopped(workspace, &mut bulk).await?;
        if bulk.change.objects.iter().all(BulkObject::is_settled) {
            self.refresh_after(workspace, &bulk).await?;
            return self.finish_bulk_change(workspace, &mut bulk).await;
        }
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
                _ => CONFIRMATION_PAUSE,
            };
            tracing::info!(%workspace, bulk_change = %id, %error, after_secs = after.as_secs(), "A bulk change waits.");
            return self.process_after(after, &job).await;
        }
        tracing::warn!(%workspace, bulk_change = %id, %error, "A bulk change ends before all of it is done.");
        self.settle_rest(workspace, &mut bulk, &error).await
    }

    /// Settles what nothing more can be done for: it is refused, or stays unknown where it was sent.
    async fn settle_rest(
        &self,
        workspace: &Tenant,
        bulk: &mut StoredBulkChange,
        error: &Error,
    ) -> Result<(), Error> {
        let open = bulk.change.objects.iter().enumerate().filter(|(_, object)| !object.is_settled());
        let open: Vec<usize> = open.map(|(number, _)| number).collect();
        for some in open.chunks(OBJECTS_PER_STEP) {
            let (mut change, mut begun) = (bulk.change.clone(), Vec::new());
            for number in some {
                let object = &mut change.objects[*number];
                let was_sent = object.state == BulkObjectState::Sent;
                let state =
                    if object.is_waiting() { BulkObjectState::Rejected } else { BulkObjectState::Unknown };
                object.settle(state, error.public_detail());
                begun.extend(was_sent.then_some(*number));
            }
            self.save_bulk_change(workspace, bulk, change, &begun).await?;
        }
        self.finish_bulk_change(workspace, bulk).await
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
        let mut left = Left::default();
        loop {
            if self.ends_soon() {
                return Ok(());
            }
            let stopped = self.leave_stopped(&client.workspace, bulk).await?;
            let is_open = |(number, object): &(usize, &BulkObject)| {
                !object.is_settled() && !left.numbers.contains(number)
            };
            let mut open = bulk.change.objects.iter().enumerate().filter(is_open).peekable();
            let Some(level) = open.peek().map(|(_, object)| object.level) else { break };
            let step: Vec<usize> = open
                .filter(|(_, object)| object.level == level)
                .map(|(number, _)| number)
                .take(OBJECTS_PER_STEP)
                .collect();
            self.change_some(client, bulk, (level, step, stopped), &mut left).await?;
        }
        if let Some(error) = left.why {
            return Err(error);
        }
        self.refresh_after(&client.workspace, bulk).await?;
        self.finish_bulk_change(&client.workspace, bulk).await
    }

    /// Changes some objects of a level: read, marked as sent, changed, and read again. Of a stopped bulk change they are only
    /// read: those that were sent before.
    async fn change_some(
        &self,
        client: &AccountClient,
        bulk: &mut StoredBulkChange,
        (level, numbers, stopped): (Level, Vec<usize>, Option<Timestamp>),
        left: &mut Left,
    ) -> Result<(), Error> {
        let now = self.host.clock.now();
        // What is not saved has not happened.
        let mut change = bulk.change.clone();
        let places: HashMap<EntityId, usize> =
            numbers.into_iter().map(|number| (change.objects[number].id.clone(), number)).collect();
        let ids: Vec<EntityId> = places.keys().cloned().collect();
        let (mut to_send, mut events, mut waiting) = (Vec::new(), Vec::new(), HashSet::new());
        for (id, read) in client.refresh_entities(level, &ids).await? {
            let Some(number) = places.get(&id).copied() else { continue };
            let object = &mut change.objects[number];
            let was_sent = object.state == BulkObjectState::Sent;
            let is_sent = match read {
                EntityRead::Found(shown) => {
                    if object.is_waiting() {
                        waiting.insert(number);
                    }
                    let is_due = object.decide(&shown);
                    // It may show later what was sent before the stop.
                    let why = "its change was sent before the stop, and does not show";
                    match stopped.filter(|_| is_due) {
                        Some(at) if now.duration_since(at) > STOP_PATIENCE => {
                            object.settle(BulkObjectState::Unknown, why.to_owned());
                        }
                        Some(_) => left.add(number, Error::Unavailable(why.to_owned())),
                        None => {}
                    }
                    is_due && stopped.is_none()
                }
                EntityRead::NotFound => {
                    object.settle(BulkObjectState::Gone, "the platform does not show it".to_owned());
                    false
                }
                EntityRead::Failed(error) => {
                    let is_waiting = object.is_waiting();
                    let state = if is_waiting { BulkObjectState::Rejected } else { BulkObjectState::Unknown };
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
                (false, true) if object.is_settled() => events.push(number),
                _ => {}
            }
            if is_sent {
                object.held_up = false;
                to_send.push(number);
            }
        }
        self.save_bulk_change(&client.workspace, bulk, change, &events).await?;
        if to_send.is_empty() {
            return Ok(());
        }
        let mut change = bulk.change.clone();
        let changes: Vec<(EntityId, Changes)> = to_send
            .iter()
            .map(|number| &change.objects[*number])
            .map(|object| (object.id.clone(), object.after.clone()))
            .collect();
        let (mut confirmed, mut ended) = (Vec::new(), Vec::new());
        for (number, changed) in to_send.into_iter().zip(client.apply_changes(level, &changes).await) {
            let object = &mut change.objects[number];
            match changed {
                Ok(()) => confirmed.push((object.id.clone(), number)),
                Err(Error::Indeterminate(why)) => left.add(number, Error::Unavailable(why)),
                // One that may be changed again only later does not hold up the others.
                Err(error) if error.is_retryable() => {
                    object.held_up = waiting.contains(&number) && matches!(error, Error::RateLimited { .. });
                    left.add(number, error);
                }
                Err(error) => {
                    // One that was sent before may have been taken then.
                    let is_first = waiting.contains(&number);
                    let state = if is_first { BulkObjectState::Rejected } else { BulkObjectState::Unknown };
                    object.settle(state, error.public_detail());
                    ended.push(number);
                }
            }
        }
        if !confirmed.is_empty() {
            let ids: Vec<EntityId> = confirmed.iter().map(|(id, _)| id.clone()).collect();
            // What cannot be read now stays sent, and is looked at in the next step.
            let read = client.refresh_entities(level, &ids).await.unwrap_or_default();
            for (id, read) in read {
                let (Some(number), EntityRead::Found(shown)) = (places.get(&id).copied(), read) else {
                    continue;
                };
                match change.objects[number].confirm(&shown) {
                    true => ended.push(number),
                    false => left.add(number, Error::Unavailable("a change does not show yet".to_owned())),
                }
            }
        }
        self.save_bulk_change(&client.workspace, bulk, change, &ended).await
    }

    /// Saves a bulk change as it has become, with the events of these objects: that their change is sent, or how it ended.
    pub(super) async fn save_bulk_change(
        &self,
        workspace: &Tenant,
        bulk: &mut StoredBulkChange,
        change: BulkChange,
        numbers: &[usize],
    ) -> Result<(), Error> {
        let now = self.host.clock.now();
        let mut next = StoredBulkChange { change, ..bulk.clone() };
        let events = numbers.iter().map(|number| event_of(&next, &next.change.objects[*number]).at(now));
        let events: Vec<EventRecord> = events.collect();
        let until = now + LEASE_TTL;
        self.connector.table.save_bulk_change(workspace, &mut next, until, &events).await?;
        *bulk = next;
        Ok(())
    }

    async fn finish_bulk_change(&self, workspace: &Tenant, bulk: &mut StoredBulkChange) -> Result<(), Error> {
        let mut done = bulk.clone();
        done.change.state = BulkState::Done;
        let now = self.host.clock.now();
        let event = self.ended(&done, now);
        self.connector.table.save_bulk_change(workspace, &mut done, now, &[event]).await?;
        *bulk = done;
        Ok(())
    }

    fn ended(&self, bulk: &StoredBulkChange, now: Timestamp) -> EventRecord {
        let target = format!("bulk_change/{}", bulk.change.id);
        let actor = Actor::Person { subject: bulk.requested_by.clone() };
        let event = AuditEvent::new(target.clone(), actor, "bulk_change.ended", target);
        let [changed, rejected] =
            [BulkObjectState::Done, BulkObjectState::Rejected].map(|state| bulk.count(state));
        let after = json!({"objects": bulk.change.objects.len(), "changed": changed, "rejected": rejected});
        event.in_account(&bulk.change.ad_account).with_change(Value::Null, after).done_at(now)
    }

    /// What is below an object delivers or not with its status: the account's entities are read by a job.
    async fn refresh_after(&self, workspace: &Tenant, bulk: &StoredBulkChange) -> Result<(), Error> {
        let has_below = |object: &BulkObject| {
            object.level < Level::Ad && object.state == BulkObjectState::Done && object.after.status.is_some()
        };
        if !bulk.change.objects.iter().any(has_below) {
            return Ok(());
        }
        let ad_account = &bulk.change.ad_account;
        self.read_later(workspace, ad_account, whole_account(ad_account)).await
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
            BulkObjectState::Rejected
            | BulkObjectState::ChangedMeanwhile
            | BulkObjectState::Gone
            | BulkObjectState::Stopped => Phase::Failed,
            BulkObjectState::Unknown => Phase::Unknown,
        },
        // The platform's words may name a person.
        reason: reason.as_ref().map(|_| format!("{state:?}")),
        ..event
    }
}
