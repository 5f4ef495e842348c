//! Lists entities with their measures over a date range, including entities without delivery.

use std::collections::BTreeMap;
use std::slice;

use domain::date::{DateRange, Day};
use domain::entity::{EffectiveStatus, Entity, Issue, Level, ReviewFeedback, Status};
use domain::id::{AdAccountId, EntityId};
use domain::metrics::{Detail, Metric};
use domain::money::{Currency, Money};
use domain::tenant::Tenant;
use domain::{Error, FieldError};
use http::{HeaderMap, Method, StatusCode};
use jiff::Timestamp;
use middleware::version::version_header;
use query::{AccountScope, Answer, Filter, Measure, MeasuresView, Query, ReachScope, Row, TotalsView};
use runtime::endpoint::{self, Endpoint};
use runtime::page::{self, Cursor};
use runtime::request::{AdAccountPath, Json, RequestContext};
use runtime::session::{Role, Session};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use store::account::AdAccount;
use store::report_scope::ReportScope;

use crate::ManageCampaign;
use crate::change::EntityPath;
use crate::list_query::ListQuery;

/// Default length of the date range, in days.
const DEFAULT_DAYS: i32 = 30;

/// Over which days.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct DateRangeQuery {
    /// First day; 30 days are shown when it is left out.
    since: Option<Day>,
    /// Last day, included; today when it is left out.
    until: Option<Day>,
    /// What to add to the measures.
    include: Option<Vec<Detail>>,
}

/// A campaign, ad set or ad as the platform last showed it.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct EntityFields {
    id: EntityId,
    #[serde(skip_serializing_if = "Option::is_none")]
    campaign_id: Option<EntityId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    adset_id: Option<EntityId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effective_status: Option<EffectiveStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    objective: Option<String>,
    /// What an ad set's delivery is optimised for.
    #[serde(skip_serializing_if = "Option::is_none")]
    optimization_goal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    daily_budget: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lifetime_budget: Option<Money>,
    /// What a campaign may spend in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    spend_cap: Option<Money>,
    /// How it bids, where it holds the budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    bid_strategy: Option<String>,
    /// The bid, or the cost per result, of an ad set.
    #[serde(skip_serializing_if = "Option::is_none")]
    bid_amount: Option<Money>,
    /// The least return on ad spend of an ad set.
    #[serde(skip_serializing_if = "Option::is_none")]
    min_roas: Option<Decimal>,
    /// When an ad set starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<Timestamp>,
    /// When an ad set ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_time: Option<Timestamp>,
    /// What keeps it from delivering.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    issues: Vec<Issue>,
    /// Why the review refused an ad.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    review_feedback: Vec<ReviewFeedback>,
}

impl EntityFields {
    pub(crate) fn new(entity: Entity, currency: Currency) -> Self {
        let money = |amount: Option<i64>| amount.map(|amount| Money { amount, currency });
        Self {
            daily_budget: money(entity.daily_budget),
            lifetime_budget: money(entity.lifetime_budget),
            spend_cap: money(entity.spend_cap),
            bid_strategy: entity.bid_strategy,
            bid_amount: money(entity.bid_amount),
            min_roas: entity.min_roas,
            start: entity.start,
            end: entity.end,
            id: entity.id,
            campaign_id: entity.campaign_id,
            adset_id: entity.adset_id,
            name: entity.name,
            status: entity.status,
            effective_status: entity.effective_status,
            objective: entity.objective,
            optimization_goal: entity.optimization_goal,
            created_time: entity.created_time.and_then(|time| time.parse().ok()),
            issues: entity.issues,
            review_feedback: entity.review_feedback,
        }
    }
}

impl EntityFields {
    /// What people change; the rest is the platform's to say.
    pub(crate) fn version(&self) -> impl Serialize {
        let bids = (self.spend_cap, &self.bid_strategy, self.bid_amount, self.min_roas);
        (
            &self.id,
            &self.name,
            &self.status,
            self.daily_budget,
            self.lifetime_budget,
            bids,
            self.start,
            self.end,
        )
    }
}

/// An entity of a list.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct EntityView {
    #[serde(flatten)]
    fields: EntityFields,
    #[serde(flatten)]
    measures: MeasuresView,
    /// For each sparkline a value for each day; `null` where it is unknown.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    sparklines: BTreeMap<Measure, Vec<Option<Decimal>>>,
}

impl EntityView {
    fn new(entity: Entity, row: &Row, currency: Currency, query: &Query) -> Self {
        Self {
            fields: EntityFields::new(entity, currency),
            measures: row.measures(query),
            sparklines: row.sparklines(query),
        }
    }
}

/// One entity with its measures, and what they are about.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct EntityReport {
    #[serde(flatten)]
    entity: EntityView,
    #[serde(flatten)]
    scope: ReportScope,
}

/// A page of entities with their measures, and what they are about.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct EntityList {
    #[serde(flatten)]
    scope: ReportScope,
    /// The days that are compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    compared: Option<DateRange>,
    /// How fresh the reach is; absent where none is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    reach: Option<ReachScope>,
    data: Vec<EntityView>,
    totals: TotalsView,
    /// Give it back as `after` to read on; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
}

pub(crate) const CAMPAIGNS: &str = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/campaigns";
pub(crate) const ADSETS: &str = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/adsets";
pub(crate) const ADS: &str = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/ads";

pub(crate) fn list_entities(path: &'static str, level: Level) -> Endpoint<ManageCampaign> {
    endpoint::member(Method::GET, path, Role::Viewer)
        .named(format!("list_{level}s"), format!("Lists {level}s with their measures"))
        .description("Those without delivery are listed with zeros. `totals` are those of all pages.")
        .responds(StatusCode::OK, "A page of them.", move |function: ManageCampaign, context| {
            function.list_entities(context, level)
        })
}

