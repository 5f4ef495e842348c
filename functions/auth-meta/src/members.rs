//! Workspaces, who is in them, and who is invited.

use access::audit::{self, Act, Actor};
use ads::email::Email;
use ads::id::{InvitationId, MemberId, WorkspaceId};
use ads::role::Role;
use ads::text::is_plain;
use ads::{Failure, Invalid};
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use runtime::reply::{self, List};
use runtime::route::Visit;
use runtime::{Reply, random};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::StoreError;
use store::invitation::Invitation;
use store::member::Member;

use crate::{AuthMeta, Endpoint};

/// How long an invitation waits.
const INVITED_FOR: SignedDuration = SignedDuration::from_hours(14 * 24);

/// A person makes no more than this many workspaces by mistake.
const MOST_WORKSPACES: usize = 50;

/// Longest name of a workspace, in characters.
const LONGEST_NAME: usize = 100;

/// A workspace as one of its members sees it.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct ShownWorkspace {
    workspace: WorkspaceId,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    role: Role,
}

#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct ShownMember {
    id: MemberId,
    subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<Email>,
    role: Role,
    since: Timestamp,
}

impl From<Member> for ShownMember {
    fn from(member: Member) -> Self {
        let Member { id, subject, email, role, since, .. } = member;
        Self { id, subject, email, role, since }
    }
}

#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct ShownInvitation {
    id: InvitationId,
    workspace: WorkspaceId,
    email: Email,
    role: Role,
    invited_by: String,
    expires_at: Timestamp,
}

