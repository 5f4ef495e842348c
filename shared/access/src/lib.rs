//! Reaching an ad account: its row in the table, its connection's token opened, and Graph on behalf of it.
//!
//! The table and Graph do not know each other; here is where a function brings them together.

pub mod lambda;

use ads::Failure;
use ads::id::{AdAccountId, ConnectionId, ObjectId, WorkspaceId};
use ads::object::{AdObject, Level};
use graph_api::{Caller, Graph, GraphError};
use runtime::Keyring;
use store::Table;
use store::account::AdAccount;
use store::connection::{Connection, ConnectionState};
use store::object::KeptObject;

/// What it takes to reach an account. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Access {
    /// The table.
    pub table: Table,
    /// The app at Meta.
    pub graph: Graph,
    /// The keys that open tokens.
    pub keyring: Keyring,
}

/// An ad account within reach.
#[derive(Debug)]
pub struct Reached {
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// Its row.
    pub account: AdAccount,
    /// Graph, on behalf of its connection.
    pub caller: Caller,
    connection: Connection,
    table: Table,
}

/// The place a token is sealed for: it opens nowhere else.
pub fn token_context(workspace: &WorkspaceId, connection: &ConnectionId) -> String {
    format!("{workspace}|{connection}")
}

impl Access {
    /// The row of an account of this workspace.
    pub async fn account(&self, workspace: &WorkspaceId, id: &AdAccountId) -> Result<AdAccount, Failure> {
        let account = self.table.account(workspace, id).await?;
        account.ok_or_else(|| Failure::NotFound(format!("ad account {id}")))
    }

    /// An account with its token opened. [`Failure::Reconnect`] when only a person can mend the connection.
    pub async fn reach(&self, workspace: &WorkspaceId, id: &AdAccountId) -> Result<Reached, Failure> {
        let account = self.account(workspace, id).await?;
        let lost = || Failure::Reconnect(format!("{id} has no connection any more; connect it again"));
        let connection = self.table.connection(workspace, &account.connection).await?.ok_or_else(lost)?;
        if connection.state == ConnectionState::NeedsReconnect {
            let reason = connection.reason.unwrap_or_else(|| "Meta no longer accepts its token".to_owned());
            return Err(Failure::Reconnect(format!("the connection of {id} must be renewed: {reason}")));
        }
        let token = self.keyring.open(&connection.sealed_token, &token_context(workspace, &connection.id))?;
        let caller = self.graph.on_behalf_of(token);
        let table = self.table.clone();
        Ok(Reached { workspace: workspace.clone(), account, caller, connection, table })
    }
}

impl Reached {
    /// Turns Graph's answer into ours. A token that Meta declares dead is remembered as dead, so that no
    /// other work runs into it. Without a subcode the same code has been seen for a missing Page permission,
    /// so then Meta is asked about the token itself.
    pub async fn heed<T>(&self, answer: Result<T, GraphError>) -> Result<T, Failure> {
        if let Err(GraphError::Reconnect(details)) = &answer {
            if details.subcode.is_none() && self.caller.is_alive().await? {
                return Err(Failure::NeedPermission(details.to_string()));
            }
            tracing::warn!(connection = %self.connection.id, %details, "A connection must be renewed.");
            self.table.connection_is_dead(&self.workspace, &self.connection, &details.message).await?;
        }
        answer.map_err(Failure::from)
    }

    /// Reads one object at Meta and keeps it. `None` when Meta does not show it: that can be a lost
    /// permission, so one such answer declares nothing deleted.
    pub async fn refresh(&self, level: Level, id: &ObjectId) -> Result<Option<AdObject>, Failure> {
        let as_of = self.table.begin_fetch(&self.workspace, &self.account.id).await?;
        let object = match self.caller.object(level, id).await {
            Err(GraphError::Gone(_)) => return Ok(None),
            answer => self.heed(answer).await?,
        };
        let kept = KeptObject { object, as_of, hidden: false };
        self.table.keep_object(&self.workspace, &self.account.id, &kept).await?;
        Ok(Some(kept.object))
    }

    /// Reads and keeps what is below an object: a change of its status changes theirs.
    pub async fn refresh_below(&self, level: Level, id: &ObjectId) -> Result<(), Failure> {
        for below in [Level::AdSet, Level::Ad].into_iter().filter(|below| *below > level) {
            let as_of = self.table.begin_fetch(&self.workspace, &self.account.id).await?;
            let mut pages = self.caller.objects_below(&self.account.id, below, (level, id));
            while let Some(page) = self.heed(pages.next().await).await? {
                for object in page {
                    let kept = KeptObject { object: object.into_object(below), as_of, hidden: false };
                    self.table.keep_object(&self.workspace, &self.account.id, &kept).await?;
                }
            }
        }
        Ok(())
    }
}
