//! The audit log of a workspace: who did what to which target, as a chain in which every entry names the hash of the
//! one before.
//!
//! What an event changes outside of the table is said twice: an intent before it, and how it ended after it. So a crash
//! leaves an intent without an end, which says that it may have happened, and never an event without a trace. An entry
//! has an id that follows from its event, and is added once however often the event is repeated.
//!
//! An entry costs one read of the head and one transaction of three small items, six write units or four millionths
//! of a dollar. The head makes writers of one workspace take turns, each some ten milliseconds: about fifty entries
//! a second and workspace, where Meta takes fewer writes than that of all its ad accounts together. Entries that
//! belong together share a transaction.
//!
//! What the chain cannot show: that somebody who may write everything has written all of it anew from some entry on
//! to the head. For that the hashes are in the functions' logs as well, where nobody but CloudWatch writes.

use aws_sdk_dynamodb::types::TransactWriteItem;
mod pending;

use domain::canonical;
use domain::id::AdAccountId;
use domain::tenant::Tenant;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

pub use self::pending::{MAX_EVENTS_PER_TRANSACTION, PendingEvent, connection_target};
use crate::key;
use crate::table::{ConditionExpression, ITEM_NOT_EXISTS, StoreError, Table, text};

/// As often as that others may be faster; each time at least one of them has got through.
const MAX_APPEND_ATTEMPTS: u32 = 50;

/// So long a repetition of an event is known as one: longer than any message waits.
const EVENT_MARKER_TTL: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What stands where the first entry names the hash before it.
pub const GENESIS_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Actor {
    /// A person, by the issuer's name for them, which is a pseudonym.
    Person {
        /// The subject of their session.
        subject: String,
    },
    /// A rule.
    Rule {
        /// Which.
        rule: String,
    },
    /// A time that a person has set, or a look that the deployment takes day by day.
    Schedule {
        /// Which timer, or which look.
        timer: String,
    },
    /// Meta, by a webhook, a callback, or an answer that ends a consent.
    Webhook,
    /// Whoever runs the deployment, and what it does by itself.
    Operator,
}

/// How far an event was when its entry was made.
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

/// What is said of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct AuditEvent {
    /// Follows from the event: the same event has the same id, whoever repeats it.
    pub event_id: String,
    /// How far it is.
    pub phase: Phase,
    /// Who did it.
    pub actor: Actor,
    /// What was done, such as `campaign.changed`.
    pub action: String,
    /// To which target, such as `campaign/120210000000000001`.
    pub target: String,
    /// In which ad account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ad_account: Option<String>,
    /// What was before, as far as it was changed.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub before: Value,
    /// What is after it, as far as it was changed.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub after: Value,
    /// What Meta calls what it did or made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl AuditEvent {
    /// An event of which nothing is known but who means to do what to which object.
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

    /// Says which ad account it concerns.
    #[must_use]
    pub fn in_account(self, account: &AdAccountId) -> Self {
        Self { ad_account: Some(account.to_string()), ..self }
    }

    /// Says what it changes, and into what.
    #[must_use]
    pub fn with_change(self, before: Value, after: Value) -> Self {
        Self { before, after, ..self }
    }
}

/// A link of the chain: what its hash is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct AuditEntry {
    /// Its place, from 1 on.
    pub seq: u64,
    /// The hash of the entry before it.
    pub prev_hash: String,
    /// Whose.
    pub workspace: String,
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub event: AuditEvent,
}

/// An entry as it is stored: the very text that was hashed, so that no reader's idea of JSON comes between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredEntry {
    /// Canonical JSON of an [`AuditEntry`].
    pub body: String,
    /// SHA-256 of it in hex.
    pub hash: String,
    /// Its place in the partition.
    #[serde(skip_serializing)]
    pub sk: String,
}

impl StoredEntry {
    /// What it says.
    pub fn entry(&self) -> Result<AuditEntry, StoreError> {
        let place = || format!("{} of an audit log cannot be read", self.sk);
        serde_json::from_str(&self.body).map_err(|_| StoreError::Internal(place()))
    }
}

/// The end of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainHead {
    /// Of the last entry.
    pub seq: u64,
    /// Of the last entry.
    pub hash: String,
    /// Of the last entry. No entry is earlier than the one before it, whatever the clocks of two processes say.
    pub at: Timestamp,
}

impl ChainHead {
    /// Of a chain without an entry.
    fn empty() -> Self {
        Self { seq: 0, hash: GENESIS_HASH.to_owned(), at: Timestamp::UNIX_EPOCH }
    }
}

