//! Tickets: the right to open one socket within thirty seconds. A browser can give a socket no header, and what an
//! address contains ends in logs: a ticket there is of no use to anybody else, or later.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::id::WorkspaceId;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::key::{HubKey, Purpose};

/// How long a ticket is valid.
pub const TICKET_TTL: SignedDuration = SignedDuration::from_secs(30);

/// The right of a person to open a socket of a workspace, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Random id, by which a hub knows that it was used.
    pub id: String,
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Subject of the person's session.
    pub person: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl Ticket {
    /// Returns the ticket as text: its content and a signature.
    pub fn seal(&self, key: &HubKey) -> Result<String, serde_json::Error> {
        let content = URL_SAFE_NO_PAD.encode(serde_json::to_vec(self)?);
        let signature = key.sign(Purpose::Ticket, &content);
        Ok(format!("{content}.{signature}"))
    }

    /// Returns the ticket of this text, unless somebody else wrote it or its time is over.
    pub fn open(text: &str, key: &HubKey, now: Timestamp) -> Option<Self> {
        let (content, signature) = text.split_once('.')?;
        if !key.verify(Purpose::Ticket, content, signature) {
            return None;
        }
        let ticket: Self = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(content).ok()?).ok()?;
        (ticket.expires_at > now).then_some(ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_valid_as_it_was_issued_and_for_its_time() {
        let key = |text: &str| HubKey::new(text.repeat(32).into()).unwrap();
        let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        let ticket = Ticket {
            id: "1".to_owned(),
            workspace: "demo".parse().unwrap(),
            person: "ada".to_owned(),
            expires_at: now + TICKET_TTL,
        };
        let text = ticket.seal(&key("a")).unwrap();
        assert_eq!(Ticket::open(&text, &key("a"), now), Some(ticket.clone()));
        assert_eq!(Ticket::open(&text, &key("a"), now + TICKET_TTL), None);
        assert_eq!(Ticket::open(&text, &key("b"), now), None);

        // Another workspace under the same signature; and a signature that was made for something else.
        let (_, signature) = text.split_once('.').unwrap();
        let other = Ticket { workspace: "other".parse().unwrap(), ..ticket };
        let content = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&other).unwrap());
        assert_eq!(Ticket::open(&format!("{content}.{signature}"), &key("a"), now), None);
        let published = key("a").sign(Purpose::Publish, &content);
        assert_eq!(Ticket::open(&format!("{content}.{published}"), &key("a"), now), None);
        for garbage in ["", ".", "x.y", &content] {
            assert_eq!(Ticket::open(garbage, &key("a"), now), None, "{garbage}");
        }
        assert!(HubKey::new("short".into()).is_err());
    }
}
