//! openapi.yaml, made of the functions' tables of routes, of what they say of each route, and of the types that
//! requests are read into and answers are written from.

pub mod document;
mod links;
mod operation;
mod schemas;
mod yaml;

pub use document::{RouteDescription, document, routes};
pub use yaml::yaml;

/// Where the description is kept, below the workspace's folder.
pub const FILE: &str = "openapi.yaml";

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    #[test]
    fn openapi_yaml_says_what_the_routes_say() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(super::FILE);
        let committed = fs::read_to_string(path).unwrap_or_default();
        let generated = super::yaml(&super::document().unwrap()).unwrap();
        let differs = committed
            .lines()
            .zip(generated.lines())
            .position(|(committed, generated)| committed != generated);
        assert!(
            committed == generated,
            "openapi.yaml is old from line {differs:?} on; run `cargo xtask openapi`"
        );
    }
}
