//! The HTTP side: one handler for every path, because Graph's paths are ids.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State as Shared};
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;
use jiff::Timestamp;
use serde_json::Value;

use crate::call::{self, GraphCall};
use crate::error::GraphError;
use crate::fault::FaultKind;
use crate::line::Cut;
use crate::login::{self, Shown};
use crate::routes;
use crate::state::State;

/// The state, shared by all connections and the test that started the simulator.
pub(crate) type SharedState = Arc<Mutex<State>>;

/// Locks the state. A panic elsewhere is that test's failure already, so the lock is taken all the same.
pub(crate) fn lock(state: &SharedState) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The whole interface.
pub(crate) fn router(state: SharedState) -> Router {
    Router::new().fallback(handle).with_state(state)
}

async fn handle(
    Shared(state): Shared<SharedState>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    request: Request,
) -> Response {
    let segments = call::split(request.uri().path()).1;
    match segments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["dialog", "oauth"] if request.method() == Method::GET => login_page(&state, request, false).await,
        ["dialog", "oauth", "decision"] if request.method() == Method::POST => {
            login_page(&state, request, true).await
        }
        _ => graph(&state, &cut, request).await,
    }
}

async fn login_page(state: &SharedState, request: Request, decided: bool) -> Response {
    let Ok(params) = call::pairs(request).await else {
        return respond(StatusCode::BAD_REQUEST, HTML, "<!doctype html><title>Bad request</title>".into());
    };
    let mut state = lock(state);
    let state = &mut *state;
    let now = state.now();
    let shown = if decided {
        login::decide(&state.app, &mut state.codes, &params, now)
    } else {
        login::dialog(&state.app, &params)
    };
    match shown {
        Shown::Page(status, page) => respond(status, HTML, page),
        Shown::Redirect(location) => {
            let mut response = respond(StatusCode::FOUND, HTML, String::new());
            match HeaderValue::try_from(location) {
                Ok(location) => drop(response.headers_mut().insert(LOCATION, location)),
                Err(_) => *response.status_mut() = StatusCode::BAD_REQUEST,
            }
            response
        }
    }
}

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json; charset=UTF-8";

async fn graph(state: &SharedState, cut: &Cut, request: Request) -> Response {
    let method = request.method().clone();
    let path = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
    let call = GraphCall::read(request).await;

    let mut state = lock(state);
    let state = &mut *state;
    let now = state.now();
    state.calls += 1;
    state.quota.count_app(now);
    let trace = format!("A{:010}", state.calls);
    match state.faults.next(&method, &path) {
        None => finish(state, call, now, &trace),
        Some(FaultKind::Html) => respond(
            StatusCode::BAD_GATEWAY,
            HTML,
            "<!DOCTYPE html><html><head><title>Error</title></head><body><h1>Sorry, something went wrong.</h1></body></html>"
                .into(),
        ),
        Some(FaultKind::Error { status, code, subcode, headers }) => {
            let error = GraphError {
                subcode,
                ..GraphError::new(code, "An error ordered by the test.")
                    .status(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST))
            };
            let mut response = finish(state, call.and(Err(error)), now, &trace);
            add_headers(response.headers_mut(), headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            response
        }
        Some(FaultKind::LostAnswer) => {
            let response = finish(state, call, now, &trace);
            cut.now();
            response
        }
        Some(FaultKind::Truncated) => {
            let (body, headers, status) = carry_out(state, call, now, &trace);
            let text = body.to_string();
            let half: String = text.chars().take(text.chars().count() / 2).collect();
            dress(respond(status, JSON, half), &headers)
        }
    }
}

fn finish(state: &mut State, call: Result<GraphCall, GraphError>, now: Timestamp, trace: &str) -> Response {
    let (body, headers, status) = carry_out(state, call, now, trace);
    dress(respond(status, JSON, body.to_string()), &headers)
}

type Headers = Vec<(&'static str, String)>;

fn carry_out(
    state: &mut State,
    call: Result<GraphCall, GraphError>,
    now: Timestamp,
    trace: &str,
) -> (Value, Headers, StatusCode) {
    let mut version = call::CURRENT.to_owned();
    let mut target = None;
    let result = call.and_then(|call| {
        target = routes::target(&state.world, &call);
        let result = routes::answer(state, &call, now);
        // A version that has ended is not what serves the error.
        if call.check_protocol().is_ok() {
            version = call.version;
        }
        result
    });
    let target = target.as_ref().map(|(account, case)| (account.as_str(), *case));
    let mut headers = state.quota.headers(target, now);
    headers.push(("facebook-api-version", version));
    headers.push(("x-fb-trace-id", trace.to_owned()));
    headers.push(("x-fb-request-id", format!("R{}", state.calls)));
    headers.push(("x-fb-rev", "1030000000".to_owned()));
    match result {
        Ok(body) => (body, headers, StatusCode::OK),
        Err(error) => (error.body(trace), headers, error.status),
    }
}

fn respond(status: StatusCode, content_type: &'static str, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn dress(mut response: Response, headers: &Headers) -> Response {
    add_headers(response.headers_mut(), headers.iter().map(|(name, value)| (*name, value.as_str())));
    response
}

/// Adds headers; one that cannot be sent is left out.
fn add_headers<'a>(headers: &mut HeaderMap, more: impl Iterator<Item = (&'a str, &'a str)>) {
    for (name, value) in more {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
}
