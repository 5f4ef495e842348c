//! Filters of listings: `filtering`, `effective_status` and `updated_since`.

use std::cmp::Ordering;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use crate::error::{GraphError, invalid};
use crate::node::{Node, parse_time};
use crate::object::Object;
use crate::params::Params;
use crate::spec;
use crate::world::World;

/// One entry of `filtering`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Filter {
    pub(crate) field: String,
    pub(crate) operator: String,
    #[serde(default)]
    pub(crate) value: Value,
}

impl Filter {
    fn new(field: &str, operator: &str, value: impl Into<Value>) -> Self {
        Self { field: field.to_owned(), operator: operator.to_owned(), value: value.into() }
    }

    /// Returns the values of an IN or EQUAL filter.
    pub(crate) fn values(&self) -> Result<Vec<String>, GraphError> {
        match (self.operator.as_str(), &self.value) {
            ("IN", Value::Array(values)) => Ok(values.iter().map(text).collect()),
            ("EQUAL", value) if !value.is_array() && !value.is_object() => Ok(vec![text(value)]),
            _ => Err(invalid(format!(
                "The filter on {} does not take {} with this value",
                self.field, self.operator
            ))),
        }
    }

    /// Returns whether the operator is known and accepts a value of this type.
    pub(crate) fn is_valid(&self) -> bool {
        match self.operator.as_str() {
            "EQUAL" | "NOT_EQUAL" | "GREATER_THAN" | "LESS_THAN" | "CONTAIN" | "NOT_CONTAIN"
            | "STARTS_WITH" => self.value.is_string() || self.value.is_number() || self.value.is_boolean(),
            "IN_RANGE" | "NOT_IN_RANGE" => self.value.as_array().is_some_and(|bounds| bounds.len() == 2),
            "IN" | "NOT_IN" | "ANY" | "ALL" | "NONE" => self.value.is_array(),
            _ => false,
        }
    }

