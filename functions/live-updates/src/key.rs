//! The key that the API and its hub share. It signs tickets, which a browser carries from the one to the other, and what
//! the API publishes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::FieldError;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// The shortest key, in bytes: as long as what it signs with.
const MIN_LENGTH: usize = 32;

/// What a signature is for. One that was made for something else does not hold.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    /// The right to open a socket.
    Ticket,
    /// A request that publishes events.
    Publish,
}

/// The key of a hub.
#[derive(Debug, Clone)]
pub struct HubKey(SecretString);

impl HubKey {
    /// Checks a key, which must be long.
    pub fn new(key: SecretString) -> Result<Self, FieldError> {
        if key.expose_secret().len() < MIN_LENGTH {
            let message = "must have at least 32 characters, the same at the API and at the hub";
            return Err(FieldError::new("the hub's key", message));
        }
        Ok(Self(key))
    }

    fn mac(&self, purpose: Purpose, text: &str) -> Option<Hmac<Sha256>> {
        let purpose: &[u8] = match purpose {
            Purpose::Ticket => b"ticket.",
            Purpose::Publish => b"publish.",
        };
        let mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret().as_bytes()).ok()?;
        Some(mac.chain_update(purpose).chain_update(text))
    }

    /// Signs a text: HMAC-SHA256 in base64url.
    pub(crate) fn sign(&self, purpose: Purpose, text: &str) -> String {
        // A key of any length can be used, so there always is a signature.
        self.mac(purpose, text)
            .map(|mac| URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
            .unwrap_or_default()
    }

    /// Checks a signature, in constant time.
    pub(crate) fn verify(&self, purpose: Purpose, text: &str, signature: &str) -> bool {
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
        self.mac(purpose, text).is_some_and(|mac| mac.verify_slice(&signature).is_ok())
    }
}
