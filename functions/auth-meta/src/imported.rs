//! Imported ad accounts: a workspace sends their numbers itself, about whichever platform it likes. They have no
//! connection, and nothing at a platform is read or changed for them.

use domain::Error;
use domain::id::AdAccountId;
use domain::money::Currency;
use domain::platform::Platform;
use domain::tenant::Tenant;
use domain::text::Line;
use http::{Method, StatusCode};
use middleware::user_event;
use runtime::endpoint::{self, Endpoint};
use runtime::request::{AdAccountPath, Json, NoQuery, RequestContext};
use runtime::response::NoContent;
use runtime::session::{Role, Session};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::json;
use store::StoreError;
use store::account::{AdAccount, canonical_time_zone};

use crate::AuthMeta;
use crate::views::AdAccountView;

const AD_ACCOUNT: &str = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}";

/// What a workspace says of an ad account whose numbers it sends.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportedAccount {
    /// Its name.
    name: Line<100>,
    /// The platform that its numbers are about, such as `taboola`.
    source: Line<100>,
    /// The currency of its amounts. It stays as it is once the ad account exists.
    currency: Currency,
    /// The IANA time zone of its days. It stays as it is, too.
    #[serde(deserialize_with = "time_zone")]
    timezone: String,
}

fn time_zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    canonical_time_zone(&name).map_err(|error| D::Error::custom(error.message))
}

pub(crate) fn import_ad_account() -> Endpoint<AuthMeta> {
    endpoint::member(Method::PUT, AD_ACCOUNT, Role::Editor)
        .named("import_ad_account", "Creates or renames an imported ad account")
        .description("Its id begins with `import_`. Send its numbers to `POST facts`.")
        .fails_with(Error::Conflict, "The ad account is connected, or has another currency or time zone.")
        .responds(StatusCode::OK, "The ad account.", AuthMeta::import_ad_account)
}

pub(crate) fn delete_ad_account() -> Endpoint<AuthMeta> {
    endpoint::member(Method::DELETE, AD_ACCOUNT, Role::Owner)
        .named("delete_ad_account", "Deletes an imported ad account with its numbers")
        .fails_with(Error::Conflict, "The ad account is connected.")
        .may_be_rate_limited("More is to be deleted than one request can: repeat it.")
        .responds(StatusCode::NO_CONTENT, "It is deleted.", AuthMeta::delete_ad_account)
}

impl AuthMeta {
    async fn import_ad_account(
        self,
        context: RequestContext<Session, AdAccountPath, NoQuery, Json<ImportedAccount>>,
    ) -> Result<Json<AdAccountView>, Error> {
        let RequestContext { caller: session, path: AdAccountPath { ad_account: id }, body, .. } = context;
        let Json(ImportedAccount { name, source, currency, timezone }) = body;
        self.require_imported(&session.workspace, &id).await?;
        let (table, workspace) = (&self.connector.table, &session.workspace);
        let before = table.account(workspace, &id).await?;
        let said = |account: &AdAccount| json!({"name": account.name, "source": account.source});
        let account = AdAccount {
            name: Some(name.into()),
            source: Some(source.into()),
            selected: true,
            ..AdAccount::new(id.clone(), currency, timezone)
        };
        let event = user_event(&session, "ad_account.imported", format!("ad_account/{id}"))?
            .in_account(&id)
            .with_change(json!(before.as_ref().map(said)), said(&account))
            .done_at(self.host.clock.now());
        match table.upsert_account(workspace, &account, Some(&event)).await {
            Err(StoreError::Conflict) => {
                let why = format!("{id} has another currency or time zone, which stay as they were");
                return Err(Error::Conflict(why));
            }
            stored => stored?,
        }
        Ok(Json(AdAccountView::try_from(table.require_account(workspace, &id).await?)?))
    }

    /// Repeating it goes on where it ended: the account's row goes last.
    async fn delete_ad_account(
        self,
        context: RequestContext<Session, AdAccountPath>,
    ) -> Result<NoContent, Error> {
        let RequestContext { caller: session, path: AdAccountPath { ad_account: id }, .. } = context;
        self.require_imported(&session.workspace, &id).await?;
        let (table, workspace) = (&self.connector.table, &session.workspace);
        table.require_account(workspace, &id).await?;
        let event = user_event(&session, "ad_account.deleted", format!("ad_account/{id}"))?.in_account(&id);
        let event = table.record_intent(workspace, event, self.host.clock.now()).await?;
        let deleted = self.delete_account(workspace, &id).await;
        if deleted.as_ref().is_err_and(Error::is_retryable) {
            // A part of it is deleted: the intent stays without an outcome.
            return deleted.map(|()| NoContent);
        }
        event.complete(deleted, None, self.host.clock.now()).await?;
        Ok(NoContent)
    }

    /// Refuses ad accounts at a platform.
    async fn require_imported(&self, workspace: &Tenant, id: &AdAccountId) -> Result<(), Error> {
        if id.platform() == Platform::Imported {
            return Ok(());
        }
        self.connector.table.require_account(workspace, id).await?;
        let why = format!("{id} is connected; ids of imported ad accounts begin with import_");
        Err(Error::Conflict(why))
    }
}
