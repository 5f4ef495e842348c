//! Secrets in Secrets Manager, with conditional replacement.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{DisplayErrorContext, ProvideErrorMetadata};
use domain::Error;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

/// Staging label of a version that is about to become current.
const NEXT_STAGE: &str = "adflight-next";

/// Staging label of the current version.
const CURRENT_STAGE: &str = "AWSCURRENT";

/// A secret in Secrets Manager.
pub struct StoredSecret {
    client: Client,
    id: String,
}

/// Version of a secret.
pub struct SecretVersion(String);

impl StoredSecret {
    /// Creates a handle to the secret with this id.
    pub fn new(client: Client, id: &str) -> Self {
        Self { client, id: id.to_owned() }
    }

    /// Fetches the text.
    pub async fn fetch(&self) -> Result<SecretString, Error> {
        self.fetch_with_version().await.map(|(_, text)| text)
    }

    /// Fetches the text and its version.
    pub async fn fetch_with_version(&self) -> Result<(SecretVersion, SecretString), Error> {
        let id = &self.id;
        let response = self.client.get_secret_value().secret_id(id).send().await;
        let response = response.map_err(|error| self.unavailable(DisplayErrorContext(error)))?;
        let version = SecretVersion(response.version_id.unwrap_or_default());
        let text = response.secret_string.map(Zeroizing::new);
        let text = text.ok_or_else(|| Error::Internal(format!("secret {id} holds no text")))?;
        Ok((version, exact_size_secret(&text)))
    }

    /// Replaces the text, or returns [`Error::Conflict`] if it has changed since it was `seen`.
    ///
    /// Writing a version is not conditional, but moving the current label away from a given version is. The new version
    /// is therefore written under another label first, which nobody reads.
    pub async fn replace(&self, seen: &SecretVersion, text: &SecretString) -> Result<(), Error> {
        let next = hex::encode(crate::random::bytes::<16>()?);
        let put = self.client.put_secret_value().secret_id(&self.id).client_request_token(&next);
        let put = put.secret_string(text.expose_secret()).version_stages(NEXT_STAGE).send().await;
        put.map_err(|error| self.unavailable(DisplayErrorContext(error)))?;
        let step = self.client.update_secret_version_stage().secret_id(&self.id).version_stage(CURRENT_STAGE);
        let moved = step.move_to_version_id(&next).remove_from_version_id(&seen.0).send().await;
        match moved {
            Ok(_) => Ok(()),
            // The label has moved, or the new version has lost its own label to a later one and no longer exists.
            Err(error)
                if matches!(
                    error.code(),
                    Some("InvalidParameterException" | "ResourceNotFoundException")
                ) =>
            {
                Err(Error::Conflict(format!("secret {} was changed by somebody else", self.id)))
            }
            Err(error) => Err(self.unavailable(DisplayErrorContext(error))),
        }
    }

    fn unavailable(&self, error: impl std::fmt::Display) -> Error {
        Error::Unavailable(format!("secret {}: {error}", self.id))
    }
}

/// Allocates secret text at its exact size: shrinking or growing leaves a copy behind that is not zeroized.
pub(crate) fn exact_size_secret(text: &str) -> SecretString {
    SecretString::from(Box::<str>::from(text))
}
