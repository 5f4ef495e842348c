//! The login dialog, in which a user grants the app permissions, and the authorization codes it issues.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::config::App;
use crate::error::GraphError;
use crate::percent;
use crate::token::Tokens;

/// The id of the user who is logged in at the dialog.
pub const LOGIN_USER_ID: &str = "122100000000000042";
/// The permissions that a Login for Business configuration grants.
const CONFIGURED_SCOPES: &str = "ads_management,ads_read,business_management";
const SYSTEM_USER: &str = "system_user";
const CODE_TTL: SignedDuration = SignedDuration::from_mins(10);

/// The response of the dialog: a page, or a redirect to the app.
pub(crate) enum DialogResponse {
    Page(StatusCode, String),
    Redirect(String),
}

/// Authorization codes that were sent to the app.
#[derive(Clone, Default)]
pub(crate) struct AuthorizationCodes {
    issued: u64,
    codes: BTreeMap<String, AuthorizationCode>,
}

#[derive(Clone)]
struct AuthorizationCode {
    redirect_uri: String,
    grant: Grant,
    issued_at: Timestamp,
    used: bool,
}

/// What a user granted to the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) scopes: Vec<String>,
    /// The scopes among `scopes` that the user declined.
    pub(crate) declined: Vec<String>,
    /// Whether the token is for a system user of the user's business.
    pub(crate) system: bool,
    /// The selected ad accounts (ids without `act_`); `None` means all.
    pub(crate) selected_accounts: Option<BTreeSet<String>>,
}

impl Grant {
    /// Reads the user's decision. Permissions that the user declined before are neither shown nor granted, unless the
    /// app rerequests them.
    fn read(params: &BTreeMap<String, String>, tokens: &Tokens) -> Self {
        let names = |name: &str| names(params.get(name).map_or("", String::as_str));
        let scopes: Vec<String> = names("scope").map(str::to_owned).collect();
        let again = params.get("auth_type").is_some_and(|kind| kind == "rerequest");
        let silent = |scope: &&String| !again && tokens.has_declined(LOGIN_USER_ID, scope);
        let silent: Vec<String> = scopes.iter().filter(silent).cloned().collect();
        let declined = names("declined").map(str::to_owned).filter(|name| scopes.contains(name));
        let declined = declined.chain(silent).collect();
        let selected_accounts: BTreeSet<String> =
            names("accounts").map(|id| id.trim_start_matches("act_").to_owned()).collect();
        let selected_accounts = (!selected_accounts.is_empty()).then_some(selected_accounts);
        let system = params.get("for").is_some_and(|whom| whom == SYSTEM_USER);
        Self { scopes, declined, system, selected_accounts }
    }
}

/// Splits a list of names at commas and spaces.
fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split([',', ' ']).filter(|name| !name.is_empty())
}

impl AuthorizationCodes {
    fn issue(&mut self, redirect_uri: &str, grant: Grant, secret: &str, now: Timestamp) -> String {
        self.issued += 1;
        let signature = crate::crypto::proof(secret, &format!("{} {now}", self.issued));
        let code = format!("AQ{signature}");
        let entry =
            AuthorizationCode { redirect_uri: redirect_uri.to_owned(), grant, issued_at: now, used: false };
        self.codes.insert(code.clone(), entry);
        code
    }

    /// Redeems a code for its grant. A code is valid once, for ten minutes, and with the redirect URI it was sent to.
    pub(crate) fn redeem(
        &mut self,
        code: &str,
        redirect_uri: &str,
        now: Timestamp,
    ) -> Result<Grant, GraphError> {
        let Some(code) = self.codes.get_mut(code) else {
            return Err(GraphError::new(100, "Invalid verification code format."));
        };
        if code.used {
            return Err(GraphError::new(100, "This authorization code has been used.").subcode(36009));
        }
        if code.redirect_uri != redirect_uri {
            return Err(GraphError::new(
                100,
                "Error validating verification code. Please make sure your redirect_uri is identical to the one you \
                 used in the OAuth dialog request",
            )
            .subcode(36008));
        }
        if code.issued_at + CODE_TTL <= now {
            return Err(GraphError::new(100, "This authorization code has expired.").subcode(36007));
        }
        code.used = true;
        Ok(code.grant.clone())
    }
}

/// Handles `GET /dialog/oauth`.
pub(crate) fn dialog(app: &App, tokens: &Tokens, params: &BTreeMap<String, String>) -> DialogResponse {
    if let Err(page) = check(app, params) {
        return page;
    }
    let text = |name: &str| params.get(name).map_or("", String::as_str);
    let configured = params.contains_key("config_id");
    let scope = if configured { CONFIGURED_SCOPES } else { text("scope") };
    let scope = if scope.is_empty() { "public_profile" } else { scope };
    // A configuration for system users needs this parameter to respond with a code (Login for Business).
    let system = configured && text("override_default_response_type") == "true";
    // A configuration is requested as a whole, whatever the user declined before.
    let again = configured || text("auth_type") == "rerequest";
    let hidden = [
        ("auth_type", if again { "rerequest" } else { "" }),
        ("client_id", text("client_id")),
        ("redirect_uri", text("redirect_uri")),
        ("state", text("state")),
        ("scope", scope),
        ("for", if system { SYSTEM_USER } else { "person" }),
    ];
    DialogResponse::Page(
        StatusCode::OK,
        page(
            "Log in to continue",
            html! {
                p { "The app " strong { (app.app_id) } " asks for these permissions on your ad accounts:" }
                ul {
                    @for scope in names(scope).filter(|scope| again || !tokens.has_declined(LOGIN_USER_ID, scope)) {
                        li { code { (scope) } }
                    }
                }
                form method="post" action="/dialog/oauth/decision" {
                    @for (name, value) in hidden { input type="hidden" name=(name) value=(value); }
                    // A configuration is granted as a whole or not at all (Login for Business).
                    @if !configured {
                        p { label { "Not these: " input name="declined" placeholder="ads_management"; } }
                    }
                    p { label { "Only these ad accounts: " input name="accounts" placeholder="act_1, act_2"; } }
                    button type="submit" name="decision" value="continue" { "Continue" }
                    " "
                    button type="submit" name="decision" value="cancel" { "Cancel" }
                }
                p { small { "This is a local simulator. Nobody's real account is involved." } }
            },
        ),
    )
}

