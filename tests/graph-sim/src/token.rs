//! Access tokens. They contain their signed claims, so that they survive a restart.

mod state;

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::crypto::sign;
use crate::error::GraphError;
pub use state::TokenState;

const TOKEN_PREFIX: &str = "EAAS";
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// How long a token is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TokenLifetime {
    /// From a login: two hours.
    Short,
    /// After an exchange: sixty days.
    Long,
    /// Of a system user: for ever.
    NonExpiring,
}

impl TokenLifetime {
    pub(crate) fn seconds(self) -> Option<i64> {
        match self {
            Self::Short => Some(2 * HOUR),
            Self::Long => Some(60 * DAY),
            Self::NonExpiring => None,
        }
    }
}

/// The owner of a token to be issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenOwner<'a> {
    pub(crate) user: &'a str,
    pub(crate) scopes: &'a [String],
    /// Whether the owner is a system user of a business instead of a person.
    pub(crate) system: bool,
    /// The ad accounts (ids without `act_`) that the user selected; `None` means all.
    pub(crate) selected_accounts: Option<&'a BTreeSet<String>>,
    /// When the user logged in, in Unix seconds, if not now.
    pub(crate) consented_at: Option<i64>,
}

impl<'a> TokenOwner<'a> {
    pub(crate) fn new(user: &'a str, scopes: &'a [String], system: bool) -> Self {
        Self { user, scopes, system, selected_accounts: None, consented_at: None }
    }
}

/// The claims of a token, with what the simulator knows about it in addition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) user: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) issued_at: i64,
    /// In Unix seconds; 0 means never.
    pub(crate) expires_at: i64,
    pub(crate) kind: TokenLifetime,
    #[serde(default)]
    pub(crate) system: bool,
    /// Distinguishes tokens of the same second.
    pub(crate) nonce: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) selected_accounts: Option<BTreeSet<String>>,
    #[serde(default)]
    pub(crate) consented_at: i64,
    /// The app that the token belongs to; `None` means the simulator's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) app: Option<String>,
    /// Requested scopes that are not granted, each with the reason.
    #[serde(skip)]
    pub(crate) withdrawn: Vec<(String, &'static str)>,
    /// The ad accounts the token can see; `None` means all.
    #[serde(skip)]
    pub(crate) accounts: Option<BTreeSet<String>>,
    /// The error for calls to ad accounts, if they are denied.
    #[serde(skip)]
    pub(crate) denial: Option<GraphError>,
}

impl Claims {
    pub(crate) fn has(&self, scope: &str) -> bool {
        self.scopes.iter().any(|granted| granted == scope)
    }

    /// Returns whether the token can see an ad account.
    pub(crate) fn can_see(&self, digits: &str) -> bool {
        self.accounts.as_ref().is_none_or(|accounts| accounts.contains(digits))
    }

    /// Returns when the app loses access to the user's data, in Unix seconds; 0 means never.
    pub(crate) fn data_access_expires_at(&self) -> i64 {
        // Tokens from before consents were dated have the age of the token.
        let since = if self.consented_at == 0 { self.issued_at } else { self.consented_at };
        if self.system { 0 } else { since + 90 * DAY }
    }
}

