//! Answers: rows in order, totals, and what they are about.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::date::DateRange;
use domain::entity::Entity;
use domain::id::EntityId;
use domain::money::Currency;
use jiff::civil::Date;
use rust_decimal::Decimal;
use store::account::AdAccount;
use store::report_scope::ReportScope;

use crate::document::{Dimension, Query};
use crate::filter::weekday_name;
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
                (None, Dimension::Weekday) => weekday_name(self.bucket?).to_owned(),
                (None, _) => self.bucket?.to_string(),
            };
            Some((*dimension, value))
        };
        query.dimensions.iter().filter_map(value).collect()
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
