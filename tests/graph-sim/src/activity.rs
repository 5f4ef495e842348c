//! The activity log of an ad account: `/act_X/activities`. It records a campaign's budget changes, which leave the
//! campaign's `updated_time` unchanged.
//!
//! Meta documents the names of events, but not `extra_data`: its shapes here are those reported by practitioners in
//! 2026.

use serde_json::{Value, json};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::node::{Account, Kind, Node, graph_time, parse_time};

/// One entry of the activity log.
#[derive(Clone)]
pub(crate) struct Activity {
    /// Ad account id without the `act_` prefix.
    pub(crate) account: String,
    pub(crate) object_id: String,
    pub(crate) fields: Value,
}

/// Who changes objects.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Author<'a> {
    /// A caller of the API, with the token of this app.
    App(&'a str),
    /// Somebody in Ads Manager.
    Person,
}

/// Returns the log entry of a new object; `None` for anything but a campaign, ad set or ad.
pub(crate) fn for_created(node: &Node, account: &Account, author: Author<'_>) -> Option<Activity> {
    let (event, description) = match node.kind {
        Kind::Campaign => ("create_campaign_group", "Campaign created"),
        Kind::AdSet => ("create_ad_set", "Ad set created"),
        Kind::Ad => ("create_ad", "Ad created"),
        _ => return None,
    };
    let at = node.text("created_time").and_then(parse_time)?;
    Some(activity(node, account, (at, author), event, description, json!({ "new_value": node.text("name") })))
}

/// Returns the log entries of a changed object: one for each changed field that the log covers.
pub(crate) fn for_changed(
    before: &Node,
    after: &Node,
    account: &Account,
    by: (Timestamp, Author<'_>),
) -> Vec<Activity> {
    let of_kind = EVENTS.iter().filter(|(kind, ..)| *kind == after.kind);
    let entries = of_kind.filter_map(|(_, field, event, description)| {
        let (old, new) = (before.fields.get(*field), after.fields.get(*field));
        (old != new)
            .then(|| activity(after, account, by, event, description, extra(field, old, new, account)))
    });
    entries.collect()
}

const EVENTS: [(Kind, &str, &str, &str); 18] = [
    (Kind::Campaign, "name", "update_campaign_name", "Campaign name updated"),
    (Kind::Campaign, "status", "update_campaign_run_status", "Campaign status updated"),
    (Kind::Campaign, "daily_budget", "update_campaign_budget", "Campaign budget updated"),
    (Kind::Campaign, "lifetime_budget", "update_campaign_budget", "Campaign budget updated"),
    (Kind::Campaign, "spend_cap", "update_campaign_group_spend_cap", "Campaign spending limit updated"),
    (Kind::AdSet, "name", "update_ad_set_name", "Ad set name updated"),
    (Kind::AdSet, "status", "update_ad_set_run_status", "Ad set status updated"),
    (Kind::AdSet, "daily_budget", "update_ad_set_budget", "Ad set budget updated"),
    (Kind::AdSet, "lifetime_budget", "update_ad_set_budget", "Ad set budget updated"),
    (Kind::AdSet, "bid_amount", "update_ad_set_bidding", "Ad set bidding updated"),
    (Kind::AdSet, "bid_strategy", "update_ad_set_bid_strategy", "Ad set bid strategy updated"),
    (Kind::AdSet, "targeting", "update_ad_set_target_spec", "Ad set targeting updated"),
    (Kind::AdSet, "end_time", "update_ad_set_duration", "Ad set duration updated"),
    (Kind::AdSet, "optimization_goal", "update_ad_set_optimization_goal", "Ad set optimization goal updated"),
    (Kind::Ad, "name", "update_ad_friendly_name", "Ad name updated"),
    (Kind::Ad, "status", "update_ad_run_status", "Ad status updated"),
    (Kind::Ad, "creative", "update_ad_creative", "Ad creative updated"),
    (Kind::Ad, "bid_amount", "update_ad_bid_info", "Ad bid updated"),
];

fn activity(
    node: &Node,
    account: &Account,
    (at, author): (Timestamp, Author<'_>),
    event: &str,
    description: &str,
    extra: Value,
) -> Activity {
    let object_id = node.text("id").unwrap_or_default().to_owned();
    let kind = match node.kind {
        Kind::Campaign => "CAMPAIGN",
        Kind::AdSet => "AD_SET",
        _ => "AD",
    };
    let local = at.to_zoned(account.zone.clone()).strftime("%m/%d/%Y at %-I:%M %p").to_string();
    let (application, program, person) = match author {
        Author::App(id) => (Some(id), "Adflight", "Olga Owner"),
        Author::Person => (None, "Ads Manager", "Ann Manager"),
    };
    let fields = json!({
        "actor_name": person,
        "application_id": application,
        "application_name": program,
        "event_type": event,
        "translated_event_type": description,
        // In UTC, unlike the times of objects.
        "event_time": graph_time(at, &TimeZone::UTC),
        "date_time_in_timezone": local,
        "object_id": object_id,
        "object_name": node.text("name"),
        "object_type": kind,
        "extra_data": extra.to_string(),
    });
    Activity { account: account.digits.clone(), object_id, fields }
}

fn extra(field: &str, old: Option<&Value>, new: Option<&Value>, account: &Account) -> Value {
    match field {
        "status" => {
            let (old, new) = (run_status(old), run_status(new));
            let mut extra = json!({ "old_value": old.1, "new_value": new.1, "type": "run_status" });
            if let (Some(old), Some(new)) = (old.0, new.0) {
                extra["run_status"] = json!({ "old_value": old, "new_value": new });
            }
            extra
        }
        "daily_budget" | "lifetime_budget" | "spend_cap" => {
            let amount = |value: Option<&Value>| {
                value.and_then(Value::as_str).and_then(|text| text.parse::<i64>().ok())
            };
            let side = |name: &str, value: Option<&Value>| {
                let spell = match (field, value) {
                    ("daily_budget", Some(_)) => "Per day",
                    _ => "",
                };
                json!({
                    "type": "payment_amount",
                    "currency": account.currency,
                    name: amount(value),
                    "additional_value": spell,
                })
            };
            json!({
                "old_value": side("old_value", old),
                "new_value": side("new_value", new),
                "type": "composite_data",
            })
        }
        _ => json!({ "old_value": old, "new_value": new }),
    }
}

/// Returns the number and the display name of a status. The numbers of archived and deleted objects are not known.
fn run_status(status: Option<&Value>) -> (Option<u8>, &'static str) {
    match status.and_then(Value::as_str) {
        Some("ACTIVE") => (Some(1), "Active"),
        Some("PAUSED") => (Some(15), "Inactive"),
        Some("ARCHIVED") => (None, "Archived"),
        _ => (None, "Deleted"),
    }
}
