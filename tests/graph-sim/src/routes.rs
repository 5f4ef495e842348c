//! Dispatch of calls to their handlers.

use std::collections::BTreeMap;

use axum::http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::call::GraphCall;
use crate::error::{GraphError, invalid, nonexisting_field, unsupported};
use crate::insights::{ReportRequest, Subject};
use crate::node::Kind;
use crate::object::Object;
use crate::quota::UseCase;
use crate::read::{Reader, requested_fields};
use crate::state::{APP_REMOVED_SUBCODE, State};
use crate::token::Claims;
use crate::world::World;
use crate::write::{self, Operation, Write};
use crate::{auth, batch, business, me, oauth, reports, spec, webhook};

/// Returns the ad account a call goes to, and the use case it counts towards.
pub(crate) fn target(world: &World, call: &GraphCall) -> Option<(String, UseCase)> {
    let first = call.segments.first()?;
    let digits = match first.strip_prefix("act_") {
        Some(digits) => world.account(digits)?.digits.clone(),
        None => match (world.reports.account(first), world.nodes.get(first)) {
            (Some(account), _) => return Some((account.to_owned(), UseCase::AdsInsights)),
            (None, node) => {
                let node = node?;
                if node.kind == Kind::CustomAudience {
                    return Some((node.account.clone(), UseCase::CustomAudience));
                }
                node.account.clone()
            }
        },
    };
    let case = match call.segments.get(1).map(String::as_str) {
        Some("insights") => UseCase::AdsInsights,
        Some("customaudiences" | "saved_audiences") => UseCase::CustomAudience,
        _ => UseCase::AdsManagement,
    };
    Some((digits, case))
}

/// Returns the class of the object a call goes to.
pub(crate) fn class(world: &World, call: &GraphCall) -> Option<&'static str> {
    match call.segments.first()?.as_str() {
        "me" => Some("User"),
        id => Object::find(world, id).map(|object| object.class()),
    }
}

/// Handles a call.
pub(crate) fn dispatch(state: &mut State, call: &GraphCall, now: Timestamp) -> Result<Value, GraphError> {
    call.check_protocol(state.app_age)?;
    if call.method == Method::POST && call.segments.is_empty() {
        return batch::execute(state, call, now);
    }
    state.quota.count_app(now)?;
    state.world.advance(now);
    match call.path().as_slice() {
        ["oauth", "access_token"] => return oauth::access_token(state, call, now),
        ["debug_token"] => return oauth::debug_token(state, call, now),
        [app, "subscriptions"] if *app == state.app.app_id => {
            return webhook::handle_subscriptions(state, call);
        }
        _ => {}
    }
    let claims = auth::authenticate(state, call, now)?;
    if let ["me", rest @ ..] = call.path().as_slice() {
        return dispatch_me(state, call, &claims, rest, now);
    }
    if let [object, "subscribed_apps"] = call.path().as_slice() {
        return webhook::handle_subscribed_apps(state, call, &claims, object);
    }
    if let [account, "subscriptions"] = call.path().as_slice() {
        return webhook::handle_event_subscriptions(state, call, &claims, account);
    }
    if let Some(response) = business::handle(state, call, &claims, now) {
        return response;
    }
    let method = call.method.as_str();
    let id = call.segments.first().map_or("", String::as_str);
    if call.method == Method::GET && call.segments.len() == 1 {
        state.world.reports.count_poll(id);
    }
    reports::advance(&mut state.world, now);
    let Some(class) = class(&state.world, call) else { return Err(unsupported(method, id)) };
    // A report is requested by POST, but changes nothing.
    let is_report =
        call.method == Method::POST && call.segments.get(1).is_some_and(|edge| edge == "insights");
    let writes = call.method != Method::GET && !is_report;
    auth::check_permission(&claims, writes)?;
    if class == "Business" {
        business::check_access(&state.world, &claims, Some(id))?;
    }
    if let Some((digits, case)) = target(&state.world, call) {
        let account = state.world.account(&digits);
        if !account.is_some_and(|account| business::can_access(&state.world, &claims, account)) {
            return Err(unsupported(method, id));
        }
        if writes {
            business::check_tasks(&state.world, &claims, &digits)?;
        }
        state.count(&digits, case, writes, now)?;
    }
    if !call.is_upload() {
        check(state, call, class)?;
    }
    match call.method {
        Method::GET => read(state, call, &claims, now),
        Method::POST if is_report => start_report(state, call, now),
        Method::POST | Method::DELETE => execute_write(state, call, &claims, now),
        _ => Err(unsupported(method, id)),
    }
}