/// Handles `POST /dialog/oauth/decision`.
pub(crate) fn decide(
    app: &App,
    codes: &mut AuthorizationCodes,
    tokens: &Tokens,
    params: &BTreeMap<String, String>,
    now: Timestamp,
) -> DialogResponse {
    if let Err(page) = check(app, params) {
        return page;
    }
    let text = |name: &str| params.get(name).map_or("", String::as_str);
    let redirect_uri = text("redirect_uri");
    let response = if text("decision") == "continue" {
        format!("code={}", codes.issue(redirect_uri, Grant::read(params, tokens), &app.app_secret, now))
    } else {
        let description = percent::encode("Permissions error");
        format!("error_reason=user_denied&error=access_denied&error_description={description}")
    };
    let separator = if redirect_uri.contains('?') { '&' } else { '?' };
    DialogResponse::Redirect(format!(
        "{redirect_uri}{separator}{response}&state={}",
        percent::encode(text("state"))
    ))
}

/// Rejects an unknown app or redirect URI with an error page instead of a redirect, because the target could be an
/// attacker's.
fn check(app: &App, params: &BTreeMap<String, String>) -> Result<(), DialogResponse> {
    let refuse = |what: &str| {
        Err(DialogResponse::Page(
            StatusCode::BAD_REQUEST,
            page("Sorry, something went wrong", html! { p { (what) } }),
        ))
    };
    if params.get("client_id").is_none_or(|id| *id != app.app_id) {
        return refuse("Invalid App ID: the client_id is not the one of an app known here.");
    }
    if !params.get("redirect_uri").is_some_and(|uri| is_allowed_redirect(app, uri)) {
        return refuse("URL Blocked: the redirect_uri is not among the app's valid OAuth redirect URIs.");
    }
    if params.get("response_type").is_some_and(|wanted| wanted != "code") {
        return refuse("The response_type must be code.");
    }
    Ok(())
}

fn is_allowed_redirect(app: &App, uri: &str) -> bool {
    if !app.redirect_uris.is_empty() {
        return app.redirect_uris.iter().any(|registered| registered == uri);
    }
    ["http://127.0.0.1", "http://localhost"].iter().any(|here| {
        uri.strip_prefix(here).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/', '?']))
    }) && !uri.contains(['@', '\\', '#', '\r', '\n'])
}

const PAGE_CSS: &str = "body{font:1rem/1.5 system-ui,sans-serif;margin:0;background:#f0f2f5;color:#1c1e21}\
main{max-width:26rem;margin:10vh auto;padding:2rem;background:#fff;border-radius:.5rem}\
button{font:inherit;padding:.5rem 1.25rem;border:1px solid #0a58ca;border-radius:.375rem;background:#fff;color:#0a58ca}\
button[value=continue]{background:#0a58ca;color:#fff}";

fn page(title: &str, content: Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(PAGE_CSS)) }
            }
            body { main { h1 { (title) } (content) } }
        }
    };
    page.into_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(registered: &[&str]) -> App {
        let redirect_uris = registered.iter().map(|uri| (*uri).to_owned()).collect();
        App { app_id: "1".into(), app_secret: "s".into(), redirect_uris }
    }

    #[test]
    fn only_registered_addresses_or_this_machine_are_redirected_to() {
        assert!(is_allowed_redirect(&app(&[]), "http://127.0.0.1:3000/callback"));
        assert!(is_allowed_redirect(&app(&[]), "http://localhost/callback"));
        assert!(!is_allowed_redirect(&app(&[]), "http://localhost.evil.test/callback"));
        assert!(!is_allowed_redirect(&app(&[]), "http://localhost:80@evil.test/"));
        assert!(is_allowed_redirect(&app(&["https://a.test/cb"]), "https://a.test/cb"));
        assert!(!is_allowed_redirect(&app(&["https://a.test/cb"]), "https://a.test/cb/"));
        assert!(!is_allowed_redirect(&app(&["https://a.test/cb"]), "http://localhost/cb"));
    }

    #[test]
    fn a_code_works_once_and_in_time() {
        let start: Timestamp = "2026-11-20T02:00:00Z".parse().unwrap();
        let mut codes = AuthorizationCodes::default();
        let granted = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            Grant::read(&pairs, &Tokens::default())
        };
        let grant = granted(&[("scope", "ads_read,ads_management"), ("declined", "ads_management,email")]);
        let mut issue = || codes.issue("http://localhost/", grant.clone(), "s", start);
        let (code, late) = (issue(), issue());
        let mut subcode =
            |code: &str, uri: &str, at| codes.redeem(code, uri, at).map_err(|error| error.subcode);
        assert_eq!(subcode(&code, "http://localhost/x", start), Err(Some(36008)));
        let redeemed = subcode(&code, "http://localhost/", start).unwrap();
        assert_eq!((redeemed.scopes.len(), redeemed.declined), (2, vec!["ads_management".to_owned()]));
        assert_eq!(subcode(&code, "http://localhost/", start), Err(Some(36009)));
        assert_eq!(subcode(&late, "http://localhost/", start + CODE_TTL), Err(Some(36007)));
        assert_eq!(subcode("bogus", "http://localhost/", start), Err(None));
    }
}
