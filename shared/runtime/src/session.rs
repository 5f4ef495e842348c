//! Sessions: who comes in, and whose data they see.
//!
//! A session is a JWT of the team's own OIDC issuer, in the Authorization header of every request. Its keys are
//! given as a JWK set, or found where the issuer publishes them.

mod claims;
mod discovery;
mod keys;
mod token;

use std::fmt;
use std::sync::Arc;

use ads::Invalid;
use ads::email::Email;
use ads::tenant::Tenant;
use jiff::Timestamp;
use jsonwebtoken::Algorithm;

use crate::session::discovery::Discovery;
use crate::session::keys::KeySet;
use crate::session::token::Token;

pub use ads::role::{Role, Standing};

pub use crate::session::claims::Claims;

/// The algorithms that a deployment may choose from: all that are signed with one key and checked with another.
const KNOWN: [Algorithm; 9] = [
    Algorithm::EdDSA,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// What is accepted unless a deployment says otherwise: every large provider signs with one of these.
const USUAL: [Algorithm; 3] = [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256];

/// Who is asking, as the issuer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The person, as the issuer names them.
    pub subject: String,
    /// Their address, if the issuer has verified it.
    pub verified_email: Option<Email>,
    /// The workspace and the role there, when the issuer knows about workspaces and is trusted with them.
    pub claimed: Option<(Tenant, Role)>,
}

/// Who is asking, in which workspace, and what they may do there.
#[derive(Debug, Clone)]
pub struct Session {
    /// The person, as the issuer names them.
    pub subject: String,
    /// Whose data they see.
    pub workspace: Tenant,
    /// What they may do.
    pub role: Role,
    /// Who says so.
    pub standing: Standing,
}

/// Why a token is refused, to follow "The session token".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It cannot be read as a signed JWT, or says something in a way that nobody should.
    #[error("{0}")]
    Malformed(&'static str),
    /// It was signed by a key that the issuer does not publish.
    #[error("is signed by an unknown key")]
    UnknownKey,
    /// It says an algorithm that is not accepted, or that its key is not for.
    #[error("is signed with an algorithm that is not accepted for its key")]
    Algorithm,
    /// Its signature does not hold.
    #[error("has a signature that does not hold")]
    Signature,
    /// It is of somebody else.
    #[error("is of another issuer")]
    Issuer,
    /// It is for somebody else.
    #[error("is not for this audience")]
    Audience,
    /// It is over.
    #[error("has expired")]
    Expired,
    /// It has not begun.
    #[error("is not valid yet")]
    NotYet,
    /// It is no session but a key for ever.
    #[error("lasts too long: a session ends within 31 days")]
    Endless,
}

/// Why a token could not be verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotVerified {
    /// It does not let anybody in.
    Refused(Refused),
    /// Nobody can tell: the issuer's keys cannot be had at the moment.
    IssuerOutOfReach,
}

impl From<Refused> for NotVerified {
    fn from(why: Refused) -> Self {
        Self::Refused(why)
    }
}

/// Whom a deployment trusts, as it is configured.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// The issuer, letter by letter as its tokens say it in `iss`.
    pub issuer: String,
    /// For whom it must have signed.
    pub audience: String,
    /// The accepted algorithms with commas between them; EdDSA, ES256 and RS256 unless it is said.
    pub algorithms: Option<String>,
    /// The issuer's keys: a JWK set as JSON. Without it they are found where the issuer publishes them.
    pub jwks: Option<String>,
    /// Whether the claims `workspace` and `role` let a person in, beside the rows of members. Only where nobody but the
    /// issuer's operator can set them: some providers let people write claims of their own.
    pub trusts_claims: bool,
}

/// Whom we trust to say who somebody is. Cheap to clone; clones share the keys that were found.
#[derive(Clone)]
pub struct Sessions(Arc<Trust>);

struct Trust {
    issuer: String,
    audience: String,
    keys: Keys,
    trusts_claims: bool,
}

enum Keys {
    Given(Arc<KeySet>),
    Published(Box<Discovery>),
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("issuer", &self.0.issuer).finish_non_exhaustive()
    }
}

impl Sessions {
    /// Trusts the issuer's keys to speak for it to this audience. Asks nobody for anything yet.
    pub fn new(config: SessionConfig) -> Result<Self, Invalid> {
        let SessionConfig { issuer, audience, algorithms, jwks, trusts_claims } = config;
        let accepted = algorithms.as_deref().map_or_else(|| Ok(USUAL.to_vec()), accepted)?;
        let keys = match jwks {
            Some(jwks) => {
                let keys = KeySet::parse(jwks.as_bytes(), &accepted);
                Keys::Given(Arc::new(keys.map_err(|problem| Invalid::new("the issuer's JWK set", problem))?))
            }
            None => Keys::Published(Box::new(Discovery::new(&issuer, accepted)?)),
        };
        Ok(Self(Arc::new(Trust { issuer, audience, keys, trusts_claims })))
    }

    /// Checks a token: its form, its signature by the key that it names, and what it says.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Person, NotVerified> {
        let Trust { issuer, audience, keys, trusts_claims } = &*self.0;
        let token = Token::read(token)?;
        let keys = match keys {
            Keys::Given(keys) => Arc::clone(keys),
            Keys::Published(published) => published.keys_with(&token.key_id, now).await?,
        };
        keys.check(&token)?;
        let person = claims::check(&token.payload, issuer, audience, now)?;
        Ok(Person { claimed: person.claimed.filter(|_| *trusts_claims), ..person })
    }
}

fn accepted(names: &str) -> Result<Vec<Algorithm>, Invalid> {
    let known = |name: &str| KNOWN.into_iter().find(|known| keys::name(*known) == name);
    let names: Option<Vec<_>> = names.split(',').map(|name| known(name.trim())).collect();
    let all: Vec<_> = KNOWN.into_iter().map(keys::name).collect();
    let problem = || format!("must be of {}, with commas between them", all.join(", "));
    names.ok_or_else(|| Invalid::new("the accepted algorithms", problem()))
}
