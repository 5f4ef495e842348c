//! OAuth at Meta: the login dialog, token exchanges, and inspection of tokens.

use std::collections::BTreeSet;

use domain::id::{AdAccountId, PlatformUserId};
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::call::{Call, Effect};
use crate::client::{Graph, UserClient};
use crate::error::{Details, GraphError};
use crate::response::decode;

/// The permissions to request: `ads_read` for metrics, `ads_management` for writes and webhooks, `business_management`
/// for the accounts that a business owns or was given access to.
pub const SCOPES: [&str; 3] = ["ads_read", "ads_management", "business_management"];

/// What the login dialog requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorizationRequest<'a> {
    /// Classic login for these permissions, each of which can be declined.
    Scopes(&'a [&'a str]),
    /// Another request for permissions that were declined before. Without the flag for this the dialog leaves them out.
    Rerequest(&'a [&'a str]),
    /// Facebook Login for Business with a configuration of the app, which is granted as a whole.
    Configuration {
        /// The configuration's id.
        id: &'a str,
        /// Whether it issues system user tokens. Such a configuration returns a code only on request.
        system_user: bool,
    },
}

/// A token that an exchange returned.
#[derive(Debug, Deserialize)]
pub struct IssuedToken {
    /// The token.
    pub access_token: SecretString,
    /// Seconds until it expires; absent means never.
    pub expires_in: Option<i64>,
}

/// The kind of a token's owner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TokenKind {
    /// A user.
    User,
    /// A system user of a business.
    SystemUser,
    /// A Page.
    Page,
    /// The app itself.
    App,
    /// An unknown kind.
    #[default]
    #[serde(other)]
    Other,
}

/// The response of `debug_token` about a token.
#[derive(Debug, Deserialize)]
pub struct TokenInfo {
    /// The id of the app it was issued to; empty when Meta does not know it.
    #[serde(default)]
    pub app_id: String,
    /// The kind of its owner.
    #[serde(default, rename = "type")]
    pub kind: TokenKind,
    /// Whether it is valid.
    pub is_valid: bool,
    /// The expiry in Unix seconds; 0 means never.
    #[serde(default)]
    pub expires_at: i64,
    /// The end of data access in Unix seconds, although the token may stay valid; 0 means never.
    #[serde(default)]
    pub data_access_expires_at: i64,
    /// The granted permissions.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The granted permissions, each with the objects it is limited to.
    #[serde(default)]
    pub granular_scopes: Vec<GranularScope>,
    /// The app-scoped user id.
    pub user_id: Option<PlatformUserId>,
    /// The reason why it is invalid.
    error: Option<TokenError>,
}

/// A permission and the objects it applies to.
#[derive(Debug, Clone, Deserialize)]
pub struct GranularScope {
    /// The permission.
    pub scope: String,
    /// The ids of ad accounts, Pages or businesses; absent means all, now and later.
    pub target_ids: Option<Vec<String>>,
}

/// The error in the response about an invalid token.
#[derive(Debug, Clone, Deserialize)]
struct TokenError {
    #[serde(default)]
    code: i64,
    subcode: Option<i64>,
    #[serde(default)]
    message: String,
}

impl TokenInfo {
    /// Returns the error that a call with this token would get, if the token is invalid.
    pub fn invalid_reason(&self) -> Option<GraphError> {
        if self.is_valid {
            return None;
        }
        let details = match self.error.clone() {
            Some(TokenError { code, subcode, message }) => {
                Details { code, subcode, message, ..Details::default() }
            }
            None => Details { code: 190, ..Details::of("Meta calls the token invalid") },
        };
        Some(GraphError::from_codes(details))
    }

    /// Returns the ad accounts that the user selected; `None` means every one, now and later.
    pub fn selected_accounts(&self) -> Option<BTreeSet<AdAccountId>> {
        let of_ads = self.granular_scopes.iter().filter(|granted| granted.scope.starts_with("ads_"));
        let mut selected = None;
        for granted in of_ads {
            let ids = granted.target_ids.as_ref()?.iter();
            let ids = ids.filter_map(|id| format!("act_{}", id.trim_start_matches("act_")).parse().ok());
            selected.get_or_insert_with(BTreeSet::new).extend(ids);
        }
        selected
    }
}

#[derive(Deserialize)]
struct Data<T> {
    data: T,
}

#[derive(Deserialize)]
struct Permission {
    permission: String,
    status: String,
}

/// A user's decisions about each permission.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permissions {
    /// Granted.
    pub granted: Vec<String>,
    /// Declined, or revoked later.
    pub declined: Vec<String>,
    /// Granted, but too long ago.
    pub expired: Vec<String>,
}

