//! Serves insights from the table, never from Meta.
//!
//! Additive measures are stored per entity and week; a range is their sum. Reach and frequency are returned only for
//! rows that Meta reported as such: an ad and a day.

mod csv;

use std::collections::HashMap;
use std::sync::LazyLock;

use bytes::Bytes;
use domain::date::{DateRange, Day, IsoWeek};
use domain::entity::Level;
use domain::id::{AdAccountId, EntityId};
use domain::metrics::{Measures, MeasuresView};
use domain::money::Currency;
use domain::tenant::Tenant;
use domain::{Error, FieldError};
use http::header::ACCEPT;
use http::{Method, Request, StatusCode};
use jiff::civil::Date;
use middleware::Middleware;
use runtime::endpoint::{self, Endpoint};
use runtime::page::{self, Cursor, Limit};
use runtime::request::{AdAccountPath, RequestContext};
use runtime::session::{Role, Session};
use runtime::{Response, response};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use store::Table;
use store::account::AdAccount;
use store::entity::StoredEntity;
use store::fact::{self, WeekFacts};

/// Rows per page: 5,000 rows with all their actions stay below Lambda's 6 MB response limit.
type RowLimit = Limit<1000, 5000>;

/// Maximum rows of a CSV, which has no pages: a larger one is rejected. This many lines stay below 6 MB.
const MAX_CSV_ROWS: usize = 30_000;

/// All endpoints of this function.
pub static ENDPOINTS: LazyLock<Vec<Endpoint<QueryInsights>>> = LazyLock::new(|| vec![query_insights()]);

fn query_insights() -> Endpoint<QueryInsights> {
    let path = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/insights";
    endpoint::member(Method::GET, path, Role::Viewer)
        .named("query_insights", "Returns metrics of an ad account")
        .description("JSON in pages; CSV, whole, for those who accept `text/csv`.")
        .responds(StatusCode::OK, "The numbers.", QueryInsights::query_insights)
        .with_content::<Insights>("application/json")
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
    #[serde(flatten, serialize_with = "serialize_measures")]
    #[cfg_attr(feature = "describe", schemars(with = "MeasuresView"))]
    measures: Measures,
    #[serde(skip_serializing_if = "Option::is_none")]
    reach: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attribution_setting: Option<String>,
}

fn serialize_measures<S: serde::Serializer>(measures: &Measures, serializer: S) -> Result<S::Ok, S::Error> {
    MeasuresView::from(measures).serialize(serializer)
}

#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct Insights {
    ad_account: AdAccountId,
    currency: Currency,
    timezone: String,
    /// Weeks of the range that are not stored completely: their numbers are missing or partial.
    incomplete_weeks: Vec<IsoWeek>,
    data: Vec<Row>,
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
    /// Rows of a page; not for CSV, which has no pages.
    limit: Option<RowLimit>,
    /// The `after` of the page before; not for CSV.
    after: Option<Cursor>,
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
    ) -> Result<Response, Error> {
        let RequestContext { caller: session, path, query, request, .. } = context;
        let workspace = &session.workspace;
        let account = self.table.require_account(workspace, &path.ad_account).await?;
        let level = query.level;
        let range = DateRange::new(query.since.0, query.until.0)?;
        let only: Option<Vec<_>> = query.ids.map(|ids| ids.into_iter().map(|id| id.to_string()).collect());

        let weeks = self.table.facts(workspace, &account.id, level, range).await?;
        let entities = self.entities(workspace, &account.id, level).await?;
        let mut rows = match query.increment {
            Increment::Day => by_day(&weeks, range),
            Increment::All => over_range(level, &account, &entities, &weeks, range),
        };
        rows.retain(|row| only.as_ref().is_none_or(|only| only.contains(&row.id)));
        let name_of = |row: &Row| match level {
            Level::Account => account.name.clone(),
            _ => entities.get(row.id.as_str()).and_then(|stored| stored.entity.name.clone()),
        };
        let csv = wants_csv(&request);
        if csv && (query.limit.is_some() || query.after.is_some()) {
            return Err(FieldError::new("limit", "CSV has no pages; leave limit and after out").into());
        }
        if csv && rows.len() > MAX_CSV_ROWS {
            let message =
                format!("{} rows are too many for one CSV of {MAX_CSV_ROWS}; ask for fewer days", rows.len());
            return Err(FieldError::new("since", message).into());
        }
        let limit = if csv { MAX_CSV_ROWS } else { query.limit.unwrap_or_default().rows() };
        if query.after.as_ref().is_some_and(|after| !is_position(after.position())) {
            return Err(Cursor::invalid().into());
        }
        let (mut data, after) = page(rows, query.after.as_ref().map(Cursor::position), limit);
        for row in &mut data {
            row.name = name_of(row);
            if level == Level::Account {
                row.id = account.id.to_string();
            }
        }
        if csv {
            return Ok(response::typed(StatusCode::OK, "text/csv; charset=utf-8", csv::write(&data)?));
        }
        let incomplete_weeks = self.table.incomplete_weeks(workspace, &account.id, range).await?;
        let (ad_account, currency, timezone) = (account.id, account.currency, account.timezone);
        response::ok(&Insights { ad_account, currency, timezone, incomplete_weeks, data, after })
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
                measures: day.measures.clone(),
                reach: day.reach,
                frequency: day.frequency,
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
        measures: Measures::default(),
        reach: None,
        frequency: None,
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
            row.measures = sum;
        }
    }
    rows.into_values().collect()
}

/// Returns the page after a position, and the position of the next page. Rows are sorted by id and day.
fn page(mut rows: Vec<Row>, after: Option<&str>, limit: usize) -> (Vec<Row>, Option<String>) {
    let position = |row: &Row| format!("{}#{}", row.id, row.date_start);
    rows.sort_by_cached_key(position);
    let start = after.map_or(0, |after| rows.partition_point(|row| position(row).as_str() <= after));
    let mut rows = rows.split_off(start);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let after = rows.last().filter(|_| more).map(|row| page::encode_cursor(&position(row)));
    (rows, after)
}

/// Checks whether a text is a row's position in the list: entity and day.
fn is_position(position: &str) -> bool {
    let parts = position.split_once('#');
    parts.is_some_and(|(id, day)| id.parse::<EntityId>().is_ok() && day.parse::<Date>().is_ok())
}

fn wants_csv(request: &Request<Bytes>) -> bool {
    let accepts = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
    accepts.is_some_and(|accepts| accepts.contains("text/csv"))
}
