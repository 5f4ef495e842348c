//! The page of the local issuer on which a person picks who to be.

use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::role::Role;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use super::endpoints::AuthorizationRequest;
use super::{PATH, Person};

const STYLE: &str = ":root{color-scheme:light dark}\
                     body{max-width:26rem;margin:12vh auto;padding:0 1rem;font:1rem/1.5 system-ui,sans-serif}\
                     button{font:inherit;display:block;width:100%;text-align:left;padding:.75rem 1rem;margin:0 0 .75rem;\
                     border:1px solid light-dark(#868f9c,#697484);border-radius:10px;cursor:pointer;\
                     background:light-dark(#fff,#14181f);color:light-dark(#12161c,#e9edf3)}\
                     button:hover,button:focus-visible{outline:2px solid light-dark(#1d54c9,#82aaff)}\
                     button span{display:block;font-size:.875rem;color:light-dark(#454e5b,#b3bcc8)}";

/// Renders the page. Its form goes back to `request`'s redirect URI, which is at `origin`.
pub(super) fn choose(request: &AuthorizationRequest, origin: &str) -> Response {
    let body = html! {
        p { "This is the sign-in of a laptop, without passwords. In the cloud your own provider takes its place." }
        form method="post" action={ (PATH) "/authorize" } {
            @for (name, value) in request.parameters() {
                input type="hidden" name=(name) value=(value);
            }
            @for person in Person::ALL {
                button type="submit" name="role" value=(person.0) autofocus[person.0 == Role::Owner] {
                    strong { (person.name()) } " · " (person.0)
                    span { (person.may()) }
                }
            }
        }
    };
    page(StatusCode::OK, "Sign in to Adflight", &body, origin)
}

/// Renders what is wrong with a request that cannot be sent back.
pub(super) fn refused(what: &str) -> Response {
    let body = html! { p { "The page that sent you here made a mistake: " (what) "." } };
    page(StatusCode::BAD_REQUEST, "This sign-in cannot go on", &body, "")
}

fn page(status: StatusCode, title: &str, body: &Markup, form_origin: &str) -> Response {
    let html = html! {
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
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    // The answer to the form redirects to the console, which browsers hold to the policy as well.
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self' {form_origin}; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, &policy),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
    ];
    (status, headers, html.into_string()).into_response()
}
