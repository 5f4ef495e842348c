//! The audit log of a workspace: who did what to which object, as a chain in which every entry names the hash of the
//! one before.
//!
//! What an act changes outside of the table is said twice: an intent before it, and how it ended after it. So a crash
//! leaves an intent without an end, which says that it may have happened, and never an act without a trace. An entry
//! has an id that follows from its act, and is added once however often the act is repeated.
//!
//! An entry costs one read of the head and one transaction of three small items, six write units or four millionths
//! of a dollar. The head makes writers of one workspace take turns, each some ten milliseconds: about fifty entries
//! a second and workspace, where Meta takes fewer writes than that of all its ad accounts together. Entries that
//! belong together share a transaction.
//!
//! What the chain cannot show: that somebody who may write everything has written all of it anew from some entry on
//! to the head. For that the hashes are in the functions' logs as well, where nobody but CloudWatch writes.

use ads::canonical;
use ads::id::AdAccountId;
use ads::tenant::Tenant;
use aws_sdk_dynamodb::types::TransactWriteItem;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::key;
use crate::table::{ABSENT, Condition, StoreError, Table, text};

/// As often as that others may be faster; each time at least one of them has got through.
const TRIES: u32 = 50;

/// So long a repetition of an act is known as one: longer than any message waits.
const KNOWN_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What stands where the first entry names the hash before it.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

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

/// How far an act was when its entry was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It is about to happen.
    Intended,
    /// It has happened.
    Done,
    /// It has not happened, and will not.
    Failed,
    /// Nobody knows whether it happened.
    Unknown,
}

/// What is said of an act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Act {
    /// Follows from the act: the same act has the same id, whoever repeats it.
    pub act: String,
    /// How far it is.
    pub stage: Stage,
    /// Who did it.
    pub who: Actor,
    /// What was done, such as `campaign.changed`.
    pub what: String,
    /// To which object, such as `campaign/120210000000000001`.
    pub object: String,
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

impl Act {
    /// An act of which nothing is known but who means to do what to which object.
    pub fn new(act: String, who: Actor, what: &str, object: String) -> Self {
        Self {
            act,
            stage: Stage::Intended,
            who,
            what: what.to_owned(),
            object,
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
    pub fn changing(self, before: Value, after: Value) -> Self {
        Self { before, after, ..self }
    }
}

/// A link of the chain: what its hash is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Entry {
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
    pub act: Act,
}

/// An entry as it is kept: the very text that was hashed, so that no reader's idea of JSON comes between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptEntry {
    /// Canonical JSON of an [`Entry`].
    pub body: String,
    /// SHA-256 of it in hex.
    pub hash: String,
    /// Its place in the partition.
    #[serde(skip_serializing)]
    pub sk: String,
}

impl KeptEntry {
    /// What it says.
    pub fn entry(&self) -> Result<Entry, StoreError> {
        let place = || format!("{} of an audit log cannot be read", self.sk);
        serde_json::from_str(&self.body).map_err(|_| StoreError::Defect(place()))
    }
}

/// The end of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Of the last entry.
    pub seq: u64,
    /// Of the last entry.
    pub hash: String,
    /// Of the last entry. No entry is earlier than the one before it, whatever the clocks of two processes say.
    pub at: Timestamp,
}

impl Head {
    /// Of a chain without an entry.
    fn none() -> Self {
        Self { seq: 0, hash: GENESIS.to_owned(), at: Timestamp::UNIX_EPOCH }
    }
}

/// The first place at which a chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {seq}: {why}")]
pub struct Broken {
    /// Which entry was expected there.
    pub seq: u64,
    /// What is wrong.
    pub why: &'static str,
}

/// Walks a chain, entry by entry in the order of the table.
#[derive(Debug, Clone)]
pub struct Walk {
    workspace: String,
    last: Head,
    known: Head,
}

impl Walk {
    /// Begins before the first entry of a chain that is known to have come as far as `known`.
    pub fn new(workspace: &str, known: Option<Head>) -> Self {
        let known = known.unwrap_or_else(Head::none);
        Self { workspace: workspace.to_owned(), last: Head::none(), known }
    }

