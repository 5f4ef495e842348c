//! Reach: the people whom an account and its entities have reached in a period. It cannot be summed, so each period that
//! somebody asks for is counted as such, and kept. The last days are counted each day without being asked for, and kept for a
//! shorter time.
//!
//! A period has one item that says what is known about it, and items of its rows for each count. A count writes its rows
//! first and then names itself in the period's item, so that a reader has the rows of one count, whole.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::date::DateRange;
use domain::entity::Level;
use domain::id::{AdAccountId, EntityId};
use domain::tenant::Tenant;
use facts::{compress, decompress};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use serde_dynamo::aws_sdk_dynamodb_1::from_item;

use crate::key::{self, Key};
use crate::table::{StoreError, Table, millis, number, text};

/// Rows of an item: some 30 bytes each when compressed, far below DynamoDB's 400 KB.
const MAX_ROWS_PER_ITEM: usize = 5_000;

/// Days for which a period is kept after its end: as long as the platform keeps its numbers.
const KEPT_DAYS: i64 = 37 * 31;

/// The same of a period that nobody has asked for: long enough to compare a month with the month before.
const AUTOMATIC_KEPT_DAYS: i64 = 35;

/// Days for which rows are kept longer than the item that names them: DynamoDB deletes what has expired in any order.
const ROWS_KEPT_LONGER: i64 = 7;

/// People reached, and impressions per person.
pub type Reach = (u64, Option<Decimal>);

/// The reach of each object, by its id; `None` is the whole account. An object without delivery has none.
pub type ReachRows = HashMap<Option<EntityId>, Reach>;

/// A period of a level, and what is known about its count.
#[derive(Debug, Clone)]
pub struct ReachPeriod {
    /// Whose reach.
    pub level: Level,
    /// The days.
    pub period: DateRange,
    /// When it was last asked for.
    pub requested_at: Timestamp,
    /// When it was last counted; `None` when it never was.
    pub counted_at: Option<Timestamp>,
    /// Why it could not be counted since it was last asked for.
    pub failure: Option<String>,
    /// Whether nobody has asked for it.
    pub is_automatic: bool,
    parts: usize,
}

impl ReachPeriod {
    /// Returns whether it is to be counted.
    pub fn is_pending(&self) -> bool {
        self.failure.is_none() && self.counted_at.is_none_or(|counted_at| counted_at < self.requested_at)
    }

    /// Returns how many rows it has at most.
    pub fn max_rows(&self) -> usize {
        self.parts * MAX_ROWS_PER_ITEM
    }
}

/// The item of a period.
#[derive(Deserialize)]
struct PeriodItem {
    sk: String,
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    requested_at: Timestamp,
    #[serde(default, with = "jiff::fmt::serde::timestamp::millisecond::optional")]
    counted_at: Option<Timestamp>,
    #[serde(default)]
    failure: Option<String>,
    #[serde(default)]
    is_automatic: bool,
    #[serde(default)]
    parts: usize,
}

/// An item of rows.
#[derive(Serialize, Deserialize)]
struct RowsItem {
    #[serde(default, skip_serializing)]
    sk: String,
    data: ByteBuf,
}

impl Table {
    /// Records that periods were asked for. What was counted of them before stays until they are counted again.
    pub async fn request_reach(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        level: Level,
        periods: &[DateRange],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let expression =
            "SET requested_at = :now, expires = :expires, is_automatic = :automatic REMOVE failure";
        self.record_request(ws, account, level, (periods, false), expression, now).await
    }

    /// Records that periods are to be counted although nobody has asked. What somebody has asked for stays so.
    pub async fn renew_reach(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        level: Level,
        periods: &[DateRange],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let expression = "SET requested_at = :now, expires = if_not_exists(expires, :expires), \
                          is_automatic = if_not_exists(is_automatic, :automatic) REMOVE failure";
        self.record_request(ws, account, level, (periods, true), expression, now).await
    }

    async fn record_request(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        level: Level,
        (periods, is_automatic): (&[DateRange], bool),
        expression: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        for period in periods {
            let key = key::reach(ws, account, level, *period);
            let values = vec![
                (":now", millis(now)),
                (":expires", number(expiry(*period, is_automatic))),
                (":automatic", AttributeValue::Bool(is_automatic)),
            ];
            self.update::<PeriodItem>(&key, expression, None, values).await?;
        }
        Ok(())
    }

