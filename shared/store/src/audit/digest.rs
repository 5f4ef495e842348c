//! Digests that seal the entries of an audit log in batches, like CloudTrail's digest files.
//!
//! A digest contains the id and hash of each of its entries, and the hash of the previous digest. Digests of one
//! workspace are written one after another by concurrent callers, of which one succeeds; appending an entry does not
//! wait for them. Verification detects any sealed entry or digest that was changed, removed, swapped or inserted, and
//! entries that were not sealed within [`MAX_UNSEALED_AGE`].
//!
//! Digests do not detect that somebody with full write access has rewritten everything from some digest to the head.
//! For that the functions log each digest's hash to CloudWatch, where nobody else can write.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use domain::tenant::Tenant;
use domain::{FieldError, canonical};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::audit::{AuditEntry, StoredEntry, first_id, sha256};
use crate::key;
use crate::table::{ConditionExpression, ITEM_NOT_EXISTS, StoreError, Table, text};

/// Maximum time until an entry is sealed.
pub const MAX_UNSEALED_AGE: SignedDuration = SignedDuration::from_mins(10);

/// Maximum delay between an entry's id and its visibility: its process may have been frozen, and AWS rejects a request
/// whose signature is older than fifteen minutes.
const APPEND_DELAY: SignedDuration = SignedDuration::from_mins(30);

/// Maximum entries per digest: an item of the table holds 400 KB, and an entry's id and hash take about 130 bytes.
const MAX_ENTRIES_PER_DIGEST: usize = 1000;

/// Maximum digests written by one call; the next call continues.
const MAX_DIGESTS_PER_CALL: u64 = 20;

/// Previous hash of the first digest.
pub const GENESIS_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A digest: the content that its hash covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditDigest {
    /// Sequence number, from 1 on.
    pub seq: u64,
    /// Hash of the previous digest.
    pub prev_hash: String,
    /// Workspace.
    pub workspace: String,
    /// Entries with ids up to this time are sealed, except those that became visible late.
    pub sealed_until: Timestamp,
    /// Hashes of the sealed entries, by id.
    pub entries: BTreeMap<String, String>,
}

/// A digest as it is stored: the exact text that is hashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredDigest {
    /// Canonical JSON of an [`AuditDigest`].
    pub body: String,
    /// Sort key.
    #[serde(skip_serializing)]
    pub sk: String,
}

/// The last digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestHead {
    /// Sequence number.
    pub seq: u64,
    /// Hash.
    pub hash: String,
    /// As in the digest.
    pub sealed_until: Timestamp,
}

impl StoredDigest {
    fn of(digest: &AuditDigest) -> Result<Self, StoreError> {
        let value = serde_json::to_value(digest).map_err(|error| StoreError::Internal(error.to_string()))?;
        Ok(Self { body: canonical::json(&value), sk: key::audit_digest_sort_key(digest.seq) })
    }

    fn digest(&self) -> Result<AuditDigest, StoreError> {
        let unreadable = || format!("{} of an audit log cannot be read", self.sk);
        serde_json::from_str(&self.body).map_err(|_| StoreError::Internal(unreadable()))
    }

    /// Returns the hash: SHA-256 of the body in hex.
    pub fn hash(&self) -> String {
        sha256(&self.body)
    }

    fn head(&self, sealed_until: Timestamp, seq: u64) -> DigestHead {
        DigestHead { seq, hash: self.hash(), sealed_until }
    }
}

