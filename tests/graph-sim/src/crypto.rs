//! Signatures with the app secret.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// HMAC-SHA256 of a message under a secret.
pub(crate) fn sign(secret: &str, message: &str) -> Vec<u8> {
    // HMAC takes keys of any length: the empty arm is never reached.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return Vec::new() };
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// What a caller sends as `appsecret_proof` beside a token.
pub(crate) fn proof(secret: &str, token: &str) -> String {
    hex::encode(sign(secret, token))
}
