//! Rotation of the keys that seal tokens. Every token opens at every moment.
//!
//! Each step is derived from the keyring itself, so that any process continues where a crashed one stopped: add a key
//! that does not seal yet; make it the current key; reseal every connection; remove the old key when nothing is sealed
//! with it. All connections are looked at page by page, and the old key goes only after a whole pass that began when no
//! process sealed with it any more and found nothing that it opens. Concurrent runs are harmless: the keyring is
//! replaced only if it is unchanged, a token only if it is still the one that was opened.

use connector::{consent, token_context};
use domain::Error;
use domain::id::ConnectionId;
use domain::job::{Job, ResealingPass};
use domain::tenant::Tenant;
use jiff::SignedDuration;
use runtime::keyring::{VersionedKeyring, key_id_of};
use runtime::{Clock, Keyring, Queues, random};
use serde_json::json;
use store::Table;
use store::audit::{self, Actor, AuditEvent};
use store::connection::{ConnectionRef, ConnectionState};

/// Minimum time a retired key remains. A process that has not seen its successor may seal with it for
/// [`runtime::keyring::MAX_KEYRING_AGE`], and write the row until Lambda ends its invocation.
const RETIRED_KEY_GRACE_PERIOD: SignedDuration = SignedDuration::from_mins(10);

/// Delay of the next check. SQS allows at most 15 minutes.
const RECHECK_DELAY: SignedDuration = SignedDuration::from_mins(11);

/// Attempts to change the keyring while other processes change it.
const MAX_ATTEMPTS: u32 = 10;

/// Connections that one invocation looks at.
const CONNECTIONS_PER_RUN: usize = 2_000;

/// Rotates the keyring and reseals the tokens.
#[derive(Debug, Clone)]
pub struct Rotation {
    table: Table,
    keyring: Keyring,
    queues: Queues,
    clock: Clock,
    connections_per_run: usize,
}

/// Progress of a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RotationStatus {
    /// The keyring holds only the current key.
    Complete,
    /// Tokens are, or may be, sealed with an older key.
    Resealing {
        /// Id of the current key.
        current: String,
        /// Connections of this page to reseal.
        remaining: Vec<ConnectionRef>,
        /// The pass to go on with; `None` after the last page.
        next: Option<ResealingPass>,
    },
}

impl Rotation {
    /// Creates the rotation of this deployment's keyring.
    pub fn new(table: Table, keyring: Keyring, queues: Queues, clock: Clock) -> Self {
        Self { table, keyring, queues, clock, connections_per_run: CONNECTIONS_PER_RUN }
    }

    /// Sets how many connections one call of [`Rotation::advance`] looks at.
    #[must_use]
    pub fn with_connections_per_run(self, connections_per_run: usize) -> Self {
        Self { connections_per_run, ..self }
    }

