//! Changing the keys that seal tokens, without a moment in which a token does not open.
//!
//! Every step is read off the keyring itself, so that whoever comes after a process that died goes on where it stood:
//! a key is added that does not seal yet; it becomes the one that seals; every connection is sealed anew; and when
//! nothing is left under the old key, that key goes. Several at once do no harm: the keyring changes only under
//! those who have seen its present state, a token only if it is still the one that was opened.

use connector::{consent, token_context};
use domain::Error;
use domain::id::ConnectionId;
use domain::job::Job;
use domain::tenant::Tenant;
use jiff::SignedDuration;
use runtime::keyring::{VersionedKeyring, key_id_of};
use runtime::{Clock, Keyring, Queues, random};
use serde_json::json;
use store::Table;
use store::audit::{self, Actor, AuditEvent};
use store::connection::{ConnectionRef, ConnectionState};

/// A key that has stopped sealing stays at least this long. A process that has not heard of its successor may seal
/// with it for [`runtime::keyring::MAX_KEYRING_AGE`], and take as long as Lambda lets it live until the row is written.
const RETIRED_KEY_GRACE_PERIOD: SignedDuration = SignedDuration::from_mins(10);

/// SQS delays no longer than 15 minutes.
const RECHECK_DELAY: SignedDuration = SignedDuration::from_mins(11);

/// As often as that somebody else may have changed the keyring first.
const MAX_ATTEMPTS: u32 = 10;

/// The keys, and what is sealed with them.
#[derive(Debug, Clone)]
pub struct Rotation {
    table: Table,
    keyring: Keyring,
    queues: Queues,
    clock: Clock,
}

/// How far a rotation is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RotationStatus {
    /// Nothing but the key that seals.
    Complete,
    /// Under an older key than this one there is still something, or there may be.
    Resealing {
        /// The key that seals.
        current: String,
        /// What is left.
        remaining: Vec<ConnectionRef>,
    },
}

impl Rotation {
    /// The rotation of this deployment's keyring.
    pub fn new(table: Table, keyring: Keyring, queues: Queues, clock: Clock) -> Self {
        Self { table, keyring, queues, clock }
    }

    /// Begins a rotation, or goes on with the one that is under way.
    pub async fn begin(&self) -> Result<(), Error> {
        let stored = self.keyring.refetch().await?;
        if stored.document.has_single_key() {
            // Whoever is to complete it is told first: a process that dies after this line leaves nothing undone.
            self.schedule_recheck().await?;
            let VersionedKeyring { document, .. } = &stored;
            match self.keyring.replace(&stored, &document.with_new_key()?).await {
                // Somebody else has begun at the same time.
                Ok(()) | Err(Error::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        self.resume().await
    }

    /// Goes on with what is under way, and begins nothing.
    pub async fn resume(&self) -> Result<(), Error> {
        if let RotationStatus::Resealing { current, remaining } = self.advance().await? {
            tracing::info!(key = current, remaining = remaining.len(), "Tokens are sealed anew.");
            let reseal = |ConnectionRef { workspace, connection }| Job::Reseal {
                workspace,
                connection,
                key: current.clone(),
            };
            self.queues.send(&remaining.into_iter().map(reseal).collect::<Vec<_>>()).await?;
            self.schedule_recheck().await?;
        }
        Ok(())
    }

    /// Takes every step that can be taken at once.
    pub async fn advance(&self) -> Result<RotationStatus, Error> {
        for _ in 0..MAX_ATTEMPTS {
            let stored = self.keyring.refetch().await?;
            let (document, now) = (&stored.document, self.clock.now());
            let next = if document.has_single_key() {
                return Ok(RotationStatus::Complete);
            } else if let Some(fresh) = document.pending_key() {
                document.with_current_key(fresh, now)
            } else if let Some(since) = document.since() {
                let current = document.current().to_owned();
                let (remaining, held) = self.remaining(&current).await?;
                if held || now < since + RETIRED_KEY_GRACE_PERIOD {
                    return Ok(RotationStatus::Resealing { current, remaining });
                }
                document.with_current_only()
            } else {
                // Somebody has put two keys there by hand: the time begins to run now.
                document.with_current_key(document.current(), now)
            };
            match self.keyring.replace(&stored, &next).await {
                Ok(()) => {
                    let keys: Vec<_> = next.ids().collect();
                    tracing::info!(current = next.current(), ?keys, "The keyring has changed.");
                }
                Err(Error::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Unavailable("the keyring is being changed by others".to_owned()))
    }

    /// The connections whose tokens are under other keys, and whether any of them keeps its key alive. One that only
    /// a person can mend does not: connecting again seals anew, and some of them open under no key at all.
    async fn remaining(&self, current: &str) -> Result<(Vec<ConnectionRef>, bool), Error> {
        let (mut remaining, mut held) = (Vec::new(), false);
        for place in self.table.all_connections().await? {
            match self.table.connection(&place.workspace, &place.connection).await? {
                // Of one whose person has left us no token is kept.
                Some(connection) if connection.sealed_token.is_empty() => {}
                Some(connection) if key_id_of(&connection.sealed_token) == Some(current) => {}
                Some(connection) => {
                    held |= connection.state != ConnectionState::NeedsReconnect;
                    remaining.push(place);
                }
                None => self.table.remove_connection_listing(&place).await?,
            }
        }
        Ok((remaining, held))
    }

    /// Seals one connection's token with the key that seals now. Somebody who replaces the token meanwhile wins.
    pub async fn reseal(
        &self,
        workspace: &Tenant,
        connection: &ConnectionId,
        key: &str,
    ) -> Result<(), Error> {
        let Some(seen) = self.table.connection(workspace, connection).await? else { return Ok(()) };
        if seen.sealed_token.is_empty() {
            return Ok(());
        }
        self.keyring.ensure_current_key(key).await?;
        if key_id_of(&seen.sealed_token) == Some(&self.keyring.current()) {
            return Ok(());
        }
        let place = token_context(workspace, connection);
        let token = match self.keyring.open(&seen.sealed_token, &place).await {
            Err(Error::Reconnect(why)) => {
                tracing::error!(%workspace, %connection, "A sealed token does not open.");
                let (actor, now) = (Actor::Operator, self.clock.now());
                return consent::mark_needs_reconnect(&self.table, workspace, &seen, &why, actor, now).await;
            }
            opened => opened?,
        };
        let sealed = self.keyring.seal(&token, &place).await?;
        let keys = |sealed: &str| json!({"key": key_id_of(sealed)});
        let target = audit::connection_target(workspace, connection);
        let event = AuditEvent::new(random::id()?, Actor::Operator, "connection.resealed", target);
        let event = event.with_change(keys(&seen.sealed_token), keys(&sealed));
        let event = self.table.record_intent(workspace, event, self.clock.now()).await?;
        let resealed = match self.table.reseal_connection(workspace, &seen, &sealed).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::Conflict("the token was replaced meanwhile".to_owned())),
            Err(error) => Err(error.into()),
        };
        match event.complete(resealed, None, self.clock.now()).await {
            Err(Error::Conflict(_)) => Ok(()),
            done => done,
        }
    }

    async fn schedule_recheck(&self) -> Result<(), Error> {
        self.queues.send_delayed(&Job::CompleteRotation, RECHECK_DELAY.unsigned_abs()).await
    }
}
