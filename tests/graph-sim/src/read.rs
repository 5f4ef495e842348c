//! Reads of objects and of their edges. An edge within `fields` is read like a separate call.

use std::collections::BTreeMap;

use axum::http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::call::GraphCall;
use crate::error::{GraphError, nonexisting_field, unsupported};
use crate::insights::{AsOf, InsightsLimits, Subject};
use crate::node::Kind;
use crate::object::{Object, plain};
use crate::paging::Link;
use crate::params::Params;
use crate::selection::{self, Field};
use crate::token::Claims;
use crate::world::World;
use crate::{business, insights, listing, preview, spec, thumbnail};

/// The context of a read.
pub(crate) struct Reader<'a> {
    pub(crate) world: &'a World,
    /// The caller.
    pub(crate) claims: &'a Claims,
    pub(crate) base_url: &'a str,
    pub(crate) now: Timestamp,
    /// How much insights one response may contain.
    pub(crate) insights_limits: InsightsLimits,
}

impl<'a> Reader<'a> {
    /// Handles `GET /{object}`.
    pub(crate) fn object(&self, object: &Object<'a>, call: &GraphCall) -> Result<Value, GraphError> {
        self.project(object, &requested_fields(call, object.class())?, call)
    }

    /// Handles `GET /{object}/{edge}`.
    pub(crate) fn edge(
        &self,
        object: &Object<'a>,
        edge: &str,
        call: &GraphCall,
    ) -> Result<Value, GraphError> {
        if edge == "insights" {
            return self.insights(object, call);
        }
        let class = spec::call(object.class(), "GET", edge).map_or("", |edge| edge.returned);
        if class == "AdPreview" {
            let frame = preview::frame(self.world, self.base_url, object, Params(&call.params))?;
            return self.list(class, vec![plain(class, frame)], call);
        }
        self.list(class, object.members(self.world, edge), call)
    }

    /// Lists objects of a class, without accounts the caller cannot access.
    pub(crate) fn list(
        &self,
        class: &str,
        mut members: Vec<Object<'a>>,
        call: &GraphCall,
    ) -> Result<Value, GraphError> {
        members.retain(|member| match member {
            Object::Account(account) => business::can_access(self.world, self.claims, account),
            Object::Node(_) | Object::Plain(..) => true,
        });
        listing::list(self, class, members, call)
    }

    fn insights(&self, object: &Object<'a>, call: &GraphCall) -> Result<Value, GraphError> {
        if let Object::Plain("AdReportRun", _) = object {
            let rows = self.link(call, |link| self.world.reports.rows(&object.id(), self.world, call, link));
            return rows.unwrap_or_else(|| Err(unsupported("get", &object.id())));
        }
        let subject = Subject::of(self.world, object);
        let subject = subject.ok_or_else(|| nonexisting_field("insights", object.class()))?;
        let account = self.world.account_of(&subject.account);
        let as_of = AsOf::new(account, self.now);
        self.link(call, |link| {
            insights::handle(self.world, &subject, call, as_of, self.insights_limits, link)
        })
    }

