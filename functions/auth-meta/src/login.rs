//! The login: state, callback, exchanges, and what is kept of them.

use ads::{Failure, Invalid};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use graph_api::GraphError;
use graph_api::oauth::{Asked, SCOPES, TokenKind};
use http::header::{ACCEPT, COOKIE, HeaderValue, SET_COOKIE};
use jiff::{SignedDuration, Timestamp};
use runtime::route::Visit;
use runtime::{Reply, problem, random, reply, telemetry};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::connection::ConnectionKind;
use store::oauth_state::OauthState;
use subtle::ConstantTimeEq;

use crate::consent::{Consent, NEEDED_SCOPE};
use crate::page::{self, Connected};
use crate::shown::ShownConnection;
use crate::{AuthMeta, Endpoint, LoginConfiguration};

/// A person has this long to decide at Meta.
const LOGIN_LASTS: SignedDuration = SignedDuration::from_mins(10);

/// Binds a login to the browser that began it.
const COOKIE_NAME: &str = "adflight_login";

const CALLBACK_PATH: &str = "/v1/auth/meta/callback";

/// How a person is to be asked. Without a body: classic login, for everything.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginRequest {
    #[serde(default)]
    kind: LoginKind,
    /// Permissions that were declined before and are to be asked for again.
    #[serde(default)]
    #[cfg_attr(feature = "describe", schemars(extend("items" = serde_json::json!({"enum": SCOPES}))))]
    rerequest: Vec<String>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum LoginKind {
    /// Single permissions, each of which can be declined.
    #[default]
    Classic,
    /// The configuration of Facebook Login for Business that this deployment has.
    Business,
}

/// Meta's tokens have a few hundred characters.
const LONGEST_TOKEN: usize = 4096;

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct PastedToken {
    /// Of a system user, made for this app.
    #[cfg_attr(feature = "describe", schemars(with = "String", length(min = 1, max = LONGEST_TOKEN)))]
    token: SecretString,
}

#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct Authorization {
    authorize_url: String,
    expires_at: Timestamp,
}

impl AuthMeta {
    pub(crate) async fn authorize(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let session = visit.session()?;
        let request = if visit.request.body().is_empty() { LoginRequest::default() } else { visit.json()? };
        let (asked, kind) = self.asked(&request)?;
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
            kind,
        };
        self.access.table.begin_login(&hash(&state), &login).await?;
        let authorize_url = self.access.graph.authorize_url(&login.redirect_uri, &state, asked);
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

    /// What the dialog is to ask, as this deployment can.
    fn asked(&self, request: &LoginRequest) -> Result<(Asked<'_>, ConnectionKind), Failure> {
        if let Some(place) = request.rerequest.iter().position(|scope| !SCOPES.contains(&scope.as_str())) {
            let problem = format!("is not a permission of this product; those are {}", SCOPES.join(", "));
            return Err(Invalid::new(format!("rerequest[{place}]"), problem).into());
        }
        match (request.kind, &self.settings.login) {
            (LoginKind::Classic, _) if request.rerequest.is_empty() => {
                Ok((Asked::Scopes(&SCOPES), ConnectionKind::Classic))
            }
            // For all of them: what was granted before is merely confirmed.
            (LoginKind::Classic, _) => Ok((Asked::Again(&SCOPES), ConnectionKind::Classic)),
            (LoginKind::Business, _) if !request.rerequest.is_empty() => {
                let problem = "is for the kind classic; a configuration is granted as a whole or not at all";
                Err(Invalid::new("rerequest", problem).into())
            }
            (LoginKind::Business, Some(LoginConfiguration { id, system_user })) => {
                Ok((Asked::Configuration { id, system_user: *system_user }, ConnectionKind::Business))
            }
            (LoginKind::Business, None) => {
                let problem = "is not set up in this deployment: its META_LOGIN_CONFIG_ID names no configuration of \
                               Facebook Login for Business; use classic";
                Err(Invalid::new("kind", problem).into())
            }
        }
    }

    /// Keeps the token of a system user that somebody hands over: the road that needs no review of the app.
    pub(crate) async fn paste(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let session = visit.session()?;
        // Read here, because the messages of the decoder quote what they do not like.
        let pasted = serde_json::from_slice::<PastedToken>(visit.request.body());
        let token =
            pasted.map_err(|_| Invalid::new("body", r#"must be {"token":"..."} and nothing else"#))?.token;
        let wrong = |problem: String| Failure::from(Invalid::new("token", problem));
        if !(1..=LONGEST_TOKEN).contains(&token.expose_secret().len()) {
            return Err(wrong(format!("must have 1 to {LONGEST_TOKEN} characters")));
        }
        let graph = &self.access.graph;
        let facts = match graph.debug_token(&token).await {
            // Meta says nothing of the tokens of other apps.
            Err(GraphError::FixInput(_)) => return Err(wrong("is no token of this app at Meta".to_owned())),
            facts => facts?,
        };
        if let Some(death) = facts.death() {
            return Err(wrong(format!("does not work: {death}")));
        }
        if facts.app_id != graph.config().app_id {
            return Err(wrong("belongs to another app; make one for this app".to_owned()));
        }
        if facts.kind != TokenKind::SystemUser {
            let problem = "is not a system user's; people connect by POST connections/meta/authorize";
            return Err(wrong(problem.to_owned()));
        }
        if !facts.scopes.iter().any(|scope| scope == NEEDED_SCOPE) {
            return Err(wrong(format!(
                "was made without {NEEDED_SCOPE}; make one with {}",
                SCOPES.join(", ")
            )));
        }
        let (kind, subject) = (ConnectionKind::SystemUser, session.subject.clone());
        let consent = Consent { token, facts, kind, subject };
        let (connection, _) = self.keep_consent(&session.workspace, consent).await?;
        reply::ok(&ShownConnection::of(connection, self.host.clock.now()))
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
        let mut token = graph.exchange_code(&code, &login.redirect_uri).await?.access_token;
        let mut facts = graph.debug_token(&token).await?;
        // A person's token lives two hours until it is exchanged; a system user's came as it is to stay.
        if facts.kind != TokenKind::SystemUser {
            token = graph.extend(&token).await?.access_token;
            facts = graph.debug_token(&token).await?;
        }
        if !facts.is_valid || facts.app_id != graph.config().app_id {
            return Err(Failure::Refused("Meta gave a token that is not valid for this app".to_owned()));
        }
        let consent = Consent { token, facts, kind: login.kind, subject: login.subject };
        let (connection, ad_accounts) = self.keep_consent(&workspace, consent).await?;
        Ok(Connected { connection: connection.id, workspace, declined: connection.declined, ad_accounts })
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
