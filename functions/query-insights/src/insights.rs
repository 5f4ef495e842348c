//! Insights of one ad account, as pages and as a file for spreadsheets.

use domain::dataset::Dataset;
use domain::date::{DateRange, Day, IsoWeek};
use domain::entity::Level;
use domain::id::EntityId;
use domain::metrics::{Detail, Metric};
use domain::tenant::Tenant;
use domain::{Error, FieldError};
use http::{Method, StatusCode};
use jiff::civil::Date;
use query::{
    Dimension, Filter, MAX_ANSWER_BYTES, Measure, MeasuresView, OrderBy, OrderKey, Query, Row,
    day_of_position,
};
use runtime::endpoint::{self, Endpoint};
use runtime::page::{self, Cursor, Limit};
use runtime::request::{AdAccountPath, Json, RequestContext};
use runtime::session::{Role, Session};
use runtime::{Response, response};
use serde::{Deserialize, Serialize};
use store::account::AdAccount;
use store::manifest::DayEntry;
use store::report_scope::ReportScope;

use crate::{QueryInsights, csv};

/// Rows per page, as far as they fit into an answer.
type RowLimit = Limit<1000, 5000>;

/// Maximum rows of a CSV, which has no pages: a larger one is rejected.
const MAX_CSV_ROWS: usize = 30_000;

/// Maximum bytes of a CSV. Lambda returns 6 MB.
const MAX_CSV_BYTES: usize = 5_800_000;

/// Rows by day that are read at once: they are in memory together.
const MAX_ROWS_AT_ONCE: u64 = 20_000;

const INSIGHTS: &str = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/insights";
const INSIGHTS_CSV: &str = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/insights.csv";

pub(crate) fn query_insights() -> Endpoint<QueryInsights> {
    endpoint::member(Method::GET, INSIGHTS, Role::Viewer)
        .named("query_insights", "Returns measures of an ad account")
        .responds(StatusCode::OK, "A page of rows.", QueryInsights::query_insights)
}

pub(crate) fn export_insights() -> Endpoint<QueryInsights> {
    endpoint::member(Method::GET, INSIGHTS_CSV, Role::Viewer)
        .named("export_insights", "Returns measures of an ad account as a file for spreadsheets")
        .responds(StatusCode::OK, "Every row, 30,000 at most.", QueryInsights::export_insights)
        .with_content::<String>("text/csv")
}

/// A page of rows, and what they are about.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct Insights {
    #[serde(flatten)]
    scope: ReportScope,
    data: Vec<RowView>,
    /// Give it back as `after` to read on; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
}

/// One entity's numbers for a day or a range.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct RowView {
    level: Level,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    campaign_id: Option<EntityId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    adset_id: Option<EntityId>,
    date_start: Date,
    date_stop: Date,
    #[serde(flatten)]
    measures: MeasuresView,
    #[serde(skip_serializing_if = "Option::is_none")]
    attribution_setting: Option<String>,
}

/// Whose numbers, over which days.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct InsightsQuery {
    /// What a row is about.
    level: Level,
    /// First day.
    since: Day,
    /// Last day, included.
    until: Day,
    /// How days are put together.
    #[serde(default)]
    increment: Increment,
    /// Only these entities.
    ids: Option<Vec<EntityId>>,
    /// The measures of each row; all of them when left out.
    fields: Option<Vec<Measure>>,
    /// What to add to the measures of each row.
    include: Option<Vec<Detail>>,
    /// Rows of a page.
    #[serde(default)]
    limit: RowLimit,
    /// The `after` of the page before.
    after: Option<Cursor>,
}

/// Whose numbers, over which days. A file has no pages.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportQuery {
    /// What a row is about.
    level: Level,
    /// First day.
    since: Day,
    /// Last day, included.
    until: Day,
    /// How days are put together.
    #[serde(default)]
    increment: Increment,
    /// Only these entities.
    ids: Option<Vec<EntityId>>,
    /// Whether the file is for a program such as Excel: it begins with a byte order mark, and ids are written so that no
    /// digit is lost.
    #[serde(default)]
    spreadsheet: bool,
}

/// How days are put together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
enum Increment {
    /// A row per entity and day with delivery.
    Day,
    /// A row per entity.
    #[default]
    All,
}

/// The measures of a row, unless some are chosen.
fn all_measures() -> Vec<Measure> {
    let metrics = Metric::ALL.iter().map(|metric| Measure::Metric(*metric));
    metrics.chain([Measure::Reach, Measure::Frequency]).collect()
}

/// Returns the query for rows of a level: by day in the order of days, otherwise in that of ids.
fn rows_query(level: Level, range: DateRange, increment: Increment, ids: Option<Vec<EntityId>>) -> Query {
    let by_day = increment == Increment::Day;
    let ids = ids.filter(|_| level > Level::Account);
    let filter = |ids| Filter::Entities { level, ids, is_among: true };
    Query {
        measures: all_measures(),
        dimensions: by_day.then_some(Dimension::Day).into_iter().collect(),
        order: Some(
            by_day.then(|| OrderBy::ascending(OrderKey::Dimension(Dimension::Day))).into_iter().collect(),
        ),
        filters: ids.map(filter).into_iter().collect(),
        ..Query::new(level, range)
    }
}

