//! The login: OAuth state, callback, token exchange, and what is stored of them.

use bytes::Bytes;
use domain::{Error, FieldError};
use graph_api::GraphError;
use graph_api::oauth::{AuthorizationRequest, SCOPES, TokenKind};
use http::{Method, Request, StatusCode};
use jiff::{SignedDuration, Timestamp};
use runtime::endpoint::{self, Anonymous, Endpoint};
use runtime::operation::Header;
use runtime::request::{self, IgnoredQuery, Json, NoPath, NoQuery, RawJson, RequestContext};
use runtime::response::IntoResponse;
use runtime::session::Session;
use runtime::{Response, problem, telemetry};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use store::connection::ConnectionKind;
use store::oauth_state::OauthState;

use crate::browser::{self, Cookie, hash, random_secret, wants_json};
use crate::consent::{Consent, REQUIRED_SCOPE};
use crate::page::{self, ConnectResponse};
use crate::views::{AdAccountView, ConnectionView};
use crate::{AuthMeta, CONNECT_ROLE, LoginConfiguration};

/// Maximum time from `authorize` to the callback.
const LOGIN_TTL: SignedDuration = SignedDuration::from_mins(10);

/// Binds a login to the browser that began it.
const COOKIE_NAME: &str = "adflight_login";

/// How a person is to be asked. Without a body: classic login, for everything.
#[derive(Default, Clone, Deserialize)]
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

/// Upper bound for a token; Meta's have a few hundred characters.
const MAX_TOKEN_CHARS: usize = 4096;

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct SystemUserToken {
    /// Of a system user, made for this app.
    #[cfg_attr(feature = "describe", schemars(with = "String", length(min = 1, max = MAX_TOKEN_CHARS)))]
    token: SecretString,
}

#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct Authorization {
    authorize_url: String,
    expires_at: Timestamp,
}

/// What Meta's dialog sends back. It may add to it, so nothing else is refused.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct CallbackQuery {
    /// The state of the login.
    state: String,
    /// What is exchanged for a token.
    code: Option<String>,
    /// Why there is no code.
    error: Option<String>,
}

/// Path of the redirect URI.
const CALLBACK: &str = "/v1/auth/meta/callback";

pub(crate) fn authorize() -> Endpoint<AuthMeta> {
    let path = "/v1/workspaces/{workspace}/connections/meta/authorize";
    endpoint::member(Method::POST, path, CONNECT_ROLE)
        .named("authorize", "Begins a login at Meta")
        .description(
            "Send the person's browser, which must keep the cookie of this answer, to `authorize_url`.",
        )
        // The response is bound to one browser.
        .handles_own_idempotency()
        .responds(StatusCode::OK, "Where to send the person.", AuthMeta::authorize)
        .with_content::<Authorization>("application/json")
        .with_header(Header::required("Set-Cookie", "Binds the login to the browser."))
}

pub(crate) fn connect_system_user() -> Endpoint<AuthMeta> {
    let path = "/v1/workspaces/{workspace}/connections/meta/token";
    endpoint::member(Method::POST, path, CONNECT_ROLE)
        .named("connect_system_user", "Stores the token of a system user")
        .description(
            "The road that needs no review of the app. The token is sealed, and shown to nobody again.",
        )
        .calls_platform()
        .responds(StatusCode::OK, "The connection.", AuthMeta::connect_system_user)
}

pub(crate) fn login_callback() -> Endpoint<AuthMeta> {
    endpoint::public(Method::GET, CALLBACK)
        .named("login_callback", "Completes a login when Meta redirects back")
        .description(
            "A page for a browser, on which the person chooses ad accounts, or JSON for those who accept it.",
        )
        .fails_with(Error::Conflict, "The login is unknown, over, or was used already.")
        .fails_with(Error::Forbidden, "The person may not connect any more.")
        .changes_platform()
        .fails_as_page()
        .responds(StatusCode::OK, "What was connected.", AuthMeta::callback)
        .with_content::<ConnectResponse>("application/json")
        .with_content::<String>("text/html")
}

