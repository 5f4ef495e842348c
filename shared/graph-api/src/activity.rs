//! The activity log of an ad account (`/act_…/activities`): every change at a campaign, ad set or ad, whoever made it.
//!
//! Meta documents the names of events and fields (AdActivity), and not what is in `extra_data`. Its shapes here are
//! reported by practitioners; what is not understood is shown in Meta's own words.

use domain::activity::Activity;
use domain::entity::Level;
use domain::id::{AdAccountId, EntityId};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::UserClient;
use crate::page::Pages;

const FIELDS: &str =
    "event_time,event_type,translated_event_type,object_id,object_name,actor_name,application_id,extra_data";

/// Rows per page.
const PAGE_ROWS: u32 = 200;

/// An entry as Graph returns it.
#[derive(Debug, Deserialize)]
pub struct GraphActivity {
    event_time: String,
    event_type: String,
    object_id: EntityId,
    #[serde(default)]
    translated_event_type: Option<String>,
    #[serde(default)]
    object_name: Option<String>,
    #[serde(default)]
    actor_name: Option<String>,
    #[serde(default)]
    application_id: Option<String>,
    #[serde(default)]
    extra_data: Option<String>,
}

impl UserClient {
    /// Lists what was changed in an account since a moment, newest first. Without it Meta goes back one week.
    pub fn activities(&self, account: &AdAccountId, since: Timestamp) -> Pages<GraphActivity> {
        let query = vec![("fields", FIELDS.to_owned()), ("since", since.as_second().to_string())];
        Pages::new(self.clone(), format!("{account}/activities"), query, PAGE_ROWS)
    }
}

impl GraphActivity {
    /// Returns the entry, unless it is about something other than a campaign, ad set or ad, or `own_app` did it, or its
    /// time cannot be read.
    pub fn into_activity(self, own_app: &str) -> Option<Activity> {
        if self.application_id.as_deref() == Some(own_app) {
            return None;
        }
        // Meta writes UTC offsets without a colon.
        let at =
            jiff::fmt::strtime::parse("%Y-%m-%dT%H:%M:%S%z", &self.event_time).ok()?.to_timestamp().ok()?;
        let (level, what) = event(&self.event_type)?;
        let extra: Value =
            self.extra_data.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let (before, after) = what.values(&extra).unwrap_or_default();
        Some(Activity {
            at,
            event: self.event_type,
            verb: if what == Field::Created { "created" } else { "changed" },
            level,
            entity: self.object_id,
            name: self.object_name,
            by: self.actor_name,
            summary: self.translated_event_type,
            before,
            after,
        })
    }
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Created,
    Name,
    Status,
    Budget,
    Other,
}

/// Returns the level of an event of AdActivity's `EventType`, and what it is about. A campaign is a campaign group in the
/// older names.
fn event(name: &str) -> Option<(Level, Field)> {
    let (verb, rest) = name.split_once('_')?;
    let levels = [
        ("campaign_group", Level::Campaign),
        ("campaign", Level::Campaign),
        ("ad_set", Level::AdSet),
        ("ad", Level::Ad),
    ];
    let (level, what) = levels.into_iter().find_map(|(object, level)| {
        let what = rest.strip_prefix(object)?;
        (what.is_empty() || what.starts_with('_')).then_some((level, what))
    })?;
    let field = match (verb, what) {
        ("create", "") => Field::Created,
        ("update", "_name" | "_friendly_name") => Field::Name,
        ("update", "_run_status") => Field::Status,
        ("update", "_budget") => Field::Budget,
        ("update", _) => Field::Other,
        _ => return None,
    };
    Some((level, field))
}

