//! Prints openapi.yaml; with `template` and a template on its input, the template with its endpoints; with `examples` and a
//! recording of responses on its input, the examples of the description.

use std::io::{Read, Write};

fn main() -> anyhow::Result<()> {
    let made = match std::env::args().nth(1).as_deref() {
        Some("template") => {
            let mut template = String::new();
            std::io::stdin().read_to_string(&mut template)?;
            openapi::template::with_events(&template)?
        }
        Some("examples") => {
            let examples = openapi::examples::Examples::choose(std::io::stdin().lock())?;
            serde_json::to_string_pretty(&examples)? + "\n"
        }
        _ => openapi::yaml(&openapi::document()?)?,
    };
    Ok(std::io::stdout().write_all(made.as_bytes())?)
}
