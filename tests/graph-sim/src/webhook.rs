//! Webhooks: subscriptions, and the changes to be delivered.

mod delivery;
mod edits;
mod envelope;
mod source;
mod subscription;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use crate::state::State;
pub use delivery::DeliveryStats;
pub(crate) use delivery::deliver_due;
pub(crate) use edits::handle_event_subscriptions;
pub(crate) use envelope::signature_256;
pub(crate) use subscription::{handle_subscribed_apps, handle_subscriptions, verify_callback};

/// The app's subscriptions, and the changes not yet delivered.
#[derive(Clone, Default)]
pub(crate) struct Webhooks {
    /// By object: `ad_account`, `application`, `page`, ….
    subscriptions: BTreeMap<String, Subscription>,
    /// Subscribed fields, by ad account (id without `act_`) or page; an empty set means all fields.
    subscribed_apps: BTreeMap<String, BTreeSet<String>>,
    /// Callback URLs and tokens that passed verification.
    verified: BTreeSet<(String, String)>,
    /// Report runs whose end has been recorded as a change.
    reported_runs: BTreeSet<String>,
    /// Subscriptions to events in single ad accounts, by account (id without `act_`).
    event_subscriptions: BTreeMap<String, Vec<edits::EventSubscription>>,
    /// What was last seen of each object, once somebody wants to hear of edits.
    seen: Option<edits::Seen>,
    changes: Vec<Change>,
    deliveries: Vec<delivery::WebhookDelivery>,
}

impl Webhooks {
    fn is_subscribed(&self, object: &str, field: &str) -> bool {
        self.subscriptions.get(object).is_some_and(|subscription| subscription.fields.contains(field))
    }
}

/// The app's subscription to one kind of object.
#[derive(Clone)]
struct Subscription {
    callback_url: String,
    fields: BTreeSet<String>,
    /// Whether changes contain their values, or only the names of their fields.
    include_values: bool,
}

/// A change to be delivered.
#[derive(Clone)]
pub(crate) struct Change {
    object: String,
    /// `entry.id`
    entry: String,
    field: String,
    value: Value,
    /// In Unix seconds.
    time: i64,
}

/// Records a change if it will be delivered, and returns whether it will: the app must have subscribed to the field,
/// and for ad accounts and pages also to the single object, if the value names one that the simulator knows.
pub(crate) fn record_change(
    state: &mut State,
    object: &str,
    field: &str,
    mut value: Value,
    at: Timestamp,
) -> bool {
    let owner = owner(state, object, &value);
    let webhooks = &mut state.webhooks;
    let app_subscribed = owner.as_ref().is_none_or(|id| {
        let fields = webhooks.subscribed_apps.get(id);
        fields.is_some_and(|fields| fields.is_empty() || fields.contains(field))
    });
    // Statuses are subscribed to by their name, and arrive as a change of a field.
    let subscribed = if field == edits::FIELD_CHANGED { "effective_status" } else { field };
    if !webhooks.is_subscribed(object, subscribed) || !app_subscribed {
        return false;
    }
    // Meta's samples of the ad_account object have "0" in place of the account (Webhooks reference).
    let entry = match object {
        "ad_account" if edits::FIELDS.contains(&field) => owner.unwrap_or_default(),
        "ad_account" => "0".to_owned(),
        "page" => owner.unwrap_or_else(|| state.world.main().page_id.clone()),
        "user" | "permissions" => value["uid"].as_str().unwrap_or(crate::login::LOGIN_USER_ID).to_owned(),
        _ => state.app.app_id.clone(),
    };
    if field == edits::SUBSCRIPTIONS || (object == "page" && field == "leadgen") {
        envelope::write_ids_as_numbers(&mut value);
    }
    let (object, field, time) = (object.to_owned(), field.to_owned(), at.as_second());
    webhooks.changes.push(Change { object, entry, field, value, time });
    true
}

/// Returns the ad account (id without `act_`) or page that a change is about, if the simulator knows it.
fn owner(state: &State, object: &str, value: &Value) -> Option<String> {
    let id = |name: &str| value.get(name).map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned));
    match object {
        "ad_account" => {
            ["ad_account_id", "account_id", "adgroup_id", "id", "object_id"].into_iter().find_map(|name| {
                let id = id(name)?;
                let account = state.world.account(id.trim_start_matches("act_"));
                let node = state.world.nodes.get(&id).map(|node| &node.account);
                account.map(|account| &account.digits).or(node).cloned()
            })
        }
        "page" => {
            let id = id("page_id")?;
            state.world.accounts.iter().any(|account| account.page_id == id).then_some(id)
        }
        _ => None,
    }
}
