//! What the issuer remembers while it runs: codes to exchange, tokens to renew sessions with, and who is signed in.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::Error;
use jiff::{SignedDuration, Timestamp};
use runtime::random;

use super::Person;

/// Entries of a kind that are remembered at most; the oldest is forgotten for a new one.
const MAX_ENTRIES: usize = 1000;

/// An authorization code's request.
#[derive(Debug, Clone)]
pub(super) struct Authorization {
    pub(super) person: Person,
    pub(super) redirect_uri: String,
    /// The S256 challenge of PKCE.
    pub(super) challenge: String,
    pub(super) nonce: Option<String>,
}

/// Secrets of one kind, each with what it stands for.
#[derive(Debug)]
pub(super) struct Secrets<T> {
    ttl: SignedDuration,
    entries: Mutex<HashMap<String, (Timestamp, T)>>,
}

impl<T: Clone> Secrets<T> {
    pub(super) fn new(ttl: SignedDuration) -> Self {
        Self { ttl, entries: Mutex::default() }
    }

    /// Issues a secret.
    pub(super) fn issue(&self, of: T, now: Timestamp) -> Result<String, Error> {
        let secret = URL_SAFE_NO_PAD.encode(random::bytes::<32>()?);
        let mut entries = self.lock();
        entries.retain(|_, (expires_at, _)| *expires_at > now);
        if entries.len() >= MAX_ENTRIES {
            let oldest = entries.iter().min_by_key(|(_, (expires_at, _))| *expires_at);
            if let Some(oldest) = oldest.map(|(secret, _)| secret.clone()) {
                entries.remove(&oldest);
            }
        }
        entries.insert(secret.clone(), (now + self.ttl, of));
        Ok(secret)
    }

    /// Returns what a secret stands for, which it does only once.
    pub(super) fn redeem(&self, secret: &str, now: Timestamp) -> Option<T> {
        let (expires_at, of) = self.lock().remove(secret)?;
        (expires_at > now).then_some(of)
    }

    /// Returns what a secret stands for.
    pub(super) fn get(&self, secret: &str, now: Timestamp) -> Option<T> {
        let entries = self.lock();
        let (expires_at, of) = entries.get(secret)?;
        (*expires_at > now).then(|| of.clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Timestamp, T)>> {
        // A panic while it was locked has left whole entries.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
