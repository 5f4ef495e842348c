//! Entities of an account that the platform has reported as changed, until they have been read again.
//!
//! Changes only add to the list, and one job at a time reads what is on it, with a rest between two reads. So a burst of
//! changes of the same entities, in however many deliveries, causes few reads. While entities are read they are listed as
//! in progress: a job that is repeated begins with those.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::entity::Level;
use domain::id::{AdAccountId, EntityId};
use domain::tenant::Tenant;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::key;
use crate::table::{StoreError, Table, number};

/// A campaign, ad set or ad that has changed; with [`Level::Account`] the whole account.
pub type ChangedEntity = (Level, EntityId);

/// Entities that wait on a list, at most; beyond, the whole account has changed. Every change pays for the size of the
/// list: this many are some 50 KB.
const MAX_PENDING: i64 = 2_000;

/// Time for which a job is trusted to come. Only a job that was lost between two writes, or that waits for quota, takes
/// longer; a second one does no harm.
const JOB_TTL: SignedDuration = SignedDuration::from_mins(2);

/// Rest between two reads.
const REST: SignedDuration = SignedDuration::from_secs(2);

/// Moments are Unix milliseconds.
#[derive(Debug, Default, Deserialize)]
struct ChangedEntities {
    #[serde(default)]
    pending: Vec<String>,
    #[serde(default)]
    in_progress: Vec<String>,
    #[serde(default)]
    rest_until: i64,
}

/// Returns the whole account as something that has changed.
pub fn whole_account(account: &AdAccountId) -> ChangedEntity {
    (Level::Account, account.into())
}

impl Table {
    /// Adds an entity to the list. `Some` when a job is needed, which the caller sends with this delay; if it dies before,
    /// a later change is asked to.
    pub async fn add_changed_entity(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        changed: &ChangedEntity,
        now: Timestamp,
    ) -> Result<Option<Duration>, StoreError> {
        let has_room = "attribute_not_exists(pending) OR size(pending) < :max";
        let room = vec![(":max", number(MAX_PENDING))];
        match self.add_if(ws, account, changed, has_room, room, now).await {
            Err(StoreError::Conflict) => {
                let whole = whole_account(account);
                self.add_if(ws, account, &whole, "attribute_exists(pk)", Vec::new(), now).await
            }
            added => added,
        }
    }

    async fn add_if(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        changed: &ChangedEntity,
        condition: &str,
        mut values: Vec<(&str, AttributeValue)>,
        now: Timestamp,
    ) -> Result<Option<Duration>, StoreError> {
        let key = key::changed_entities(ws, account);
        values.push((":one", set(std::slice::from_ref(changed))));
        let mut with_job = values.clone();
        with_job.push((":now", number(now.as_millisecond())));
        with_job.push((":until", number((now + JOB_TTL).as_millisecond())));
        let no_job = format!("(attribute_not_exists(job_until) OR job_until < :now) AND ({condition})");
        let add = "ADD pending :one SET job_until = :until";
        match self.update::<ChangedEntities>(&key, add, Some(&no_job), with_job).await {
            Ok(listed) => {
                let rest = listed.rest_until - now.as_millisecond();
                let rest = SignedDuration::from_millis(rest.clamp(0, REST.as_millis() as i64));
                return Ok(Some(rest.unsigned_abs()));
            }
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error),
        }
        self.update::<ChangedEntities>(&key, "ADD pending :one", Some(condition), values).await?;
        Ok(None)
    }

    /// Returns what is to be read: what an interrupted job had taken, or else what is on the list, and marks it as in
    /// progress.
    pub async fn take_changed_entities(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
    ) -> Result<Vec<ChangedEntity>, StoreError> {
        let key = key::changed_entities(ws, account);
        let ChangedEntities { pending, mut in_progress, .. } = self.get(&key).await?.unwrap_or_default();
        if in_progress.is_empty() && !pending.is_empty() {
            let values = vec![(":some", AttributeValue::Ss(pending.clone()))];
            let take = "DELETE pending :some ADD in_progress :some";
            self.update::<ChangedEntities>(&key, take, Some("attribute_exists(pk)"), values).await?;
            in_progress = pending;
        }
        Ok(in_progress.into_iter().filter_map(parse).collect())
    }

    /// Takes entities off the list that have been read. `Some` when others wait, for which the caller sends the job once
    /// more, with this delay.
    pub async fn complete_changed_entities(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        read: &[ChangedEntity],
        now: Timestamp,
    ) -> Result<Option<Duration>, StoreError> {
        let key = key::changed_entities(ws, account);
        let moment = |after: SignedDuration| number((now + after).as_millisecond());
        let nothing_waits =
            "attribute_exists(pk) AND (attribute_not_exists(pending) OR size(pending) = :none)";
        let end = ("SET rest_until = :at REMOVE job_until", nothing_waits, moment(REST));
        let go_on = ("SET job_until = :at", "attribute_exists(pk)", moment(JOB_TTL));
        for ((set_until, condition, at), job) in [(end, None), (go_on, Some(REST.unsigned_abs()))] {
            let mut values = vec![(":at", at)];
            if condition == nothing_waits {
                values.push((":none", number(0)));
            }
            let mut expression = set_until.to_owned();
            if !read.is_empty() {
                expression.push_str(" DELETE in_progress :some");
                values.push((":some", set(read)));
            }
            match self.update::<ChangedEntities>(&key, &expression, Some(condition), values).await {
                Ok(_) => return Ok(job),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        // Nothing was ever listed, or the account was deleted meanwhile.
        Ok(None)
    }
}

fn set(entities: &[ChangedEntity]) -> AttributeValue {
    AttributeValue::Ss(entities.iter().map(|(level, id)| format!("{level}#{id}")).collect())
}

fn parse(text: String) -> Option<ChangedEntity> {
    let (level, id) = text.split_once('#')?;
    Some((level.parse().ok()?, id.parse().ok()?))
}
