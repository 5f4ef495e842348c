//! The whole document.

use anyhow::{Context, ensure};
use serde_json::{Map, Value, json};

use crate::examples::Examples;
use crate::links;
use crate::operation;
use crate::problems::{PROBLEM, ProblemResponses};
use crate::routes::routes;
use crate::schemas::Schemas;

/// Returns the description of the API.
pub fn document() -> anyhow::Result<Value> {
    let mut schemas = Schemas::new();
    let mut problems = ProblemResponses::default();
    let mut paths: Map<String, Value> = Map::new();
    let routes = routes();
    let mut ids = std::collections::BTreeSet::new();
    for route in &routes {
        let description = operation::describe(&mut schemas, &mut problems, route)
            .with_context(|| format!("{} {}", route.method, route.path))?;
        ensure!(ids.insert(route.operation.id.clone()), "{} stands for two routes", route.operation.id);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_ascii_lowercase()] = description;
    }
    let problem = schemas.response(|generator| generator.subschema_for::<runtime::problem::Problem<'_>>());
    debug_assert_eq!(problem, json!({"$ref": PROBLEM}));
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
            "securitySchemes": {"session": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "A session token of the deployment's issuer.",
            }},
        },
    });
    schemas.finish(&mut document)?;
    problems.finish(&mut document);
    links::add(&mut document);
    Examples::kept()?.add_to(&mut document);
    Ok(document)
}
