//! Workspaces: created by a person, who becomes their owner.

use domain::id::{MemberId, WorkspaceId};
use domain::role::Role;
use domain::text::is_single_line;
use domain::{Error, FieldError};
use http::{Method, StatusCode};
use runtime::endpoint::{self, Endpoint};
use runtime::random;
use runtime::request::{Json, NoPath, NoQuery, RequestContext, idempotency_key};
use runtime::response::List;
use runtime::session::User;
use serde::{Deserialize, Serialize};
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

pub(crate) fn create_workspace() -> Endpoint<Workspaces> {
    endpoint::user(Method::POST, "/v1/workspaces")
        .named("create_workspace", "Creates a workspace")
        .description("The person becomes its owner.")
        .fails_with(
            Error::Conflict,
            "The person is in too many workspaces, or the Idempotency-Key made another one.",
        )
        .responds(StatusCode::CREATED, "The workspace.", Workspaces::create_workspace)
}

pub(crate) fn list_workspaces() -> Endpoint<Workspaces> {
    endpoint::user(Method::GET, "/v1/workspaces")
        .named("list_workspaces", "Lists the person's workspaces")
        .responds(StatusCode::OK, "The workspaces, each with the person's role.", Workspaces::list_workspaces)
}

impl Workspaces {
    /// Creates a workspace. The id is generated: a chosen one might be the id of a workspace that only the issuer
    /// knows.
    async fn create_workspace(
        self,
        context: RequestContext<User, NoPath, NoQuery, Json<NewWorkspace>>,
    ) -> Result<Json<WorkspaceView>, Error> {
        let RequestContext { caller: person, body: Json(NewWorkspace { name }), request, .. } = context;
        if !is_single_line(&name, MAX_NAME_CHARS) {
            return Err(FieldError::new("name", "must be 1 to 100 characters on one line").into());
        }
        let name = name.trim();
        let (table, founder) = (&self.table, MemberId::from_subject(&person.subject));
        let workspace = new_id(idempotency_key(&request)?, &founder)?;
        if let Some(member) = table.member(&workspace, &founder).await? {
            // Created by an earlier attempt whose response was lost.
            let stored = table.workspace(&member.workspace).await?.map(|row| row.name);
            if stored.as_deref() != Some(name) {
                let why =
                    "this Idempotency-Key made a workspace of another name; take a new key for a new one";
                return Err(Error::Conflict(why.to_owned()));
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
                return Err(Error::Conflict(why.to_owned()));
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
            data.push(WorkspaceView { workspace: WorkspaceId::clone(tenant), name: None, role: *role });
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

/// Generates a workspace id. With an `Idempotency-Key` the id is derived from it, so that a repeated request finds its
/// own workspace.
fn new_id(key: Option<&str>, founder: &MemberId) -> Result<WorkspaceId, Error> {
    let id = match key {
        Some(key) => hex::encode(&Sha256::digest(format!("{founder}|workspace|{key}"))[..12]),
        None => random::id()?,
    };
    Ok(format!("w-{id}").parse()?)
}
