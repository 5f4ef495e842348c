//! The hub on Cloudflare Workers: a Durable Object for each workspace, which sleeps while nothing is published. The runtime
//! answers its clients' pings meanwhile.

use std::cell::RefCell;

use domain::id::WorkspaceId;
use jiff::SignedDuration;
use runtime::{Clock, random};
use worker::wasm_bindgen;
use worker::{
    Context, DurableObject, Env, Headers, Method, Request, RequestInit, Response, State, WebSocket,
    WebSocketIncomingMessage, WebSocketPair, WebSocketRequestResponsePair, durable_object, event,
};

use crate::hub::{Closing, Hub, Memory, PING, Publication, SIGNATURE_HEADER, Socket, SocketId};
use crate::key::HubKey;
use crate::ticket::Ticket;

/// The Durable Objects' binding.
const BINDING: &str = "LIVE_HUB";

/// The most that may be published at once.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Where a hub keeps what it remembers.
const MEMORY: &str = "memory";

fn key(env: &Env) -> Result<HubKey, &'static str> {
    let key = env.secret("LIVE_HUB_KEY").map_err(|_| "Put LIVE_HUB_KEY into this Worker's secrets.")?;
    HubKey::new(key.to_string().into()).map_err(|_| "LIVE_HUB_KEY must have at least 32 characters.")
}

/// Returns the value of a query parameter, empty without one.
fn parameter(request: &Request, name: &str) -> worker::Result<String> {
    let url = request.url()?;
    let found = url.query_pairs().find_map(|(key, value)| (key == name).then(|| value.into_owned()));
    Ok(found.unwrap_or_default())
}

/// Passes sockets and what is published to the hub of their workspace. The signature of each says which it is.
#[event(fetch)]
async fn fetch(mut request: Request, env: Env, _context: Context) -> worker::Result<Response> {
    let key = match key(&env) {
        Ok(key) => key,
        Err(problem) => return Response::error(problem, 500),
    };
    let hub = |workspace: &WorkspaceId| env.durable_object(BINDING)?.get_by_name(workspace.as_str());
    match (request.method(), request.path().as_str()) {
        (Method::Get, "/live") => {
            if request.headers().get("upgrade")?.is_none_or(|to| !to.eq_ignore_ascii_case("websocket")) {
                return Response::error("Open a WebSocket here.", 426);
            }
            let ticket = parameter(&request, "ticket")?;
            match Ticket::open(&ticket, &key, Clock::system().now()) {
                Some(ticket) => hub(&ticket.workspace)?.fetch_with_request(request).await,
                None => refused(Closing::Ticket),
            }
        }
        (Method::Post, "/live/publish") => {
            let signature = request.headers().get(SIGNATURE_HEADER)?.unwrap_or_default();
            let body = request.text().await?;
            let publication =
                (body.len() <= MAX_BODY_BYTES).then(|| Publication::open(&body, &signature, &key));
            let Some(publication) = publication.flatten() else {
                return Response::error("Sign what is published with the key of this hub.", 401);
            };
            let headers = Headers::new();
            headers.set(SIGNATURE_HEADER, &signature)?;
            let mut init = RequestInit::new();
            init.with_method(Method::Post).with_headers(headers).with_body(Some(body.into()));
            let request = Request::new_with_init(request.url()?.as_str(), &init)?;
            hub(&publication.workspace)?.fetch_with_request(request).await
        }
        _ => Response::error("There are sockets at /live only.", 404),
    }
}

/// A socket that is closed at once, because a browser shows its page no other refusal.
fn refused(closing: Closing) -> worker::Result<Response> {
    let pair = WebSocketPair::new()?;
    pair.server.accept()?;
    pair.server.close(Some(closing.code()), Some(closing.reason()))?;
    Response::from_websocket(pair.client)
}

/// The hub of a workspace.
#[durable_object]
pub struct LiveHub {
    state: State,
    env: Env,
    clock: Clock,
    /// None until something happens after the object slept.
    hub: RefCell<Option<Hub>>,
}

impl DurableObject for LiveHub {
    fn new(state: State, env: Env) -> Self {
        Self { state, env, clock: Clock::system(), hub: RefCell::new(None) }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let key = key(&self.env)?;
        self.wake().await?;
        if request.method() == Method::Get {
            return match Ticket::open(&parameter(&request, "ticket")?, &key, self.clock.now()) {
                Some(ticket) => self.open(ticket).await,
                None => refused(Closing::Ticket),
            };
        }
        let signature = request.headers().get(SIGNATURE_HEADER)?.unwrap_or_default();
        match Publication::open(&request.text().await?, &signature, &key) {
            Some(publication) => self.publish(&publication).await,
            None => Response::error("This was not signed with the key of this hub.", 401),
        }
    }

