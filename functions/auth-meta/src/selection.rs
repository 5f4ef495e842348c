//! Which ad accounts are synced: said through the API, or on the page after a login.

use access::audit::{Actor, AuditEvent, MAX_EVENTS_PER_TRANSACTION, PendingEvent};
use domain::Error;
use domain::id::AdAccountId;
use domain::job::{Job, SyncCause};
use domain::tenant::Tenant;
use runtime::route::RequestContext;
use runtime::{Response, random, response};
use serde::Deserialize;
use serde_json::json;
use store::account::AdAccount;

use crate::views::AdAccountView;
use crate::{AuthMeta, Endpoint};

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Selection {
    selected: bool,
}

impl AuthMeta {
    pub(crate) async fn select(&self, context: &RequestContext<Endpoint>) -> Result<Response, Error> {
        let session = context.session()?;
        let id: AdAccountId = context.path("ad_account")?;
        let Selection { selected } = context.json()?;
        let account = self.connector.table.require_account(&session.workspace, &id).await?;
        let set = self.select_accounts(&session.subject, &session.workspace, &[(account, selected)]).await?;
        let missing = || Error::Internal("a selection had no outcome".to_owned());
        response::ok(&AdAccountView::from(set.into_iter().next().ok_or_else(missing)?))
    }

    /// Says for a person whether ad accounts are synced, and leaves a trace of each. When one fails
    /// the others may be set.
    ///
    /// Selecting twice syncs twice, which is harmless; a selection whose message was lost is mended by
    /// selecting again.
    pub(crate) async fn select_accounts(
        &self,
        subject: &str,
        workspace: &Tenant,
        changes: &[(AdAccount, bool)],
    ) -> Result<Vec<AdAccount>, Error> {
        let mut set = Vec::with_capacity(changes.len());
        for batch in changes.chunks(MAX_EVENTS_PER_TRANSACTION) {
            let events: Result<Vec<_>, _> = batch
                .iter()
                .map(|(account, selected)| {
                    let (id, actor) = (&account.id, Actor::Person { subject: subject.to_owned() });
                    let event = AuditEvent::new(
                        random::id()?,
                        actor,
                        "ad_account.selected",
                        format!("ad_account/{id}"),
                    );
                    let (before, after) =
                        (json!({"selected": account.selected}), json!({"selected": selected}));
                    Ok::<_, Error>(event.in_account(id).with_change(before, after))
                })
                .collect();
            let events = self.connector.record_intents(workspace, events?).await?;
            let results = self.set_selected(workspace, batch).await;
            for result in PendingEvent::complete_all(events, results, self.host.clock.now()).await {
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
    ) -> Vec<Result<AdAccount, Error>> {
        let sync = |account: &AdAccount, cause| Job::SyncAccount {
            workspace: workspace.clone(),
            ad_account: account.id.clone(),
            cause,
        };
        let mut results = Vec::with_capacity(changes.len());
        for (account, selected) in changes {
            let set = async {
                let set = self.connector.table.select_account(workspace, &account.id, *selected).await?;
                if *selected {
                    // The recurring schedule first: from now on the account is synced, whatever becomes of this first time.
                    let recurring = sync(account, SyncCause::Recurring);
                    self.host
                        .schedules
                        .ensure_recurring(&recurring, SyncCause::SYNC_INTERVAL_MINUTES)
                        .await?;
                }
                Ok(set)
            };
            results.push(set.await);
        }
        let newly_selected = results.iter().flatten().filter(|account| account.selected);
        let jobs: Vec<_> = newly_selected.map(|account| sync(account, SyncCause::Selected)).collect();
        if let Err(error) = self.host.queues.send(&jobs).await {
            for result in results.iter_mut().filter(|result| result.as_ref().is_ok_and(|set| set.selected)) {
                *result = Err(error.clone());
            }
        }
        results
    }
}
