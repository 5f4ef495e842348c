//! Listings of objects: filtered, split into pages, and counted on request.

use serde_json::{Value, json};

use crate::call::GraphCall;
use crate::error::GraphError;
use crate::filter::Conditions;
use crate::object::Object;
use crate::paging::{PageRequest, page};
use crate::params::Params;
use crate::read::{Reader, check_weight, requested_fields};

/// Meta publishes no maximum page size for structure edges; it rejects pages that take too long.
const MAX_PAGE_ROWS: usize = 500;

/// Returns the requested page of these objects, which are all of one class.
pub(crate) fn list<'a>(
    reader: &Reader<'a>,
    class: &str,
    mut members: Vec<Object<'a>>,
    call: &GraphCall,
) -> Result<Value, GraphError> {
    let window = PageRequest::read(call, MAX_PAGE_ROWS)?;
    let wanted = requested_fields(call, class)?;
    check_weight(class, window.limit, &wanted)?;
    let conditions = Conditions::read(Params(&call.params), class, reader.now)?;
    members.retain(|member| conditions.matches(reader.world, member));

    let count = members.len();
    let place = |index: usize| match &members[index] {
        Object::Node(node) => node.position,
        Object::Account(_) | Object::Plain(..) => index as i64,
    };
    let range = window.range(count, place);
    let data: Result<Vec<Value>, GraphError> =
        members[range.clone()].iter().map(|member| reader.project(member, &wanted, call)).collect();
    let data = data?;
    let mut response = reader.link(call, |link| page(data, range, count, place, &window, link));
    if is_counted(call) {
        response["summary"] = json!({ "total_count": count });
    }
    Ok(response)
}

fn is_counted(call: &GraphCall) -> bool {
    let summary = Params(&call.params).text("summary").unwrap_or_default();
    matches!(summary, "true" | "True" | "1") || summary.contains("total_count")
}
