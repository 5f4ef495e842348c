//! Workspaces and their members.
//!
//! These rows are read by a workspace's bare id, because they decide whether a person gets a [`Tenant`] for it.

use aws_sdk_dynamodb::types::TransactWriteItem;
use domain::email::Email;
use domain::id::{MemberId, WorkspaceId};
use domain::role::Role;
use domain::tenant::{Tenant, trusted};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::audit::EventRecord;
use crate::invitation::invitation_keys;
use crate::key;
use crate::table::{ConditionExpression, ITEM_NOT_EXISTS, StoreError, Table, number, text};

/// A member of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The workspace.
    #[serde(with = "trusted")]
    pub workspace: Tenant,
    /// Its id.
    pub id: MemberId,
    /// The issuer's name of the person.
    pub subject: String,
    /// Address that was invited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// Role in the workspace.
    pub role: Role,
    /// When the membership began.
    pub since: Timestamp,
}

/// A workspace that a person created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workspace {
    /// Its id.
    #[serde(with = "trusted")]
    pub workspace: Tenant,
    /// Display name.
    pub name: String,
    /// Number of members who are owners.
    pub owners: u32,
    /// When it was created.
    pub created_at: Timestamp,
    /// When an owner deleted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// When everything in it was stopped: its data is deleted some time later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<Timestamp>,
}

/// An entry of the index from a person to their workspaces.
#[derive(Deserialize)]
struct Membership {
    #[serde(with = "trusted")]
    workspace: Tenant,
}

/// The row of a new workspace: no tenant exists before it is written.
#[derive(Serialize)]
struct NewWorkspace<'a> {
    workspace: &'a WorkspaceId,
    name: &'a str,
    owners: u32,
    created_at: Timestamp,
}

#[derive(Serialize)]
struct NewOwner<'a> {
    workspace: &'a WorkspaceId,
    id: &'a MemberId,
    subject: &'a str,
    role: Role,
    since: Timestamp,
}

#[derive(Serialize)]
pub(crate) struct MembershipIndexEntry<'a> {
    pub(crate) workspace: &'a WorkspaceId,
}

impl Table {
    /// Creates a workspace with the person as its owner. [`StoreError::Conflict`] when the id is taken.
    pub async fn create_workspace(
        &self,
        id: &WorkspaceId,
        name: &str,
        subject: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let workspace = NewWorkspace { workspace: id, name, owners: 1, created_at: now };
        let member = &MemberId::from_subject(subject);
        let owner = NewOwner { workspace: id, id: member, subject, role: Role::Owner, since: now };
        self.transact(vec![
            self.put_action_if(&key::workspace_row(id), &workspace, ITEM_NOT_EXISTS)?,
            self.put_action_if(&key::member(id, member), &owner, ITEM_NOT_EXISTS)?,
            self.put_action(&key::membership(member, id), &MembershipIndexEntry { workspace: id })?,
        ])
        .await
    }

    /// Renames a workspace. [`StoreError::Conflict`] when its name is not `before` any more.
    pub async fn rename_workspace(
        &self,
        ws: &Tenant,
        before: &str,
        name: &str,
        recorded: &EventRecord,
    ) -> Result<(), StoreError> {
        let values = vec![(":before", text(before)), (":name", text(name))];
        let rename = self.update_action(
            &key::workspace_row(ws),
            "SET #name = :name",
            Some("#name = :before"),
            values,
        )?;
        self.transact_recorded(ws, vec![rename], [recorded]).await
    }

    /// Reads a person's membership of a workspace. This is the only way from a bare id to a tenant.
    pub async fn member(&self, id: &WorkspaceId, member: &MemberId) -> Result<Option<Member>, StoreError> {
        self.get(&key::member(id, member)).await
    }

    /// Reads a workspace that a person created. One that only the issuer knows has no row.
    pub async fn workspace(&self, ws: &Tenant) -> Result<Option<Workspace>, StoreError> {
        self.get(&key::workspace_row(ws)).await
    }

    /// Lists the members of a workspace.
    pub async fn members(&self, ws: &Tenant) -> Result<Vec<Member>, StoreError> {
        self.query_prefix(&key::workspace(ws), "MEMBER#").await
    }

    /// Lists a person's memberships in all workspaces.
    pub async fn memberships(&self, person: &MemberId) -> Result<Vec<Member>, StoreError> {
        let mut members = Vec::new();
        for entry in self.query_prefix::<Membership>(&key::user_partition(person), "WS#").await? {
            // The row decides; after a crash the index may be outdated.
            members.extend(self.member(&entry.workspace, person).await?);
        }
        Ok(members)
    }

    /// Changes a member's role. [`StoreError::Conflict`] when the role has changed since it was `seen`, or when no
    /// owner would be left.
    pub async fn change_role(
        &self,
        seen: &Member,
        role: Role,
        recorded: &EventRecord,
    ) -> Result<(), StoreError> {
        let values = vec![(":seen", text(seen.role)), (":role", text(role))];
        let (key, is_seen) = (key::member(&seen.workspace, &seen.id), Some("#role = :seen"));
        let mut actions = vec![self.update_action(&key, "SET #role = :role", is_seen, values)?];
        actions.extend(self.owner_count_action(&seen.workspace, seen.role, Some(role)).await?);
        self.transact_recorded(&seen.workspace, actions, [recorded]).await
    }

    /// Removes a member, and what is still open of an invitation to them: it would bring them back.
    /// [`StoreError::Conflict`] as in [`Self::change_role`].
    pub async fn remove_member(&self, seen: &Member, recorded: &EventRecord) -> Result<(), StoreError> {
        let is_seen =
            ConditionExpression { expression: "#role = :seen", values: vec![(":seen", text(seen.role))] };
        let mut actions = vec![
            self.delete_action_if(&key::member(&seen.workspace, &seen.id), is_seen)?,
            self.delete_action(&key::membership(&seen.id, &seen.workspace))?,
        ];
        if let Some(email) = &seen.email {
            let open = self.invitations(&seen.workspace).await?;
            for invitation in open.iter().filter(|invitation| invitation.email == *email) {
                for key in invitation_keys(invitation) {
                    actions.push(self.delete_action(&key)?);
                }
            }
        }
        actions.extend(self.owner_count_action(&seen.workspace, seen.role, None).await?);
        self.transact_recorded(&seen.workspace, actions, [recorded]).await
    }

    /// Builds the update that keeps the number of owners correct and above zero when a role changes. `None` when the
    /// number does not change, or when only the issuer knows the workspace: it has no row, and the issuer manages its
    /// owners.
    pub(crate) async fn owner_count_action(
        &self,
        ws: &Tenant,
        from: Role,
        to: Option<Role>,
    ) -> Result<Option<TransactWriteItem>, StoreError> {
        let is_owner = |role| role == Role::Owner;
        let (was, becomes) = (is_owner(from), to.is_some_and(is_owner));
        if was == becomes || self.workspace(ws).await?.is_none() {
            return Ok(None);
        }
        let (expression, condition) = if becomes {
            ("SET owners = owners + :one", "attribute_exists(pk)")
        } else {
            ("SET owners = owners - :one", "owners > :one")
        };
        let values = vec![(":one", number(1))];
        self.update_action(&key::workspace_row(ws), expression, Some(condition), values).map(Some)
    }
}
