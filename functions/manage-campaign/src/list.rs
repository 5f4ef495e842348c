//! Lists entities with their metrics over a date range, including entities without delivery.

use std::collections::HashSet;

use domain::dataset::Dataset;
use domain::date::{DateRange, Day};
use domain::entity::{EffectiveStatus, Entity, Issue, Level, ReviewFeedback, Status};
use domain::id::{AdAccountId, EntityId};
use domain::metrics::{Detail, Details, Measures, Metric, Metrics};
use domain::money::{Currency, Money};
use domain::tenant::Tenant;
use domain::{Error, FieldError};
use facts::{Grouping, Sums};
use http::{HeaderMap, Method, StatusCode};
use jiff::Timestamp;
use middleware::version::version_header;
use runtime::endpoint::{self, Endpoint};
use runtime::page::{self, Cursor, Limit};
use runtime::request::{AdAccountPath, Json, RequestContext};
use runtime::session::{Role, Session};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use store::StoreError;
use store::account::AdAccount;
use store::entity::StoredEntity;
use store::fact_reader::SumQuery;
use store::report_scope::ReportScope;

use crate::ManageCampaign;
use crate::change::EntityPath;

/// Default length of the date range, in days.
const DEFAULT_DAYS: i32 = 30;

/// Which entities, over which days, in which order.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// First day; 30 days are shown when it is left out.
    since: Option<Day>,
    /// Last day, included; today when it is left out.
    until: Option<Day>,
    /// The metric to sort by; entities for which it is unknown come last.
    #[serde(default = "by_spend")]
    sort: Metric,
    /// Whether the highest or the lowest comes first.
    #[serde(default)]
    order: Order,
    /// Only entities in one of these states.
    effective_status: Option<Vec<KnownStatus>>,
    /// Only what is below this campaign.
    campaign_id: Option<EntityId>,
    /// What to add to the metrics.
    include: Option<Vec<Detail>>,
    /// Objects of a page.
    #[serde(default)]
    limit: Limit<50, 500>,
    /// The `after` of the page before.
    after: Option<Cursor>,
}

fn by_spend() -> Metric {
    Metric::Spend
}

/// Over which days.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct DateRangeQuery {
    /// First day; 30 days are shown when it is left out.
    since: Option<Day>,
    /// Last day, included; today when it is left out.
    until: Option<Day>,
    /// What to add to the metrics.
    include: Option<Vec<Detail>>,
}

/// A known effective status. A misspelled one would silently match nothing.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct KnownStatus(String);

impl TryFrom<String> for KnownStatus {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        let known = EffectiveStatus::KNOWN;
        if known.contains(&word.as_str()) {
            return Ok(Self(word));
        }
        Err(format!("must be one of {}", known.join(", ")))
    }
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
    #[serde(skip_serializing_if = "Option::is_none")]
    daily_budget: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lifetime_budget: Option<Money>,
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
            id: entity.id,
            campaign_id: entity.campaign_id,
            adset_id: entity.adset_id,
            name: entity.name,
            status: entity.status,
            effective_status: entity.effective_status,
            objective: entity.objective,
            created_time: entity.created_time.and_then(|time| time.parse().ok()),
            issues: entity.issues,
            review_feedback: entity.review_feedback,
        }
    }
}

impl EntityFields {
    /// What people change; the rest is the platform's to say.
    pub(crate) fn version(&self) -> impl Serialize {
        (&self.id, &self.name, &self.status, self.daily_budget, self.lifetime_budget)
    }
}

/// An entity of a list.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct EntityView {
    #[serde(flatten)]
    fields: EntityFields,
    metrics: Metrics,
}

/// One entity with its metrics, and what they are about.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct EntityReport {
    #[serde(flatten)]
    entity: EntityView,
    #[serde(flatten)]
    scope: ReportScope,
}

/// A page of entities with their metrics, and what they are about.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct EntityList {
    #[serde(flatten)]
    scope: ReportScope,
    data: Vec<EntityView>,
    /// Give it back as `after` to read on; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
}

pub(crate) const CAMPAIGNS: &str = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/campaigns";
pub(crate) const ADSETS: &str = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/adsets";
pub(crate) const ADS: &str = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/ads";

pub(crate) fn list_entities(path: &'static str, level: Level) -> Endpoint<ManageCampaign> {
    endpoint::member(Method::GET, path, Role::Viewer)
        .named(format!("list_{level}s"), format!("Lists {level}s with their metrics"))
        .description("Those without delivery are listed with zeros.")
        .responds(StatusCode::OK, "A page of them.", move |function: ManageCampaign, context| {
            function.list_entities(context, level)
        })
}

pub(crate) fn show_entity(path: &'static str, level: Level) -> Endpoint<ManageCampaign> {
    endpoint::member(Method::GET, path, Role::Viewer)
        .named(format!("get_{level}"), format!("Returns one {level} with its metrics"))
        .responds(StatusCode::OK, "It, as Meta last showed it.", move |function: ManageCampaign, context| {
            function.show_entity(context, level)
        })
}

/// Position of an entity in the list: the sort metric (unknown values last), then the id, so that a page starts where
/// the previous one ended.
type Position = (Option<Decimal>, String);