/// Issues tokens, and knows which of them were invalidated before they expire.
#[derive(Clone, Default)]
pub(crate) struct Tokens {
    issued: u64,
    /// The app that tokens are issued for; `None` means the simulator's own.
    app: Option<String>,
    revocations: Vec<Revocation>,
    states: BTreeMap<String, TokenState>,
    /// The ad accounts that users can see; users without an entry see all.
    accounts: BTreeMap<String, BTreeSet<String>>,
    /// Permissions that users have withdrawn or that expired: the time, and which of the two.
    withdrawn: BTreeMap<(String, String), (i64, &'static str)>,
}

#[derive(Clone)]
struct Revocation {
    /// The user whose tokens are revoked; `None` means all users.
    user: Option<String>,
    subcode: u32,
    at: i64,
    /// Tokens issued in the same second, but later.
    exempt_tokens: BTreeSet<String>,
}

impl Tokens {
    pub(crate) fn issue(
        &mut self,
        secret: &str,
        owner: TokenOwner<'_>,
        kind: TokenLifetime,
        now: Timestamp,
    ) -> String {
        self.issued += 1;
        let issued_at = now.as_second();
        let claims = Claims {
            user: owner.user.to_owned(),
            scopes: owner.scopes.to_vec(),
            issued_at,
            expires_at: kind.seconds().map_or(0, |seconds| issued_at + seconds),
            kind,
            system: owner.system,
            nonce: self.issued,
            selected_accounts: owner.selected_accounts.cloned(),
            consented_at: owner.consented_at.unwrap_or(issued_at),
            app: self.app.clone(),
            withdrawn: Vec::new(),
            accounts: None,
            denial: None,
        };
        // A new login grants the permissions again.
        self.withdrawn.retain(|(user, scope), _| user != owner.user || !owner.scopes.contains(scope));
        // Claims are plain text and numbers, which always serialize.
        let payload = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims).unwrap_or_default());
        let signature = URL_SAFE_NO_PAD.encode(sign(secret, &payload));
        let token = format!("{TOKEN_PREFIX}{payload}.{signature}");
        for revocation in &mut self.revocations {
            if revocation.at == issued_at {
                revocation.exempt_tokens.insert(token.clone());
            }
        }
        token
    }

    /// Revokes the tokens issued so far.
    pub(crate) fn revoke(&mut self, user: Option<&str>, subcode: u32, now: Timestamp) {
        if let Some(user) = user.filter(|_| subcode == crate::state::APP_REMOVED_SUBCODE) {
            // A user who authorizes the app again is asked for all permissions again.
            self.withdrawn.retain(|(of, _), _| of != user);
        }
        self.revocations.push(Revocation {
            user: user.map(str::to_owned),
            subcode,
            at: now.as_second(),
            exempt_tokens: BTreeSet::new(),
        });
    }

    /// Issues future tokens for this app.
    pub(crate) fn set_app(&mut self, app_id: &str) {
        self.app = Some(app_id.to_owned());
    }

    /// Sets the state of a token.
    pub(crate) fn set_state(&mut self, token: &str, state: TokenState) {
        self.states.insert(token.to_owned(), state);
    }

    /// Limits the ad accounts a user can see.
    pub(crate) fn limit_accounts(&mut self, user: &str, digits: BTreeSet<String>) {
        self.accounts.insert(user.to_owned(), digits);
    }

    /// Withdraws one permission from a user's tokens.
    pub(crate) fn withdraw(&mut self, user: &str, scope: &str, now: Timestamp) {
        self.withdrawn.insert((user.to_owned(), scope.to_owned()), (now.as_second(), "declined"));
    }

    /// Expires a permission that was granted too long ago.
    pub(crate) fn expire_permission(&mut self, user: &str, scope: &str, now: Timestamp) {
        self.withdrawn.insert((user.to_owned(), scope.to_owned()), (now.as_second(), "expired"));
    }

    /// Returns whether a user lost a permission and has not granted it again.
    pub(crate) fn has_declined(&self, user: &str, scope: &str) -> bool {
        self.withdrawn.contains_key(&(user.to_owned(), scope.to_owned()))
    }

    /// Returns the claims of a token, valid or not; `None` when this app did not sign it.
    pub(crate) fn inspect(&self, secret: &str, token: &str) -> Option<Claims> {
        let mut claims = decode(secret, token)?;
        let withdrawn = |scope: &String| {
            let at = self.withdrawn.get(&(claims.user.clone(), scope.clone()));
            at.is_some_and(|(at, _)| claims.issued_at <= *at)
        };
        claims.scopes = claims.scopes.iter().filter(|scope| !withdrawn(scope)).cloned().collect();
        let of_user = self.withdrawn.iter().filter(|((user, _), _)| *user == claims.user);
        let gone = of_user.filter(|((_, scope), _)| !claims.has(scope));
        claims.withdrawn = gone.map(|((_, scope), (_, why))| (scope.clone(), *why)).collect();
        let state = self.states.get(token).copied().unwrap_or(TokenState::Valid);
        claims.denial = state.denial();
        claims.accounts = match state {
            TokenState::WithoutAccounts => Some(BTreeSet::new()),
            _ => match (self.accounts.get(&claims.user), &claims.selected_accounts) {
                (Some(visible), Some(selected_accounts)) => Some(visible & selected_accounts),
                (visible, selected_accounts) => visible.or(selected_accounts.as_ref()).cloned(),
            },
        };
        Some(claims)
    }

    /// Returns the claims of a token that this app signed and that is still valid.
    pub(crate) fn verify(&self, secret: &str, token: &str, now: Timestamp) -> Result<Claims, GraphError> {
        let claims =
            self.inspect(secret, token).ok_or_else(|| GraphError::new(190, "Malformed access token"))?;
        match self.invalid_reason(token, &claims) {
            Some(463) => return Err(expired(claims.expires_at.min(now.as_second()), now)),
            Some(subcode) => return Err(invalidated(subcode)),
            None => {}
        }
        if claims.expires_at != 0 && now.as_second() >= claims.expires_at {
            return Err(expired(claims.expires_at, now));
        }
        Ok(claims)
    }

    fn invalid_reason(&self, token: &str, claims: &Claims) -> Option<u32> {
        if let Some(state) = self.states.get(token) {
            return state.subcode();
        }
        let dead = self.revocations.iter().rev().find(|revocation| {
            claims.issued_at <= revocation.at
                && revocation.user.as_ref().is_none_or(|user| *user == claims.user)
                && !revocation.exempt_tokens.contains(token)
        });
        dead.map(|revocation| revocation.subcode)
    }
}