    /// Starts a rotation, or resumes the one in progress.
    pub async fn begin(&self) -> Result<(), Error> {
        let stored = self.keyring.refetch().await?;
        if stored.document.has_single_key() {
            // Scheduled before the change: a process that crashes after this line leaves nothing undone.
            self.schedule_recheck().await?;
            let VersionedKeyring { document, .. } = &stored;
            match self.keyring.replace(&stored, &document.with_new_key()?).await {
                // Another process started at the same time.
                Ok(()) | Err(Error::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        self.resume(None).await
    }

    /// Resumes a rotation in progress and starts none. The next job goes on where this one ends.
    pub async fn resume(&self, pass: Option<ResealingPass>) -> Result<(), Error> {
        if let RotationStatus::Resealing { current, remaining, next } = self.advance(pass).await? {
            tracing::info!(key = current, remaining = remaining.len(), "Queued tokens for resealing.");
            let reseal = |ConnectionRef { workspace, connection }| Job::Reseal {
                workspace,
                connection,
                key: current.clone(),
            };
            let go_on = next.map(|pass| Job::CompleteRotation { pass: Some(pass) });
            let is_last = go_on.is_none();
            self.queues.send(&remaining.into_iter().map(reseal).chain(go_on).collect::<Vec<_>>()).await?;
            if is_last {
                self.schedule_recheck().await?;
            }
        }
        Ok(())
    }

    /// Takes every step that is possible now. Looks at the next page of connections of a pass; of a new one when `None`, or
    /// when the key has changed since.
    pub async fn advance(&self, pass: Option<ResealingPass>) -> Result<RotationStatus, Error> {
        for _ in 0..MAX_ATTEMPTS {
            let stored = self.keyring.refetch().await?;
            let (document, now) = (&stored.document, self.clock.now());
            let next = if document.has_single_key() {
                return Ok(RotationStatus::Complete);
            } else if let Some(fresh) = document.pending_key() {
                document.with_current_key(fresh, now)
            } else if let Some(since) = document.since() {
                let current = document.current().to_owned();
                let pass = pass.clone().filter(|pass| pass.key == current);
                let mut pass = pass.unwrap_or_else(|| ResealingPass {
                    key: current.clone(),
                    began_at: now,
                    after: None,
                    held: false,
                });
                let remaining = self.next_page(&mut pass).await?;
                let is_over = pass.after.is_none();
                if !is_over || pass.held || pass.began_at < since + RETIRED_KEY_GRACE_PERIOD {
                    let next = (!is_over).then_some(pass);
                    return Ok(RotationStatus::Resealing { current, remaining, next });
                }
                document.with_current_only()
            } else {
                // Two keys were added by hand: the grace period starts now.
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

    /// Looks at the next page of a pass and moves it on; after the last page its position is `None`. Returns the
    /// connections that are sealed with other keys. A connection that must be renewed holds
    /// no key that does not open its token.
    async fn next_page(&self, pass: &mut ResealingPass) -> Result<Vec<ConnectionRef>, Error> {
        let mut remaining = Vec::new();
        let page = self.table.connections_after(pass.after.as_deref(), self.connections_per_run);
        let (page, next) = page.await?;
        for connection_ref in page {
            match self.table.connection(&connection_ref.workspace, &connection_ref.connection).await? {
                // The person removed the app; no token is stored.
                Some(connection) if connection.sealed_token.is_empty() => {}
                Some(connection) if key_id_of(&connection.sealed_token) == Some(&pass.key) => {}
                Some(connection) => {
                    let context = token_context(&connection_ref.workspace, &connection_ref.connection);
                    let opens = self.keyring.open(&connection.sealed_token, &context).await.is_ok();
                    pass.held |= opens || connection.state != ConnectionState::NeedsReconnect;
                    remaining.push(connection_ref);
                }
                // Removed since the list was read.
                None => {}
            }
        }
        pass.after = next;
        Ok(remaining)
    }

    /// Seals one connection's token with the current key. A concurrent replacement of the token wins.
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
        let (table, keyring, now) = (&self.table, &self.keyring, self.clock.now());
        let token = match consent::open_token(table, keyring, workspace, &seen, now).await {
            // The connection is marked.
            Err(Error::Reconnect(_)) => return Ok(()),
            opened => opened?,
        };
        let sealed = keyring.seal(&token, &token_context(workspace, connection)).await?;
        let keys = |sealed: &str| json!({"key": key_id_of(sealed)});
        let target = audit::connection_target(workspace, connection);
        let event = AuditEvent::new(random::id()?, Actor::Operator, "connection.resealed", target);
        let event = event.with_change(keys(&seen.sealed_token), keys(&sealed));
        let event = event.done_at(self.clock.now());
        // A token that was replaced meanwhile is sealed with the current key already.
        self.table.reseal_connection(workspace, &seen, &sealed, &event).await?;
        Ok(())
    }

    async fn schedule_recheck(&self) -> Result<(), Error> {
        self.queues.send_delayed(&Job::CompleteRotation { pass: None }, RECHECK_DELAY.unsigned_abs()).await
    }
}
