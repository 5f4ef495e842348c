//! Live events, as the table's stream and the table have them. The stream names the items that were written; an event
//! names what they belong to.

use domain::id::AdAccountId;
use domain::live::{Changed, LiveEvent};
use domain::tenant::{Tenant, trusted};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde::de::value::StrDeserializer;
use serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value;

use crate::key;
use crate::table::{ITEM_NOT_EXISTS, StoreError, Table};

/// Beginnings of the sort keys of items that somebody looks at. The stream delivers these alone on AWS.
pub const SORT_KEY_PREFIXES: [&str; 16] = [
    "ACCOUNT#",
    "CHANGE#",
    "CHUNK#",
    "CONNECTION#",
    "DECISION#",
    "ENTITY_SYNC",
    "ENTRY#",
    "INDEX#",
    "INVITATION#",
    "LAUNCH#",
    "MEMBER#",
    "REACH#",
    "REMOVED_RULE#",
    "RULE#",
    "SCHEDULE#",
    "SYNC_RUN#",
];

/// How long events are kept. A reader that was away for longer reads everything again.
const EVENT_TTL: SignedDuration = SignedDuration::from_hours(24);

/// How many places an append tries, where concurrent ones take them: there is one for each shard of the table's stream.
const APPEND_ATTEMPTS: u64 = 100;

/// Returns what an item of the table's stream belongs to, and its workspace; none for items that nobody looks at. Only
/// for keys from our own table's stream.
pub fn changed(pk: &str, sk: &str) -> Option<(Tenant, Changed)> {
    if !SORT_KEY_PREFIXES.iter().any(|prefix| sk.starts_with(prefix)) {
        return None;
    }
    let mut parts = pk.strip_prefix("WS#")?.split('#');
    let workspace = StrDeserializer::<serde::de::value::Error>::new(parts.next()?);
    let workspace: Tenant = trusted::deserialize(workspace).ok()?;
    let (kind, rest) = sk.split_once('#').unwrap_or((sk, ""));
    let changed = match (parts.next(), parts.next(), parts.next()) {
        (None, ..) => of_workspace(kind, rest)?,
        (Some("AUDIT"), None, _) if kind == "ENTRY" => Changed::Audit,
        (Some("RULE"), Some(rule), None) if kind == "DECISION" => {
            Changed::Decisions { rule: rule.parse().ok()? }
        }
        (Some(account), None, _) => of_account(account.parse().ok()?, kind, rest)?,
        _ => return None,
    };
    Some((workspace, changed))
}

fn of_workspace(kind: &str, rest: &str) -> Option<Changed> {
    Some(match kind {
        "ACCOUNT" => Changed::AdAccount { ad_account: rest.parse().ok()? },
        "CONNECTION" => Changed::Connections,
        "LAUNCH" => Changed::Launches,
        "MEMBER" | "INVITATION" => Changed::Members,
        "RULE" | "REMOVED_RULE" => Changed::Rules,
        _ => return None,
    })
}

fn of_account(ad_account: AdAccountId, kind: &str, rest: &str) -> Option<Changed> {
    Some(match kind {
        "CHUNK" | "REACH" => Changed::Metrics { ad_account },
        "ENTITY_SYNC" | "SYNC_RUN" => Changed::AdAccount { ad_account },
        "INDEX" => Changed::Entities { ad_account, level: rest.split_once('#')?.0.parse().ok()? },
        "SCHEDULE" => Changed::Schedules { ad_account },
        "CHANGE" => Changed::Changes { ad_account },
        _ => return None,
    })
}

/// What an append needs of the last event, whatever it says.
#[derive(Deserialize)]
struct LiveEventId {
    id: u64,
    at: Timestamp,
}

/// Events after one that a reader knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiveEvents {
    /// These, oldest first.
    After(Vec<LiveEvent>),
    /// The known one is too old, or there never was one of this id.
    Unknown,
}

impl Table {
    /// Appends an event. An append that is repeated adds another event of the same changes, which costs a reader
    /// another look.
    pub async fn append_live_event(
        &self,
        ws: &Tenant,
        changed: Vec<Changed>,
        now: Timestamp,
    ) -> Result<LiveEvent, StoreError> {
        // Where no event is left, ids begin with the hour: later than every id before, because they are slower, and the
        // same for all who begin at the same time.
        let latest = self.latest_live_event(ws, now).await?;
        let hour = now.as_second().unsigned_abs() / 3600 * 3_600_000;
        let first = latest.map_or(hour, |latest| latest + 1);
        let expires = (now + EVENT_TTL).as_second();
        let mut event = LiveEvent { id: first, at: now, changed };
        for id in first..first + APPEND_ATTEMPTS {
            event.id = id;
            match self.put_with_ttl(&key::live_event(ws, id), &event, expires, Some(ITEM_NOT_EXISTS)).await {
                // Another one has this place.
                Err(StoreError::Conflict) => {}
                done => return done.map(|()| event),
            }
        }
        Err(StoreError::Unavailable("a live event found no place among concurrent ones".to_owned()))
    }

