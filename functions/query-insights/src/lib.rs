//! Serves insights from the table, never from Meta.
//!
//! Additive measures are stored per entity and week; a range is their sum. Reach and frequency are returned only for
//! rows that Meta reported as such: an ad and a day.

mod csv;

use std::collections::HashMap;
use std::sync::LazyLock;

use bytes::Bytes;
use domain::date::{DateRange, Day};
use domain::entity::Level;
use domain::id::{AdAccountId, EntityId};
use domain::metrics::{Measures, Metrics};
use domain::tenant::Tenant;
use domain::{Error, FieldError};
use http::{Method, Request, StatusCode};
use jiff::civil::Date;
use middleware::Middleware;
use runtime::endpoint::{self, Endpoint};
use runtime::page::{self, Cursor, Limit};
use runtime::request::{AdAccountPath, Json, RequestContext};
use runtime::session::{Role, Session};
use runtime::{Response, response};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use store::Table;
use store::account::AdAccount;
use store::entity::StoredEntity;
use store::fact::{self, WeekFacts};
use store::report_scope::ReportScope;

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

/// One entity's numbers for a day or a range.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct Row {
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
    #[serde(serialize_with = "serialize_measures")]
    #[cfg_attr(feature = "describe", schemars(with = "Metrics"))]
    metrics: RowMetrics,
    #[serde(skip_serializing_if = "Option::is_none")]
    attribution_setting: Option<String>,
}

/// A row's measures, and what cannot be summed.
#[derive(Debug, Clone, Default)]
struct RowMetrics {
    measures: Measures,
    reach: Option<u64>,
    frequency: Option<Decimal>,
}

fn serialize_measures<S: serde::Serializer>(row: &RowMetrics, serializer: S) -> Result<S::Ok, S::Error> {
    Metrics::from(&row.measures).with_reach(row.reach, row.frequency).serialize(serializer)
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
        let InsightsQuery { level, since, until, increment, ids, limit, after } = query;
        if after.as_ref().is_some_and(|after| !is_position(after.position())) {
            return Err(Cursor::invalid().into());
        }
        let wanted = RowQuery { level, since, until, increment, ids };
        let range = wanted.range()?;
        let account = self.table.require_account(&session.workspace, &path.ad_account).await?;
        let mut rows = self.rows(&session.workspace, &account, wanted).await?;
        let after = after.as_ref().map(Cursor::position);
        let start = after.map_or(0, |after| rows.partition_point(|row| position(row).as_str() <= after));
        let mut data = rows.split_off(start);
        let more = data.len() > limit.rows();
        data.truncate(limit.rows());
        let last = data.last().filter(|_| more);
        let after = last.map(|row| page::encode_cursor(&request, &position(row)));
        let scope = self.table.report_scope(&session.workspace, &account, range).await?;
        Ok(Json(Insights { scope, data, after }))
    }

    async fn export_insights(
        self,
        context: RequestContext<Session, AdAccountPath, RowQuery>,
    ) -> Result<Response, Error> {
        let RequestContext { caller: session, path, query, .. } = context;
        let account = self.table.require_account(&session.workspace, &path.ad_account).await?;
        let rows = self.rows(&session.workspace, &account, query).await?;
        if rows.len() > MAX_CSV_ROWS {
            let message = format!(
                "{} rows are too many for one file of {MAX_CSV_ROWS}; ask for fewer days",
                rows.len()
            );
            return Err(FieldError::new("since", message).into());
        }
        Ok(response::typed(StatusCode::OK, "text/csv; charset=utf-8", csv::write(&rows)?))
    }

    /// Returns rows in the order of ids and days.
    async fn rows(
        &self,
        workspace: &Tenant,
        account: &AdAccount,
        wanted: RowQuery,
    ) -> Result<Vec<Row>, Error> {
        let range = wanted.range()?;
        let RowQuery { level, increment, ids, .. } = wanted;
        let weeks = self.table.facts(workspace, &account.id, level, range).await?;
        let entities = self.entities(workspace, &account.id, level).await?;
        if let Some(ids) = &ids {
            check_known(ids, level, &entities, &weeks)?;
        }
        let mut rows = match increment {
            Increment::Day => by_day(&weeks, range),
            Increment::All => over_range(level, account, &entities, &weeks, range),
        };
        rows.retain(|row| ids.as_ref().is_none_or(|ids| ids.iter().any(|id| id.as_str() == row.id)));
        rows.sort_by_cached_key(position);
        for row in &mut rows {
            if level == Level::Account {
                row.id = account.id.to_string();
                row.name = account.name.clone();
            } else {
                row.name = entities.get(row.id.as_str()).and_then(|stored| stored.entity.name.clone());
            }
        }
        Ok(rows)
    }

    async fn entities(
        &self,
        workspace: &Tenant,
        account: &AdAccountId,
        level: Level,
    ) -> Result<HashMap<String, StoredEntity>, Error> {
        if level == Level::Account {
            return Ok(HashMap::new());
        }
        let entities = self.table.entities(workspace, account, level).await?;
        Ok(entities.into_iter().map(|stored| (stored.entity.id.to_string(), stored)).collect())
    }
}

