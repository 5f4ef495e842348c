//! Reads campaigns, ad sets and ads.

use std::borrow::Cow;
use std::collections::BTreeMap;

use domain::entity::{Content, EffectiveStatus, Entity, Issue, Level, ReviewFeedback, Status};
use domain::id::{AdAccountId, EntityId};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::change::NO_SPEND_CAP;
use crate::client::UserClient;
use crate::error::GraphError;
use crate::goal::{PromotedObject, result_measure};
use crate::launch::ROAS_SCALE;
use crate::page::Pages;
use crate::response::decode_partly;
use crate::targeting;

/// Rows per page. Graph serves 500 flat rows, but not 500 rows with nested fields.
const PAGE_ROWS: u32 = 500;

const SECONDS_PER_YEAR: i64 = 366 * 24 * 60 * 60;

impl UserClient {
    /// Lists every object of a level in an account, archived ones included.
    pub fn entities(&self, account: &AdAccountId, level: Level) -> Pages<GraphEntity> {
        let statuses = listable_statuses(level).join("\",\"");
        let query =
            vec![("fields", fields(level).to_owned()), ("effective_status", format!("[\"{statuses}\"]"))];
        Pages::new(self.clone(), format!("{account}/{}", edge(level)), query, PAGE_ROWS)
    }

    /// Lists every object of a level below a campaign or ad set.
    pub fn entities_below(
        &self,
        account: &AdAccountId,
        level: Level,
        parent: (Level, &EntityId),
    ) -> Pages<GraphEntity> {
        let filter = serde_json::json!([
            {"field": format!("{}.id", parent.0), "operator": "EQUAL", "value": parent.1},
            {"field": "effective_status", "operator": "IN", "value": listable_statuses(level)},
        ]);
        let query = vec![("fields", fields(level).to_owned()), ("filtering", filter.to_string())];
        Pages::new(self.clone(), format!("{account}/{}", edge(level)), query, PAGE_ROWS)
    }

    /// Reads objects of a level by their ids, in one call for a page of them. Deleted ones are not listed.
    pub fn entities_in(&self, account: &AdAccountId, level: Level, ids: &[EntityId]) -> Pages<GraphEntity> {
        let filter = serde_json::json!([
            {"field": format!("{level}.id"), "operator": "IN", "value": ids},
            {"field": "effective_status", "operator": "IN", "value": listable_statuses(level)},
        ]);
        let query = vec![("fields", fields(level).to_owned()), ("filtering", filter.to_string())];
        Pages::new(self.clone(), format!("{account}/{}", edge(level)), query, PAGE_ROWS)
    }

    /// Reads the objects of a level whose name contains `mark`, without deleted ones.
    pub async fn entities_named(
        &self,
        account: &AdAccountId,
        level: Level,
        mark: &str,
    ) -> Result<Vec<Entity>, GraphError> {
        let filter = serde_json::json!([{"field": "name", "operator": "CONTAIN", "value": mark}]);
        let query = vec![("fields", fields(level).to_owned()), ("filtering", filter.to_string())];
        let found =
            Pages::<GraphEntity>::new(self.clone(), format!("{account}/{}", edge(level)), query, PAGE_ROWS);
        Ok(found.all().await?.into_iter().map(|object| object.into_entity(level)).collect())
    }

    /// Reads the current state of an object.
    pub async fn entity(&self, level: Level, id: &EntityId) -> Result<Entity, GraphError> {
        let body: Box<RawValue> = self.get(id.as_str(), &[("fields", &fields_of_one(level))]).await?;
        Ok(decode_partly::<GraphEntity>(body.get().as_bytes())?.into_entity(level))
    }
}

