//! `/me`: the user of a token, with permissions, accounts and pages.

use serde_json::{Value, json};

use crate::business;
use crate::call::GraphCall;
use crate::error::GraphError;
use crate::login::LOGIN_USER_ID;
use crate::object::{self, Object, page, plain};
use crate::params::Params;
use crate::read::{Reader, requested_fields};
use crate::token::Claims;

/// Handles `GET /me`.
pub(crate) fn person(reader: &Reader<'_>, claims: &Claims, call: &GraphCall) -> Result<Value, GraphError> {
    let name = if claims.user == LOGIN_USER_ID {
        "Simulated Person".to_owned()
    } else {
        format!("Person {}", claims.user)
    };
    let person = plain("User", json!({ "id": claims.user, "name": name }));
    reader.project(&person, &requested_fields(call, "User")?, call)
}

/// Handles `GET /me/permissions`, filtered by `permission` and `status`.
pub(crate) fn permissions(claims: &Claims, call: &GraphCall) -> Value {
    let params = Params(&call.params);
    let granted = claims.scopes.iter().map(|scope| (scope, "granted"));
    let data: Vec<Value> = granted
        .chain(claims.withdrawn.iter().map(|(scope, status)| (scope, *status)))
        .filter(|(scope, _)| params.text("permission").is_none_or(|wanted| wanted == scope.as_str()))
        .filter(|(_, status)| params.text("status").is_none_or(|wanted| wanted == *status))
        .map(|(scope, status)| json!({ "permission": scope, "status": status }))
        .collect();
    json!({ "data": data })
}

/// Handles `GET /me/{edge}`.
pub(crate) fn edge(reader: &Reader<'_>, edge: &str, call: &GraphCall) -> Result<Value, GraphError> {
    let unassigned = &reader.world.businesses.unassigned;
    let accounts = reader.world.accounts.iter().filter(|account| !unassigned.contains(&account.digits));
    let (class, members): (_, Vec<Object<'_>>) = match edge {
        "adaccounts" | "assigned_ad_accounts" => ("AdAccount", accounts.map(Object::Account).collect()),
        "business_users" => ("BusinessUser", vec![object::person("BusinessUser", reader.world.main())]),
        "accounts" => ("Page", accounts.map(page).collect()),
        "businesses" => ("Business", business::of(reader.world, reader.claims)),
        _ => ("", Vec::new()),
    };
    reader.list(class, members, call)
}
