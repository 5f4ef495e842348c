//! HTTP on 127.0.0.1: the counterpart of API Gateway in the cloud.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::map_response;
use axum::response::Response;
use console::Console;
use http::header::DATE;
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use jiff::fmt::rfc2822::DateTimePrinter;
use runtime::Clock;
use runtime::origins::{self, AllowedOrigins};
use runtime::router;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::data::retry_briefly;
use crate::functions::Functions;
use crate::observer::{Observation, Observer};

/// A running server; it stops when dropped.
pub struct HttpServer {
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

/// Binds the port before anything else starts. 0 lets the operating system choose.
pub fn bind(port: u16) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let in_use =
        || format!("port {port} on 127.0.0.1 cannot be used; is another adflight running? Try --port 0");
    let listener =
        retry_briefly(|| std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))).with_context(in_use)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((TcpListener::from_std(listener)?, address))
}

/// What is served: the API, and the console as everything else.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) functions: Functions,
    pub(crate) console: Console,
    pub(crate) observer: Option<Observer>,
    pub(crate) clock: Clock,
}

impl HttpServer {
    /// Serves the site and what else this host has. Browsers of these origins may call them.
    pub(crate) fn start(listener: TcpListener, site: Site, rest: Router, origins: AllowedOrigins) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let clock = site.clock.clone();
        let date = map_response(move |response| std::future::ready(dated(&clock, response)));
        let site = Router::new().fallback(answer).with_state(site);
        let router = site.merge(rest).layer(cors(origins)).layer(date);
        let served = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
                tracing::error!(%error, "The HTTP server stopped.");
            }
        });
        Self { stop: Some(stop), served }
    }

    /// Stops accepting connections and waits for open requests.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        if let Err(error) = self.served.await {
            tracing::error!(%error, "The HTTP server did not stop in order.");
        }
    }
}

/// Returns what API Gateway does for cross-origin requests in the cloud.
fn cors(origins: AllowedOrigins) -> CorsLayer {
    let is_allowed =
        move |origin: &HeaderValue, _: &Parts| origin.to_str().is_ok_and(|origin| origins.contains(origin));
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(is_allowed))
        .allow_methods(origins::METHODS)
        .allow_headers(origins::REQUEST_HEADERS.map(HeaderName::from_static))
        .expose_headers(origins::RESPONSE_HEADERS.map(HeaderName::from_static))
        .max_age(Duration::from_secs(origins::MAX_AGE_SECONDS))
}

/// Says the time of the system, which may have been set to another day.
fn dated(clock: &Clock, mut response: Response) -> Response {
    let now = DateTimePrinter::new().timestamp_to_rfc9110_string(&clock.now());
    if let Some(now) = now.ok().and_then(|now| HeaderValue::from_str(&now).ok()) {
        response.headers_mut().insert(DATE, now);
    }
    response
}

async fn answer(State(site): State<Site>, request: Request) -> Response {
    let Site { functions, console, observer, .. } = site;
    let (parts, body) = request.into_parts();
    if !parts.uri.path().starts_with("/v1/") {
        return console.handle(&parts.method, parts.uri.path()).map(Body::from);
    }
    let observed = observer.map(|observer| (observer, parts.clone()));
    if let Some((Observer(observe), request)) = &observed {
        observe(&Observation::Request(request));
    }
    let response = match to_bytes(body, router::MAX_READ_BYTES).await {
        Ok(body) => functions.handle(http::Request::from_parts(parts, body)).await,
        // The length limit, or a client that disconnected and does not read the response.
        Err(_) => router::too_large(router::MAX_READ_BYTES),
    };
    if let Some((Observer(observe), request)) = &observed {
        let (status, headers) = (response.status(), response.headers());
        observe(&Observation::Response { request, status, headers, body: response.body() });
    }
    response.map(Body::from)
}