/// Returns the statuses to request from a Graph edge, so that archived objects are listed too.
///
/// Without this filter Meta omits archived objects. It rejects DELETED on an edge (Marketing API, "Object status").
pub(crate) fn listable_statuses(level: Level) -> &'static [&'static str] {
    match level {
        Level::Account => &[],
        Level::Campaign => &["ACTIVE", "PAUSED", "ARCHIVED", "IN_PROCESS", "WITH_ISSUES"],
        Level::AdSet => &["ACTIVE", "PAUSED", "ARCHIVED", "IN_PROCESS", "WITH_ISSUES", "CAMPAIGN_PAUSED"],
        Level::Ad => &[
            "ACTIVE",
            "PAUSED",
            "ARCHIVED",
            "IN_PROCESS",
            "WITH_ISSUES",
            "CAMPAIGN_PAUSED",
            "ADSET_PAUSED",
            "PENDING_REVIEW",
            "DISAPPROVED",
            "PREAPPROVED",
            "PENDING_BILLING_INFO",
        ],
    }
}

/// Returns the edge of an account that lists a level.
pub(crate) fn edge(level: Level) -> &'static str {
    match level {
        Level::Account => "",
        Level::Campaign => "campaigns",
        Level::AdSet => "adsets",
        Level::Ad => "ads",
    }
}

/// Returns the fields to request. Graph rejects the whole call when one field does not exist at that level.
pub(crate) fn fields(level: Level) -> &'static str {
    match level {
        Level::Account => "id",
        Level::Campaign => {
            "id,name,status,configured_status,effective_status,objective,daily_budget,lifetime_budget,spend_cap,bid_strategy,created_time,issues_info"
        }
        Level::AdSet => {
            "id,campaign_id,name,status,configured_status,effective_status,daily_budget,lifetime_budget,bid_strategy,bid_amount,bid_constraints,start_time,end_time,optimization_goal,promoted_object,created_time,issues_info"
        }
        Level::Ad => {
            "id,campaign_id,adset_id,name,status,configured_status,effective_status,created_time,issues_info,ad_review_feedback"
        }
    }
}

/// Returns the fields to request of an object that is not read with hundreds of others: also what it shows, and to whom.
pub(crate) fn fields_of_one(level: Level) -> Cow<'static, str> {
    match level {
        Level::AdSet => format!("{},targeting", fields(level)).into(),
        Level::Ad => format!("{},creative{{id,url_tags}}", fields(level)).into(),
        _ => fields(level).into(),
    }
}

/// A campaign, ad set or ad in Graph's form.
#[derive(Debug, Deserialize)]
pub struct GraphEntity {
    id: EntityId,
    campaign_id: Option<EntityId>,
    adset_id: Option<EntityId>,
    name: Option<String>,
    status: Option<Status>,
    configured_status: Option<Status>,
    effective_status: Option<EffectiveStatus>,
    objective: Option<String>,
    #[serde(default, deserialize_with = "minor_units")]
    daily_budget: Option<i64>,
    #[serde(default, deserialize_with = "minor_units")]
    lifetime_budget: Option<i64>,
    #[serde(default, deserialize_with = "minor_units")]
    spend_cap: Option<i64>,
    bid_strategy: Option<String>,
    #[serde(default, deserialize_with = "minor_units")]
    bid_amount: Option<i64>,
    bid_constraints: Option<BidConstraints>,
    start_time: Option<String>,
    end_time: Option<String>,
    creative: Option<AttachedCreative>,
    targeting: Option<Value>,
    optimization_goal: Option<String>,
    promoted_object: Option<PromotedObject>,
    created_time: Option<String>,
    issues_info: Option<Vec<IssueInfo>>,
    ad_review_feedback: Option<AdReviewFeedback>,
}

/// The least ROAS is written times [`ROAS_SCALE`].
#[derive(Debug, Deserialize)]
struct BidConstraints {
    roas_average_floor: Option<i64>,
}

/// The creative of an ad, as far as it can be asked for with many ads.
#[derive(Debug, Default, Deserialize)]
struct AttachedCreative {
    id: Option<String>,
    url_tags: Option<String>,
}

/// Marketing API, "Ad Campaign Issues Info".
#[derive(Debug, Deserialize)]
struct IssueInfo {
    error_code: Option<i64>,
    error_summary: Option<String>,
    error_message: Option<String>,
    error_type: Option<String>,
    level: Option<String>,
}

