//! Entities of an account that the platform has reported as changed, until they have been read again.
//!
//! Changes only add to the list; one job at a time reads what is on it. So a burst of changes of the same entities, in
//! however many deliveries, causes few reads. An entity is off the list only when it has been read after its change: while
//! it is read it is listed as in progress, and a job that is repeated begins with those.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::entity::Level;
use domain::id::{AdAccountId, EntityId};
use domain::tenant::Tenant;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::key;
use crate::table::{StoreError, Table, number};

/// A campaign, ad set or ad that has changed.
pub type ChangedEntity = (Level, EntityId);

/// Entities on a list, at most: beyond, the whole account is synced.
const MAX_LISTED: usize = 2_000;

/// Time for which a job is trusted to come. Only a job that was lost between two writes takes longer.
const JOB_TTL: SignedDuration = SignedDuration::from_mins(2);

/// What is to be done after entities were added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// Send the job.
    JobNeeded,
    /// A job is on its way.
    JobExpected,
    /// The list is full: sync the account.
    Full,
}

#[derive(Debug, Default, Deserialize)]
struct ChangedEntities {
    #[serde(default)]
    pending: Vec<String>,
    #[serde(default)]
    in_progress: Vec<String>,
}

impl Table {
    /// Adds entities to the list. With [`Added::JobNeeded`] the caller sends the job; if it dies before, a later call is
    /// asked to.
    pub async fn add_changed_entities(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        entities: &[ChangedEntity],
        now: Timestamp,
    ) -> Result<Added, StoreError> {
        let key = key::changed_entities(ws, account);
        let has_room = "(attribute_not_exists(pending) OR size(pending) < :max)";
        let max = i64::try_from(MAX_LISTED).unwrap_or(i64::MAX);
        let values = || vec![(":some", set(entities)), (":max", number(max))];
        let no_job = format!("(attribute_not_exists(job_until) OR job_until < :now) AND {has_room}");
        let mut with_job = values();
        with_job.push((":now", number(now.as_second())));
        with_job.push((":until", number((now + JOB_TTL).as_second())));
        let add = "ADD pending :some SET job_until = :until";
        match self.update::<ChangedEntities>(&key, add, Some(&no_job), with_job).await {
            Ok(_) => return Ok(Added::JobNeeded),
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error),
        }
        match self.update::<ChangedEntities>(&key, "ADD pending :some", Some(has_room), values()).await {
            Ok(_) => Ok(Added::JobExpected),
            Err(StoreError::Conflict) => Ok(Added::Full),
            Err(error) => Err(error),
        }
    }

    /// Returns what is on the list, and marks it as in progress.
    pub async fn take_changed_entities(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
    ) -> Result<Vec<ChangedEntity>, StoreError> {
        let key = key::changed_entities(ws, account);
        let Some(mut listed) = self.get::<ChangedEntities>(&key).await? else { return Ok(Vec::new()) };
        if !listed.pending.is_empty() {
            let values = vec![(":some", AttributeValue::Ss(listed.pending.clone()))];
            let take = "DELETE pending :some ADD in_progress :some";
            self.update::<ChangedEntities>(&key, take, Some("attribute_exists(pk)"), values).await?;
        }
        let mut all: Vec<_> = listed.in_progress.drain(..).chain(listed.pending).filter_map(parse).collect();
        all.sort();
        all.dedup();
        Ok(all)
    }

    /// Takes entities off the list that have been read. Returns whether others have been added meanwhile, for which the
    /// caller sends the job once more.
    pub async fn complete_changed_entities(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        read: &[ChangedEntity],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let key = key::changed_entities(ws, account);
        let done = if read.is_empty() { "" } else { "DELETE in_progress :some " };
        let some = || Some((":some", set(read))).filter(|_| !read.is_empty()).into_iter();
        let is_empty = "attribute_exists(pk) AND (attribute_not_exists(pending) OR size(pending) = :none)";
        let mut values: Vec<_> = some().collect();
        values.push((":none", number(0)));
        let end = format!("{done}REMOVE job_until");
        match self.update::<ChangedEntities>(&key, &end, Some(is_empty), values).await {
            Ok(_) => return Ok(false),
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error),
        }
        let mut values: Vec<_> = some().collect();
        values.push((":until", number((now + JOB_TTL).as_second())));
        let go_on = format!("{done}SET job_until = :until");
        match self.update::<ChangedEntities>(&key, &go_on, Some("attribute_exists(pk)"), values).await {
            Ok(_) => Ok(true),
            // Nothing was listed, or the account was deleted meanwhile.
            Err(StoreError::Conflict) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn set(entities: &[ChangedEntity]) -> AttributeValue {
    AttributeValue::Ss(entities.iter().map(|(level, id)| format!("{level}#{id}")).collect())
}

fn parse(text: String) -> Option<ChangedEntity> {
    let (level, id) = text.split_once('#')?;
    Some((level.parse().ok()?, id.parse().ok()?))
}
