//! openapi.yaml, generated from the functions' route tables, from the routes' descriptions, and from the types of
//! requests and responses.

pub mod document;
pub mod examples;
mod links;
mod operation;
mod problems;
mod routes;
mod schemas;
pub mod template;
mod yaml;

pub use document::document;
pub use routes::{Route, routes};
pub use yaml::yaml;

/// The description's file, below the workspace's folder.
pub const FILE: &str = "openapi.yaml";

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    #[test]
    fn openapi_yaml_matches_the_routes() {
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

    #[test]
    fn template_yaml_has_the_events_of_the_declarations() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(super::template::TEMPLATE);
        let kept = fs::read_to_string(path).unwrap_or_default();
        let made = super::template::with_events(&kept).unwrap();
        assert!(kept == made, "the endpoints of template.yaml are old; run `cargo xtask template`");
    }
}
