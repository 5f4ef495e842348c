//! A bulk change is stopped: what is not changed yet stays as it is.

use domain::Error;
use domain::bulk::{BulkObjectState, BulkState};
use domain::job::Job;
use domain::tenant::Tenant;
use http::{Method, StatusCode};
use middleware::user_event;
use runtime::endpoint::{self, Endpoint};
use runtime::request::{Json, RequestContext};
use runtime::session::{Role, Session};
use store::bulk::StoredBulkChange;

use super::BulkPath;
use super::view::BulkView;
use crate::ManageCampaign;

/// Why an object was left as it is.
pub(super) const STOPPED: &str = "the bulk change was stopped before";

pub(crate) fn stop_bulk_change() -> Endpoint<ManageCampaign> {
    let path = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/bulk-changes/{bulk_change}/stop";
    endpoint::member(Method::POST, path, Role::Editor)
        .named("stop_bulk_change", "Stops a bulk change")
        .description(
            "What is being changed at this moment, forty objects at most, is finished; the rest stays as it is and becomes \
             `stopped`. `undo` then takes back what was changed. Of one that is done nothing is stopped.",
        )
        .responds(StatusCode::ACCEPTED, "The bulk change, without its objects.", ManageCampaign::stop_bulk_change)
}

impl ManageCampaign {
    async fn stop_bulk_change(
        self,
        context: RequestContext<Session, BulkPath>,
    ) -> Result<Json<BulkView>, Error> {
        let RequestContext { caller: session, path: BulkPath { ad_account, bulk_change }, .. } = context;
        let (table, workspace) = (&self.connector.table, &session.workspace);
        let account = table.require_account(workspace, &ad_account).await?;
        let bulk = self.bulk_change(workspace, &ad_account, &bulk_change).await?;
        if bulk.change.state == BulkState::Running {
            let event = user_event(&session, "bulk_change.stopped", format!("bulk_change/{bulk_change}"))?;
            let event = event.in_account(&ad_account).done_at(self.host.clock.now());
            table.stop_bulk_change(workspace, &bulk, &event).await?;
            // One that waits to try again ends now.
            let workspace = workspace.clone();
            self.host.queues.send(&[Job::ApplyBulkChange { workspace, ad_account, bulk_change }]).await?;
        }
        Ok(Json(BulkView::listed(bulk, account.currency)))
    }

    /// Leaves what waits as it is, when somebody has stopped the bulk change. Returns whether that is so.
    pub(super) async fn leave_stopped(
        &self,
        workspace: &Tenant,
        bulk: &mut StoredBulkChange,
    ) -> Result<bool, Error> {
        if !self.connector.table.is_bulk_change_stopped(workspace, bulk).await? {
            return Ok(false);
        }
        let mut change = bulk.change.clone();
        let waits = change.objects.iter_mut().filter(|object| object.state == BulkObjectState::Pending);
        let count = waits.map(|object| object.settle(BulkObjectState::Stopped, STOPPED.to_owned())).count();
        if count > 0 {
            self.save_bulk_change(workspace, bulk, change, &[]).await?;
        }
        Ok(true)
    }
}