    /// Takes the next entry, if it is the next one.
    pub fn step(&mut self, kept: &KeptEntry) -> Result<Entry, Broken> {
        let seq = self.last.seq + 1;
        let broken = |why| Broken { seq, why };
        if kept.sk != key::audit_position(seq) {
            return Err(broken("it is missing, or another one stands in its place"));
        }
        let entry: Entry = serde_json::from_str(&kept.body).map_err(|_| broken("it cannot be read"))?;
        if kept.hash != hash(&kept.body) {
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
        if seq == self.known.seq && kept.hash != self.known.hash {
            return Err(broken("it is not the one that the head of the chain names"));
        }
        if entry.at < self.last.at {
            return Err(broken("it is earlier than the one before it"));
        }
        self.last = Head { seq, hash: kept.hash.clone(), at: entry.at };
        Ok(entry)
    }

    /// Says how many entries there are, if the chain ends here: not before where it was known to come, and not
    /// behind its `head`.
    pub fn end(self, head: Option<&Head>) -> Result<u64, Broken> {
        let seq = self.last.seq;
        if seq < self.known.seq {
            return Err(Broken { seq: seq + 1, why: "it is missing" });
        }
        let ends = head.map_or(0, |head| head.seq);
        if seq > ends {
            return Err(Broken { seq: ends + 1, why: "it stands behind the end of the chain" });
        }
        Ok(seq)
    }
}

/// The link that follows on `head`.
pub fn link(workspace: &str, head: &Head, act: &Act, at: Timestamp) -> Result<(KeptEntry, Head), StoreError> {
    let (seq, at) = (head.seq + 1, at.max(head.at));
    let entry =
        Entry { seq, prev_hash: head.hash.clone(), workspace: workspace.to_owned(), at, act: act.clone() };
    let value = serde_json::to_value(&entry).map_err(|error| StoreError::Defect(error.to_string()))?;
    let body = canonical::json(&value);
    let hash = hash(&body);
    let kept = KeptEntry { body, hash: hash.clone(), sk: key::audit_position(seq) };
    Ok((kept, Head { seq, hash, at }))
}

fn hash(body: &str) -> String {
    hex::encode(Sha256::digest(body))
}

#[derive(Serialize, Deserialize)]
struct Known {
    seq: u64,
    /// The table takes it away after this, in unix seconds.
    expires: i64,
}

impl Table {
    /// Adds entries of different acts to a workspace's log, together, and answers where it then ends. Those that were
    /// added before are left out. A transaction has room for 49.
    pub async fn audit(&self, ws: &Tenant, acts: &[Act], now: Timestamp) -> Result<Option<Head>, StoreError> {
        let mut acts = acts.to_vec();
        for _ in 0..TRIES {
            let seen: Option<Head> = self.get(&key::audit_head(ws)).await?;
            let mut head = seen.clone().unwrap_or_else(Head::none);
            let mut actions = Vec::new();
            for act in &acts {
                let (kept, next) = link(ws.as_str(), &head, act, now)?;
                actions.extend(self.audit_actions(ws, act, &kept, next.seq, now)?);
                head = next;
            }
            if acts.is_empty() {
                return Ok(None);
            }
            let unchanged = match &seen {
                None => ABSENT,
                Some(seen) => {
                    Condition { expression: "#hash = :seen", values: vec![(":seen", text(&seen.hash))] }
                }
            };
            actions.push(self.put_action_if(&key::audit_head(ws), &head, unchanged)?);
            match self.transact(actions).await {
                Ok(()) => return Ok(Some(head)),
                // Somebody was faster, with another entry or with this one.
                Err(StoreError::Conflict) => {}
                Err(StoreError::TryLater(why)) if why.contains("TransactionConflict") => {}
                Err(error) => return Err(error),
            }
            let mut fresh = Vec::new();
            for act in acts {
                if self.get::<Known>(&key::audit_known(ws, &known_as(&act))).await?.is_none() {
                    fresh.push(act);
                }
            }
            acts = fresh;
        }
        Err(StoreError::TryLater("too many processes write into one audit log at this moment".to_owned()))
    }

