//! How far a sync of an account's entities has come that one invocation could not complete.

use domain::entity::Level;
use domain::gap::Gaps;
use domain::id::{AdAccountId, EntityId};
use domain::tenant::Tenant;
use facts::{compress, decompress};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::key;
use crate::table::{StoreError, Table};

/// The age from which a sync begins anew: what was listed first may have changed since, and a platform's cursors do not
/// live for ever.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(6);

/// Ids of an item: less than ten bytes each when compressed, far below DynamoDB's 400 KB.
const MAX_IDS_PER_ITEM: usize = 20_000;

/// A sync that is to be continued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityProgress {
    /// The number of its fetch.
    pub fetch_number: u64,
    /// When it began.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub began_at: Timestamp,
    /// The level that is being read; those above it are complete.
    pub level: Level,
    /// The platform's cursor of the next page of the level; `None` before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Whether the last page of the level was read.
    pub is_listed: bool,
    /// Known entities of the level that were not listed yet.
    #[serde(skip)]
    pub unlisted: Vec<EntityId>,
    /// Campaigns that are switched on.
    pub running: usize,
    /// What could not be read.
    #[serde(default, skip_serializing_if = "Gaps::is_empty")]
    pub gaps: Gaps,
    /// Items that have the unlisted entities.
    #[serde(default)]
    parts: usize,
}

#[derive(Serialize, Deserialize)]
struct IdsItem {
    ids: ByteBuf,
}

impl EntityProgress {
    /// Begins with the first page of the first level.
    pub fn begin(fetch_number: u64, now: Timestamp) -> Self {
        Self {
            fetch_number,
            began_at: now,
            level: Level::Campaign,
            after: None,
            is_listed: false,
            unlisted: Vec::new(),
            running: 0,
            gaps: Gaps::default(),
            parts: 0,
        }
    }

    /// Begins with the first page of another level.
    pub fn begin_level(&mut self, level: Level) {
        (self.level, self.after, self.is_listed) = (level, None, false);
        self.unlisted.clear();
    }

    /// Returns whether a page of the level was read.
    pub fn is_in_level(&self) -> bool {
        self.after.is_some() || self.is_listed
    }

    /// Returns whether anything was read.
    pub fn has_begun(&self) -> bool {
        self.level != Level::Campaign || self.is_in_level()
    }
}

impl Table {
    /// Reads the sync that is to be continued, if there is one.
    pub async fn entity_progress(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        now: Timestamp,
    ) -> Result<Option<EntityProgress>, StoreError> {
        let stored: Option<EntityProgress> = self.get(&key::entity_progress(ws, account)).await?;
        let fresh = stored.filter(|progress| now.duration_since(progress.began_at) < MAX_AGE);
        let Some(mut progress) = fresh else { return Ok(None) };
        for part in 0..progress.parts {
            let key = key::entity_progress_part(ws, account, progress.fetch_number, part);
            // Replaced by another sync meanwhile.
            let Some(IdsItem { ids }) = self.get(&key).await? else { return Ok(None) };
            let ids: Vec<EntityId> = serde_json::from_slice(&decompress(&ids)?).map_err(|error| {
                StoreError::Internal(format!("the progress of a sync is unreadable: {error}"))
            })?;
            progress.unlisted.extend(ids);
        }
        Ok(Some(progress))
    }

    /// Stores a sync that is to be continued, instead of any other.
    pub async fn store_entity_progress(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        progress: &EntityProgress,
    ) -> Result<(), StoreError> {
        let expires = (progress.began_at + MAX_AGE * 2).as_second();
        let parts = progress.unlisted.chunks(MAX_IDS_PER_ITEM);
        let progress = EntityProgress { parts: parts.len(), ..progress.clone() };
        for (part, ids) in parts.enumerate() {
            let json = serde_json::to_vec(ids).map_err(|error| StoreError::Internal(error.to_string()))?;
            let item = IdsItem { ids: ByteBuf::from(compress(&json)?) };
            let key = key::entity_progress_part(ws, account, progress.fetch_number, part);
            self.put_with_ttl(&key, &item, expires, None).await?;
        }
        self.put_with_ttl(&key::entity_progress(ws, account), &progress, expires, None).await
    }

    /// Ends a sync: the next one begins anew.
    pub async fn delete_entity_progress(&self, ws: &Tenant, account: &AdAccountId) -> Result<(), StoreError> {
        self.delete_keys(vec![key::entity_progress(ws, account)]).await
    }
}
