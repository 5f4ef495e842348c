//! What the app and Meta both know.

use ads::Invalid;
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

impl AppSecrets {
    /// Reads the JSON object in which they are kept.
    pub fn parse(json: &SecretString) -> Result<Self, Invalid> {
        // serde's message could quote a secret, so it is dropped.
        serde_json::from_str(json.expose_secret()).map_err(|_| {
            let shape =
                r#"must be {"app_secret":"...","verify_token":"..."}, with "previous_app_secret" if need be"#;
            Invalid::new("the app's secret", shape)
        })
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
}
