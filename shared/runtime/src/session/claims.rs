//! Claims of a token with a valid signature.

use domain::id::WorkspaceId;
use domain::tenant::{Tenant, trusted};
use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Number, Value};

use crate::session::token::JsonObject;
use crate::session::{Role, TokenError, User};

/// Tolerated difference between the issuer's clock and ours, in seconds.
const CLOCK_SKEW_LEEWAY_SECS: i64 = 60;

/// Maximum lifetime of a session: 31 days, in seconds.
const MAX_SESSION_SECS: i64 = 31 * 24 * 60 * 60;

/// Maximum length of a subject according to OpenID Connect.
const MAX_SUBJECT_BYTES: usize = 255;

/// Claims of a session token.
#[derive(Debug, Clone, Serialize)]
pub struct Claims {
    /// Issuer.
    pub iss: String,
    /// Audience.
    pub aud: String,
    /// Subject.
    pub sub: String,
    /// Expiry, in Unix seconds.
    pub exp: i64,
    /// Start of validity, in Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// Email address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether the issuer has verified the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
    /// Workspace, if the issuer provides workspaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<WorkspaceId>,
    /// Role in the workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
}

#[derive(Deserialize)]
struct RawClaims {
    iss: String,
    aud: Audience,
    sub: String,
    exp: NumericDate,
    nbf: Option<NumericDate>,
    iat: Option<NumericDate>,
    /// Marks a security event token (RFC 8417), such as a logout.
    events: Option<Value>,
    email: Option<Value>,
    email_verified: Option<Value>,
    // Other products use these names with other meanings, so an invalid value counts as absent.
    workspace: Option<Value>,
    role: Option<Value>,
}

/// Seconds up to which a time with a fraction is exact to the second.
const MAX_FRACTIONAL_SECS: f64 = 9e15;

/// Seconds since 1970, possibly with a fraction (RFC 7519, section 2), which is cut off.
#[derive(Clone, Copy)]
struct NumericDate(i64);

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = Number::deserialize(deserializer)?;
        let cut_off = |seconds: f64| (seconds.abs() < MAX_FRACTIONAL_SECS).then_some(seconds as i64);
        let seconds = number.as_i64().or_else(|| number.as_f64().and_then(cut_off));
        seconds.map(Self).ok_or_else(|| D::Error::custom("must be seconds since 1970"))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    Single(String),
    Multiple(Vec<String>),
}

/// Validates the claims against the trusted issuer and the current time.
pub(super) fn validate(
    JsonObject(members): &JsonObject,
    issuer: &str,
    audience: &str,
    now: Timestamp,
) -> Result<User, TokenError> {
    let malformed = TokenError::Malformed("must say iss, aud, sub and exp as RFC 7519 has them");
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
    let NumericDate(expires) = claims.exp;
    if expires <= now.saturating_sub(CLOCK_SKEW_LEEWAY_SECS) {
        return Err(TokenError::Expired);
    }
    if expires > now.saturating_add(MAX_SESSION_SECS) {
        return Err(TokenError::LifetimeTooLong);
    }
    if [claims.nbf, claims.iat]
        .into_iter()
        .flatten()
        .any(|NumericDate(from)| from > now.saturating_add(CLOCK_SKEW_LEEWAY_SECS))
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
    let verified_email = verified_email.and_then(|email| email.as_str()?.parse().ok());
    Ok(User { subject: claims.sub, verified_email, claimed_role })
}

fn workspace(claim: Option<Value>) -> Option<Tenant> {
    trusted::deserialize(claim?).ok()
}

fn role(claim: Option<Value>) -> Option<Role> {
    claim?.as_str()?.parse().ok()
}

/// Reads a boolean. Some providers write booleans as text.
fn is_true(claim: Option<&Value>) -> bool {
    matches!(claim, Some(Value::Bool(true))) || claim.and_then(Value::as_str) == Some("true")
}