impl QueryInsights {
    async fn query_insights(
        self,
        context: RequestContext<Session, AdAccountPath, InsightsQuery>,
    ) -> Result<Json<Insights>, Error> {
        let RequestContext { caller: session, path, query: wanted, request, .. } = context;
        let InsightsQuery { level, since, until, increment, ids, fields, include, limit, after } = wanted;
        let range = DateRange::new(since.0, until.0)?;
        let account = self.table.require_account(&session.workspace, &path.ad_account).await?;
        let mut query = rows_query(level, range, increment, ids);
        query.include = include;
        query.measures = fields.unwrap_or(query.measures);
        query.max_bytes = Some(MAX_ANSWER_BYTES);
        let after = after.as_ref().map(Cursor::position);
        let rows = self.rows(&session.workspace, &account, query.clone(), after, limit.rows()).await;
        let rows = rows.map_err(|error| error.with_field_renamed("filters[0].value", "ids"))?;
        let view = |row: Row| RowView {
            level,
            name: row.name(&account),
            date_start: row.bucket.unwrap_or(range.since),
            date_stop: row.bucket.unwrap_or(range.until),
            measures: row.measures(&query),
            id: row.id.map_or_else(|| account.id.to_string(), |id| id.to_string()),
            campaign_id: row.campaign_id,
            adset_id: row.adset_id,
            attribution_setting: row.attribution_setting,
        };
        let data = rows.rows.into_iter().map(view).collect();
        let after = rows.after.as_deref().map(|position| page::encode_cursor(&request, position));
        Ok(Json(Insights { scope: rows.scope, data, after }))
    }

    async fn export_insights(
        self,
        context: RequestContext<Session, AdAccountPath, ExportQuery>,
    ) -> Result<Response, Error> {
        let RequestContext { caller: session, path, query: wanted, .. } = context;
        let ExportQuery { level, since, until, increment, ids, spreadsheet } = wanted;
        let range = DateRange::new(since.0, until.0)?;
        let account = self.table.require_account(&session.workspace, &path.ad_account).await?;
        let query = rows_query(level, range, increment, ids);
        let rows = self.rows(&session.workspace, &account, query.clone(), None, MAX_CSV_ROWS).await;
        let rows = rows.map_err(|error| error.with_field_renamed("filters[0].value", "ids"))?;
        if rows.after.is_some() {
            let message =
                format!("more than {MAX_CSV_ROWS} rows are too many for one file; ask for fewer days");
            return Err(FieldError::new("since", message).into());
        }
        let file = csv::File { account: &account, scope: &rows.scope, query: &query, range, spreadsheet };
        let content = file.write(&rows.rows)?;
        if content.len() > MAX_CSV_BYTES {
            let message = "the file would be larger than 5.8 MB; ask for fewer days";
            return Err(FieldError::new("since", message).into());
        }
        Ok(response::typed(StatusCode::OK, "text/csv; charset=utf-8", content))
    }

    /// Returns the rows that follow a position. Rows by day are read a few days at a time, and no more of them than the
    /// page has.
    async fn rows(
        &self,
        workspace: &Tenant,
        account: &AdAccount,
        mut query: Query,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Rows, Error> {
        let range = query.range()?;
        let accounts = std::slice::from_ref(account);
        query.limit = u16::try_from(limit).ok();
        if query.dimensions.is_empty() {
            let answer = query::execute(&self.table, workspace, accounts, &query, after).await?;
            let after = answer.after();
            let scope = answer.accounts.into_iter().next().map(|account| account.scope);
            let scope =
                scope.ok_or_else(|| Error::Internal("an answer without its ad account".to_owned()))?;
            return Ok(Rows { scope, rows: answer.rows, after });
        }
        let chunks = self.table.chunks_of(workspace, &account.id, Dataset::AD_DAY, range).await?;
        let scope = ReportScope::new(account, range, &chunks)?;
        let stored = |day: Date| {
            let chunk = chunks.iter().find(|chunk| chunk.week == IsoWeek::of(day));
            chunk.and_then(|chunk| chunk.manifest.day(day)).map_or(0, DayEntry::rows)
        };
        let mut rows: Vec<Row> = Vec::new();
        let first = after.and_then(day_of_position).unwrap_or(range.since);
        let (mut left, mut position) =
            (DateRange { since: first, until: range.until }, after.map(str::to_owned));
        loop {
            let mut many = 0;
            let fits = |day: &Date| {
                many += stored(*day);
                *day == left.since || many <= MAX_ROWS_AT_ONCE
            };
            let until = left.days_within(range).take_while(fits).last().unwrap_or(left.until);
            query.range = DateRange { since: left.since, until }.into();
            query.limit = u16::try_from(limit - rows.len()).ok();
            let answer =
                query::execute(&self.table, workspace, accounts, &query, position.as_deref()).await?;
            rows.extend(answer.rows);
            query.max_bytes = query.max_bytes.map(|left| left.saturating_sub(answer.bytes));
            position = answer.last.or(position);
            let is_full = answer.more || rows.len() >= limit || query.max_bytes == Some(0);
            let Ok(next) = until.tomorrow() else { break };
            left.since = next;
            let is_over = next > range.until || left.days_within(range).all(|day| stored(day) == 0);
            if is_full && (answer.more || !is_over) {
                return Ok(Rows { scope, rows, after: position });
            }
            if is_over {
                break;
            }
        }
        Ok(Rows { scope, rows, after: None })
    }
}

/// Rows of a page, and what they are about.
struct Rows {
    scope: ReportScope,
    rows: Vec<Row>,
    /// The position of the last row, if more follow.
    after: Option<String>,
}
