//! Insights as CSV. Columns are fixed, so action types are left out.

use domain::Error;
use domain::date::DateRange;
use jiff::civil::Date;
use query::{Query, Row};
use store::account::AdAccount;
use store::report_scope::ReportScope;

/// What a file is about.
pub(crate) struct File<'a> {
    pub(crate) account: &'a AdAccount,
    pub(crate) scope: &'a ReportScope,
    pub(crate) query: &'a Query,
    pub(crate) range: DateRange,
    /// Whether it is for a program such as Excel.
    pub(crate) spreadsheet: bool,
}

/// Tells such programs that a file is UTF-8.
const BYTE_ORDER_MARK: &str = "\u{feff}";

impl File<'_> {
    /// Writes a header line and one line per row.
    pub(crate) fn write(&self, rows: &[Row]) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        if self.spreadsheet {
            out.extend_from_slice(BYTE_ORDER_MARK.as_bytes());
        }
        let mut writer = csv::Writer::from_writer(out);
        let before = ["level", "id", "name", "campaign_id", "adset_id", "date_start", "date_stop"];
        let before = before.into_iter().map(str::to_owned);
        let measures = self.query.measures.iter().map(ToString::to_string);
        let after = ["result_type", "currency", "as_of", "freshness"].into_iter().map(str::to_owned);
        writer.write_record(before.chain(measures).chain(after)).map_err(internal)?;
        let as_of = text(self.scope.as_of);
        for row in rows {
            let days = row.bucket.map_or(self.range, |day| DateRange { since: day, until: day });
            let mut record = vec![
                self.query.level.to_string(),
                self.id(row.id.as_ref().map_or(self.account.id.as_str(), |id| id.as_str())),
                row.name(self.account).as_deref().map(escape_formula).unwrap_or_default(),
                row.campaign_id.as_ref().map(|id| self.id(id.as_str())).unwrap_or_default(),
                row.adset_id.as_ref().map(|id| self.id(id.as_str())).unwrap_or_default(),
                days.since.to_string(),
                days.until.to_string(),
            ];
            record.extend(self.query.measures.iter().map(|measure| text(row.numbers.of(measure))));
            record.push(text(row.numbers.result_type()));
            record.extend([self.scope.currency.to_string(), as_of.clone(), self.freshness(days)]);
            writer.write_record(record).map_err(internal)?;
        }
        writer.into_inner().map_err(|error| Error::Internal(error.to_string()))
    }

    /// Writes an id. A spreadsheet would make a number of it and keep fifteen digits; of a formula that is a text, it
    /// keeps all.
    fn id(&self, id: &str) -> String {
        if self.spreadsheet { format!("=\"{id}\"") } else { id.to_owned() }
    }

    /// Says whether the numbers of some days are complete, or why not; of several reasons the first.
    fn freshness(&self, days: DateRange) -> String {
        let overlaps = |since: Date, until: Date| since <= days.until && days.since <= until;
        let incomplete = self.scope.incomplete_days.iter().find(|days| overlaps(days.since, days.until));
        incomplete.map_or("complete", |days| days.state.as_str()).to_owned()
    }
}

/// Prefixes a name that a spreadsheet would run as a formula with an apostrophe.
fn escape_formula(name: &str) -> String {
    // The wide forms are those of East Asian keyboards, which some spreadsheets take for the others.
    let runs = name.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']);
    if runs { format!("'{name}") } else { name.to_owned() }
}

/// Formats a value. An unknown value becomes an empty cell, not a zero.
fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn internal(error: csv::Error) -> Error {
    Error::Internal(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_run_are_texts() {
        for name in ["=1", "+1", "-1", "@a", "\t=1", "＝HYPERLINK(\"x\")", "－1"] {
            assert_eq!(escape_formula(name), format!("'{name}"));
        }
        assert_eq!(escape_formula("Sale = 20 %"), "Sale = 20 %");
    }
}