    fn audit_actions(
        &self,
        ws: &Tenant,
        act: &Act,
        kept: &KeptEntry,
        seq: u64,
        now: Timestamp,
    ) -> Result<[TransactWriteItem; 2], StoreError> {
        let entry = self.put_action_if(&key::audit_entry(ws, seq), kept, ABSENT)?;
        let known = Known { seq, expires: (now + KNOWN_FOR).as_second() };
        Ok([entry, self.put_action_if(&key::audit_known(ws, &known_as(act)), &known, ABSENT)?])
    }

    /// A page of a workspace's log, newest first, of entries before this place.
    pub async fn audit_page(
        &self,
        ws: &Tenant,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<KeptEntry>, StoreError> {
        let before = before.map(key::audit_position);
        self.list_backwards(&key::audit_partition(ws), "ENTRY#", before.as_deref(), limit).await
    }

    /// The place of the last entry before a moment; 0 when there is none. Places are in the order of time.
    pub async fn audit_place_before(&self, ws: &Tenant, moment: Timestamp) -> Result<u64, StoreError> {
        let (mut low, mut high) = (0, self.audit_head(ws).await?.map_or(0, |head| head.seq));
        while low < high {
            let middle = high - (high - low) / 2;
            let kept: Option<KeptEntry> = self.get(&key::audit_entry(ws, middle)).await?;
            let kept =
                kept.ok_or_else(|| StoreError::Defect(format!("entry {middle} of {ws} is missing")))?;
            if kept.entry()?.at < moment { low = middle } else { high = middle - 1 }
        }
        Ok(low)
    }

    /// Where a workspace's log ends.
    pub async fn audit_head(&self, ws: &Tenant) -> Result<Option<Head>, StoreError> {
        self.get(&key::audit_head(ws)).await
    }

    /// Walks a workspace's log from its beginning. The inner error is the first link that does not hold.
    pub async fn audit_verify(&self, ws: &Tenant) -> Result<Result<u64, Broken>, StoreError> {
        // What is added while we look stands between the two heads.
        let mut walk = Walk::new(ws.as_str(), self.audit_head(ws).await?);
        for kept in self.list::<KeptEntry>(&key::audit_partition(ws), "ENTRY#").await? {
            if let Err(broken) = walk.step(&kept) {
                return Ok(Err(broken));
            }
        }
        Ok(walk.end(self.audit_head(ws).await?.as_ref()))
    }
}

/// The same act may be said at several stages.
fn known_as(act: &Act) -> String {
    let stage = match act.stage {
        Stage::Intended => "intended",
        Stage::Done | Stage::Failed | Stage::Unknown => "ended",
    };
    format!("{}#{stage}", act.act)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chain(acts: &[String]) -> (Vec<KeptEntry>, Head) {
        let (mut entries, mut head) = (Vec::new(), Head::none());
        for act in acts {
            let act = Act::new(act.clone(), Actor::Operator, "story.told", format!("story/{act}"));
            let (kept, next) = link("demo", &head, &act, Timestamp::UNIX_EPOCH).unwrap();
            entries.push(kept);
            head = next;
        }
        (entries, head)
    }

    fn verify(entries: &[KeptEntry], head: &Head) -> Result<u64, Broken> {
        let mut walk = Walk::new("demo", Some(head.clone()));
        let mut sorted = entries.to_vec();
        sorted.sort_by(|a, b| a.sk.cmp(&b.sk));
        for kept in &sorted {
            walk.step(kept)?;
        }
        walk.end(Some(head))
    }

    fn acts() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec("[a-z\"\\\\ é]{0,12}", 2..12)
    }

