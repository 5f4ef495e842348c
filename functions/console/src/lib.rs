//! `console`: the product on a page. It is a client of the public API, and comes from the same origin.
//!
//! The page's sources are in `web`; `cargo xtask console` builds them into `dist`, which is committed, so that nothing but
//! cargo is needed to serve them. Every address that is neither the API's nor a file is the page itself.

#[cfg(not(target_arch = "wasm32"))]
mod assets;
#[cfg(target_arch = "wasm32")]
mod worker;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use http::header::{X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, Uri};
use serde::Serialize;

/// The page without its settings.
const PAGE: &str = include_str!("../dist/index.html");

/// Where the settings belong in the page.
const SETTINGS_PLACE: &str = "{{settings}}";

/// Where Meta shows ads as people see them.
const PREVIEWS: &str = "https://www.facebook.com";

/// Keeps the window of the console away from pages that open it, or that it opens.
const CROSS_ORIGIN_OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// How the page signs people in.
#[derive(Debug, Clone, Serialize)]
pub struct Settings {
    /// The OpenID Connect issuer of sessions.
    pub issuer: String,
    /// What the console is called there: a public client with authorization code and PKCE.
    pub client_id: String,
    /// The audience of the API, which its access tokens must have. It is asked for as `resource` and as `audience`, because
    /// providers differ in the name.
    pub audience: String,
    /// The issuer's token endpoint, where it is at another origin than the issuer.
    #[serde(skip)]
    pub token_url: Option<String>,
    /// The address of the hub of live events, where it is another origin than the page's.
    #[serde(skip)]
    pub hub: Option<String>,
    /// The origin of the frames in which ads are shown as people see them; Meta's site, unless Meta is simulated.
    #[serde(skip)]
    pub previews: Option<String>,
    /// Scopes, separated by spaces. `offline_access` is what many providers need to renew sessions.
    pub scope: String,
}

/// The console with its settings. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Console {
    page: Bytes,
    policy: HeaderValue,
}

impl Console {
    /// Writes the settings into the page. `None` if the issuer, its token endpoint, the hub or the origin of previews is no
    /// URL, or the settings cannot be written.
    pub fn new(settings: &Settings) -> Option<Self> {
        let mut origins = vec![origin(&settings.issuer)?];
        if let Some(token_url) = &settings.token_url {
            origins.push(origin(token_url)?);
        }
        if let Some(hub) = &settings.hub {
            origins.push(origin(hub)?.replacen("http", "ws", 1));
        }
        let origins = origins.join(" ");
        let frames = origin(settings.previews.as_deref().unwrap_or(PREVIEWS))?;
        let settings = serde_json::to_string(settings).ok()?;
        let escaped = settings.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
        // Nothing but our own files runs or is shown; only the API, the issuer and the hub are called.
        let policy = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data:; \
             connect-src 'self' {origins}; frame-src {frames}; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; \
             require-trusted-types-for 'script'; trusted-types 'none'"
        );
        let page = PAGE.replace(SETTINGS_PLACE, &escaped).into();
        Some(Self { page, policy: HeaderValue::from_str(&policy).ok()? })
    }

    /// Returns the page, or the file at a path.
    pub fn handle(&self, method: &Method, path: &str) -> Response<Bytes> {
        if method != Method::GET && method != Method::HEAD {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "Only GET is possible here.\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match path.strip_prefix("/assets/") {
            Some(name) => file(name),
            None => {
                let mut page = self.page();
                // The page itself says that there is nothing here; programs see it by the status.
                if !is_page(path) {
                    *page.status_mut() = StatusCode::NOT_FOUND;
                }
                page
            }
        }
    }

    fn page(&self) -> Response<Bytes> {
        let mut response = Response::new(self.page.clone());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(CONTENT_SECURITY_POLICY, self.policy.clone());
        headers.insert(CROSS_ORIGIN_OPENER_POLICY, HeaderValue::from_static("same-origin"));
        // The start of a login at Meta looks at the origin that it comes from; nobody is told more.
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("strict-origin"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        // Its files have names of their content, so a new version shows at the next load.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }
}

/// Returns whether the console has a page at this path.
fn is_page(path: &str) -> bool {
    matches!(path.split('/').nth(1), Some("" | "login" | "w"))
}

fn origin(url: &str) -> Option<String> {
    let url: Uri = url.parse().ok()?;
    Some(format!("{}://{}", url.scheme_str()?, url.authority()?))
}

#[cfg(not(target_arch = "wasm32"))]
fn file(name: &str) -> Response<Bytes> {
    assets::find(name).unwrap_or_else(|| text(StatusCode::NOT_FOUND, "There is no such file.\n"))
}

/// Cloudflare answers for files that exist before it asks the Worker.
#[cfg(target_arch = "wasm32")]
fn file(_: &str) -> Response<Bytes> {
    text(StatusCode::NOT_FOUND, "There is no such file.\n")
}

fn text(status: StatusCode, text: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(text.as_bytes()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn console(issuer: &str) -> Option<Console> {
        let [client_id, audience, scope] = ["console\"><script>", "adflight", "openid"].map(str::to_owned);
        let hub = Some("https://live.example.com".to_owned());
        let token_url = Some("https://token.example.com/oauth2/token".to_owned());
        Console::new(&Settings {
            issuer: issuer.to_owned(),
            client_id,
            audience,
            token_url,
            hub,
            previews: None,
            scope,
        })
    }

    #[test]
    fn the_page_has_its_settings_and_a_policy_that_names_the_issuer_and_the_hub_alone() {
        let console = console("https://id.example.com/tenant").unwrap();
        let page = console.handle(&Method::GET, "/w/demo/overview");
        assert_eq!(page.status(), StatusCode::OK);
        let html = std::str::from_utf8(page.body()).unwrap();
        assert!(html.contains("console\\&quot;>&lt;script>") && !html.contains(SETTINGS_PLACE), "{html}");
        let policy = page.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(
            policy.contains(
                "connect-src 'self' https://id.example.com https://token.example.com wss://live.example.com;"
            ),
            "{policy}"
        );
        assert!(policy.contains("frame-src https://www.facebook.com;"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        assert!(super::tests::console("not a url").is_none());
    }

    #[test]
    fn files_of_the_page_are_served_for_good_and_others_are_not_found() {
        let console = console("https://id.example.com").unwrap();
        let names = PAGE.split("/assets/").skip(1).filter_map(|rest| rest.split('"').next());
        let mut count = 0;
        for name in names {
            let found = console.handle(&Method::GET, &format!("/assets/{name}"));
            assert_eq!(found.status(), StatusCode::OK, "{name}");
            assert_eq!(found.headers()[CACHE_CONTROL], "public, max-age=31536000, immutable");
            count += 1;
        }
        assert!(count >= 3, "{PAGE}");
        for name in ["missing.js", "../Cargo.toml", ""] {
            let answer = console.handle(&Method::GET, &format!("/assets/{name}"));
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{name}");
        }
        assert_eq!(console.handle(&Method::POST, "/").status(), StatusCode::METHOD_NOT_ALLOWED);
    }
}
