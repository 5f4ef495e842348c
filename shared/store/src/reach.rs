//! Reach: the people whom an account and its entities have reached in a period. It cannot be summed, so each period that
//! somebody asks for is measured as such, and kept.

use std::collections::{BTreeMap, HashMap};

use domain::date::DateRange;
use domain::entity::Level;
use domain::id::{AdAccountId, EntityId};
use domain::tenant::Tenant;
use facts::{compress, decompress};
use jiff::Timestamp;
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::key::{self, Key};
use crate::table::{ConditionExpression, StoreError, Table, millis};

/// Rows of an item: some 30 bytes each when compressed, far below DynamoDB's 400 KB.
const MAX_ROWS_PER_ITEM: usize = 5_000;

/// Days for which a period is kept after its end: as long as the platform keeps its numbers.
const KEPT_DAYS: i64 = 37 * 31;

/// People reached, and impressions per person.
pub type Reach = (u64, Option<Decimal>);

/// A period of a level.
#[derive(Debug, Clone)]
pub struct ReachPeriod {
    /// When it was last asked for.
    pub requested_at: Timestamp,
    /// When it was measured; `None` while it is not.
    pub measured_at: Option<Timestamp>,
    /// Why it could not be measured.
    pub failure: Option<String>,
    /// The reach of each object, by its id; `None` is the whole account. An object without delivery has none.
    pub reach: HashMap<Option<EntityId>, Reach>,
}

/// The state of a period, or a part of its rows.
#[derive(Default, Serialize, Deserialize)]
struct ReachItem {
    #[serde(default, skip_serializing)]
    sk: String,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::millisecond::optional"
    )]
    requested_at: Option<Timestamp>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::millisecond::optional"
    )]
    measured_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parts: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<ByteBuf>,
}

impl Table {
    /// Records that periods were asked for. What was measured of them before stays until they are measured again.
    pub async fn request_reach(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        level: Level,
        periods: &[DateRange],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        for period in periods {
            let head = key::reach(ws, account, level, *period);
            let values = vec![(":now", millis(now)), (":expires", crate::table::number(expiry(*period)))];
            let expression = "SET requested_at = :now, expires = :expires REMOVE failure";
            self.update::<ReachItem>(&head, expression, None, values).await?;
        }
        Ok(())
    }

    /// Stores the measured reach of a period, unless a later measurement is stored.
    pub async fn store_reach(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        (level, period): (Level, DateRange),
        measured_at: Timestamp,
        rows: &[(Option<EntityId>, Reach)],
    ) -> Result<(), StoreError> {
        let head = key::reach(ws, account, level, period);
        let mut parts = 0;
        for some in rows.chunks(MAX_ROWS_PER_ITEM) {
            let json = serde_json::to_vec(some).map_err(|error| StoreError::Internal(error.to_string()))?;
            let data = Some(ByteBuf::from(compress(&json)?));
            let part = ReachItem { measured_at: Some(measured_at), data, ..ReachItem::default() };
            let place = Key { pk: head.pk.clone(), sk: format!("{}{parts:03}", head.sk) };
            self.put_with_ttl(&place, &part, expiry(period), None).await?;
            parts += 1;
        }
        let item = ReachItem {
            requested_at: Some(measured_at),
            measured_at: Some(measured_at),
            parts: Some(parts),
            ..ReachItem::default()
        };
        let condition = ConditionExpression {
            expression: "attribute_not_exists(measured_at) OR measured_at < :measured_at",
            values: vec![(":measured_at", millis(measured_at))],
        };
        match self.put_with_ttl(&head, &item, expiry(period), Some(condition)).await {
            // A later measurement is there.
            Ok(()) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Records why periods cannot be measured.
    pub async fn fail_reach(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        level: Level,
        periods: &[DateRange],
        reason: &str,
    ) -> Result<(), StoreError> {
        for period in periods {
            let head = key::reach(ws, account, level, *period);
            let values = vec![(":reason", crate::table::text(reason))];
            self.update::<ReachItem>(&head, "SET failure = :reason", None, values).await?;
        }
        Ok(())
    }

    /// Reads what is stored of some periods of a level, which are in order.
    pub async fn reach(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        level: Level,
        wanted: &[DateRange],
    ) -> Result<BTreeMap<(Date, Date), ReachPeriod>, StoreError> {
        let (Some(first), Some(last)) = (wanted.first(), wanted.last()) else { return Ok(BTreeMap::new()) };
        // Of a single period, only that one is read, and no other one of its days.
        let (first, last) = (key::reach(ws, account, level, *first), key::reach(ws, account, level, *last));
        let items: Vec<ReachItem> =
            self.query_between(&first.pk, &first.sk, &format!("{}\u{7f}", last.sk)).await?;
        let mut periods = BTreeMap::new();
        let mut parts: HashMap<(Date, Date), Vec<ReachItem>> = HashMap::new();
        for item in items {
            let Some(period) = key::parse_reach(&item.sk) else { continue };
            if !wanted.iter().any(|wanted| (wanted.since, wanted.until) == period) {
                continue;
            }
            match item.requested_at {
                Some(requested_at) => drop(periods.insert(period, (requested_at, item))),
                None => parts.entry(period).or_default().push(item),
            }
        }
        let read = |(period, (requested_at, head)): ((Date, Date), (Timestamp, ReachItem))| {
            let of_period = parts.get(&period).into_iter().flatten();
            let current: Vec<_> = of_period.filter(|part| part.measured_at == head.measured_at).collect();
            // While it is measured again, its parts are of two measurements.
            let is_whole = head.parts.is_some_and(|count| current.len() >= count);
            let mut reach = HashMap::new();
            for data in current.into_iter().filter(|_| is_whole).filter_map(|part| part.data.as_ref()) {
                let json = decompress(data)?;
                let rows: Vec<(Option<EntityId>, Reach)> =
                    serde_json::from_slice(&json).map_err(|error| StoreError::Internal(error.to_string()))?;
                reach.extend(rows);
            }
            let measured_at = head.measured_at.filter(|_| is_whole);
            Ok((period, ReachPeriod { requested_at, measured_at, failure: head.failure, reach }))
        };
        periods.into_iter().map(read).collect()
    }

    /// Deletes a period.
    pub async fn delete_reach(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        level: Level,
        period: DateRange,
    ) -> Result<(), StoreError> {
        let head = key::reach(ws, account, level, period);
        let items: Vec<ReachItem> =
            self.query_between(&head.pk, &head.sk, &format!("{}\u{7f}", head.sk)).await?;
        self.delete_keys(items.into_iter().map(|item| Key { pk: head.pk.clone(), sk: item.sk }).collect())
            .await
    }
}

/// Returns when a period may be deleted, in Unix seconds.
fn expiry(period: DateRange) -> i64 {
    let last = period.until.saturating_add(jiff::Span::new().days(KEPT_DAYS));
    last.to_zoned(jiff::tz::TimeZone::UTC).map_or(i64::MAX, |end| end.timestamp().as_second())
}
