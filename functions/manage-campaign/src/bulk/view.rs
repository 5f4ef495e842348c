//! Bulk changes as people see them.

use std::collections::BTreeMap;

use domain::Error;
use domain::bulk::{BulkObject, BulkObjectState, BulkState};
use domain::entity::{Changes, Level, Status};
use domain::id::{AdAccountId, BulkChangeId, EntityId};
use domain::money::{Currency, Money};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use runtime::Response;
use runtime::request::Json;
use runtime::response::IntoResponse;
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::Value;
use store::bulk::StoredBulkChange;

/// A value, or null for none: of optional properties null is said nowhere else.
#[cfg(feature = "describe")]
struct OrNone<T>(std::marker::PhantomData<T>);

#[cfg(feature = "describe")]
impl<T: schemars::JsonSchema> schemars::JsonSchema for OrNone<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("{}OrNone", T::schema_name()).into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"oneOf": [generator.subschema_for::<T>(), {"type": "null"}]})
    }
}

/// Values of an object; `null` for none.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
struct ValuesView {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    daily_budget: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lifetime_budget: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(with = "OrNone<Money>"))]
    spend_cap: Option<Option<Money>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bid_strategy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(with = "OrNone<Money>"))]
    bid_amount: Option<Option<Money>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(with = "OrNone<Decimal>"))]
    min_roas: Option<Option<Decimal>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(with = "OrNone<Timestamp>"))]
    end: Option<Option<Timestamp>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(with = "OrNone<String>"))]
    url_tags: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    creative_id: Option<String>,
    /// By their paths in Meta's `targeting`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    targeting: BTreeMap<String, Value>,
}

impl ValuesView {
    fn new(changes: Changes, currency: Currency) -> Self {
        let money = |amount: Option<i64>| amount.map(|amount| Money { amount, currency });
        Self {
            name: changes.name,
            status: changes.status,
            daily_budget: money(changes.daily_budget),
            lifetime_budget: money(changes.lifetime_budget),
            spend_cap: changes.spend_cap.map(money),
            bid_strategy: changes.bid_strategy,
            bid_amount: changes.bid_amount.map(money),
            min_roas: changes.min_roas,
            start: changes.start,
            end: changes.end,
            url_tags: changes.url_tags,
            creative_id: changes.creative_id,
            targeting: changes.targeting,
        }
    }
}

/// An object of a bulk change.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
struct BulkObjectView {
    level: Level,
    id: EntityId,
    /// Its name before.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// What it has had of what is set.
    before: ValuesView,
    /// What is set.
    after: ValuesView,
    /// What became of it.
    state: BulkObjectState,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl BulkObjectView {
    fn new(object: BulkObject, currency: Currency) -> Self {
        let BulkObject { level, id, name, before, after, state, reason, held_up: _ } = object;
        let (before, after) = (ValuesView::new(before, currency), ValuesView::new(after, currency));
        Self { level, id, name, before, after, state, reason }
    }
}

/// How many objects are in each state.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
struct BulkCounts {
    /// All of them.
    objects: usize,
    /// Those that are not settled.
    open: usize,
    done: usize,
    unchanged: usize,
    rejected: usize,
    changed_meanwhile: usize,
    gone: usize,
    unknown: usize,
    stopped: usize,
}

/// A bulk change.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct BulkView {
    id: BulkChangeId,
    ad_account: AdAccountId,
    state: BulkState,
    /// How far it is.
    counts: BulkCounts,
    requested_at: Timestamp,
    requested_by: String,
    /// The bulk change that it undoes.
    #[serde(skip_serializing_if = "Option::is_none")]
    undo_of: Option<BulkChangeId>,
    /// The bulk change that undoes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    undone_by: Option<BulkChangeId>,
    /// Its objects, where one bulk change is asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    objects: Vec<BulkObjectView>,
}

impl BulkView {
    pub(super) fn new(bulk: StoredBulkChange, currency: Currency) -> Self {
        let count = |state| bulk.count(state);
        let counts = BulkCounts {
            objects: bulk.change.objects.len(),
            open: count(BulkObjectState::Pending) + count(BulkObjectState::Sent),
            done: count(BulkObjectState::Done),
            unchanged: count(BulkObjectState::Unchanged),
            rejected: count(BulkObjectState::Rejected),
            changed_meanwhile: count(BulkObjectState::ChangedMeanwhile),
            gone: count(BulkObjectState::Gone),
            unknown: count(BulkObjectState::Unknown),
            stopped: count(BulkObjectState::Stopped),
        };
        let StoredBulkChange { change, requested_by, requested_at, undo_of, undone_by, .. } = bulk;
        let object = |object| BulkObjectView::new(object, currency);
        Self {
            id: change.id,
            ad_account: change.ad_account,
            state: change.state,
            counts,
            requested_at,
            requested_by,
            undo_of,
            undone_by,
            objects: change.objects.into_iter().map(object).collect(),
        }
    }

    pub(super) fn listed(bulk: StoredBulkChange, currency: Currency) -> Self {
        Self { objects: Vec::new(), ..Self::new(bulk, currency) }
    }
}

/// What a bulk change would do.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct BulkPreview {
    /// What the request may name as `preview`, to be refused when it would do anything else by then.
    preview: String,
    /// Objects that would change.
    changing: usize,
    /// Objects that are so already.
    unchanged: usize,
    /// All of them, with their values before and after.
    objects: Vec<BulkObjectView>,
}

impl BulkPreview {
    pub(super) fn new(objects: Vec<BulkObject>, preview: String, currency: Currency) -> Self {
        let changing = objects.iter().filter(|object| object.before != object.after).count();
        let unchanged = objects.len() - changing;
        let objects = objects.into_iter().map(|object| BulkObjectView::new(object, currency)).collect();
        Self { preview, changing, unchanged, objects }
    }
}

/// The response to a request for a bulk change.
pub(crate) enum BulkResponse {
    Preview(Json<BulkPreview>),
    Begun(HeaderMap, Json<Box<BulkView>>),
}

impl IntoResponse for BulkResponse {
    fn into_response(self, status: StatusCode) -> Result<Response, Error> {
        match self {
            Self::Preview(preview) => preview.into_response(StatusCode::OK),
            Self::Begun(headers, bulk) => (headers, bulk).into_response(status),
        }
    }

    #[cfg(feature = "describe")]
    fn contents() -> Vec<(&'static str, runtime::operation::SchemaFn)> {
        Json::<Box<BulkView>>::contents()
    }
}
