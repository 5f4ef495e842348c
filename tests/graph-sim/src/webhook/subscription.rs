//! `/{app}/subscriptions`: the fields the app subscribes to, and its callback; `/{object}/subscribed_apps`: the ad
//! accounts and pages it subscribes to.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Method;
use serde_json::{Value, json};

use super::{Subscription, edits};
use crate::auth;
use crate::call::GraphCall;
use crate::error::{GraphError, invalid, unsupported};
use crate::params::Params;
use crate::server::{SharedState, lock};
use crate::state::State;
use crate::token::Claims;
use crate::version::DEFAULT_VERSION;

/// The objects and fields that can be subscribed to (Webhooks reference).
const FIELDS: [(&str, &[&str]); 5] = [
    (
        "ad_account",
        &[
            "ad_recommendations",
            "ads_async_creation_request",
            "creative_fatigue",
            "effective_status",
            "in_process_ad_objects",
            "product_set_issue",
            "subscriptions",
            "with_issues_ad_objects",
        ],
    ),
    ("application", &["ad_account", "ads_rules_engine", "async_requests", "dev_alerts", "plugin_comment"]),
    ("page", &["feed", "leadgen", "mention", "messages"]),
    (
        "permissions",
        &[
            "ads_management",
            "ads_read",
            "business_management",
            "connected",
            "leads_retrieval",
            "pages_show_list",
        ],
    ),
    ("user", &["about", "email", "name"]),
];

/// Verifies the callback of a new subscription. Meta does so before it responds to the call.
pub(crate) async fn verify_callback(state: &SharedState, call: &GraphCall) {
    let (http, challenge) = {
        let state = lock(state);
        let app = call.token.as_deref().is_some_and(|token| state.is_app_token(token));
        let here = call.path() == [state.app.app_id.as_str(), "subscriptions"];
        if !app || !here || call.method != Method::POST {
            return;
        }
        (state.http.clone(), (1_158_201_444 + state.calls).to_string())
    };
    let params = Params(&call.params);
    let Some(url) = params.text("callback_url") else { return };
    let token = params.text("verify_token").unwrap_or_default();
    let question =
        [("hub.mode", "subscribe"), ("hub.challenge", challenge.as_str()), ("hub.verify_token", token)];
    let response = async { http.get(url).query(&question).send().await?.error_for_status()?.text().await };
    match response.await {
        Ok(text) if text.trim() == challenge => {
            lock(state).webhooks.verified.insert((url.to_owned(), token.to_owned()));
        }
        Ok(text) => tracing::warn!(url, text, "A webhook callback did not return the challenge."),
        Err(error) => tracing::warn!(%error, "A webhook callback could not be asked."),
    }
}

/// Handles `/{app}/subscriptions`, which is open to the app itself only.
pub(crate) fn handle_subscriptions(state: &mut State, call: &GraphCall) -> Result<Value, GraphError> {
    if !call.token.as_deref().is_some_and(|token| state.is_app_token(token)) {
        return Err(GraphError::new(15, "(#15) This method must be called with an app access_token."));
    }
    auth::check_proof(state, call)?;
    let params = Params(&call.params);
    match call.method {
        Method::GET => Ok(list(&state.webhooks.subscriptions)),
        Method::POST => {
            let fields = fields(params)?;
            let (object, callback_url) = (params.required("object")?, params.required("callback_url")?);
            let token = params.text("verify_token").unwrap_or_default();
            if !state.webhooks.verified.remove(&(callback_url.to_owned(), token.to_owned())) {
                // The code and the message are those observed in practice.
                let text = "(#2200) Callback verification failed: the callback did not return the challenge";
                return Err(GraphError::new(2200, text));
            }
            let include_values = params.text("include_values") != Some("false");
            let callback_url = callback_url.to_owned();
            let subscription = Subscription { callback_url, fields, include_values };
            state.webhooks.subscriptions.insert(object.to_owned(), subscription);
            edits::begin(state);
            Ok(json!({ "success": true }))
        }
        Method::DELETE => {
            let gone = fields(params)?;
            let subscriptions = &mut state.webhooks.subscriptions;
            subscriptions.retain(|object, subscription| {
                if params.text("object").is_none_or(|wanted| wanted == object) {
                    subscription.fields.retain(|field| !gone.is_empty() && !gone.contains(field));
                }
                !subscription.fields.is_empty()
            });
            Ok(json!({ "success": true }))
        }
        _ => Err(unsupported(call.method.as_str(), &state.app.app_id)),
    }
}

