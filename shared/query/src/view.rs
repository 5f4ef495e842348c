//! Parts of answers as the API shows them.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Serialize;

use crate::answer::{Row, Totals};
use crate::document::Query;
use crate::measure::Measure;
use crate::numbers::{Numbers, Values};

/// Decimal places of a relative change.
const CHANGE_PLACES: u32 = 6;

/// How a measure has changed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Change {
    /// The difference.
    pub absolute: Decimal,
    /// The difference as a fraction of the number before; absent where that is zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relative: Option<Decimal>,
}

/// How measures have changed. What is unknown in one of the periods is left out.
type Changes = BTreeMap<Measure, Change>;

impl Change {
    /// Returns how a number differs; `None` where one of them is unknown, or they count different results.
    pub fn of(measure: &Measure, numbers: &Numbers, previous: &Numbers) -> Option<Self> {
        if measure.is_of_results() && numbers.result_type() != previous.result_type() {
            return None;
        }
        let before = previous.of(measure)?;
        let absolute = numbers.of(measure)? - before;
        let relative = absolute.checked_div(before.abs());
        Some(Self { absolute, relative: relative.map(|change| change.round_dp(CHANGE_PLACES).normalize()) })
    }
}

fn changes(numbers: &Numbers, previous: &Numbers, query: &Query) -> Changes {
    let change = |measure: &Measure| Some((measure.clone(), Change::of(measure, numbers, previous)?));
    query.measures.iter().filter_map(change).collect()
}

/// Measures, and how they have changed.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct MeasuresView {
    measures: Values,
    /// The measure that counts the results: `purchases`, `leads`, or `actions.` and an action type. Absent where it is not
    /// known, or not one.
    #[serde(skip_serializing_if = "Option::is_none")]
    result_type: Option<String>,
    /// The measures of the days that are compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<Values>,
    /// How the measures have changed against them. What is unknown in one of the periods is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<Changes>,
}

impl MeasuresView {
    fn new(numbers: &Numbers, previous: Option<&Numbers>, query: &Query) -> Self {
        let values = |numbers: &Numbers| numbers.values(&query.measures, query.details());
        let shows_results = query.measures.iter().any(Measure::is_of_results);
        Self {
            measures: values(numbers),
            result_type: numbers.result_type().filter(|_| shows_results).map(str::to_owned),
            previous: previous.map(values),
            change: previous.map(|previous| changes(numbers, previous, query)),
        }
    }
}

impl Row {
    /// Returns the measures that the query asks for.
    pub fn measures(&self, query: &Query) -> MeasuresView {
        MeasuresView::new(&self.numbers, self.previous.as_ref(), query)
    }

    /// Returns the sparklines by their measures.
    pub fn sparklines(&self, query: &Query) -> BTreeMap<Measure, Vec<Option<Decimal>>> {
        query.sparklines.iter().flatten().cloned().zip(self.sparklines.iter().cloned()).collect()
    }
}

/// All rows of an answer together, also those of other pages. Ratios are ratios of sums; what cannot be summed is left
/// out.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "describe", schemars(rename = "Totals"))]
pub struct TotalsView {
    /// How many there are.
    rows: usize,
    #[serde(flatten)]
    measures: MeasuresView,
}

impl TotalsView {
    /// Returns the totals of a query's answer.
    pub fn new(totals: &Totals, query: &Query) -> Self {
        let Totals { rows, numbers, previous } = totals;
        Self { rows: *rows, measures: MeasuresView::new(numbers, previous.as_ref(), query) }
    }
}
