//! Which ad accounts are synced: said through the API, or on the page after a login.

use access::audit::{Act, Actor, Intended, TOGETHER};
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
        let set = self.select_for(&session.subject, &session.workspace, &[(account, selected)]).await?;
        let gone = || Failure::Defect("a selection had no outcome".to_owned());
        reply::ok(&ShownAccount::from(set.into_iter().next().ok_or_else(gone)?))
    }

    /// Says for a person whether ad accounts are synced, and leaves a trace of each. When one fails
    /// the others may be set.
    ///
    /// Selecting twice syncs twice, which is harmless; a selection whose message was lost is mended by
    /// selecting again.
    pub(crate) async fn select_for(
        &self,
        subject: &str,
        workspace: &Tenant,
        changes: &[(AdAccount, bool)],
    ) -> Result<Vec<AdAccount>, Failure> {
        let mut set = Vec::with_capacity(changes.len());
        for together in changes.chunks(TOGETHER) {
            let acts: Result<Vec<_>, _> = together
                .iter()
                .map(|(account, selected)| {
                    let (id, who) = (&account.id, Actor::Person { subject: subject.to_owned() });
                    let act = Act::new(random::id()?, who, "ad_account.selected", format!("ad_account/{id}"));
                    let (before, after) =
                        (json!({"selected": account.selected}), json!({"selected": selected}));
                    Ok::<_, Failure>(act.in_account(id).changing(before, after))
                })
                .collect();
            let acts = self.access.intend_all(workspace, acts?).await?;
            let results = self.set_selected(workspace, together).await;
            for result in Intended::all_ended(acts, results, self.host.clock.now()).await {
                set.push(result?);
            }
        }
        Ok(set)
    }

    /// Sets each of them, in order.
    async fn set_selected(
        &self,
        workspace: &Tenant,
        changes: &[(AdAccount, bool)],
    ) -> Vec<Result<AdAccount, Failure>> {
        let sync = |account: &AdAccount, cause| Job::SyncAccount {
            workspace: workspace.clone(),
            ad_account: account.id.clone(),
            cause,
        };
        let mut results = Vec::with_capacity(changes.len());
        for (account, selected) in changes {
            let set = async {
                let set = self.access.table.select_account(workspace, &account.id, *selected).await?;
                if *selected {
                    // The rhythm first: from now on the account is synced, whatever becomes of this first time.
                    let beat = sync(account, SyncCause::Schedule);
                    self.host.schedules.ensure_beat(&beat, SyncCause::BEAT_MINUTES).await?;
                }
                Ok(set)
            };
            results.push(set.await);
        }
        let begun = results.iter().flatten().filter(|account| account.selected);
        let jobs: Vec<_> = begun.map(|account| sync(account, SyncCause::Selected)).collect();
        if let Err(failure) = self.host.queues.send(&jobs).await {
            for result in results.iter_mut().filter(|result| result.as_ref().is_ok_and(|set| set.selected)) {
                *result = Err(failure.clone());
            }
        }
        results
    }
}
