//! The hub of a workspace: which sockets are open, and what is sent to them. It is the same wherever sockets are held: in
//! a Durable Object on Cloudflare, and in the process on a laptop. It keeps no events.
//!
//! A socket gets `{"latest": 7}` when it opens and after each `ping` of its client, and `{"events": […]}` as they are
//! published. Its client says `{"seen": 7}` from time to time; one that falls behind is closed, so that nothing piles up.

use std::collections::{BTreeMap, VecDeque};

use domain::id::WorkspaceId;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::key::{HubKey, Purpose};
use crate::ticket::Ticket;

/// Maximum sockets of a person in a workspace.
pub const MAX_SOCKETS_PER_PERSON: usize = 20;

/// How long a socket stays open: its client then needs another ticket, for which its session and role are checked.
pub const MAX_AGE: SignedDuration = SignedDuration::from_mins(30);

/// Maximum bytes that a client has not said to have seen.
const MAX_UNSEEN_BYTES: u64 = 64 * 1024;

/// Number of published messages of which the hub knows the size.
const MAX_MESSAGES: usize = 1024;

/// What a client sends to hear how far the events are.
pub const PING: &str = "ping";

/// Header with the signature of a request that publishes.
pub const SIGNATURE_HEADER: &str = "x-adflight-signature";

/// Why a socket is closed or not opened: a close code of WebSockets with its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// The ticket is not ours, too old, of another workspace, or used.
    Ticket,
    /// The person has too many sockets.
    TooMany,
    /// The client falls behind.
    Slow,
    /// It was open for [`MAX_AGE`].
    Age,
}

impl Closing {
    /// Returns the close code.
    pub const fn code(self) -> u16 {
        match self {
            Self::Ticket => 4401,
            Self::TooMany => 4429,
            Self::Slow => 1013,
            Self::Age => 4000,
        }
    }

    /// Returns the reason, for whoever looks into it.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Ticket => "The ticket is not valid. Ask for another one.",
            Self::TooMany => "Too many pages are open.",
            Self::Slow => "The client does not keep up. Read what it missed.",
            Self::Age => "Ask for another ticket.",
        }
    }
}

/// What a hub keeps about a socket, also while its host sleeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Socket {
    /// Whose it is.
    pub person: String,
    /// When it was opened.
    pub opened_at: Timestamp,
}

/// The number of a socket.
pub type SocketId = u64;

/// What a hub remembers while its host sleeps, besides its sockets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Id of the last published event; 0 before the first.
    pub latest: u64,
    /// Tickets that were used and could be used again, with their ends.
    pub used: BTreeMap<String, Timestamp>,
}

struct Open {
    socket: Socket,
    /// Of all bytes that were published, how many its client has seen.
    seen: u64,
}

/// The hub of a workspace.
#[derive(Default)]
pub struct Hub {
    memory: Memory,
    sockets: BTreeMap<SocketId, Open>,
    /// Bytes that were published so far, by the last event in them.
    published: VecDeque<(u64, u64)>,
    bytes: u64,
}

/// Events that the API publishes, and their text.
#[derive(Debug, Serialize, Deserialize)]
pub struct Publication {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Events with contiguous ids, oldest first.
    pub events: Vec<Box<RawValue>>,
}

impl Publication {
    /// Returns what the holder of the key has published by this request.
    pub fn open(body: &str, signature: &str, key: &HubKey) -> Option<Self> {
        if !key.verify(Purpose::Publish, body, signature) {
            return None;
        }
        serde_json::from_str(body).ok()
    }
}

#[derive(Deserialize)]
struct EventId {
    id: u64,
}

#[derive(Serialize)]
struct Message<'a> {
    events: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Seen {
    seen: u64,
}

impl Hub {
    /// Returns a hub that goes on after its host slept, with the sockets that stayed open.
    pub fn resume(memory: Memory, sockets: impl IntoIterator<Item = (SocketId, Socket)>) -> Self {
        let open = |(id, socket)| (id, Open { socket, seen: 0 });
        Self { memory, sockets: sockets.into_iter().map(open).collect(), ..Self::default() }
    }

