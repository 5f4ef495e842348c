//! Reads campaigns, ad sets and ads.

use domain::id::{AdAccountId, ObjectId};
use domain::object::{AdObject, EffectiveStatus, Level, Status};
use serde::{Deserialize, Deserializer};

use crate::client::Caller;
use crate::error::GraphError;
use crate::page::Pages;

/// Rows per page. Graph serves 500 flat rows, but not 500 rows with nested fields.
const PAGE_ROWS: u32 = 500;

impl Caller {
    /// Lists every object of a level in an account, archived ones included.
    pub fn objects(&self, account: &AdAccountId, level: Level) -> Pages<GraphObject> {
        let statuses = EffectiveStatus::listable(level).join("\",\"");
        let query =
            vec![("fields", fields(level).to_owned()), ("effective_status", format!("[\"{statuses}\"]"))];
        Pages::new(self.clone(), format!("{account}/{}", edge(level)), query, PAGE_ROWS)
    }

    /// Lists every object of a level below a campaign or ad set.
    pub fn objects_below(
        &self,
        account: &AdAccountId,
        level: Level,
        parent: (Level, &ObjectId),
    ) -> Pages<GraphObject> {
        let filter = serde_json::json!([
            {"field": format!("{}.id", parent.0), "operator": "EQUAL", "value": parent.1},
            {"field": "effective_status", "operator": "IN", "value": EffectiveStatus::listable(level)},
        ]);
        let query = vec![("fields", fields(level).to_owned()), ("filtering", filter.to_string())];
        Pages::new(self.clone(), format!("{account}/{}", edge(level)), query, PAGE_ROWS)
    }

    /// Reads the objects of a level whose name contains `mark`, without deleted ones.
    pub async fn objects_named(
        &self,
        account: &AdAccountId,
        level: Level,
        mark: &str,
    ) -> Result<Vec<AdObject>, GraphError> {
        let filter = serde_json::json!([{"field": "name", "operator": "CONTAIN", "value": mark}]);
        let query = vec![("fields", fields(level).to_owned()), ("filtering", filter.to_string())];
        let found =
            Pages::<GraphObject>::new(self.clone(), format!("{account}/{}", edge(level)), query, PAGE_ROWS);
        Ok(found.all().await?.into_iter().map(|object| object.into_object(level)).collect())
    }

    /// Reads the current state of an object.
    pub async fn object(&self, level: Level, id: &ObjectId) -> Result<AdObject, GraphError> {
        let object: GraphObject = self.get(id.as_str(), &[("fields", fields(level))]).await?;
        Ok(object.into_object(level))
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
            "id,name,status,configured_status,effective_status,objective,daily_budget,lifetime_budget,created_time"
        }
        Level::AdSet => {
            "id,campaign_id,name,status,configured_status,effective_status,daily_budget,lifetime_budget,created_time"
        }
        Level::Ad => "id,campaign_id,adset_id,name,status,configured_status,effective_status,created_time",
    }
}

/// A campaign, ad set or ad in Graph's form.
#[derive(Debug, Deserialize)]
pub struct GraphObject {
    id: ObjectId,
    campaign_id: Option<ObjectId>,
    adset_id: Option<ObjectId>,
    name: Option<String>,
    status: Option<Status>,
    configured_status: Option<Status>,
    effective_status: Option<EffectiveStatus>,
    objective: Option<String>,
    #[serde(default, deserialize_with = "minor_units")]
    daily_budget: Option<i64>,
    #[serde(default, deserialize_with = "minor_units")]
    lifetime_budget: Option<i64>,
    created_time: Option<String>,
}

impl GraphObject {
    /// Converts the object to the domain's form. `status` and `configured_status` are two names of the same value.
    pub fn into_object(self, level: Level) -> AdObject {
        AdObject {
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
            created_time: self.created_time,
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
            let object: GraphObject = serde_json::from_str(json).unwrap();
            object.into_object(Level::Campaign).daily_budget
        };
        assert_eq!(read(r#"{"id":"1","daily_budget":"1000"}"#), Some(1000));
        assert_eq!(read(r#"{"id":"1","daily_budget":1000}"#), Some(1000));
        assert_eq!(read(r#"{"id":"1","daily_budget":"0"}"#), None);
        assert_eq!(read(r#"{"id":"1"}"#), None);
    }
}
