//! Invitations: an email address is invited, and a user whose address the issuer has verified accepts.

use domain::Error;
use domain::email::Email;
use domain::id::{InvitationId, MemberId, WorkspaceId};
use domain::role::Role;
use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use middleware::user_event;
use runtime::endpoint::{self, Endpoint};
use runtime::random;
use runtime::request::{Json, NoPath, NoQuery, RequestContext};
use runtime::response::{List, NoContent};
use runtime::session::{Session, User};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::audit::{Actor, AuditEvent};
use store::invitation::Invitation;
use store::member::Member;

use crate::Workspaces;
use crate::members::MemberView;

/// Lifetime of an invitation.
const INVITATION_TTL: SignedDuration = SignedDuration::from_hours(14 * 24);

#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct InvitationView {
    id: InvitationId,
    workspace: WorkspaceId,
    email: Email,
    role: Role,
    invited_by: String,
    expires_at: Timestamp,
}

impl From<Invitation> for InvitationView {
    fn from(invitation: Invitation) -> Self {
        let Invitation { id, workspace, email, role, invited_by, expires_at } = invitation;
        Self { id, workspace: WorkspaceId::clone(&workspace), email, role, invited_by, expires_at }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct NewInvitation {
    email: Email,
    role: Role,
}

/// An invitation of the path.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct InvitationPath {
    /// An invitation to the workspace.
    invitation: InvitationId,
}

/// An invitation of the path to a workspace that the caller is not in yet.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct ForeignInvitationPath {
    /// The session's workspace.
    workspace: WorkspaceId,
    /// An invitation to the workspace.
    invitation: InvitationId,
}

const INVITATIONS: &str = "/v1/workspaces/{workspace}/invitations";

pub(crate) fn list_invitations() -> Endpoint<Workspaces> {
    endpoint::member(Method::GET, INVITATIONS, Role::Owner)
        .named("list_invitations", "Lists invitations to the workspace")
        .responds(StatusCode::OK, "Those that wait for an answer.", Workspaces::list_invitations)
}

pub(crate) fn invite() -> Endpoint<Workspaces> {
    endpoint::member(Method::POST, INVITATIONS, Role::Owner)
        .named("create_invitation", "Invites an email address")
        .description(
            "Nothing is sent: tell the person yourself. Whoever comes with a session in which the issuer vouches for \
             the address may accept. Inviting it again replaces the invitation.",
        )
        .fails_with(Error::Conflict, "The address is a member's already.")
        .responds(StatusCode::CREATED, "The invitation.", Workspaces::invite)
}

pub(crate) fn revoke_invitation() -> Endpoint<Workspaces> {
    let path = "/v1/workspaces/{workspace}/invitations/{invitation}";
    endpoint::member(Method::DELETE, path, Role::Owner)
        .named("revoke_invitation", "Revokes an invitation")
        .responds(StatusCode::NO_CONTENT, "It is gone.", Workspaces::revoke_invitation)
}

pub(crate) fn list_my_invitations() -> Endpoint<Workspaces> {
    endpoint::user(Method::GET, "/v1/invitations")
        .named("list_my_invitations", "Lists invitations that wait for the person")
        .description("By the address that the issuer vouches for (`email` with `email_verified`).")
        .responds(StatusCode::OK, "The invitations.", Workspaces::list_my_invitations)
}

pub(crate) fn accept_invitation() -> Endpoint<Workspaces> {
    endpoint::user(Method::POST, "/v1/workspaces/{workspace}/invitations/{invitation}/accept")
        .named("accept_invitation", "Accepts an invitation")
        .description("Accepting again is answered like the first time.")
        .fails_with(Error::Conflict, "The invitation went away at the same time.")
        .responds(StatusCode::OK, "The member that the person is now.", Workspaces::accept_invitation)
}

impl Workspaces {
    async fn list_invitations(
        self,
        context: RequestContext<Session>,
    ) -> Result<Json<List<InvitationView>>, Error> {
        let invitations = self.table.invitations(&context.caller.workspace).await?;
        Ok(Json(List { data: self.unexpired(invitations), after: None }))
    }

