//! Keyring that seals tokens at rest: one secret for all tokens, because a secret per person would cost per person.
//!
//! During a rotation there are two keys: the newer one seals and both open. A process that meets a token under an
//! unknown key fetches the keyring again, so that a rotation needs no restart. Keys and opened tokens are zeroized when
//! they are dropped; buffers of the SDK's HTTP client are beyond our control.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::{Error, FieldError};
use jiff::{SignedDuration, Timestamp};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::sync::Mutex;

use crate::clock::Clock;
use crate::secrets::{SecretVersion, StoredSecret, exact_size_secret};

/// Size of a GCM nonce, in bytes.
const NONCE_BYTES: usize = 12;

/// Size of a key, in bytes.
const KEY_BYTES: usize = 32;

/// Version of the sealed format; part of the authenticated data.
const FORMAT_VERSION: &str = "v1";

/// Minimum interval between fetches for unknown keys.
const MIN_REFETCH_INTERVAL: SignedDuration = SignedDuration::from_secs(10);

/// Maximum age of the keyring that tokens are sealed with.
pub const MAX_KEYRING_AGE: SignedDuration = SignedDuration::from_secs(60);

/// The stored keyring: 32-byte keys in hex by id, and the id of the current key. The format is flat, so that
/// CloudFormation can generate the first key.
#[derive(Clone)]
pub struct KeyringDocument {
    current: String,
    since: Option<Timestamp>,
    keys: BTreeMap<String, Key>,
}

/// Key bytes without a printable form.
#[derive(Clone)]
struct Key(Zeroizing<[u8; KEY_BYTES]>);

impl Key {
    fn generate() -> Result<Self, Error> {
        crate::random::bytes().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    fn from_hex(text: &str) -> Option<Self> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        hex::decode_to_slice(text, key.as_mut_slice()).ok()?;
        Some(Self(key))
    }
}

/// Returns the number of a key id. Keys are numbered in order of creation, and numbers are never reused: `k1`, `k2`,
/// ...
fn key_number(id: &str) -> u64 {
    id.strip_prefix('k').and_then(|number| number.parse().ok()).unwrap_or(0)
}

impl KeyringDocument {
    /// Generates a keyring with one key.
    pub fn generate() -> Result<Self, Error> {
        let keys = BTreeMap::from([("k1".to_owned(), Key::generate()?)]);
        Ok(Self { current: "k1".to_owned(), since: None, keys })
    }

    /// Parses a keyring. Errors quote no input, because it could be a key.
    pub fn parse(json: &SecretString) -> Result<Self, FieldError> {
        let invalid = |_| {
            let form = r#"must be {"current":"k1","k1":"<32 bytes in hex>"}, and `current` one of the keys"#;
            FieldError::new("keyring", form)
        };
        serde_json::from_str(json.expose_secret()).map_err(invalid)
    }

    /// Serializes to JSON.
    pub fn to_json(&self) -> Result<SecretString, Error> {
        // Allocated at full size: a growing buffer leaves copies behind.
        let mut json = Zeroizing::new(Vec::with_capacity(256 + self.keys.len() * 256));
        serde_json::to_writer(&mut *json, self).map_err(|error| Error::Internal(error.to_string()))?;
        let text = std::str::from_utf8(&json).map_err(|error| Error::Internal(error.to_string()))?;
        Ok(exact_size_secret(text))
    }

    /// Returns the id of the current key.
    pub fn current(&self) -> &str {
        &self.current
    }

    /// Returns since when the current key seals, if that is known.
    pub fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// Returns the ids of all keys.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    /// Checks whether the current key is the only one.
    pub fn has_single_key(&self) -> bool {
        self.keys.len() == 1
    }

    /// Returns a key that was added and does not seal yet.
    pub fn pending_key(&self) -> Option<&str> {
        self.ids().filter(|id| key_number(id) > key_number(&self.current)).max_by_key(|id| key_number(id))
    }

    /// Returns a copy with one more key.
    pub fn with_new_key(&self) -> Result<Self, Error> {
        let mut with = self.clone();
        let newest = self.ids().map(key_number).max().unwrap_or(0);
        with.keys.insert(format!("k{}", newest + 1), Key::generate()?);
        Ok(with)
    }

