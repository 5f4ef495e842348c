//! The issuer's endpoints: authorization code with PKCE for the console, and renewal by rotating refresh tokens.

use std::sync::Arc;

use axum::extract::{Form, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::role::Role;
use domain::tenant::Tenant;
use http::header::{CACHE_CONTROL, COOKIE, SET_COOKIE};
use http::{HeaderMap, StatusCode};
use jiff::{SignedDuration, Timestamp};
use reqwest::Url;
use runtime::Clock;
use runtime::origins::AllowedOrigins;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::grants::{Authorization, Secrets};
use super::{CONSOLE_CLIENT, Issuer, PATH, Person, page};

/// The lifetime of a code: a browser exchanges it at once.
const CODE_TTL: SignedDuration = SignedDuration::from_secs(60);

/// How long a session lasts that nobody renews, and how long a browser stays signed in.
const SESSION_TTL: SignedDuration = SignedDuration::from_hours(12);

/// The cookie of a browser that is signed in.
const SESSION_COOKIE: &str = "adflight_issuer";

/// Where the console takes the code.
const CALLBACK_PATH: &str = "/login/callback";

/// An issuer that people sign in at.
pub(crate) struct SignIn {
    issuer: Issuer,
    /// The workspace that its people are in.
    workspace: Tenant,
    clock: Clock,
    origins: AllowedOrigins,
    access_ttl: SignedDuration,
    codes: Secrets<Authorization>,
    refresh_tokens: Secrets<Person>,
    browsers: Secrets<Person>,
}

/// The parameters of a sign-in, which its page carries on to the choice of a person.
#[derive(Debug, Deserialize)]
pub(super) struct AuthorizationRequest {
    client_id: Option<String>,
    redirect_uri: Option<String>,
    response_type: Option<String>,
    scope: Option<String>,
    state: Option<String>,
    nonce: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
    prompt: Option<String>,
    /// The person's choice, which only the form has.
    role: Option<Role>,
}

#[derive(Debug, Deserialize)]
struct TokenRequest {
    grant_type: String,
    client_id: Option<String>,
    code: Option<String>,
    redirect_uri: Option<String>,
    code_verifier: Option<String>,
    refresh_token: Option<String>,
}

#[derive(Debug, Deserialize)]
struct SignOutRequest {
    post_logout_redirect_uri: Option<String>,
}

#[derive(Serialize)]
struct IdClaims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: String,
    iat: i64,
    exp: i64,
    name: &'a str,
    email: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
}

/// An error of OAuth (RFC 6749), with its description.
struct OAuthError(&'static str, &'static str);

impl SignIn {
    /// Lets people sign in to the workspace from consoles at these origins, with access tokens of this lifetime.
    pub(crate) fn new(
        issuer: Issuer,
        workspace: Tenant,
        clock: Clock,
        origins: AllowedOrigins,
        access_ttl: SignedDuration,
    ) -> Self {
        Self {
            issuer,
            workspace,
            clock,
            origins,
            access_ttl,
            codes: Secrets::new(CODE_TTL),
            refresh_tokens: Secrets::new(SESSION_TTL),
            browsers: Secrets::new(SESSION_TTL),
        }
    }

    /// Returns the issuer's endpoints.
    pub(crate) fn router(self) -> Router {
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .route("/authorize", get(authorize).post(choose))
            .route("/token", post(token))
            .route("/sign-out", get(sign_out));
        Router::new().nest(PATH, routes).with_state(Arc::new(self))
    }

    /// Returns the redirect URI of a request, if it is a console's that may ask.
    fn redirect_uri(&self, uri: Option<&str>) -> Option<Url> {
        let url = Url::parse(uri?).ok()?;
        let is_callback = url.path() == CALLBACK_PATH && url.query().is_none() && url.fragment().is_none();
        (is_callback && self.origins.contains(&url.origin().ascii_serialization())).then_some(url)
    }

