//! Invitations: an address that may become a member. Whoever comes with a session in which the issuer vouches for the
//! address can accept it; there is no secret link.

use domain::email::Email;
use domain::id::{InvitationId, MemberId, WorkspaceId};
use domain::role::Role;
use domain::tenant::{Tenant, trusted};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::key;
use crate::member::{Member, MembershipIndexEntry};
use crate::table::{ConditionExpression, ITEM_NOT_EXISTS, StoreError, Table, text};

/// An invitation that nobody has accepted yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// To which workspace.
    #[serde(with = "trusted")]
    pub workspace: Tenant,
    /// Its id.
    pub id: InvitationId,
    /// To whom.
    pub email: Email,
    /// As what.
    pub role: Role,
    /// The subject of the session that invited.
    pub invited_by: String,
    /// Until when.
    pub expires_at: Timestamp,
}

/// An entry of the index from an address to its invitations.
#[derive(Serialize, Deserialize)]
struct InvitationIndexEntry {
    workspace: WorkspaceId,
    invitation: InvitationId,
}

impl Table {
    /// Keeps an invitation, in place of an earlier one of its id; it goes away by itself when it is over.
    pub async fn invite(&self, invitation: &Invitation) -> Result<(), StoreError> {
        let Invitation { workspace, id, email, .. } = invitation;
        let entry = InvitationIndexEntry { workspace: WorkspaceId::clone(workspace), invitation: id.clone() };
        let expires = invitation.expires_at.as_second();
        // The index first: an invitation that is stored can be found by the one it is for.
        self.put_with_ttl(&key::invitation_index(&address_hash(email), workspace, id), &entry, expires, None)
            .await?;
        self.put_with_ttl(&key::invitation(workspace, id), invitation, expires, None).await
    }

    /// One invitation to this workspace, for somebody who is not in it yet.
    pub async fn invitation(
        &self,
        ws: &WorkspaceId,
        id: &InvitationId,
    ) -> Result<Option<Invitation>, StoreError> {
        self.get(&key::invitation(ws, id)).await
    }

    /// Every invitation to a workspace. One that is over may still be among them.
    pub async fn invitations(&self, ws: &Tenant) -> Result<Vec<Invitation>, StoreError> {
        self.query_prefix(&key::workspace(ws), "INVITATION#").await
    }

    /// Every invitation to an address, in any workspace. One that is over may still be among them.
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

    /// Takes an invitation back, whether it is there or not.
    pub async fn withdraw_invitation(&self, invitation: &Invitation) -> Result<(), StoreError> {
        let Invitation { workspace, id, email, .. } = invitation;
        self.transact(vec![
            self.delete_action(&key::invitation(workspace, id))?,
            self.delete_action(&key::invitation_index(&address_hash(email), workspace, id))?,
        ])
        .await
    }

    /// Makes a member out of an invitation, once. [`StoreError::Conflict`] when the invitation is gone, or the person
    /// is a member already.
    pub async fn accept_invitation(
        &self,
        invitation: &Invitation,
        subject: &str,
        now: Timestamp,
    ) -> Result<Member, StoreError> {
        let Invitation { workspace, id, email, role, .. } = invitation;
        let member = Member {
            workspace: workspace.clone(),
            id: MemberId::from_subject(subject),
            subject: subject.to_owned(),
            email: Some(email.clone()),
            role: *role,
            since: now,
        };
        let is_open =
            ConditionExpression { expression: "email = :email", values: vec![(":email", text(email))] };
        let mut actions = vec![
            self.delete_action_if(&key::invitation(workspace, id), is_open)?,
            self.delete_action(&key::invitation_index(&address_hash(email), workspace, id))?,
            self.put_action_if(&key::member(workspace, &member.id), &member, ITEM_NOT_EXISTS)?,
            self.put_action(&key::membership(&member.id, workspace), &MembershipIndexEntry { workspace })?,
        ];
        // Before it nobody of that name was an owner.
        actions.extend(self.owner_count_action(workspace, Role::Viewer, Some(*role)).await?);
        self.transact(actions).await?;
        Ok(member)
    }
}

/// What stands for an address in a key: it may hold characters that keys do not.
fn address_hash(email: &Email) -> String {
    hex::encode(Sha256::digest(email.as_str()))
}
