//! Selects the ad accounts to sync, through the API or on the page after a login.

use domain::Error;
use domain::job::{Job, SyncCause};
use domain::tenant::Tenant;
use http::{Method, StatusCode};
use runtime::endpoint::{self, Endpoint};
use runtime::random;
use runtime::request::{AdAccountPath, Json, NoQuery, RequestContext};
use runtime::session::{Role, Session};
use serde::Deserialize;
use serde_json::json;
use store::account::AdAccount;
use store::audit::{Actor, AuditEvent};

use crate::AuthMeta;
use crate::views::AdAccountView;

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Selection {
    selected: bool,
}

pub(crate) fn select_ad_account() -> Endpoint<AuthMeta> {
    let path = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/selection";
    endpoint::member(Method::PUT, path, Role::Editor)
        .named("select_ad_account", "Selects or deselects an ad account for sync")
        .responds(StatusCode::OK, "The ad account.", AuthMeta::select_ad_account)
}

impl AuthMeta {
    async fn select_ad_account(
        self,
        context: RequestContext<Session, AdAccountPath, NoQuery, Json<Selection>>,
    ) -> Result<Json<AdAccountView>, Error> {
        let RequestContext { caller: session, path: AdAccountPath { ad_account }, body, .. } = context;
        let Json(Selection { selected }) = body;
        let account = self.connector.table.require_account(&session.workspace, &ad_account).await?;
        let account = self.select_account(&session.subject, &session.workspace, &account, selected).await?;
        Ok(Json(AdAccountView::try_from(account)?))
    }

    /// Selects or deselects an ad account for a person. An imported one has nothing to sync.
    ///
    /// Selecting twice syncs twice, which is harmless; selecting again repairs a selection whose message was lost.
    pub(crate) async fn select_account(
        &self,
        subject: &str,
        workspace: &Tenant,
        account: &AdAccount,
        selected: bool,
    ) -> Result<AdAccount, Error> {
        let (id, actor) = (&account.id, Actor::Person { subject: subject.to_owned() });
        let event = AuditEvent::new(random::id()?, actor, "ad_account.selected", format!("ad_account/{id}"));
        let (before, after) = (json!({"selected": account.selected}), json!({"selected": selected}));
        let event = event.in_account(id).with_change(before, after).done_at(self.host.clock.now());
        let now = self.host.clock.now();
        self.connector.table.select_account(workspace, id, selected, now, Some(&event)).await?;
        if selected && account.connection.is_some() {
            let cause = SyncCause::Selected;
            let sync = Job::SyncAccount { workspace: workspace.clone(), ad_account: id.clone(), cause };
            self.host.queues.send(&[sync]).await?;
        }
        Ok(AdAccount { selected, sync_problem: None, ..account.clone() })
    }
}