    /// Returns what must be kept while the host sleeps.
    pub const fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Returns what a socket gets when it opens, and after each [`PING`]. A client with an older id reads what it missed.
    pub fn latest(&self) -> String {
        format!(r#"{{"latest":{}}}"#, self.memory.latest)
    }

    /// Returns the time until which a socket stays open, the earliest of all.
    pub fn next_closing(&self) -> Option<Timestamp> {
        self.sockets.values().map(|open| open.socket.opened_at + MAX_AGE).min()
    }

    /// Opens a socket for whoever holds this ticket. Returns what is to be kept about it.
    pub fn open(&mut self, id: SocketId, ticket: Ticket, now: Timestamp) -> Result<Socket, Closing> {
        self.memory.used.retain(|_, ends| *ends > now);
        if self.memory.used.contains_key(&ticket.id) {
            return Err(Closing::Ticket);
        }
        let own = self.sockets.values().filter(|open| open.socket.person == ticket.person).count();
        if own >= MAX_SOCKETS_PER_PERSON {
            return Err(Closing::TooMany);
        }
        self.memory.used.insert(ticket.id, ticket.expires_at);
        let socket = Socket { person: ticket.person, opened_at: now };
        self.sockets.insert(id, Open { socket: socket.clone(), seen: self.bytes });
        Ok(socket)
    }

    /// Forgets a socket that was closed.
    pub fn closed(&mut self, id: SocketId) {
        self.sockets.remove(&id);
    }

    /// Returns a message for every socket with the events that are new; none without any.
    pub fn publish(&mut self, events: &[Box<RawValue>]) -> Option<String> {
        let mut new = Vec::new();
        for event in events {
            let Ok(EventId { id }) = serde_json::from_str(event.get()) else { continue };
            // What is published again, or later than what came after it, a client has or reads.
            if id > self.memory.latest {
                self.memory.latest = id;
                new.push(&**event);
            }
        }
        if new.is_empty() {
            return None;
        }
        let message = serde_json::to_string(&Message { events: new }).ok()?;
        self.bytes += message.len() as u64;
        self.published.push_back((self.memory.latest, self.bytes));
        if self.published.len() > MAX_MESSAGES {
            self.published.pop_front();
        }
        Some(message)
    }

    /// Takes in what a client says.
    pub fn received(&mut self, id: SocketId, text: &str) {
        let Ok(Seen { seen }) = serde_json::from_str(text) else { return };
        let Some(open) = self.sockets.get_mut(&id) else { return };
        let place = self.published.partition_point(|(last, _)| *last <= seen);
        if let Some((_, bytes)) = place.checked_sub(1).and_then(|place| self.published.get(place)) {
            open.seen = open.seen.max(*bytes);
        }
    }

    /// Returns the sockets to close, and forgets them. Called before something is published: nobody can have seen that.
    pub fn close_due(&mut self, now: Timestamp) -> Vec<(SocketId, Closing)> {
        let bytes = self.bytes;
        let due = |open: &Open| match () {
            () if open.socket.opened_at + MAX_AGE <= now => Some(Closing::Age),
            () if bytes - open.seen > MAX_UNSEEN_BYTES => Some(Closing::Slow),
            () => None,
        };
        let closing: Vec<_> = self.sockets.iter().filter_map(|(id, open)| Some((*id, due(open)?))).collect();
        for (id, _) in &closing {
            self.sockets.remove(id);
        }
        closing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ticket::TICKET_TTL;

    fn now() -> Timestamp {
        "2026-11-30T12:00:00Z".parse().unwrap()
    }

    fn ticket(id: &str, person: &str) -> Ticket {
        let workspace = "demo".parse().unwrap();
        Ticket { id: id.to_owned(), workspace, person: person.to_owned(), expires_at: now() + TICKET_TTL }
    }

    fn events(ids: impl IntoIterator<Item = u64>) -> Vec<Box<RawValue>> {
        ids.into_iter().map(|id| RawValue::from_string(format!(r#"{{"id":{id}}}"#)).unwrap()).collect()
    }

    #[test]
    fn a_ticket_opens_one_socket_also_of_a_hub_that_slept() {
        let mut hub = Hub::default();
        let socket = hub.open(1, ticket("t1", "ada"), now()).unwrap();
        assert_eq!(hub.open(2, ticket("t1", "ada"), now()), Err(Closing::Ticket));
        let mut hub = Hub::resume(hub.memory().clone(), [(1, socket)]);
        assert_eq!(hub.open(2, ticket("t1", "ada"), now()), Err(Closing::Ticket));
        // When its time is over nobody can open it any more, and the hub forgets it.
        let later = now() + TICKET_TTL;
        hub.open(3, Ticket { expires_at: later + TICKET_TTL, ..ticket("t2", "ada") }, later).unwrap();
        assert_eq!(hub.memory().used.len(), 1);
    }

    #[test]
    fn a_person_has_twenty_sockets_at_most_and_others_have_theirs() {
        let mut hub = Hub::default();
        for id in 0..MAX_SOCKETS_PER_PERSON as u64 {
            hub.open(id, ticket(&format!("t{id}"), "ada"), now()).unwrap();
        }
        assert_eq!(hub.open(100, ticket("t100", "ada"), now()), Err(Closing::TooMany));
        hub.open(101, ticket("t101", "bob"), now()).unwrap();
        hub.closed(0);
        hub.open(100, ticket("t100", "ada"), now()).unwrap();
    }

    #[test]
    fn events_are_sent_once_and_in_order() {
        let mut hub = Hub::default();
        assert_eq!(hub.publish(&events([5, 6])).unwrap(), r#"{"events":[{"id":5},{"id":6}]}"#);
        assert_eq!(hub.publish(&events([5, 6])), None);
        assert_eq!(hub.publish(&events([6, 7])).unwrap(), r#"{"events":[{"id":7}]}"#);
        // One that was overtaken is read: clients see that it is missing.
        assert_eq!(hub.publish(&events([9])).unwrap(), r#"{"events":[{"id":9}]}"#);
        assert_eq!(hub.publish(&events([8])), None);
        assert_eq!(hub.latest(), r#"{"latest":9}"#);
        assert_eq!(Hub::resume(hub.memory().clone(), []).latest(), r#"{"latest":9}"#);
    }

    #[test]
    fn a_client_that_does_not_keep_up_is_closed_and_the_others_are_not() {
        let mut hub = Hub::default();
        hub.open(1, ticket("t1", "ada"), now()).unwrap();
        hub.open(2, ticket("t2", "bob"), now()).unwrap();
        let mut closed = Vec::new();
        for id in 1..=10_000 {
            closed.extend(hub.close_due(now()));
            hub.publish(&events([id])).unwrap();
            hub.received(1, &format!(r#"{{"seen":{id}}}"#));
        }
        assert_eq!(closed, [(2, Closing::Slow)]);
        // What a client says that makes no sense changes nothing.
        for text in ["", "{}", r#"{"seen":-1}"#, r#"{"seen":99999}"#] {
            hub.received(1, text);
            hub.received(7, text);
        }
        assert_eq!(hub.close_due(now() + MAX_AGE), [(1, Closing::Age)]);
        assert_eq!(hub.next_closing(), None);
    }

    #[test]
    fn only_the_holder_of_the_key_publishes() {
        let key = HubKey::new("k".repeat(32).into()).unwrap();
        let body = r#"{"workspace":"demo","events":[{"id":1,"changed":[{"type":"rules"}]}]}"#;
        let signature = key.sign(Purpose::Publish, body);
        assert_eq!(Publication::open(body, &signature, &key).unwrap().events.len(), 1);
        assert!(Publication::open(&body.replace("demo", "other"), &signature, &key).is_none());
        assert!(Publication::open(body, &key.sign(Purpose::Ticket, body), &key).is_none());
    }
}
