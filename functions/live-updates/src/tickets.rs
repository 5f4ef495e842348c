//! Tickets for sockets.

use domain::Error;
use http::{Method, StatusCode};
use jiff::Timestamp;
use runtime::endpoint::{self, Endpoint};
use runtime::random;
use runtime::request::{Json, NoPath, RequestContext};
use runtime::session::{Role, Session};
use serde::Serialize;

use crate::LiveUpdates;
use crate::ticket::{TICKET_TTL, Ticket};

/// Where to open a socket.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct LiveTicket {
    /// The address, with a ticket that opens one socket. Absent where a deployment has no hub: ask for events then.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// When the ticket ends.
    expires_at: Timestamp,
}

pub(crate) fn create_live_ticket() -> Endpoint<LiveUpdates> {
    endpoint::member(Method::POST, "/v1/workspaces/{workspace}/live/tickets", Role::Viewer)
        .named("create_live_ticket", "Issues a ticket for a socket of live events")
        .description(
            "The socket gets `{\"latest\": 7}` when it opens and after each `ping` it sends, and `{\"events\": […]}` as \
             events happen. It says `{\"seen\": 7}` after every 16 KB, or it is closed. Read events that it missed.",
        )
        // An answer that is repeated would have a ticket that was used.
        .handles_own_idempotency()
        .responds(StatusCode::OK, "Where to open the socket.", LiveUpdates::create_live_ticket)
}

impl LiveUpdates {
    async fn create_live_ticket(
        self,
        context: RequestContext<Session, NoPath>,
    ) -> Result<Json<LiveTicket>, Error> {
        let session = context.caller;
        let expires_at = self.clock.now() + TICKET_TTL;
        let Some(hub) = &self.hub else { return Ok(Json(LiveTicket { url: None, expires_at })) };
        let (workspace, person) = ((*session.workspace).clone(), session.subject);
        let ticket = Ticket { id: random::id()?, workspace, person, expires_at };
        Ok(Json(LiveTicket { url: Some(hub.socket_url(&ticket)?), expires_at }))
    }
}