fn list(subscriptions: &BTreeMap<String, Subscription>) -> Value {
    let data: Vec<Value> = subscriptions
        .iter()
        .map(|(object, subscription)| {
            let fields =
                subscription.fields.iter().map(|field| json!({ "name": field, "version": DEFAULT_VERSION }));
            json!({
                "object": object,
                "callback_url": subscription.callback_url,
                "active": true,
                "fields": fields.collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({ "data": data })
}

/// Returns the fields a call names, which its object must have.
fn fields(params: Params<'_>) -> Result<BTreeSet<String>, GraphError> {
    let Some(object) = params.text("object") else { return Ok(BTreeSet::new()) };
    let Some((_, known)) = FIELDS.iter().find(|(name, _)| *name == object) else {
        let objects = FIELDS.map(|(name, _)| name).join(", ");
        return Err(invalid(format!("Param object must be one of {{{objects}}} - got \"{object}\".")));
    };
    let named = params.names("fields")?.unwrap_or_default();
    match named.iter().find(|field| !known.contains(&field.as_str())) {
        Some(unknown) => Err(invalid(format!("Param fields: {unknown} is not a field of {object}"))),
        None => Ok(named.into_iter().collect()),
    }
}

/// Handles `/{object}/subscribed_apps` of an ad account or a page.
pub(crate) fn handle_subscribed_apps(
    state: &mut State,
    call: &GraphCall,
    claims: &Claims,
    object: &str,
) -> Result<Value, GraphError> {
    let digits = object.strip_prefix("act_");
    let known = match digits {
        Some(digits) => state.world.account(digits).is_some() && claims.can_see(digits),
        None => state.world.accounts.iter().any(|account| account.page_id == object),
    };
    if !known {
        return Err(unsupported(call.method.as_str(), object));
    }
    if digits.is_some() {
        auth::check_permission(claims, true)?;
    } else if !claims.has("pages_manage_metadata") {
        let text = "(#200) Requires pages_manage_metadata permission to manage the object";
        return Err(GraphError::new(200, text).status(axum::http::StatusCode::FORBIDDEN));
    }
    let key = digits.unwrap_or(object).to_owned();
    let subscribed_apps = &mut state.webhooks.subscribed_apps;
    let app_id = &state.app.app_id;
    match call.method {
        Method::GET => {
            let app = subscribed_apps.get(&key).map(|fields| match digits {
                Some(_) => json!({ "app_name": "Adflight", "app_id": app_id }),
                None => json!({ "name": "Adflight", "id": app_id, "subscribed_fields": fields }),
            });
            Ok(json!({ "data": app.into_iter().collect::<Vec<_>>() }))
        }
        Method::POST => {
            let fields = Params(&call.params).names("subscribed_fields")?.unwrap_or_default();
            if digits.is_none() && fields.is_empty() {
                return Err(invalid("The parameter subscribed_fields is required"));
            }
            subscribed_apps.insert(key, fields.into_iter().collect());
            Ok(success(digits))
        }
        Method::DELETE => {
            subscribed_apps.remove(&key);
            Ok(success(digits))
        }
        _ => Err(unsupported(call.method.as_str(), object)),
    }
}

/// Returns the success response. Meta documents a text for ad accounts and a boolean for pages.
fn success(ad_account: Option<&str>) -> Value {
    if ad_account.is_some() { json!({ "success": "true" }) } else { json!({ "success": true }) }
}
