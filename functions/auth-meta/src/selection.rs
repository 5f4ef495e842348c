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
use store::audit::{Actor, AuditEvent, MAX_EVENTS_PER_TRANSACTION, PendingEvent};

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
        .named("select_ad_account", "Says whether an ad account is synced")
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
        let set = self.select_accounts(&session.subject, &session.workspace, &[(account, selected)]).await?;
        let missing = || Error::Internal("a selection had no outcome".to_owned());
        Ok(Json(AdAccountView::from(set.into_iter().next().ok_or_else(missing)?)))
    }

    /// Selects or deselects ad accounts for a person and records an audit event for each. When one fails, the others
    /// may have been set.
    ///
    /// Selecting twice syncs twice, which is harmless; selecting again repairs a selection whose message was lost.
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
            let now = self.host.clock.now();
            let events = self.connector.table.record_intents(workspace, events?, now).await?;
            let results = self.set_selected(workspace, batch).await;
            for result in PendingEvent::complete_all(events, results, self.host.clock.now()).await {
                set.push(result?);
            }
        }
        Ok(set)
    }

    /// Sets each account in order.
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
                    // The recurring schedule first: the account is synced even if this first job is lost.
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
