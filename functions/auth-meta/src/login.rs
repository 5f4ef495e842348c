//! The login: state, callback, exchanges, and what is kept of them.

use access::audit::{self, Act, Actor};
use access::token_context;
use ads::Failure;
use ads::id::ConnectionId;
use ads::tenant::Tenant;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use graph_api::account::Reachable;
use graph_api::oauth::{Asked, SCOPES};
use http::header::{ACCEPT, COOKIE, HeaderValue, SET_COOKIE};
use jiff::{SignedDuration, Timestamp};
use runtime::route::Visit;
use runtime::{Reply, problem, random, reply, telemetry};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::account::{AdAccount, canonical_zone};
use store::connection::{Connection, ConnectionState};
use store::oauth_state::OauthState;
use subtle::ConstantTimeEq;

use crate::page::{self, Connected};
use crate::{AuthMeta, Endpoint};

/// A person has this long to decide at Meta.
const LOGIN_LASTS: SignedDuration = SignedDuration::from_mins(10);

/// Binds a login to the browser that began it.
const COOKIE_NAME: &str = "adflight_login";

const CALLBACK_PATH: &str = "/v1/auth/meta/callback";

/// Without these the product can do nothing for the person.
const NEEDED_SCOPE: &str = "ads_read";

#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct Authorization {
    authorize_url: String,
    expires_at: Timestamp,
}

impl AuthMeta {
    pub(crate) async fn authorize(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let session = visit.session()?;
        let state = secret_text()?;
        let browser = secret_text()?;
        let expires_at = self.host.clock.now() + LOGIN_LASTS;
        let public_url = visit.public_url(self.host.public_url.as_deref())?;
        let redirect_uri = format!("{public_url}{CALLBACK_PATH}");
        let login = OauthState {
            workspace: session.workspace.clone(),
            subject: session.subject.clone(),
            browser_hash: hash(&browser),
            redirect_uri,
            expires_at,
        };
        self.access.table.begin_login(&hash(&state), &login).await?;
        let authorize_url =
            self.access.graph.authorize_url(&login.redirect_uri, &state, Asked::Scopes(&SCOPES));
        let mut reply = reply::ok(&Authorization { authorize_url, expires_at })?;
        let secure = if public_url.starts_with("https:") { "; Secure" } else { "" };
        let cookie = format!(
            "{COOKIE_NAME}={browser}; Path={CALLBACK_PATH}; Max-Age={}; HttpOnly; SameSite=Lax{secure}",
            LOGIN_LASTS.as_secs()
        );
        let cookie = HeaderValue::from_str(&cookie).map_err(|error| Failure::Defect(error.to_string()))?;
        reply.headers_mut().insert(SET_COOKIE, cookie);
        Ok(reply)
    }

    /// Answers a page, for it is a browser that comes; JSON for those who ask for it.
    pub(crate) async fn callback(&self, visit: &Visit<Endpoint>) -> Reply {
        let accepts = visit.request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
        let json = accepts.is_some_and(|accepts| accepts.contains("application/json"));
        match self.finish_login(visit).await {
            Ok(connected) if json => {
                reply::ok(&connected).unwrap_or_else(|failure| problem::answer(&failure))
            }
            Ok(connected) => page::connected(&connected),
            Err(failure) if json => problem::answer(&failure),
            Err(failure) => page::failed(&failure),
        }
    }