pub(crate) fn show_entity(path: &'static str, level: Level) -> Endpoint<ManageCampaign> {
    endpoint::member(Method::GET, path, Role::Viewer)
        .named(format!("get_{level}"), format!("Returns one {level} with its measures"))
        .responds(StatusCode::OK, "It, as Meta last showed it.", move |function: ManageCampaign, context| {
            function.show_entity(context, level)
        })
}

impl ManageCampaign {
    async fn list_entities(
        self,
        context: RequestContext<Session, AdAccountPath, ListQuery>,
        level: Level,
    ) -> Result<Json<EntityList>, Error> {
        let RequestContext {
            caller: session,
            path: AdAccountPath { ad_account },
            query: wanted,
            request,
            ..
        } = context;
        let workspace = &session.workspace;
        let account = self.connector.table.require_account(workspace, &ad_account).await?;
        for (parent, field, id) in [
            (Level::Campaign, "campaign_id", &wanted.campaign_id),
            (Level::AdSet, "adset_id", &wanted.adset_id),
        ] {
            let Some(id) = id else { continue };
            if self.connector.table.entity(workspace, &account.id, parent, id).await?.is_none() {
                let message = format!("{id} is no {parent} of {}", account.id);
                return Err(FieldError::new(field, message).into());
            }
        }
        let range = self.range(wanted.since, wanted.until, &account)?;
        let after = wanted.after.clone();
        let query = wanted.into_query(level, range);
        let table = self.connector.table.eventually_consistent();
        let after = after.as_ref().map(Cursor::position);
        let answer = query::execute(&table, workspace, slice::from_ref(&account), &query, after).await;
        let answer = answer.map_err(|error| error.with_field_renamed("filters[0].value", "ids"))?;
        let after = answer.after().map(|position| page::encode_cursor(&request, &position));
        let Answer { accounts, compared, rows, totals, .. } = answer;
        let view = |row: Row| {
            let entity = row.entity.as_ref().map(|entity| Entity::clone(entity));
            entity.map(|entity| EntityView::new(entity, &row, account.currency, &query))
        };
        let AccountScope { scope, reach, .. } = only_account(accounts)?;
        Ok(Json(EntityList {
            scope,
            compared,
            reach,
            data: rows.into_iter().filter_map(view).collect(),
            totals: TotalsView::new(&totals, &query),
            after,
        }))
    }

    async fn show_entity(
        self,
        context: RequestContext<Session, EntityPath, DateRangeQuery>,
        level: Level,
    ) -> Result<(HeaderMap, Json<EntityReport>), Error> {
        let RequestContext { caller: session, path: EntityPath { ad_account, id }, query, .. } = context;
        let account = self.connector.table.require_account(&session.workspace, &ad_account).await?;
        let range = self.range(query.since, query.until, &account)?;
        let entity = self.entity(&session.workspace, &account.id, level, &id).await?;
        self.report(&session.workspace, &account, entity, range, query.include).await
    }

    /// Returns an entity with its measures. Its version is that of what can be changed, not of the measures.
    pub(crate) async fn report(
        &self,
        workspace: &Tenant,
        account: &AdAccount,
        entity: Entity,
        range: DateRange,
        details: Option<Vec<Detail>>,
    ) -> Result<(HeaderMap, Json<EntityReport>), Error> {
        // Consistently, because the entity may have been created a moment ago.
        let table = &self.connector.table;
        let filter = Filter::Entities { level: entity.level, ids: vec![entity.id.clone()], is_among: true };
        let query = Query {
            measures: all_measures(),
            filters: vec![filter],
            include: details,
            ..Query::new(entity.level, range)
        };
        let answer = query::execute(table, workspace, slice::from_ref(account), &query, None).await?;
        let row = answer.rows.into_iter().next();
        let row = row.ok_or_else(|| Error::NotFound(format!("{} {}", entity.level, entity.id)))?;
        let entity = EntityView::new(entity, &row, account.currency, &query);
        let version = version_header(&entity.fields.version())?;
        Ok((version, Json(EntityReport { entity, scope: only_account(answer.accounts)?.scope })))
    }

    /// Returns a stored entity of this account.
    pub(crate) async fn entity(
        &self,
        workspace: &Tenant,
        account: &AdAccountId,
        level: Level,
        id: &EntityId,
    ) -> Result<Entity, Error> {
        let stored = self.connector.table.entity(workspace, account, level, id).await?;
        stored.map(|stored| stored.entity).ok_or_else(|| Error::NotFound(format!("{level} {id}")))
    }

    pub(crate) fn range(
        &self,
        since: Option<Day>,
        until: Option<Day>,
        account: &AdAccount,
    ) -> Result<DateRange, Error> {
        let today = account.today(self.host.clock.now())?;
        match (since, until) {
            (Some(Day(since)), until) => Ok(DateRange::new(since, until.map_or(today, |Day(until)| until))?),
            (None, until) => Ok(DateRange::ending(until.map_or(today, |Day(until)| until), DEFAULT_DAYS)),
        }
    }
}

/// Every metric, and reach where it was counted: what an entity shows unless some measures are chosen.
pub(crate) fn all_measures() -> Vec<Measure> {
    let metrics = Metric::ALL.iter().map(|metric| Measure::Metric(*metric));
    metrics.chain([Measure::Reach, Measure::Frequency]).collect()
}

/// Returns the ad account of an answer about a single one.
fn only_account(accounts: Vec<AccountScope>) -> Result<AccountScope, Error> {
    let account = accounts.into_iter().next();
    account.ok_or_else(|| Error::Internal("an answer without its ad account".to_owned()))
}
