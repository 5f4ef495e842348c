//! The hub of live events in this process: the counterpart of the Worker at the edge. It holds the sockets; what is sent
//! to them is decided by the same code.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use axum::extract::{Query, State, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::{get, post};
use domain::id::WorkspaceId;
use http::{HeaderMap, StatusCode};
use live_updates::hub::{Closing, Hub, PING, Publication, SIGNATURE_HEADER, SocketId};
use live_updates::key::HubKey;
use live_updates::ticket::Ticket;
use runtime::{Clock, random};
use serde::Deserialize;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A client says a few words only.
const MAX_MESSAGE_BYTES: usize = 1024;

/// The hubs of all workspaces.
#[derive(Clone)]
pub(crate) struct Hubs {
    key: HubKey,
    clock: Clock,
    hubs: Arc<Mutex<HashMap<WorkspaceId, HubWithSockets>>>,
}

#[derive(Default)]
struct HubWithSockets {
    hub: Hub,
    next: SocketId,
    /// Unbounded, because the hub closes whoever has not seen what it was sent.
    sockets: HashMap<SocketId, UnboundedSender<Message>>,
}

#[derive(Deserialize)]
struct OpenQuery {
    #[serde(default)]
    ticket: String,
}

fn close(closing: Closing) -> Message {
    Message::Close(Some(CloseFrame { code: closing.code(), reason: closing.reason().into() }))
}

impl Hubs {
    /// Returns hubs with a key of their own. Tickets of an earlier process open nothing.
    pub(crate) fn new(clock: Clock) -> anyhow::Result<Self> {
        let key = HubKey::new(random::id()?.repeat(2).into())?;
        Ok(Self { key, clock, hubs: Arc::default() })
    }

    /// Returns the key that the API shares with them.
    pub(crate) fn key(&self) -> HubKey {
        self.key.clone()
    }

    /// Returns the routes of sockets and of what is published.
    pub(crate) fn router(self) -> Router {
        Router::new().route("/live", get(open)).route("/live/publish", post(publish)).with_state(self)
    }

    fn with<T>(&self, workspace: &WorkspaceId, act: impl FnOnce(&mut HubWithSockets) -> T) -> T {
        let mut hubs = self.hubs.lock().unwrap_or_else(PoisonError::into_inner);
        act(hubs.entry(workspace.clone()).or_default())
    }

    fn open(&self, ticket: &str) -> Result<(WorkspaceId, SocketId, UnboundedReceiver<Message>), Closing> {
        let now = self.clock.now();
        let ticket = Ticket::open(ticket, &self.key, now).ok_or(Closing::Ticket)?;
        let workspace = ticket.workspace.clone();
        let (sender, receiver) = unbounded_channel();
        let id = self.with(&workspace, |open| {
            let id = open.next;
            open.hub.open(id, ticket, now)?;
            open.next += 1;
            // There is a receiver: it is in this function.
            let _ = sender.send(Message::text(open.hub.latest()));
            open.sockets.insert(id, sender);
            Ok(id)
        })?;
        Ok((workspace, id, receiver))
    }

    async fn serve(self, mut socket: WebSocket, ticket: String) {
        let (workspace, id, mut messages) = match self.open(&ticket) {
            Ok(open) => open,
            Err(closing) => {
                // Whoever is gone needs no reason.
                let _ = socket.send(close(closing)).await;
                return;
            }
        };
        loop {
            tokio::select! {
                message = messages.recv() => {
                    let Some(message) = message else { break };
                    if socket.send(message).await.is_err() {
                        break;
                    }
                }
                received = socket.recv() => match received {
                    Some(Ok(Message::Text(text))) => self.received(&workspace, id, &text),
                    // After a close frame there is nothing more, when it was answered.
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => break,
                },
            }
        }
        self.with(&workspace, |open| {
            open.hub.closed(id);
            open.sockets.remove(&id);
        });
    }

    fn received(&self, workspace: &WorkspaceId, id: SocketId, text: &str) {
        let now = self.clock.now();
        self.with(workspace, |open| {
            if text == PING {
                open.send(id, Message::text(open.hub.latest()));
            } else {
                open.hub.received(id, text);
            }
            open.close_due(now);
        });
    }
}

impl HubWithSockets {
    fn send(&self, id: SocketId, message: Message) {
        if let Some(sender) = self.sockets.get(&id) {
            // A socket that is being closed gets nothing more.
            let _ = sender.send(message);
        }
    }

    fn close_due(&mut self, now: jiff::Timestamp) {
        for (id, closing) in self.hub.close_due(now) {
            self.send(id, close(closing));
            self.sockets.remove(&id);
        }
    }
}

async fn open(
    State(hubs): State<Hubs>,
    Query(query): Query<OpenQuery>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let upgrade = upgrade.max_message_size(MAX_MESSAGE_BYTES);
    upgrade.on_upgrade(move |socket| hubs.serve(socket, query.ticket))
}

async fn publish(State(hubs): State<Hubs>, headers: HeaderMap, body: String) -> StatusCode {
    let signature = headers.get(SIGNATURE_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Some(Publication { workspace, events }) = Publication::open(&body, signature, &hubs.key) else {
        return StatusCode::UNAUTHORIZED;
    };
    let now = hubs.clock.now();
    hubs.with(&workspace, |open| {
        // By what was sent before: what is sent now nobody can have seen.
        open.close_due(now);
        if let Some(message) = open.hub.publish(&events) {
            let message = Message::text(message);
            for id in open.sockets.keys() {
                open.send(*id, message.clone());
            }
        }
    });
    StatusCode::NO_CONTENT
}
