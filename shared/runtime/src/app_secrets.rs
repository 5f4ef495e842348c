//! The secrets that the app and Meta share.

use domain::FieldError;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// Secrets of the app, stored together in one JSON object.
#[derive(Debug, Clone, Deserialize)]
pub struct AppSecrets {
    /// App secret: Meta signs with it, and we prove our calls with it.
    pub app_secret: SecretString,
    /// Previous app secret during a rotation, with which Meta may still sign.
    #[serde(default)]
    pub previous_app_secret: Option<SecretString>,
    /// Verify token of the webhook subscription.
    pub verify_token: SecretString,
}

/// App secret of a fresh deployment until the real one is stored. It is public, so nothing may be signed with it.
pub const PLACEHOLDER_APP_SECRET: &str = "put the real one here";

impl AppSecrets {
    /// Parses the JSON object that holds the secrets.
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
