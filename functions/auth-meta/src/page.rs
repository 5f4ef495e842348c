//! HTML pages shown before and after Meta's dialog: no scripts and no external resources.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::Error;
use domain::id::ConnectionId;
use domain::tenant::Tenant;
use http::header::{CONTENT_SECURITY_POLICY, HeaderValue, LOCATION, REFERRER_POLICY};
use http::{HeaderName, StatusCode};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use runtime::{Response, problem, response};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::return_url::ReturnLink;
use crate::views::AdAccountView;

/// Stylesheet for long lists and touch-sized rows. Pages work without it.
const STYLE: &str = ":root{color-scheme:light dark}body{max-width:40rem;margin:2rem auto;padding:0 1rem;\
                     font:1rem/1.5 system-ui,sans-serif}fieldset ul{list-style:none;padding:0}\
                     label{display:block;padding:.5rem 0}button{font:inherit;padding:.5rem 1rem}";

/// Path that the selection form is sent to, and that its cookie is for.
pub(crate) const SELECTION_PATH: &str = "/v1/auth/meta/choose";

/// What came of a callback.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct ConnectResponse {
    pub(crate) connection: ConnectionId,
    pub(crate) workspace: Tenant,
    /// What the person said no to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) declined: Vec<String>,
    /// The search for its ad accounts, where there are too many to be listed here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) discovery: Option<store::connection::Discovery>,
    pub(crate) ad_accounts: Vec<AdAccountView>,
}

/// Result of a selection.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct SelectionResponse {
    pub(crate) workspace: Tenant,
    /// Those that were on the page, as they are now.
    pub(crate) ad_accounts: Vec<AdAccountView>,
}

/// Form with the ad accounts to choose from.
pub(crate) struct SelectionForm<'a> {
    pub(crate) secret: &'a str,
    pub(crate) accounts: &'a [&'a AdAccountView],
    /// Number of accounts beyond those listed.
    pub(crate) remaining: usize,
}

/// Asks whether to go on to Meta's dialog.
pub(crate) fn confirmation(workspace: &str, go_on: &str) -> Response {
    let body = html! {
        p {
            "The ad accounts that you choose at Meta are connected to the workspace " strong { (workspace) }
            ". Its members then see their numbers and can change their campaigns."
        }
        p { "Go on only if you asked for this. If somebody sent you this link, close the page." }
        p { a href=(go_on) { "Go on to Meta" } }
    };
    page(StatusCode::OK, "Connect ad accounts", &body)
}

/// Redirects a browser. The address of the page that is left is shown to nobody, because it may contain secrets.
pub(crate) fn redirect(status: StatusCode, url: &str) -> Result<Response, Error> {
    let mut response = response::no_content();
    *response.status_mut() = status;
    let url = HeaderValue::from_str(url).map_err(|error| Error::Internal(error.to_string()))?;
    response.headers_mut().insert(LOCATION, url);
    response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}

/// Renders what was connected, with its ad accounts to choose from.
pub(crate) fn selection_form(
    workspace: &str,
    declined: &[String],
    form: &SelectionForm<'_>,
    back: Option<&ReturnLink>,
) -> Response {
    let body = html! {
        p { "Workspace " strong { (workspace) } " is connected to Meta. Choose which ad accounts it syncs." }
        (declined_list(declined))
        form method="post" action=(SELECTION_PATH) {
            input type="hidden" name="selection" value=(form.secret);
            fieldset {
                legend { "Ad accounts to sync" }
                p {
                    "Those with a tick are synced: their campaigns and numbers are fetched now and kept up to date. Those \
                     without are not, or not any longer; what was stored of them stays."
                }
                ul {
                    @for account in form.accounts {
                        li {
                            label {
                                input type="checkbox" name="ad_account" value=(account.id) checked[account.selected];
                                " " (account_label(account))
                                @if let Some(note) = cannot_run(account) { br; small { (note) } }
                            }
                        }
                    }
                }
                @if form.remaining > 0 {
                    p { (form.remaining) " more ad accounts are not on this page; the product shows all of them." }
                }
            }
            p {
                button type="submit" { "Sync these accounts" }
                @if form.accounts.len() > 1 && form.accounts.iter().any(|account| !account.selected) {
                    " " button type="submit" name="all" value="true" { "Sync all " (form.accounts.len()) }
                }
            }
        }
        p { "You can choose within half an hour here, and in the product whenever you like." }
        (link_back(back))
    };
    // The response to the form may redirect there, which browsers hold to the policy as well.
    form_page(StatusCode::OK, "Choose ad accounts", &body, back.map(|back| back.origin.as_str()))
}

/// Renders a connection without ad accounts.
pub(crate) fn no_accounts(workspace: &str, declined: &[String], back: Option<&ReturnLink>) -> Response {
    let body = html! {
        p { "Workspace " strong { (workspace) } " is connected to Meta, but Meta shows it no ad account." }
        (declined_list(declined))
        p {
            "Either you left out every ad account in Meta's dialog, or none is assigned to you at Meta. Have one assigned \
             to you, then begin again from the product and choose it in the dialog."
        }
        (link_back(back))
    };
    page(StatusCode::OK, "Connected to Meta, without ad accounts", &body)
}

