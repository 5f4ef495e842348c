//! The audit log of a workspace: who did what to which target.
//!
//! A change outside of the table is recorded twice: its intent before the effect, and its outcome after it. A crash
//! leaves an intent without an outcome, which may have happened, and never an effect without a record. An entry is
//! added once, however often its event is repeated.
//!
//! Entries are appended without contention: each has a key of its own that sorts by time. They are sealed in batches
//! afterwards ([`digest`]): a digest contains the hash of each entry and of the previous digest. An entry costs one
//! transaction of two small items, four write units.

pub mod digest;
mod pending;

use aws_sdk_dynamodb::types::TransactWriteItem;
use domain::Error;
use domain::canonical;
use domain::id::AdAccountId;
use domain::tenant::{Tenant, trusted};
use jiff::{SignedDuration, Timestamp};
use serde::de::value::StrDeserializer;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

pub use self::pending::{PendingEvent, connection_target};
use crate::key;
use crate::table::{ITEM_NOT_EXISTS, StoreError, Table};

/// How long a repeated event is recognized: longer than any message is retained.
const EVENT_MARKER_TTL: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Actor {
    /// A person, by the subject of their session, which is a pseudonym.
    Person {
        /// The subject of their session.
        subject: String,
    },
    /// A rule.
    Rule {
        /// The rule's id.
        rule: String,
    },
    /// A scheduled activation, or a recurring job of the deployment.
    Schedule {
        /// The timer or job.
        timer: String,
    },
    /// The ad platform, by a webhook, a callback, or a response that ends a consent.
    Platform,
    /// The operator of the deployment, and the deployment itself.
    Operator,
}

/// Progress of an event when its entry was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It is about to happen.
    Intended,
    /// It has happened.
    Done,
    /// It has not happened, and will not.
    Failed,
    /// Nobody knows whether it happened.
    Unknown,
}

/// An audit event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct AuditEvent {
    /// Derived from the change, so that a retry has the same id.
    pub event_id: String,
    /// Progress.
    pub phase: Phase,
    /// Who did it.
    pub actor: Actor,
    /// The action, such as `campaign.changed`.
    pub action: String,
    /// The target, such as `campaign/120210000000000001`.
    pub target: String,
    /// The ad account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ad_account: Option<String>,
    /// Values before the change, as far as they changed.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub before: Value,
    /// Values after the change, as far as they changed.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub after: Value,
    /// Id of the platform's request, or of what it created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl AuditEvent {
    /// Creates an intended event without further details.
    pub fn new(event_id: String, actor: Actor, action: &str, target: String) -> Self {
        Self {
            event_id,
            phase: Phase::Intended,
            actor,
            action: action.to_owned(),
            target,
            ad_account: None,
            before: Value::Null,
            after: Value::Null,
            meta: None,
            reason: None,
        }
    }

    /// Creates an event of an account's sync, which the deployment does by itself.
    pub fn sync(event_id: String, action: &str, account: &AdAccountId) -> Self {
        Self::new(event_id, Actor::Operator, action, format!("ad_account/{account}")).in_account(account)
    }

    /// Sets the ad account.
    #[must_use]
    pub fn in_account(self, account: &AdAccountId) -> Self {
        Self { ad_account: Some(account.to_string()), ..self }
    }

    /// Sets the values before and after the change.
    #[must_use]
    pub fn with_change(self, before: Value, after: Value) -> Self {
        Self { before, after, ..self }
    }
}

/// An event that is recorded in the transaction of its change, so that both happen or neither does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    pub(crate) event: AuditEvent,
    pub(crate) at: Timestamp,
}

impl AuditEvent {
    /// Returns the event as it is, for the transaction of its change.
    pub fn at(self, at: Timestamp) -> EventRecord {
        EventRecord { event: self, at }
    }

    /// Completes the event at this time, for the transaction of its change.
    pub fn done_at(self, at: Timestamp) -> EventRecord {
        Self { phase: Phase::Done, ..self }.at(at)
    }

    /// Returns the event with its outcome. `meta` is the id of the platform's request.
    #[must_use]
    pub fn ended<T>(self, result: &Result<T, Error>, meta: Option<String>) -> Self {
        let (phase, reason) = match result {
            Ok(_) => (Phase::Done, None),
            Err(error @ (Error::Indeterminate(_) | Error::Unavailable(_))) => {
                (Phase::Unknown, Some(error.audit_detail()))
            }
            Err(error) => (Phase::Failed, Some(error.audit_detail())),
        };
        Self { phase, reason, meta, ..self }
    }
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct AuditEntry {
    /// Its id. Ids sort by time.
    pub id: String,
    /// The workspace.
    pub workspace: String,
    /// When it was recorded.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub event: AuditEvent,
}

/// An entry as it is stored: the exact text that is hashed, independent of any JSON serializer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredEntry {
    /// Canonical JSON of an [`AuditEntry`].
    pub body: String,
    /// Sort key.
    #[serde(skip_serializing)]
    pub sk: String,
}

impl StoredEntry {
    /// Parses the entry.
    pub fn entry(&self) -> Result<AuditEntry, StoreError> {
        let unreadable = || format!("{} of an audit log cannot be read", self.sk);
        serde_json::from_str(&self.body).map_err(|_| StoreError::Internal(unreadable()))
    }

    /// Returns the hash that a digest contains: SHA-256 of the body in hex.
    pub fn hash(&self) -> String {
        sha256(&self.body)
    }
}

/// An added entry, identified by the keys in the table's stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryKey {
    /// Workspace.
    pub workspace: Tenant,
    /// Id of the entry.
    pub id: String,
}