    /// Returns where to send a request's answer, or why nowhere.
    fn trusted(&self, request: &AuthorizationRequest) -> Result<Url, &'static str> {
        if request.client_id.as_deref() != Some(CONSOLE_CLIENT) {
            return Err("its client_id is unknown");
        }
        let redirect_uri = self.redirect_uri(request.redirect_uri.as_deref());
        redirect_uri.ok_or("its redirect_uri is not /login/callback at an allowed origin")
    }

    /// Returns who is signed in in the browser of a request.
    fn signed_in(&self, headers: &HeaderMap) -> Option<Person> {
        self.browsers.get(session_cookie(headers)?, self.clock.now())
    }

    /// Sends the browser back with a code.
    fn grant(&self, person: Person, request: AuthorizationRequest, redirect_uri: Url) -> Response {
        let now = self.clock.now();
        let challenge = request.code_challenge.unwrap_or_default();
        let authorization =
            Authorization { person, redirect_uri: redirect_uri.to_string(), challenge, nonce: request.nonce };
        match self.codes.issue(authorization, now) {
            Ok(code) => self.send_back(redirect_uri, request.state.as_deref(), &[("code", &code)]),
            Err(_) => self.send_back(redirect_uri, request.state.as_deref(), &[("error", "server_error")]),
        }
    }

    fn send_back(&self, mut redirect_uri: Url, state: Option<&str>, parameters: &[(&str, &str)]) -> Response {
        let state = state.map(|state| ("state", state));
        // RFC 9207: a client that knows several issuers can tell which one answers.
        let issuer = [("iss", self.issuer.url())];
        redirect_uri.query_pairs_mut().extend_pairs(parameters.iter().copied().chain(state).chain(issuer));
        Redirect::to(redirect_uri.as_str()).into_response()
    }

    /// Exchanges a code or a refresh token.
    fn exchange(&self, request: TokenRequest) -> Result<Value, OAuthError> {
        let now = self.clock.now();
        if request.client_id.as_deref() != Some(CONSOLE_CLIENT) {
            return Err(OAuthError("invalid_client", "the client is unknown"));
        }
        let (person, nonce) = match request.grant_type.as_str() {
            "authorization_code" => {
                let code = request.code.unwrap_or_default();
                let granted = self.codes.redeem(&code, now);
                let granted =
                    granted.ok_or(OAuthError("invalid_grant", "the code is unknown, used or too old"))?;
                let verifier = Sha256::digest(request.code_verifier.unwrap_or_default());
                let is_bound = URL_SAFE_NO_PAD.encode(verifier) == granted.challenge
                    && request.redirect_uri.as_deref() == Some(granted.redirect_uri.as_str());
                if !is_bound {
                    return Err(OAuthError("invalid_grant", "the code belongs to another request"));
                }
                (granted.person, granted.nonce)
            }
            "refresh_token" => {
                let token = request.refresh_token.unwrap_or_default();
                let person = self.refresh_tokens.redeem(&token, now);
                (person.ok_or(OAuthError("invalid_grant", "the session has ended"))?, None)
            }
            _ => return Err(OAuthError("unsupported_grant_type", "only codes and refresh tokens are taken")),
        };
        self.tokens(person, nonce, now)
            .map_err(|_| OAuthError("server_error", "the tokens could not be issued"))
    }

    fn tokens(&self, person: Person, nonce: Option<String>, now: Timestamp) -> anyhow::Result<Value> {
        let expires_at = now + self.access_ttl;
        let identity = IdClaims {
            iss: self.issuer.url(),
            aud: CONSOLE_CLIENT,
            sub: person.subject(&self.workspace),
            iat: now.as_second(),
            exp: expires_at.as_second(),
            name: person.name(),
            email: person.email(),
            nonce,
        };
        let access = self.issuer.session_claims(person, &self.workspace, expires_at);
        Ok(json!({
            "access_token": self.issuer.sign(&access)?,
            "id_token": self.issuer.sign(&identity)?,
            "refresh_token": self.refresh_tokens.issue(person, now)?,
            "token_type": "Bearer",
            "expires_in": self.access_ttl.as_secs(),
        }))
    }
}

impl AuthorizationRequest {
    /// Returns the parameters that the form carries on.
    pub(super) fn parameters(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("client_id", &self.client_id),
            ("redirect_uri", &self.redirect_uri),
            ("response_type", &self.response_type),
            ("scope", &self.scope),
            ("state", &self.state),
            ("nonce", &self.nonce),
            ("code_challenge", &self.code_challenge),
            ("code_challenge_method", &self.code_challenge_method),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }

