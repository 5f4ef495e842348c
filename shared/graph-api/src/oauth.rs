//! Logging in at Meta: the dialog, the exchanges, what a token may do, and which ad accounts it sees.

use ads::id::{AdAccountId, MetaUserId};
use ads::money::Currency;
use secrecy::SecretString;
use serde::Deserialize;

use crate::client::{Caller, Graph};
use crate::error::GraphError;
use crate::page::Pages;

/// What we ask a person for. `ads_read` for the numbers, `ads_management` for writes and webhooks.
pub const SCOPES: [&str; 3] = ["ads_read", "ads_management", "business_management"];

const ACCOUNT_FIELDS: &str = "id,name,account_status,currency,timezone_name";

/// A token fresh from an exchange.
#[derive(Debug, Deserialize)]
pub struct IssuedToken {
    /// The token.
    pub access_token: SecretString,
    /// Seconds until it expires; absent means never.
    pub expires_in: Option<i64>,
}

/// What `debug_token` says about a token.
#[derive(Debug, Deserialize)]
pub struct TokenFacts {
    /// The app it was issued to.
    pub app_id: String,
    /// Whether it works.
    pub is_valid: bool,
    /// Unix seconds; 0 means never.
    #[serde(default)]
    pub expires_at: i64,
    /// Unix seconds after which data access ends although the token lives; 0 means never.
    #[serde(default)]
    pub data_access_expires_at: i64,
    /// What was granted.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The app-scoped person.
    pub user_id: Option<MetaUserId>,
}

/// An ad account that a token sees.
#[derive(Debug, Clone, Deserialize)]
pub struct AdAccount {
    /// `act_` and digits.
    pub id: AdAccountId,
    /// Its name.
    pub name: Option<String>,
    /// 1 is active; Marketing API, "Ad account", has the others.
    pub account_status: Option<i64>,
    /// Fixed for the account's life.
    pub currency: Currency,
    /// IANA zone; every day of insights is a day there.
    pub timezone_name: String,
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

impl Graph {
    /// Where to send a person. `state` comes back with them and must be ours, fresh and unused.
    pub fn authorize_url(&self, redirect_uri: &str, state: &str) -> String {
        let config = self.config();
        let query = [
            ("client_id", config.app_id.as_str()),
            ("redirect_uri", redirect_uri),
            ("state", state),
            ("scope", &SCOPES.join(",")),
            ("response_type", "code"),
        ];
        let base = format!("{}/{}/dialog/oauth", config.dialog_url, config.version);
        match reqwest::Url::parse_with_params(&base, query) {
            Ok(url) => url.into(),
            Err(_) => base,
        }
    }

    /// The code of the callback for a short-lived token. `redirect_uri` must be the dialog's, byte for byte.
    pub async fn exchange_code(&self, code: &str, redirect_uri: &str) -> Result<IssuedToken, GraphError> {
        self.exchange(&[("code", code), ("redirect_uri", redirect_uri)]).await
    }

    /// A short-lived token for one that lives about 60 days.
    pub async fn extend(&self, token: &SecretString) -> Result<IssuedToken, GraphError> {
        use secrecy::ExposeSecret;
        self.exchange(&[("grant_type", "fb_exchange_token"), ("fb_exchange_token", token.expose_secret())])
            .await
    }

    /// Posted as a form, so that neither the secret nor a token stands in a URL.
    async fn exchange(&self, params: &[(&str, &str)]) -> Result<IssuedToken, GraphError> {
        use secrecy::ExposeSecret;
        let config = self.config();
        let app =
            [("client_id", config.app_id.as_str()), ("client_secret", config.app_secret.expose_secret())];
        self.as_app().create("oauth/access_token", &[&app, params].concat()).await
    }

    /// What a token is and may do.
    pub async fn debug_token(&self, token: &SecretString) -> Result<TokenFacts, GraphError> {
        use secrecy::ExposeSecret;
        let query = [("input_token", token.expose_secret())];
        let answer: Data<TokenFacts> = self.as_app().get("debug_token", &query).await?;
        Ok(answer.data)
    }
}

impl Caller {
    /// The permissions that the person granted; declined and expired ones are left out.
    pub async fn granted_permissions(&self) -> Result<Vec<String>, GraphError> {
        let answer: Data<Vec<Permission>> = self.get("me/permissions", &[]).await?;
        let granted = answer.data.into_iter().filter(|permission| permission.status == "granted");
        Ok(granted.map(|permission| permission.permission).collect())
    }

    /// Every ad account that the token sees.
    pub fn ad_accounts(&self) -> Pages<AdAccount> {
        Pages::new(self.clone(), "me/adaccounts".to_owned(), vec![("fields", ACCOUNT_FIELDS.to_owned())], 100)
    }
}
