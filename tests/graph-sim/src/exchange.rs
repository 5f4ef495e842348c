//! One call and its response: the call is counted and executed, and a fault may be injected. Items of a batch are
//! handled like separate calls.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::Value;

use crate::call::GraphCall;
use crate::error::GraphError;
use crate::fault::{Area, ErrorResponse, FaultKind, RequestInfo};
use crate::routes;
use crate::server::HTML_CONTENT_TYPE;
use crate::state::State;
use crate::version::{self, DEFAULT_VERSION};

const JSON_CONTENT_TYPE: &str = "application/json; charset=UTF-8";
const TEXT_CONTENT_TYPE: &str = "text/plain; charset=utf-8";
const ERROR_PAGE_HTML: &str = "<!DOCTYPE html><html><head><title>Error</title></head><body>\
                     <h1>Sorry, something went wrong.</h1></body></html>";

/// The response to a call.
pub(crate) struct GraphResponse {
    pub(crate) status: StatusCode,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    pub(crate) send_mode: SendMode,
}

/// How a response is sent. An item of a batch whose response is not sent is null; a delay is ignored for items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendMode {
    Immediate,
    /// After this delay.
    Delayed(Duration),
    /// Not at all: the connection stays open.
    Never,
    /// Not at all: the connection is closed.
    Abort,
}

impl GraphResponse {
    fn new(status: StatusCode, content_type: &'static str, body: impl Into<String>) -> Self {
        let body = body.into();
        Self { status, content_type, headers: Vec::new(), body, send_mode: SendMode::Immediate }
    }

    fn unsent(send_mode: SendMode) -> Self {
        Self { send_mode, ..Self::new(StatusCode::OK, JSON_CONTENT_TYPE, "") }
    }
}

/// Executes a call and returns its response. `path` includes the query, because faults match on it.
pub(crate) fn respond(
    state: &mut State,
    call: Result<GraphCall, GraphError>,
    method: &Method,
    path: &str,
    area: Area,
    now: Timestamp,
) -> GraphResponse {
    state.calls += 1;
    if let Some(call_listener) = &state.call_listener {
        call_listener(path);
    }
    // Items of a batch are recorded, not the batch itself.
    if let Some(call) = call.as_ref().ok().filter(|call| !call.segments.is_empty()) {
        state.call_log.add(call, routes::class(&state.world, call));
    }
    let fault = state.faults.next(RequestInfo { method, path, area });
    let Some(fault) = fault else { return finish(state, call, None, now) };
    tracing::info!(?fault, %method, path = path.split('?').next(), "A fault is injected.");
    match fault {
        FaultKind::Error { status, code, subcode, headers } => {
            let error_response =
                ErrorResponse { headers, ..ErrorResponse::new(code, subcode).status(status) };
            finish(state, call, Some(error_response), now)
        }
        FaultKind::ErrorResponse(error_response) => finish(state, call, Some(error_response), now),
        FaultKind::Throttle { limit, minutes } => {
            let account = call.as_ref().ok().and_then(|call| routes::target(&state.world, call));
            let account = account.map_or_else(|| state.world.main().digits.clone(), |(digits, _)| digits);
            finish(state, call, Some(limit.error_response(minutes, &account)), now)
        }
        FaultKind::LostResponse => {
            GraphResponse { send_mode: SendMode::Abort, ..finish(state, call, None, now) }
        }
        FaultKind::Delay { millis } => {
            let send_mode = SendMode::Delayed(Duration::from_millis(millis));
            GraphResponse { send_mode, ..finish(state, call, None, now) }
        }
        FaultKind::Truncated => {
            let response = finish(state, call, None, now);
            let half = response.body.chars().take(response.body.chars().count() / 2).collect();
            GraphResponse { body: half, ..response }
        }
        FaultKind::OtherVersion { version } => {
            let mut response = finish(state, call, None, now);
            response.headers.push(("facebook-api-version".to_owned(), version));
            response
        }
        FaultKind::RepeatedPage => repeat_page(state, call, now),
        FaultKind::LostRequest => GraphResponse::unsent(SendMode::Abort),
        FaultKind::Hang => GraphResponse::unsent(SendMode::Never),
        FaultKind::Html => GraphResponse::new(StatusCode::BAD_GATEWAY, HTML_CONTENT_TYPE, ERROR_PAGE_HTML),
        FaultKind::HtmlUnavailable => {
            GraphResponse::new(StatusCode::SERVICE_UNAVAILABLE, HTML_CONTENT_TYPE, ERROR_PAGE_HTML)
        }
        FaultKind::PlainUnavailable => {
            GraphResponse::new(StatusCode::OK, TEXT_CONTENT_TYPE, "Service Unavailable")
        }
        FaultKind::TooLarge => GraphResponse::new(StatusCode::PAYLOAD_TOO_LARGE, HTML_CONTENT_TYPE, ""),
        // These faults apply to webhook deliveries only.
        FaultKind::Duplicate | FaultKind::OutOfOrder => finish(state, call, None, now),
    }
}

