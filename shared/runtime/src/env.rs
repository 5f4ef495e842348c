//! Configuration out of the environment, read once at start.

/// Reads variables and remembers every one that is missing, so that all are named at once.
#[derive(Debug, Default)]
pub struct Env {
    missing: Vec<&'static str>,
}

/// Variables that must be set before the program can start.
#[derive(Debug, thiserror::Error)]
#[error("set these environment variables: {}", .0.join(", "))]
pub struct MissingVariables(Vec<&'static str>);

impl Env {
    /// A variable that must be there. An empty text stands in until [`Self::check`] refuses to go on.
    pub fn required(&mut self, name: &'static str) -> String {
        let value = Self::optional(name);
        if value.is_none() {
            self.missing.push(name);
        }
        value.unwrap_or_default()
    }

    /// A variable that may be absent or empty.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    pub fn optional(name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }

    /// Fails when a required variable was missing.
    pub fn check(self) -> Result<(), MissingVariables> {
        if self.missing.is_empty() { Ok(()) } else { Err(MissingVariables(self.missing)) }
    }
}