impl Table {
    /// Seals the entries that no digest contains yet and returns the last digest. Of two concurrent calls one
    /// seals an entry.
    pub async fn seal_audit_log(
        &self,
        ws: &Tenant,
        now: Timestamp,
    ) -> Result<Option<DigestHead>, StoreError> {
        let mut head = self.audit_head(ws).await?;
        for _ in 0..MAX_DIGESTS_PER_CALL {
            let since = head.as_ref().map_or(Timestamp::UNIX_EPOCH, |head| head.sealed_until - APPEND_DELAY);
            let sealed = self.sealed_since(ws, head.as_ref(), since).await?;
            let fresh = self.unsealed_entries(ws, since, &sealed).await?;
            if fresh.is_empty() {
                return Ok(head);
            }
            let is_full = fresh.len() == MAX_ENTRIES_PER_DIGEST;
            let last_at = fresh.last().map(StoredEntry::entry).transpose()?.map(|entry| entry.at);
            let mut entries = BTreeMap::new();
            for stored in &fresh {
                entries.insert(id_of(stored)?.to_owned(), stored.hash());
            }
            // Never earlier than before: a process that was frozen has an old time, and whoever looks back from a head for
            // what is sealed would end at its digest.
            let sealed_until = last_at.filter(|_| is_full).unwrap_or(now);
            let sealed_until = head.as_ref().map_or(sealed_until, |head| head.sealed_until.max(sealed_until));
            let digest = AuditDigest {
                seq: head.as_ref().map_or(0, |head| head.seq) + 1,
                prev_hash: head.as_ref().map_or_else(|| GENESIS_HASH.to_owned(), |head| head.hash.clone()),
                workspace: ws.to_string(),
                sealed_until,
                entries,
            };
            match self.append_digest(ws, head.as_ref(), &digest).await {
                Ok(next) => head = Some(next),
                // A concurrent call was faster, and may not have seen the newest entries.
                Err(StoreError::Conflict) => head = self.audit_head(ws).await?,
                Err(error) => return Err(error),
            }
        }
        Ok(head)
    }

    async fn append_digest(
        &self,
        ws: &Tenant,
        seen: Option<&DigestHead>,
        digest: &AuditDigest,
    ) -> Result<DigestHead, StoreError> {
        let stored = StoredDigest::of(digest)?;
        let head = stored.head(digest.sealed_until, digest.seq);
        let unchanged = match seen {
            None => ITEM_NOT_EXISTS,
            Some(seen) => {
                ConditionExpression { expression: "#hash = :seen", values: vec![(":seen", text(&seen.hash))] }
            }
        };
        let place = key::Key { pk: key::audit_partition(ws), sk: stored.sk.clone() };
        let actions = vec![
            self.put_action_if(&place, &stored, ITEM_NOT_EXISTS)?,
            self.put_action_if(&key::audit_head(ws), &head, unchanged)?,
        ];
        match self.transact(actions).await {
            Err(StoreError::Unavailable(why)) if why.contains("TransactionConflict") => {
                Err(StoreError::Conflict)
            }
            done => done.map(|()| head),
        }
    }

    /// Returns the ids of sealed entries from `since` on.
    async fn sealed_since(
        &self,
        ws: &Tenant,
        head: Option<&DigestHead>,
        since: Timestamp,
    ) -> Result<BTreeSet<String>, StoreError> {
        let mut sealed = BTreeSet::new();
        let Some(head) = head else { return Ok(sealed) };
        let mut before = key::audit_digest_sort_key(head.seq + 1);
        loop {
            let page: Vec<StoredDigest> =
                self.query_desc(&key::audit_partition(ws), "DIGEST#", Some(&before), 10).await?;
            let Some(last) = page.last() else { return Ok(sealed) };
            before.clone_from(&last.sk);
            for stored in page {
                let digest = stored.digest()?;
                if digest.sealed_until < since {
                    return Ok(sealed);
                }
                sealed.extend(digest.entries.into_keys().filter(|id| *id >= first_id(since)));
            }
        }
    }

    /// Returns the oldest unsealed entries from `since` on.
    async fn unsealed_entries(
        &self,
        ws: &Tenant,
        since: Timestamp,
        sealed: &BTreeSet<String>,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let mut first = key::audit_entry_sort_key(&first_id(since));
        let last = key::audit_entry_sort_key("\u{7f}");
        let mut fresh = Vec::new();
        loop {
            let page: Vec<StoredEntry> =
                self.query_asc(&key::audit_partition(ws), &first, &last, MAX_ENTRIES_PER_DIGEST).await?;
            let is_last = page.len() < MAX_ENTRIES_PER_DIGEST;
            if let Some(end) = page.last() {
                // The next page starts after this key: '!' sorts before every character of our keys.
                first = format!("{}!", end.sk);
            }
            for stored in page {
                if fresh.len() < MAX_ENTRIES_PER_DIGEST && !sealed.contains(id_of(&stored)?) {
                    fresh.push(stored);
                }
            }
            if is_last || fresh.len() == MAX_ENTRIES_PER_DIGEST {
                return Ok(fresh);
            }
        }
    }

