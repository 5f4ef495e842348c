//! Workspaces, who is in them, and who is invited.

use access::audit::{self, Actor, AuditEvent};
use domain::email::Email;
use domain::id::{InvitationId, MemberId, WorkspaceId};
use domain::role::Role;
use domain::text::is_single_line;
use domain::{Error, FieldError};
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use runtime::response::{self, List};
use runtime::route::RequestContext;
use runtime::{Response, random};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::StoreError;
use store::invitation::Invitation;
use store::member::Member;

use crate::{AuthMeta, Endpoint};

/// How long an invitation waits.
const INVITATION_TTL: SignedDuration = SignedDuration::from_hours(14 * 24);

/// A person makes no more than this many workspaces by mistake.
const MAX_WORKSPACES_PER_PERSON: usize = 50;

/// Longest name of a workspace, in characters.
const MAX_NAME_CHARS: usize = 100;

/// A workspace as one of its members sees it.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct WorkspaceView {
    workspace: WorkspaceId,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    role: Role,
}

#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct MemberView {
    id: MemberId,
    subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<Email>,
    role: Role,
    since: Timestamp,
}

impl From<Member> for MemberView {
    fn from(member: Member) -> Self {
        let Member { id, subject, email, role, since, .. } = member;
        Self { id, subject, email, role, since }
    }
}

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
pub(crate) struct NewWorkspace {
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_NAME_CHARS), extend("pattern" = domain::text::SINGLE_LINE_PATTERN)))]
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct NewRole {
    role: Role,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct NewInvitation {
    email: Email,
    role: Role,
}

impl AuthMeta {
    /// The id is ours: one that a person could choose might be a workspace that only the issuer knows of.
    pub(crate) async fn create_workspace(
        &self,
        context: &RequestContext<Endpoint>,
    ) -> Result<Response, Error> {
        let person = context.user()?;
        let NewWorkspace { name } = context.json()?;
        if !is_single_line(&name, MAX_NAME_CHARS) {
            return Err(FieldError::new("name", "must be 1 to 100 characters on one line").into());
        }
        let name = name.trim();
        let (table, founder) = (&self.connector.table, MemberId::from_subject(&person.subject));
        let workspace = new_id(context, &founder)?;
        if let Some(member) = table.member(&workspace, &founder).await? {
            // Made by an earlier try that nobody heard the end of.
            let stored = table.workspace(&member.workspace).await?.map(|row| row.name);
            if stored.as_deref() != Some(name) {
                let why =
                    "this Idempotency-Key made a workspace of another name; take a new key for a new one";
                return Err(Error::Conflict(why.to_owned()));
            }
            let view = WorkspaceView { workspace, name: stored, role: member.role };
            return response::json(StatusCode::CREATED, &view);
        }
        if table.memberships(&founder).await?.len() >= MAX_WORKSPACES_PER_PERSON {
            let why = format!("you are in {MAX_WORKSPACES_PER_PERSON} workspaces; leave one first");
            return Err(Error::Conflict(why));
        }
        match table.create_workspace(&workspace, name, &person.subject, self.host.clock.now()).await {
            Err(StoreError::Conflict) => {
                let why = "this Idempotency-Key made a workspace that you are not in any more; take a new key for a new one";
                return Err(Error::Conflict(why.to_owned()));
            }
            created => created?,
        }
        let name = Some(name.to_owned());
        response::json(StatusCode::CREATED, &WorkspaceView { workspace, name, role: Role::Owner })
    }

    pub(crate) async fn workspaces(&self, context: &RequestContext<Endpoint>) -> Result<Response, Error> {
        let person = context.user()?;
        let mut data = Vec::new();
        if let Some((tenant, role)) = &person.claimed_role {
            data.push(WorkspaceView { workspace: WorkspaceId::clone(tenant), name: None, role: *role });
        }
        for member in self.connector.table.memberships(&MemberId::from_subject(&person.subject)).await? {
            if person.claimed_role.as_ref().is_none_or(|(tenant, _)| *tenant != member.workspace) {
                let name = self.connector.table.workspace(&member.workspace).await?.map(|row| row.name);
                let workspace = WorkspaceId::clone(&member.workspace);
                data.push(WorkspaceView { workspace, name, role: member.role });
            }
        }
        response::ok(&List { data, after: None })
    }

    pub(crate) async fn members(&self, context: &RequestContext<Endpoint>) -> Result<Response, Error> {
        let members = self.connector.table.members(context.workspace()?).await?;
        response::ok(&List { data: members.into_iter().map(MemberView::from).collect(), after: None })
    }

    pub(crate) async fn change_member(&self, context: &RequestContext<Endpoint>) -> Result<Response, Error> {
        let NewRole { role } = context.json()?;
        let mut member = self.member_of_path(context).await?;
        if member.role != role {
            let event = audit::user_event(context, "member.changed", format!("member/{}", member.id))?;
            let event = event.with_change(json!({"role": member.role}), json!({"role": role}));
            let event = self.connector.record_intent(&member.workspace, event).await?;
            let changed = self.connector.table.change_role(&member, role).await;
            event
                .complete(self.explain_conflict(&member, changed).await, None, self.host.clock.now())
                .await?;
            member.role = role;
        }
        response::ok(&MemberView::from(member))
    }

    /// An owner takes a member out; everybody may leave.
    pub(crate) async fn remove_member(&self, context: &RequestContext<Endpoint>) -> Result<Response, Error> {
        let session = context.session()?;
        let member = self.member_of_path(context).await?;
        if session.role < Role::Owner && member.id != MemberId::from_subject(&session.subject) {
            let why = "only an owner takes others out; you may take yourself out";
            return Err(Error::Forbidden(why.to_owned()));
        }
        let event = audit::user_event(context, "member.removed", format!("member/{}", member.id))?;
        let event = event.with_change(json!({"role": member.role}), Value::Null);
        let event = self.connector.record_intent(&member.workspace, event).await?;
        let removed = self.connector.table.remove_member(&member).await;
        event.complete(self.explain_conflict(&member, removed).await, None, self.host.clock.now()).await?;
        Ok(response::no_content())
    }

    pub(crate) async fn invitations(&self, context: &RequestContext<Endpoint>) -> Result<Response, Error> {
        let invitations = self.connector.table.invitations(context.workspace()?).await?;
        response::ok(&List { data: self.unexpired(invitations), after: None })
    }

    /// Inviting an address again replaces the invitation and begins its time anew.
    pub(crate) async fn invite(&self, context: &RequestContext<Endpoint>) -> Result<Response, Error> {
        let session = context.session()?;
        let NewInvitation { email, role } = context.json()?;
        let workspace = session.workspace.clone();
        let invitation = Invitation {
            id: invitation_id(&workspace, &email)?,
            workspace,
            email,
            role,
            invited_by: session.subject.clone(),
            expires_at: self.host.clock.now() + INVITATION_TTL,
        };
        let event = audit::user_event(context, "member.invited", format!("invitation/{}", invitation.id))?;
        let event = event.with_change(Value::Null, json!({"role": role}));
        let event = self.connector.record_intent(&invitation.workspace, event).await?;
        let saved = self.connector.table.invite(&invitation).await.map_err(Error::from);
        event.complete(saved, None, self.host.clock.now()).await?;
        response::json(StatusCode::CREATED, &InvitationView::from(invitation))
    }

    pub(crate) async fn withdraw_invitation(
        &self,
        context: &RequestContext<Endpoint>,
    ) -> Result<Response, Error> {
        let id: InvitationId = context.path("invitation")?;
        let invitation = self.connector.table.invitation(context.workspace()?, &id).await?;
        let invitation = invitation.ok_or_else(invitation_not_found)?;
        let event = audit::user_event(context, "invitation.withdrawn", format!("invitation/{id}"))?;
        let event = self.connector.record_intent(&invitation.workspace, event).await?;
        let withdrawn = self.connector.table.withdraw_invitation(&invitation).await.map_err(Error::from);
        event.complete(withdrawn, None, self.host.clock.now()).await?;
        Ok(response::no_content())
    }

    /// What waits for the person, by the address that the issuer vouches for.
    pub(crate) async fn my_invitations(&self, context: &RequestContext<Endpoint>) -> Result<Response, Error> {
        let invitations = match &context.user()?.verified_email {
            Some(email) => self.connector.table.invitations_to(email).await?,
            None => Vec::new(),
        };
        response::ok(&List { data: self.unexpired(invitations), after: None })
    }

    /// Accepting again is answered like the first time. An invitation that is not for this person is not there.
    pub(crate) async fn accept_invitation(
        &self,
        context: &RequestContext<Endpoint>,
    ) -> Result<Response, Error> {
        let person = context.user()?;
        let workspace: WorkspaceId = context.path("workspace")?;
        let id: InvitationId = context.path("invitation")?;
        let table = &self.connector.table;
        let now = self.host.clock.now();
        let own_invitation = async || {
            let invitation = table.invitation(&workspace, &id).await?.filter(|invitation| {
                invitation.expires_at > now && person.verified_email.as_ref() == Some(&invitation.email)
            });
            invitation.ok_or_else(invitation_not_found)
        };
        let member = match table.member(&workspace, &MemberId::from_subject(&person.subject)).await? {
            Some(member) => {
                // Accepted before, which they may not have heard; or they were in already.
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
                let event = self.connector.record_intent(&invitation.workspace, event).await?;
                let accepted =
                    table.accept_invitation(&invitation, &person.subject, now).await.map_err(Error::from);
                event.complete(accepted, None, now).await?
            }
        };
        response::ok(&MemberView::from(member))
    }

    /// The member of the path, as it is now.
    async fn member_of_path(&self, context: &RequestContext<Endpoint>) -> Result<Member, Error> {
        let member = self.connector.table.member(context.workspace()?, &context.path("member")?).await?;
        member.ok_or_else(|| Error::NotFound("this member".to_owned()))
    }

    /// Names the one conflict that trying again does not solve.
    async fn explain_conflict(&self, seen: &Member, changed: Result<(), StoreError>) -> Result<(), Error> {
        if matches!(changed, Err(StoreError::Conflict)) && seen.role == Role::Owner {
            let owners = self.connector.table.workspace(&seen.workspace).await?.map(|row| row.owners);
            if owners == Some(1) {
                let why = "a workspace keeps at least one owner; make somebody else an owner first";
                return Err(Error::Conflict(why.to_owned()));
            }
        }
        Ok(changed?)
    }

    /// Those that are not over: the table removes them late.
    fn unexpired(&self, invitations: Vec<Invitation>) -> Vec<InvitationView> {
        let now = self.host.clock.now();
        let open = invitations.into_iter().filter(|invitation| invitation.expires_at > now);
        open.map(InvitationView::from).collect()
    }
}

/// With an `Idempotency-Key` the id follows from it, so that a repeated request meets its own workspace.
fn new_id(context: &RequestContext<Endpoint>, founder: &MemberId) -> Result<WorkspaceId, Error> {
    let id = match context.idempotency_key()? {
        Some(key) => hex::encode(&Sha256::digest(format!("{founder}|workspace|{key}"))[..12]),
        None => random::id()?,
    };
    Ok(format!("w-{id}").parse()?)
}

/// An address has one invitation to a workspace at a time.
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
