//! Workspaces: created by a person, who becomes their owner.

use domain::id::{MemberId, WorkspaceId};
use domain::role::Role;
use domain::text::is_single_line;
use domain::{Error, FieldError};
use http::{Method, StatusCode};
use middleware::user_event;
use middleware::version::require_match;
use runtime::endpoint::{self, Endpoint};
use runtime::random;
use runtime::request::{Json, NoPath, NoQuery, RequestContext, idempotency_key};
use runtime::response::List;
use runtime::session::{Session, User};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use store::StoreError;

use crate::Workspaces;

/// Limit of workspaces per person, against mistakes.
const MAX_WORKSPACES_PER_PERSON: usize = 50;

/// Maximum length of a workspace's name, in characters.
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct NewWorkspace {
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_NAME_CHARS), extend("pattern" = domain::text::SINGLE_LINE_PATTERN)))]
    name: String,
}

const WORKSPACE: &str = "/v1/workspaces/{workspace}";

pub(crate) fn create_workspace() -> Endpoint<Workspaces> {
    endpoint::user(Method::POST, "/v1/workspaces")
        .named("create_workspace", "Creates a workspace")
        .description("The person becomes its owner.")
        .fails_with(Error::Conflict, "The person is in too many workspaces.")
        .responds(StatusCode::CREATED, "The workspace.", Workspaces::create_workspace)
}

pub(crate) fn list_workspaces() -> Endpoint<Workspaces> {
    endpoint::user(Method::GET, "/v1/workspaces")
        .named("list_workspaces", "Lists the person's workspaces")
        .responds(StatusCode::OK, "The workspaces, each with the person's role.", Workspaces::list_workspaces)
}

pub(crate) fn get_workspace() -> Endpoint<Workspaces> {
    endpoint::member(Method::GET, WORKSPACE, Role::Viewer)
        .named("get_workspace", "Returns a workspace")
        .responds(StatusCode::OK, "The workspace, with the person's role.", Workspaces::get_workspace)
}

pub(crate) fn rename_workspace() -> Endpoint<Workspaces> {
    endpoint::member(Method::PATCH, WORKSPACE, Role::Owner)
        .named("rename_workspace", "Renames a workspace")
        .checks_version()
        .fails_with(Error::Conflict, "Only the issuer of sessions knows the workspace, and its name.")
        .responds(StatusCode::OK, "The workspace.", Workspaces::rename_workspace)
}

impl Workspaces {
    async fn get_workspace(self, context: RequestContext<Session>) -> Result<Json<WorkspaceView>, Error> {
        self.view(&context.caller).await.map(Json)
    }

    async fn rename_workspace(
        self,
        context: RequestContext<Session, NoPath, NoQuery, Json<NewWorkspace>>,
    ) -> Result<Json<WorkspaceView>, Error> {
        let RequestContext { caller: session, body: Json(NewWorkspace { name }), request, .. } = context;
        let (name, workspace) = (checked_name(&name)?, &session.workspace);
        let before = self.view(&session).await?;
        require_match(&request, &before)?;
        let Some(known) = &before.name else {
            let why = "only the issuer of sessions knows this workspace; it is named there";
            return Err(Error::Conflict(why.to_owned()));
        };
        if known != name {
            let event = user_event(&session, "workspace.renamed", format!("workspace/{workspace}"))?;
            let event = event.with_change(json!({"name": known}), json!({"name": name}));
            let event = event.done_at(self.clock.now());
            self.table.rename_workspace(workspace, known, name, &event).await?;
        }
        Ok(Json(WorkspaceView { name: Some(name.to_owned()), ..before }))
    }

    async fn view(&self, session: &Session) -> Result<WorkspaceView, Error> {
        let name = self.table.workspace(&session.workspace).await?.map(|row| row.name);
        Ok(WorkspaceView { workspace: WorkspaceId::clone(&session.workspace), name, role: session.role })
    }

    /// Creates a workspace. The id is generated: a chosen one might be the id of a workspace that only the issuer
    /// knows.
    async fn create_workspace(
        self,
        context: RequestContext<User, NoPath, NoQuery, Json<NewWorkspace>>,
    ) -> Result<Json<WorkspaceView>, Error> {
        let RequestContext { caller: person, body: Json(NewWorkspace { name }), request, .. } = context;
        let name = checked_name(&name)?;
        let (table, founder) = (&self.table, MemberId::from_subject(&person.subject));
        let workspace = new_id(idempotency_key(&request)?, &founder)?;
        if let Some(member) = table.member(&workspace, &founder).await? {
            // Created by an earlier attempt whose response was lost.
            let stored = table.workspace(&member.workspace).await?.map(|row| row.name);
            if stored.as_deref() != Some(name) {
                let why =
                    "this Idempotency-Key made a workspace of another name; take a new key for a new one";
                return Err(Error::KeyReused(why.to_owned()));
            }
            let view = WorkspaceView { workspace, name: stored, role: member.role };
            return Ok(Json(view));
        }
        if table.memberships(&founder).await?.len() >= MAX_WORKSPACES_PER_PERSON {
            let why = format!("you are in {MAX_WORKSPACES_PER_PERSON} workspaces; leave one first");
            return Err(Error::Conflict(why));
        }
        match table.create_workspace(&workspace, name, &person.subject, self.clock.now()).await {
            Err(StoreError::Conflict) => {
                let why = "this Idempotency-Key made a workspace that you are not in any more; take a new key for a new one";
                return Err(Error::KeyReused(why.to_owned()));
            }
            created => created?,
        }
        let name = Some(name.to_owned());
        Ok(Json(WorkspaceView { workspace, name, role: Role::Owner }))
    }

    async fn list_workspaces(
        self,
        context: RequestContext<User>,
    ) -> Result<Json<List<WorkspaceView>>, Error> {
        let person = context.caller;
        let mut data = Vec::new();
        if let Some((tenant, role)) = &person.claimed_role {
            let name = self.table.workspace(tenant).await?.map(|row| row.name);
            data.push(WorkspaceView { workspace: WorkspaceId::clone(tenant), name, role: *role });
        }
        for member in self.table.memberships(&MemberId::from_subject(&person.subject)).await? {
            if person.claimed_role.as_ref().is_none_or(|(tenant, _)| *tenant != member.workspace) {
                let name = self.table.workspace(&member.workspace).await?.map(|row| row.name);
                let workspace = WorkspaceId::clone(&member.workspace);
                data.push(WorkspaceView { workspace, name, role: member.role });
            }
        }
        Ok(Json(List { data, after: None }))
    }
}

fn checked_name(name: &str) -> Result<&str, FieldError> {
    if !is_single_line(name, MAX_NAME_CHARS) {
        return Err(FieldError::new("name", "must be 1 to 100 characters on one line"));
    }
    Ok(name.trim())
}

/// Generates a workspace id. With an `Idempotency-Key` the id is derived from it, so that a repeated request finds its
/// own workspace.
fn new_id(key: Option<&str>, founder: &MemberId) -> Result<WorkspaceId, Error> {
    let id = match key {
        Some(key) => hex::encode(&Sha256::digest(format!("{founder}|workspace|{key}"))[..12]),
        None => random::id()?,
    };
    Ok(format!("w-{id}").parse()?)
}
