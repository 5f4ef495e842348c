//! Insights as CSV for spreadsheets. Columns are fixed, so action types are left out.

use domain::Error;
use domain::metrics::Metric;

use crate::rows::Row;

/// Writes a header line and one line per row.
pub(crate) fn write(rows: &[Row]) -> Result<Vec<u8>, Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let before = ["level", "id", "name", "campaign_id", "adset_id", "date_start", "date_stop"];
    let metrics = Metric::ALL.iter().map(Metric::as_str);
    let header: Vec<_> = before.into_iter().chain(metrics).chain(["reach", "frequency"]).collect();
    writer.write_record(header).map_err(internal)?;
    for row in rows {
        let mut record = vec![
            row.level.to_string(),
            row.id.clone(),
            row.name.as_deref().map(escape_formula).unwrap_or_default(),
            text(row.campaign_id.as_ref()),
            text(row.adset_id.as_ref()),
            row.date_start.to_string(),
            row.date_stop.to_string(),
        ];
        record.extend(Metric::ALL.iter().map(|metric| text(metric.of(&row.metrics.measures))));
        record.extend([text(row.metrics.reach), text(row.metrics.frequency)]);
        writer.write_record(record).map_err(internal)?;
    }
    writer.into_inner().map_err(|error| Error::Internal(error.to_string()))
}

/// Prefixes a name that a spreadsheet would run as a formula with an apostrophe.
fn escape_formula(name: &str) -> String {
    if name.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{name}") } else { name.to_owned() }
}

/// Formats a value. An unknown value becomes an empty cell, not a zero.
fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn internal(error: csv::Error) -> Error {
    Error::Internal(error.to_string())
}
