//! Sessions: who comes in, and whose data they see.
//!
//! A session is a JWT of the team's own issuer. The keys are given as a JWK set at start; fetching them
//! from the issuer by discovery is not built yet.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use ads::Invalid;
use ads::id::WorkspaceId;
use jiff::Timestamp;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::{Deserialize, Serialize};

/// The algorithms that are accepted, whatever a token claims for itself.
const ALGORITHMS: [Algorithm; 3] = [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256];

/// How far the issuer's clock may be off, in seconds.
const LEEWAY: i64 = 60;

/// Nobody needs a longer token; parsing stops here.
const LONGEST_TOKEN: usize = 8 * 1024;

/// What a person may do. Each role includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Reads and changes campaigns and rules.
    Editor,
    /// Everything, connections included.
    Owner,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Owner => "owner",
        })
    }
}

impl FromStr for Role {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let role =
            [Self::Viewer, Self::Editor, Self::Owner].into_iter().find(|role| role.to_string() == text);
        role.ok_or_else(|| Invalid::new("role", "must be viewer, editor or owner"))
    }
}

/// Who is asking, as [`Sessions::verify`] found.
#[derive(Debug, Clone)]
pub struct Session {
    /// The person, as the issuer names them.
    pub subject: String,
    /// Whose data they see.
    pub workspace: WorkspaceId,
    /// What they may do.
    pub role: Role,
}

/// What a session token must say beside its issuer and audience, which are checked before this is read.
#[derive(Deserialize)]
struct Verified {
    sub: String,
    exp: i64,
    nbf: Option<i64>,
    workspace: WorkspaceId,
    role: Role,
}

/// What an issuer writes into a session token.
#[derive(Debug, Serialize)]
pub struct Claims {
    /// The issuer.
    pub iss: String,
    /// The audience.
    pub aud: String,
    /// The person.
    pub sub: String,
    /// Unix seconds at which it ends.
    pub exp: i64,
    /// Unix seconds before which it does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The role there.
    pub role: Role,
}

/// Why a token is refused, to follow "The session token".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is no JWT, or its signature does not hold.
    #[error("is not valid")]
    NotValid,
    /// It was signed by a key that is not in the set.
    #[error("is signed by an unknown key")]
    UnknownKey,
    /// It is over.
    #[error("has expired")]
    Expired,
    /// It has not begun.
    #[error("is not valid yet")]
    NotYet,
}

/// Whom a deployment trusts, as it is configured.
pub struct SessionConfig {
    /// The issuer.
    pub issuer: String,
    /// The audience.
    pub audience: String,
    /// The issuer's keys: a JWK set as JSON.
    pub jwks: String,
}

/// Whom we trust to say who somebody is. Cheap to clone.
#[derive(Clone)]
pub struct Sessions(Arc<Trust>);

struct Trust {
    issuer: String,
    audience: String,
    keys: Vec<(String, Algorithm, DecodingKey)>,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("issuer", &self.0.issuer).finish_non_exhaustive()
    }
}

impl Sessions {
    /// Trusts the issuer's keys to speak for it to this audience.
    pub fn new(config: SessionConfig) -> Result<Self, Invalid> {
        let SessionConfig { issuer, audience, jwks } = config;
        let invalid = |problem: String| Invalid::new("jwks", problem);
        let set: JwkSet = serde_json::from_str(&jwks).map_err(|error| invalid(error.to_string()))?;
        let mut keys = Vec::new();
        for jwk in &set.keys {
            let id = jwk.common.key_id.clone().ok_or_else(|| invalid("a key has no kid".to_owned()))?;
            let algorithm = jwk.common.key_algorithm.and_then(|alg| alg.to_string().parse().ok());
            let algorithm = algorithm
                .filter(|algorithm| ALGORITHMS.contains(algorithm))
                .ok_or_else(|| invalid(format!("key {id}: alg must be EdDSA, ES256 or RS256")))?;
            let key = DecodingKey::from_jwk(jwk).map_err(|error| invalid(format!("key {id}: {error}")))?;
            keys.push((id, algorithm, key));
        }
        if keys.is_empty() {
            return Err(invalid("holds no key".to_owned()));
        }
        Ok(Self(Arc::new(Trust { issuer, audience, keys })))
    }

    /// Checks a token. Signature, issuer, audience and times; the algorithm is the key's, not the token's.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Session, Refused> {
        if token.len() > LONGEST_TOKEN {
            return Err(Refused::NotValid);
        }
        let header = decode_header(token).map_err(|_| Refused::NotValid)?;
        let kid = header.kid.ok_or(Refused::UnknownKey)?;
        let (_, algorithm, key) =
            self.0.keys.iter().find(|(id, ..)| *id == kid).ok_or(Refused::UnknownKey)?;
        let mut validation = Validation::new(*algorithm);
        validation.set_issuer(&[&self.0.issuer]);
        validation.set_audience(&[&self.0.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The library reads the machine's clock; times are checked against ours below.
        validation.validate_exp = false;
        let claims = decode::<Verified>(token, key, &validation).map_err(|_| Refused::NotValid)?.claims;
        let now = now.as_second();
        if claims.exp <= now.saturating_sub(LEEWAY) {
            return Err(Refused::Expired);
        }
        if claims.nbf.is_some_and(|from| from > now.saturating_add(LEEWAY)) {
            return Err(Refused::NotYet);
        }
        Ok(Session { subject: claims.sub, workspace: claims.workspace, role: claims.role })
    }
}
