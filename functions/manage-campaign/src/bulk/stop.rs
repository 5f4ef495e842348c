//! A bulk change is stopped: what is not changed yet stays as it is.

use domain::Error;
use domain::bulk::{BulkObjectState, BulkState};
use domain::job::Job;
use domain::tenant::Tenant;
use http::{Method, StatusCode};
use jiff::Timestamp;
use middleware::user_event;
use runtime::endpoint::{self, Endpoint};
use runtime::request::{Json, RequestContext};
use runtime::session::{Role, Session};
use store::StoreError;
use store::bulk::StoredBulkChange;

use super::BulkPath;
use super::run::OBJECTS_PER_STEP;
use super::view::BulkView;
use crate::ManageCampaign;

/// Why an object was left as it is.
const STOPPED: &str = "the bulk change was stopped before";

pub(crate) fn stop_bulk_change() -> Endpoint<ManageCampaign> {
    let path = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/bulk-changes/{bulk_change}/stop";
    endpoint::member(Method::POST, path, Role::Editor)
        .named("stop_bulk_change", "Stops a bulk change")
        .description(
            "What Meta has not taken stays as it is and becomes `stopped`; what is being changed at this moment is finished, and \
             `unknown` where Meta does not show within minutes that it was. `undo` then takes back what was changed. Twice is once, \
             and of one that is done nothing is stopped.",
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
            let workspace = workspace.clone();
            let job = Job::ApplyBulkChange { workspace, ad_account, bulk_change };
            match table.stop_bulk_change(&session.workspace, &bulk, &event).await {
                // One that waits to try again ends now.
                Ok(()) => self.host.queues.send(&[job]).await?,
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Json(BulkView::listed(bulk, account.currency)))
    }

    /// Leaves what the platform has not taken as it is, when somebody has stopped the bulk change. Returns when that was.
    pub(super) async fn leave_stopped(
        &self,
        workspace: &Tenant,
        bulk: &mut StoredBulkChange,
    ) -> Result<Option<Timestamp>, Error> {
        let Some(at) = self.connector.table.bulk_change_stopped_at(workspace, bulk).await? else {
            return Ok(None);
        };
        let waiting = bulk.change.objects.iter().enumerate().filter(|(_, object)| object.is_waiting());
        let waiting: Vec<usize> = waiting.map(|(number, _)| number).collect();
        for some in waiting.chunks(OBJECTS_PER_STEP) {
            let (mut change, mut ended) = (bulk.change.clone(), Vec::new());
            for number in some {
                let object = &mut change.objects[*number];
                // What was sent has an event that is open.
                ended.extend((object.state == BulkObjectState::Sent).then_some(*number));
                object.settle(BulkObjectState::Stopped, STOPPED.to_owned());
            }
            self.save_bulk_change(workspace, bulk, change, &ended).await?;
        }
        Ok(Some(at))
    }
}