    async fn websocket_message(
        &self,
        socket: WebSocket,
        message: WebSocketIncomingMessage,
    ) -> worker::Result<()> {
        self.wake().await?;
        if let (Some(id), WebSocketIncomingMessage::String(text)) = (self.id(&socket), message) {
            self.with(|hub| hub.received(id, &text));
        }
        self.close_due();
        Ok(())
    }

    async fn websocket_close(&self, socket: WebSocket, _: usize, _: String, _: bool) -> worker::Result<()> {
        self.forget(&socket).await
    }

    async fn websocket_error(&self, socket: WebSocket, _: worker::Error) -> worker::Result<()> {
        self.forget(&socket).await
    }

    /// Closes sockets whose time is over.
    async fn alarm(&self) -> worker::Result<Response> {
        self.wake().await?;
        self.close_due();
        self.set_alarm().await?;
        Response::empty()
    }
}

impl LiveHub {
    /// Makes the hub again from what was kept, if the object slept.
    async fn wake(&self) -> worker::Result<()> {
        if self.hub.borrow().is_some() {
            return Ok(());
        }
        let memory: Memory = self.state.storage().get(MEMORY).await?.unwrap_or_default();
        let sockets = self.state.get_websockets().into_iter().filter_map(|socket| {
            let kept: Socket = socket.deserialize_attachment().ok().flatten()?;
            Some((self.id(&socket)?, kept))
        });
        let hub = Hub::resume(memory, sockets.collect::<Vec<_>>());
        self.hub.borrow_mut().get_or_insert(hub);
        self.answer_pings()
    }

    fn with<T>(&self, act: impl FnOnce(&mut Hub) -> T) -> T {
        act(self.hub.borrow_mut().get_or_insert_with(Hub::default))
    }

    /// Returns the number of a socket, which is its tag.
    fn id(&self, socket: &WebSocket) -> Option<SocketId> {
        self.state.get_tags(socket).first()?.parse().ok()
    }

    async fn open(&self, ticket: Ticket) -> worker::Result<Response> {
        let now = self.clock.now();
        let id = SocketId::from_le_bytes(random::bytes().map_err(|error| error.to_string())?);
        let kept = match self.with(|hub| hub.open(id, ticket, now)) {
            Ok(kept) => kept,
            Err(closing) => return refused(closing),
        };
        let pair = WebSocketPair::new()?;
        self.state.accept_websocket_with_tags(&pair.server, &[&id.to_string()]);
        pair.server.serialize_attachment(kept)?;
        pair.server.send_with_str(self.with(|hub| hub.latest()))?;
        self.remember().await?;
        self.set_alarm().await?;
        Response::from_websocket(pair.client)
    }

    async fn publish(&self, publication: &Publication) -> worker::Result<Response> {
        // By what was sent before: what is sent now nobody can have seen.
        self.close_due();
        if let Some(message) = self.with(|hub| hub.publish(&publication.events)) {
            self.answer_pings()?;
            for socket in self.state.get_websockets() {
                // One that cannot be sent to is closed already, and reads what it missed.
                let _ = socket.send_with_str(&message);
            }
            self.remember().await?;
        }
        Ok(Response::empty()?.with_status(204))
    }

    /// Lets the runtime say how far the events are, without waking this object.
    fn answer_pings(&self) -> worker::Result<()> {
        let latest = self.with(|hub| hub.latest());
        self.state.set_websocket_auto_response(&WebSocketRequestResponsePair::new(PING, &latest)?);
        Ok(())
    }

    fn close_due(&self) {
        for (id, closing) in self.with(|hub| hub.close_due(self.clock.now())) {
            for socket in self.state.get_websockets_with_tag(&id.to_string()) {
                // One that cannot be closed is closed already.
                let _ = socket.close(Some(closing.code()), Some(closing.reason()));
            }
        }
    }

    async fn forget(&self, socket: &WebSocket) -> worker::Result<()> {
        self.wake().await?;
        if let Some(id) = self.id(socket) {
            self.with(|hub| hub.closed(id));
        }
        Ok(())
    }

    async fn remember(&self) -> worker::Result<()> {
        let memory = self.with(|hub| hub.memory().clone());
        self.state.storage().put(MEMORY, memory).await
    }

    /// Wakes this object when the first socket is to be closed.
    async fn set_alarm(&self) -> worker::Result<()> {
        let Some(next) = self.with(|hub| hub.next_closing()) else { return Ok(()) };
        let wait = next.duration_since(self.clock.now()).max(SignedDuration::ZERO).unsigned_abs();
        self.state.storage().set_alarm(wait).await
    }
}