    async fn finish_login(&self, visit: &Visit<Endpoint>) -> Result<Connected, Failure> {
        let login = self.take_login(visit).await?;
        let workspace = login.workspace;
        if let Some(error) = visit.query::<String>("error")? {
            let why = if error == "access_denied" {
                "the login was cancelled at Meta"
            } else {
                "Meta refused the login"
            };
            return Err(Failure::Refused(why.to_owned()));
        }
        let code: String = visit.required("code", "the code that Meta sent")?;
        let graph = &self.access.graph;
        let short = graph.exchange_code(&code, &login.redirect_uri).await?;
        let long = graph.extend(&short.access_token).await?;
        let facts = graph.debug_token(&long.access_token).await?;
        if !facts.is_valid || facts.app_id != graph.config().app_id {
            return Err(Failure::Refused("Meta gave a token that is not valid for this app".to_owned()));
        }
        let meta_user =
            facts.user_id.ok_or_else(|| Failure::Refused("Meta gave a token without a person".to_owned()))?;
        let caller = graph.on_behalf_of(long.access_token.clone());
        let scopes = caller.permissions().await?.granted;
        if !scopes.iter().any(|scope| scope == NEEDED_SCOPE) {
            let why = format!("the permission {NEEDED_SCOPE} was declined; connect again and allow it");
            return Err(Failure::NeedPermission(why));
        }
        // Read before anything is kept: a login that fails leaves no connection without its accounts.
        let found = caller.reachable_accounts().await?;
        // One connection for a person and workspace: connecting again renews it.
        let id: ConnectionId = format!("meta-{meta_user}").parse()?;
        let sealed_token =
            self.access.keyring.seal(&long.access_token, &token_context(&workspace, &id)).await?;
        let connection = Connection {
            id: id.clone(),
            meta_user,
            connected_by: login.subject,
            sealed_token,
            scopes,
            expires_at: moment(facts.expires_at),
            data_access_expires_at: moment(facts.data_access_expires_at),
            state: ConnectionState::Connected,
            reason: None,
            connected_at: self.host.clock.now(),
        };
        let who = Actor::Person { subject: connection.connected_by.clone() };
        let act = Act::new(random::id()?, who, "connection.made", audit::connection(&workspace, &id));
        let act = act.changing(Value::Null, json!({"scopes": connection.scopes}));
        let act = self.access.intend(&workspace, act).await?;
        let kept = self.access.table.keep_connection(&workspace, &connection).await;
        act.ended(kept.map_err(Failure::from), None, self.host.clock.now()).await?;
        let ad_accounts = self.keep_accounts(&workspace, &id, found).await?;
        tracing::info!(%workspace, connection = %id, ad_accounts = ad_accounts.len(), "Connected to Meta.");
        Ok(Connected { connection: id, workspace, ad_accounts })
    }

    /// The login that this callback belongs to. It is taken away whatever comes next.
    async fn take_login(&self, visit: &Visit<Endpoint>) -> Result<OauthState, Failure> {
        let refused = || {
            let why = "this login is unknown, over, or was used already; begin again from the product";
            Failure::Conflict(why.to_owned())
        };
        let state: String = visit.required("state", "the state that Meta sent")?;
        let login = self.access.table.take_login(&hash(&state)).await?.ok_or_else(refused)?;
        let browser = cookie(visit).map(hash).unwrap_or_default();
        let same_browser = bool::from(browser.as_bytes().ct_eq(login.browser_hash.as_bytes()));
        if !same_browser || login.expires_at <= self.host.clock.now() {
            return Err(refused());
        }
        telemetry::concerns(&login.workspace, None);
        Ok(login)
    }

    async fn keep_accounts(
        &self,
        workspace: &Tenant,
        connection: &ConnectionId,
        found: Vec<Reachable>,
    ) -> Result<Vec<AdAccount>, Failure> {
        for Reachable { account, .. } in found {
            // One odd account must not keep a person from the others.
            let timezone = match canonical_zone(&account.timezone_name) {
                Ok(timezone) => timezone,
                Err(invalid) => {
                    tracing::warn!(%workspace, ad_account = %account.id, %invalid, "An ad account is left out.");
                    continue;
                }
            };
            let account = AdAccount {
                id: account.id,
                connection: connection.clone(),
                name: account.name,
                account_status: account.account_status,
                currency: account.currency,
                timezone,
                selected: false,
                structure_synced_at: None,
            };
            self.access.table.keep_account(workspace, &account).await?;
        }
        let accounts = self.access.table.accounts(workspace).await?;
        Ok(accounts.into_iter().filter(|account| account.connection == *connection).collect())
    }
}

/// 256 random bits as text.
fn secret_text() -> Result<String, Failure> {
    Ok(URL_SAFE_NO_PAD.encode(random::bytes::<32>()?))
}

fn hash(text: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(text))
}

/// Our cookie's value.
fn cookie(visit: &Visit<Endpoint>) -> Option<&str> {
    let cookies = visit.request.headers().get_all(COOKIE).iter().filter_map(|header| header.to_str().ok());
    cookies
        .flat_map(|header| header.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE_NAME)
        .map(|(_, value)| value)
}

/// Meta's unix seconds, where 0 means never.
fn moment(unix: i64) -> Option<Timestamp> {
    (unix != 0).then(|| Timestamp::from_second(unix).ok()).flatten()
}
