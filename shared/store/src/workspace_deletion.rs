//! Deletion of a workspace. Its row is deleted last: while it exists, something may be left. The audit log stays for as
//! long as every audit log does.

use domain::tenant::{Tenant, trusted};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::audit::EventRecord;
use crate::deletion::DeletionProgress;
use crate::invitation::invitation_keys;
use crate::key::{self, Key};
use crate::member::Workspace;
use crate::table::{StoreError, Table, text};

/// An entry of the listing of workspaces that are being deleted.
#[derive(Serialize, Deserialize)]
struct DeletedWorkspace {
    #[serde(with = "trusted")]
    workspace: Tenant,
}

/// An item of which nothing is wanted.
#[derive(Deserialize)]
struct AnyItem {}

impl Table {
    /// Marks a workspace for deletion, once. [`StoreError::Conflict`] when it has no row, or is marked already.
    pub async fn mark_workspace_deleted(
        &self,
        ws: &Tenant,
        recorded: &EventRecord,
    ) -> Result<(), StoreError> {
        let unmarked = Some("attribute_exists(pk) AND attribute_not_exists(deleted_at)");
        let values = vec![(":at", text(recorded.at))];
        let mark = self.update_action(&key::workspace_row(ws), "SET deleted_at = :at", unmarked, values)?;
        let listing = DeletedWorkspace { workspace: ws.clone() };
        let listing = self.put_action(&key::deleted_workspace(ws), &listing)?;
        self.transact_recorded(ws, vec![mark, listing], [recorded]).await
    }

    /// Lists the workspaces that are being deleted.
    pub async fn deleted_workspaces(&self) -> Result<Vec<Tenant>, StoreError> {
        let listed: Vec<DeletedWorkspace> =
            self.query_prefix(key::DELETED_WORKSPACES_PARTITION, "WS#").await?;
        Ok(listed.into_iter().map(|one| one.workspace).collect())
    }

    /// Returns whether a workspace exists: it is not being deleted, and something of it is stored. One that only the
    /// issuer's claims name has no row of its own.
    pub async fn workspace_exists(&self, ws: &Tenant) -> Result<bool, StoreError> {
        match self.workspace(ws).await? {
            Some(workspace) => Ok(workspace.deleted_at.is_none()),
            None => {
                let any: Vec<AnyItem> = self.query_asc(&key::workspace(ws), "!", "\u{7f}", 1).await?;
                Ok(!any.is_empty())
            }
        }
    }

    /// Records that nobody can begin anything in the workspace any more.
    pub async fn record_workspace_stopped(&self, ws: &Tenant, now: Timestamp) -> Result<(), StoreError> {
        let marked = Some("attribute_exists(deleted_at)");
        let values = vec![(":at", text(now))];
        self.update::<Workspace>(&key::workspace_row(ws), "SET stopped_at = :at", marked, values)
            .await
            .map(drop)
    }

    /// Deletes members and invitations with their index entries, so that nobody reaches the workspace.
    pub async fn delete_members(&self, ws: &Tenant) -> Result<(), StoreError> {
        let members = self.members(ws).await?;
        let members =
            members.iter().flat_map(|member| [key::membership(&member.id, ws), key::member(ws, &member.id)]);
        let mut keys: Vec<Key> = members.collect();
        keys.extend(self.invitations(ws).await?.iter().flat_map(invitation_keys));
        self.delete_keys(keys).await
    }

    /// Deletes a page of the workspace's own rows, and its row when nothing else is left. Accounts and connections,
    /// which lead to rows elsewhere, must be gone.
    pub async fn delete_workspace_rows(&self, ws: &Tenant) -> Result<DeletionProgress, StoreError> {
        let row = key::workspace_row(ws);
        for rule in self.rule_ids(ws).await? {
            let decisions = self.list_keys(&key::decision_partition(ws, &rule), "", None).await?;
            if !decisions.is_empty() {
                self.delete_keys(decisions).await?;
                return Ok(DeletionProgress::Partial);
            }
        }
        let mut rest = self.list_keys(&row.pk, "", None).await?;
        rest.retain(|key| *key != row);
        if !rest.is_empty() {
            self.delete_keys(rest).await?;
            return Ok(DeletionProgress::Partial);
        }
        self.delete_keys(vec![row, key::deleted_workspace(ws)]).await?;
        Ok(DeletionProgress::Complete)
    }
}
