//! `console` on Cloudflare Workers: the page, and the API behind the same origin. Cloudflare serves the files by itself.

use http::Method;
use worker::wasm_bindgen::JsValue;
use worker::{Context, Env, Fetch, Headers, Request, RequestInit, Response, event};

use crate::{Console, Settings};

#[event(fetch)]
async fn fetch(request: Request, env: Env, _context: Context) -> worker::Result<Response> {
    let variables = ["API_URL", "SESSION_ISSUER", "CLIENT_ID", "SESSION_AUDIENCE", "SCOPE"];
    let found = variables.map(|name| env.var(name).map(|value| value.to_string()).unwrap_or_default());
    let missing: Vec<_> =
        variables.iter().zip(&found).filter_map(|(name, value)| value.is_empty().then_some(*name)).collect();
    if !missing.is_empty() {
        return Response::error(format!("Set the variables of this Worker: {}.", missing.join(", ")), 500);
    }
    let [api_url, issuer, client_id, audience, scope] = found;
    if request.path().starts_with("/v1/") {
        return forward(request, &api_url).await;
    }
    let [token_url, hub] = ["TOKEN_URL", "LIVE_HUB_URL"]
        .map(|name| env.var(name).map(|value| value.to_string()).ok().filter(|url| !url.is_empty()));
    let Some(console) =
        Console::new(&Settings { issuer, client_id, audience, token_url, hub, previews: None, scope })
    else {
        return Response::error(
            "SESSION_ISSUER, TOKEN_URL and LIVE_HUB_URL must be URLs, such as https://id.example.com.",
            500,
        );
    };
    let method = Method::from_bytes(request.method().as_ref().as_bytes()).unwrap_or(Method::OPTIONS);
    let answer = console.handle(&method, &request.path());
    let headers = Headers::new();
    for (name, value) in answer.headers() {
        headers.set(name.as_str(), value.to_str().unwrap_or_default())?;
    }
    let status = answer.status().as_u16();
    Ok(Response::from_bytes(answer.into_body().to_vec())?.with_status(status).with_headers(headers))
}

/// Forwards a request to the API as it is, and its answer back. Bodies stream through.
async fn forward(request: Request, api_url: &str) -> worker::Result<Response> {
    let Ok(api) = worker::Url::parse(api_url) else {
        return Response::error("API_URL must be a URL, such as https://api.example.com.", 500);
    };
    let mut url = request.url()?;
    url.set_scheme(api.scheme()).and_then(|()| url.set_port(api.port())).map_err(|()| "API_URL")?;
    url.set_host(api.host_str()).map_err(|_| "API_URL")?;
    let mut init = RequestInit::new();
    init.with_method(request.method()).with_headers(request.headers().clone());
    init.with_redirect(worker::RequestRedirect::Manual);
    if let Some(body) = request.inner().body() {
        init.with_body(Some(JsValue::from(body)));
    }
    Fetch::Request(Request::new_with_init(url.as_str(), &init)?).send().await
}