/// Says that there are more ad accounts than a page lists.
pub(crate) fn discovering(workspace: &str, declined: &[String], back: Option<&ReturnLink>) -> Response {
    let body = html! {
        p {
            "Workspace " strong { (workspace) } " is connected to Meta. There are many ad accounts; they are being read \
             now, which can take some minutes."
        }
        (declined_list(declined))
        p { "The product shows them as they come. Choose there which ones to sync." }
        (link_back(back))
    };
    page(StatusCode::OK, "Connected to Meta, ad accounts are being read", &body)
}

/// Renders the synced ad accounts.
pub(crate) fn selection_result(
    workspace: &str,
    accounts: &[AdAccountView],
    back: Option<&ReturnLink>,
) -> Response {
    let (synced, others): (Vec<_>, Vec<_>) = accounts.iter().partition(|account| account.selected);
    let body = html! {
        @if synced.is_empty() {
            p { "Workspace " strong { (workspace) } " syncs none of these ad accounts." }
        } @else {
            p { "Workspace " strong { (workspace) } " syncs these ad accounts now:" }
            ul { @for account in &synced { li { (account_label(account)) } } }
        }
        @if !others.is_empty() && !synced.is_empty() {
            p { "It does not sync the other " (others.len()) "." }
        }
        p { "You can change this in the product whenever you like." }
        (link_back(back))
    };
    page(StatusCode::OK, "Your selection is saved", &body)
}

/// Renders a login that the person cancelled.
pub(crate) fn cancelled(back: Option<&ReturnLink>) -> Response {
    let body = html! {
        p { "You cancelled the login at Meta. Nothing was connected, and nothing has changed." }
        p { "To connect after all, go back to the product and begin again: Meta then asks you again." }
        (link_back(back))
    };
    page(StatusCode::UNPROCESSABLE_ENTITY, "The login was cancelled", &body)
}

/// Renders an error and the person's next step.
pub(crate) fn failed(error: &Error, next: &str, back: Option<&ReturnLink>) -> Response {
    let (status, title, detail) = problem::public_parts(error);
    let body = html! {
        @if let Error::Invalid(field_errors) = error {
            ul { @for field_error in field_errors { li { code { (field_error.field) } " " (field_error.message) "." } } }
        } @else {
            p { (sentence(&detail)) }
        }
        p { (next) }
        (link_back(back))
    };
    let mut response = page(status, title, &body);
    problem::set_retry_after(error, &mut response);
    response
}

/// Renders the status of a data deletion request.
pub(crate) fn deletion(status: StatusCode, title: &str, text: &str, code: Option<&str>) -> Response {
    let body = html! {
        p { (text) }
        @if let Some(code) = code { p { "Confirmation code: " code { (code) } } }
    };
    page(status, title, &body)
}

fn link_back(back: Option<&ReturnLink>) -> Markup {
    html! { @if let Some(back) = back { p { a href=(back.url) { "Back to " (back.host) } } } }
}

fn declined_list(names: &[String]) -> Markup {
    html! {
        @if !names.is_empty() {
            p { "These permissions were declined; the product can ask for them again:" }
            ul { @for name in names { li { (name) } } }
        }
    }
}

/// Returns the label of an ad account, as its owner knows it.
fn account_label(account: &AdAccountView) -> Markup {
    html! { (account.name.as_deref().unwrap_or("Unnamed")) " (" (account.id) ", " (account.currency) ")" }
}

/// Returns why no ads can run in an ad account. It can be synced all the same.
fn cannot_run(account: &AdAccountView) -> Option<String> {
    match account.disable_reason_text {
        Some(why) => Some(format!("Disabled at Meta, no ads can run in it: {why}.")),
        None if account.can_run => None,
        None => Some("No ads can run in it at the moment.".to_owned()),
    }
}

/// Formats an error detail as a sentence.
fn sentence(detail: &str) -> String {
    let mut letters = detail.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let end = if detail.ends_with('.') { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

fn page(status: StatusCode, title: &str, body: &Markup) -> Response {
    form_page(status, title, body, None)
}

/// Renders a page whose form is sent to us, and may be redirected to this origin as well.
fn form_page(status: StatusCode, title: &str, body: &Markup, form_origin: Option<&str>) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { h1 { (title) } (body) } }
        }
    };
    let mut response = response::typed(status, "text/html; charset=utf-8", page.into_string());
    let allowed = format!(
        "default-src 'none'; style-src 'sha256-{}'; form-action 'self'{}; base-uri 'none'; frame-ancestors 'none'",
        STANDARD.encode(Sha256::digest(STYLE)),
        form_origin.map(|origin| format!(" {origin}")).unwrap_or_default()
    );
    let headers = response.headers_mut();
    // Base64 is always a valid header value.
    headers.extend(HeaderValue::from_str(&allowed).ok().map(|allowed| (CONTENT_SECURITY_POLICY, allowed)));
    // The page's URL may contain the code and the state.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    response
}
