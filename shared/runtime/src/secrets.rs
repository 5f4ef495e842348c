//! Secrets in Secrets Manager: read, and replaced only by whoever has seen what is there.

use ads::Failure;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{DisplayErrorContext, ProvideErrorMetadata};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

/// The label of a version that is about to become the present one.
const NEXT: &str = "adflight-next";

/// The label of the present version.
const CURRENT: &str = "AWSCURRENT";

/// A secret in Secrets Manager.
pub struct SecretAt {
    client: Client,
    id: String,
}

/// Names one state of a secret.
pub struct SecretVersion(String);

impl SecretAt {
    /// The secret of this id.
    pub fn new(client: Client, id: &str) -> Self {
        Self { client, id: id.to_owned() }
    }

    /// Reads its text.
    pub async fn fetch(&self) -> Result<SecretString, Failure> {
        self.fetch_version().await.map(|(_, text)| text)
    }

    /// Reads its text, and which state that is.
    pub async fn fetch_version(&self) -> Result<(SecretVersion, SecretString), Failure> {
        let id = &self.id;
        let answer = self.client.get_secret_value().secret_id(id).send().await;
        let answer = answer.map_err(|error| self.unavailable(DisplayErrorContext(error)))?;
        let version = SecretVersion(answer.version_id.unwrap_or_default());
        let text = answer.secret_string.map(Zeroizing::new);
        let text = text.ok_or_else(|| Failure::Defect(format!("secret {id} holds no text")))?;
        Ok((version, exactly(&text)))
    }

    /// Replaces its text, unless somebody else has done so since it was `seen`: then [`Failure::Conflict`].
    ///
    /// To put a text is not conditional; to move the label of the present version away from a certain version is.
    /// So the text is put beside the present one first, which nobody reads.
    pub async fn replace(&self, seen: &SecretVersion, text: &SecretString) -> Result<(), Failure> {
        let next = hex::encode(crate::random::bytes::<16>()?);
        let put = self.client.put_secret_value().secret_id(&self.id).client_request_token(&next);
        let put = put.secret_string(text.expose_secret()).version_stages(NEXT).send().await;
        put.map_err(|error| self.unavailable(DisplayErrorContext(error)))?;
        let step = self.client.update_secret_version_stage().secret_id(&self.id).version_stage(CURRENT);
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
                Err(Failure::Conflict(format!("secret {} was changed by somebody else", self.id)))
            }
            Err(error) => Err(self.unavailable(DisplayErrorContext(error))),
        }
    }

    fn unavailable(&self, error: impl std::fmt::Display) -> Failure {
        Failure::Unavailable(format!("secret {}: {error}", self.id))
    }
}

/// Secret text in memory of exactly its size: what is shrunk or grown leaves a copy behind that nobody wipes.
pub(crate) fn exactly(text: &str) -> SecretString {
    SecretString::from(Box::<str>::from(text))
}