    /// Returns the last digest of a workspace's log.
    pub async fn audit_head(&self, ws: &Tenant) -> Result<Option<DigestHead>, StoreError> {
        self.get(&key::audit_head(ws)).await
    }

    /// Verifies a workspace's whole log, also against roots that were kept elsewhere. The inner error is the first fault.
    pub async fn verify_audit_log(
        &self,
        ws: &Tenant,
        roots: &[AuditRoot],
        now: Timestamp,
    ) -> Result<Result<AuditReport, AuditFault>, StoreError> {
        // Reading the head before and after covers digests written meanwhile.
        let known = self.audit_head(ws).await?;
        let known = known.into_iter().map(|head| AuditRoot { seq: head.seq, hash: head.hash });
        let known: Vec<_> = known.chain(roots.iter().cloned()).collect();
        let digests = self.query_prefix(&key::audit_partition(ws), "DIGEST#").await?;
        let head = self.audit_head(ws).await?;
        let entries = self.query_prefix(&key::audit_partition(ws), "ENTRY#").await?;
        Ok(verify(ws.as_str(), &known, head.as_ref(), &digests, &entries, now))
    }
}

fn id_of(stored: &StoredEntry) -> Result<&str, StoreError> {
    let id = stored.sk.strip_prefix("ENTRY#");
    id.ok_or_else(|| StoreError::Internal(format!("{} is no entry", stored.sk)))
}

/// Contents of a valid log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditReport {
    /// Entries, including unsealed ones.
    pub entries: u64,
    /// Entries not sealed yet.
    pub unsealed: u64,
    /// Digests.
    pub digests: u64,
    /// The last digest, to keep elsewhere or to compare with the functions' logs.
    pub root: Option<AuditRoot>,
}

/// A digest by its number and hash, written `12:` and 64 hex digits. It covers every entry that was sealed until then:
/// kept where nobody can rewrite it, it reveals a log that was rewritten as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRoot {
    /// Sequence number of the digest.
    pub seq: u64,
    /// Its hash.
    pub hash: String,
}

impl fmt::Display for AuditRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.hash)
    }
}

impl FromStr for AuditRoot {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let parts = text.split_once(':').and_then(|(seq, hash)| Some((seq.parse().ok()?, hash)));
        let is_hash = |hash: &str| hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        match parts {
            Some((seq, hash)) if is_hash(hash) => Ok(Self { seq, hash: hash.to_owned() }),
            _ => {
                let message = "must be a digest's number, ':' and its hash of 64 hex digits";
                Err(FieldError::new("root", message))
            }
        }
    }
}

/// First fault of an invalid log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct AuditFault {
    /// Sort key of the entry or digest.
    pub place: String,
    /// What is wrong.
    pub reason: &'static str,
}

