//! Prints openapi.yaml, or with `template` and a template on its input, the template with its endpoints.

use std::io::{Read, Write};

fn main() -> anyhow::Result<()> {
    let made = match std::env::args().nth(1).as_deref() {
        Some("template") => {
            let mut template = String::new();
            std::io::stdin().read_to_string(&mut template)?;
            openapi::template::with_events(&template)?
        }
        _ => openapi::yaml(&openapi::document()?)?,
    };
    Ok(std::io::stdout().write_all(made.as_bytes())?)
}