impl ManageCampaign {
    async fn list_entities(
        self,
        context: RequestContext<Session, AdAccountPath, ListQuery>,
        level: Level,
    ) -> Result<Json<EntityList>, Error> {
        let RequestContext { caller: session, path: AdAccountPath { ad_account }, query, request, .. } =
            context;
        let workspace = &session.workspace;
        let account = self.connector.table.require_account(workspace, &ad_account).await?;
        let range = self.range(query.since, query.until, &account)?;
        let after = query.after.map(|after| parse_position(after.position())).transpose()?;

        // Before the numbers, which then are at least as fresh as it says.
        let scope = self.connector.table.report_scope(workspace, &account, range).await?;
        let details = Details::from(query.include);
        let mut entities = self.entities_with_measures(workspace, &account.id, level, range, details).await?;
        if let Some(statuses) = &query.effective_status {
            entities.retain(|(entity, _)| {
                let status = entity.effective_status.as_ref().map(EffectiveStatus::as_str);
                statuses.iter().any(|wanted| Some(wanted.0.as_str()) == status)
            });
        }
        if let Some(campaign) = &query.campaign_id {
            let known =
                self.connector.table.entity(workspace, &account.id, Level::Campaign, campaign).await?;
            if known.is_none() {
                let message = format!("{campaign} is no campaign of {}", account.id);
                return Err(FieldError::new("campaign_id", message).into());
            }
            entities.retain(|(entity, _)| entity.campaign_id == query.campaign_id);
        }
        let position = |(entity, measures): &(Entity, Measures)| -> Position {
            (query.sort.of(measures), entity.id.to_string())
        };
        let compare = |a: &Position, b: &Position| query.order.compare(a, b);
        entities.sort_by(|a, b| compare(&position(a), &position(b)));
        if let Some(after) = after {
            entities.retain(|entry| compare(&position(entry), &after).is_gt());
        }
        let limit = query.limit.rows();
        let more = entities.len() > limit;
        entities.truncate(limit);
        let after = entities
            .last()
            .filter(|_| more)
            .map(|entry| page::encode_cursor(&request, &write_position(&position(entry))));
        let view = |(entity, measures): (Entity, Measures)| EntityView {
            fields: EntityFields::new(entity, account.currency),
            metrics: Metrics::from(&measures),
        };
        let data = entities.into_iter().map(view).collect();
        Ok(Json(EntityList { scope, data, after }))
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
        self.report(&session.workspace, &account, entity, range, Details::from(query.include)).await
    }

    /// Returns an entity with its metrics. Its version is that of what can be changed, not of the metrics.
    pub(crate) async fn report(
        &self,
        workspace: &Tenant,
        account: &AdAccount,
        entity: Entity,
        range: DateRange,
        details: Details,
    ) -> Result<(HeaderMap, Json<EntityReport>), Error> {
        let table = &self.connector.table;
        let scope = table.report_scope(workspace, account, range).await?;
        let ids = HashSet::from([entity.id.clone()]);
        let query = SumQuery { ids: Some(&ids), ..all_of(entity.level, range, details) };
        let sums = table.eventually_consistent().sum_facts(workspace, &account.id, &query).await?;
        let measures = measures_of(&sums, &entity.id, details)?;
        let fields = EntityFields::new(entity, account.currency);
        let version = version_header(&fields.version())?;
        let entity = EntityView { fields, metrics: Metrics::from(&measures) };
        Ok((version, Json(EntityReport { entity, scope })))
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

    async fn entities_with_measures(
        &self,
        workspace: &Tenant,
        account: &AdAccountId,
        level: Level,
        range: DateRange,
        details: Details,
    ) -> Result<Vec<(Entity, Measures)>, Error> {
        let table = self.connector.table.eventually_consistent();
        let entities = table.entities(workspace, account, level).await?;
        let sums = table.sum_facts(workspace, account, &all_of(level, range, details)).await?;
        let with_measures = |stored: StoredEntity| {
            let measures = measures_of(&sums, &stored.entity.id, details)?;
            Ok((stored.entity, measures))
        };
        entities.into_iter().map(with_measures).collect()
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

/// Sums every entity of a level.
fn all_of(level: Level, range: DateRange, details: Details) -> SumQuery<'static> {
    SumQuery {
        dataset: Dataset::AD_DAY,
        range,
        grouping: Grouping { level, by_day: false },
        with_detail: details != Details::default(),
        ids: None,
    }
}

/// Returns the sums of an entity: zeros where nothing was delivered.
fn measures_of(sums: &Sums, id: &EntityId, details: Details) -> Result<Measures, StoreError> {
    let measures = sums.find(None, Some(id)).map(|group| sums.measures(group)).transpose()?;
    Ok(details.of(measures.unwrap_or_default()))
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
enum Order {
    #[serde(rename = "asc")]
    Ascending,
    #[default]
    #[serde(rename = "desc")]
    Descending,
}

impl Order {
    fn compare(self, a: &Position, b: &Position) -> std::cmp::Ordering {
        let by_value = match (&a.0, &b.0) {
            (Some(a), Some(b)) if self == Self::Descending => b.cmp(a),
            (Some(a), Some(b)) => a.cmp(b),
            // Unknown values sort last in both orders.
            (a, b) => b.is_some().cmp(&a.is_some()),
        };
        by_value.then_with(|| a.1.cmp(&b.1))
    }
}

fn write_position((value, id): &Position) -> String {
    format!("{}#{id}", value.map(|value| value.to_string()).unwrap_or_default())
}

fn parse_position(text: &str) -> Result<Position, FieldError> {
    let invalid = Cursor::invalid;
    let (value, id) = text.split_once('#').ok_or_else(invalid)?;
    let value = (!value.is_empty()).then(|| value.parse()).transpose().map_err(|_| invalid())?;
    Ok((value, id.to_owned()))
}

#[cfg(feature = "describe")]
impl schemars::JsonSchema for KnownStatus {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "KnownStatus".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "enum": EffectiveStatus::KNOWN})
    }
}