/// Executes a call, or returns the given error instead.
fn finish(
    state: &mut State,
    call: Result<GraphCall, GraphError>,
    error_response: Option<ErrorResponse>,
    now: Timestamp,
) -> GraphResponse {
    let trace = format!("A{:010}", state.calls);
    let (mut version, mut ended) = (DEFAULT_VERSION, false);
    let mut target = None;
    let result = call.and_then(|mut call| {
        call.pages = state.pages;
        (version, ended) = version::serving(&call, now, state.auto_upgrade)?;
        version.clone_into(&mut call.version);
        target = routes::target(&state.world, &call);
        let result = match &error_response {
            Some(error_response) => Err(error_response.error()),
            None => routes::dispatch(state, &call, now),
        };
        match &result {
            Ok(body) => remember_page(state, &call, body),
            Err(error) => state.throttled += u64::from(error_response.is_none() && error.is_throttle()),
        }
        result
    });
    let target = target.as_ref().map(|(account, case)| (account.as_str(), *case));
    let target = target.map(|(account, case)| state.target(account, case));
    let mut headers = state.quota.headers(target, now);
    headers.push(("facebook-api-version", version.to_owned()));
    headers.extend(ended.then(|| ("x-ad-api-version-warning", version::WARNING.to_owned())));
    headers.push(("x-fb-trace-id", trace.clone()));
    headers.push(("x-fb-request-id", format!("R{}", state.calls)));
    headers.push(("x-fb-rev", "1030000000".to_owned()));
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value));
    // Of two headers with the same name, the later one is sent.
    let headers =
        headers.chain(error_response.into_iter().flat_map(|error_response| error_response.headers)).collect();
    let (status, body) = match result {
        Ok(body) => (StatusCode::OK, body),
        Err(error) => (error.status, error.body(&trace)),
    };
    GraphResponse { headers, ..GraphResponse::new(status, JSON_CONTENT_TYPE, body.to_string()) }
}

/// Returns the page before the requested one, if it is known.
fn repeat_page(state: &mut State, call: Result<GraphCall, GraphError>, now: Timestamp) -> GraphResponse {
    let before = call.as_ref().ok().and_then(|call| state.last_pages.get(&listing_key(call))).cloned();
    let response = finish(state, call, None, now);
    match before {
        Some(page) if response.status.is_success() => GraphResponse { body: page.to_string(), ..response },
        _ => response,
    }
}

/// Stores a page that a fault may repeat.
fn remember_page(state: &mut State, call: &GraphCall, body: &Value) {
    let wanted = || state.faults.may_still_inject(|what| matches!(what, FaultKind::RepeatedPage));
    if body["paging"]["next"].is_string() && wanted() {
        state.last_pages.insert(listing_key(call), body.clone());
    }
}

/// Returns a key that is the same for all pages of one listing.
fn listing_key(call: &GraphCall) -> String {
    let mut text = call.segments.join("/");
    for (name, value) in call.params.iter().filter(|(name, _)| !matches!(name.as_str(), "after" | "limit")) {
        text.push_str(&format!("&{name}={value}"));
    }
    text
}