/// Rejects what the specification does not allow; runs before any effect.
fn check(state: &mut State, call: &GraphCall, class: &str) -> Result<(), GraphError> {
    let (id, edge) = match call.path().as_slice() {
        [id] => ((*id).to_owned(), ""),
        [id, ..] => ((*id).to_owned(), call.segments[1].as_str()),
        [] => return Err(unsupported(call.method.as_str(), "")),
    };
    let Some(specified) = spec::call(class, call.method.as_str(), edge).filter(|_| call.segments.len() < 3)
    else {
        let is_read = call.method == Method::GET && !edge.is_empty();
        return Err(if is_read {
            nonexisting_field(edge, class)
        } else {
            unsupported(call.method.as_str(), &id)
        });
    };
    let mut unknown: Vec<String> = specified.unknown(&call.params).into_iter().map(str::to_owned).collect();
    if call.method == Method::GET {
        unknown.extend(spec::check_fields(specified.returned, &requested_fields(call, specified.returned)?)?);
    }
    record_ignored_params(state, call, &unknown)?;
    specified.check_required(&call.params)?;
    if class == "AdAccount" && call.method == Method::POST {
        write::check_required(edge, &call.params)?;
    }
    specified.check_values(&call.params)
}

fn dispatch_me(
    state: &mut State,
    call: &GraphCall,
    claims: &Claims,
    rest: &[&str],
    now: Timestamp,
) -> Result<Value, GraphError> {
    match (&call.method, rest) {
        (&Method::DELETE, ["permissions"]) => {
            state.tokens.revoke(Some(&claims.user), APP_REMOVED_SUBCODE, now);
            state.append_to_journal(&permission_write(claims, "me/permissions", now));
            return Ok(json!({ "success": true }));
        }
        (&Method::DELETE, ["permissions", scope]) => {
            state.tokens.withdraw(&claims.user, scope, now);
            state.append_to_journal(&permission_write(claims, &format!("me/permissions/{scope}"), now));
            return Ok(json!({ "success": true }));
        }
        (&Method::GET, []) => check(state, call, "User")?,
        (&Method::GET, [edge, ..]) => {
            check(state, call, "User")?;
            if *edge == "permissions" {
                return Ok(me::permissions(claims, call));
            }
            auth::check_permission(claims, false)?;
            if *edge == "businesses" {
                business::check_access(&state.world, claims, None)?;
            }
        }
        (method, _) => return Err(unsupported(method.as_str(), "me")),
    }
    let reader = reader(state, claims, now);
    match rest {
        [edge, ..] => me::edge(&reader, edge, call),
        [] => me::person(&reader, claims, call),
    }
}

/// Returns the journal entry for withdrawn permissions.
fn permission_write(claims: &Claims, path: &str, now: Timestamp) -> Write {
    let user = Some(claims.user.clone());
    let (params, files) = (BTreeMap::new(), BTreeMap::new());
    Write { method: "DELETE".into(), path: path.into(), params, files, time: now, user }
}

fn reader<'a>(state: &'a State, claims: &'a Claims, now: Timestamp) -> Reader<'a> {
    Reader {
        world: &state.world,
        claims,
        base_url: &state.base_url,
        now,
        insights_limits: state.insights_limits,
    }
}

fn read(state: &mut State, call: &GraphCall, claims: &Claims, now: Timestamp) -> Result<Value, GraphError> {
    // Insights may be requested anywhere in `fields`.
    state.world.generate_until(now);
    let id = call.segments.first().map_or("", String::as_str);
    if call.segments.get(1).is_some_and(|edge| edge == "insights") {
        state.world.reports.count_read(id)?;
    }
    let reader = reader(state, claims, now);
    let object = Object::find(&state.world, id).ok_or_else(|| unsupported("get", id))?;
    match call.segments.get(1) {
        Some(edge) => reader.edge(&object, edge, call),
        None => reader.object(&object, call),
    }
}

/// Starts a report run.
fn start_report(state: &mut State, call: &GraphCall, now: Timestamp) -> Result<Value, GraphError> {
    let id = call.segments.first().map_or("", String::as_str);
    let object = Object::find(&state.world, id).ok_or_else(|| unsupported("post", id))?;
    let subject = Subject::of(&state.world, &object).ok_or_else(|| unsupported("post", id))?;
    let account = state.world.account_of(&subject.account);
    let request = ReportRequest::read(call, subject.kind, state.world.today(account, now))?;
    let run = state.world.reports.start(subject, request, call, now);
    Ok(json!({ "report_run_id": run }))
}

fn execute_write(
    state: &mut State,
    call: &GraphCall,
    claims: &Claims,
    now: Timestamp,
) -> Result<Value, GraphError> {
    let write = Write::of(call, now)?;
    let operation = Operation::of(&state.world, &write)?;
    business::check_beneficiary(&state.world, claims, &write)?;
    state.change_limiter.check(&write)?;
    write::check(&state.world, &operation, &write)
        .inspect_err(|error| state.change_limiter.record_rejection(&write, error))?;
    if write::is_validate_only(&operation, &write)? {
        return Ok(json!({ "success": true }));
    }
    let response = write::execute(&mut state.world, &operation, &write)?;
    state.change_limiter.record_change(&write);
    state.append_to_journal(&write);
    Ok(response)
}

/// Counts ignored parameters, and rejects them in strict mode. Graph silently ignores unknown parameters, so a misspelt
/// one would go unnoticed.
fn record_ignored_params(state: &mut State, call: &GraphCall, unknown: &[String]) -> Result<(), GraphError> {
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