impl AuthMeta {
    async fn authorize(
        self,
        context: RequestContext<Session, NoPath, NoQuery, Option<Json<LoginRequest>>>,
    ) -> Result<Response, Error> {
        let session = &context.caller;
        let request = context.body.as_ref().map_or_else(LoginRequest::default, |Json(body)| body.clone());
        let (dialog, kind) = self.dialog_request(&request)?;
        let state = random_secret()?;
        let browser = random_secret()?;
        let expires_at = self.host.clock.now() + LOGIN_TTL;
        let public_url = context.public_url(self.host.public_url.as_deref())?;
        let redirect_uri = format!("{public_url}{CALLBACK}");
        let login = OauthState {
            workspace: session.workspace.clone(),
            subject: session.subject.clone(),
            role_source: session.role_source,
            browser_hash: hash(&browser),
            redirect_uri,
            expires_at,
            kind,
        };
        self.connector.table.create_oauth_state(&hash(&state), &login).await?;
        let authorize_url = self.connector.graph.authorize_url(&login.redirect_uri, &state, dialog);
        let mut response = Json(Authorization { authorize_url, expires_at }).into_response(StatusCode::OK)?;
        let cookie = Cookie {
            name: COOKIE_NAME,
            value: &browser,
            path: CALLBACK,
            max_age: LOGIN_TTL,
            // The redirect from Meta is a cross-site navigation.
            same_site: "Lax",
            secure: public_url.starts_with("https:"),
        };
        cookie.set(&mut response)?;
        Ok(response)
    }

    /// Returns the dialog request for this deployment's configuration.
    fn dialog_request(
        &self,
        request: &LoginRequest,
    ) -> Result<(AuthorizationRequest<'_>, ConnectionKind), Error> {
        if let Some(place) = request.rerequest.iter().position(|scope| !SCOPES.contains(&scope.as_str())) {
            let message = format!("is not a permission of this product; those are {}", SCOPES.join(", "));
            return Err(FieldError::new(format!("rerequest[{place}]"), message).into());
        }
        match (request.kind, &self.settings.login) {
            (LoginKind::Classic, _) if request.rerequest.is_empty() => {
                Ok((AuthorizationRequest::Scopes(&SCOPES), ConnectionKind::Classic))
            }
            // Requests every permission again; those already granted are only confirmed.
            (LoginKind::Classic, _) => {
                Ok((AuthorizationRequest::Rerequest(&SCOPES), ConnectionKind::Classic))
            }
            (LoginKind::Business, _) if !request.rerequest.is_empty() => {
                let message = "is for the kind classic; a configuration is granted as a whole or not at all";
                Err(FieldError::new("rerequest", message).into())
            }
            (LoginKind::Business, Some(LoginConfiguration { id, system_user })) => Ok((
                AuthorizationRequest::Configuration { id, system_user: *system_user },
                ConnectionKind::Business,
            )),
            (LoginKind::Business, None) => {
                let message = "is not set up in this deployment: its META_LOGIN_CONFIG_ID names no configuration of \
                               Facebook Login for Business; use classic";
                Err(FieldError::new("kind", message).into())
            }
        }
    }