/// Returns a row per entity and day with delivery.
fn by_day(weeks: &[WeekFacts], range: DateRange) -> Vec<Row> {
    let mut rows = Vec::new();
    for week in weeks {
        for day in week.days.iter().filter(|day| range.contains(day.day)) {
            rows.push(Row {
                level: week.level,
                id: week.id.to_string(),
                name: None,
                campaign_id: week.campaign_id.clone(),
                adset_id: week.adset_id.clone(),
                date_start: day.day,
                date_stop: day.day,
                metrics: RowMetrics {
                    measures: day.measures.clone(),
                    reach: day.reach,
                    frequency: day.frequency,
                },
                attribution_setting: day.attribution_setting.clone(),
            });
        }
    }
    rows
}

/// Returns a row per entity, with zeros where nothing was delivered, so that no entity seems to be missing.
fn over_range(
    level: Level,
    account: &AdAccount,
    entities: &HashMap<String, StoredEntity>,
    weeks: &[WeekFacts],
    range: DateRange,
) -> Vec<Row> {
    let row = |id: &str, campaign_id: Option<EntityId>, adset_id: Option<EntityId>| Row {
        level,
        id: id.to_owned(),
        name: None,
        campaign_id,
        adset_id,
        date_start: range.since,
        date_stop: range.until,
        metrics: RowMetrics::default(),
        attribution_setting: None,
    };
    let mut rows: HashMap<&str, Row> = entities
        .iter()
        .map(|(id, stored)| {
            (id.as_str(), row(id, stored.entity.campaign_id.clone(), stored.entity.adset_id.clone()))
        })
        .collect();
    if level == Level::Account {
        let id = account.id.as_str();
        rows.insert(id, row(id, None, None));
    }
    // Objects that are not synced (deleted before the first sync) are included too.
    for week in weeks {
        let id = week.id.as_str();
        rows.entry(id).or_insert_with(|| row(id, week.campaign_id.clone(), week.adset_id.clone()));
    }
    for (id, sum) in fact::sum_by_entity(weeks, range) {
        if let Some(row) = rows.get_mut(id.as_str()) {
            row.metrics.measures = sum;
        }
    }
    rows.into_values().collect()
}

/// Refuses ids that this level does not have: an empty answer would look like no delivery.
fn check_known(
    ids: &[EntityId],
    level: Level,
    entities: &HashMap<String, StoredEntity>,
    weeks: &[WeekFacts],
) -> Result<(), FieldError> {
    let is_known =
        |id: &&EntityId| entities.contains_key(id.as_str()) || weeks.iter().any(|week| week.id == **id);
    let unknown: Vec<_> = ids.iter().filter(|id| !is_known(id)).map(EntityId::as_str).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let message = format!("holds what is no {level} of this ad account: {}", unknown.join(", "));
    Err(FieldError::new("ids", message))
}

/// The position of a row in the list.
fn position(row: &Row) -> String {
    format!("{}#{}", row.id, row.date_start)
}

/// Checks whether a text is a row's position in the list: entity and day.
fn is_position(position: &str) -> bool {
    let parts = position.split_once('#');
    parts.is_some_and(|(id, day)| id.parse::<EntityId>().is_ok() && day.parse::<Date>().is_ok())
}
