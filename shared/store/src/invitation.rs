//! Invitations: an e-mail address that may become a member. Anyone whose session contains this address, verified by the
//! issuer, can accept the invitation; there is no secret link.

use domain::email::Email;
use domain::id::{InvitationId, MemberId, WorkspaceId};
use domain::role::Role;
use domain::tenant::{Tenant, trusted};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::audit::EventRecord;
use crate::key::{self, Key};
use crate::member::{Member, MembershipIndexEntry};
use crate::table::{ConditionExpression, ITEM_NOT_EXISTS, StoreError, Table, text};

/// An invitation that has not been accepted yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// The workspace.
    #[serde(with = "trusted")]
    pub workspace: Tenant,
    /// Its id.
    pub id: InvitationId,
    /// Address of the invited person.
    pub email: Email,
    /// Role after acceptance.
    pub role: Role,
    /// Subject of the session that created the invitation.
    pub invited_by: String,
    /// When the invitation expires.
    pub expires_at: Timestamp,
}

/// An entry of the index from an address to its invitations.
#[derive(Serialize, Deserialize)]
struct InvitationIndexEntry {
    workspace: WorkspaceId,
    invitation: InvitationId,
}

/// The items of an invitation.
pub(crate) fn invitation_keys(invitation: &Invitation) -> [Key; 2] {
    let Invitation { workspace, id, email, .. } = invitation;
    [key::invitation_index(&address_hash(email), workspace, id), key::invitation(workspace, id)]
}

impl Table {
    /// Stores an invitation, replacing an earlier one with the same id. DynamoDB deletes it after it expires.
    pub async fn invite(&self, invitation: &Invitation, recorded: &EventRecord) -> Result<(), StoreError> {
        let Invitation { workspace, id, email, .. } = invitation;
        let entry = InvitationIndexEntry { workspace: WorkspaceId::clone(workspace), invitation: id.clone() };
        let expires = invitation.expires_at.as_second();
        let index = key::invitation_index(&address_hash(email), workspace, id);
        let actions = vec![
            self.put_action_with_ttl(&index, &entry, expires)?,
            self.put_action_with_ttl(&key::invitation(workspace, id), invitation, expires)?,
        ];
        self.transact_recorded(workspace, actions, [recorded]).await
    }

    /// Reads one invitation, for a person who is not a member of the workspace yet.
    pub async fn invitation(
        &self,
        ws: &WorkspaceId,
        id: &InvitationId,
    ) -> Result<Option<Invitation>, StoreError> {
        self.get(&key::invitation(ws, id)).await
    }

    /// Lists the invitations to a workspace, possibly including expired ones.
    pub async fn invitations(&self, ws: &Tenant) -> Result<Vec<Invitation>, StoreError> {
        self.query_prefix(&key::workspace(ws), "INVITATION#").await
    }

    /// Lists the invitations to an address in all workspaces, possibly including expired ones.
    pub async fn invitations_to(&self, email: &Email) -> Result<Vec<Invitation>, StoreError> {
        let mut invitations = Vec::new();
        for entry in self
            .query_prefix::<InvitationIndexEntry>(
                &key::invitation_index_partition(&address_hash(email)),
                "WS#",
            )
            .await?
        {
            invitations.extend(self.invitation(&entry.workspace, &entry.invitation).await?);
        }
        Ok(invitations)
    }

    /// Deletes an invitation, whether it exists or not.
    pub async fn revoke_invitation(
        &self,
        invitation: &Invitation,
        recorded: &EventRecord,
    ) -> Result<(), StoreError> {
        let Invitation { workspace, id, email, .. } = invitation;
        let actions = vec![
            self.delete_action(&key::invitation(workspace, id))?,
            self.delete_action(&key::invitation_index(&address_hash(email), workspace, id))?,
        ];
        self.transact_recorded(workspace, actions, [recorded]).await
    }

    /// Turns an invitation into a membership, once. [`StoreError::Conflict`] when the invitation is gone or the person
    /// is already a member.
    pub async fn accept_invitation(
        &self,
        invitation: &Invitation,
        subject: &str,
        recorded: &EventRecord,
    ) -> Result<Member, StoreError> {
        let Invitation { workspace, id, email, role, .. } = invitation;
        let member = Member {
            workspace: workspace.clone(),
            id: MemberId::from_subject(subject),
            subject: subject.to_owned(),
            email: Some(email.clone()),
            role: *role,
            since: recorded.at,
        };
        let is_open =
            ConditionExpression { expression: "email = :email", values: vec![(":email", text(email))] };
        let mut actions = vec![
            self.delete_action_if(&key::invitation(workspace, id), is_open)?,
            self.delete_action(&key::invitation_index(&address_hash(email), workspace, id))?,
            self.put_action_if(&key::member(workspace, &member.id), &member, ITEM_NOT_EXISTS)?,
            self.put_action(&key::membership(&member.id, workspace), &MembershipIndexEntry { workspace })?,
        ];
        // A person who is no member counts like any role below owner.
        actions.extend(self.owner_count_action(workspace, Role::Viewer, Some(*role)).await?);
        self.transact_recorded(workspace, actions, [recorded]).await?;
        Ok(member)
    }
}

/// Hashes an address for use in a key, because an address may contain characters that keys do not.
fn address_hash(email: &Email) -> String {
    hex::encode(Sha256::digest(email.as_str()))
}