    /// Stores a system user's token that the caller provides, which needs no app review.
    async fn connect_system_user(
        self,
        context: RequestContext<Session, NoPath, NoQuery, RawJson<SystemUserToken>>,
    ) -> Result<Json<ConnectionView>, Error> {
        let session = context.caller;
        // Parsed here because the decoder's messages quote the input.
        let body = serde_json::from_slice::<SystemUserToken>(&context.body.0);
        let token =
            body.map_err(|_| FieldError::new("body", r#"must be {"token":"..."} and nothing else"#))?.token;
        let wrong = |message: String| Error::from(FieldError::new("token", message));
        if !(1..=MAX_TOKEN_CHARS).contains(&token.expose_secret().len()) {
            return Err(wrong(format!("must have 1 to {MAX_TOKEN_CHARS} characters")));
        }
        let graph = &self.connector.graph;
        let token_info = match graph.debug_token(&token).await {
            // Meta rejects tokens of other apps.
            Err(GraphError::InvalidInput(_)) => {
                return Err(wrong("is no token of this app at Meta".to_owned()));
            }
            token_info => token_info?,
        };
        if let Some(reason) = token_info.invalid_reason() {
            return Err(wrong(format!("does not work: {reason}")));
        }
        if token_info.app_id != graph.config().app_id {
            return Err(wrong("belongs to another app; make one for this app".to_owned()));
        }
        if token_info.kind != TokenKind::SystemUser {
            let message = "is not a system user's; people connect by POST connections/meta/authorize";
            return Err(wrong(message.to_owned()));
        }
        if !token_info.scopes.iter().any(|scope| scope == REQUIRED_SCOPE) {
            return Err(wrong(format!(
                "was made without {REQUIRED_SCOPE}; make one with {}",
                SCOPES.join(", ")
            )));
        }
        let (kind, subject) = (ConnectionKind::SystemUser, session.subject.clone());
        let consent = Consent { token, token_info, kind, subject };
        let (connection, _) = self.save_consent(&session.workspace, consent).await?;
        Ok(Json(ConnectionView::of(connection, self.host.clock.now())))
    }

    /// Responds with an HTML page, or with JSON to clients that accept it.
    async fn callback(
        self,
        context: RequestContext<Anonymous, NoPath, IgnoredQuery<CallbackQuery>>,
    ) -> Result<Response, Error> {
        let json = wants_json(&context.request);
        let completed = self.complete_login(&context.request, json).await;
        Ok(completed.unwrap_or_else(|error| {
            if json {
                return problem::to_response(&error);
            }
            page::failed(&error, "You can close this page and begin again from the product.")
        }))
    }

    async fn complete_login(&self, request: &Request<Bytes>, json: bool) -> Result<Response, Error> {
        let CallbackQuery { state, code, error } = request::query(request)?;
        let login = self.consume_login(request, &state).await?;
        if let Some(error) = error {
            let cancelled = error == "access_denied";
            if cancelled && !json {
                return Ok(page::cancelled());
            }
            let why = if cancelled { "the login was cancelled at Meta" } else { "Meta refused the login" };
            return Err(Error::RejectedByPlatform(why.to_owned()));
        }
        self.check_may_connect(&login.workspace, &login.subject, login.role_source).await?;
        let code = code.ok_or_else(|| FieldError::new("code", "is missing; Meta sends it"))?;
        let connected = self.save_login(&code, &login).await?;
        if json {
            return Json(connected).into_response(StatusCode::OK);
        }
        self.render_selection(&login, &connected).await
    }

    async fn save_login(&self, code: &str, login: &OauthState) -> Result<ConnectResponse, Error> {
        let graph = &self.connector.graph;
        let mut token = graph.exchange_code(code, &login.redirect_uri).await?.access_token;
        let mut token_info = graph.debug_token(&token).await?;
        // A person's token lives two hours until it is exchanged; a system user's token is long-lived already.
        if token_info.kind != TokenKind::SystemUser {
            token = graph.extend(&token).await?.access_token;
            token_info = graph.debug_token(&token).await?;
        }
        if !token_info.is_valid || token_info.app_id != graph.config().app_id {
            return Err(Error::RejectedByPlatform(
                "Meta gave a token that is not valid for this app".to_owned(),
            ));
        }
        let consent = Consent { token, token_info, kind: login.kind, subject: login.subject.clone() };
        let (connection, ad_accounts) = self.save_consent(&login.workspace, consent).await?;
        let workspace = login.workspace.clone();
        Ok(ConnectResponse {
            connection: connection.id,
            workspace,
            declined: connection.declined,
            ad_accounts: ad_accounts.into_iter().map(AdAccountView::try_from).collect::<Result<_, _>>()?,
        })
    }

    /// Returns the login of this callback and deletes it, whatever follows.
    async fn consume_login(&self, request: &Request<Bytes>, state: &str) -> Result<OauthState, Error> {
        let invalid_login = || {
            let why = "this login is unknown, over, or was used already; begin again from the product";
            Error::Conflict(why.to_owned())
        };
        let login =
            self.connector.table.consume_oauth_state(&hash(state)).await?.ok_or_else(invalid_login)?;
        let same_browser = browser::is_same_browser(request, COOKIE_NAME, &login.browser_hash);
        if !same_browser || login.expires_at <= self.host.clock.now() {
            return Err(invalid_login());
        }
        telemetry::record_workspace(&login.workspace, None);
        Ok(login)
    }
}
