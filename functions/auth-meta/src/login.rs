//! The login: OAuth state, callback, token exchange, and what is stored of them.

use bytes::Bytes;
use domain::{Error, FieldError};
use graph_api::oauth::{AuthorizationRequest, SCOPES, TokenKind};
use http::header::REFERER;
use http::{Method, Request, StatusCode};
use jiff::{SignedDuration, Timestamp};
use runtime::endpoint::{self, Anonymous, Endpoint};
use runtime::operation::Header;
use runtime::request::{self, IgnoredQuery, Json, NoPath, NoQuery, RequestContext};
use runtime::response::IntoResponse;
use runtime::session::Session;
use runtime::{Response, problem, telemetry};
use serde::{Deserialize, Serialize};
use store::StoreError;
use store::connection::ConnectionKind;
use store::login::Login;
use subtle::ConstantTimeEq;

use crate::browser::{CookieKind, hash, keyed_hash, random_secret, wants_json};
use crate::consent::Consent;
use crate::page::{self, ConnectResponse};
use crate::return_url::{self, Outcome, ReturnLink};
use crate::views::AdAccountView;
use crate::{AuthMeta, CONNECT_ROLE, LoginConfiguration};

/// Maximum time from `authorize` to the first visit of `start_url`. Short, because whoever has the URL can begin.
const TICKET_TTL: SignedDuration = SignedDuration::from_mins(5);

/// Maximum time from the first visit to the callback.
const LOGIN_TTL: SignedDuration = SignedDuration::from_mins(10);

/// Binds a login to the browser that began it.
const COOKIE: CookieKind = CookieKind { name: "adflight_login", path: LOGIN_PATH, same_site: "Lax" };

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
    /// The page of the front end that the login leads back to, of an allowed origin. `outcome` is added to its query:
    /// `connected`, `cancelled` or `failed`; with `failed` also `error`, the last part of the problem's `type`.
    #[serde(default)]
    #[cfg_attr(feature = "describe", schemars(extend("format" = "uri")))]
    return_url: Option<String>,
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

