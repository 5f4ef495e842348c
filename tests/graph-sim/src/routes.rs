//! Which call does what.

use std::collections::BTreeMap;

use axum::http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::call::GraphCall;
use crate::error::{GraphError, invalid, nonexisting_field, type_name, unsupported};
use crate::node::Kind;
use crate::paging::Link;
use crate::params::Params;
use crate::quota::UseCase;
use crate::state::{REMOVED, State};
use crate::token::Claims;
use crate::world::World;
use crate::write::{self, Write};
use crate::{access, insights, listing, me, oauth, projection};

/// The ad account a call goes to, and what the call counts as.
pub(crate) fn target(world: &World, call: &GraphCall) -> Option<(String, UseCase)> {
    let first = call.segments.first()?;
    let digits = match first.strip_prefix("act_") {
        Some(digits) => world.account(digits)?.digits.clone(),
        None => world.nodes.get(first)?.account.clone(),
    };
    let case = match call.segments.get(1).map(String::as_str) {
        Some("insights") => UseCase::AdsInsights,
        Some("customaudiences" | "saved_audiences") => UseCase::CustomAudience,
        _ => UseCase::AdsManagement,
    };
    Some((digits, case))
}

/// The class of the object a call goes to.
pub(crate) fn class(world: &World, call: &GraphCall) -> Option<&'static str> {
    let first = call.segments.first()?;
    if first == "me" {
        return Some("User");
    }
    match first.strip_prefix("act_") {
        Some(digits) => world.account(digits).map(|_| type_name(Kind::Account)),
        None => world.nodes.get(first).map(|node| type_name(node.kind)),
    }
}

/// Answers a call.
pub(crate) fn answer(state: &mut State, call: &GraphCall, now: Timestamp) -> Result<Value, GraphError> {
    call.check_protocol()?;
    state.quota.count_app(now)?;
    match call.path().as_slice() {
        ["oauth", "access_token"] => return oauth::access_token(state, call, now),
        ["debug_token"] => return oauth::debug_token(state, call, now),
        _ => {}
    }
    let claims = access::authenticate(state, call, now)?;
    if let ["me", rest @ ..] = call.path().as_slice() {
        return answer_me(state, call, &claims, rest, now);
    }
    let method = call.method.as_str();
    let Some((digits, case)) = target(&state.world, call) else {
        return Err(unsupported(method, call.segments.first().map_or("", String::as_str)));
    };
    access::permit(&claims, call.method != Method::GET)?;
    if !claims.sees(&digits) {
        return Err(unsupported(method, &call.segments[0]));
    }
    // A report is ordered by POST, but changes nothing.
    let writes = call.method != Method::GET && case != UseCase::AdsInsights;
    state.count(&digits, case, writes, now)?;
    match call.method {
        Method::GET => read(state, call, &digits, now),
        Method::POST | Method::DELETE => change(state, call, now),
        _ => Err(unsupported(method, &call.segments[0])),
    }
}

fn answer_me(
    state: &mut State,
    call: &GraphCall,
    claims: &Claims,
    rest: &[&str],
    now: Timestamp,
) -> Result<Value, GraphError> {
    match (&call.method, rest) {
        (&Method::GET, []) => {
            note_unknown(state, call, |name| name == "fields")?;
            me::person(claims, call)
        }
        (&Method::GET, ["permissions"]) => {
            note_unknown(state, call, |name| ["permission", "status"].contains(&name))?;
            Ok(me::permissions(claims, call))
        }
        (&Method::DELETE, ["permissions"]) => {
            state.tokens.revoke(Some(&claims.user), REMOVED, now);
            state.keep(&of_person(claims, "me/permissions", now));
            Ok(json!({ "success": true }))
        }
        (&Method::DELETE, ["permissions", scope]) => {
            state.tokens.withdraw(&claims.user, scope, now);
            state.keep(&of_person(claims, &format!("me/permissions/{scope}"), now));
            Ok(json!({ "success": true }))
        }
        (&Method::GET, ["adaccounts"]) => {
            access::permit(claims, false)?;
            note_unknown(state, call, |name| ["fields", "limit", "after", "before"].contains(&name))?;
            with_link(state, call, |link| me::ad_accounts(&state.world, claims, call, link))
        }
        (&Method::GET, [edge, ..]) => Err(nonexisting_field(edge, "User")),
        (method, _) => Err(unsupported(method.as_str(), "me")),
    }
}

