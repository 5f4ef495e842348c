//! Listings of campaigns, ad sets, ads and creatives, and the conditions that narrow them.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::call::GraphCall;
use crate::error::{GraphError, invalid};
use crate::node::{Kind, Node, parse_time};
use crate::paging::{Link, Window, page};
use crate::params::Params;
use crate::projection;
use crate::world::World;

/// Parameters of a listing.
pub(crate) const PARAMS: [&str; 6] = ["fields", "limit", "after", "before", "effective_status", "filtering"];
const MOST: usize = 500;

/// Lists the objects of one kind in an account, or below one of its objects.
pub(crate) fn list(
    world: &World,
    kind: Kind,
    account: &str,
    below: Option<&str>,
    call: &GraphCall,
    link: &Link<'_>,
) -> Result<Value, GraphError> {
    let params = Params(&call.params);
    let wanted = projection::parse(params.text("fields").unwrap_or("id"))?;
    projection::check(kind, &wanted)?;
    let window = Window::read(&call.params, MOST)?;
    let conditions = conditions(params, kind)?;

    let mut nodes = world.of_account(kind, account);
    nodes.retain(|node| {
        below.is_none_or(|id| parents(node).contains(&Some(id))) && conditions.hold(world, node)
    });
    let place = |index: usize| nodes[index].position;
    let range = window.cut(nodes.len(), place);
    let data = nodes[range.clone()].iter().map(|node| projection::node(world, node, &wanted)).collect();
    Ok(page(data, range, nodes.len(), place, window.limit, link))
}

fn parents(node: &Node) -> [Option<&str>; 2] {
    [node.text("campaign_id"), node.text("adset_id")]
}

/// One entry of `filtering`.
#[derive(Deserialize)]
pub(crate) struct Filter {
    pub(crate) field: String,
    pub(crate) operator: String,
    pub(crate) value: Value,
}

impl Filter {
    /// The values of IN and EQUAL.
    pub(crate) fn values(&self) -> Result<Vec<String>, GraphError> {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match (self.operator.as_str(), &self.value) {
            ("IN", Value::Array(values)) => Ok(values.iter().map(text).collect()),
            ("EQUAL", value) if !value.is_array() && !value.is_object() => Ok(vec![text(value)]),
            _ => Err(invalid(format!(
                "The filter on {} does not take {} with this value",
                self.field, self.operator
            ))),
        }
    }
}

/// Reads `filtering`.
pub(crate) fn filters(params: Params<'_>) -> Result<Vec<Filter>, GraphError> {
    let Some(text) = params.text("filtering") else { return Ok(Vec::new()) };
    serde_json::from_str(text)
        .map_err(|_| invalid("Param filtering must be an array of {\"field\", \"operator\", \"value\"}"))
}

/// What a listed object must be.
#[derive(Default)]
struct Conditions {
    statuses: Option<Vec<String>>,
    texts: Vec<(&'static str, Vec<String>)>,
    name_parts: Vec<String>,
    updated_after: Option<Timestamp>,
}

impl Conditions {
    fn hold(&self, world: &World, node: &Node) -> bool {
        let in_time = self.updated_after.is_none_or(|after| {
            node.text("updated_time").and_then(parse_time).is_some_and(|updated| updated > after)
        });
        let fits = |(field, values): &(&str, Vec<String>)| {
            node.text(field).is_some_and(|text| values.iter().any(|value| value == text))
        };
        let named = |part: &String| node.text("name").is_some_and(|name| name.contains(part.as_str()));
        in_time
            && self.name_parts.iter().all(named)
            && self.texts.iter().all(fits)
            && self.has_status(world, node)
    }

    fn has_status(&self, world: &World, node: &Node) -> bool {
        let status = match node.kind {
            Kind::Creative => node.own_status().to_owned(),
            _ => world.effective_status(node),
        };
        match &self.statuses {
            Some(statuses) => statuses.contains(&status),
            None => !matches!(status.as_str(), "ARCHIVED" | "DELETED"),
        }
    }
}

fn conditions(params: Params<'_>, kind: Kind) -> Result<Conditions, GraphError> {
    let mut conditions = Conditions { statuses: params.names("effective_status")?, ..Conditions::default() };
    let own = match kind {
        Kind::Campaign => "campaign.",
        Kind::AdSet => "adset.",
        Kind::Ad => "ad.",
        Kind::Account | Kind::Creative => "creative.",
    };
    for filter in filters(params)? {
        // `ad.effective_status` on a listing of ads is the ads' own.
        let field = filter.field.strip_prefix(own).unwrap_or(&filter.field);
        match (field, kind) {
            ("effective_status", _) => conditions.statuses = Some(filter.values()?),
            ("name", _) if filter.operator == "CONTAIN" => {
                let part = filter.value.as_str().ok_or_else(|| invalid("The filter on name needs a text"))?;
                conditions.name_parts.push(part.to_owned());
            }
            ("id", _) => conditions.texts.push(("id", filter.values()?)),
            ("campaign.id", Kind::AdSet | Kind::Ad) => {
                conditions.texts.push(("campaign_id", filter.values()?))
            }
            ("adset.id", Kind::Ad) => conditions.texts.push(("adset_id", filter.values()?)),
            ("updated_time", _) if filter.operator == "GREATER_THAN" => {
                let text = filter.value.as_str().map_or_else(|| filter.value.to_string(), str::to_owned);
                let after =
                    parse_time(&text).ok_or_else(|| invalid("The filter on updated_time needs a time"))?;
                conditions.updated_after = Some(after);
            }
            _ => {
                return Err(invalid(format!(
                    "Filtering field {} with {} is invalid",
                    filter.field, filter.operator
                )));
            }
        }
    }
    if conditions.statuses.as_ref().is_some_and(|statuses| statuses.iter().any(|status| status == "DELETED"))
    {
        return Err(invalid("Deleted objects cannot be listed: read them by their id"));
    }
    Ok(conditions)
}
