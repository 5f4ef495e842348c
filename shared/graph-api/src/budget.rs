//! Minimum daily budgets, and periods with a higher budget.

use domain::FieldError;
use domain::entity::Entity;
use domain::id::{AdAccountId, EntityId};
use domain::money::Currency;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::client::UserClient;
use crate::error::{Details, GraphError};
use crate::page::Pages;

/// Rows per page. Minimum budgets have one row per currency, and an object has at most fifty periods.
const PAGE_ROWS: u32 = 100;

const MINIMUM_BUDGET_FIELDS: &str = "currency,min_daily_budget_imp,min_daily_budget_high_freq,min_daily_budget_low_freq,\
                       min_daily_budget_video_views";

/// The minimum length of a period with a higher budget.
const MIN_PERIOD: SignedDuration = SignedDuration::from_hours(3);

/// The maximum spend on a day with a higher budget, as a multiple of the daily budget.
const MAX_MULTIPLIER: i64 = 8;

/// The increase of a daily budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BudgetIncrease {
    /// An amount to add, in minor units.
    Amount(i64),
    /// A factor to multiply it by.
    Multiplier(i64),
}

/// A period with a higher daily budget (Marketing API, "Budget scheduling").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetPeriod {
    /// The start, to the second.
    pub from: Timestamp,
    /// The end.
    pub until: Timestamp,
    /// The increase.
    pub raise: BudgetIncrease,
}

/// A period that an object has at Meta.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBudgetPeriod {
    /// Its id, with which [`UserClient::remove`] deletes it.
    pub id: EntityId,
    /// The period.
    pub period: BudgetPeriod,
}

/// The minimum daily budgets in a currency, in minor units. They follow exchange rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct MinimumBudget {
    /// The currency.
    pub currency: Currency,
    /// The minimum when impressions are billed.
    #[serde(rename = "min_daily_budget_imp")]
    pub impressions: i64,
    /// The minimum when clicks, likes and the like are billed.
    #[serde(rename = "min_daily_budget_high_freq")]
    pub high_frequency: i64,
    /// The minimum when offers, installs and the like are billed.
    #[serde(rename = "min_daily_budget_low_freq")]
    pub low_frequency: i64,
    /// The minimum when video views are billed.
    #[serde(rename = "min_daily_budget_video_views")]
    pub video_views: i64,
}

#[derive(Deserialize)]
struct Created {
    id: EntityId,
}

#[derive(Deserialize)]
struct Row {
    id: EntityId,
    time_start: String,
    time_end: String,
    budget_value: i64,
    budget_value_type: String,
}

impl BudgetPeriod {
    /// Checks the period for an object with this daily budget against the rules that Meta documents.
    pub fn check(&self, daily_budget: Option<i64>, now: Timestamp) -> Result<(), FieldError> {
        let Some(daily) = daily_budget else {
            return Err(FieldError::new(
                "daily_budget",
                "must be the object's own: only such a budget can be raised",
            ));
        };
        if self.until <= now {
            return Err(FieldError::new("until", "must be in the future"));
        }
        if self.until.duration_since(self.from) < MIN_PERIOD {
            return Err(FieldError::new("until", "must be three hours or more after the beginning"));
        }
        let total = match self.raise {
            BudgetIncrease::Amount(amount) if amount > 0 => daily.checked_add(amount),
            BudgetIncrease::Multiplier(times) if times > 0 => daily.checked_mul(times),
            BudgetIncrease::Amount(_) | BudgetIncrease::Multiplier(_) => {
                return Err(FieldError::new("raise", "must be more than nothing"));
            }
        };
        let max_total = daily.saturating_mul(MAX_MULTIPLIER);
        if total.is_none_or(|total| total > max_total) {
            let problem = format!("must not come to more than {MAX_MULTIPLIER} times the daily budget");
            return Err(FieldError::new("raise", problem));
        }
        Ok(())
    }
}

impl UserClient {
    /// Adds a period with a higher budget to a campaign or ad set, given in its current state, and returns the period's
    /// id.
    ///
    /// Sent once. After [`GraphError::Indeterminate`] look for it in [`UserClient::budget_periods`].
    pub async fn add_budget_period(
        &self,
        owner: &Entity,
        period: &BudgetPeriod,
    ) -> Result<EntityId, GraphError> {
        period.check(owner.daily_budget, self.graph().now()).map_err(|invalid| {
            GraphError::InvalidInput(Details {
                blamed_fields: vec![invalid.field],
                ..Details::of(invalid.message)
            })
        })?;
        let (kind, value) = match period.raise {
            BudgetIncrease::Amount(amount) => ("ABSOLUTE", amount),
            BudgetIncrease::Multiplier(times) => ("MULTIPLIER", times),
        };
        let [value, from, until] =
            [value, period.from.as_second(), period.until.as_second()].map(|number| number.to_string());
        let form = [
            ("budget_value_type", kind),
            ("budget_value", &value),
            ("time_start", &from),
            ("time_end", &until),
        ];
        let created: Created = self.create(&format!("{}/budget_schedules", owner.id), &form).await?;
        Ok(created.id)
    }