    pub(crate) fn link<T>(&self, call: &GraphCall, make: impl FnOnce(&Link<'_>) -> T) -> T {
        let path = format!("/{}/{}", call.version, call.segments.join("/"));
        let token = call.token.as_deref().unwrap_or_default();
        make(&Link { base_url: self.base_url, path: &path, params: &call.params, token })
    }

    /// Returns the requested fields of an object. `id` is always included; fields without a value and edges without a
    /// target are omitted.
    pub(crate) fn project(
        &self,
        object: &Object<'a>,
        wanted: &[Field],
        call: &GraphCall,
    ) -> Result<Value, GraphError> {
        let mut response = Map::new();
        for field in wanted {
            let inner = field.inner.as_deref();
            let value = if let Some(linked) = object.linked(self.world, &field.name) {
                Some(self.project(&linked, inner.unwrap_or_default(), call)?)
            } else if spec::has_field(object.class(), &field.name) {
                self.value(object, &field.name).map(|value| pick(&value, inner))
            } else {
                self.nested(object, field, call)?
            };
            if let Some(value) = value {
                let name = field.modifiers.get("as").unwrap_or(&field.name);
                response.insert(name.clone(), value);
            }
        }
        // Some objects, such as entries of the activity log, have no id.
        let id = object.id();
        if !id.is_empty() {
            response.insert("id".into(), json!(id));
        }
        Ok(Value::Object(response))
    }

    fn value(&self, object: &Object<'a>, field: &str) -> Option<Value> {
        match object {
            // The offset changes with daylight saving time.
            Object::Account(account) if field == "timezone_offset_hours_utc" => {
                let seconds = account.zone.to_offset(self.now).seconds();
                Some(if seconds % 3600 == 0 {
                    json!(seconds / 3600)
                } else {
                    json!(f64::from(seconds) / 3600.0)
                })
            }
            Object::Account(account) if field == "user_tasks" => {
                let tasks = self.world.businesses.tasks(&self.claims.user, &account.digits);
                tasks.map_or_else(|| object.value(self.world, field), |tasks| Some(json!(tasks)))
            }
            Object::Node(node) if node.kind == Kind::Creative && field == "thumbnail_url" => {
                Some(json!(thumbnail::url(self.base_url, &object.id())))
            }
            _ => object.value(self.world, field),
        }
    }

    /// Reads an edge within `fields`.
    fn nested(
        &self,
        object: &Object<'a>,
        field: &Field,
        call: &GraphCall,
    ) -> Result<Option<Value>, GraphError> {
        let mut params: BTreeMap<String, String> = field.modifiers.clone();
        params.remove("as");
        if let Some(inner) = &field.inner {
            params.insert("fields".into(), selection::write(inner));
        }
        let nested = GraphCall {
            method: Method::GET,
            version: call.version.clone(),
            segments: vec![object.id(), field.name.clone()],
            params,
            token: call.token.clone(),
            pages: call.pages,
            ..GraphCall::default()
        };
        let response = self.edge(object, &field.name, &nested)?;
        let empty = response["data"].as_array().is_none_or(Vec::is_empty) && response.get("paging").is_none();
        Ok((!empty).then_some(response))
    }
}

/// Returns the fields that a call requests of objects of a class.
pub(crate) fn requested_fields(call: &GraphCall, class: &str) -> Result<Vec<Field>, GraphError> {
    let default = match class {
        "AdAccount" => "id,account_id",
        // The official SDKs and tools built on them poll without naming fields.
        "AdReportRun" => {
            "id,account_id,time_ref,time_completed,async_status,async_percent_completion,is_running,is_bookmarked,\
             date_start,date_stop,error_code,error_subcode,error_message,error_user_title,error_user_msg"
        }
        "AdPreview" => "body",
        "AssignedUser" => "id,name,tasks",
        "Business" | "Page" | "User" => "id,name",
        "BusinessUser" => "id,name,business",
        "MinimumBudget" => {
            "currency,min_daily_budget_imp,min_daily_budget_high_freq,min_daily_budget_low_freq,\
             min_daily_budget_video_views"
        }
        "AdActivity" => "event_time,event_type,object_id,object_name,extra_data",
        _ => "id",
    };
    selection::parse(Params(&call.params).text("fields").unwrap_or(default))
}

/// Returns the requested parts of a structured value.
fn pick(value: &Value, inner: Option<&[Field]>) -> Value {
    match (value, inner) {
        (Value::Object(fields), Some(inner)) => inner
            .iter()
            .filter_map(|field| {
                fields.get(&field.name).map(|value| (field.name.clone(), pick(value, field.inner.as_deref())))
            })
            .collect(),
        (Value::Array(items), Some(_)) => items.iter().map(|item| pick(item, inner)).collect(),
        _ => value.clone(),
    }
}

/// Maximum number of objects in a response, including edges within `fields`. Meta's limit depends on time and memory;
/// this number is our choice.
const MAX_RESPONSE_OBJECTS: usize = 50_000;
/// Number of objects that an edge within `fields` returns when no limit is given.
const DEFAULT_NESTED_LIMIT: usize = 25;

/// Rejects a request that is too large for one response, with the message that makes clients ask for less.
pub(crate) fn check_weight(class: &str, limit: usize, fields: &[Field]) -> Result<(), GraphError> {
    if weight(class, limit, fields) <= MAX_RESPONSE_OBJECTS {
        return Ok(());
    }
    let text = "Please reduce the amount of data you're asking for, then retry your request";
    Err(GraphError::new(1, text).status(StatusCode::INTERNAL_SERVER_ERROR))
}

fn weight(class: &str, limit: usize, fields: &[Field]) -> usize {
    let heaviest_field = fields.iter().map(|field| {
        let inner = field.inner.as_deref().unwrap_or_default();
        match (spec::field_class(class, &field.name), spec::call(class, "GET", &field.name)) {
            (Some(held), _) => weight(held, 1, inner),
            (None, Some(edge)) if !spec::has_field(class, &field.name) => {
                let limit = field
                    .modifiers
                    .get("limit")
                    .and_then(|limit| limit.parse().ok())
                    .unwrap_or(DEFAULT_NESTED_LIMIT);
                weight(edge.returned, limit, inner)
            }
            _ => 1,
        }
    });
    limit.saturating_mul(heaviest_field.max().unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_within_edges_grow_heavy() {
        let weight = |limit, fields| weight("Campaign", limit, &selection::parse(fields).unwrap());
        assert_eq!(weight(500, "id,name,adlabels{id}"), 500);
        assert_eq!(weight(100, "id,adsets.limit(10){id,ads{creative{id}}}"), 25_000);
        assert_eq!(
            check_weight("Campaign", 101, &selection::parse("ads.limit(500){id}").unwrap()).unwrap_err().code,
            1
        );
    }
}
