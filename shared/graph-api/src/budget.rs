//! Budgets: the least that Meta takes, and hours with a higher one.

use domain::FieldError;
use domain::id::{AdAccountId, ObjectId};
use domain::money::Currency;
use domain::object::AdObject;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::client::Caller;
use crate::error::{Details, GraphError};
use crate::page::Pages;

/// Rows of a page. Minimum budgets come for every currency, and an object has no more than fifty periods.
const PAGE_ROWS: u32 = 100;

const MINIMUM_BUDGET_FIELDS: &str = "currency,min_daily_budget_imp,min_daily_budget_high_freq,min_daily_budget_low_freq,\
                       min_daily_budget_video_views";

/// A period of a higher budget lasts no less.
const MIN_PERIOD: SignedDuration = SignedDuration::from_hours(3);

/// On a day with a higher budget Meta spends up to so many times the usual one.
const MAX_MULTIPLIER: i64 = 8;

/// By how much a daily budget is raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BudgetIncrease {
    /// By this amount of minor units.
    Amount(i64),
    /// To so many times itself.
    Multiplier(i64),
}

/// Some hours with a higher daily budget (Marketing API, "Budget scheduling").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetPeriod {
    /// From when; to the second.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// By how much.
    pub raise: BudgetIncrease,
}

/// A period that an object has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBudgetPeriod {
    /// Its id, with which [`Caller::remove`] takes it away.
    pub id: ObjectId,
    /// What it says.
    pub period: BudgetPeriod,
}

/// The least daily budgets in a currency, in minor units. They follow exchange rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct MinimumBudget {
    /// The currency.
    pub currency: Currency,
    /// When impressions are paid for.
    #[serde(rename = "min_daily_budget_imp")]
    pub impressions: i64,
    /// When clicks, likes and the like are paid for.
    #[serde(rename = "min_daily_budget_high_freq")]
    pub high_frequency: i64,
    /// When offers, installs and the like are paid for.
    #[serde(rename = "min_daily_budget_low_freq")]
    pub low_frequency: i64,
    /// When views of a video are paid for.
    #[serde(rename = "min_daily_budget_video_views")]
    pub video_views: i64,
}

#[derive(Deserialize)]
struct Created {
    id: ObjectId,
}

#[derive(Deserialize)]
struct Row {
    id: ObjectId,
    time_start: String,
    time_end: String,
    budget_value: i64,
    budget_value_type: String,
}

impl BudgetPeriod {
    /// Whether Meta would take it for an object with this daily budget, as far as its documentation tells.
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

impl Caller {
    /// Gives a campaign or ad set, as it stands now, a higher budget for some hours. Answers the period's id.
    ///
    /// Sent once. With [`GraphError::Indeterminate`] look for it in [`Caller::budget_periods`].
    pub async fn add_budget_period(
        &self,
        owner: &AdObject,
        period: &BudgetPeriod,
    ) -> Result<ObjectId, GraphError> {
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

    /// The periods of a campaign or ad set. [`Caller::remove`] takes one away.
    pub async fn budget_periods(&self, owner: &ObjectId) -> Result<Vec<StoredBudgetPeriod>, GraphError> {
        let query = vec![("fields", "id,time_start,time_end,budget_value,budget_value_type".to_owned())];
        let rows = Pages::<Row>::new(self.clone(), format!("{owner}/budget_schedules"), query, PAGE_ROWS);
        rows.all().await?.into_iter().map(StoredBudgetPeriod::try_from).collect()
    }

    /// The least daily budgets of an ad account. Meta lists every currency; none when it leaves this one out.
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
            // An offset without a colon, as everywhere at Meta.
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
