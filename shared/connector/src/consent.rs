//! What becomes of a consent by itself: it ends, or changes what it allows. Each change leaves a trace, and a look that
//! changes nothing leaves none.

use std::collections::BTreeSet;

use domain::Error;
use domain::tenant::Tenant;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use store::Table;
use store::audit::{self, Actor, AuditEvent};
use store::connection::{Connection, ConnectionState};

/// Remembers that only a person can mend a connection, so that no other work runs into it: unless it was connected
/// anew since it was `seen`.
pub async fn mark_needs_reconnect(
    table: &Table,
    workspace: &Tenant,
    seen: &Connection,
    reason: &str,
    actor: Actor,
    now: Timestamp,
) -> Result<(), Error> {
    let ended = Connection { state: ConnectionState::NeedsReconnect, ..seen.clone() };
    let event = match change_event(workspace, seen, &ended, actor) {
        Some(event) => Some(table.record_intent(workspace, event, now).await?),
        None => None,
    };
    let stored = table.mark_needs_reconnect(workspace, seen, reason).await?;
    if let Some(event) = event {
        let stored = if stored { Ok(()) } else { Err(superseded()) };
        // Whose consent was renewed at this moment has not ended; both are well.
        let (Ok(()) | Err(_)) = event.complete(stored, None, now).await;
    }
    Ok(())
}

/// The event of changing a connection from what was seen into something else; none when nothing would be another.
pub fn change_event(
    workspace: &Tenant,
    seen: &Connection,
    then: &Connection,
    actor: Actor,
) -> Option<AuditEvent> {
    let scopes = |connection: &Connection| connection.scopes.iter().cloned().collect::<BTreeSet<_>>();
    let (mut before, mut after) = (Map::new(), Map::new());
    if seen.state != then.state {
        before.insert("state".to_owned(), json!(seen.state));
        after.insert("state".to_owned(), json!(then.state));
    }
    if scopes(seen) != scopes(then) {
        before.insert("scopes".to_owned(), json!(scopes(seen)));
        after.insert("scopes".to_owned(), json!(scopes(then)));
    }
    let (before, after) = (Value::from(before), Value::from(after));
    let event = connection_event(workspace, seen, "connection.changed", &after.to_string(), actor);
    (before != json!({})).then(|| event.with_change(before, after))
}

/// An event of a connection as it was seen: whoever does the same to the same is repeating it, after a crash or beside
/// another worker. What Meta says in words is left out, for it may name the person.
pub fn connection_event(
    workspace: &Tenant,
    seen: &Connection,
    action: &str,
    into: &str,
    actor: Actor,
) -> AuditEvent {
    let Connection { id, sealed_token, state, checked_at, .. } = seen;
    let of = format!("{workspace}|{id}|{sealed_token}|{state:?}|{checked_at:?}|{action}|{into}");
    let event_id = hex::encode(&Sha256::digest(of)[..12]);
    AuditEvent::new(event_id, actor, action, audit::connection_target(workspace, id))
}

/// Why a change of what was seen did not happen.
pub fn superseded() -> Error {
    Error::Conflict("it was connected, renewed or sealed anew at the same time".to_owned())
}
