//! Configuration from the environment, read once at start.

/// Reads variables and collects the missing ones, so that all are reported at once.
#[derive(Debug, Default)]
pub struct Env {
    missing: Vec<&'static str>,
}

/// Required variables that are not set.
#[derive(Debug, thiserror::Error)]
#[error("set these environment variables: {}", .0.join(", "))]
pub struct MissingVariables(Vec<&'static str>);

impl Env {
    /// Returns a required variable. A missing one is empty until [`Self::check`] fails.
    pub fn required(&mut self, name: &'static str) -> String {
        let value = Self::optional(name);
        if value.is_none() {
            self.missing.push(name);
        }
        value.unwrap_or_default()
    }

    /// Returns a variable that may be unset or empty.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    pub fn optional(name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }

    /// Fails when a required variable is missing.
    pub fn check(self) -> Result<(), MissingVariables> {
        if self.missing.is_empty() { Ok(()) } else { Err(MissingVariables(self.missing)) }
    }
}
