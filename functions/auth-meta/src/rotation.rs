//! Changing the keys that seal tokens, without a moment in which a token does not open.
//!
//! Every step is read off the keyring itself, so that whoever comes after a process that died goes on where it stood:
//! a key is added that does not seal yet; it becomes the one that seals; every connection is sealed anew; and when
//! nothing is left under the old key, that key goes. Several at once do no harm: the keyring changes only under
//! those who have seen its present state, a token only if it is still the one that was opened.

use access::audit::{self, Act, Actor};
use access::{consent, token_context};
use ads::Failure;
use ads::id::ConnectionId;
use ads::job::Job;
use ads::tenant::Tenant;
use jiff::SignedDuration;
use runtime::keyring::{KeptKeyring, key_of};
use runtime::{Clock, Keyring, Queues, random};
use serde_json::json;
use store::Table;
use store::connection::{ConnectionPlace, ConnectionState};

/// A key that has stopped sealing stays at least this long. A process that has not heard of its successor may seal
/// with it for [`runtime::keyring::SEALS_FOR`], and take as long as Lambda lets it live until the row is written.
const GRACE: SignedDuration = SignedDuration::from_mins(10);

/// SQS delays no longer than 15 minutes.
const LOOKS_AGAIN: SignedDuration = SignedDuration::from_mins(11);

/// As often as that somebody else may have changed the keyring first.
const TRIES: u32 = 10;

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
pub enum Progress {
    /// Nothing but the key that seals.
    AtRest,
    /// Under an older key than this one there is still something, or there may be.
    Resealing {
        /// The key that seals.
        current: String,
        /// What is left.
        left: Vec<ConnectionPlace>,
    },
}

impl Rotation {
    /// The rotation of this deployment's keyring.
    pub fn new(table: Table, keyring: Keyring, queues: Queues, clock: Clock) -> Self {
        Self { table, keyring, queues, clock }
    }

    /// Begins a rotation, or goes on with the one that is under way.
    pub async fn begin(&self) -> Result<(), Failure> {
        let kept = self.keyring.kept().await?;
        if kept.document.is_at_rest() {
            // Whoever is to complete it is told first: a process that dies after this line leaves nothing undone.
            self.look_again().await?;
            let KeptKeyring { document, .. } = &kept;
            match self.keyring.replace(&kept, &document.with_fresh_key()?).await {
                // Somebody else has begun at the same time.
                Ok(()) | Err(Failure::Conflict(_)) => {}
                Err(failure) => return Err(failure),
            }
        }
        self.go_on().await
    }

    /// Goes on with what is under way, and begins nothing.
    pub async fn go_on(&self) -> Result<(), Failure> {
        if let Progress::Resealing { current, left } = self.advance().await? {
            tracing::info!(key = current, left = left.len(), "Tokens are sealed anew.");
            let reseal = |ConnectionPlace { workspace, connection }| Job::Reseal {
                workspace,
                connection,
                key: current.clone(),
            };
            self.queues.send(&left.into_iter().map(reseal).collect::<Vec<_>>()).await?;
            self.look_again().await?;
        }
        Ok(())
    }

    /// Takes every step that can be taken at once.
    pub async fn advance(&self) -> Result<Progress, Failure> {
        for _ in 0..TRIES {
            let kept = self.keyring.kept().await?;
            let (document, now) = (&kept.document, self.clock.now());
            let next = if document.is_at_rest() {
                return Ok(Progress::AtRest);
            } else if let Some(fresh) = document.fresh() {
                document.sealing_with(fresh, now)
            } else if let Some(since) = document.since() {
                let current = document.current().to_owned();
                let (left, held) = self.left(&current).await?;
                if held || now < since + GRACE {
                    return Ok(Progress::Resealing { current, left });
                }
                document.with_current_only()
            } else {
                // Somebody has put two keys there by hand: the time begins to run now.
                document.sealing_with(document.current(), now)
            };
            match self.keyring.replace(&kept, &next).await {
                Ok(()) => {
                    let keys: Vec<_> = next.ids().collect();
                    tracing::info!(current = next.current(), ?keys, "The keyring has changed.");
                }
                Err(Failure::Conflict(_)) => {}
                Err(failure) => return Err(failure),
            }
        }
        Err(Failure::Unavailable("the keyring is being changed by others".to_owned()))
    }

    /// The connections whose tokens are under other keys, and whether any of them keeps its key alive. One that only
    /// a person can mend does not: connecting again seals anew, and some of them open under no key at all.
    async fn left(&self, current: &str) -> Result<(Vec<ConnectionPlace>, bool), Failure> {
        let (mut left, mut held) = (Vec::new(), false);
        for place in self.table.all_connections().await? {
            match self.table.connection(&place.workspace, &place.connection).await? {
                // Of one whose person has left us no token is kept.
                Some(connection) if connection.sealed_token.is_empty() => {}
                Some(connection) if key_of(&connection.sealed_token) == Some(current) => {}
                Some(connection) => {
                    held |= connection.state != ConnectionState::NeedsReconnect;
                    left.push(place);
                }
                None => self.table.unlist_connection(&place).await?,
            }
        }
        Ok((left, held))
    }

    /// Seals one connection's token with the key that seals now. Somebody who replaces the token meanwhile wins.
    pub async fn reseal(
        &self,
        workspace: &Tenant,
        connection: &ConnectionId,
        key: &str,
    ) -> Result<(), Failure> {
        let Some(seen) = self.table.connection(workspace, connection).await? else { return Ok(()) };
        if seen.sealed_token.is_empty() {
            return Ok(());
        }
        self.keyring.catch_up(key).await?;
        if key_of(&seen.sealed_token) == Some(&self.keyring.current()) {
            return Ok(());
        }
        let place = token_context(workspace, connection);
        let token = match self.keyring.open(&seen.sealed_token, &place).await {
            Err(Failure::Reconnect(why)) => {
                tracing::error!(%workspace, %connection, "A sealed token does not open.");
                let (who, now) = (Actor::Operator, self.clock.now());
                return consent::has_ended(&self.table, workspace, &seen, &why, who, now).await;
            }
            opened => opened?,
        };
        let sealed = self.keyring.seal(&token, &place).await?;
        let keys = |sealed: &str| json!({"key": key_of(sealed)});
        let object = audit::connection(workspace, connection);
        let act = Act::new(random::id()?, Actor::Operator, "connection.resealed", object);
        let act = act.changing(keys(&seen.sealed_token), keys(&sealed));
        let act = audit::intend(&self.table, workspace, act, self.clock.now()).await?;
        let resealed = match self.table.reseal_connection(workspace, &seen, &sealed).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::Conflict("the token was replaced meanwhile".to_owned())),
            Err(error) => Err(error.into()),
        };
        match act.ended(resealed, None, self.clock.now()).await {
            Err(Failure::Conflict(_)) => Ok(()),
            done => done,
        }
    }

    async fn look_again(&self) -> Result<(), Failure> {
        self.queues.send_later(&Job::CompleteRotation, LOOKS_AGAIN.unsigned_abs()).await
    }
}