    /// Reads the periods of a campaign or ad set. [`UserClient::remove`] deletes one.
    pub async fn budget_periods(&self, owner: &EntityId) -> Result<Vec<StoredBudgetPeriod>, GraphError> {
        let query = vec![("fields", "id,time_start,time_end,budget_value,budget_value_type".to_owned())];
        let rows = Pages::<Row>::new(self.clone(), format!("{owner}/budget_schedules"), query, PAGE_ROWS);
        rows.all().await?.into_iter().map(StoredBudgetPeriod::try_from).collect()
    }

    /// Reads the minimum daily budgets of an ad account in a currency. Meta lists every currency; `None` when this one
    /// is missing.
    pub async fn minimum_budget(
        &self,
        account: &AdAccountId,
        currency: Currency,
    ) -> Result<Option<MinimumBudget>, GraphError> {
        let query = vec![("fields", MINIMUM_BUDGET_FIELDS.to_owned())];
        let rows =
            Pages::<MinimumBudget>::new(self.clone(), format!("{account}/minimum_budgets"), query, PAGE_ROWS);
        Ok(rows.all().await?.into_iter().find(|row| row.currency == currency))
    }
}

impl TryFrom<Row> for StoredBudgetPeriod {
    type Error = GraphError;

    fn try_from(row: Row) -> Result<Self, GraphError> {
        let time = |at: &str, text: &str| {
            // Meta writes UTC offsets without a colon.
            let read =
                jiff::fmt::strtime::parse("%Y-%m-%dT%H:%M:%S%z", text).and_then(|time| time.to_timestamp());
            read.map_err(|error| unexpected_shape(at, error.to_string()))
        };
        let raise = match row.budget_value_type.as_str() {
            "ABSOLUTE" => BudgetIncrease::Amount(row.budget_value),
            "MULTIPLIER" => BudgetIncrease::Multiplier(row.budget_value),
            other => return Err(unexpected_shape("budget_value_type", format!("{other} is unknown"))),
        };
        let (from, until) = (time("time_start", &row.time_start)?, time("time_end", &row.time_end)?);
        Ok(Self { id: row.id, period: BudgetPeriod { from, until, raise } })
    }
}

fn unexpected_shape(at: &str, problem: String) -> GraphError {
    GraphError::UnexpectedShape { at: at.to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_held_against_what_meta_documents() {
        let now: Timestamp = "2026-11-20T00:00:00Z".parse().unwrap();
        let period = |hours: i64, raise| {
            let from = now + SignedDuration::from_hours(1);
            BudgetPeriod { from, until: from + SignedDuration::from_hours(hours), raise }
        };
        let blamed = |period: BudgetPeriod, daily: Option<i64>| {
            period.check(daily, now).err().map(|invalid| invalid.field)
        };
        assert_eq!(blamed(period(3, BudgetIncrease::Amount(7_000)), Some(1_000)), None);
        assert_eq!(blamed(period(3, BudgetIncrease::Multiplier(8)), Some(1_000)), None);
        assert_eq!(blamed(period(3, BudgetIncrease::Amount(7_001)), Some(1_000)).unwrap(), "raise");
        assert_eq!(blamed(period(3, BudgetIncrease::Multiplier(9)), Some(1_000)).unwrap(), "raise");
        assert_eq!(blamed(period(3, BudgetIncrease::Multiplier(i64::MAX)), Some(1_000)).unwrap(), "raise");
        assert_eq!(blamed(period(3, BudgetIncrease::Amount(0)), Some(1_000)).unwrap(), "raise");
        assert_eq!(blamed(period(2, BudgetIncrease::Amount(1)), Some(1_000)).unwrap(), "until");
        assert_eq!(blamed(period(-9, BudgetIncrease::Amount(1)), Some(1_000)).unwrap(), "until");
        assert_eq!(blamed(period(3, BudgetIncrease::Amount(1)), None).unwrap(), "daily_budget");
    }
}
