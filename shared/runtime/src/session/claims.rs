//! What a token says, once its signature holds.

use domain::id::WorkspaceId;
use domain::tenant::{Tenant, trusted};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::session::token::JsonObject;
use crate::session::{Role, TokenError, User};

/// How far the issuer's clock may be off, in seconds.
const CLOCK_SKEW_LEEWAY_SECS: i64 = 60;

/// A session ends within this many seconds: 31 days.
const MAX_SESSION_SECS: i64 = 31 * 24 * 60 * 60;

/// As long as OpenID Connect lets a subject be.
const MAX_SUBJECT_BYTES: usize = 255;

/// What an issuer writes into a session token.
#[derive(Debug, Clone, Serialize)]
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
    /// The person's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether the issuer knows that the address is theirs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
    /// The workspace, if the issuer knows about workspaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<WorkspaceId>,
    /// The role there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
}

#[derive(Deserialize)]
struct RawClaims {
    iss: String,
    aud: Audience,
    sub: String,
    exp: i64,
    nbf: Option<i64>,
    iat: Option<i64>,
    /// What makes a signed text one of RFC 8417, which tells of an event such as a logout.
    events: Option<Value>,
    email: Option<String>,
    email_verified: Option<Value>,
    // Other products give these names other meanings, so what is none of ours is not there.
    workspace: Option<Value>,
    role: Option<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    Single(String),
    Multiple(Vec<String>),
}

/// Holds the claims against whom we trust and what time it is.
pub(super) fn validate(
    JsonObject(members): &JsonObject,
    issuer: &str,
    audience: &str,
    now: Timestamp,
) -> Result<User, TokenError> {
    let malformed =
        TokenError::Malformed("must say iss, aud, sub and exp as RFC 7519 has them, times in whole seconds");
    let claims: RawClaims = serde_json::from_value(Value::Object(members.clone())).map_err(|_| malformed)?;
    if claims.iss != issuer {
        return Err(TokenError::Issuer);
    }
    let is_ours = match &claims.aud {
        Audience::Single(one) => one == audience,
        Audience::Multiple(several) => several.iter().any(|one| one == audience),
    };
    if !is_ours {
        return Err(TokenError::Audience);
    }
    let now = now.as_second();
    if claims.exp <= now.saturating_sub(CLOCK_SKEW_LEEWAY_SECS) {
        return Err(TokenError::Expired);
    }
    if claims.exp > now.saturating_add(MAX_SESSION_SECS) {
        return Err(TokenError::LifetimeTooLong);
    }
    if [claims.nbf, claims.iat]
        .into_iter()
        .flatten()
        .any(|from| from > now.saturating_add(CLOCK_SKEW_LEEWAY_SECS))
    {
        return Err(TokenError::NotYetValid);
    }
    if claims.events.is_some() {
        return Err(TokenError::Malformed("tells of an event, and is no session"));
    }
    if claims.sub.is_empty()
        || claims.sub.len() > MAX_SUBJECT_BYTES
        || claims.sub.chars().any(char::is_control)
    {
        return Err(TokenError::Malformed("must name a person in sub, in 1 to 255 characters"));
    }
    let claimed_role = workspace(claims.workspace).zip(role(claims.role));
    let verified_email = claims.email.filter(|_| is_true(claims.email_verified.as_ref()));
    let verified_email = verified_email.and_then(|email| email.parse().ok());
    Ok(User { subject: claims.sub, verified_email, claimed_role })
}

fn workspace(claim: Option<Value>) -> Option<Tenant> {
    trusted::deserialize(claim?).ok()
}

fn role(claim: Option<Value>) -> Option<Role> {
    claim?.as_str()?.parse().ok()
}

/// Some providers write their booleans as text.
fn is_true(claim: Option<&Value>) -> bool {
    matches!(claim, Some(Value::Bool(true))) || claim.and_then(Value::as_str) == Some("true")
}
