//! What a token says, once its signature holds.

use ads::id::WorkspaceId;
use ads::tenant::{Tenant, kept};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::session::token::Members;
use crate::session::{Person, Refused, Role};

/// How far the issuer's clock may be off, in seconds.
const LEEWAY: i64 = 60;

/// A session ends within this many seconds: 31 days.
const LONGEST: i64 = 31 * 24 * 60 * 60;

/// As long as OpenID Connect lets a subject be.
const LONGEST_SUBJECT: usize = 255;

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
struct Said {
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
    One(String),
    Several(Vec<String>),
}

/// Holds the claims against whom we trust and what time it is.
pub(super) fn check(
    Members(members): &Members,
    issuer: &str,
    audience: &str,
    now: Timestamp,
) -> Result<Person, Refused> {
    let malformed =
        Refused::Malformed("must say iss, aud, sub and exp as RFC 7519 has them, times in whole seconds");
    let said: Said = serde_json::from_value(Value::Object(members.clone())).map_err(|_| malformed)?;
    if said.iss != issuer {
        return Err(Refused::Issuer);
    }
    let is_ours = match &said.aud {
        Audience::One(one) => one == audience,
        Audience::Several(several) => several.iter().any(|one| one == audience),
    };
    if !is_ours {
        return Err(Refused::Audience);
    }
    let now = now.as_second();
    if said.exp <= now.saturating_sub(LEEWAY) {
        return Err(Refused::Expired);
    }
    if said.exp > now.saturating_add(LONGEST) {
        return Err(Refused::Endless);
    }
    if [said.nbf, said.iat].into_iter().flatten().any(|from| from > now.saturating_add(LEEWAY)) {
        return Err(Refused::NotYet);
    }
    if said.events.is_some() {
        return Err(Refused::Malformed("tells of an event, and is no session"));
    }
    if said.sub.is_empty() || said.sub.len() > LONGEST_SUBJECT || said.sub.chars().any(char::is_control) {
        return Err(Refused::Malformed("must name a person in sub, in 1 to 255 characters"));
    }
    let claimed = workspace(said.workspace).zip(role(said.role));
    let verified_email = said.email.filter(|_| is_true(said.email_verified.as_ref()));
    let verified_email = verified_email.and_then(|email| email.parse().ok());
    Ok(Person { subject: said.sub, verified_email, claimed })
}

fn workspace(said: Option<Value>) -> Option<Tenant> {
    kept::deserialize(said?).ok()
}

fn role(said: Option<Value>) -> Option<Role> {
    said?.as_str()?.parse().ok()
}

/// Some providers write their booleans as text.
fn is_true(said: Option<&Value>) -> bool {
    matches!(said, Some(Value::Bool(true))) || said.and_then(Value::as_str) == Some("true")
}