/// Verifies a log: digests and entries in the order of their keys. `known` are digests that must be part of it: the head
/// before they were read, and roots. `head` is the one after.
fn verify(
    workspace: &str,
    known: &[AuditRoot],
    head: Option<&DigestHead>,
    digests: &[StoredDigest],
    entries: &[StoredEntry],
    now: Timestamp,
) -> Result<AuditReport, AuditFault> {
    let fault = |place: &str, reason| AuditFault { place: place.to_owned(), reason };
    let by_key: BTreeMap<&str, &StoredEntry> =
        entries.iter().map(|entry| (entry.sk.as_str(), entry)).collect();
    let mut sealed = BTreeSet::new();
    let mut last = DigestHead { seq: 0, hash: GENESIS_HASH.to_owned(), sealed_until: Timestamp::UNIX_EPOCH };
    for stored in digests {
        let (seq, sk) = (last.seq + 1, stored.sk.as_str());
        if sk != key::audit_digest_sort_key(seq) {
            return Err(fault(
                &key::audit_digest_sort_key(seq),
                "it is missing, or another one stands in its place",
            ));
        }
        let digest = stored.digest().map_err(|_| fault(sk, "it cannot be read"))?;
        if digest.seq != seq || digest.workspace != workspace {
            return Err(fault(sk, "it is of another place"));
        }
        if digest.prev_hash != last.hash {
            return Err(fault(sk, "it does not follow the one before it"));
        }
        let hash = stored.hash();
        if known.iter().any(|known| known.seq == seq && known.hash != hash) {
            return Err(fault(sk, "it is not the one that the head or a root names"));
        }
        for (id, hash) in &digest.entries {
            let place = key::audit_entry_sort_key(id);
            let Some(entry) = by_key.get(place.as_str()) else {
                return Err(fault(&place, "it was removed"));
            };
            if entry.hash() != *hash {
                return Err(fault(&place, "it was changed"));
            }
            if !sealed.insert(place.clone()) {
                return Err(fault(&place, "two digests name it"));
            }
        }
        last = stored.head(digest.sealed_until, seq);
    }
    let expected = known.iter().map(|known| known.seq).max().unwrap_or(0);
    if last.seq < expected {
        return Err(fault(&key::audit_digest_sort_key(last.seq + 1), "it is missing"));
    }
    let ends = head.map_or(0, |head| head.seq);
    if last.seq > ends {
        return Err(fault(&key::audit_digest_sort_key(ends + 1), "it stands behind the head"));
    }
    let oldest_unsealed = key::audit_entry_sort_key(&first_id(now - MAX_UNSEALED_AGE));
    for stored in entries.iter().filter(|stored| !sealed.contains(&stored.sk)) {
        let entry: AuditEntry =
            serde_json::from_str(&stored.body).map_err(|_| fault(&stored.sk, "it cannot be read"))?;
        if key::audit_entry_sort_key(&entry.id) != stored.sk || entry.workspace != workspace {
            return Err(fault(&stored.sk, "its text is of another place"));
        }
        if stored.sk < oldest_unsealed {
            return Err(fault(&stored.sk, "no digest names it: it was inserted, or sealing does not work"));
        }
    }
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    Ok(AuditReport {
        entries: count(entries.len()),
        unsealed: count(entries.len() - sealed.len()),
        digests: last.seq,
        root: (last.seq > 0).then_some(AuditRoot { seq: last.seq, hash: last.hash }),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::audit::{Actor, AuditEvent, new_entry};

    const NOW: Timestamp = Timestamp::constant(1_795_000_000, 0);

    /// A log whose entries are sealed in batches of this size, with none unsealed.
    #[derive(Debug, Clone)]
    struct Log {
        digests: Vec<StoredDigest>,
        entries: Vec<StoredEntry>,
        head: DigestHead,
    }

    fn log(events: &[String], batch: usize) -> Log {
        let mut entries: Vec<_> = events
            .iter()
            .enumerate()
            .map(|(n, event)| {
                let id = format!("{n}-{event}");
                let event = AuditEvent::new(id, Actor::Operator, "test.recorded", format!("test/{event}"));
                let at = NOW - SignedDuration::from_hours(1) + SignedDuration::from_secs(n as i64);
                new_entry("demo", &event, at).unwrap()
            })
            .collect();
        entries.sort_by(|a, b| a.sk.cmp(&b.sk));
        let mut log = Log {
            digests: Vec::new(),
            entries,
            head: DigestHead { seq: 0, hash: GENESIS_HASH.to_owned(), sealed_until: Timestamp::UNIX_EPOCH },
        };
        for chunk in log.entries.chunks(batch) {
            let digest = AuditDigest {
                seq: log.head.seq + 1,
                prev_hash: log.head.hash.clone(),
                workspace: "demo".to_owned(),
                sealed_until: NOW,
                entries: chunk.iter().map(|entry| (id_of(entry).unwrap().to_owned(), entry.hash())).collect(),
            };
            let stored = StoredDigest::of(&digest).unwrap();
            log.head = stored.head(NOW, digest.seq);
            log.digests.push(stored);
        }
        log
    }

    fn verified(log: &Log) -> Result<AuditReport, AuditFault> {
        verified_with(log, root(log))
    }

    fn root(log: &Log) -> AuditRoot {
        AuditRoot { seq: log.head.seq, hash: log.head.hash.clone() }
    }

    /// Verifies a log in order against a root.
    fn verified_with(log: &Log, root: AuditRoot) -> Result<AuditReport, AuditFault> {
        let mut sorted = log.clone();
        sorted.entries.sort_by(|a, b| a.sk.cmp(&b.sk));
        sorted.digests.sort_by(|a, b| a.sk.cmp(&b.sk));
        verify("demo", &[root], Some(&log.head), &sorted.digests, &sorted.entries, NOW)
    }

    fn logs() -> impl Strategy<Value = Log> {
        (prop::collection::vec("[a-z\"\\\\ é]{0,12}", 2..20), 1_usize..6)
            .prop_map(|(events, batch)| log(&events, batch))
    }

    proptest! {
        #[test]
        fn an_untouched_log_holds(log in logs()) {
            let report = verified(&log).unwrap();
            prop_assert_eq!((report.entries, report.unsealed), (log.entries.len() as u64, 0));
            prop_assert_eq!(report.digests, log.digests.len() as u64);
        }

        #[test]
        fn any_changed_byte_of_an_entry_is_found_where_it_is(mut log in logs(), at: prop::sample::Index, byte: prop::sample::Index) {
            let entry = at.get(&log.entries).clone();
            let position = byte.index(entry.body.len());
            let mut body = entry.body.into_bytes();
            body[position] = if body[position] == b'x' { b'y' } else { b'x' };
            let index = at.index(log.entries.len());
            log.entries[index].body = String::from_utf8_lossy(&body).into_owned();
            prop_assert_eq!(verified(&log).unwrap_err().place, entry.sk);
        }

        #[test]
        fn a_removed_entry_is_found_where_it_was(mut log in logs(), at: prop::sample::Index) {
            let index = at.index(log.entries.len());
            let removed = log.entries.remove(index);
            prop_assert_eq!(verified(&log).unwrap_err().place, removed.sk);
        }

        #[test]
        fn swapped_entries_are_found(mut log in logs(), one: prop::sample::Index, other: prop::sample::Index) {
            let (one, other) = (one.index(log.entries.len()), other.index(log.entries.len()));
            prop_assume!(one != other);
            let (a, b) = (log.entries[one].body.clone(), log.entries[other].body.clone());
            let places = [log.entries[one].sk.clone(), log.entries[other].sk.clone()];
            (log.entries[one].body, log.entries[other].body) = (b, a);
            prop_assert!(places.contains(&verified(&log).unwrap_err().place));
        }

        #[test]
        fn an_inserted_entry_is_found_once_it_is_old_enough_to_be_sealed(mut log in logs(), forged in "[a-z]{1,9}", minutes in 0_i64..60) {
            let at = NOW - SignedDuration::from_mins(minutes);
            let event = AuditEvent::new(forged, Actor::Operator, "test.forged", "test/x".to_owned());
            let inserted = new_entry("demo", &event, at).unwrap();
            let place = inserted.sk.clone();
            log.entries.push(inserted);
            match verified(&log) {
                Ok(report) => prop_assert!(minutes <= 10 && report.unsealed == 1),
                Err(fault) => prop_assert!(minutes > 10 && fault.place == place, "{}", fault),
            }
        }

        /// Whoever may write the table could forge a log that is consistent in itself.
        #[test]
        fn a_log_that_is_rewritten_as_a_whole_is_found_by_a_root_that_was_kept(
            events in prop::collection::vec("[a-z]{1,9}", 2..20), batch in 1_usize..6, at: prop::sample::Index,
        ) {
            let honest = log(&events, batch);
            let mut forged = events.clone();
            forged[at.index(events.len())].push('x');
            let forged = log(&forged, batch);
            prop_assert!(verified(&forged).is_ok());
            prop_assert!(verified_with(&forged, root(&honest)).is_err());
            prop_assert_eq!(root(&honest).to_string().parse::<AuditRoot>(), Ok(root(&honest)));
        }

        /// A rewritten digest with consistent content breaks the link to the next one or to the head.
        #[test]
        fn a_changed_removed_or_swapped_digest_is_found(mut log in logs(), at: prop::sample::Index, what in 0..3) {
            let index = at.index(log.digests.len());
            match what {
                0 => {
                    let mut digest = log.digests[index].digest().unwrap();
                    digest.entries.pop_first();
                    log.digests[index] = StoredDigest::of(&digest).unwrap();
                }
                1 => drop(log.digests.remove(index)),
                _ => {
                    prop_assume!(log.digests.len() > 1);
                    let next = (index + 1) % log.digests.len();
                    let (a, b) = (log.digests[index].body.clone(), log.digests[next].body.clone());
                    (log.digests[index].body, log.digests[next].body) = (b, a);
                }
            }
            prop_assert!(verified(&log).is_err());
        }
    }
}
