//! What launches in an ad account use where their document is silent.

use domain::Error;
use domain::account::LaunchDefaults;
use domain::id::AdAccountId;
use runtime::route::RequestContext;
use runtime::{Response, response};
use serde_json::json;

use crate::{AuthMeta, Endpoint};

impl AuthMeta {
    pub(crate) async fn defaults(&self, context: &RequestContext<Endpoint>) -> Result<Response, Error> {
        let account =
            self.connector.table.require_account(context.workspace()?, &context.path("ad_account")?).await?;
        response::ok(&account.details.defaults)
    }

    /// Replaces all of them. What no launch could use is refused here already.
    pub(crate) async fn set_defaults(&self, context: &RequestContext<Endpoint>) -> Result<Response, Error> {
        let (workspace, id): (_, AdAccountId) = (context.workspace()?, context.path("ad_account")?);
        let defaults: LaunchDefaults = context.json()?;
        let table = &self.connector.table;
        let account = table.require_account(workspace, &id).await?;
        let connection = table.connection(workspace, &account.connection).await?;
        let mut field_errors = defaults.check();
        let (dsa, identities) = (defaults.dsa.as_ref(), &defaults.regional_identities);
        field_errors.extend(account.check_beneficiaries(connection.as_ref(), dsa, identities, ""));
        if !field_errors.is_empty() {
            return Err(Error::Invalid(field_errors));
        }
        let event = access::audit::user_event(context, "ad_account.defaults", format!("ad_account/{id}"))?;
        let event = event.with_change(json!(account.details.defaults), json!(defaults));
        let event = self.connector.record_intent(workspace, event).await?;
        let stored = table.update_launch_defaults(workspace, &id, &defaults).await.map_err(Error::from);
        let stored = event.complete(stored, None, self.host.clock.now()).await?;
        response::ok(&stored.details.defaults)
    }
}
