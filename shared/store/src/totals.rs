//! How the sums of measured days compare with the account's own totals.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use domain::Error;
use domain::dataset::Dataset;
use domain::id::AdAccountId;
use domain::tenant::Tenant;
use domain::totals::DayTotals;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value;

use crate::account::AdAccount;
use crate::chunk::Chunk;
use crate::key;
use crate::table::{StoreError, Table};

/// A comparison of a day's sum with the account's own total.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TotalsCheck {
    /// When the sum that was compared was measured: once the day is measured again, the check is past.
    pub measured_at: Timestamp,
    /// When they were compared.
    pub checked_at: Timestamp,
    /// Absent where they agree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<TotalsDifference>,
    /// How often the day was measured again because they did not.
    pub repeats: u32,
}

/// A day whose sum is another one than the account's own total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct TotalsDifference {
    /// The sum of all rows.
    pub rows: DayTotals,
    /// What the platform reports for the whole account.
    pub account: DayTotals,
}

impl Chunk {
    /// Returns the last check of a day, also one that is past.
    pub fn last_check(&self, day: Date) -> Option<&TotalsCheck> {
        self.checks.get(&day)
    }

    /// Returns the check of a day as it is measured now.
    pub fn check(&self, day: Date) -> Option<&TotalsCheck> {
        self.last_check(day).filter(|check| self.measured_at(day) == Some(check.measured_at))
    }

    /// Returns how a day's sum differed from the account's own total when it was last checked. A day that is measured
    /// again counts as differing until a check agrees.
    pub fn difference(&self, day: Date) -> Option<&TotalsDifference> {
        self.last_check(day)?.difference.as_ref()
    }

    /// Returns when a day was last checked.
    pub fn last_checked_at(&self) -> Option<Timestamp> {
        self.checks.values().map(|check| check.checked_at).max()
    }
}

/// Returns the days of `ad_day` that were measured after their end and not checked since, the latest first. Imported
/// accounts have no totals of their own to check against.
pub fn unchecked_days<'a>(account: &AdAccount, chunks: &'a [Chunk]) -> Result<Vec<(&'a Chunk, Date)>, Error> {
    let mut days = Vec::new();
    if account.connection.is_none() {
        return Ok(days);
    }
    for chunk in chunks.iter().filter(|chunk| chunk.dataset == Dataset::AD_DAY) {
        let week = chunk.week.range();
        for day in week.days_within(week) {
            if let Some(measured_at) = chunk.measured_at(day)
                && chunk.check(day).is_none()
                && measured_at >= account.end_of(day)?
            {
                days.push((chunk, day));
            }
        }
    }
    days.sort_unstable_by_key(|(_, day)| Reverse(*day));
    Ok(days)
}

impl Table {
    /// Adds checks to those of a week of `ad_day` as it was read. One of two checks at the same time may be lost, and is
    /// made again.
    pub async fn record_checks(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        chunk: &Chunk,
        checks: BTreeMap<Date, TotalsCheck>,
    ) -> Result<(), StoreError> {
        let key = key::chunk(ws, account, Dataset::AD_DAY, chunk.week);
        let mut all = chunk.checks.clone();
        all.extend(checks);
        let values = vec![(":checks", to_attribute_value(&all)?)];
        match self.update::<Chunk>(&key, "SET checks = :checks", Some("attribute_exists(pk)"), values).await {
            // Deleted meanwhile.
            Ok(_) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
