//! Answers: rows in order, totals, and what they are about.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::date::{DateRange, Weekdays};
use domain::entity::Entity;
use domain::id::EntityId;
use domain::money::Currency;
use jiff::Timestamp;
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::Serialize;
use store::account::AdAccount;
use store::report_scope::ReportScope;

use crate::document::{Dimension, Query};
use crate::numbers::Numbers;

/// The answer to a query.
#[derive(Debug)]
pub struct Answer {
    /// The currency of every amount.
    pub currency: Currency,
    /// The ad accounts, in the order in which they were asked for.
    pub accounts: Vec<AccountScope>,
    /// The days.
    pub range: DateRange,
    /// The days that are compared with.
    pub compared: Option<DateRange>,
    /// A page of rows.
    pub rows: Vec<Row>,
    /// All rows together, also those of other pages.
    pub totals: Totals,
    /// Rows that were left out because a number of a filter is unknown.
    pub unknown_rows: usize,
    /// The position of the last row.
    pub last: Option<String>,
    /// Whether more rows follow.
    pub more: bool,
    /// Bytes of the rows as JSON, about; 0 for a query without a bound of them.
    pub bytes: usize,
}

impl Answer {
    /// Returns the position after which the next page begins; `None` on the last page.
    pub fn after(&self) -> Option<String> {
        self.last.clone().filter(|_| self.more)
    }
}

/// An ad account of an answer, and how fresh its numbers are.
#[derive(Debug)]
pub struct AccountScope {
    /// Its name.
    pub name: Option<String>,
    /// Its days.
    pub scope: ReportScope,
    /// The days that are compared with.
    pub compared: Option<ReportScope>,
    /// How fresh its reach is; `None` where none is asked for.
    pub reach: Option<ReachScope>,
}

/// How fresh the reach of an answer is.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct ReachScope {
    /// When the period that was counted first was; absent while none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Timestamp>,
    /// Periods whose reach is not known, or could not be counted again.
    pub missing: Vec<MissingReach>,
}

/// A period whose reach is not known, or could not be counted again.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct MissingReach {
    /// Its first day.
    pub since: Date,
    /// Its last day.
    pub until: Date,
    /// Why.
    pub state: MissingReachState,
    /// What the platform says, where it could not be counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Why the reach of a period is not known, or not newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MissingReachState {
    /// It is being counted.
    Pending,
    /// It could not be counted.
    Failed,
    /// Nobody has asked for it: `POST ad-accounts/{ad_account}/reach`.
    NotRequested,
    /// People cannot be counted for rows of this kind, such as days of the week or a choice of campaigns.
    NotCountable,
}

/// A row of an answer.
#[derive(Debug, Clone)]
pub struct Row {
    /// Index of the ad account in the answer.
    pub account: usize,
    /// The entity's id; `None` at account level.
    pub id: Option<EntityId>,
    /// The entity; `None` at account level, and where only numbers are known of it.
    pub entity: Option<Arc<Entity>>,
    /// Its campaign, below that level.
    pub campaign_id: Option<EntityId>,
    /// Its ad set, below that level.
    pub adset_id: Option<EntityId>,
    /// The day that stands for the row's days; `None` for all of the range. See [`domain::date::Grain::bucket`].
    pub bucket: Option<Date>,
    /// The values of the query's dimensions that are attributes, in their order.
    pub attributes: Vec<Option<String>>,
    /// The values of the query's dimensions that are breakdowns, in their order.
    pub breakdowns: Vec<Option<String>>,
    /// Its numbers.
    pub numbers: Numbers,
    /// Those of the days that are compared with.
    pub previous: Option<Numbers>,
    /// The attribution setting behind the conversions, if all of them have the same.
    pub attribution_setting: Option<String>,
    /// Numbers of each day for each of the query's sparklines.
    pub sparklines: Vec<Vec<Option<Decimal>>>,
}

impl Row {
    /// Returns the entity's name, or at account level the account's.
    pub fn name(&self, account: &AdAccount) -> Option<String> {
        match &self.id {
            Some(_) => self.entity.as_ref()?.name.clone(),
            None => account.name.clone(),
        }
    }

    /// Returns the values of the query's dimensions; what is unknown is left out.
    pub fn dimensions(&self, query: &Query) -> BTreeMap<Dimension, String> {
        let (mut attributes, mut breakdowns) = (self.attributes.iter(), self.breakdowns.iter());
        let value = |dimension: &Dimension| {
            let value = match (dimension.attribute(), dimension) {
                (Some(_), _) => attributes.next()?.clone()?,
                (None, Dimension::Breakdown(_)) => breakdowns.next()?.clone()?,
                (None, Dimension::Weekday) => Weekdays::name(self.bucket?).to_owned(),
                (None, _) => self.bucket?.to_string(),
            };
            Some((*dimension, value))
        };
        query.dimensions.iter().filter_map(value).collect()
    }
}

impl Totals {
    /// Adds a row. The reach of a single one is that of all.
    pub(crate) fn add(&mut self, row: &Row) {
        self.rows += 1;
        if self.rows == 1 {
            (self.numbers, self.previous) = (row.numbers.clone(), row.previous.clone());
            return;
        }
        self.numbers.add(&row.numbers);
        if let Some(previous) = &row.previous {
            self.previous.get_or_insert_default().add(previous);
        }
    }
}

/// All rows of an answer together.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// How many there are.
    pub rows: usize,
    /// Their sums. Ratios are ratios of sums; reach is unknown.
    pub numbers: Numbers,
    /// Those of the days that are compared with.
    pub previous: Option<Numbers>,
}