    /// Invites an email address. Inviting it again replaces the invitation and restarts its lifetime.
    async fn invite(
        self,
        context: RequestContext<Session, NoPath, NoQuery, Json<NewInvitation>>,
    ) -> Result<Json<InvitationView>, Error> {
        let RequestContext { caller: session, body: Json(NewInvitation { email, role }), .. } = context;
        let workspace = session.workspace.clone();
        let members = self.table.members(&workspace).await?;
        if let Some(member) = members.iter().find(|member| member.email.as_ref() == Some(&email)) {
            let why = format!(
                "{email} is a member already, as {}; change the role of the member instead",
                member.role
            );
            return Err(Error::Conflict(why));
        }
        let invitation = Invitation {
            id: invitation_id(&workspace, &email)?,
            workspace,
            email,
            role,
            invited_by: session.subject.clone(),
            expires_at: self.clock.now() + INVITATION_TTL,
        };
        let event = user_event(&session, "member.invited", format!("invitation/{}", invitation.id))?;
        let event = event.with_change(Value::Null, json!({"role": role}));
        self.table.invite(&invitation, &event.done_at(self.clock.now())).await?;
        Ok(Json(InvitationView::from(invitation)))
    }

    async fn revoke_invitation(
        self,
        context: RequestContext<Session, InvitationPath>,
    ) -> Result<NoContent, Error> {
        let RequestContext { caller: session, path: InvitationPath { invitation: id }, .. } = context;
        let invitation = self.table.invitation(&session.workspace, &id).await?;
        let invitation = invitation.ok_or_else(invitation_not_found)?;
        let event = user_event(&session, "invitation.withdrawn", format!("invitation/{id}"))?;
        self.table.revoke_invitation(&invitation, &event.done_at(self.clock.now())).await?;
        Ok(NoContent)
    }

    /// Lists the invitations to the user's verified address.
    async fn list_my_invitations(
        self,
        context: RequestContext<User>,
    ) -> Result<Json<List<InvitationView>>, Error> {
        let invitations = match &context.caller.verified_email {
            Some(email) => self.table.invitations_to(email).await?,
            None => Vec::new(),
        };
        Ok(Json(List { data: self.unexpired(invitations), after: None }))
    }

    /// Accepts an invitation. Accepting again gives the same response. An invitation to somebody else is reported as
    /// not found.
    async fn accept_invitation(
        self,
        context: RequestContext<User, ForeignInvitationPath>,
    ) -> Result<Json<MemberView>, Error> {
        let RequestContext { caller: person, path, .. } = context;
        let ForeignInvitationPath { workspace, invitation: id } = path;
        let table = &self.table;
        let now = self.clock.now();
        let own_invitation = async || {
            let invitation = table.invitation(&workspace, &id).await?.filter(|invitation| {
                invitation.expires_at > now && person.verified_email.as_ref() == Some(&invitation.email)
            });
            invitation.ok_or_else(invitation_not_found)
        };
        let member = match table.member(&workspace, &MemberId::from_subject(&person.subject)).await? {
            Some(member) => {
                // Accepted before, possibly with a lost response, or already a member.
                if !joined_by(&member, &id)? {
                    own_invitation().await?;
                }
                member
            }
            None => {
                let invitation = own_invitation().await?;
                let actor = Actor::Person { subject: person.subject.clone() };
                let event =
                    AuditEvent::new(random::id()?, actor, "member.joined", format!("invitation/{id}"));
                let event = event.with_change(Value::Null, json!({"role": invitation.role}));
                table.accept_invitation(&invitation, &person.subject, &event.done_at(now)).await?
            }
        };
        Ok(Json(MemberView::from(member)))
    }

    /// Filters out expired invitations, which the table deletes late.
    fn unexpired(&self, invitations: Vec<Invitation>) -> Vec<InvitationView> {
        let now = self.clock.now();
        let open = invitations.into_iter().filter(|invitation| invitation.expires_at > now);
        open.map(InvitationView::from).collect()
    }
}

/// Derives the id: an address has at most one invitation to a workspace.
fn invitation_id(workspace: &WorkspaceId, invited: &Email) -> Result<InvitationId, Error> {
    let digest = Sha256::digest(format!("{workspace}|{invited}"));
    Ok(hex::encode(&digest[..12]).parse()?)
}

fn joined_by(member: &Member, id: &InvitationId) -> Result<bool, Error> {
    let Some(email) = &member.email else { return Ok(false) };
    Ok(invitation_id(&member.workspace, email)? == *id)
}

fn invitation_not_found() -> Error {
    Error::NotFound("this invitation".to_owned())
}