/// The first place at which a chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {seq}: {reason}")]
pub struct ChainError {
    /// Which entry was expected there.
    pub seq: u64,
    /// What is wrong.
    pub reason: &'static str,
}

/// Walks a chain, entry by entry in the order of the table.
#[derive(Debug, Clone)]
pub struct ChainVerifier {
    workspace: String,
    last: ChainHead,
    known: ChainHead,
}

impl ChainVerifier {
    /// Begins before the first entry of a chain that is known to have come as far as `known`.
    pub fn new(workspace: &str, known: Option<ChainHead>) -> Self {
        let known = known.unwrap_or_else(ChainHead::empty);
        Self { workspace: workspace.to_owned(), last: ChainHead::empty(), known }
    }

    /// Takes the next entry, if it is the next one.
    pub fn verify_next(&mut self, stored: &StoredEntry) -> Result<AuditEntry, ChainError> {
        let seq = self.last.seq + 1;
        let broken = |reason| ChainError { seq, reason };
        if stored.sk != key::audit_position(seq) {
            return Err(broken("it is missing, or another one stands in its place"));
        }
        let entry: AuditEntry =
            serde_json::from_str(&stored.body).map_err(|_| broken("it cannot be read"))?;
        if stored.hash != hash(&stored.body) {
            return Err(broken("its text does not have its hash"));
        }
        if entry.seq != seq {
            return Err(broken("its text is of another place"));
        }
        if entry.prev_hash != self.last.hash {
            return Err(broken("it does not follow the one before it"));
        }
        if entry.workspace != self.workspace {
            return Err(broken("it is of another workspace"));
        }
        if seq == self.known.seq && stored.hash != self.known.hash {
            return Err(broken("it is not the one that the head of the chain names"));
        }
        if entry.at < self.last.at {
            return Err(broken("it is earlier than the one before it"));
        }
        self.last = ChainHead { seq, hash: stored.hash.clone(), at: entry.at };
        Ok(entry)
    }

    /// Says how many entries there are, if the chain ends here: not before where it was known to come, and not
    /// behind its `head`.
    pub fn finish(self, head: Option<&ChainHead>) -> Result<u64, ChainError> {
        let seq = self.last.seq;
        if seq < self.known.seq {
            return Err(ChainError { seq: seq + 1, reason: "it is missing" });
        }
        let ends = head.map_or(0, |head| head.seq);
        if seq > ends {
            return Err(ChainError { seq: ends + 1, reason: "it stands behind the end of the chain" });
        }
        Ok(seq)
    }
}

/// The link that follows on `head`.
pub fn chain_entry(
    workspace: &str,
    head: &ChainHead,
    event: &AuditEvent,
    at: Timestamp,
) -> Result<(StoredEntry, ChainHead), StoreError> {
    let (seq, at) = (head.seq + 1, at.max(head.at));
    let entry = AuditEntry {
        seq,
        prev_hash: head.hash.clone(),
        workspace: workspace.to_owned(),
        at,
        event: event.clone(),
    };
    let value = serde_json::to_value(&entry).map_err(|error| StoreError::Internal(error.to_string()))?;
    let body = canonical::json(&value);
    let hash = hash(&body);
    let stored = StoredEntry { body, hash: hash.clone(), sk: key::audit_position(seq) };
    Ok((stored, ChainHead { seq, hash, at }))
}

fn hash(body: &str) -> String {
    hex::encode(Sha256::digest(body))
}

#[derive(Serialize, Deserialize)]
struct EventMarker {
    seq: u64,
    /// The table takes it away after this, in unix seconds.
    expires: i64,
}

impl Table {
    /// Adds entries of different events to a workspace's log, together, and answers where it then ends. Those that were
    /// added before are left out. A transaction has room for 49.
    pub async fn append_audit_events(
        &self,
        ws: &Tenant,
        events: &[AuditEvent],
        now: Timestamp,
    ) -> Result<Option<ChainHead>, StoreError> {
        let mut events = events.to_vec();
        for _ in 0..MAX_APPEND_ATTEMPTS {
            let seen: Option<ChainHead> = self.get(&key::audit_head(ws)).await?;
            let mut head = seen.clone().unwrap_or_else(ChainHead::empty);
            let mut actions = Vec::new();
            for event in &events {
                let (stored, next) = chain_entry(ws.as_str(), &head, event, now)?;
                actions.extend(self.audit_actions(ws, event, &stored, next.seq, now)?);
                head = next;
            }
            if events.is_empty() {
                return Ok(None);
            }
            let unchanged = match &seen {
                None => ITEM_NOT_EXISTS,
                Some(seen) => ConditionExpression {
                    expression: "#hash = :seen",
                    values: vec![(":seen", text(&seen.hash))],
                },
            };
            actions.push(self.put_action_if(&key::audit_head(ws), &head, unchanged)?);
            match self.transact(actions).await {
                Ok(()) => return Ok(Some(head)),
                // Somebody was faster, with another entry or with this one.
                Err(StoreError::Conflict) => {}
                Err(StoreError::Unavailable(why)) if why.contains("TransactionConflict") => {}
                Err(error) => return Err(error),
            }
            let mut fresh = Vec::new();
            for event in events {
                if self.get::<EventMarker>(&key::audit_event_marker(ws, &marker_id(&event))).await?.is_none()
                {
                    fresh.push(event);
                }
            }
            events = fresh;
        }
        Err(StoreError::Unavailable("too many processes write into one audit log at this moment".to_owned()))
    }

