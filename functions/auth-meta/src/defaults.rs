//! What launches in an ad account use where their document is silent.

use ads::Failure;
use ads::account::LaunchDefaults;
use ads::id::AdAccountId;
use runtime::route::Visit;
use runtime::{Reply, reply};
use serde_json::json;

use crate::{AuthMeta, Endpoint};

impl AuthMeta {
    pub(crate) async fn defaults(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let account = self.access.table.known_account(visit.workspace()?, &visit.path("ad_account")?).await?;
        reply::ok(&account.details.defaults)
    }

    /// Replaces all of them. What no launch could use is refused here already.
    pub(crate) async fn set_defaults(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let (workspace, id): (_, AdAccountId) = (visit.workspace()?, visit.path("ad_account")?);
        let defaults: LaunchDefaults = visit.json()?;
        let table = &self.access.table;
        let account = table.known_account(workspace, &id).await?;
        let connection = table.connection(workspace, &account.connection).await?;
        let mut found = defaults.check();
        let (dsa, identities) = (defaults.dsa.as_ref(), &defaults.regional_identities);
        found.extend(account.beneficiary_objections(connection.as_ref(), dsa, identities, ""));
        if !found.is_empty() {
            return Err(Failure::Invalid(found));
        }
        let act = access::audit::by_person(visit, "ad_account.defaults", format!("ad_account/{id}"))?;
        let act = act.changing(json!(account.details.defaults), json!(defaults));
        let act = self.access.intend(workspace, act).await?;
        let kept = table.keep_defaults(workspace, &id, &defaults).await.map_err(Failure::from);
        let kept = act.ended(kept, None, self.host.clock.now()).await?;
        reply::ok(&kept.details.defaults)
    }
}
