//! HTTP on 127.0.0.1: what API Gateway is in the cloud.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use runtime::route;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::data::patiently;
use crate::functions::Functions;
use crate::hearing::{Heard, Hearing};

/// A running server; it stops when dropped.
pub struct HttpServer {
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

/// Takes the port, before anything else is begun. 0 lets the system choose.
pub fn bind(port: u16) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let taken =
        || format!("port {port} on 127.0.0.1 cannot be used; is another adflight running? Try --port 0");
    let listener =
        patiently(|| std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))).with_context(taken)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((TcpListener::from_std(listener)?, address))
}

impl HttpServer {
    /// Serves the functions.
    pub fn start(listener: TcpListener, functions: Functions, hearing: Option<Hearing>) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let router = Router::new().fallback(answer).with_state((functions, hearing));
        let served = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
                tracing::error!(%error, "The HTTP server stopped.");
            }
        });
        Self { stop: Some(stop), served }
    }

    /// Stops taking connections and waits for open requests.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        if let Err(error) = self.served.await {
            tracing::error!(%error, "The HTTP server did not stop in order.");
        }
    }
}

async fn answer(
    State((functions, hearing)): State<(Functions, Option<Hearing>)>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let heard = hearing.map(|hearing| (hearing, parts.clone()));
    if let Some((Hearing(hears), request)) = &heard {
        hears(&Heard::Request(request));
    }
    let reply = match to_bytes(body, route::LARGEST_BODY).await {
        Ok(body) => functions.handle(http::Request::from_parts(parts, body)).await,
        // The length limit, or a client that went away in the middle and does not read the answer.
        Err(_) => route::too_large(),
    };
    if let Some((Hearing(hears), request)) = &heard {
        let (status, headers) = (reply.status(), reply.headers());
        hears(&Heard::Answer { request, status, headers, body: reply.body() });
    }
    reply.map(Body::from)
}