    fn audit_actions(
        &self,
        ws: &Tenant,
        event: &AuditEvent,
        stored: &StoredEntry,
        seq: u64,
        now: Timestamp,
    ) -> Result<[TransactWriteItem; 2], StoreError> {
        let entry = self.put_action_if(&key::audit_entry(ws, seq), stored, ITEM_NOT_EXISTS)?;
        let known = EventMarker { seq, expires: (now + EVENT_MARKER_TTL).as_second() };
        Ok([
            entry,
            self.put_action_if(&key::audit_event_marker(ws, &marker_id(event)), &known, ITEM_NOT_EXISTS)?,
        ])
    }

    /// A page of a workspace's log, newest first, of entries before this place.
    pub async fn audit_entries(
        &self,
        ws: &Tenant,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let before = before.map(key::audit_position);
        self.query_desc(&key::audit_partition(ws), "ENTRY#", before.as_deref(), limit).await
    }

    /// The place of the last entry before a moment; 0 when there is none. Places are in the order of time.
    pub async fn audit_seq_before(&self, ws: &Tenant, moment: Timestamp) -> Result<u64, StoreError> {
        let (mut low, mut high) = (0, self.audit_head(ws).await?.map_or(0, |head| head.seq));
        while low < high {
            let middle = high - (high - low) / 2;
            let stored: Option<StoredEntry> = self.get(&key::audit_entry(ws, middle)).await?;
            let stored =
                stored.ok_or_else(|| StoreError::Internal(format!("entry {middle} of {ws} is missing")))?;
            if stored.entry()?.at < moment { low = middle } else { high = middle - 1 }
        }
        Ok(low)
    }

    /// Where a workspace's log ends.
    pub async fn audit_head(&self, ws: &Tenant) -> Result<Option<ChainHead>, StoreError> {
        self.get(&key::audit_head(ws)).await
    }

    /// Walks a workspace's log from its beginning. The inner error is the first link that does not hold.
    pub async fn verify_audit_log(&self, ws: &Tenant) -> Result<Result<u64, ChainError>, StoreError> {
        // What is added while we look stands between the two heads.
        let mut verifier = ChainVerifier::new(ws.as_str(), self.audit_head(ws).await?);
        for stored in self.query_prefix::<StoredEntry>(&key::audit_partition(ws), "ENTRY#").await? {
            if let Err(broken) = verifier.verify_next(&stored) {
                return Ok(Err(broken));
            }
        }
        Ok(verifier.finish(self.audit_head(ws).await?.as_ref()))
    }
}

