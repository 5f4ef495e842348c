//! One call and its answer: counted, carried out, and perhaps spoilt by a fault. An item of a batch goes the same way
//! as a call of its own.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::Value;

use crate::call::{self, GraphCall};
use crate::error::GraphError;
use crate::fault::{Area, FaultKind, Refusal, Sight};
use crate::routes;
use crate::server::HTML;
use crate::state::State;

const JSON: &str = "application/json; charset=UTF-8";
const PLAIN: &str = "text/plain; charset=utf-8";
const SORRY: &str = "<!DOCTYPE html><html><head><title>Error</title></head><body>\
                     <h1>Sorry, something went wrong.</h1></body></html>";

/// What goes back to the caller.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    pub(crate) sending: Sending,
}

/// How an answer is sent. An item of a batch whose answer is not sent is null; one that is late is not waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sending {
    AtOnce,
    /// After this time.
    Late(Duration),
    /// Not at all: the connection stays open.
    Never,
    /// Not at all: the connection is closed.
    Cut,
}

impl Answer {
    fn new(status: StatusCode, content_type: &'static str, body: impl Into<String>) -> Self {
        let body = body.into();
        Self { status, content_type, headers: Vec::new(), body, sending: Sending::AtOnce }
    }

    fn unsent(sending: Sending) -> Self {
        Self { sending, ..Self::new(StatusCode::OK, JSON, "") }
    }
}

/// Answers a call; `path` has the query, as faults are matched with it.
pub(crate) fn answer(
    state: &mut State,
    call: Result<GraphCall, GraphError>,
    method: &Method,
    path: &str,
    area: Area,
    now: Timestamp,
) -> Answer {
    state.calls += 1;
    if let Some(hears) = &state.hears {
        hears(path);
    }
    // Of a batch its items are recorded.
    if let Some(call) = call.as_ref().ok().filter(|call| !call.segments.is_empty()) {
        state.record.add(call, routes::class(&state.world, call));
    }
    let fault = state.faults.next(Sight { method, path, area });
    let Some(fault) = fault else { return finish(state, call, None, now) };
    tracing::info!(?fault, %method, path = path.split('?').next(), "A fault strikes.");
    match fault {
        FaultKind::Error { status, code, subcode, headers } => {
            let refusal = Refusal { headers, ..Refusal::new(code, subcode).status(status) };
            finish(state, call, Some(refusal), now)
        }
        FaultKind::Refusal(refusal) => finish(state, call, Some(refusal), now),
        FaultKind::Throttle { limit, minutes } => {
            let account = call.as_ref().ok().and_then(|call| routes::target(&state.world, call));
            let account = account.map_or_else(|| state.world.main().digits.clone(), |(digits, _)| digits);
            finish(state, call, Some(limit.refusal(minutes, &account)), now)
        }
        FaultKind::LostAnswer => Answer { sending: Sending::Cut, ..finish(state, call, None, now) },
        FaultKind::Delay { millis } => {
            let sending = Sending::Late(Duration::from_millis(millis));
            Answer { sending, ..finish(state, call, None, now) }
        }
        FaultKind::Truncated => {
            let answer = finish(state, call, None, now);
            let half = answer.body.chars().take(answer.body.chars().count() / 2).collect();
            Answer { body: half, ..answer }
        }
        FaultKind::RepeatedPage => repeat(state, call, now),
        FaultKind::LostCall => Answer::unsent(Sending::Cut),
        FaultKind::Hang => Answer::unsent(Sending::Never),
        FaultKind::Html => Answer::new(StatusCode::BAD_GATEWAY, HTML, SORRY),
        FaultKind::HtmlUnavailable => Answer::new(StatusCode::SERVICE_UNAVAILABLE, HTML, SORRY),
        FaultKind::PlainUnavailable => Answer::new(StatusCode::OK, PLAIN, "Service Unavailable"),
        FaultKind::TooLarge => Answer::new(StatusCode::PAYLOAD_TOO_LARGE, HTML, ""),
        // These strike deliveries only.
        FaultKind::Duplicate | FaultKind::Overtaken => finish(state, call, None, now),
    }
}

/// Carries a call out, unless it is to be refused.
fn finish(
    state: &mut State,
    call: Result<GraphCall, GraphError>,
    refusal: Option<Refusal>,
    now: Timestamp,
) -> Answer {
    let trace = format!("A{:010}", state.calls);
    let mut version = call::CURRENT.to_owned();
    let mut target = None;
    let mut warning = None;
    let result = call.and_then(|mut call| {
        call.pages = state.pages;
        version = call.served(state.auto_upgrade)?.to_owned();
        if version != call.version {
            let old = std::mem::replace(&mut call.version, version.clone());
            warning =
                Some(format!("The call has been auto-upgraded to {version} as {old} has been deprecated"));
        }
        target = routes::target(&state.world, &call);
        let result = match &refusal {
            Some(refusal) => Err(refusal.error()),
            None => routes::answer(state, &call, now),
        };
        match &result {
            Ok(body) => note_page(state, &call, body),
            Err(error) => state.throttled += u64::from(refusal.is_none() && error.is_throttle()),
        }
        result
    });
    let target = target.as_ref().map(|(account, case)| (account.as_str(), *case));
    let target = target.map(|(account, case)| state.target(account, case));
    let mut headers = state.quota.headers(target, now);
    headers.push(("facebook-api-version", version));
    headers.extend(warning.map(|warning| ("x-ad-api-version-warning", warning)));
    headers.push(("x-fb-trace-id", trace.clone()));
    headers.push(("x-fb-request-id", format!("R{}", state.calls)));
    headers.push(("x-fb-rev", "1030000000".to_owned()));
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value));
    // The later of two headers of one name is the one that is sent.
    let headers = headers.chain(refusal.into_iter().flat_map(|refusal| refusal.headers)).collect();
    let (status, body) = match result {
        Ok(body) => (StatusCode::OK, body),
        Err(error) => (error.status, error.body(&trace)),
    };
    Answer { headers, ..Answer::new(status, JSON, body.to_string()) }
}

/// Serves the page before the one asked for, as far as it is known.
fn repeat(state: &mut State, call: Result<GraphCall, GraphError>, now: Timestamp) -> Answer {
    let before = call.as_ref().ok().and_then(|call| state.last_pages.get(&listing(call))).cloned();
    let answer = finish(state, call, None, now);
    match before {
        Some(page) if answer.status.is_success() => Answer { body: page.to_string(), ..answer },
        _ => answer,
    }
}

/// Keeps a page that may have to be repeated.
fn note_page(state: &mut State, call: &GraphCall, body: &Value) {
    let wanted = || state.faults.may_yet(|what| matches!(what, FaultKind::RepeatedPage));
    if body["paging"]["next"].is_string() && wanted() {
        state.last_pages.insert(listing(call), body.clone());
    }
}

/// What the pages of one listing have in common.
fn listing(call: &GraphCall) -> String {
    let mut text = call.segments.join("/");
    for (name, value) in call.params.iter().filter(|(name, _)| !matches!(name.as_str(), "after" | "limit")) {
        text.push_str(&format!("&{name}={value}"));
    }
    text
}
