//! Secrets: fetched once from Secrets Manager, and the keyring that seals tokens at rest.
//!
//! One secret holds the keyring for everybody; a secret per person would cost by the head.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use ads::{Failure, Invalid};
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::DisplayErrorContext;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

/// Bytes of a GCM nonce.
const NONCE: usize = 12;

/// The form of sealed text; part of what is authenticated.
const VERSION: &str = "v1";

/// A secret in Secrets Manager.
pub struct SecretAt {
    client: Client,
    id: String,
}

impl SecretAt {
    /// The secret of this id.
    pub fn new(client: Client, id: &str) -> Self {
        Self { client, id: id.to_owned() }
    }

    /// Reads its text.
    pub async fn fetch(&self) -> Result<SecretString, Failure> {
        let id = &self.id;
        let answer =
            self.client.get_secret_value().secret_id(id).send().await.map_err(|error| {
                Failure::Unavailable(format!("secret {id}: {}", DisplayErrorContext(error)))
            })?;
        let text = answer.secret_string;
        text.map(SecretString::from).ok_or_else(|| Failure::Defect(format!("secret {id} holds no text")))
    }
}

/// The keyring as it is kept: keys of 32 bytes in hex by id, and beside them the id of the one that seals. The
/// form is flat, so that CloudFormation can generate the first key.
#[derive(Serialize, Deserialize)]
pub struct KeyringDocument {
    /// The key that seals.
    pub current: String,
    /// Every key that still opens.
    #[serde(flatten)]
    pub keys: BTreeMap<String, String>,
}

impl KeyringDocument {
    /// A keyring with one fresh key.
    pub fn generate() -> Result<Self, Failure> {
        let key = hex::encode(crate::random::bytes::<32>()?);
        Ok(Self { current: "k1".to_owned(), keys: BTreeMap::from([("k1".to_owned(), key)]) })
    }
}

/// The keys that seal tokens. Cheap to clone; prints nothing of them.
#[derive(Clone)]
pub struct Keyring(Arc<Keys>);

struct Keys {
    current: String,
    ciphers: BTreeMap<String, Aes256Gcm>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({} keys)", self.0.ciphers.len())
    }
}

impl Keyring {
    /// Reads a [`KeyringDocument`].
    pub fn parse(json: &SecretString) -> Result<Self, Invalid> {
        // serde's message could quote a key, so it is dropped.
        let shape = |_| Invalid::new("keyring", r#"must be {"current":"k1","k1":"<32 bytes in hex>"}"#);
        let document: KeyringDocument = serde_json::from_str(json.expose_secret()).map_err(shape)?;
        let mut ciphers = BTreeMap::new();
        for (id, key) in document.keys {
            let cipher = hex::decode(key).ok().and_then(|key| Aes256Gcm::new_from_slice(&key).ok());
            let problem = || Invalid::new("keyring", format!("key {id} must be 32 bytes in hex"));
            let cipher = cipher.ok_or_else(problem)?;
            ciphers.insert(id, cipher);
        }
        if !ciphers.contains_key(&document.current) {
            return Err(Invalid::new("keyring", "`current` must name one of the keys"));
        }
        Ok(Self(Arc::new(Keys { current: document.current, ciphers })))
    }

    /// Seals a secret for one place: `context` names the place, and the text opens nowhere else.
    pub fn seal(&self, secret: &str, context: &str) -> Result<String, Failure> {
        let id = &self.0.current;
        let cipher =
            self.0.ciphers.get(id).ok_or_else(|| Failure::Defect("the keyring is empty".to_owned()))?;
        let nonce = crate::random::bytes::<NONCE>()?;
        let aad = associated_data(id, context);
        let sealed = cipher
            .encrypt(&Nonce::from(nonce), Payload { msg: secret.as_bytes(), aad: aad.as_bytes() })
            .map_err(|_| Failure::Defect("a secret could not be sealed".to_owned()))?;
        Ok(format!("{VERSION}.{id}.{}", URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat())))
    }

    /// Opens what [`Self::seal`] made for the same context.
    pub fn open(&self, sealed: &str, context: &str) -> Result<SecretString, Failure> {
        let open = || {
            let [VERSION, id, body] = sealed.split('.').collect::<Vec<_>>()[..] else { return None };
            let body = URL_SAFE_NO_PAD.decode(body).ok()?;
            let (nonce, ciphertext) = body.split_first_chunk::<NONCE>()?;
            let aad = associated_data(id, context);
            let payload = Payload { msg: ciphertext, aad: aad.as_bytes() };
            let opened = self.0.ciphers.get(id)?.decrypt(&Nonce::from(*nonce), payload).ok()?;
            String::from_utf8(opened).ok()
        };
        let failure =
            || Failure::Defect("a sealed token does not open: another key, place or text".to_owned());
        open().map(SecretString::from).ok_or_else(failure)
    }
}

fn associated_data(key: &str, context: &str) -> String {
    format!("{VERSION}|{key}|{context}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyring() -> Keyring {
        let document = KeyringDocument::generate().unwrap();
        Keyring::parse(&serde_json::to_string(&document).unwrap().into()).unwrap()
    }

    #[test]
    fn a_sealed_token_opens_in_its_own_place_only() {
        let keyring = keyring();
        let sealed = keyring.seal("EAAtoken", "demo|c1").unwrap();
        assert_eq!(keyring.open(&sealed, "demo|c1").unwrap().expose_secret(), "EAAtoken");
        assert!(!sealed.contains("EAAtoken"));
        assert_ne!(sealed, keyring.seal("EAAtoken", "demo|c1").unwrap());

        assert!(keyring.open(&sealed, "demo|c2").is_err());
        assert!(keyring.open(&sealed.replace(".k1.", ".k2."), "demo|c1").is_err());
        assert!(self::keyring().open(&sealed, "demo|c1").is_err());
        for at in 0..sealed.len() {
            let mut flipped = sealed.clone().into_bytes();
            flipped[at] = if flipped[at] == b'A' { b'B' } else { b'A' };
            let flipped = String::from_utf8(flipped).unwrap();
            let same = keyring.open(&flipped, "demo|c1").is_ok_and(|t| t.expose_secret() != "EAAtoken");
            assert!(!same, "{at}");
        }
    }

    #[test]
    fn a_broken_keyring_is_refused_without_showing_keys() {
        for broken in
            ["{}", r#"{"current":"a","a":"5ec7e7"}"#, r#"{"current":"a","b":5ec7e7}"#, r#"{"current":"a"}"#]
        {
            let error = Keyring::parse(&broken.into()).unwrap_err().to_string();
            assert!(!error.contains("5ec7e7"), "{error}");
        }
    }
}
