//! Secrets in Secrets Manager: read, and replaced only by whoever has seen what is there.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{DisplayErrorContext, ProvideErrorMetadata};
use domain::Error;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

/// The label of a version that is about to become the present one.
const NEXT_STAGE: &str = "adflight-next";

/// The label of the present version.
const CURRENT_STAGE: &str = "AWSCURRENT";

/// A secret in Secrets Manager.
pub struct StoredSecret {
    client: Client,
    id: String,
}

/// Names one state of a secret.
pub struct SecretVersion(String);

impl StoredSecret {
    /// The secret of this id.
    pub fn new(client: Client, id: &str) -> Self {
        Self { client, id: id.to_owned() }
    }

    /// Reads its text.
    pub async fn fetch(&self) -> Result<SecretString, Error> {
        self.fetch_with_version().await.map(|(_, text)| text)
    }

    /// Reads its text, and which state that is.
    pub async fn fetch_with_version(&self) -> Result<(SecretVersion, SecretString), Error> {
        let id = &self.id;
        let response = self.client.get_secret_value().secret_id(id).send().await;
        let response = response.map_err(|error| self.unavailable(DisplayErrorContext(error)))?;
        let version = SecretVersion(response.version_id.unwrap_or_default());
        let text = response.secret_string.map(Zeroizing::new);
        let text = text.ok_or_else(|| Error::Internal(format!("secret {id} holds no text")))?;
        Ok((version, exact_size_secret(&text)))
    }

    /// Replaces its text, unless somebody else has done so since it was `seen`: then [`Error::Conflict`].
    ///
    /// To put a text is not conditional; to move the label of the present version away from a certain version is.
    /// So the text is put beside the present one first, which nobody reads.
    pub async fn replace(&self, seen: &SecretVersion, text: &SecretString) -> Result<(), Error> {
        let next = hex::encode(crate::random::bytes::<16>()?);
        let put = self.client.put_secret_value().secret_id(&self.id).client_request_token(&next);
        let put = put.secret_string(text.expose_secret()).version_stages(NEXT_STAGE).send().await;
        put.map_err(|error| self.unavailable(DisplayErrorContext(error)))?;
        let step = self.client.update_secret_version_stage().secret_id(&self.id).version_stage(CURRENT_STAGE);
        let moved = step.move_to_version_id(&next).remove_from_version_id(&seen.0).send().await;
        match moved {
            Ok(_) => Ok(()),
            // The label is elsewhere; or our version has lost its own label to another one that was put since, and
            // is gone.
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

/// Secret text in memory of exactly its size: what is shrunk or grown leaves a copy behind that nobody wipes.
pub(crate) fn exact_size_secret(text: &str) -> SecretString {
    SecretString::from(Box::<str>::from(text))
}