    /// Returns whether a value passes the filter. An absent value passes negated operators only.
    pub(crate) fn matches(&self, found: Option<&Value>) -> bool {
        let wanted = &self.value;
        let is_one_of = |found: &Value| list(wanted).iter().any(|wanted| same(found, wanted));
        let within = |found: &Value| match list(wanted) {
            [low, high] => {
                matches!(order(found, low), Some(Ordering::Greater | Ordering::Equal))
                    && matches!(order(found, high), Some(Ordering::Less | Ordering::Equal))
            }
            _ => false,
        };
        let has = |found: &Value| text(found).to_lowercase().contains(&text(wanted).to_lowercase());
        let any_of = |found: &Value| list(found).iter().any(is_one_of);
        match self.operator.as_str() {
            "EQUAL" => found.is_some_and(|found| same(found, wanted)),
            "NOT_EQUAL" => !found.is_some_and(|found| same(found, wanted)),
            "GREATER_THAN" => found.and_then(|found| order(found, wanted)) == Some(Ordering::Greater),
            "LESS_THAN" => found.and_then(|found| order(found, wanted)) == Some(Ordering::Less),
            "IN_RANGE" => found.is_some_and(within),
            "NOT_IN_RANGE" => !found.is_some_and(within),
            "CONTAIN" => found.is_some_and(has),
            "NOT_CONTAIN" => !found.is_some_and(has),
            "STARTS_WITH" => found.is_some_and(|found| text(found).starts_with(&text(wanted))),
            "IN" => found.is_some_and(is_one_of),
            "NOT_IN" => !found.is_some_and(is_one_of),
            "ANY" => found.is_some_and(any_of),
            "NONE" => !found.is_some_and(any_of),
            "ALL" => found.is_some_and(|found| {
                list(wanted).iter().all(|wanted| list(found).iter().any(|found| same(found, wanted)))
            }),
            _ => false,
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn same(found: &Value, wanted: &Value) -> bool {
    text(found) == text(wanted) || order(found, wanted) == Some(Ordering::Equal)
}

/// Compares two numbers, or two times in any of the formats Graph accepts.
fn order(found: &Value, wanted: &Value) -> Option<Ordering> {
    let (found, wanted) = (text(found), text(wanted));
    if let (Ok(found), Ok(wanted)) = (found.parse::<f64>(), wanted.parse::<f64>()) {
        return found.partial_cmp(&wanted);
    }
    Some(parse_time(&found)?.cmp(&parse_time(&wanted)?))
}

/// Parses `filtering`.
pub(crate) fn filters(params: Params<'_>) -> Result<Vec<Filter>, GraphError> {
    let Some(text) = params.text("filtering") else { return Ok(Vec::new()) };
    serde_json::from_str(text)
        .map_err(|_| invalid("Param filtering must be an array of {\"field\", \"operator\", \"value\"}"))
}

/// The filters of a listing.
pub(crate) struct Conditions {
    filters: Vec<(FilterTarget, Filter)>,
    /// Whether a filter names the status; otherwise archived and deleted objects are not listed.
    any_status: bool,
}

/// The object whose field is compared.
#[derive(Clone, Copy, PartialEq)]
enum FilterTarget {
    Own,
    Campaign,
    AdSet,
}

impl Conditions {
    /// Reads the filters of a listing of one class.
    pub(crate) fn read(params: Params<'_>, class: &str, now: Timestamp) -> Result<Self, GraphError> {
        let mut conditions = Self { filters: Vec::new(), any_status: false };
        let mut wanted = filters(params)?;
        if let Some(statuses) = params.names("effective_status")? {
            wanted.push(Filter::new("effective_status", "IN", statuses));
        }
        if let Some(hashes) = params.names("hashes")?.filter(|_| class == "AdImage") {
            wanted.push(Filter::new("hash", "IN", hashes));
        }
        if let Some(since) = params.text("updated_since") {
            wanted.push(Filter::new("updated_time", "GREATER_THAN", since));
        }
        if let Some(completed) = params.text("is_completed") {
            let field = if class == "Campaign" { "stop_time" } else { "end_time" };
            let ended = matches!(completed.to_ascii_lowercase().as_str(), "true" | "1");
            let operator = if ended { "IN_RANGE" } else { "NOT_IN_RANGE" };
            wanted.push(Filter::new(field, operator, vec![0, now.as_second()]));
        }
        if class == "AdActivity" {
            // Without `since` the log goes back one week.
            let week = (now - SignedDuration::from_hours(7 * 24)).as_second().to_string();
            wanted.push(Filter::new("event_time", "GREATER_THAN", params.text("since").unwrap_or(&week)));
            wanted.extend(params.text("until").map(|until| Filter::new("event_time", "LESS_THAN", until)));
        }
        for filter in wanted {
            conditions.add(filter, class)?;
        }
        Ok(conditions)
    }

    fn add(&mut self, mut filter: Filter, class: &str) -> Result<(), GraphError> {
        let (target, field) = filter_target(&filter.field, class);
        let target_class = match target {
            FilterTarget::Own => class,
            FilterTarget::Campaign => "Campaign",
            FilterTarget::AdSet => "AdSet",
        };
        let known = class.is_empty() || spec::has_field(target_class, field);
        if !known || !filter.is_valid() {
            return Err(invalid(format!(
                "Filtering field {} with operation {} is not supported",
                filter.field, filter.operator
            )));
        }
        if target == FilterTarget::Own && field.ends_with("status") {
            if list(&filter.value).iter().chain([&filter.value]).any(|status| status == "DELETED") {
                return Err(invalid("Deleted objects cannot be listed: read them by their id"));
            }
            self.any_status = true;
        }
        filter.field = field.to_owned();
        self.filters.push((target, filter));
        Ok(())
    }

    pub(crate) fn matches(&self, world: &World, member: &Object<'_>) -> bool {
        let fits = |(target, filter): &(FilterTarget, Filter)| {
            let found = match target {
                FilterTarget::Own => member.value(world, &filter.field),
                FilterTarget::Campaign => parent_value(world, member, "campaign", &filter.field),
                FilterTarget::AdSet => parent_value(world, member, "adset", &filter.field),
            };
            filter.matches(found.as_ref())
        };
        (self.any_status || !is_archived_or_deleted(world, member)) && self.filters.iter().all(fits)
    }
}

/// Resolves the prefix of a filter's field: on a listing of ads, `ad.effective_status` is a field of the ad itself and
/// `campaign.id` one of its campaign.
fn filter_target<'a>(field: &'a str, class: &str) -> (FilterTarget, &'a str) {
    let Some((prefix, rest)) = field.split_once('.') else { return (FilterTarget::Own, field) };
    match (prefix, class) {
        ("campaign", "Campaign") | ("adset", "AdSet") | ("ad", "Ad") | ("creative", "AdCreative") => {
            (FilterTarget::Own, rest)
        }
        ("campaign", "AdSet" | "Ad") => (FilterTarget::Campaign, rest),
        ("adset", "Ad") => (FilterTarget::AdSet, rest),
        _ => (FilterTarget::Own, field),
    }
}

fn parent_value(world: &World, member: &Object<'_>, above: &str, field: &str) -> Option<Value> {
    let Object::Node(node) = member else { return None };
    let above: &Node = world.nodes.get(node.text(&format!("{above}_id"))?)?;
    Object::Node(above).value(world, field)
}

fn is_archived_or_deleted(world: &World, member: &Object<'_>) -> bool {
    let Object::Node(node) = member else { return false };
    let status = member.value(world, "effective_status");
    let status = status.as_ref().and_then(Value::as_str).unwrap_or(node.configured_status());
    matches!(status, "ARCHIVED" | "DELETED")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matches(operator: &str, value: Value, found: Value) -> bool {
        let filter = Filter { field: "x".into(), operator: operator.into(), value };
        assert!(filter.is_valid(), "{filter:?}");
        filter.matches(Some(&found).filter(|found| !found.is_null()))
    }

    #[test]
    fn operators_compare_numbers_texts_and_times() {
        assert!(
            matches("GREATER_THAN", json!(900), json!("1000"))
                && !matches("GREATER_THAN", json!("1000"), json!(1000))
        );
        let noon = json!("2026-11-20T12:00:00+0800");
        assert!(matches("LESS_THAN", json!(1_795_200_000), noon.clone()));
        assert!(matches("IN_RANGE", json!(["2026-11-20T04:00:00Z", "2026-11-21T00:00:00Z"]), noon));
        assert!(
            matches("CONTAIN", json!("SALE"), json!("Summer sale"))
                && matches("STARTS_WITH", json!("Su"), json!("Sun"))
        );
        assert!(matches("IN", json!(["7"]), json!(7)) && matches("NOT_IN", json!(["a"]), Value::Null));
        assert!(
            matches("ALL", json!(["a"]), json!(["a", "b"])) && matches("NONE", json!(["c"]), json!(["a"]))
        );
    }

    #[test]
    fn unknown_fields_and_odd_values_are_refused() {
        let read = |text: &str| {
            let params = [("filtering".to_owned(), text.to_owned())].into();
            Conditions::read(Params(&params), "Ad", Timestamp::UNIX_EPOCH).map(|_| ())
        };
        assert!(read(r#"[{"field":"ad.name","operator":"CONTAIN","value":"x"}]"#).is_ok());
        assert!(read(r#"[{"field":"campaign.objective","operator":"EQUAL","value":"x"}]"#).is_ok());
        for wrong in [
            r#"[{"field":"foo","operator":"EQUAL","value":"x"}]"#,
            r#"[{"field":"creative.name","operator":"EQUAL","value":"x"}]"#,
            r#"[{"field":"name","operator":"LIKE","value":"x"}]"#,
            r#"[{"field":"name","operator":"IN","value":"x"}]"#,
            r#"[{"field":"effective_status","operator":"IN","value":["DELETED"]}]"#,
            r#"{"field":"name"}"#,
        ] {
            assert_eq!(read(wrong).unwrap_err().code, 100, "{wrong}");
        }
    }
}
