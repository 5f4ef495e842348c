//! What becomes of a consent by itself: it ends, or changes what it allows. Each change leaves a trace, and a look that
//! changes nothing leaves none.

use std::collections::BTreeSet;

use ads::Failure;
use ads::tenant::Tenant;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use store::Table;
use store::connection::{Connection, ConnectionState};

use crate::audit::{self, Act, Actor};

/// Remembers that only a person can mend a connection, so that no other work runs into it: unless it was connected
/// anew since it was `seen`.
pub async fn has_ended(
    table: &Table,
    workspace: &Tenant,
    seen: &Connection,
    reason: &str,
    who: Actor,
    now: Timestamp,
) -> Result<(), Failure> {
    let ended = Connection { state: ConnectionState::NeedsReconnect, ..seen.clone() };
    let act = match changed(workspace, seen, &ended, who) {
        Some(act) => Some(audit::intend(table, workspace, act, now).await?),
        None => None,
    };
    let kept = table.connection_is_dead(workspace, seen, reason).await?;
    if let Some(act) = act {
        let kept = if kept { Ok(()) } else { Err(superseded()) };
        // Whose consent was renewed at this moment has not ended; both are well.
        let (Ok(()) | Err(_)) = act.ended(kept, None, now).await;
    }
    Ok(())
}

/// The act of changing a connection from what was seen into something else; none when nothing would be another.
pub fn changed(workspace: &Tenant, seen: &Connection, then: &Connection, who: Actor) -> Option<Act> {
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
    let act = act(workspace, seen, "connection.changed", &after.to_string(), who);
    (before != json!({})).then(|| act.changing(before, after))
}

/// An act on a connection as it was seen: whoever does the same to the same is repeating it, after a crash or beside
/// another worker. What Meta says in words is left out, for it may name the person.
pub fn act(workspace: &Tenant, seen: &Connection, what: &str, into: &str, who: Actor) -> Act {
    let Connection { id, sealed_token, state, checked_at, .. } = seen;
    let of = format!("{workspace}|{id}|{sealed_token}|{state:?}|{checked_at:?}|{what}|{into}");
    let id_of_act = hex::encode(&Sha256::digest(of)[..12]);
    Act::new(id_of_act, who, what, audit::connection(workspace, id))
}

/// Why a change of what was seen did not happen.
pub fn superseded() -> Failure {
    Failure::Conflict("it was connected, renewed or sealed anew at the same time".to_owned())
}
