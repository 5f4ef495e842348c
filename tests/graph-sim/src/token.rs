//! Access tokens. They carry everything that is known about them, signed, so that they survive a restart.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::crypto::sign;
use crate::error::GraphError;

const PREFIX: &str = "EAAS";
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// How long a token lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Life {
    /// From a login: two hours.
    Short,
    /// After an exchange: sixty days.
    Long,
}

impl Life {
    pub(crate) fn seconds(self) -> i64 {
        match self {
            Self::Short => 2 * HOUR,
            Self::Long => 60 * DAY,
        }
    }
}

/// What a token says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) user: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) issued_at: i64,
    pub(crate) expires_at: i64,
    pub(crate) kind: Life,
    /// Keeps tokens of the same second apart.
    pub(crate) nonce: u64,
}

impl Claims {
    pub(crate) fn has(&self, scope: &str) -> bool {
        self.scopes.iter().any(|granted| granted == scope)
    }

    /// When the app may no longer read the person's data.
    pub(crate) fn data_access_expires_at(&self) -> i64 {
        self.issued_at + 90 * DAY
    }
}

/// Issues tokens, and knows which of them are dead before their time.
#[derive(Default)]
pub(crate) struct Tokens {
    issued: u64,
    revocations: Vec<Revocation>,
}

struct Revocation {
    /// One person's tokens, or everybody's.
    user: Option<String>,
    subcode: u32,
    at: i64,
    /// Tokens issued in the same second, but later.
    survivors: BTreeSet<String>,
}

impl Tokens {
    pub(crate) fn issue(
        &mut self,
        secret: &str,
        user: &str,
        scopes: &[String],
        kind: Life,
        now: Timestamp,
    ) -> String {
        self.issued += 1;
        let issued_at = now.as_second();
        let claims = Claims {
            user: user.to_owned(),
            scopes: scopes.to_vec(),
            issued_at,
            expires_at: issued_at + kind.seconds(),
            kind,
            nonce: self.issued,
        };
        // Claims are plain text and numbers, which always serialize.
        let payload = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims).unwrap_or_default());
        let signature = URL_SAFE_NO_PAD.encode(sign(secret, &payload));
        let token = format!("{PREFIX}{payload}.{signature}");
        for revocation in &mut self.revocations {
            if revocation.at == issued_at {
                revocation.survivors.insert(token.clone());
            }
        }
        token
    }

    /// Kills the tokens issued so far.
    pub(crate) fn revoke(&mut self, user: Option<&str>, subcode: u32, now: Timestamp) {
        self.revocations.push(Revocation {
            user: user.map(str::to_owned),
            subcode,
            at: now.as_second(),
            survivors: BTreeSet::new(),
        });
    }

    /// What a token says, if it is ours and alive.
    pub(crate) fn read(&self, secret: &str, token: &str, now: Timestamp) -> Result<Claims, GraphError> {
        let claims = open(secret, token).ok_or_else(|| GraphError::new(190, "Malformed access token"))?;
        if let Some(subcode) = self.death(token, &claims) {
            return Err(dead(subcode));
        }
        if now.as_second() >= claims.expires_at {
            return Err(GraphError::new(
                190,
                format!(
                    "Error validating access token: Session has expired on {}. The current time is {}.",
                    said(claims.expires_at),
                    said(now.as_second())
                ),
            )
            .subcode(463));
        }
        Ok(claims)
    }

    fn death(&self, token: &str, claims: &Claims) -> Option<u32> {
        let dead = self.revocations.iter().rev().find(|revocation| {
            claims.issued_at <= revocation.at
                && revocation.user.as_ref().is_none_or(|user| *user == claims.user)
                && !revocation.survivors.contains(token)
        });
        dead.map(|revocation| revocation.subcode)
    }
}

fn dead(subcode: u32) -> GraphError {
    let why = match subcode {
        458 => "The user has not authorized the application",
        459 => "The session has been invalidated because the user has been checkpointed",
        460 => "The session has been invalidated because the user changed their password",
        464 => "The session has been invalidated because the user is not confirmed",
        467 => "The session is invalid because the user logged out",
        _ => "The session is no longer valid",
    };
    GraphError::new(190, format!("Error validating access token: {why}.")).subcode(i64::from(subcode))
}

/// What a token says about itself, dead or alive; nothing when this app did not sign it.
pub(crate) fn open(secret: &str, token: &str) -> Option<Claims> {
    let (payload, signature) = token.strip_prefix(PREFIX)?.split_once('.')?;
    if URL_SAFE_NO_PAD.decode(signature).ok()? != sign(secret, payload) {
        return None;
    }
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// A moment in the words of Graph's token errors.
fn said(second: i64) -> String {
    Timestamp::from_second(second)
        .map_or_else(|_| second.to_string(), |at| at.strftime("%A, %d-%b-%y %H:%M:%S UTC").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_token_is_read_without_having_been_stored() {
        let now = at("2026-11-20T02:00:00Z");
        let token = Tokens::default().issue("secret", "42", &["ads_read".to_owned()], Life::Short, now);
        let fresh = Tokens::default();
        assert_eq!(fresh.read("secret", &token, now).unwrap().user, "42");
        assert_eq!(fresh.read("other", &token, now).unwrap_err().subcode, None);
        let late = fresh.read("secret", &token, at("2026-11-20T04:00:00Z")).unwrap_err();
        assert_eq!((late.code, late.subcode), (190, Some(463)));
        assert!(late.message.contains("Friday, 20-Nov-26 04:00:00 UTC"), "{}", late.message);
    }

    #[test]
    fn a_revocation_kills_what_was_issued_and_nothing_later() {
        let now = at("2026-11-20T02:00:00Z");
        let mut tokens = Tokens::default();
        let old = tokens.issue("s", "42", &[], Life::Long, now);
        let other = tokens.issue("s", "43", &[], Life::Long, now);
        tokens.revoke(Some("42"), 458, now);
        let new = tokens.issue("s", "42", &[], Life::Long, now);
        assert_eq!(tokens.read("s", &old, now).unwrap_err().subcode, Some(458));
        assert!(tokens.read("s", &other, now).is_ok() && tokens.read("s", &new, now).is_ok());
        tokens.revoke(None, 460, now);
        assert_eq!(tokens.read("s", &new, now).unwrap_err().subcode, Some(460));
    }
}
