//! Defaults of an ad account for fields that a launch document leaves out.

use domain::Error;
use domain::platform::PlatformData;
use graph_api::account::AccountDetails;
use graph_api::launch::LaunchDefaults;
use http::{Method, StatusCode};
use middleware::user_event;
use middleware::version::require_match;
use runtime::endpoint::{self, Endpoint};
use runtime::request::{AdAccountPath, Json, NoQuery, RequestContext};
use runtime::session::{Role, Session};
use serde_json::json;

use crate::AuthMeta;

const DEFAULTS: &str = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/defaults";

pub(crate) fn get_defaults() -> Endpoint<AuthMeta> {
    endpoint::member(Method::GET, DEFAULTS, Role::Viewer)
        .named("get_defaults", "Returns the launch defaults of an ad account")
        .responds(StatusCode::OK, "The defaults.", AuthMeta::get_defaults)
}

pub(crate) fn set_defaults() -> Endpoint<AuthMeta> {
    endpoint::member(Method::PUT, DEFAULTS, Role::Editor)
        .named("set_defaults", "Replaces the launch defaults of an ad account")
        .description("All of them are replaced.")
        .checks_version()
        .fails_with(Error::Conflict, "Somebody else replaced them at the same moment.")
        .responds(StatusCode::OK, "The defaults.", AuthMeta::set_defaults)
}

impl AuthMeta {
    async fn get_defaults(
        self,
        context: RequestContext<Session, AdAccountPath>,
    ) -> Result<Json<LaunchDefaults>, Error> {
        let RequestContext { caller: session, path, .. } = context;
        let account = self.connector.table.require_account(&session.workspace, &path.ad_account).await?;
        Ok(Json(account.launch_defaults.read()?))
    }

    /// Replaces all defaults. Rejects values that no launch could use.
    async fn set_defaults(
        self,
        context: RequestContext<Session, AdAccountPath, NoQuery, Json<LaunchDefaults>>,
    ) -> Result<Json<LaunchDefaults>, Error> {
        let RequestContext { caller: session, path, body: Json(defaults), request, .. } = context;
        let (workspace, id) = (&session.workspace, path.ad_account);
        let table = &self.connector.table;
        let account = table.require_account(workspace, &id).await?;
        let connection = table.connection(workspace, account.require_connection()?).await?;
        let mut field_errors = defaults.check();
        let (dsa, identities) = (defaults.dsa.as_ref(), &defaults.regional_identities);
        let details: AccountDetails = account.details.read()?;
        let is_system_user =
            account.accessible && connection.is_some_and(|connection| connection.is_system_user());
        field_errors.extend(details.check_beneficiaries(is_system_user, dsa, identities, ""));
        if !field_errors.is_empty() {
            return Err(Error::Invalid(field_errors));
        }
        let event = user_event(&session, "ad_account.defaults_changed", format!("ad_account/{id}"))?;
        let before: LaunchDefaults = account.launch_defaults.read()?;
        require_match(&request, &before)?;
        let event = event.with_change(json!(before), json!(defaults));
        let event = event.done_at(self.host.clock.now());
        let replacement = PlatformData::new(&defaults)?;
        table.update_launch_defaults(workspace, &account, &replacement, &event).await?;
        Ok(Json(defaults))
    }
}
