//! Prints openapi.yaml as the routes say it.

use std::io::Write;

fn main() -> anyhow::Result<()> {
    let yaml = openapi::yaml(&openapi::document()?)?;
    Ok(std::io::stdout().write_all(yaml.as_bytes())?)
}
