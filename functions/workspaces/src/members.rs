//! Members of a workspace and their roles.

use domain::Error;
use domain::email::Email;
use domain::id::MemberId;
use domain::role::Role;
use domain::tenant::Tenant;
use http::{Method, StatusCode};
use jiff::Timestamp;
use middleware::user_event;
use runtime::endpoint::{self, Endpoint};
use runtime::request::{Json, NoQuery, RequestContext};
use runtime::response::{List, NoContent};
use runtime::session::Session;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::StoreError;
use store::member::Member;

use crate::Workspaces;

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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct NewRole {
    role: Role,
}

/// A member of the path.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct MemberPath {
    /// A member of the workspace.
    member: MemberId,
}

const MEMBER: &str = "/v1/workspaces/{workspace}/members/{member}";

pub(crate) fn list_members() -> Endpoint<Workspaces> {
    endpoint::member(Method::GET, "/v1/workspaces/{workspace}/members", Role::Viewer)
        .named("list_members", "Lists members")
        .responds(StatusCode::OK, "The members.", Workspaces::list_members)
}

pub(crate) fn update_member() -> Endpoint<Workspaces> {
    endpoint::member(Method::PATCH, MEMBER, Role::Owner)
        .named("update_member", "Changes a member's role")
        .fails_with(Error::Conflict, "It would leave nobody as owner, or somebody else changed it first.")
        .responds(StatusCode::OK, "The member.", Workspaces::update_member)
}

/// Declares the endpoint for every role, because all members may remove themselves.
pub(crate) fn remove_member() -> Endpoint<Workspaces> {
    endpoint::member(Method::DELETE, MEMBER, Role::Viewer)
        .named("remove_member", "Removes a member")
        .description("An owner takes out anybody, every other member only themselves.")
        .fails_with(Error::Forbidden, "Only an owner takes others out.")
        .fails_with(Error::Conflict, "It would leave nobody as owner, or somebody else changed it first.")
        .responds(StatusCode::NO_CONTENT, "It is no member any more.", Workspaces::remove_member)
}

impl Workspaces {
    async fn list_members(self, context: RequestContext<Session>) -> Result<Json<List<MemberView>>, Error> {
        let members = self.table.members(&context.caller.workspace).await?;
        Ok(Json(List { data: members.into_iter().map(MemberView::from).collect(), after: None }))
    }

    async fn update_member(
        self,
        context: RequestContext<Session, MemberPath, NoQuery, Json<NewRole>>,
    ) -> Result<Json<MemberView>, Error> {
        let RequestContext { caller: session, path, body: Json(NewRole { role }), .. } = context;
        let mut member = self.require_member(&session.workspace, &path.member).await?;
        if member.role != role {
            let event = user_event(&session, "member.changed", format!("member/{}", member.id))?;
            let event = event.with_change(json!({"role": member.role}), json!({"role": role}));
            let changed = self.table.change_role(&member, role, &event.done_at(self.clock.now())).await;
            self.explain_conflict(&member, changed).await?;
            member.role = role;
        }
        Ok(Json(MemberView::from(member)))
    }

    /// Removes a member. An owner may remove anybody, every other member only themselves.
    async fn remove_member(self, context: RequestContext<Session, MemberPath>) -> Result<NoContent, Error> {
        let RequestContext { caller: session, path, .. } = context;
        let member = self.require_member(&session.workspace, &path.member).await?;
        if session.role < Role::Owner && member.id != MemberId::from_subject(&session.subject) {
            let why = "only an owner takes others out; you may take yourself out";
            return Err(Error::Forbidden(why.to_owned()));
        }
        let event = user_event(&session, "member.removed", format!("member/{}", member.id))?;
        let event = event.with_change(json!({"role": member.role}), Value::Null);
        let removed = self.table.remove_member(&member, &event.done_at(self.clock.now())).await;
        self.explain_conflict(&member, removed).await?;
        Ok(NoContent)
    }

    async fn require_member(&self, workspace: &Tenant, id: &MemberId) -> Result<Member, Error> {
        let member = self.table.member(workspace, id).await?;
        member.ok_or_else(|| Error::NotFound("this member".to_owned()))
    }

    /// Replaces the conflict on the last owner, which a retry does not solve, with an explanation.
    async fn explain_conflict(&self, seen: &Member, changed: Result<(), StoreError>) -> Result<(), Error> {
        if matches!(changed, Err(StoreError::Conflict)) && seen.role == Role::Owner {
            let owners = self.table.workspace(&seen.workspace).await?.map(|row| row.owners);
            if owners == Some(1) {
                let why = "a workspace keeps at least one owner; make somebody else an owner first";
                return Err(Error::Conflict(why.to_owned()));
            }
        }
        Ok(changed?)
    }
}