    /// Stores the count of a period, unless a later count is stored.
    pub async fn store_reach(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        (level, period): (Level, DateRange),
        counted_at: Timestamp,
        rows: &[(Option<EntityId>, Reach)],
    ) -> Result<(), StoreError> {
        let head = key::reach(ws, account, level, period);
        let known: Option<PeriodItem> = self.get(&head).await?;
        let expiry = expiry(period, known.is_some_and(|known| known.is_automatic));
        let rows_expiry = expiry + ROWS_KEPT_LONGER * 86_400;
        let rows_key = |part| key::reach_rows(ws, account, (level, period), counted_at, part);
        let parts = rows.chunks(MAX_ROWS_PER_ITEM);
        let count = parts.len();
        for (part, rows) in parts.enumerate() {
            let json = serde_json::to_vec(rows).map_err(|error| StoreError::Internal(error.to_string()))?;
            let item = RowsItem { sk: String::new(), data: ByteBuf::from(compress(&json)?) };
            self.put_with_ttl(&rows_key(part), &item, rows_expiry, None).await?;
        }
        let expression = "SET counted_at = :counted_at, parts = :parts, expires = if_not_exists(expires, :expires), \
                          requested_at = if_not_exists(requested_at, :counted_at) REMOVE failure";
        let condition = "attribute_not_exists(counted_at) OR counted_at <= :counted_at";
        let values = vec![
            (":counted_at", millis(counted_at)),
            (":parts", number(count)),
            (":expires", number(expiry)),
        ];
        match self.update::<PeriodItem>(&head, expression, Some(condition), values).await {
            Ok(_) => {
                // The rows of earlier counts.
                let (first, own) = (key::reach_rows_prefix(level, period), rows_key(0).sk);
                let earlier: Vec<RowsItem> = self.query_between(&head.pk, &first, &own).await?;
                let earlier = earlier.into_iter().filter(|item| item.sk < own);
                let keys = earlier.map(|item| Key { pk: head.pk.clone(), sk: item.sk }).collect();
                self.delete_keys(keys).await
            }
            // A later count is there.
            Err(StoreError::Conflict) => self.delete_keys((0..count).map(rows_key).collect()).await,
            Err(error) => Err(error),
        }
    }

    /// Records why periods cannot be counted. What was counted of them before stays.
    pub async fn fail_reach(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        level: Level,
        periods: &[DateRange],
        reason: &str,
    ) -> Result<(), StoreError> {
        for period in periods {
            let key = key::reach(ws, account, level, *period);
            let (expression, condition) = ("SET failure = :reason", Some("attribute_exists(pk)"));
            let values = vec![(":reason", text(reason))];
            match self.update::<PeriodItem>(&key, expression, condition, values).await {
                // Deleted meanwhile.
                Ok(_) | Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Lists all periods of an account.
    pub async fn reach_periods(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
    ) -> Result<Vec<ReachPeriod>, StoreError> {
        let pk = key::account_partition(ws, account);
        Ok(periods(self.query_prefix(&pk, key::REACH_PREFIX).await?))
    }

    /// Reads what is known about some periods of a level, which are in order. Those that nobody has asked for are left out.
    pub async fn reach_periods_of(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        level: Level,
        wanted: &[DateRange],
    ) -> Result<Vec<ReachPeriod>, StoreError> {
        let (Some(first), Some(last)) = (wanted.first(), wanted.last()) else { return Ok(Vec::new()) };
        let key = |period: &DateRange| key::reach(ws, account, level, *period);
        let items = self.query_between(&key(first).pk, &key(first).sk, &key(last).sk).await?;
        Ok(periods(items).into_iter().filter(|known| wanted.contains(&known.period)).collect())
    }

    /// Reads the rows of periods, in the same order: none of one that was counted again meanwhile, which is to be read anew, or
    /// whose rows have expired.
    pub async fn reach_rows(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        periods: &[ReachPeriod],
    ) -> Result<Vec<Option<ReachRows>>, StoreError> {
        let mut keys = Vec::new();
        let mut number_of = HashMap::new();
        for (number, ReachPeriod { level, period, counted_at, parts, .. }) in periods.iter().enumerate() {
            let Some(counted_at) = counted_at else { continue };
            for part in 0..*parts {
                let key = key::reach_rows(ws, account, (*level, *period), *counted_at, part);
                keys.push(key.attributes());
                number_of.insert(key.sk, number);
            }
        }
        let items = self.batch_get(keys).await?;
        let mut rows = vec![(0, ReachRows::new()); periods.len()];
        for item in items {
            let RowsItem { sk, data } = from_item(item)?;
            let read: Vec<(Option<EntityId>, Reach)> = serde_json::from_slice(&decompress(&data)?)
                .map_err(|error| StoreError::Internal(error.to_string()))?;
            if let Some((parts, rows)) = number_of.get(&sk).and_then(|number| rows.get_mut(*number)) {
                *parts += 1;
                rows.extend(read);
            }
        }
        let whole = |((parts, rows), period): ((usize, ReachRows), &ReachPeriod)| {
            (period.counted_at.is_none() || parts == period.parts).then_some(rows)
        };
        Ok(rows.into_iter().zip(periods).map(whole).collect())
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
        let rows: Vec<RowsItem> = self.query_prefix(&head.pk, &key::reach_rows_prefix(level, period)).await?;
        let rows = rows.into_iter().map(|item| Key { pk: head.pk.clone(), sk: item.sk });
        self.delete_keys(rows.chain([head.clone()]).collect()).await
    }
}

fn periods(items: Vec<PeriodItem>) -> Vec<ReachPeriod> {
    let period = |item: PeriodItem| {
        let PeriodItem { sk, requested_at, counted_at, failure, is_automatic, parts } = item;
        let (level, period) = key::parse_reach(&sk)?;
        Some(ReachPeriod { level, period, requested_at, counted_at, failure, is_automatic, parts })
    };
    items.into_iter().filter_map(period).collect()
}

/// Returns when a period may be deleted, in Unix seconds.
fn expiry(period: DateRange, is_automatic: bool) -> i64 {
    let days = if is_automatic { AUTOMATIC_KEPT_DAYS } else { KEPT_DAYS };
    let last = period.until.saturating_add(jiff::Span::new().days(days));
    last.to_zoned(jiff::tz::TimeZone::UTC).map_or(i64::MAX, |end| end.timestamp().as_second())
}
