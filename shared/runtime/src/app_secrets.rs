//! What the app and Meta both know.

use domain::FieldError;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// The secrets of the app, as they are kept in one place.
#[derive(Debug, Clone, Deserialize)]
pub struct AppSecrets {
    /// Meta signs with it, and we prove our calls with it.
    pub app_secret: SecretString,
    /// While it is being changed: the one before, with which Meta may still sign.
    #[serde(default)]
    pub previous_app_secret: Option<SecretString>,
    /// The text that was given when subscribing to webhooks.
    pub verify_token: SecretString,
}

/// What a deployment puts in the place of the app's secret until a person has put the real one. Everybody knows it, so
/// nothing may be signed with it.
pub const PLACEHOLDER_APP_SECRET: &str = "put the real one here";

impl AppSecrets {
    /// Reads the JSON object in which they are kept.
    pub fn parse(json: &SecretString) -> Result<Self, FieldError> {
        let invalid = |problem| FieldError::new("the app's secret", problem);
        // serde's message could quote a secret, so it is dropped.
        let secrets: Self = serde_json::from_str(json.expose_secret()).map_err(|_| {
            invalid(
                r#"must be {"app_secret":"...","verify_token":"..."}, with "previous_app_secret" if need be"#,
            )
        })?;
        if secrets.app_secret.expose_secret() == PLACEHOLDER_APP_SECRET {
            return Err(invalid("has not been put into the secret store since the deployment"));
        }
        Ok(secrets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_of_an_app_may_name_the_one_before() {
        let parse = |json: &str| AppSecrets::parse(&json.into());
        let one = parse(r#"{"app_secret":"s","verify_token":"v"}"#).unwrap();
        assert!(one.previous_app_secret.is_none());
        let two = parse(r#"{"app_secret":"s","previous_app_secret":"p","verify_token":"v"}"#).unwrap();
        assert_eq!(two.previous_app_secret.unwrap().expose_secret(), "p");
        let error = parse(r#"{"app_secret":"5ec7e7","verify_token":5ec7e7}"#).unwrap_err().to_string();
        assert!(!error.contains("5ec7e7"), "{error}");
    }

    #[test]
    fn nothing_starts_on_the_placeholder_of_a_deployment() {
        let json = format!(r#"{{"app_secret":"{PLACEHOLDER_APP_SECRET}","verify_token":"v"}}"#);
        let error = AppSecrets::parse(&json.into()).unwrap_err().to_string();
        assert!(error.contains("has not been put"), "{error}");
    }
}