/// What a person takes back, for the journal.
fn of_person(claims: &Claims, path: &str, now: Timestamp) -> Write {
    let user = Some(claims.user.clone());
    Write { method: "DELETE".into(), path: path.into(), params: BTreeMap::new(), time: now, user }
}

fn read(state: &mut State, call: &GraphCall, digits: &str, now: Timestamp) -> Result<Value, GraphError> {
    let path = call.path();
    let id = path[0];
    let kind = state.world.nodes.get(id).map_or(Kind::Account, |node| node.kind);
    let edge = match path.as_slice() {
        [_] => return read_node(state, call, digits),
        [_, edge] => *edge,
        _ => return Err(unsupported("get", id)),
    };
    if edge == "insights" && kind != Kind::Creative {
        note_unknown(state, call, |name| insights::PARAMS.contains(&name))?;
        let account = state.world.account(digits).unwrap_or(state.world.main());
        let today = state.world.today(account, now);
        state.world.facts.grow(today);
        return with_link(state, call, |link| {
            insights::answer(&state.world, digits, kind, id, call, today, link)
        });
    }
    let (listed, below) = match (kind, edge) {
        (Kind::Account, "campaigns") => (Kind::Campaign, None),
        (Kind::Account, "adsets") => (Kind::AdSet, None),
        (Kind::Account, "ads") => (Kind::Ad, None),
        (Kind::Account, "adcreatives") => (Kind::Creative, None),
        (Kind::Campaign, "adsets") => (Kind::AdSet, Some(id)),
        (Kind::Campaign | Kind::AdSet, "ads") => (Kind::Ad, Some(id)),
        (Kind::Account, "promote_pages") => return Ok(promote_pages(&state.world, digits)),
        _ => return Err(nonexisting_field(edge, type_name(kind))),
    };
    note_unknown(state, call, |name| listing::PARAMS.contains(&name))?;
    with_link(state, call, |link| listing::list(&state.world, listed, digits, below, call, link))
}

fn read_node(state: &mut State, call: &GraphCall, digits: &str) -> Result<Value, GraphError> {
    note_unknown(state, call, |name| name == "fields")?;
    let wanted = projection::parse(Params(&call.params).text("fields").unwrap_or("id"))?;
    let id = &call.segments[0];
    match (state.world.nodes.get(id), state.world.account(digits)) {
        (Some(node), _) => {
            projection::check(node.kind, &wanted)?;
            Ok(projection::node(&state.world, node, &wanted))
        }
        (None, Some(account)) => {
            projection::check(Kind::Account, &wanted)?;
            Ok(projection::account(account, &wanted))
        }
        (None, None) => Err(unsupported("get", id)),
    }
}

fn promote_pages(world: &World, digits: &str) -> Value {
    let page = world.account(digits).map_or("", |account| &account.page_id);
    json!({ "data": [{ "id": page, "name": "Simulated Page" }] })
}

fn change(state: &mut State, call: &GraphCall, now: Timestamp) -> Result<Value, GraphError> {
    let write = Write {
        method: call.method.to_string(),
        path: call.segments.join("/"),
        params: call.params.clone(),
        time: now,
        user: None,
    };
    state.pace.check(&write)?;
    let done =
        write::apply(&mut state.world, &write).inspect_err(|error| state.pace.refused(&write, error))?;
    note_unknown(state, call, |name| write::knows(done.kind, name))?;
    if done.effect {
        state.pace.done(&write);
        state.keep(&write);
    }
    Ok(done.answer)
}

fn with_link<T>(state: &State, call: &GraphCall, make: impl FnOnce(&Link<'_>) -> T) -> T {
    let path = format!("/{}/{}", call.version, call.segments.join("/"));
    let token = call.token.as_deref().unwrap_or_default();
    make(&Link { base_url: &state.base_url, path: &path, params: &call.params, token })
}

/// Graph ignores parameters it does not know, so a misspelt one goes unnoticed: here it is at least counted, and
/// refused in strict mode.
fn note_unknown(state: &mut State, call: &GraphCall, known: impl Fn(&str) -> bool) -> Result<(), GraphError> {
    let unknown = call.unknown_params(known);
    if unknown.is_empty() {
        return Ok(());
    }
    state.ignored_params += unknown.len() as u64;
    tracing::warn!(method = %call.method, path = call.segments.join("/"), ?unknown, "Parameters were ignored.");
    if state.strict {
        return Err(invalid(format_args!(
            "(strict) Graph would silently ignore these parameters: {unknown:?}"
        )));
    }
    Ok(())
}
