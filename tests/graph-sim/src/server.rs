//! The HTTP server: one handler for every path, because Graph's paths are ids.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, FromRequest, Request, State as Shared};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;
use tokio::sync::watch;

use crate::call::{self, GraphCall};
use crate::connection::ConnectionAbort;
use crate::exchange::{self, SendMode};
use crate::fault::Area;
use crate::gzip;
use crate::login::{self, DialogResponse};
use crate::state::State;
use crate::webhook;
use crate::{control, preview, thumbnail};

/// The state, shared by all connections and the test that started the simulator.
pub(crate) type SharedState = Arc<Mutex<State>>;

/// Locks the state. Ignores poisoning, because a panic elsewhere already fails its own test.
pub(crate) fn lock(state: &SharedState) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Builds the router.
pub(crate) fn router(state: SharedState) -> Router {
    // Some clients send videos in one piece.
    Router::new().fallback(handle).layer(DefaultBodyLimit::disable()).with_state(state)
}

async fn handle(
    Shared(state): Shared<SharedState>,
    ConnectInfo(abort): ConnectInfo<ConnectionAbort>,
    request: Request,
) -> Response {
    let segments = call::split_path(request.uri().path()).1;
    match segments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["dialog", "oauth"] if request.method() == Method::GET => login_page(&state, request, false).await,
        ["dialog", "oauth", "decision"] if request.method() == Method::POST => {
            login_page(&state, request, true).await
        }
        ["simulator", act] if request.method() == Method::POST => {
            let act = (*act).to_owned();
            let params = call::pairs(request).await.unwrap_or_default();
            let (status, answer) = control::handle(&mut lock(&state), &act, params);
            respond(status, "application/json", answer.to_string())
        }
        ["thumbnails", file] if request.method() == Method::GET => match thumbnail::picture(file) {
            Some(picture) => respond(StatusCode::OK, "image/png", picture),
            None => respond(StatusCode::NOT_FOUND, HTML_CONTENT_TYPE, Body::empty()),
        },
        ["ads", "api", "preview_iframe.php"] if request.method() == Method::GET => {
            let data = call::pairs(request).await.unwrap_or_default().remove("d").unwrap_or_default();
            match preview::page(&data) {
                Some(page) => respond(StatusCode::OK, HTML_CONTENT_TYPE, page),
                None => respond(StatusCode::NOT_FOUND, HTML_CONTENT_TYPE, Body::empty()),
            }
        }
        _ => graph(&state, &abort, request).await,
    }
}

async fn login_page(state: &SharedState, request: Request, decided: bool) -> Response {
    let Ok(params) = call::pairs(request).await else {
        return respond(
            StatusCode::BAD_REQUEST,
            HTML_CONTENT_TYPE,
            "<!doctype html><title>Bad request</title>",
        );
    };
    let mut state = lock(state);
    let state = &mut *state;
    let now = state.now();
    let response = if decided {
        login::decide(&state.app, &mut state.codes, &state.tokens, &params, now)
    } else {
        login::dialog(&state.app, &state.tokens, &params)
    };
    match response {
        DialogResponse::Page(status, page) => respond(status, HTML_CONTENT_TYPE, page),
        DialogResponse::Redirect(location) => {
            let mut response = respond(StatusCode::FOUND, HTML_CONTENT_TYPE, String::new());
            match HeaderValue::try_from(location) {
                Ok(location) => drop(response.headers_mut().insert(LOCATION, location)),
                Err(_) => *response.status_mut() = StatusCode::BAD_REQUEST,
            }
            response
        }
    }
}

pub(crate) const HTML_CONTENT_TYPE: &str = "text/html; charset=utf-8";

async fn graph(state: &SharedState, abort: &ConnectionAbort, request: Request) -> Response {
    let method = request.method().clone();
    let path = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
    let gzip = gzip::is_accepted(request.headers());
    if is_too_large(state, &request) {
        // Reads the body to its end; otherwise the caller would see a broken connection instead of the response.
        drop(Bytes::from_request(request, &()).await);
        return respond(StatusCode::PAYLOAD_TOO_LARGE, HTML_CONTENT_TYPE, Body::empty());
    }
    let call = GraphCall::read(request).await;
    if let Ok(call) = &call {
        webhook::verify_callback(state, call).await;
    }

    let (graph_response, stopping) = {
        let mut state = lock(state);
        let now = state.now();
        let area = Area::of_path(&path);
        let mut response = exchange::respond(&mut state, call, &method, &path, area, now);
        if let Some(edit) = &state.answer_editor {
            let mut status = response.status.as_u16();
            edit(&path, &mut status, &mut response.body);
            response.status = StatusCode::from_u16(status).unwrap_or(response.status);
        }
        (response, state.stopping.clone())
    };
    wait(graph_response.send_mode, abort, stopping).await;
    // If compression fails, the body is sent uncompressed.
    let compressed = gzip.then(|| gzip::compress(&graph_response.body).ok()).flatten();
    let encoded = compressed.is_some();
    let body = compressed.map_or_else(|| Body::from(graph_response.body), Body::from);
    let mut response = respond(graph_response.status, graph_response.content_type, body);
    add_headers(response.headers_mut(), &graph_response.headers);
    if encoded {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// Waits until a response is due. Returns at once when the simulator stops.
async fn wait(send_mode: SendMode, abort: &ConnectionAbort, mut stopping: watch::Receiver<()>) {
    match send_mode {
        SendMode::Immediate => {}
        SendMode::Delayed(delay) => drop(tokio::time::timeout(delay, stopping.changed()).await),
        SendMode::Never => {
            // Nothing is ever sent on this channel: it closes when the simulator stops.
            drop(stopping.changed().await);
            abort.trigger();
        }
        SendMode::Abort => abort.trigger(),
    }
}

/// Returns whether a call is larger than Meta accepts in one request; uploads to a video's upload URL are exempt.
fn is_too_large(state: &SharedState, request: &Request) -> bool {
    let length =
        request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    !call::is_upload(request)
        && length.is_some_and(|length| length > lock(state).world.media.max_request_bytes)
}

fn respond(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Adds headers; invalid ones are skipped.
fn add_headers(headers: &mut HeaderMap, more: &[(String, String)]) {
    for (name, value) in more {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
}