    proptest! {
        #[test]
        fn a_chain_that_nobody_touched_holds(acts in acts()) {
            let (entries, head) = chain(&acts);
            prop_assert_eq!(verify(&entries, &head), Ok(acts.len() as u64));
        }

        #[test]
        fn any_changed_byte_is_found_where_it_is(acts in acts(), at: prop::sample::Index, byte: prop::sample::Index) {
            let (mut entries, head) = chain(&acts);
            let index = at.index(entries.len());
            let position = byte.index(entries[index].body.len());
            let mut body = entries[index].body.clone().into_bytes();
            body[position] = if body[position] == b'x' { b'y' } else { b'x' };
            entries[index].body = String::from_utf8_lossy(&body).into_owned();
            prop_assert_eq!(verify(&entries, &head).unwrap_err().seq, index as u64 + 1);
        }

        /// With a hash that fits, the next one or the head shows it.
        #[test]
        fn an_entry_written_anew_is_found_at_the_first_link_to_it(acts in acts(), at: prop::sample::Index) {
            let (mut entries, head) = chain(&acts);
            let index = at.index(entries.len());
            entries[index].body = entries[index].body.replace("story.told", "story.sold");
            entries[index].hash = hash(&entries[index].body);
            let found = (index as u64 + 2).min(acts.len() as u64);
            prop_assert_eq!(verify(&entries, &head).unwrap_err().seq, found);
        }

        #[test]
        fn a_missing_entry_is_found_where_it_was(acts in acts(), at: prop::sample::Index) {
            let (mut entries, head) = chain(&acts);
            let index = at.index(entries.len());
            entries.remove(index);
            prop_assert_eq!(verify(&entries, &head).unwrap_err().seq, index as u64 + 1);
        }

        #[test]
        fn swapped_entries_are_found_at_the_first_of_them(
            acts in acts(), one: prop::sample::Index, other: prop::sample::Index, moved: bool,
        ) {
            let (mut entries, head) = chain(&acts);
            let (one, other) = (one.index(entries.len()), other.index(entries.len()));
            prop_assume!(one != other);
            let (a, b) = (entries[one].clone(), entries[other].clone());
            entries[one] = KeptEntry { sk: a.sk.clone(), ..b.clone() };
            // Swapped, or one put twice.
            if moved {
                entries[other] = KeptEntry { sk: b.sk, ..a };
            }
            let first = if moved { one.min(other) } else { one };
            prop_assert_eq!(verify(&entries, &head).unwrap_err().seq, first as u64 + 1);
        }

        #[test]
        fn an_inserted_entry_is_found_where_it_stands(acts in acts(), at: prop::sample::Index, forged in "[a-z]{1,9}") {
            let (mut with, head) = chain(&acts);
            let index = at.index(with.len() + 1);
            let before = index.checked_sub(1).map_or_else(Head::none, |before| Head {
                seq: before as u64 + 1,
                hash: with[before].hash.clone(),
                at: Timestamp::UNIX_EPOCH,
            });
            let act = Act::new(forged, Actor::Operator, "story.forged", "story/x".to_owned());
            let (forged, _) = link("demo", &before, &act, Timestamp::UNIX_EPOCH).unwrap();
            // What comes after it moves up by one place.
            with.insert(index, forged);
            for (place, kept) in with.iter_mut().enumerate() {
                kept.sk = key::audit_position(place as u64 + 1);
            }
            // It follows on what is before it, so the first link that breaks is the one behind it.
            let found = (index as u64 + 2).min(acts.len() as u64 + 1);
            let broken = verify(&with, &head).unwrap_err().seq;
            prop_assert!(broken == found || broken == index as u64 + 1, "{broken} for {index}");
        }
    }

    #[test]
    fn a_chain_of_another_workspace_or_without_its_end_does_not_hold() {
        let acts: Vec<_> = ["a", "b", "c"].map(str::to_owned).into();
        let (entries, head) = chain(&acts);
        let mut walk = Walk::new("other", Some(head.clone()));
        assert_eq!(walk.step(&entries[0]).unwrap_err().seq, 1);
        assert_eq!(verify(&entries[..2], &head).unwrap_err().seq, 3);
        assert_eq!(verify(&[], &head).unwrap_err().seq, 1);
        let shorter = Head { seq: 2, hash: entries[1].hash.clone(), ..head };
        assert_eq!(verify(&entries, &shorter).unwrap_err().seq, 3, "it stands behind the end");
    }
}