    /// Returns a copy in which this key is the current one from now on.
    pub fn with_current_key(&self, id: &str, now: Timestamp) -> Self {
        Self { current: id.to_owned(), since: Some(now), keys: self.keys.clone() }
    }

    /// Returns a copy with only the current key.
    pub fn with_current_only(&self) -> Self {
        let mut without = self.clone();
        without.keys.retain(|id, _| *id == self.current);
        without
    }
}

impl Serialize for KeyringDocument {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("current", &self.current)?;
        if let Some(since) = self.since {
            map.serialize_entry("since", &since)?;
        }
        for (id, key) in &self.keys {
            map.serialize_entry(id, &*Zeroizing::new(hex::encode(key.0.as_slice())))?;
        }
        map.end()
    }
}

/// Written by hand because serde's `flatten` keeps copies of the keys that are not zeroized.
impl<'de> Deserialize<'de> for KeyringDocument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Flat;

        impl<'de> Visitor<'de> for Flat {
            type Value = KeyringDocument;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a keyring")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<KeyringDocument, A::Error> {
                let (mut current, mut since, mut keys) = (None, None, BTreeMap::new());
                while let Some(name) = map.next_key::<String>()? {
                    match name.as_str() {
                        "current" => current = Some(map.next_value::<String>()?),
                        "since" => since = Some(map.next_value::<Timestamp>()?),
                        id => {
                            let text = Zeroizing::new(map.next_value::<String>()?);
                            let key = Key::from_hex(&text).filter(|_| is_id(id));
                            let key = key.ok_or_else(|| A::Error::custom("a key"))?;
                            if keys.insert(name, key).is_some() {
                                return Err(A::Error::custom("a key twice"));
                            }
                        }
                    }
                }
                let current = current.filter(|id| keys.contains_key(id));
                let current = current.ok_or_else(|| A::Error::custom("current"))?;
                Ok(KeyringDocument { current, since, keys })
            }
        }

        deserializer.deserialize_map(Flat)
    }
}

/// Checks the form of a key id, which is delimited by dots in sealed text.
fn is_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// Returns the id of the key that sealed a text.
pub fn key_id_of(sealed: &str) -> Option<&str> {
    let mut parts = sealed.split('.');
    (parts.next() == Some(FORMAT_VERSION)).then(|| parts.next()).flatten()
}

/// Keys of one fetched keyring.
struct Keys {
    current: String,
    ciphers: BTreeMap<String, Aes256Gcm>,
    requested_at: Timestamp,
}

impl Keys {
    fn new(document: &KeyringDocument, requested_at: Timestamp) -> Self {
        let ciphers = document.keys.iter().filter_map(|(id, key)| {
            // Parsing has verified the length.
            Some((id.clone(), Aes256Gcm::new_from_slice(key.0.as_slice()).ok()?))
        });
        let ciphers = ciphers.collect();
        Self { current: document.current.clone(), ciphers, requested_at }
    }

    fn seal(&self, secret: &str, context: &str) -> Result<String, Error> {
        let id = &self.current;
        let cipher =
            self.ciphers.get(id).ok_or_else(|| Error::Internal("the keyring is empty".to_owned()))?;
        let nonce = crate::random::bytes::<NONCE_BYTES>()?;
        let aad = associated_data(id, context);
        let sealed = cipher
            .encrypt(&Nonce::from(nonce), Payload { msg: secret.as_bytes(), aad: aad.as_bytes() })
            .map_err(|_| Error::Internal("a secret could not be sealed".to_owned()))?;
        Ok(format!("{FORMAT_VERSION}.{id}.{}", URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat())))
    }

    fn open(&self, sealed: &str, context: &str) -> Option<SecretString> {
        let [FORMAT_VERSION, id, body] = sealed.split('.').collect::<Vec<_>>()[..] else { return None };
        let body = URL_SAFE_NO_PAD.decode(body).ok()?;
        let (nonce, ciphertext) = body.split_first_chunk::<NONCE_BYTES>()?;
        let aad = associated_data(id, context);
        let payload = Payload { msg: ciphertext, aad: aad.as_bytes() };
        let opened = Zeroizing::new(self.ciphers.get(id)?.decrypt(&Nonce::from(*nonce), payload).ok()?);
        std::str::from_utf8(&opened).ok().map(exact_size_secret)
    }
}

