//! Rows that are made once and read later: what a report run holds.

use std::ops::Range;

use jiff::civil::Date;
use serde_json::{Map, Value};

use super::about::About;
use super::query::{self, Query};
use super::ripening::Moment;
use super::table::{Kept, Table};
use super::writer::Writer;
use super::{Subject, period};
use crate::call::GraphCall;
use crate::error::{GraphError, invalid};
use crate::node::Kind;
use crate::paging::{Link, page};
use crate::params::Params;
use crate::world::World;

/// Insights that were ordered, to be made later.
pub(crate) struct Order(Query);

impl Order {
    /// Reads an order for insights of an object of this kind; what cannot be ordered is refused at once.
    pub(crate) fn read(call: &GraphCall, kind: Kind, today: Date) -> Result<Self, GraphError> {
        Query::read(call, kind, today).map(Self)
    }

    /// The first and the last day.
    pub(crate) fn bounds(&self) -> (Date, Date) {
        let period::Range { since, until } = self.0.period.bounds_of_all();
        (since, until)
    }
}

/// Numbers as they were when they were looked at. Names are those of the time of reading.
pub(crate) struct Frozen {
    rows: Vec<Kept>,
    moment: Moment,
    /// Everything a summary may be asked for.
    summary: Map<String, Value>,
    /// What was ordered for the summary.
    summed: Option<Vec<String>>,
    fields: Vec<String>,
}

impl Frozen {
    pub(crate) fn make(world: &World, subject: &Subject, order: &Order, moment: Moment) -> Self {
        let query = &order.0;
        let table = Table::new(world, subject, query, moment);
        let summed = query.summary.clone();
        let fields = [&query.fields[..], summed.as_deref().unwrap_or_default()].concat();
        let summary = match table.summary(&fields) {
            Some(Value::Object(summary)) => summary,
            _ => Map::new(),
        };
        Self { rows: table.keep(), moment, summary, summed, fields }
    }

    /// Answers `GET /{report run}/insights`.
    pub(crate) fn page(
        &self,
        world: &World,
        order: &Order,
        call: &GraphCall,
        link: &Link<'_>,
    ) -> Result<Value, GraphError> {
        let window = query::window(call)?;
        let summed = query::summary(Params(&call.params))?.or_else(|| self.summed.clone());
        let strange = |name: &&String| !self.fields.contains(name);
        let missing: Vec<&str> = summed.iter().flatten().filter(strange).map(String::as_str).collect();
        if !missing.is_empty() {
            let error = invalid(format!(
                "Cannot include {} in summary param because they weren't there while creating the report run. All \
                 available values are: {}",
                missing.join(", "),
                self.fields.join(", ")
            ));
            return Err(GraphError { is_transient: Some(true), ..error });
        }
        let place = |index: usize| index as i64;
        let range = window.cut(self.rows.len(), place);
        let mut answer =
            page(self.write(world, &order.0, range.clone()), range, self.rows.len(), place, &window, link);
        if let Some(summed) = summed {
            let wanted = |name: &String| summed.contains(name) || name.starts_with("date_");
            let summary = self.summary.iter().filter(|(name, _)| wanted(name));
            answer["summary"] = summary.map(|(name, value)| (name.clone(), value.clone())).collect();
        }
        Ok(answer)
    }

    fn write(&self, world: &World, query: &Query, range: Range<usize>) -> Vec<Value> {
        let about = About { world, account: world.main(), level: query.level };
        let writer = Writer { about, shape: &query.shape, breakdown: &query.breakdown, moment: self.moment };
        let row = |kept: &Kept| {
            let sample = kept.sample.as_ref();
            let row = writer.row(&query.fields, kept.ad, kept.bounds, &kept.measures, sample);
            Value::Object(writer.labelled(row, kept.cell))
        };
        self.rows[range].iter().map(row).collect()
    }
}