fn expired(at: i64, now: Timestamp) -> GraphError {
    GraphError::new(
        190,
        format!(
            "Error validating access token: Session has expired on {}. The current time is {}.",
            format_time(at),
            format_time(now.as_second())
        ),
    )
    .subcode(463)
}

fn invalidated(subcode: u32) -> GraphError {
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

/// Decodes the claims of a token, valid or not; `None` when this app did not sign it.
fn decode(secret: &str, token: &str) -> Option<Claims> {
    let (payload, signature) = token.strip_prefix(TOKEN_PREFIX)?.split_once('.')?;
    if URL_SAFE_NO_PAD.decode(signature).ok()? != sign(secret, payload) {
        return None;
    }
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// Formats a time as Graph's token errors do.
fn format_time(second: i64) -> String {
    Timestamp::from_second(second)
        .map_or_else(|_| second.to_string(), |at| at.strftime("%A, %d-%b-%y %H:%M:%S UTC").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn owner(user: &str) -> TokenOwner<'_> {
        TokenOwner::new(user, &[], false)
    }

    #[test]
    fn a_token_is_read_without_having_been_stored() {
        let now = at("2026-11-20T02:00:00Z");
        let token = Tokens::default().issue("secret", owner("42"), TokenLifetime::Short, now);
        let fresh = Tokens::default();
        assert_eq!(fresh.verify("secret", &token, now).unwrap().user, "42");
        assert_eq!(fresh.verify("other", &token, now).unwrap_err().subcode, None);
        let late = fresh.verify("secret", &token, at("2026-11-20T04:00:00Z")).unwrap_err();
        assert_eq!((late.code, late.subcode), (190, Some(463)));
        assert!(late.message.contains("Friday, 20-Nov-26 04:00:00 UTC"), "{}", late.message);
    }

    #[test]
    fn a_revocation_kills_what_was_issued_and_nothing_later() {
        let now = at("2026-11-20T02:00:00Z");
        let mut tokens = Tokens::default();
        let old = tokens.issue("s", owner("42"), TokenLifetime::Long, now);
        let other = tokens.issue("s", owner("43"), TokenLifetime::Long, now);
        tokens.revoke(Some("42"), 458, now);
        let new = tokens.issue("s", owner("42"), TokenLifetime::Long, now);
        assert_eq!(tokens.verify("s", &old, now).unwrap_err().subcode, Some(458));
        assert!(tokens.verify("s", &other, now).is_ok() && tokens.verify("s", &new, now).is_ok());
        tokens.revoke(None, 460, now);
        assert_eq!(tokens.verify("s", &new, now).unwrap_err().subcode, Some(460));
    }

    #[test]
    fn a_withdrawn_permission_is_gone_until_it_is_granted_again() {
        let now = at("2026-11-20T02:00:00Z");
        let scopes = ["ads_read".to_owned(), "ads_management".to_owned()];
        let owner = TokenOwner::new("42", &scopes, true);
        let mut tokens = Tokens::default();
        let token = tokens.issue("s", owner.clone(), TokenLifetime::NonExpiring, now);
        tokens.withdraw("42", "ads_management", now);
        let claims = tokens.verify("s", &token, at("2036-11-20T02:00:00Z")).unwrap();
        assert_eq!(claims.scopes, scopes[..1]);
        assert_eq!(claims.withdrawn, [("ads_management".to_owned(), "declined")]);
        tokens.issue("s", owner, TokenLifetime::NonExpiring, now);
        assert!(tokens.verify("s", &token, now).unwrap().has("ads_management"));
    }

    #[test]
    fn a_broken_token_can_be_mended() {
        let now = at("2026-11-20T02:00:00Z");
        let mut tokens = Tokens::default();
        let token = tokens.issue("s", owner("42"), TokenLifetime::Long, now);
        tokens.set_state(&token, TokenState::Checkpointed);
        assert_eq!(tokens.verify("s", &token, now).unwrap_err().subcode, Some(459));
        tokens.set_state(&token, TokenState::NotGranted);
        assert_eq!(tokens.verify("s", &token, now).unwrap().denial.unwrap().code, 200);
        tokens.set_state(&token, TokenState::Valid);
        assert_eq!(tokens.verify("s", &token, now).unwrap().denial, None);
    }
}