#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct LoginStart {
    /// Where the person's browser has to go, once.
    start_url: String,
    expires_at: Timestamp,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct StartQuery {
    /// From `start_url`.
    ticket: String,
    /// From the link of the page that asks whether to go on.
    confirmation: Option<String>,
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

/// Beginning of the paths of a login, to which its cookie is sent.
const LOGIN_PATH: &str = "/v1/auth/meta";

/// Path of `start_url`.
const START: &str = "/v1/auth/meta/start";

/// Path of the redirect URI.
const CALLBACK: &str = "/v1/auth/meta/callback";

pub(crate) fn authorize() -> Endpoint<AuthMeta> {
    let path = "/v1/workspaces/{workspace}/connections/meta/authorize";
    endpoint::member(Method::POST, path, CONNECT_ROLE)
        .named("authorize", "Begins a login at Meta")
        .description("Navigate the person's browser to `start_url`, from a page of an allowed origin.")
        // The response is a secret, and asking again is harmless.
        .handles_own_idempotency()
        .responds(StatusCode::OK, "Where to send the person.", AuthMeta::authorize)
}

pub(crate) fn start_login() -> Endpoint<AuthMeta> {
    endpoint::public(Method::GET, START)
        .named("start_login", "Binds a login to the browser and redirects it to Meta's dialog")
        .description(
            "For a browser. One that does not come from a page of an allowed origin is asked first whether to go on, \
             because a link to a login could come from anybody.",
        )
        .fails_with(Error::Conflict, "The link is unknown, over, or was used already.")
        .fails_as_page()
        .responds(StatusCode::FOUND, "Meta's dialog.", AuthMeta::start_login)
        .with_header(Header::required("Location", "Meta's dialog."))
        .or_responds::<String>(StatusCode::OK, "text/html", "A page that asks whether to go on.")
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
        .or_redirects(StatusCode::SEE_OTHER, "The login's `return_url`, when the person cancelled.")
        .with_content::<ConnectResponse>("application/json")
        .with_content::<String>("text/html")
}

impl AuthMeta {
    async fn authorize(
        self,
        context: RequestContext<Session, NoPath, NoQuery, Option<Json<LoginRequest>>>,
    ) -> Result<Json<LoginStart>, Error> {
        let session = &context.caller;
        let request = context.body.as_ref().map_or_else(LoginRequest::default, |Json(body)| body.clone());
        let (kind, rerequest) = self.check_login_request(&request)?;
        let ticket = random_secret()?;
        let public_url = context.public_url(self.host.public_url.as_deref())?;
        let login = Login {
            workspace: session.workspace.clone(),
            subject: session.subject.clone(),
            role_source: session.role_source,
            kind,
            rerequest,
            redirect_uri: format!("{public_url}{CALLBACK}"),
            return_url: request.return_url,
            browser_hash: None,
            expires_at: self.host.clock.now() + TICKET_TTL,
        };
        self.connector.table.create_login_ticket(&hash(&ticket), &login).await?;
        let start_url = format!("{public_url}{START}?ticket={ticket}");
        Ok(Json(LoginStart { start_url, expires_at: login.expires_at }))
    }

    /// Checks a request against this deployment's configuration. Returns the kind of connection, and whether declined
    /// permissions are asked for again.
    fn check_login_request(&self, request: &LoginRequest) -> Result<(ConnectionKind, bool), Error> {
        let mut errors = Vec::new();
        if let Some(place) = request.rerequest.iter().position(|scope| !SCOPES.contains(&scope.as_str())) {
            let message = format!("is not a permission of this product; those are {}", SCOPES.join(", "));
            errors.push(FieldError::new(format!("rerequest[{place}]"), message));
        }
        if let Some(url) = &request.return_url {
            errors.extend(return_url::check(url, &self.settings.allowed_origins).err());
        }
        let rerequest = !request.rerequest.is_empty();
        if request.kind == LoginKind::Business && rerequest {
            let message = "is for the kind classic; a configuration is granted as a whole or not at all";
            errors.push(FieldError::new("rerequest", message));
        }
        if request.kind == LoginKind::Business && self.settings.login.is_none() {
            let message = "is not set up in this deployment: its META_LOGIN_CONFIG_ID names no configuration of \
                           Facebook Login for Business; use classic";
            errors.push(FieldError::new("kind", message));
        }
        if !errors.is_empty() {
            return Err(Error::Invalid(errors));
        }
        let kind = match request.kind {
            LoginKind::Classic => ConnectionKind::Classic,
            LoginKind::Business => ConnectionKind::Business,
        };
        Ok((kind, rerequest))
    }

    async fn start_login(
        self,
        context: RequestContext<Anonymous, NoPath, IgnoredQuery<StartQuery>>,
    ) -> Result<Response, Error> {
        let (table, request) = (&self.connector.table, &context.request);
        let begun = async {
            let StartQuery { ticket, confirmation } = request::query(request)?;
            let login = table.login_ticket(&hash(&ticket)).await?.ok_or_else(ticket_is_over)?;
            Ok::<_, Error>((ticket, confirmation, login))
        };
        let (ticket, confirmation, login) = match begun.await {
            Ok(begun) => begun,
            Err(error) => return Ok(self.failed_page(&error, None, BEGIN_AGAIN)),
        };
        let begun = self.open_dialog(request, &ticket, confirmation.as_deref(), &login).await;
        Ok(begun.unwrap_or_else(|error| self.failed_page(&error, Some(&login), BEGIN_AGAIN)))
    }

    /// Redirects to Meta's dialog, or asks the person first.
    ///
    /// Without a question, anybody could have a stranger connect their ad accounts to a workspace of the sender, by a
    /// link. The question's link works only with the cookie that was set with it, so it cannot be skipped.
    async fn open_dialog(
        &self,
        request: &Request<Bytes>,
        ticket: &str,
        confirmation: Option<&str>,
        login: &Login,
    ) -> Result<Response, Error> {
        let now = self.host.clock.now();
        if login.expires_at <= now {
            return Err(ticket_is_over());
        }
        telemetry::record_workspace(&login.workspace, None);
        let secure = login.redirect_uri.starts_with("https:");
        let browser = random_secret()?;
        let cookie = COOKIE.with(&browser, LOGIN_TTL, secure);
        let is_confirmed = confirmation.is_some_and(|confirmation| {
            let expected = COOKIE.read(request, secure).map(|browser| keyed_hash(browser, ticket));
            expected.is_some_and(|expected| expected.as_bytes().ct_eq(confirmation.as_bytes()).into())
        });
        let referrer = request::header(request, REFERER.as_str()).and_then(return_url::origin_of);
        let origins = &self.settings.allowed_origins;
        if !is_confirmed && !referrer.is_some_and(|origin| origins.contains(&origin)) {
            let workspace = self.display_name(&login.workspace).await?;
            let go_on = format!("{START}?ticket={ticket}&confirmation={}", keyed_hash(&browser, ticket));
            let mut response = page::confirmation(&workspace, &go_on);
            cookie.set(&mut response)?;
            return Ok(response);
        }
        let state = random_secret()?;
        let started =
            Login { browser_hash: Some(hash(&browser)), expires_at: now + LOGIN_TTL, ..login.clone() };
        match self.connector.table.start_login(&hash(ticket), &hash(&state), &started).await {
            Err(StoreError::Conflict) => return Err(ticket_is_over()),
            stored => stored?,
        }
        let dialog = self.connector.graph.authorize_url(&login.redirect_uri, &state, self.dialog(login)?);
        let mut response = page::redirect(StatusCode::FOUND, &dialog)?;
        cookie.set(&mut response)?;
        Ok(response)
    }

    /// Returns what is asked of the person.
    fn dialog(&self, login: &Login) -> Result<AuthorizationRequest<'_>, Error> {
        match (login.kind, &self.settings.login) {
            (ConnectionKind::Business, Some(LoginConfiguration { id, system_user })) => {
                Ok(AuthorizationRequest::Configuration { id, system_user: *system_user })
            }
            (ConnectionKind::Business, None) => {
                Err(Error::Conflict("Facebook Login for Business is no longer set up".to_owned()))
            }
            // Requests every permission again; those already granted are only confirmed.
            _ if login.rerequest => Ok(AuthorizationRequest::Rerequest(&SCOPES)),
            _ => Ok(AuthorizationRequest::Scopes(&SCOPES)),
        }
    }

    /// Responds with an HTML page, or with JSON to clients that accept it.
    async fn callback(
        self,
        context: RequestContext<Anonymous, NoPath, IgnoredQuery<CallbackQuery>>,
    ) -> Result<Response, Error> {
        let (table, request) = (&self.connector.table, &context.request);
        let json = wants_json(request);
        let failed = |error: &Error, login: Option<&Login>| match json {
            true => problem::to_response(error),
            false => self.failed_page(error, login, BEGIN_AGAIN),
        };
        let begun = async {
            let query: CallbackQuery = request::query(request)?;
            let login = table.oauth_state(&hash(&query.state)).await?.ok_or_else(login_is_over)?;
            Ok::<_, Error>((query, login))
        };
        let (query, login) = match begun.await {
            Ok(begun) => begun,
            Err(error) => return Ok(failed(&error, None)),
        };
        let public_url = context.public_url(self.host.public_url.as_deref()).ok();
        let completed = self.complete_login(request, query, &login, (json, public_url)).await;
        Ok(completed.unwrap_or_else(|error| failed(&error, Some(&login))))
    }

    async fn complete_login(
        &self,
        request: &Request<Bytes>,
        query: CallbackQuery,
        login: &Login,
        (json, public_url): (bool, Option<&str>),
    ) -> Result<Response, Error> {
        self.consume_login(request, &query.state, login).await?;
        if let Some(error) = query.error {
            let cancelled = error == "access_denied";
            if cancelled && !json {
                let back = self.return_link(Some(login), &Outcome::Cancelled);
                return match (&login.return_url, back) {
                    (Some(_), Some(back)) => page::redirect(StatusCode::SEE_OTHER, &back.url),
                    (_, back) => Ok(page::cancelled(back.as_ref())),
                };
            }
            let why = if cancelled { "the login was cancelled at Meta" } else { "Meta refused the login" };
            return Err(Error::RejectedByPlatform(why.to_owned()));
        }
        self.check_may_connect(&login.workspace, &login.subject, login.role_source).await?;
        let code = query.code.ok_or_else(|| FieldError::new("code", "is missing; Meta sends it"))?;
        let connected = self.save_login(&code, login).await?;
        self.subscribe_app(public_url).await;
        if json {
            return Json(connected).into_response(StatusCode::OK);
        }
        self.render_selection(login, &connected).await
    }

    /// Renders an error with the way back to the front end, as far as it is known.
    pub(crate) fn failed_page(&self, error: &Error, login: Option<&Login>, next: &str) -> Response {
        page::failed(error, next, self.return_link(login, &Outcome::Failed(error)).as_ref())
    }

    fn return_link(&self, login: Option<&Login>, outcome: &Outcome<'_>) -> Option<ReturnLink> {
        let return_url = login.and_then(|login| login.return_url.as_deref());
        ReturnLink::new(return_url, &self.settings.allowed_origins, outcome)
    }

    async fn save_login(&self, code: &str, login: &Login) -> Result<ConnectResponse, Error> {
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
            discovery: connection.discovery,
            ad_accounts: ad_accounts.into_iter().map(AdAccountView::try_from).collect::<Result<_, _>>()?,
        })
    }

    /// Uses up the login, whatever follows. A callback in another browser uses up nothing: the right one may follow.
    async fn consume_login(&self, request: &Request<Bytes>, state: &str, login: &Login) -> Result<(), Error> {
        let secure = login.redirect_uri.starts_with("https:");
        let browser_hash = login.browser_hash.as_deref().unwrap_or_default();
        if !COOKIE.matches(request, secure, browser_hash) || login.expires_at <= self.host.clock.now() {
            return Err(login_is_over());
        }
        if !self.connector.table.consume_oauth_state(&hash(state), browser_hash).await? {
            return Err(login_is_over());
        }
        telemetry::record_workspace(&login.workspace, None);
        Ok(())
    }
}

const BEGIN_AGAIN: &str = "Begin again from the product.";

fn ticket_is_over() -> Error {
    Error::Conflict("this link to a login is unknown, over, or was used already".to_owned())
}

fn login_is_over() -> Error {
    Error::Conflict("this login is unknown, over, was used already, or began in another browser".to_owned())
}