    /// Returns the OAuth error of a request that can be sent back, if it has one.
    fn mistake(&self) -> Option<&'static str> {
        let has_scope =
            |wanted| self.scope.as_deref().unwrap_or_default().split(' ').any(|scope| scope == wanted);
        if self.response_type.as_deref() != Some("code") {
            Some("unsupported_response_type")
        } else if !has_scope("openid") {
            Some("invalid_scope")
        } else if self.code_challenge_method.as_deref() != Some("S256") || self.code_challenge.is_none() {
            Some("invalid_request")
        } else {
            None
        }
    }
}

async fn discovery(State(sign_in): State<Arc<SignIn>>) -> Json<Value> {
    let url = sign_in.issuer.url();
    Json(json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "jwks_uri": format!("{url}/keys"),
        "end_session_endpoint": format!("{url}/sign-out"),
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "scopes_supported": ["openid", "email", "profile", "offline_access"],
        "prompt_values_supported": ["none", "login"],
        "authorization_response_iss_parameter_supported": true,
    }))
}

async fn keys(State(sign_in): State<Arc<SignIn>>) -> Json<Value> {
    Json(sign_in.issuer.jwks())
}

async fn authorize(
    State(sign_in): State<Arc<SignIn>>,
    headers: HeaderMap,
    Query(request): Query<AuthorizationRequest>,
) -> Response {
    let redirect_uri = match sign_in.trusted(&request) {
        Ok(redirect_uri) => redirect_uri,
        Err(what) => return page::refused(what),
    };
    let state = request.state.as_deref();
    if let Some(error) = request.mistake() {
        return sign_in.send_back(redirect_uri, state, &[("error", error)]);
    }
    let signed_in = sign_in.signed_in(&headers).filter(|_| request.prompt.as_deref() != Some("login"));
    match (signed_in, request.prompt.as_deref()) {
        (Some(person), _) => sign_in.grant(person, request, redirect_uri),
        (None, Some("none")) => sign_in.send_back(redirect_uri, state, &[("error", "login_required")]),
        (None, _) => page::choose(&request, &redirect_uri.origin().ascii_serialization()),
    }
}

async fn choose(State(sign_in): State<Arc<SignIn>>, Form(request): Form<AuthorizationRequest>) -> Response {
    let redirect_uri = match sign_in.trusted(&request) {
        Ok(redirect_uri) => redirect_uri,
        Err(what) => return page::refused(what),
    };
    if let Some(error) = request.mistake() {
        return sign_in.send_back(redirect_uri, request.state.as_deref(), &[("error", error)]);
    }
    let Some(person) = request.role.map(Person) else { return page::refused("it names no role") };
    let Ok(session) = sign_in.browsers.issue(person, sign_in.clock.now()) else {
        return sign_in.send_back(redirect_uri, request.state.as_deref(), &[("error", "server_error")]);
    };
    let cookie = cookie(&session, SESSION_TTL.as_secs());
    ([(SET_COOKIE, cookie)], sign_in.grant(person, request, redirect_uri)).into_response()
}

async fn token(State(sign_in): State<Arc<SignIn>>, Form(request): Form<TokenRequest>) -> Response {
    let (status, body) = match sign_in.exchange(request) {
        Ok(tokens) => (StatusCode::OK, tokens),
        Err(OAuthError(error, description)) => {
            (StatusCode::BAD_REQUEST, json!({"error": error, "error_description": description}))
        }
    };
    (status, [(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

async fn sign_out(
    State(sign_in): State<Arc<SignIn>>,
    headers: HeaderMap,
    Query(request): Query<SignOutRequest>,
) -> Response {
    if let Some(session) = session_cookie(&headers) {
        sign_in.browsers.redeem(session, sign_in.clock.now());
    }
    let back = request.post_logout_redirect_uri.and_then(|uri| Url::parse(&uri).ok());
    let back = back.filter(|url| sign_in.origins.contains(&url.origin().ascii_serialization()));
    let Some(back) = back else { return page::refused("it does not say where to go after signing out") };
    ([(SET_COOKIE, cookie("", 0))], Redirect::to(back.as_str())).into_response()
}

fn session_cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|header| header.to_str().ok());
    let mut pairs = cookies.flat_map(|header| header.split("; ")).filter_map(|pair| pair.split_once('='));
    pairs.find(|(name, _)| *name == SESSION_COOKIE).map(|(_, value)| value)
}

fn cookie(value: &str, max_age: i64) -> String {
    format!("{SESSION_COOKIE}={value}; Path={PATH}; HttpOnly; SameSite=Lax; Max-Age={max_age}")
}