fn associated_data(key: &str, context: &str) -> String {
    format!("{FORMAT_VERSION}|{key}|{context}")
}

/// A keyring and the version of the secret it was read from.
pub struct VersionedKeyring {
    /// The keyring.
    pub document: KeyringDocument,
    version: SecretVersion,
}

/// Seals and opens tokens. Cheap to clone; its debug output shows no keys.
#[derive(Clone)]
pub struct Keyring(Arc<Inner>);

struct Inner {
    secret: StoredSecret,
    clock: Clock,
    keys: RwLock<Arc<Keys>>,
    /// When the keyring was last fetched for an unknown key. The holder of the lock fetches; others wait for the
    /// result.
    last_refetch_at: Mutex<Option<Timestamp>>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({} keys)", self.keys().ciphers.len())
    }
}

impl Keyring {
    /// Fetches the keyring.
    pub async fn fetch(secret: StoredSecret, clock: Clock) -> Result<Self, Error> {
        let requested_at = clock.now();
        let document = KeyringDocument::parse(&secret.fetch().await?)?;
        let keys = RwLock::new(Arc::new(Keys::new(&document, requested_at)));
        Ok(Self(Arc::new(Inner { secret, clock, keys, last_refetch_at: Mutex::default() })))
    }

    /// Seals a secret for one `context`; it opens with the same context only.
    pub async fn seal(&self, secret: &SecretString, context: &str) -> Result<String, Error> {
        let mut keys = self.keys();
        // Bounds how long a process that has not seen a rotation can seal with a retired key.
        if self.0.clock.now() > keys.requested_at + MAX_KEYRING_AGE {
            self.refetch().await?;
            keys = self.keys();
        }
        keys.seal(secret.expose_secret(), context)
    }

    /// Opens what [`Self::seal`] sealed for the same context. Returns [`Error::Reconnect`] when the text was changed,
    /// belongs to another context, or its key no longer exists.
    pub async fn open(&self, sealed: &str, context: &str) -> Result<SecretString, Error> {
        let keys = match key_id_of(sealed) {
            Some(id) => self.keys_including(id).await?,
            None => self.keys(),
        };
        let lost = "the token that is kept cannot be read any more; connect again";
        keys.open(sealed, context).ok_or_else(|| Error::Reconnect(lost.to_owned()))
    }

    /// Returns keys that include this one, if it exists.
    async fn keys_including(&self, id: &str) -> Result<Arc<Keys>, Error> {
        let met_at = self.0.clock.now();
        let settled = |keys: &Keys| keys.ciphers.contains_key(id) || keys.requested_at > met_at;
        let keys = self.keys();
        if settled(&keys) {
            return Ok(keys);
        }
        let mut last_refetch_at = self.0.last_refetch_at.lock().await;
        let (keys, now) = (self.keys(), self.0.clock.now());
        if settled(&keys) {
            return Ok(keys);
        }
        if last_refetch_at.is_some_and(|at| at <= now && now < at + MIN_REFETCH_INTERVAL) {
            return Err(Error::Unavailable(format!("the keyring was just fetched, without key {id}")));
        }
        *last_refetch_at = Some(now);
        self.refetch().await?;
        Ok(self.keys())
    }

    /// Ensures that from now on tokens are sealed with this key or a later one.
    pub async fn ensure_current_key(&self, current: &str) -> Result<(), Error> {
        if self.keys().current == current { Ok(()) } else { self.refetch().await.map(drop) }
    }

    /// Returns the id of the current key, as far as this process knows.
    pub fn current(&self) -> String {
        self.keys().current.clone()
    }

    /// Fetches the current keyring, for this process and for a replacement.
    pub async fn refetch(&self) -> Result<VersionedKeyring, Error> {
        let requested_at = self.0.clock.now();
        let (version, json) = self.0.secret.fetch_with_version().await?;
        // Invalid content is a retryable error: this process continues with the keys it has.
        let invalid = |error: FieldError| Error::Unavailable(error.to_string());
        let document = KeyringDocument::parse(&json).map_err(invalid)?;
        self.set_keys(Keys::new(&document, requested_at));
        Ok(VersionedKeyring { document, version })
    }

