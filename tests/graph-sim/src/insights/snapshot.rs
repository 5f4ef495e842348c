//! Snapshots: rows of a report run, created once and read later.

use std::ops::Range;

use jiff::civil::Date;
use serde_json::{Map, Value};

use super::dimensions::Dimensions;
use super::query::{self, Query};
use super::restatement::AsOf;
use super::table::{SnapshotRow, Table};
use super::writer::Writer;
use super::{Subject, period};
use crate::call::GraphCall;
use crate::error::{GraphError, invalid};
use crate::node::Kind;
use crate::paging::{Link, page};
use crate::params::Params;
use crate::world::World;

/// The parsed insights request of a report run.
#[derive(Clone)]
pub(crate) struct ReportRequest(Query);

impl ReportRequest {
    /// Reads a request for insights of an object of this kind; invalid requests are rejected at once.
    pub(crate) fn read(call: &GraphCall, kind: Kind, today: Date) -> Result<Self, GraphError> {
        Query::read(call, kind, today).map(Self)
    }

    /// Returns the first and the last day.
    pub(crate) fn bounds(&self) -> (Date, Date) {
        let period::DateRange { since, until } = self.0.period.bounds_of_all();
        (since, until)
    }
}

/// The numbers at the time of the snapshot. Names are those at the time of reading.
#[derive(Clone)]
pub(crate) struct Snapshot {
    /// The account's id without the `act_` prefix.
    account: String,
    rows: Vec<SnapshotRow>,
    as_of: AsOf,
    /// All fields a summary may be requested with.
    summary: Map<String, Value>,
    /// The summary fields of the original request.
    summary_fields: Option<Vec<String>>,
    fields: Vec<String>,
}

impl Snapshot {
    pub(crate) fn take(world: &World, subject: &Subject, request: &ReportRequest, as_of: AsOf) -> Self {
        let query = &request.0;
        let table = Table::new(world, subject, query, as_of);
        let summary_fields = query.summary.clone();
        let fields = [&query.fields[..], summary_fields.as_deref().unwrap_or_default()].concat();
        let summary = match table.summary(&fields) {
            Some(Value::Object(summary)) => summary,
            _ => Map::new(),
        };
        let account = subject.account.clone();
        Self { account, rows: table.snapshot_rows(), as_of, summary, summary_fields, fields }
    }

    /// Handles `GET /{report run}/insights`.
    pub(crate) fn page(
        &self,
        world: &World,
        request: &ReportRequest,
        call: &GraphCall,
        link: &Link<'_>,
    ) -> Result<Value, GraphError> {
        let window = query::page_request(call)?;
        let summary_fields = query::summary(Params(&call.params))?.or_else(|| self.summary_fields.clone());
        let strange = |name: &&String| !self.fields.contains(name);
        let missing: Vec<&str> =
            summary_fields.iter().flatten().filter(strange).map(String::as_str).collect();
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
        let range = window.range(self.rows.len(), place);
        let mut response =
            page(self.write(world, &request.0, range.clone()), range, self.rows.len(), place, &window, link);
        if let Some(summary_fields) = summary_fields {
            let wanted = |name: &String| summary_fields.contains(name) || name.starts_with("date_");
            let summary = self.summary.iter().filter(|(name, _)| wanted(name));
            response["summary"] = summary.map(|(name, value)| (name.clone(), value.clone())).collect();
        }
        Ok(response)
    }

    fn write(&self, world: &World, query: &Query, range: Range<usize>) -> Vec<Value> {
        let dimensions = Dimensions { world, account: world.account_of(&self.account), level: query.level };
        let writer = Writer {
            dimensions,
            action_options: &query.action_options,
            breakdown: &query.breakdown,
            as_of: self.as_of,
        };
        let row = |entry: &SnapshotRow| {
            let sample = entry.sample.as_ref();
            let row = writer.row(&query.fields, entry.ad, entry.bounds, &entry.measures, sample);
            Value::Object(writer.labelled(row, entry.cell))
        };
        self.rows[range].iter().map(row).collect()
    }
}
