//! Budgets: the least that Meta takes, and hours with a higher one.

use ads::Invalid;
use ads::id::{AdAccountId, ObjectId};
use ads::money::Currency;
use ads::object::AdObject;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::client::Caller;
use crate::error::{Details, GraphError};
use crate::page::Pages;

/// Rows of a page. Minimum budgets come for every currency, and an object has no more than fifty periods.
const PAGE: u32 = 100;

const MINIMUM: &str = "currency,min_daily_budget_imp,min_daily_budget_high_freq,min_daily_budget_low_freq,\
                       min_daily_budget_video_views";

/// A period of a higher budget lasts no less.
const SHORTEST: SignedDuration = SignedDuration::from_hours(3);

/// On a day with a higher budget Meta spends up to so many times the usual one.
const MOST_TIMES: i64 = 8;

/// By how much a daily budget is raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Raise {
    /// By this amount of minor units.
    By(i64),
    /// To so many times itself.
    Times(i64),
}

/// Some hours with a higher daily budget (Marketing API, "Budget scheduling").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetPeriod {
    /// From when; to the second.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// By how much.
    pub raise: Raise,
}

/// A period that an object has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptPeriod {
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
    pub frequent: i64,
    /// When offers, installs and the like are paid for.
    #[serde(rename = "min_daily_budget_low_freq")]
    pub rare: i64,
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
    pub fn check(&self, daily_budget: Option<i64>, now: Timestamp) -> Result<(), Invalid> {
        let Some(daily) = daily_budget else {
            return Err(Invalid::new(
                "daily_budget",
                "must be the object's own: only such a budget can be raised",
            ));
        };
        if self.until <= now {
            return Err(Invalid::new("until", "must be in the future"));
        }
        if self.until.duration_since(self.from) < SHORTEST {
            return Err(Invalid::new("until", "must be three hours or more after the beginning"));
        }
        let total = match self.raise {
            Raise::By(amount) if amount > 0 => daily.checked_add(amount),
            Raise::Times(times) if times > 0 => daily.checked_mul(times),
            Raise::By(_) | Raise::Times(_) => return Err(Invalid::new("raise", "must be more than nothing")),
        };
        let most = daily.saturating_mul(MOST_TIMES);
        if total.is_none_or(|total| total > most) {
            let problem = format!("must not come to more than {MOST_TIMES} times the daily budget");
            return Err(Invalid::new("raise", problem));
        }
        Ok(())
    }
}

impl Caller {
    /// Gives a campaign or ad set, as it stands now, a higher budget for some hours. Answers the period's id.
    ///
    /// Sent once. With [`GraphError::UnknownOutcome`] look for it in [`Caller::budget_periods`].
    pub async fn add_budget_period(
        &self,
        owner: &AdObject,
        period: &BudgetPeriod,
    ) -> Result<ObjectId, GraphError> {
        period.check(owner.daily_budget, self.graph().now()).map_err(|invalid| {
            GraphError::FixInput(Details { blames: vec![invalid.field], ..Details::of(invalid.problem) })
        })?;
        let (kind, value) = match period.raise {
            Raise::By(amount) => ("ABSOLUTE", amount),
            Raise::Times(times) => ("MULTIPLIER", times),
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
    pub async fn budget_periods(&self, owner: &ObjectId) -> Result<Vec<KeptPeriod>, GraphError> {
        let query = vec![("fields", "id,time_start,time_end,budget_value,budget_value_type".to_owned())];
        let rows = Pages::<Row>::new(self.clone(), format!("{owner}/budget_schedules"), query, PAGE);
        rows.all().await?.into_iter().map(KeptPeriod::try_from).collect()
    }

    /// The least daily budgets of an ad account. Meta lists every currency; none when it leaves this one out.
    pub async fn minimum_budget(
        &self,
        account: &AdAccountId,
        currency: Currency,
    ) -> Result<Option<MinimumBudget>, GraphError> {
        let query = vec![("fields", MINIMUM.to_owned())];
        let rows =
            Pages::<MinimumBudget>::new(self.clone(), format!("{account}/minimum_budgets"), query, PAGE);
        Ok(rows.all().await?.into_iter().find(|row| row.currency == currency))
    }
}

impl TryFrom<Row> for KeptPeriod {
    type Error = GraphError;

    fn try_from(row: Row) -> Result<Self, GraphError> {
        let time = |at: &str, text: &str| {
            // An offset without a colon, as everywhere at Meta.
            let read =
                jiff::fmt::strtime::parse("%Y-%m-%dT%H:%M:%S%z", text).and_then(|time| time.to_timestamp());
            read.map_err(|error| shape(at, error.to_string()))
        };
        let raise = match row.budget_value_type.as_str() {
            "ABSOLUTE" => Raise::By(row.budget_value),
            "MULTIPLIER" => Raise::Times(row.budget_value),
            other => return Err(shape("budget_value_type", format!("{other} is unknown"))),
        };
        let (from, until) = (time("time_start", &row.time_start)?, time("time_end", &row.time_end)?);
        Ok(Self { id: row.id, period: BudgetPeriod { from, until, raise } })
    }
}

fn shape(at: &str, problem: String) -> GraphError {
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
        assert_eq!(blamed(period(3, Raise::By(7_000)), Some(1_000)), None);
        assert_eq!(blamed(period(3, Raise::Times(8)), Some(1_000)), None);
        assert_eq!(blamed(period(3, Raise::By(7_001)), Some(1_000)).unwrap(), "raise");
        assert_eq!(blamed(period(3, Raise::Times(9)), Some(1_000)).unwrap(), "raise");
        assert_eq!(blamed(period(3, Raise::Times(i64::MAX)), Some(1_000)).unwrap(), "raise");
        assert_eq!(blamed(period(3, Raise::By(0)), Some(1_000)).unwrap(), "raise");
        assert_eq!(blamed(period(2, Raise::By(1)), Some(1_000)).unwrap(), "until");
        assert_eq!(blamed(period(-9, Raise::By(1)), Some(1_000)).unwrap(), "until");
        assert_eq!(blamed(period(3, Raise::By(1)), None).unwrap(), "daily_budget");
    }
}
