//! Changes of a consent outside of a login: it expires or its permissions change. Each change is recorded as an audit
//! event; a check without a change records none.

use std::collections::BTreeSet;

use domain::Error;
use domain::tenant::Tenant;
use jiff::Timestamp;
use runtime::Keyring;
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use store::Table;
use store::audit::{self, Actor, AuditEvent};
use store::connection::{Connection, ConnectionState};

use crate::token_context;

/// Opens a connection's token. A token that no longer opens marks the connection as needing a reconnect.
pub async fn open_token(
    table: &Table,
    keyring: &Keyring,
    workspace: &Tenant,
    connection: &Connection,
    now: Timestamp,
) -> Result<SecretString, Error> {
    let context = token_context(workspace, &connection.id);
    let opened = keyring.open(&connection.sealed_token, &context).await;
    if let Err(Error::Reconnect(why)) = &opened
        && !connection.sealed_token.is_empty()
    {
        tracing::error!(%workspace, connection = %connection.id.log_id(), "A sealed token does not open.");
        mark_needs_reconnect(table, workspace, connection, why, Actor::Operator, now).await?;
    }
    opened
}

/// Marks a connection as needing a reconnect, so that no other work uses it, unless it was reconnected since it was
/// `seen`.
pub async fn mark_needs_reconnect(
    table: &Table,
    workspace: &Tenant,
    seen: &Connection,
    reason: &str,
    actor: Actor,
    now: Timestamp,
) -> Result<(), Error> {
    let ended = Connection { state: ConnectionState::NeedsReconnect, ..seen.clone() };
    // Without the reason: Meta's message may name the person, and the log keeps what it says.
    let event = change_event(workspace, seen, &ended, actor).map(|event| event.done_at(now));
    table.mark_needs_reconnect(workspace, seen, reason, event.as_ref()).await?;
    Ok(())
}

/// Returns the event of changing a connection from what was seen; none when nothing changes.
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

/// Returns an event of a connection as it was seen. The id derives from the change, so that repeating it, after a crash
/// or by another worker, gives the same event. Meta's messages are left out, because they may name the person.
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
