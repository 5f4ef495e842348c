//! Imported ad accounts: a workspace sends their numbers itself, about whichever platform it likes. They have no
//! connection, and nothing at a platform is read or changed for them.

use domain::id::AdAccountId;
use domain::money::Currency;
use domain::platform::Platform;
use domain::tenant::Tenant;
use domain::text::is_single_line;
use domain::{Error, FieldError};
use http::{Method, StatusCode};
use middleware::user_event;
use runtime::endpoint::{self, Endpoint};
use runtime::request::{AdAccountPath, Json, NoQuery, RequestContext};
use runtime::response::NoContent;
use runtime::session::{Role, Session};
use serde::Deserialize;
use serde_json::json;
use store::account::{AdAccount, canonical_time_zone};

use crate::AuthMeta;
use crate::views::AdAccountView;

const AD_ACCOUNT: &str = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}";

/// Characters of a name or a source at most.
const MAX_CHARS: usize = 100;

/// What a workspace says of an ad account whose numbers it sends.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportedAccount {
    /// Its name.
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_CHARS), extend("pattern" = domain::text::SINGLE_LINE_PATTERN)))]
    name: String,
    /// The platform that its numbers are about, such as `taboola`.
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_CHARS), extend("pattern" = domain::text::SINGLE_LINE_PATTERN)))]
    source: String,
    /// The currency of its amounts. It stays as it is once the ad account exists.
    currency: Currency,
    /// The IANA time zone of its days. It stays as it is, too.
    timezone: String,
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
        let mut errors: Vec<_> = [("name", &name), ("source", &source)]
            .into_iter()
            .filter(|(_, text)| !is_single_line(text, MAX_CHARS))
            .map(|(field, _)| {
                FieldError::new(field, format!("must be a line of 1 to {MAX_CHARS} characters"))
            })
            .collect();
        let timezone = canonical_time_zone(&timezone).map_err(|error| errors.push(error)).unwrap_or_default();
        if !errors.is_empty() {
            return Err(Error::Invalid(errors));
        }
        let (table, workspace) = (&self.connector.table, &session.workspace);
        let before = table.account(workspace, &id).await?;
        let is_same = |before: &AdAccount| before.currency == currency && before.timezone == timezone;
        if let Some(before) = before.as_ref().filter(|before| !is_same(before)) {
            // Its numbers would be those of other days, or amounts of another currency.
            let why = format!(
                "{id} has the currency {} and the time zone {}, which stay",
                before.currency, before.timezone
            );
            return Err(Error::Conflict(why));
        }
        let said = |account: &AdAccount| json!({"name": account.name, "source": account.source});
        let account = AdAccount {
            name: Some(name),
            source: Some(source),
            selected: true,
            ..AdAccount::new(id.clone(), currency, timezone)
        };
        let event = user_event(&session, "ad_account.imported", format!("ad_account/{id}"))?
            .in_account(&id)
            .with_change(json!(before.as_ref().map(said)), said(&account))
            .done_at(self.host.clock.now());
        table.upsert_account(workspace, &account, Some(&event)).await?;
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
