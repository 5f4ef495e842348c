//! Webhooks: who wants to hear of what, and the changes that are on their way to them.

mod delivery;
mod envelope;
mod source;
mod subscription;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use crate::state::State;
pub use delivery::DeliveryStats;
pub(crate) use delivery::deliver_due;
pub(crate) use envelope::signature_256;
pub(crate) use subscription::{handle_subscribed_apps, handle_subscriptions, verify_callback};

/// What the app wants to hear, and what it has not been told yet.
#[derive(Default)]
pub(crate) struct Webhooks {
    /// By object: `ad_account`, `application`, `page`, ….
    subscriptions: BTreeMap<String, Subscription>,
    /// The fields of each ad account (its digits) or page that the app gets; all when there are none.
    subscribed_apps: BTreeMap<String, BTreeSet<String>>,
    /// Callback URLs and tokens that were asked and answered rightly.
    verified: BTreeSet<(String, String)>,
    /// Report runs whose end is among the changes, or was.
    reported_runs: BTreeSet<String>,
    changes: Vec<Change>,
    deliveries: Vec<delivery::WebhookDelivery>,
}

impl Webhooks {
    fn is_subscribed(&self, object: &str, field: &str) -> bool {
        self.subscriptions.get(object).is_some_and(|subscription| subscription.fields.contains(field))
    }
}

/// What the app wants to hear of one kind of object.
struct Subscription {
    callback_url: String,
    fields: BTreeSet<String>,
    /// Whether changes come with their values, or only the names of their fields.
    include_values: bool,
}

/// Something that happened.
pub(crate) struct Change {
    object: String,
    /// `entry.id`
    entry: String,
    field: String,
    value: Value,
    /// In seconds.
    time: i64,
}

/// Lets something happen. Whether it will be told to anybody: the app must have subscribed to the field, and for ad
/// accounts and pages also to the single one, as far as the value names one that is known here.
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
    if !webhooks.is_subscribed(object, field) || !app_subscribed {
        return false;
    }
    // Samples of the ad_account object say "0" in the place of the account (Webhooks reference).
    let entry = match object {
        "ad_account" => "0".to_owned(),
        "page" => owner.unwrap_or_else(|| state.world.main().page_id.clone()),
        "user" | "permissions" => value["uid"].as_str().unwrap_or(crate::login::LOGIN_USER_ID).to_owned(),
        _ => state.app.app_id.clone(),
    };
    if object == "page" && field == "leadgen" {
        envelope::write_ids_as_numbers(&mut value);
    }
    let (object, field, time) = (object.to_owned(), field.to_owned(), at.as_second());
    webhooks.changes.push(Change { object, entry, field, value, time });
    true
}

/// The ad account (its digits) or page that a change is about, if it is known here.
fn owner(state: &State, object: &str, value: &Value) -> Option<String> {
    let id = |name: &str| value.get(name).map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned));
    match object {
        "ad_account" => ["ad_account_id", "account_id", "adgroup_id", "id"].into_iter().find_map(|name| {
            let id = id(name)?;
            let account = state.world.account(id.trim_start_matches("act_"));
            let node = state.world.nodes.get(&id).map(|node| &node.account);
            account.map(|account| &account.digits).or(node).cloned()
        }),
        "page" => {
            let id = id("page_id")?;
            state.world.accounts.iter().any(|account| account.page_id == id).then_some(id)
        }
        _ => None,
    }
}
