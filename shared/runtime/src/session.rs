//! Session tokens: who sends a request, and which workspace they may access.
//!
//! A session is a JWT of the team's own OIDC issuer, in the Authorization header of every request. The issuer's keys
//! are configured as a JWK set or fetched from where the issuer publishes them.

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

/// Algorithms that a deployment may choose from: all asymmetric ones.
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

/// Default algorithms: every large provider signs with one of them.
const DEFAULT_ALGORITHMS: [Algorithm; 3] = [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256];

/// Authenticated user, according to the issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Subject of the user.
    pub subject: String,
    /// Email address, if the issuer has verified it.
    pub verified_email: Option<Email>,
    /// Workspace and role from the token's claims, when the issuer provides them and is trusted with them.
    pub claimed_role: Option<(Tenant, Role)>,
}

/// A user in a workspace, with a role.
#[derive(Debug, Clone)]
pub struct Session {
    /// Subject of the user.
    pub subject: String,
    /// Workspace.
    pub workspace: Tenant,
    /// Role in the workspace.
    pub role: Role,
    /// Source of the role.
    pub role_source: RoleSource,
}

/// Why a token is rejected. The text follows "The session token".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is no signed JWT, or is written in a form that is not accepted.
    #[error("{0}")]
    Malformed(&'static str),
    /// It was signed by a key that the issuer does not publish.
    #[error("is signed by an unknown key")]
    UnknownKey,
    /// It names an algorithm that is not accepted or does not fit its key.
    #[error("is signed with an algorithm that is not accepted for its key")]
    Algorithm,
    /// Its signature is invalid.
    #[error("has a signature that does not hold")]
    Signature,
    /// It is from another issuer.
    #[error("is of another issuer")]
    Issuer,
    /// It is for another audience.
    #[error("is not for this audience")]
    Audience,
    /// It has expired.
    #[error("has expired")]
    Expired,
    /// It is not valid yet.
    #[error("is not valid yet")]
    NotYetValid,
    /// Its lifetime exceeds that of a session.
    #[error("lasts too long: a session ends within 31 days")]
    LifetimeTooLong,
}

/// Why a token could not be verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifyError {
    /// The token is rejected.
    InvalidToken(TokenError),
    /// The issuer's keys cannot be fetched at the moment.
    IssuerUnavailable,
}

impl From<TokenError> for VerifyError {
    fn from(why: TokenError) -> Self {
        Self::InvalidToken(why)
    }
}

/// Configuration of the trusted issuer.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// Issuer, exactly as its tokens contain it in `iss`.
    pub issuer: String,
    /// Expected audience.
    pub audience: String,
    /// Accepted algorithms, comma-separated; by default EdDSA, ES256 and RS256.
    pub algorithms: Option<String>,
    /// The issuer's keys as a JWK set. Without it they are fetched from the issuer.
    pub jwks: Option<String>,
    /// Whether the claims `workspace` and `role` authorize a user, in addition to member rows. Only safe where nobody
    /// but the issuer's operator can set them: some providers let people set claims of their own.
    pub trust_role_claims: bool,
}

/// Verifies session tokens. Cheap to clone; clones share the fetched keys.
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
    /// Creates a verifier for the issuer and audience. Makes no request yet.
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

    /// Verifies a token: its form, its signature by the key it names, and its claims.
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