/// The same event may be said at several stages.
fn marker_id(event: &AuditEvent) -> String {
    let phase = match event.phase {
        Phase::Intended => "intended",
        Phase::Done | Phase::Failed | Phase::Unknown => "ended",
    };
    format!("{}#{phase}", event.event_id)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chain(events: &[String]) -> (Vec<StoredEntry>, ChainHead) {
        let (mut entries, mut head) = (Vec::new(), ChainHead::empty());
        for event in events {
            let event =
                AuditEvent::new(event.clone(), Actor::Operator, "story.told", format!("story/{event}"));
            let (stored, next) = chain_entry("demo", &head, &event, Timestamp::UNIX_EPOCH).unwrap();
            entries.push(stored);
            head = next;
        }
        (entries, head)
    }

    fn verify(entries: &[StoredEntry], head: &ChainHead) -> Result<u64, ChainError> {
        let mut verifier = ChainVerifier::new("demo", Some(head.clone()));
        let mut sorted = entries.to_vec();
        sorted.sort_by(|a, b| a.sk.cmp(&b.sk));
        for stored in &sorted {
            verifier.verify_next(stored)?;
        }
        verifier.finish(Some(head))
    }

    fn events() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec("[a-z\"\\\\ é]{0,12}", 2..12)
    }

    proptest! {
        #[test]
        fn a_chain_that_nobody_touched_holds(events in events()) {
            let (entries, head) = chain(&events);
            prop_assert_eq!(verify(&entries, &head), Ok(events.len() as u64));
        }

        #[test]
        fn any_changed_byte_is_found_where_it_is(events in events(), at: prop::sample::Index, byte: prop::sample::Index) {
            let (mut entries, head) = chain(&events);
            let index = at.index(entries.len());
            let position = byte.index(entries[index].body.len());
            let mut body = entries[index].body.clone().into_bytes();
            body[position] = if body[position] == b'x' { b'y' } else { b'x' };
            entries[index].body = String::from_utf8_lossy(&body).into_owned();
            prop_assert_eq!(verify(&entries, &head).unwrap_err().seq, index as u64 + 1);
        }

        /// With a hash that fits, the next one or the head shows it.
        #[test]
        fn an_entry_written_anew_is_found_at_the_first_link_to_it(events in events(), at: prop::sample::Index) {
            let (mut entries, head) = chain(&events);
            let index = at.index(entries.len());
            entries[index].body = entries[index].body.replace("story.told", "story.sold");
            entries[index].hash = hash(&entries[index].body);
            let found = (index as u64 + 2).min(events.len() as u64);
            prop_assert_eq!(verify(&entries, &head).unwrap_err().seq, found);
        }

        #[test]
        fn a_missing_entry_is_found_where_it_was(events in events(), at: prop::sample::Index) {
            let (mut entries, head) = chain(&events);
            let index = at.index(entries.len());
            entries.remove(index);
            prop_assert_eq!(verify(&entries, &head).unwrap_err().seq, index as u64 + 1);
        }

        #[test]
        fn swapped_entries_are_found_at_the_first_of_them(
            events in events(), one: prop::sample::Index, other: prop::sample::Index, moved: bool,
        ) {
            let (mut entries, head) = chain(&events);
            let (one, other) = (one.index(entries.len()), other.index(entries.len()));
            prop_assume!(one != other);
            let (a, b) = (entries[one].clone(), entries[other].clone());
            entries[one] = StoredEntry { sk: a.sk.clone(), ..b.clone() };
            // Swapped, or one put twice.
            if moved {
                entries[other] = StoredEntry { sk: b.sk, ..a };
            }
            let first = if moved { one.min(other) } else { one };
            prop_assert_eq!(verify(&entries, &head).unwrap_err().seq, first as u64 + 1);
        }

        #[test]
        fn an_inserted_entry_is_found_where_it_stands(events in events(), at: prop::sample::Index, forged in "[a-z]{1,9}") {
            let (mut with, head) = chain(&events);
            let index = at.index(with.len() + 1);
            let before = index.checked_sub(1).map_or_else(ChainHead::empty, |before| ChainHead {
                seq: before as u64 + 1,
                hash: with[before].hash.clone(),
                at: Timestamp::UNIX_EPOCH,
            });
            let event = AuditEvent::new(forged, Actor::Operator, "story.forged", "story/x".to_owned());
            let (forged, _) = chain_entry("demo", &before, &event, Timestamp::UNIX_EPOCH).unwrap();
            // What comes after it moves up by one place.
            with.insert(index, forged);
            for (place, stored) in with.iter_mut().enumerate() {
                stored.sk = key::audit_position(place as u64 + 1);
            }
            // It follows on what is before it, so the first link that breaks is the one behind it.
            let found = (index as u64 + 2).min(events.len() as u64 + 1);
            let broken = verify(&with, &head).unwrap_err().seq;
            prop_assert!(broken == found || broken == index as u64 + 1, "{broken} for {index}");
        }
    }

    #[test]
    fn a_chain_of_another_workspace_or_without_its_end_does_not_hold() {
        let events: Vec<_> = ["a", "b", "c"].map(str::to_owned).into();
        let (entries, head) = chain(&events);
        let mut verifier = ChainVerifier::new("other", Some(head.clone()));
        assert_eq!(verifier.verify_next(&entries[0]).unwrap_err().seq, 1);
        assert_eq!(verify(&entries[..2], &head).unwrap_err().seq, 3);
        assert_eq!(verify(&[], &head).unwrap_err().seq, 1);
        let shorter = ChainHead { seq: 2, hash: entries[1].hash.clone(), ..head };
        assert_eq!(verify(&entries, &shorter).unwrap_err().seq, 3, "it stands behind the end");
    }
}
