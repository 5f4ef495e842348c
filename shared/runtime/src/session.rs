//! Session tokens: who sends a request, and whose data they see.
//!
//! A session is a JWT of the team's own OIDC issuer, in the Authorization header of every request. Its keys are
//! given as a JWK set, or found where the issuer publishes them.

mod claims;
mod discovery;
mod keys;
mod token;

use std::fmt;
use std::sync::Arc;

use domain::FieldError;
use domain::email::Email;
use domain::tenant::Tenant;
use jiff::Timestamp;
use jsonwebtoken::Algorithm;

use crate::session::discovery::Discovery;
use crate::session::keys::KeySet;
use crate::session::token::Token;

pub use domain::role::{Role, RoleSource};

pub use crate::session::claims::Claims;

/// The algorithms that a deployment may choose from: all that are signed with one key and checked with another.
const SUPPORTED_ALGORITHMS: [Algorithm; 9] = [
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
const DEFAULT_ALGORITHMS: [Algorithm; 3] = [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256];

/// Who is asking, as the issuer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The user, as the issuer names them.
    pub subject: String,
    /// Their address, if the issuer has verified it.
    pub verified_email: Option<Email>,
    /// The workspace and the role there, when the issuer knows about workspaces and is trusted with them.
    pub claimed_role: Option<(Tenant, Role)>,
}

/// Who is asking, in which workspace, and what they may do there.
#[derive(Debug, Clone)]
pub struct Session {
    /// The user, as the issuer names them.
    pub subject: String,
    /// Whose data they see.
    pub workspace: Tenant,
    /// What they may do.
    pub role: Role,
    /// Who says so.
    pub role_source: RoleSource,
}

/// Why a token is refused, to follow "The session token".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
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
    NotYetValid,
    /// It is no session but a key for ever.
    #[error("lasts too long: a session ends within 31 days")]
    LifetimeTooLong,
}

/// Why a token could not be verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifyError {
    /// It does not let anybody in.
    InvalidToken(TokenError),
    /// Nobody can tell: the issuer's keys cannot be had at the moment.
    IssuerUnavailable,
}

impl From<TokenError> for VerifyError {
    fn from(why: TokenError) -> Self {
        Self::InvalidToken(why)
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
    /// Whether the claims `workspace` and `role` let a user in, beside the rows of members. Only where nobody but the
    /// issuer's operator can set them: some providers let people write claims of their own.
    pub trust_role_claims: bool,
}

/// Whom we trust to say who somebody is. Cheap to clone; clones share the keys that were found.
#[derive(Clone)]
pub struct SessionVerifier(Arc<Inner>);

struct Inner {
    issuer: String,
    audience: String,
    keys: KeySource,
    trust_role_claims: bool,
}

enum KeySource {
    Static(Arc<KeySet>),
    Discovered(Box<Discovery>),
}

impl fmt::Debug for SessionVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionVerifier").field("issuer", &self.0.issuer).finish_non_exhaustive()
    }
}

impl SessionVerifier {
    /// Trusts the issuer's keys to speak for it to this audience. Asks nobody for anything yet.
    pub fn new(config: SessionConfig) -> Result<Self, FieldError> {
        let SessionConfig { issuer, audience, algorithms, jwks, trust_role_claims } = config;
        let accepted =
            algorithms.as_deref().map_or_else(|| Ok(DEFAULT_ALGORITHMS.to_vec()), parse_algorithms)?;
        let keys = match jwks {
            Some(jwks) => {
                let keys = KeySet::parse(jwks.as_bytes(), &accepted);
                KeySource::Static(Arc::new(
                    keys.map_err(|problem| FieldError::new("the issuer's JWK set", problem))?,
                ))
            }
            None => KeySource::Discovered(Box::new(Discovery::new(&issuer, accepted)?)),
        };
        Ok(Self(Arc::new(Inner { issuer, audience, keys, trust_role_claims })))
    }

    /// Checks a token: its form, its signature by the key that it names, and what it says.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<User, VerifyError> {
        let Inner { issuer, audience, keys, trust_role_claims } = &*self.0;
        let token = Token::parse(token)?;
        let keys = match keys {
            KeySource::Static(keys) => Arc::clone(keys),
            KeySource::Discovered(discovery) => discovery.key_set_for(&token.key_id, now).await?,
        };
        keys.verify_signature(&token)?;
        let user = claims::validate(&token.payload, issuer, audience, now)?;
        Ok(User { claimed_role: user.claimed_role.filter(|_| *trust_role_claims), ..user })
    }
}

fn parse_algorithms(names: &str) -> Result<Vec<Algorithm>, FieldError> {
    let known = |name: &str| SUPPORTED_ALGORITHMS.into_iter().find(|known| keys::name(*known) == name);
    let names: Option<Vec<_>> = names.split(',').map(|name| known(name.trim())).collect();
    let all: Vec<_> = SUPPORTED_ALGORITHMS.into_iter().map(keys::name).collect();
    let problem = || format!("must be of {}, with commas between them", all.join(", "));
    names.ok_or_else(|| FieldError::new("the accepted algorithms", problem()))
}