impl From<Invitation> for ShownInvitation {
    fn from(invitation: Invitation) -> Self {
        let Invitation { id, workspace, email, role, invited_by, expires_at } = invitation;
        Self { id, workspace: WorkspaceId::clone(&workspace), email, role, invited_by, expires_at }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct NewWorkspace {
    #[cfg_attr(feature = "describe", schemars(length(max = LONGEST_NAME), extend("pattern" = ads::text::PLAIN)))]
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
    pub(crate) async fn create_workspace(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let person = visit.person()?;
        let NewWorkspace { name } = visit.json()?;
        if !is_plain(&name, LONGEST_NAME) {
            return Err(Invalid::new("name", "must be 1 to 100 characters on one line").into());
        }
        let name = name.trim();
        let (table, founder) = (&self.access.table, MemberId::of(&person.subject));
        let workspace = new_id(visit, &founder)?;
        if let Some(member) = table.member(&workspace, &founder).await? {
            // Made by an earlier try that nobody heard the end of.
            let kept = table.workspace(&member.workspace).await?.map(|row| row.name);
            if kept.as_deref() != Some(name) {
                let why =
                    "this Idempotency-Key made a workspace of another name; take a new key for a new one";
                return Err(Failure::Conflict(why.to_owned()));
            }
            let made = ShownWorkspace { workspace, name: kept, role: member.role };
            return reply::json(StatusCode::CREATED, &made);
        }
        if table.memberships(&founder).await?.len() >= MOST_WORKSPACES {
            let why = format!("you are in {MOST_WORKSPACES} workspaces; leave one first");
            return Err(Failure::Conflict(why));
        }
        match table.create_workspace(&workspace, name, &person.subject, self.host.clock.now()).await {
            Err(StoreError::Conflict) => {
                let why = "this Idempotency-Key made a workspace that you are not in any more; take a new key for a new one";
                return Err(Failure::Conflict(why.to_owned()));
            }
            made => made?,
        }
        let name = Some(name.to_owned());
        reply::json(StatusCode::CREATED, &ShownWorkspace { workspace, name, role: Role::Owner })
    }

    pub(crate) async fn workspaces(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let person = visit.person()?;
        let mut data = Vec::new();
        if let Some((tenant, role)) = &person.claimed {
            data.push(ShownWorkspace { workspace: WorkspaceId::clone(tenant), name: None, role: *role });
        }
        for member in self.access.table.memberships(&MemberId::of(&person.subject)).await? {
            if person.claimed.as_ref().is_none_or(|(tenant, _)| *tenant != member.workspace) {
                let name = self.access.table.workspace(&member.workspace).await?.map(|row| row.name);
                let workspace = WorkspaceId::clone(&member.workspace);
                data.push(ShownWorkspace { workspace, name, role: member.role });
            }
        }
        reply::ok(&List { data, after: None })
    }

    pub(crate) async fn members(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let members = self.access.table.members(visit.workspace()?).await?;
        reply::ok(&List { data: members.into_iter().map(ShownMember::from).collect(), after: None })
    }

    pub(crate) async fn change_member(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let NewRole { role } = visit.json()?;
        let mut member = self.seen(visit).await?;
        if member.role != role {
            let act = audit::by_person(visit, "member.changed", format!("member/{}", member.id))?;
            let act = act.changing(json!({"role": member.role}), json!({"role": role}));
            let act = self.access.intend(&member.workspace, act).await?;
            let changed = self.access.table.change_role(&member, role).await;
            act.ended(self.explain(&member, changed).await, None, self.host.clock.now()).await?;
            member.role = role;
        }
        reply::ok(&ShownMember::from(member))
    }

    /// An owner takes a member out; everybody may leave.
    pub(crate) async fn remove_member(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let session = visit.session()?;
        let member = self.seen(visit).await?;
        if session.role < Role::Owner && member.id != MemberId::of(&session.subject) {
            let why = "only an owner takes others out; you may take yourself out";
            return Err(Failure::Forbidden(why.to_owned()));
        }
        let act = audit::by_person(visit, "member.removed", format!("member/{}", member.id))?;
        let act = act.changing(json!({"role": member.role}), Value::Null);
        let act = self.access.intend(&member.workspace, act).await?;
        let removed = self.access.table.remove_member(&member).await;
        act.ended(self.explain(&member, removed).await, None, self.host.clock.now()).await?;
        Ok(reply::no_content())
    }

    pub(crate) async fn invitations(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let invitations = self.access.table.invitations(visit.workspace()?).await?;
        reply::ok(&List { data: self.open(invitations), after: None })
    }

    /// Inviting an address again replaces the invitation and begins its time anew.
    pub(crate) async fn invite(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let session = visit.session()?;
        let NewInvitation { email, role } = visit.json()?;
        let workspace = session.workspace.clone();
        let invitation = Invitation {
            id: id_of(&workspace, &email)?,
            workspace,
            email,
            role,
            invited_by: session.subject.clone(),
            expires_at: self.host.clock.now() + INVITED_FOR,
        };
        let act = audit::by_person(visit, "member.invited", format!("invitation/{}", invitation.id))?;
        let act = act.changing(Value::Null, json!({"role": role}));
        let act = self.access.intend(&invitation.workspace, act).await?;
        let kept = self.access.table.invite(&invitation).await.map_err(Failure::from);
        act.ended(kept, None, self.host.clock.now()).await?;
        reply::json(StatusCode::CREATED, &ShownInvitation::from(invitation))
    }

    pub(crate) async fn withdraw_invitation(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let id: InvitationId = visit.path("invitation")?;
        let invitation = self.access.table.invitation(visit.workspace()?, &id).await?;
        let invitation = invitation.ok_or_else(no_invitation)?;
        let act = audit::by_person(visit, "invitation.withdrawn", format!("invitation/{id}"))?;
        let act = self.access.intend(&invitation.workspace, act).await?;
        let withdrawn = self.access.table.withdraw_invitation(&invitation).await.map_err(Failure::from);
        act.ended(withdrawn, None, self.host.clock.now()).await?;
        Ok(reply::no_content())
    }

    /// What waits for the person, by the address that the issuer vouches for.
    pub(crate) async fn my_invitations(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let invitations = match &visit.person()?.verified_email {
            Some(email) => self.access.table.invitations_to(email).await?,
            None => Vec::new(),
        };
        reply::ok(&List { data: self.open(invitations), after: None })
    }

    /// Accepting again is answered like the first time. An invitation that is not for this person is not there.
    pub(crate) async fn accept_invitation(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let person = visit.person()?;
        let workspace: WorkspaceId = visit.path("workspace")?;
        let id: InvitationId = visit.path("invitation")?;
        let table = &self.access.table;
        let now = self.host.clock.now();
        let theirs = async || {
            let invitation = table.invitation(&workspace, &id).await?.filter(|invitation| {
                invitation.expires_at > now && person.verified_email.as_ref() == Some(&invitation.email)
            });
            invitation.ok_or_else(no_invitation)
        };
        let member = match table.member(&workspace, &MemberId::of(&person.subject)).await? {
            Some(member) => {
                // Accepted before, which they may not have heard; or they were in already.
                if !came_by(&member, &id)? {
                    theirs().await?;
                }
                member
            }
            None => {
                let invitation = theirs().await?;
                let who = Actor::Person { subject: person.subject.clone() };
                let act = Act::new(random::id()?, who, "member.joined", format!("invitation/{id}"));
                let act = act.changing(Value::Null, json!({"role": invitation.role}));
                let act = self.access.intend(&invitation.workspace, act).await?;
                let accepted = table.accept(&invitation, &person.subject, now).await.map_err(Failure::from);
                act.ended(accepted, None, now).await?
            }
        };
        reply::ok(&ShownMember::from(member))
    }

    /// The member of the path, as it is now.
    async fn seen(&self, visit: &Visit<Endpoint>) -> Result<Member, Failure> {
        let member = self.access.table.member(visit.workspace()?, &visit.path("member")?).await?;
        member.ok_or_else(|| Failure::NotFound("this member".to_owned()))
    }

    /// Names the one conflict that trying again does not solve.
    async fn explain(&self, seen: &Member, changed: Result<(), StoreError>) -> Result<(), Failure> {
        if matches!(changed, Err(StoreError::Conflict)) && seen.role == Role::Owner {
            let owners = self.access.table.workspace(&seen.workspace).await?.map(|row| row.owners);
            if owners == Some(1) {
                let why = "a workspace keeps at least one owner; make somebody else an owner first";
                return Err(Failure::Conflict(why.to_owned()));
            }
        }
        Ok(changed?)
    }

    /// Those that are not over: the table removes them late.
    fn open(&self, invitations: Vec<Invitation>) -> Vec<ShownInvitation> {
        let now = self.host.clock.now();
        let open = invitations.into_iter().filter(|invitation| invitation.expires_at > now);
        open.map(ShownInvitation::from).collect()
    }
}

/// With an `Idempotency-Key` the id follows from it, so that a repeated request meets its own workspace.
fn new_id(visit: &Visit<Endpoint>, founder: &MemberId) -> Result<WorkspaceId, Failure> {
    let id = match visit.idempotency_key()? {
        Some(key) => hex::encode(&Sha256::digest(format!("{founder}|workspace|{key}"))[..12]),
        None => random::id()?,
    };
    Ok(format!("w-{id}").parse()?)
}

/// An address has one invitation to a workspace at a time.
fn id_of(workspace: &WorkspaceId, invited: &Email) -> Result<InvitationId, Failure> {
    let digest = Sha256::digest(format!("{workspace}|{invited}"));
    Ok(hex::encode(&digest[..12]).parse()?)
}

fn came_by(member: &Member, id: &InvitationId) -> Result<bool, Failure> {
    let Some(email) = &member.email else { return Ok(false) };
    Ok(id_of(&member.workspace, email)? == *id)
}

fn no_invitation() -> Failure {
    Failure::NotFound("this invitation".to_owned())
}