impl EntryKey {
    /// Returns the entry of these keys; none for keys of another item. Only for keys from our own table's stream.
    pub fn from_keys(pk: &str, sk: &str) -> Option<Self> {
        let id = sk.strip_prefix("ENTRY#")?.to_owned();
        let workspace = pk.strip_prefix("WS#")?.strip_suffix("#AUDIT")?;
        let workspace = StrDeserializer::<serde::de::value::Error>::new(workspace);
        Some(Self { workspace: trusted::deserialize(workspace).ok()?, id })
    }
}

pub(crate) fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// Returns the id of an entry: sixteen hex digits of microseconds, a digit that sorts an outcome after its intent, and
/// a suffix that distinguishes entries of the same instant.
fn entry_id(event: &AuditEvent, at: Timestamp) -> String {
    let order = u8::from(event.phase != Phase::Intended);
    let digest = sha256(&marker_id(event));
    format!("{:016x}-{order}-{}", at.as_microsecond(), digest.get(..12).unwrap_or(&digest))
}

/// Returns the lowest id of an entry at this time.
pub(crate) fn first_id(at: Timestamp) -> String {
    format!("{:016x}", at.as_microsecond())
}

pub(crate) fn new_entry(
    workspace: &str,
    event: &AuditEvent,
    at: Timestamp,
) -> Result<StoredEntry, StoreError> {
    let id = entry_id(event, at);
    let sk = key::audit_entry_sort_key(&id);
    let entry = AuditEntry { id, workspace: workspace.to_owned(), at, event: event.clone() };
    let value = serde_json::to_value(&entry).map_err(|error| StoreError::Internal(error.to_string()))?;
    Ok(StoredEntry { body: canonical::json(&value), sk })
}

/// Exists while a repetition of an event is recognized.
#[derive(Serialize, Deserialize)]
struct EventMarker {
    /// Time to live, in Unix seconds.
    expires: i64,
}

impl Table {
    /// Records an event that has no transaction of its own. An event that is recorded already stays as it is.
    pub async fn record_event(&self, ws: &Tenant, recorded: &EventRecord) -> Result<(), StoreError> {
        match self.transact_recorded(ws, Vec::new(), [recorded]).await {
            Err(StoreError::Conflict) => {}
            done => return done,
        }
        let marker = key::audit_event_marker(ws, &marker_id(&recorded.event));
        match self.get::<EventMarker>(&marker).await? {
            Some(_) => Ok(()),
            None => Err(StoreError::Unavailable("two audit entries have the same id".to_owned())),
        }
    }

    /// Returns the actions that record an event in the transaction of its change: the entry and its marker.
    pub(crate) fn audit_actions(
        &self,
        ws: &Tenant,
        event: &AuditEvent,
        now: Timestamp,
    ) -> Result<[TransactWriteItem; 2], StoreError> {
        let stored = new_entry(ws.as_str(), event, now)?;
        let entry = key::Key { pk: key::audit_partition(ws), sk: stored.sk.clone() };
        let marker = EventMarker { expires: (now + EVENT_MARKER_TTL).as_second() };
        Ok([
            self.put_action_if(&entry, &stored, ITEM_NOT_EXISTS)?,
            self.put_action_if(&key::audit_event_marker(ws, &marker_id(event)), &marker, ITEM_NOT_EXISTS)?,
        ])
    }

    /// Executes these actions and records their events in one transaction. [`StoreError::Conflict`] also when an event
    /// is recorded already.
    pub(crate) async fn transact_recorded<'a>(
        &self,
        ws: &Tenant,
        mut actions: Vec<TransactWriteItem>,
        events: impl IntoIterator<Item = &'a EventRecord>,
    ) -> Result<(), StoreError> {
        for EventRecord { event, at } in events {
            actions.extend(self.audit_actions(ws, event, *at)?);
        }
        self.transact(actions).await
    }

    /// Returns an entry.
    pub async fn audit_entry(
        &self,
        EntryKey { workspace, id }: &EntryKey,
    ) -> Result<Option<StoredEntry>, StoreError> {
        let place = key::Key { pk: key::audit_partition(workspace), sk: key::audit_entry_sort_key(id) };
        self.get(&place).await
    }

    /// Returns a page of a workspace's log, newest first: entries before this id, from `since` on.
    pub async fn audit_entries(
        &self,
        ws: &Tenant,
        since: Option<Timestamp>,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let before = before.map(key::audit_entry_sort_key);
        let stored: Vec<StoredEntry> =
            self.query_desc(&key::audit_partition(ws), "ENTRY#", before.as_deref(), limit).await?;
        let first = since.map(|since| key::audit_entry_sort_key(&first_id(since)));
        Ok(stored.into_iter().filter(|entry| first.as_ref().is_none_or(|first| entry.sk >= *first)).collect())
    }
}

/// Returns the id that sorts after every entry before this moment, for a page that ends there.
pub fn position_before(moment: Timestamp) -> String {
    first_id(moment)
}

/// Checks whether a text has the form of an entry id or of its beginning.
pub fn is_entry_id_prefix(text: &str) -> bool {
    let hex = |part: &str, digits| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    match text.split('-').collect::<Vec<_>>()[..] {
        [at] => hex(at, 16),
        [at, "0" | "1", digest] => hex(at, 16) && hex(digest, 12),
        _ => false,
    }
}

/// Returns the marker id of an event, which is recorded once as an intent and once as an outcome.
fn marker_id(event: &AuditEvent) -> String {
    let phase = match event.phase {
        Phase::Intended => "intended",
        Phase::Done | Phase::Failed | Phase::Unknown => "ended",
    };
    format!("{}#{phase}", event.event_id)
}
