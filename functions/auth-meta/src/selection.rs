//! Which ad accounts are synced: said through the API, or on the page after a login.

use access::audit::{Act, Actor};
use ads::Failure;
use ads::id::AdAccountId;
use ads::job::{Job, SyncCause};
use ads::tenant::Tenant;
use runtime::route::Visit;
use runtime::{Reply, random, reply};
use serde::Deserialize;
use serde_json::json;
use store::account::AdAccount;

use crate::shown::ShownAccount;
use crate::{AuthMeta, Endpoint};

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Selection {
    selected: bool,
}

impl AuthMeta {
    pub(crate) async fn select(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let session = visit.session()?;
        let id: AdAccountId = visit.path("ad_account")?;
        let Selection { selected } = visit.json()?;
        let account = self.access.table.known_account(&session.workspace, &id).await?;
        let account = self.select_for(&session.subject, &session.workspace, &account, selected).await?;
        reply::ok(&ShownAccount::from(account))
    }

    /// Says for a person whether an ad account is synced, and leaves a trace of it.
    ///
    /// Selecting twice syncs twice, which is harmless; a selection whose message was lost is mended by
    /// selecting again.
    pub(crate) async fn select_for(
        &self,
        subject: &str,
        workspace: &Tenant,
        account: &AdAccount,
        selected: bool,
    ) -> Result<AdAccount, Failure> {
        let who = Actor::Person { subject: subject.to_owned() };
        let id = &account.id;
        let act = Act::new(random::id()?, who, "ad_account.selected", format!("ad_account/{id}"));
        let act = act.in_account(id);
        let act = act.changing(json!({"selected": account.selected}), json!({"selected": selected}));
        let act = self.access.intend(workspace, act).await?;
        let set = self.set_selected(workspace, id, selected).await;
        act.ended(set, None, self.host.clock.now()).await
    }

    async fn set_selected(
        &self,
        workspace: &Tenant,
        id: &AdAccountId,
        selected: bool,
    ) -> Result<AdAccount, Failure> {
        let account = self.access.table.select_account(workspace, id, selected).await?;
        if selected {
            let sync =
                |cause| Job::SyncAccount { workspace: workspace.clone(), ad_account: id.clone(), cause };
            // The rhythm first: from now on the account is synced, whatever becomes of this first time.
            self.host.schedules.ensure_beat(&sync(SyncCause::Schedule), SyncCause::BEAT_MINUTES).await?;
            self.host.queues.send(&[sync(SyncCause::Selected)]).await?;
        }
        Ok(account)
    }
}
