//! Signatures with the app secret.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Returns the HMAC-SHA256 of a message under a secret.
pub(crate) fn sign(secret: &str, message: &str) -> Vec<u8> {
    // HMAC accepts keys of any length, so this branch is never reached.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return Vec::new() };
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Returns the `appsecret_proof` of a token.
pub(crate) fn proof(secret: &str, token: &str) -> String {
    hex::encode(sign(secret, token))
}
