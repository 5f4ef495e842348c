//! Prints openapi.yaml as the routes say it.

use std::io::Write;

fn main() -> anyhow::Result<()> {
    let made = openapi::yaml(&openapi::document()?)?;
    Ok(std::io::stdout().write_all(made.as_bytes())?)
}
