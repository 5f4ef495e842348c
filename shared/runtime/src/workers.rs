//! Cloudflare Workers: HTTP at the edge, its queue, and the forwarder from that queue to AWS.
//!
//! Rust cannot unwind on a Worker: a panic ends every request of the isolate. Nothing here may panic, and code that
//! parses external bytes first marks the message they belong to (see [`forward`]).

mod forward;
mod health;
mod http;
mod message;
mod poison_marker;
mod queues;
mod sqs;
mod telemetry;

use domain::Error;
use secrecy::SecretString;
use worker::Env;

use crate::AppSecrets;

pub use self::forward::forward;
pub use self::health::report_health;
pub use self::http::serve;
pub use self::queues::Queues;

/// Bindings of wrangler.toml.
const QUEUE_BINDING: &str = "WEBHOOK_QUEUE";
const DEAD_LETTER_BINDING: &str = "WEBHOOK_DEAD_LETTERS";

/// Reads variables and secrets, and collects the missing ones.
struct Settings<'a> {
    env: &'a Env,
    missing: Vec<&'static str>,
}

impl<'a> Settings<'a> {
    fn from_env(env: &'a Env) -> Self {
        Self { env, missing: Vec::new() }
    }

    fn var(&mut self, name: &'static str) -> String {
        let found = self.env.var(name).map(|var| var.to_string()).unwrap_or_default();
        if found.is_empty() {
            self.missing.push(name);
        }
        found
    }

    fn secret(&mut self, name: &'static str) -> SecretString {
        let found = self.optional_secret(name);
        if found.is_none() {
            self.missing.push(name);
        }
        found.unwrap_or_default()
    }

    fn optional_secret(&self, name: &str) -> Option<SecretString> {
        let found = self.env.secret(name).ok()?.to_string();
        (!found.is_empty()).then(|| found.into())
    }

    /// Reports everything that is missing at once.
    fn check(self) -> Result<(), Error> {
        if self.missing.is_empty() {
            return Ok(());
        }
        Err(Error::Internal(format!("not configured: {}", self.missing.join(", "))))
    }
}

/// Reads the app's secrets from the Worker's secrets.
fn app_secrets(env: &Env) -> Result<AppSecrets, Error> {
    let mut settings = Settings::from_env(env);
    let secrets = AppSecrets {
        app_secret: settings.secret("META_APP_SECRET"),
        previous_app_secret: settings.optional_secret("META_APP_SECRET_PREVIOUS"),
        verify_token: settings.secret("META_VERIFY_TOKEN"),
    };
    settings.check()?;
    Ok(secrets)
}

fn unavailable(what: &str, error: &worker::Error) -> Error {
    Error::Unavailable(format!("{what}: {error}"))
}
