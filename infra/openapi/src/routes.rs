//! Every endpoint of every function.

use std::ops::Deref;

use http::Method;
use runtime::endpoint::Declaration;

/// An endpoint of a function.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// The function.
    pub function: &'static str,
    /// The endpoint's declaration.
    pub declaration: &'static Declaration,
}

impl Route {
    /// Returns the methods with which it is asked for. What can be read can be asked for without its body.
    pub fn methods(&self) -> Vec<Method> {
        let head = (self.declaration.method == Method::GET).then_some(Method::HEAD);
        std::iter::once(self.declaration.method.clone()).chain(head).collect()
    }
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
        .chain(of("sync-metrics-chunk", &sync_metrics_chunk::ENDPOINTS))
        .chain(of("evaluate-rules", &evaluate_rules::ENDPOINTS))
        .chain(of("live-updates", &live_updates::ENDPOINTS))
        .chain(of("webhook-ingest", &webhook_ingest::DECLARATIONS))
        .collect()
}
