//! Pushes of edits (ads webhooks, July 2026): new objects, changed fields and changed statuses, whoever caused them.
//!
//! What was last seen of each object is compared with what it is now, so that no way to change an object is forgotten.

use std::collections::BTreeMap;

use axum::http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::record_change;
use crate::auth;
use crate::call::GraphCall;
use crate::error::{GraphError, invalid, unsupported};
use crate::node::Kind;
use crate::params::Params;
use crate::state::State;
use crate::token::Claims;

/// The field of a push about a changed status.
pub(super) const FIELD_CHANGED: &str = "field_changed";
/// The field of a push about an event that an account subscription names.
pub(super) const SUBSCRIPTIONS: &str = "subscriptions";
/// Pushes whose entry names the account, unlike the samples of older ones.
pub(super) const FIELDS: [&str; 2] = [FIELD_CHANGED, SUBSCRIPTIONS];

/// Fields whose edits can be subscribed to.
const EDITABLE: [&str; 6] =
    ["name", "objective", "daily_budget", "lifetime_budget", "bid_amount", "spend_cap"];
const EVENT_TYPES: [&str; 4] =
    ["OBJECT_CREATED", "OBJECT_UPDATED", "INSIGHTS_UPDATED", "INSIGHTS_MILESTONE_REACHED"];

/// A subscription of the app to an event in one ad account.
#[derive(Clone)]
pub(super) struct EventSubscription {
    id: u64,
    event_type: String,
    /// The edited field; none for new objects.
    field: Option<String>,
}

/// What is compared, by object.
pub(super) type Seen = BTreeMap<String, SeenObject>;

#[derive(Clone, PartialEq)]
pub(super) struct SeenObject {
    account: String,
    object_type: &'static str,
    effective_status: String,
    fields: BTreeMap<&'static str, Value>,
}

/// Begins to look at edits.
pub(super) fn begin(state: &mut State) {
    if state.webhooks.seen.is_none() {
        state.webhooks.seen = Some(now_seen(state));
    }
}

/// Records a change for everything that is not as it was last seen.
pub(super) fn collect(state: &mut State, now: Timestamp) {
    if state.webhooks.seen.is_none() {
        return;
    }
    let current = now_seen(state);
    let before = state.webhooks.seen.replace(current.clone()).unwrap_or_default();
    for (id, object) in current {
        let SeenObject { account, object_type, effective_status, fields } = &object;
        let Some(known) = before.get(&id) else {
            push_events(state, &object, &id, ("OBJECT_CREATED", None), now);
            continue;
        };
        if known.effective_status != *effective_status {
            let value = json!({
                "object_id": id, "object_type": object_type, "changed_fields": ["effective_status"],
            });
            record_change(state, "ad_account", FIELD_CHANGED, value, now);
        }
        for (field, value) in fields {
            if known.fields.get(field) != Some(value) {
                let account = account.clone();
                let object = SeenObject { account, ..object.clone() };
                push_events(state, &object, &id, ("OBJECT_UPDATED", Some((*field, value))), now);
            }
        }
    }
}

fn push_events(
    state: &mut State,
    object: &SeenObject,
    id: &str,
    (event_type, edited): (&str, Option<(&str, &Value)>),
    now: Timestamp,
) {
    let subscriptions = state.webhooks.event_subscriptions.get(&object.account).cloned().unwrap_or_default();
    let wanted = subscriptions.into_iter().filter(|subscription| {
        subscription.event_type == event_type
            && subscription.field.as_deref().is_none_or(|field| edited.is_some_and(|(name, _)| name == field))
    });
    for subscription in wanted {
        let mut value = json!({
            "subscription_id": subscription.id.to_string(),
            "account_id": object.account,
            "object_id": id,
            "object_type": object.object_type,
        });
        if let Some((field, current)) = edited {
            value["field"] = json!(field);
            value["current_value"] = current.clone();
        }
        record_change(state, "ad_account", SUBSCRIPTIONS, value, now);
    }
}

fn now_seen(state: &State) -> Seen {
    let world = &state.world;
    let delivering = world.nodes.iter().filter(|(_, node)| node.kind.delivers());
    let seen = delivering.map(|(id, node)| {
        let object_type = match node.kind {
            Kind::Campaign => "campaign",
            Kind::AdSet => "adset",
            _ => "ad",
        };
        let fields = EDITABLE.iter().filter_map(|field| Some((*field, node.fields.get(*field)?.clone())));
        let object = SeenObject {
            account: node.account.clone(),
            object_type,
            effective_status: world.effective_status(node),
            fields: fields.collect(),
        };
        (id.clone(), object)
    });
    seen.collect()
}

/// Handles `/act_…/subscriptions`.
pub(crate) fn handle_event_subscriptions(
    state: &mut State,
    call: &GraphCall,
    claims: &Claims,
    account: &str,
) -> Result<Value, GraphError> {
    let digits = account.trim_start_matches("act_").to_owned();
    if !account.starts_with("act_") || state.world.account(&digits).is_none() || !claims.can_see(&digits) {
        return Err(unsupported(call.method.as_str(), account));
    }
    auth::check_permission(claims, true)?;
    match call.method {
        Method::GET => {
            let known = state.webhooks.event_subscriptions.get(&digits).into_iter().flatten();
            let rows = known.map(|one| {
                let mut row = json!({
                    "subscription_id": one.id.to_string(), "event_type": one.event_type, "status": "ENABLED",
                });
                if let Some(field) = &one.field {
                    row["field"] = json!(field);
                }
                row
            });
            Ok(json!({ "data": rows.collect::<Vec<_>>() }))
        }
        Method::POST => {
            let params = Params(&call.params);
            let event_type = params.required("event_type")?.to_owned();
            if !EVENT_TYPES.contains(&event_type.as_str()) {
                return Err(invalid(format!(
                    "Param event_type must be one of {{{}}}",
                    EVENT_TYPES.join(", ")
                )));
            }
            let field = params.text("field").map(str::to_owned);
            if field.as_ref().is_some_and(|field| !EDITABLE.contains(&field.as_str())) {
                return Err(invalid("Param field cannot be subscribed to".to_owned()));
            }
            begin(state);
            let id = 1_000 + state.webhooks.event_subscriptions.values().map(Vec::len).sum::<usize>() as u64;
            let subscription = EventSubscription { id, event_type, field };
            state.webhooks.event_subscriptions.entry(digits).or_default().push(subscription);
            Ok(json!({ "subscription_id": id.to_string() }))
        }
        _ => Err(unsupported(call.method.as_str(), account)),
    }
}
