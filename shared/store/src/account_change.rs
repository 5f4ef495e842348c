//! The change log of an ad account: what people, rules and schedules changed at its campaigns, ad sets and ads. It is
//! what the audit log says of them, once more by ad account and time, for everybody who may read its numbers.

use domain::activity::Activity;
use domain::entity::{Entity, Level};
use domain::id::{AdAccountId, EntityId};
use domain::tenant::Tenant;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::audit::{Actor, AuditEntry, Phase, first_id, sha256};
use crate::key;
use crate::table::{ITEM_NOT_EXISTS, StoreError, Table};

/// How long changes are kept: as long as the days of which there are numbers.
const CHANGE_TTL: SignedDuration = SignedDuration::from_hours(38 * 31 * 24);

/// A change at a campaign, ad set or ad, or a launch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct AccountChange {
    /// Its id. Ids sort by time.
    pub id: String,
    /// When it happened.
    pub at: Timestamp,
    /// Who did it.
    pub actor: Actor,
    /// Who did it at the platform, as it names them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What was done at the platform, in its words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// What was done, such as `campaign.changed`, `adset.budget_set` or `campaign.launched`.
    pub action: String,
    /// Whether it happened: `done`, `failed` or `unknown`.
    pub phase: Phase,
    /// The level of the entity.
    pub level: Level,
    /// The entity; none where a launch has left nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<EntityId>,
    /// The entity's name when the change was logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The campaign of an ad set or ad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign_id: Option<EntityId>,
    /// The ad set of an ad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adset_id: Option<EntityId>,
    /// Values before the change, as far as they changed. Budgets are in minor units of the account's currency.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub before: Value,
    /// Values after it.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub after: Value,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl AccountChange {
    /// Returns the ad account of a change that an audit entry tells, and the change; none for anything else. What is
    /// only intended has an outcome later.
    pub fn of_entry(entry: AuditEntry) -> Option<(AdAccountId, Self)> {
        let AuditEntry { id, at, event, .. } = entry;
        let account = event.ad_account?.parse().ok()?;
        let (kind, target) = event.target.split_once('/')?;
        // A rule that only tells somebody changes nothing.
        if event.phase == Phase::Intended || event.action.ends_with(".noted") {
            return None;
        }
        let of_launch = |field: &str| event.after[field].as_str();
        let (level, entity, name) = match kind {
            // A launch says what it has created, and how its campaign is to be called.
            "launch" => {
                (Level::Campaign, of_launch("campaign").and_then(|id| id.parse().ok()), of_launch("name"))
            }
            kind => (kind.parse().ok()?, target.parse().ok(), None),
        };
        let name = name.map(str::to_owned);
        let change = Self {
            id,
            at,
            actor: event.actor,
            by: None,
            summary: None,
            action: event.action,
            phase: event.phase,
            level,
            entity,
            name,
            campaign_id: None,
            adset_id: None,
            before: event.before,
            after: event.after,
            reason: event.reason,
        };
        Some((account, change))
    }

    /// Returns the change that the platform tells. It has the same id whenever it is told.
    pub fn of_activity(activity: Activity) -> Self {
        let Activity { at, event, verb, level, entity, name, by, summary, before, after } = activity;
        // The words may be in another language the next time.
        let content = sha256(&format!("{event} {entity} {before} {after}"));
        Self {
            id: format!("{}-1-{}", first_id(at), content.get(..12).unwrap_or(&content)),
            at,
            actor: Actor::Platform,
            by,
            summary,
            action: format!("{level}.{verb}"),
            phase: Phase::Done,
            level,
            entity: Some(entity),
            name,
            campaign_id: None,
            adset_id: None,
            before,
            after,
            reason: None,
        }
    }

    /// Adds what the entity is called and what it belongs to.
    #[must_use]
    pub fn about(self, entity: Entity) -> Self {
        let Entity { name, campaign_id, adset_id, .. } = entity;
        Self { name: self.name.or(name), campaign_id, adset_id, ..self }
    }

    /// Returns whether it is about this entity, or about one below it.
    pub fn concerns(&self, id: &EntityId) -> bool {
        [&self.entity, &self.adset_id, &self.campaign_id].into_iter().any(|one| one.as_ref() == Some(id))
    }
}

/// How far the platform's log of an ad account was read.
#[derive(Serialize, Deserialize)]
struct ActivityProgress {
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    read_until: Timestamp,
}

impl Table {
    /// Returns until when the platform's log was read.
    pub async fn activities_read_until(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
    ) -> Result<Option<Timestamp>, StoreError> {
        let progress: Option<ActivityProgress> = self.get(&key::activity_progress(ws, account)).await?;
        Ok(progress.map(|progress| progress.read_until))
    }

    /// Stores until when it was read, once what was read is stored.
    pub async fn store_activities_read_until(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        read_until: Timestamp,
    ) -> Result<(), StoreError> {
        self.put(&key::activity_progress(ws, account), &ActivityProgress { read_until }, None).await
    }

    /// Adds a change to the log of its ad account. Adding it again changes nothing.
    pub async fn add_account_change(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        change: &AccountChange,
    ) -> Result<(), StoreError> {
        let expires = (change.at + CHANGE_TTL).as_second();
        let place = key::account_change(ws, account, &change.id);
        match self.put_with_ttl(&place, change, expires, Some(ITEM_NOT_EXISTS)).await {
            Err(StoreError::Conflict) => Ok(()),
            done => done,
        }
    }

    /// Takes the names of people at the platform out of the log of an ad account.
    pub(crate) async fn forget_people_in_changes(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
    ) -> Result<(), StoreError> {
        let pk = key::account_partition(ws, account);
        let changes: Vec<AccountChange> = self.query_prefix(&pk, key::ACCOUNT_CHANGE_PREFIX).await?;
        for change in changes.into_iter().filter(|change| change.by.is_some()) {
            let place = key::account_change(ws, account, &change.id);
            match self
                .update::<AccountChange>(&place, "REMOVE #by", Some("attribute_exists(pk)"), Vec::new())
                .await
            {
                // It expired meanwhile.
                Err(StoreError::Conflict) => {}
                done => drop(done?),
            }
        }
        Ok(())
    }

    /// Returns a page of the changes of an ad account from one moment to another, newest first; those before this id.
    pub async fn account_changes(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        (from, to): (Timestamp, Timestamp),
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<AccountChange>, StoreError> {
        let end = first_id(to);
        let before = before.filter(|before| **before < *end).unwrap_or(&end);
        let place = key::account_change(ws, account, before);
        let mut changes: Vec<AccountChange> =
            self.query_desc(&place.pk, key::ACCOUNT_CHANGE_PREFIX, Some(&place.sk), limit).await?;
        changes.retain(|change| change.id >= first_id(from));
        Ok(changes)
    }
}
