//! One call and its answer: counted, carried out, and perhaps spoilt by a fault the test ordered. An item of a batch
//! goes the same way as a call of its own.

use axum::http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::Value;

use crate::call::{self, GraphCall};
use crate::error::GraphError;
use crate::fault::FaultKind;
use crate::routes;
use crate::server::HTML;
use crate::state::State;

const JSON: &str = "application/json; charset=UTF-8";
const SORRY: &str = "<!DOCTYPE html><html><head><title>Error</title></head><body><h1>Sorry, something went wrong.</h1></body></html>";

/// What goes back to the caller.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// It never arrives: the connection is cut, and an item of a batch is null.
    pub(crate) lost: bool,
}

/// Answers a call; `path` has the query, as faults are matched with it.
pub(crate) fn answer(
    state: &mut State,
    call: Result<GraphCall, GraphError>,
    method: &Method,
    path: &str,
    now: Timestamp,
) -> Answer {
    state.calls += 1;
    state.quota.count_app(now);
    let trace = format!("A{:010}", state.calls);
    if let Ok(call) = &call {
        state.record.add(call, routes::class(&state.world, call));
    }
    match state.faults.next(method, path) {
        None => finish(state, call, now, &trace),
        Some(FaultKind::Html) => {
            Answer { status: StatusCode::BAD_GATEWAY, content_type: HTML, ..plain(SORRY.to_owned()) }
        }
        Some(FaultKind::Error { status, code, subcode, headers }) => {
            let error = GraphError {
                subcode,
                ..GraphError::new(code, "An error ordered by the test.")
                    .status(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST))
            };
            let mut answer = finish(state, call.and(Err(error)), now, &trace);
            answer.headers.extend(headers);
            answer
        }
        Some(FaultKind::LostAnswer) => Answer { lost: true, ..finish(state, call, now, &trace) },
        Some(FaultKind::LostCall) => Answer { lost: true, ..plain(String::new()) },
        Some(FaultKind::Truncated) => {
            let answer = finish(state, call, now, &trace);
            let half = answer.body.chars().take(answer.body.chars().count() / 2).collect();
            Answer { body: half, ..answer }
        }
    }
}

fn finish(state: &mut State, call: Result<GraphCall, GraphError>, now: Timestamp, trace: &str) -> Answer {
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
    let named = |(name, value): (&str, String)| (name.to_owned(), value);
    let mut headers: Vec<_> = state.quota.headers(target, now).into_iter().map(named).collect();
    headers.extend(
        [
            ("facebook-api-version", version),
            ("x-fb-trace-id", trace.to_owned()),
            ("x-fb-request-id", format!("R{}", state.calls)),
            ("x-fb-rev", "1030000000".to_owned()),
        ]
        .map(named),
    );
    let (status, body): (StatusCode, Value) = match result {
        Ok(body) => (StatusCode::OK, body),
        Err(error) => (error.status, error.body(trace)),
    };
    Answer { status, headers, ..plain(body.to_string()) }
}

fn plain(body: String) -> Answer {
    Answer { status: StatusCode::OK, content_type: JSON, headers: Vec::new(), body, lost: false }
}