    /// Returns the id of the last event; none when no event is kept. DynamoDB removes those that have expired later, and in
    /// any order: they do not count.
    pub async fn latest_live_event(&self, ws: &Tenant, now: Timestamp) -> Result<Option<u64>, StoreError> {
        let last: Vec<LiveEventId> =
            self.query_desc(&key::workspace(ws), key::LIVE_EVENT_PREFIX, None, 1).await?;
        let kept = last.first().filter(|last| last.at + EVENT_TTL > now);
        Ok(kept.map(|last| last.id))
    }

    /// Returns the events after this id; after 0 from the oldest on that is kept.
    pub async fn live_events(&self, ws: &Tenant, after: u64, limit: usize) -> Result<LiveEvents, StoreError> {
        let (first, last) = (key::live_event(ws, after), key::live_event(ws, u64::MAX));
        let mut events: Vec<LiveEvent> =
            self.query_asc(&first.pk, &first.sk, &last.sk, limit.saturating_add(1)).await?;
        if after == 0 {
            events.truncate(limit);
        } else if events.first().is_none_or(|event| event.id != after) {
            return Ok(LiveEvents::Unknown);
        } else {
            events.remove(0);
        }
        let mut ids = events.iter().map(|event| event.id);
        let first = ids.next().unwrap_or(after);
        // One in between has expired.
        let is_contiguous = (after == 0 || events.is_empty() || first == after + 1)
            && ids.zip(first + 1..).all(|(id, expected)| id == expected);
        Ok(if is_contiguous { LiveEvents::After(events) } else { LiveEvents::Unknown })
    }

    /// Takes an ad account that was deleted out of the events that name it. The events stay, so that ids have no gap.
    pub(crate) async fn forget_in_live_events(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
    ) -> Result<(), StoreError> {
        let events: Vec<LiveEvent> = self.query_prefix(&key::workspace(ws), key::LIVE_EVENT_PREFIX).await?;
        for LiveEvent { id, mut changed, .. } in events {
            let before = changed.len();
            changed.retain(|one| one.ad_account() != Some(account));
            if changed.len() == before {
                continue;
            }
            let (place, values) = (key::live_event(ws, id), vec![(":changed", to_attribute_value(changed)?)]);
            let (set, exists) = ("SET changed = :changed", Some("attribute_exists(pk)"));
            match self.update::<LiveEvent>(&place, set, exists, values).await {
                // It expired meanwhile.
                Err(StoreError::Conflict) => {}
                done => drop(done?),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use domain::entity::Level;

    use super::*;

    #[test]
    fn keys_of_the_stream_say_what_changed() {
        let of = |pk: &str, sk: &str| changed(pk, sk).map(|(_, changed)| changed);
        let ad_account: AdAccountId = "act_1".parse().unwrap();
        let metrics = Changed::Metrics { ad_account: ad_account.clone() };
        assert_eq!(of("WS#a#act_1", "CHUNK#ad_day#2026-W47"), Some(metrics));
        let entities = Changed::Entities { ad_account: ad_account.clone(), level: Level::Ad };
        assert_eq!(of("WS#a#act_1", "INDEX#ad#!120"), Some(entities.clone()));
        assert_eq!(of("WS#a#act_1", "INDEX#ad#03.0001"), Some(entities));
        assert_eq!(of("WS#a", "ACCOUNT#act_1"), Some(Changed::AdAccount { ad_account }));
        assert_eq!(
            of("WS#a#RULE#r", "DECISION#2026-11-18#1"),
            Some(Changed::Decisions { rule: "r".parse().unwrap() })
        );
        assert_eq!(of("WS#a#AUDIT", "ENTRY#1"), Some(Changed::Audit));
        // An event is no reason for another one, and neither is what nobody looks at.
        for (pk, sk) in [
            ("WS#a", "LIVE#00000000000000000001"),
            ("WS#a", "RATE_LIMIT#"),
            ("WS#a#AUDIT", "DIGEST#1"),
            ("WS#a#act_1#FACTS#ad_day#2026-W47", "ad#detail#2026-11-18#3.005#b"),
            ("PLATFORM#meta#1", "WS#a#act_1"),
        ] {
            assert_eq!(of(pk, sk), None, "{pk} {sk}");
        }
    }
}
