//! Launches that were begun: shown to people, and looked up by what depends on them.

use domain::Error;
use domain::id::{EntityId, LaunchId};
use domain::launch::{Launch, Step};
use domain::tenant::Tenant;
use http::{Method, StatusCode};
use jiff::SignedDuration;
use runtime::endpoint::{self, Endpoint};
use runtime::page::{Cursor, Limit, encode_cursor};
use runtime::request::{Json, NoPath, RequestContext};
use runtime::response::List;
use runtime::session::{Role, Session};
use serde::Deserialize;
use store::launch::StoredLaunch;

use super::MAX_LAUNCH_AGE;
use super::view::LaunchView;
use crate::ManageCampaign;

/// How much longer than it may be under way a launch counts as recent.
const RECENT_MARGIN: SignedDuration = SignedDuration::from_hours(1);

/// Launches that are read at a time.
const LAUNCHES_PER_READ: usize = 50;

/// Which launches.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct LaunchesQuery {
    #[serde(default)]
    limit: Limit<50, 100>,
    after: Option<Cursor>,
}

/// A launch of the path.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
struct LaunchPath {
    /// A launch of the workspace.
    launch: LaunchId,
}

pub(crate) fn list_launches() -> Endpoint<ManageCampaign> {
    endpoint::member(Method::GET, "/v1/workspaces/{workspace}/launches", Role::Viewer)
        .named("list_launches", "Lists the launches of a workspace")
        .responds(
            StatusCode::OK,
            "The launches, newest first, without their steps.",
            ManageCampaign::list_launches,
        )
}

pub(crate) fn get_launch() -> Endpoint<ManageCampaign> {
    endpoint::member(Method::GET, "/v1/workspaces/{workspace}/launches/{launch}", Role::Viewer)
        .named("get_launch", "Returns a launch")
        .responds(StatusCode::OK, "The launch.", ManageCampaign::get_launch)
}

impl ManageCampaign {
    async fn list_launches(
        self,
        context: RequestContext<Session, NoPath, LaunchesQuery>,
    ) -> Result<Json<List<LaunchView>>, Error> {
        let RequestContext { caller: session, query: LaunchesQuery { limit, after }, .. } = context;
        let limit = limit.rows();
        let before = after.as_ref().map(Cursor::position);
        let mut listed = self.connector.table.launches_by_time(&session.workspace, before, limit + 1).await?;
        let more = listed.len() > limit;
        listed.truncate(limit);
        let last = listed.last().filter(|_| more).map(|(position, _)| position);
        let after = last.map(|position| encode_cursor(&context.request, position));
        let data = listed.into_iter().filter_map(|(_, stored)| Some(LaunchView::listed(stored?))).collect();
        Ok(Json(List { data, after }))
    }

    async fn get_launch(
        self,
        context: RequestContext<Session, LaunchPath>,
    ) -> Result<Json<LaunchView>, Error> {
        let stored = self.connector.table.launch(&context.caller.workspace, &context.path.launch).await?;
        let stored = stored.ok_or_else(|| Error::NotFound("this launch".to_owned()))?;
        Ok(Json(LaunchView::from(stored)))
    }

    /// Returns the launches that created a campaign or added to it and began within the last day: none that is older is under
    /// way, and what it created is listed by now.
    pub(crate) async fn recent_launches(
        &self,
        workspace: &Tenant,
        campaign: &EntityId,
    ) -> Result<Vec<Launch>, Error> {
        let oldest = self.host.clock.now() - MAX_LAUNCH_AGE - RECENT_MARGIN;
        let (mut before, mut found) = (None::<String>, Vec::new());
        loop {
            let table = &self.connector.table;
            let page = table.launches_by_time(workspace, before.as_deref(), LAUNCHES_PER_READ).await?;
            let Some((last, _)) = page.last().cloned() else { return Ok(found) };
            let is_last = page.len() < LAUNCHES_PER_READ;
            for StoredLaunch { launch, .. } in page.into_iter().filter_map(|(_, stored)| stored) {
                if launch.started_at < oldest {
                    return Ok(found);
                }
                if launch.id_of(Step::Campaign) == Some(campaign) {
                    found.push(launch);
                }
            }
            if is_last {
                return Ok(found);
            }
            before = Some(last);
        }
    }
}