impl Graph {
    /// Returns the URL of the login dialog. The redirect returns `state`, which must be ours, recent and unused.
    pub fn authorize_url(
        &self,
        redirect_uri: &str,
        state: &str,
        request: AuthorizationRequest<'_>,
    ) -> String {
        let config = self.config();
        let mut query = vec![
            ("client_id", config.app_id.clone()),
            ("redirect_uri", redirect_uri.to_owned()),
            ("state", state.to_owned()),
            ("response_type", "code".to_owned()),
        ];
        match request {
            AuthorizationRequest::Scopes(scopes) => query.push(("scope", scopes.join(","))),
            AuthorizationRequest::Rerequest(scopes) => {
                query.extend([("scope", scopes.join(",")), ("auth_type", "rerequest".to_owned())]);
            }
            AuthorizationRequest::Configuration { id, system_user } => {
                query.push(("config_id", id.to_owned()));
                query.extend(system_user.then(|| ("override_default_response_type", "true".to_owned())));
            }
        }
        let base = format!("{}/{}/dialog/oauth", config.dialog_url, config.version);
        match reqwest::Url::parse_with_params(&base, query) {
            Ok(url) => url.into(),
            Err(_) => base,
        }
    }

    /// Exchanges the code of the callback for a token. `redirect_uri` must equal that of the dialog, byte for byte.
    pub async fn exchange_code(&self, code: &str, redirect_uri: &str) -> Result<IssuedToken, GraphError> {
        // A code works once, so a lost response loses the token.
        self.exchange(&[("code", code), ("redirect_uri", redirect_uri)], Effect::Create).await
    }

    /// Exchanges a user's token for one that expires about 60 days from now. The old token keeps its own expiry.
    pub async fn extend(&self, token: &SecretString) -> Result<IssuedToken, GraphError> {
        let params = [("grant_type", "fb_exchange_token"), ("fb_exchange_token", token.expose_secret())];
        self.exchange(&params, Effect::Set).await
    }

    /// Exchanges a system user's 60-day token for a new one. A token that never expires would get an expiry by this.
    pub async fn extend_system_user(&self, token: &SecretString) -> Result<IssuedToken, GraphError> {
        let params = [
            ("grant_type", "fb_exchange_token"),
            ("fb_exchange_token", token.expose_secret()),
            ("set_token_expires_in_60_days", "true"),
        ];
        self.exchange(&params, Effect::Set).await
    }

    /// Posts an exchange as a form, so that neither the secret nor a token is in a URL.
    async fn exchange(&self, params: &[(&str, &str)], effect: Effect) -> Result<IssuedToken, GraphError> {
        let config = self.config();
        let app =
            [("client_id", config.app_id.as_str()), ("client_secret", config.app_secret.expose_secret())];
        let params = &[&app, params].concat();
        if effect == Effect::Create {
            return self.as_app().create("oauth/access_token", params).await;
        }
        let call = Call { method: Method::POST, path: "oauth/access_token", params, file: None, effect };
        decode(&self.as_app().send_with_retry(&call).await?)
    }

    /// Reads what a token is and what it may do.
    pub async fn debug_token(&self, token: &SecretString) -> Result<TokenInfo, GraphError> {
        let query = [("input_token", token.expose_secret())];
        let answer: Data<TokenInfo> = self.as_app().get("debug_token", &query).await?;
        Ok(answer.data)
    }
}

impl UserClient {
    /// Reads the user's decisions about each permission that was ever requested.
    pub async fn permissions(&self) -> Result<Permissions, GraphError> {
        let answer: Data<Vec<Permission>> = self.get("me/permissions", &[]).await?;
        let mut permissions = Permissions::default();
        for Permission { permission, status } in answer.data {
            match status.as_str() {
                "granted" => permissions.granted.push(permission),
                "expired" => permissions.expired.push(permission),
                // An unknown status is not a grant.
                _ => permissions.declined.push(permission),
            }
        }
        Ok(permissions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(granular: &str) -> TokenInfo {
        serde_json::from_str(&format!(r#"{{"is_valid":true,"granular_scopes":{granular}}}"#)).unwrap()
    }

    #[test]
    fn only_what_was_chosen_counts_and_what_names_nothing_is_everything() {
        let selected = |granular| facts(granular).selected_accounts().map(|ids| ids.len());
        assert_eq!(selected("[]"), None);
        assert_eq!(selected(r#"[{"scope":"ads_read"},{"scope":"email","target_ids":["1"]}]"#), None);
        assert_eq!(selected(r#"[{"scope":"ads_read","target_ids":["1"]},{"scope":"ads_management"}]"#), None);
        let both =
            r#"[{"scope":"ads_read","target_ids":["1"]},{"scope":"ads_management","target_ids":["2"]}]"#;
        assert_eq!(selected(both), Some(2));
        assert_eq!(selected(r#"[{"scope":"ads_read","target_ids":[]}]"#), Some(0));
    }

    #[test]
    fn an_invalid_token_says_why() {
        let dead = r#"{"is_valid":false,"error":{"code":190,"subcode":463,"message":"over"}}"#;
        let dead: TokenInfo = serde_json::from_str(dead).unwrap();
        assert!(
            matches!(dead.invalid_reason(), Some(GraphError::Reconnect(details)) if details.subcode == Some(463))
        );
        let kind = |kind: &str| {
            let facts = format!(r#"{{"is_valid":true,"type":"{kind}"}}"#);
            serde_json::from_str::<TokenInfo>(&facts).unwrap().kind
        };
        assert_eq!((kind("SYSTEM_USER"), kind("USER")), (TokenKind::SystemUser, TokenKind::User));
        assert_eq!(kind("SOMETHING_NEW"), TokenKind::Other);
    }
}
