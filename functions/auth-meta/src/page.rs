//! What a person sees after Meta: plain HTML, no scripts, nothing from elsewhere.

use ads::Failure;
use ads::id::ConnectionId;
use ads::tenant::Tenant;
use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY};
use maud::{DOCTYPE, Markup, html};
use runtime::{Reply, problem, reply};
use serde::Serialize;
use store::account::AdAccount;
use store::erase::Erasure;

use crate::leaving::told;

/// What came of a callback.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct Connected {
    pub(crate) connection: ConnectionId,
    pub(crate) workspace: Tenant,
    /// What the person said no to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) declined: Vec<String>,
    pub(crate) ad_accounts: Vec<AdAccount>,
}

/// What was connected.
pub(crate) fn connected(connected: &Connected) -> Reply {
    let body = html! {
        p { "Workspace " strong { (connected.workspace) } " now reaches these ad accounts:" }
        ul {
            @for account in &connected.ad_accounts {
                li { (account.name.as_deref().unwrap_or("Unnamed")) " (" (account.id) ", " (account.currency) ")" }
            }
        }
        @if !connected.declined.is_empty() {
            p { "These permissions were declined; the product can ask for them again:" }
            ul { @for name in &connected.declined { li { (name) } } }
        }
        p { "Choose in the product which of them to sync. You can close this page." }
    };
    page(StatusCode::OK, "Connected to Meta", &body)
}

/// What went wrong.
pub(crate) fn failed(failure: &Failure) -> Reply {
    let (status, title, detail) = problem::shown(failure);
    let body = html! { p { (detail) } p { "You can close this page and begin again from the product." } };
    let mut reply = page(status, title, &body);
    problem::name_wait(failure, &mut reply);
    reply
}

/// What became of a person's wish to have their data deleted.
pub(crate) fn deletion(wish: Option<&Erasure>) -> Reply {
    let (status, title, text) = told(wish);
    let code = wish.map(|wish| wish.code.as_str());
    page(
        status,
        title,
        &html! {
            p { (text) }
            @if let Some(code) = code { p { "Confirmation code: " code { (code) } } }
        },
    )
}

fn page(status: StatusCode, title: &str, body: &Markup) -> Reply {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
            }
            body { main { h1 { (title) } (body) } }
        }
    };
    let mut reply = reply::typed(status, "text/html; charset=utf-8", page.into_string());
    // The address of this page holds the code and the state.
    reply.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    reply.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"));
    reply
}