impl Field {
    /// Returns the values before and after an event, where they are understood.
    fn values(self, extra: &Value) -> Option<(Value, Value)> {
        let side = |name: &str| -> Option<(&'static str, Value)> {
            match self {
                Self::Created | Self::Other => None,
                Self::Name => Some(("name", extra[name].as_str()?.into())),
                Self::Status => {
                    let status = match extra["run_status"][name].as_u64() {
                        Some(1) => "ACTIVE",
                        Some(15) => "PAUSED",
                        // Meta's word, such as "Deleted".
                        _ => return Some(("status", extra[name].as_str()?.to_uppercase().into())),
                    };
                    Some(("status", status.into()))
                }
                Self::Budget => {
                    let part = &extra[name];
                    let field = match part["additional_value"].as_str() {
                        Some("Per day") => "daily_budget",
                        _ => "lifetime_budget",
                    };
                    Some((field, part[name].as_i64()?.into()))
                }
            }
        };
        let of =
            |side: Option<(&str, Value)>| side.map_or(Value::Null, |(field, value)| json!({field: value}));
        let (before, after) = (side("old_value"), side("new_value"));
        after.as_ref()?;
        Some((of(before), of(after)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(event_type: &str, extra: &Value) -> Option<Activity> {
        let activity = json!({
            "event_time": "2026-11-20T02:10:00+0000", "event_type": event_type, "object_id": "120", "extra_data": extra.to_string(),
        });
        serde_json::from_value::<GraphActivity>(activity).unwrap().into_activity("app")
    }

    #[test]
    fn events_are_read_as_far_as_they_are_understood() {
        let budget = json!({
            "old_value": {"old_value": 5000, "additional_value": "Per day"}, "type": "composite_data",
            "new_value": {"new_value": 7500, "additional_value": "Per day"},
        });
        let changed = read("update_ad_set_budget", &budget).unwrap();
        assert_eq!((changed.level, changed.verb), (Level::AdSet, "changed"));
        assert_eq!(
            (changed.before, changed.after),
            (json!({"daily_budget": 5000}), json!({"daily_budget": 7500}))
        );
        assert_eq!(changed.at, "2026-11-20T02:10:00Z".parse().unwrap());

        let status = json!({"old_value": "Active", "new_value": "Inactive", "run_status": {"old_value": 1, "new_value": 15}});
        let paused = read("update_ad_run_status", &status).unwrap();
        assert_eq!((paused.level, paused.after), (Level::Ad, json!({"status": "PAUSED"})));
        let deleted =
            read("update_campaign_run_status", &json!({"old_value": "Active", "new_value": "Deleted"}));
        assert_eq!(deleted.unwrap().after, json!({"status": "DELETED"}));
        let renamed = read("update_ad_friendly_name", &json!({"old_value": "a", "new_value": "b"})).unwrap();
        assert_eq!((renamed.before, renamed.after), (json!({"name": "a"}), json!({"name": "b"})));
        assert_eq!(read("create_campaign_group", &json!({"new_value": "x"})).unwrap().verb, "created");

        // What is not understood is an entry all the same; what is about something else is none.
        for odd in [json!(null), json!("x"), json!({"new_value": 7}), json!([1])] {
            let entry = read("update_campaign_budget", &odd).unwrap();
            assert_eq!((entry.before, entry.after), (Value::Null, Value::Null), "{odd}");
        }
        assert_eq!(
            read("update_ad_set_target_spec", &json!({"new_value": "x"})).unwrap().level,
            Level::AdSet
        );
        for other in
            ["ad_account_billing_charge", "add_images", "create_audience", "update_adaccount_agency_fee", ""]
        {
            assert_eq!(read(other, &Value::Null), None, "{other}");
        }
    }

    #[test]
    fn what_this_app_did_and_what_has_no_time_is_left_out() {
        let entry = |app: &str, time: &str| {
            let activity = json!({
                "event_time": time, "event_type": "create_ad", "object_id": "120", "application_id": app,
            });
            serde_json::from_value::<GraphActivity>(activity).unwrap().into_activity("app")
        };
        assert!(entry("other", "2026-11-20T02:10:00+0000").is_some());
        assert_eq!(entry("app", "2026-11-20T02:10:00+0000"), None);
        assert_eq!(entry("other", "yesterday"), None);
    }
}
