//! `/me`: the person behind a token, their permissions and ad accounts.

use serde_json::{Map, Value, json};

use crate::call::GraphCall;
use crate::error::{GraphError, nonexisting_field};
use crate::login::PERSON;
use crate::node::Kind;
use crate::paging::{Link, Window, page};
use crate::params::Params;
use crate::projection;
use crate::token::Claims;
use crate::world::World;

const FIELDS: [&str; 6] = ["id", "name", "first_name", "last_name", "email", "short_name"];

/// `GET /me`
pub(crate) fn person(claims: &Claims, call: &GraphCall) -> Result<Value, GraphError> {
    let name =
        if claims.user == PERSON { "Simulated Person".to_owned() } else { format!("Person {}", claims.user) };
    let wanted = projection::parse(Params(&call.params).text("fields").unwrap_or("id,name"))?;
    let mut answer = Map::new();
    for field in wanted {
        match field.name.as_str() {
            "name" => drop(answer.insert(field.name, json!(name))),
            known if FIELDS.contains(&known) => {}
            unknown => return Err(nonexisting_field(unknown, "User")),
        }
    }
    answer.insert("id".into(), json!(claims.user));
    Ok(Value::Object(answer))
}

/// `GET /me/permissions`, narrowed by `permission` and `status`.
pub(crate) fn permissions(claims: &Claims, call: &GraphCall) -> Value {
    let params = Params(&call.params);
    let granted = claims.scopes.iter().map(|scope| (scope, "granted"));
    let data: Vec<Value> = granted
        .chain(claims.withdrawn.iter().map(|scope| (scope, "declined")))
        .filter(|(scope, _)| params.text("permission").is_none_or(|wanted| wanted == scope.as_str()))
        .filter(|(_, status)| params.text("status").is_none_or(|wanted| wanted == *status))
        .map(|(scope, status)| json!({ "permission": scope, "status": status }))
        .collect();
    json!({ "data": data })
}

/// `GET /me/adaccounts`
pub(crate) fn ad_accounts(
    world: &World,
    claims: &Claims,
    call: &GraphCall,
    link: &Link<'_>,
) -> Result<Value, GraphError> {
    let wanted = projection::parse(Params(&call.params).text("fields").unwrap_or("id,account_id"))?;
    projection::check(Kind::Account, &wanted)?;
    let window = Window::read(&call.params, 500)?;
    let visible: Vec<_> = world.accounts.iter().filter(|account| claims.sees(&account.digits)).collect();
    let place = |index: usize| index as i64;
    let range = window.cut(visible.len(), place);
    let data = visible[range.clone()].iter().map(|account| projection::account(account, &wanted)).collect();
    Ok(page(data, range, visible.len(), place, window.limit, link))
}
