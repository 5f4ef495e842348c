//! Every endpoint of every function.

use std::ops::Deref;

use runtime::endpoint::Declaration;

/// An endpoint of a function.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// The function.
    pub function: &'static str,
    /// The endpoint's declaration.
    pub declaration: &'static Declaration,
}

impl Deref for Route {
    type Target = Declaration;

    fn deref(&self) -> &Declaration {
        self.declaration
    }
}

/// Returns every endpoint of every function, in the order of their lists.
pub fn routes() -> Vec<Route> {
    fn of<E: AsRef<Declaration>>(
        function: &'static str,
        endpoints: &'static [E],
    ) -> impl Iterator<Item = Route> {
        endpoints.iter().map(move |endpoint| Route { function, declaration: endpoint.as_ref() })
    }
    of("auth-meta", &auth_meta::ENDPOINTS)
        .chain(of("workspaces", &workspaces::ENDPOINTS))
        .chain(of("manage-campaign", &manage_campaign::ENDPOINTS))
        .chain(of("query-insights", &query_insights::ENDPOINTS))
        .chain(of("sync-entities", &sync_entities::ENDPOINTS))
        .chain(of("evaluate-rules", &evaluate_rules::ENDPOINTS))
        .chain(of("webhook-ingest", &webhook_ingest::DECLARATIONS))
        .collect()
}