/// Explanations by policy; for single placements below the placement's name (Marketing API, "Ad Review Feedback").
#[derive(Debug, Deserialize)]
struct AdReviewFeedback {
    global: Option<BTreeMap<String, String>>,
    placement_specific: Option<BTreeMap<String, BTreeMap<String, String>>>,
}

impl From<IssueInfo> for Issue {
    fn from(info: IssueInfo) -> Self {
        Self {
            code: info.error_code,
            summary: info.error_summary,
            message: info.error_message,
            level: info.level,
            severity: info.error_type,
        }
    }
}

impl AdReviewFeedback {
    fn into_list(self) -> Vec<ReviewFeedback> {
        let everywhere = self.global.into_iter().map(|reasons| (None, reasons));
        let placed = self.placement_specific.into_iter().flatten();
        let placed = placed.map(|(placement, reasons)| (Some(placement), reasons));
        let all = everywhere.chain(placed).flat_map(|(placement, reasons)| {
            reasons.into_iter().map(move |(policy, explanation)| ReviewFeedback {
                policy,
                explanation,
                placement: placement.clone(),
            })
        });
        all.collect()
    }
}

impl GraphEntity {
    /// Converts the object to the domain's form. `status` and `configured_status` are two names of the same value.
    pub fn into_entity(self, level: Level) -> Entity {
        let goal = self.optimization_goal.as_deref();
        let creative = self.creative.unwrap_or_default();
        let floor = self.bid_constraints.and_then(|bids| bids.roas_average_floor);
        // A date before 1971 stands for none.
        let moment =
            |time: &str| time.parse::<Timestamp>().ok().filter(|at| at.as_second() > SECONDS_PER_YEAR);
        Entity {
            result: goal.and_then(|goal| result_measure(goal, self.promoted_object.as_ref())),
            level,
            id: self.id,
            campaign_id: self.campaign_id,
            adset_id: self.adset_id,
            name: self.name,
            status: self.status.or(self.configured_status),
            effective_status: self.effective_status,
            objective: self.objective,
            daily_budget: self.daily_budget,
            lifetime_budget: self.lifetime_budget,
            spend_cap: self.spend_cap.filter(|cap| *cap < NO_SPEND_CAP),
            bid_strategy: self.bid_strategy,
            bid_amount: self.bid_amount,
            min_roas: floor.map(|floor| Decimal::from(floor) / Decimal::from(ROAS_SCALE)),
            start: self.start_time.as_deref().and_then(moment),
            end: self.end_time.as_deref().and_then(moment),
            content: Content {
                url_tags: creative.url_tags.filter(|tags| !tags.is_empty()),
                creative_id: creative.id,
                targeting: self.targeting.as_ref().map(targeting::values).unwrap_or_default(),
            },
            optimization_goal: self.optimization_goal,
            created_time: self.created_time,
            issues: self.issues_info.into_iter().flatten().map(Issue::from).collect(),
            review_feedback: self.ad_review_feedback.map(AdReviewFeedback::into_list).unwrap_or_default(),
        }
    }
}

/// Parses a budget, which Graph writes as a string. "0" means that the object has no budget of that kind.
fn minor_units<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum TextOrNumber {
        Text(String),
        Number(i64),
    }
    let amount = match Option::<TextOrNumber>::deserialize(deserializer)? {
        None => None,
        Some(TextOrNumber::Number(number)) => Some(number),
        Some(TextOrNumber::Text(text)) => Some(text.parse().map_err(serde::de::Error::custom)?),
    };
    Ok(amount.filter(|amount| *amount != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_read_as_graph_writes_them() {
        let read = |json: &str| -> Option<i64> {
            let entity: GraphEntity = serde_json::from_str(json).unwrap();
            entity.into_entity(Level::Campaign).daily_budget
        };
        assert_eq!(read(r#"{"id":"1","daily_budget":"1000"}"#), Some(1000));
        assert_eq!(read(r#"{"id":"1","daily_budget":1000}"#), Some(1000));
        assert_eq!(read(r#"{"id":"1","daily_budget":"0"}"#), None);
        assert_eq!(read(r#"{"id":"1"}"#), None);
    }
}
