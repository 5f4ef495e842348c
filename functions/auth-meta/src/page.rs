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

/// What came of a callback.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct Connected {
    pub(crate) connection: ConnectionId,
    pub(crate) workspace: Tenant,
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
        p { "Choose in the product which of them to sync. You can close this page." }
    };
    page(StatusCode::OK, "Connected to Meta", &body)
}

/// What went wrong.
pub(crate) fn failed(failure: &Failure) -> Reply {
    let (status, title, detail) = problem::shown(failure);
    page(
        status,
        title,
        &html! { p { (detail) } p { "You can close this page and begin again from the product." } },
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
