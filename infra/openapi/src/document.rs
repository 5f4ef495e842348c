//! The whole document.

use std::ops::Deref;

use anyhow::{Context, ensure};
use runtime::endpoint::Declaration;
use serde_json::{Map, Value, json};

use crate::links;
use crate::operation;
use crate::schemas::Schemas;

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

/// Returns the description of the API.
pub fn document() -> anyhow::Result<Value> {
    let mut schemas = Schemas::new();
    let mut paths: Map<String, Value> = Map::new();
    let routes = routes();
    let mut ids = std::collections::BTreeSet::new();
    for route in &routes {
        let description = operation::describe(&mut schemas, route)
            .with_context(|| format!("{} {}", route.method, route.path))?;
        ensure!(ids.insert(route.operation.id.clone()), "{} stands for two routes", route.operation.id);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_ascii_lowercase()] = description;
    }
    let problem = schemas.response(|generator| generator.subschema_for::<runtime::problem::Problem<'_>>());
    debug_assert_eq!(problem, json!({"$ref": operation::PROBLEM}));
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Adflight",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Meta ad accounts: connected, synced, measured, changed and watched by rules. \
                            Failures are problems of RFC 9457 whose `type` is stable. \
                            A request without a Content-Type means JSON.",
        },
        "servers": [{"url": "http://127.0.0.1:8787", "description": "The whole system on a laptop: `cargo run`."}],
        "paths": paths,
        "components": {
            "responses": operation::common_responses(),
            "securitySchemes": {"session": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "A session token of the deployment's issuer.",
            }},
        },
    });
    schemas.finish(&mut document)?;
    links::add(&mut document);
    Ok(document)
}
