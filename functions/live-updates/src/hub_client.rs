//! The hub, as the function on AWS calls it.

use std::time::Duration;

use domain::Error;
use domain::live::LiveEvent;
use domain::tenant::Tenant;
use reqwest::{Client, Url};
use serde::Serialize;

use crate::hub::SIGNATURE_HEADER;
use crate::key::{HubKey, Purpose};
use crate::ticket::Ticket;

/// How long a hub may take to receive events. It is a hint, and nothing waits for it longer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A hub, at its address.
#[derive(Debug, Clone)]
pub struct HubClient {
    url: Url,
    key: HubKey,
    http: Client,
}

#[derive(Serialize)]
struct Published<'a> {
    workspace: &'a Tenant,
    events: [&'a LiveEvent; 1],
}

impl HubClient {
    /// Creates the client of the hub at this address, such as `https://live.example.com`.
    pub fn new(url: &str, key: HubKey) -> Result<Self, Error> {
        let invalid =
            |error: &dyn std::fmt::Display| Error::Internal(format!("the hub's address {url}: {error}"));
        let url = Url::parse(url).map_err(|error| invalid(&error))?;
        let http = Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none()).build();
        Ok(Self { http: http.map_err(|error| invalid(&error))?, url, key })
    }

    /// Returns the address at which the holder of this ticket opens a socket.
    pub(crate) fn socket_url(&self, ticket: &Ticket) -> Result<String, Error> {
        let sealed = ticket.seal(&self.key).map_err(|error| Error::Internal(error.to_string()))?;
        let mut url = self.url.clone();
        let scheme = if url.scheme() == "http" { "ws" } else { "wss" };
        // Both are schemes that such an address can change to.
        let _ = url.set_scheme(scheme);
        url.set_path("/live");
        url.query_pairs_mut().append_pair("ticket", &sealed);
        Ok(url.into())
    }

    /// Passes an event to the hub.
    pub(crate) async fn publish(&self, workspace: &Tenant, event: &LiveEvent) -> Result<(), Error> {
        let body = serde_json::to_string(&Published { workspace, events: [event] });
        let body = body.map_err(|error| Error::Internal(error.to_string()))?;
        let mut url = self.url.clone();
        url.set_path("/live/publish");
        let signature = self.key.sign(Purpose::Publish, &body);
        let sent = self.http.post(url).header(SIGNATURE_HEADER, signature).body(body).send().await;
        sent.and_then(reqwest::Response::error_for_status)
            .map(drop)
            .map_err(|error| Error::Unavailable(format!("the hub: {}", error.without_url())))
    }
}
