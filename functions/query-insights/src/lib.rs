//! Serves insights from the table, never from Meta.
//!
//! Additive measures are summed over the stored blocks. Reach and frequency are returned only for rows that Meta
//! reported as such: an ad and a day.

mod csv;
mod rows;

use std::sync::LazyLock;

use bytes::Bytes;
use domain::date::{DateRange, Day};
use domain::entity::Level;
use domain::id::EntityId;
use domain::metrics::{Detail, Details};
use domain::{Error, FieldError};
use http::{Method, Request, StatusCode};
use jiff::civil::Date;
use middleware::Middleware;
use runtime::endpoint::{self, Endpoint};
use runtime::page::{self, Cursor, Limit};
use runtime::request::{AdAccountPath, Json, RequestContext};
use runtime::session::{Role, Session};
use runtime::{Response, response};
use serde::{Deserialize, Serialize};
use store::Table;
use store::report_scope::ReportScope;

use crate::rows::{Row, position};

/// Rows per page: 5,000 rows with all their actions stay below Lambda's 6 MB response limit.
type RowLimit = Limit<1000, 5000>;

/// Maximum rows of a CSV, which has no pages: a larger one is rejected. This many lines stay below 6 MB.
const MAX_CSV_ROWS: usize = 30_000;

/// All endpoints of this function.
pub static ENDPOINTS: LazyLock<Vec<Endpoint<QueryInsights>>> =
    LazyLock::new(|| vec![query_insights(), export_insights()]);

fn query_insights() -> Endpoint<QueryInsights> {
    let path = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/insights";
    endpoint::member(Method::GET, path, Role::Viewer)
        .named("query_insights", "Returns metrics of an ad account")
        .responds(StatusCode::OK, "A page of rows.", QueryInsights::query_insights)
}

fn export_insights() -> Endpoint<QueryInsights> {
    let path = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/insights.csv";
    endpoint::member(Method::GET, path, Role::Viewer)
        .named("export_insights", "Returns metrics of an ad account as a file for spreadsheets")
        .responds(StatusCode::OK, "Every row, 30,000 at most.", QueryInsights::export_insights)
        .with_content::<String>("text/csv")
}

/// The `query-insights` function.
#[derive(Debug, Clone)]
pub struct QueryInsights {
    table: Table,
    middleware: Middleware,
}

/// A page of rows, and what they are about.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct Insights {
    #[serde(flatten)]
    scope: ReportScope,
    data: Vec<Row>,
    /// Give it back as `after` to read on; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
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
    /// What to add to the metrics of each row.
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
pub(crate) struct RowQuery {
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
}

impl RowQuery {
    fn range(&self) -> Result<DateRange, FieldError> {
        DateRange::new(self.since.0, self.until.0)
    }
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

impl QueryInsights {
    /// Creates the function.
    pub fn new(table: Table, middleware: Middleware) -> Self {
        Self { table: table.eventually_consistent(), middleware }
    }

    /// Handles a request.
    pub async fn handle(&self, request: Request<Bytes>) -> Response {
        self.middleware.serve("query-insights", &ENDPOINTS, self, request).await
    }

    async fn query_insights(
        self,
        context: RequestContext<Session, AdAccountPath, InsightsQuery>,
    ) -> Result<Json<Insights>, Error> {
        let RequestContext { caller: session, path, query, request, .. } = context;
        let InsightsQuery { level, since, until, increment, ids, include, limit, after } = query;
        if after.as_ref().is_some_and(|after| !is_position(after.position())) {
            return Err(Cursor::invalid().into());
        }
        let wanted = RowQuery { level, since, until, increment, ids };
        let (range, details) = (wanted.range()?, Details::from(include));
        let account = self.table.require_account(&session.workspace, &path.ad_account).await?;
        // Before the numbers, which then are at least as fresh as it says.
        let scope = self.table.report_scope(&session.workspace, &account, range).await?;
        let mut rows = self.rows(&session.workspace, &account, wanted, details).await?;
        let after = after.as_ref().map(Cursor::position);
        let start = after.map_or(0, |after| rows.partition_point(|row| position(row).as_str() <= after));
        let mut data = rows.split_off(start);
        let more = data.len() > limit.rows();
        data.truncate(limit.rows());
        let last = data.last().filter(|_| more);
        let after = last.map(|row| page::encode_cursor(&request, &position(row)));
        Ok(Json(Insights { scope, data, after }))
    }

    async fn export_insights(
        self,
        context: RequestContext<Session, AdAccountPath, RowQuery>,
    ) -> Result<Response, Error> {
        let RequestContext { caller: session, path, query, .. } = context;
        let account = self.table.require_account(&session.workspace, &path.ad_account).await?;
        let rows = self.rows(&session.workspace, &account, query, Details::default()).await?;
        if rows.len() > MAX_CSV_ROWS {
            let message = format!(
                "{} rows are too many for one file of {MAX_CSV_ROWS}; ask for fewer days",
                rows.len()
            );
            return Err(FieldError::new("since", message).into());
        }
        Ok(response::typed(StatusCode::OK, "text/csv; charset=utf-8", csv::write(&rows)?))
    }
}

/// Checks whether a text is a row's position in the list: entity and day.
fn is_position(position: &str) -> bool {
    let parts = position.split_once('#');
    parts.is_some_and(|(id, day)| id.parse::<EntityId>().is_ok() && day.parse::<Date>().is_ok())
}