    /// Replaces the keyring that was read. Returns [`Error::Conflict`] when it has changed since.
    pub async fn replace(&self, seen: &VersionedKeyring, document: &KeyringDocument) -> Result<(), Error> {
        let requested_at = self.0.clock.now();
        self.0.secret.replace(&seen.version, &document.to_json()?).await?;
        self.set_keys(Keys::new(document, requested_at));
        Ok(())
    }

    fn keys(&self) -> Arc<Keys> {
        self.0.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets the keys, unless they come from an earlier request than the present ones.
    fn set_keys(&self, keys: Keys) {
        let mut held = self.0.keys.write().unwrap_or_else(PoisonError::into_inner);
        if keys.requested_at >= held.requested_at {
            *held = Arc::new(keys);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        Keys::new(&KeyringDocument::generate().unwrap(), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_sealed_token_opens_in_its_own_place_only() {
        let keys = keys();
        let sealed = keys.seal("EAAtoken", "demo|c1").unwrap();
        assert_eq!(keys.open(&sealed, "demo|c1").unwrap().expose_secret(), "EAAtoken");
        assert_eq!(key_id_of(&sealed), Some("k1"));
        assert!(!sealed.contains("EAAtoken"));
        assert_ne!(sealed, keys.seal("EAAtoken", "demo|c1").unwrap());

        assert!(keys.open(&sealed, "demo|c2").is_none());
        assert!(keys.open(&sealed.replace(".k1.", ".k2."), "demo|c1").is_none());
        assert!(self::keys().open(&sealed, "demo|c1").is_none());
        for at in 0..sealed.len() {
            let mut flipped = sealed.clone().into_bytes();
            flipped[at] = if flipped[at] == b'A' { b'B' } else { b'A' };
            let flipped = String::from_utf8(flipped).unwrap();
            let same = keys.open(&flipped, "demo|c1").is_some_and(|t| t.expose_secret() != "EAAtoken");
            assert!(!same, "{at}");
        }
    }

    #[test]
    fn every_flipped_bit_of_nonce_text_and_tag_is_found() {
        let keys = keys();
        let sealed = keys.seal("EAAtoken", "demo|c1").unwrap();
        let (head, body) = sealed.rsplit_once('.').unwrap();
        let body = URL_SAFE_NO_PAD.decode(body).unwrap();
        for bit in 0..body.len() * 8 {
            let mut flipped = body.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let flipped = format!("{head}.{}", URL_SAFE_NO_PAD.encode(flipped));
            assert!(keys.open(&flipped, "demo|c1").is_none(), "{bit}");
        }
    }

    #[test]
    fn a_broken_keyring_is_refused_without_showing_keys() {
        let good = "5ec7e7".repeat(10) + "5ec7";
        let twice = format!(r#"{{"current":"a","a":"{good}","a":"{good}"}}"#);
        let dotted = format!(r#"{{"current":"a.b","a.b":"{good}"}}"#);
        for broken in [
            "{}",
            r#"{"current":"a","a":"5ec7e7"}"#,
            r#"{"current":"a","b":5ec7e7}"#,
            r#"{"current":"a"}"#,
            &twice,
            &dotted,
        ] {
            let refused = KeyringDocument::parse(&broken.into()).err();
            let error = refused.unwrap_or_else(|| panic!("{broken} is taken")).to_string();
            assert!(!error.contains("5ec7e7"), "{error}");
        }
        assert!(KeyringDocument::parse(&format!(r#"{{"current":"a","a":"{good}"}}"#).into()).is_ok());
    }

    #[test]
    fn a_keyring_reads_the_same_after_it_was_written_and_numbers_no_two_keys_alike() {
        let now: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let document = KeyringDocument::generate().unwrap().with_new_key().unwrap();
        assert_eq!(
            (document.current(), document.pending_key(), document.has_single_key()),
            ("k1", Some("k2"), false)
        );
        let document = document.with_current_key("k2", now);
        let read = KeyringDocument::parse(&document.to_json().unwrap()).unwrap();
        assert_eq!((read.current(), read.since(), read.pending_key()), ("k2", Some(now), None));
        assert_eq!(read.keys["k1"].0, document.keys["k1"].0);
        let next = read.with_current_only().with_new_key().unwrap();
        assert_eq!(next.ids().collect::<Vec<_>>(), ["k2", "k3"]);
    }
}
