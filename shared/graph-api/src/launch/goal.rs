//! What Meta optimises for, and what goes with it.
//!
//! Only what Meta is known to refuse is found: a word that is not listed here may be newer than this code. Source:
//! Marketing API, "Outcome-Driven Ad Experiences" and "Ad Set".

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::AdSetSpec;
use super::findings::Findings;

const AWARENESS: &str = "OUTCOME_AWARENESS";
const TRAFFIC: &str = "OUTCOME_TRAFFIC";
const ENGAGEMENT: &str = "OUTCOME_ENGAGEMENT";
const LEADS: &str = "OUTCOME_LEADS";
const APP: &str = "OUTCOME_APP_PROMOTION";
const SALES: &str = "OUTCOME_SALES";

/// The objectives that a goal is for.
const OBJECTIVES_BY_GOAL: [(&str, &[&str]); 9] = [
    ("AD_RECALL_LIFT", &[AWARENESS]),
    ("APP_INSTALLS", &[APP]),
    ("EVENT_RESPONSES", &[ENGAGEMENT]),
    ("LEAD_GENERATION", &[LEADS, ENGAGEMENT, SALES]),
    ("OFFSITE_CONVERSIONS", &[ENGAGEMENT, LEADS, APP, SALES]),
    ("PAGE_LIKES", &[ENGAGEMENT]),
    ("POST_ENGAGEMENT", &[ENGAGEMENT]),
    ("QUALITY_LEAD", &[LEADS]),
    ("VALUE", &[APP, SALES]),
];

/// The objective that a destination is for.
const OBJECTIVE_BY_DESTINATION: [(&str, &str); 7] = [
    ("ON_AD", LEADS),
    ("LEAD_FROM_MESSENGER", LEADS),
    ("LEAD_FROM_IG_DIRECT", LEADS),
    ("ON_POST", ENGAGEMENT),
    ("ON_PAGE", ENGAGEMENT),
    ("ON_EVENT", ENGAGEMENT),
    ("ON_VIDEO", ENGAGEMENT),
];

/// Messages are what these destinations lead to.
const MESSAGING_DESTINATIONS: [&str; 3] = ["MESSENGER", "WHATSAPP", "INSTAGRAM_DIRECT"];

/// How long after a click or a view a conversion counts, in days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Attribution {
    /// After a click: 1 or 7.
    #[cfg_attr(feature = "describe", schemars(range(min = 1, max = 7)))]
    pub click_days: u8,
    /// After a view: 1, or not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(range(min = 1, max = 1)))]
    pub view_days: Option<u8>,
    /// After ten seconds of a video, or all of a shorter one: 1, or not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(range(min = 1, max = 1)))]
    pub engaged_view_days: Option<u8>,
}

impl Attribution {
    /// Returns `attribution_spec`.
    pub(super) fn spec(self) -> Value {
        let windows = [
            ("CLICK_THROUGH", Some(self.click_days)),
            ("VIEW_THROUGH", self.view_days),
            ("ENGAGED_VIDEO_VIEW", self.engaged_view_days),
        ];
        let window =
            |(event, days): (&str, Option<u8>)| Some(json!({"event_type": event, "window_days": days?}));
        windows.into_iter().filter_map(window).collect()
    }
}

/// Returns the goal that an objective usually has.
pub(super) fn usual(objective: &str, destination: Option<&str>) -> &'static str {
    match (objective, destination) {
        (AWARENESS, _) => "REACH",
        (ENGAGEMENT | SALES, Some(destination)) if MESSAGING_DESTINATIONS.contains(&destination) => {
            "CONVERSATIONS"
        }
        (TRAFFIC, _) => "LINK_CLICKS",
        (ENGAGEMENT, _) => "POST_ENGAGEMENT",
        (LEADS, Some("ON_AD" | "LEAD_FROM_MESSENGER" | "LEAD_FROM_IG_DIRECT")) => "LEAD_GENERATION",
        (APP, _) => "APP_INSTALLS",
        _ => "OFFSITE_CONVERSIONS",
    }
}

/// Checks goal, destination, promoted object and attribution against the objective and each other.
pub(super) fn check(ad_set: &AdSetSpec, objective: &str, path: &str, found: &mut Findings) {
    let goal = ad_set.optimization_goal.as_str();
    if let Some((_, objectives)) = OBJECTIVES_BY_GOAL.iter().find(|(name, _)| *name == goal) {
        let message = format!("{goal} is a goal of {}", objectives.join(", "));
        found.require(objectives.contains(&objective), &format!("{path}.optimization_goal"), message);
    }
    let destination = ad_set.destination_type.as_deref().unwrap_or_default();
    if let Some((_, only)) = OBJECTIVE_BY_DESTINATION.iter().find(|(name, _)| *name == destination) {
        let message = format!("{destination} is a destination of {only}");
        found.require(*only == objective, &format!("{path}.destination_type"), message);
    }
    check_promoted(ad_set, objective, path, found);
    if let Some(attribution) = ad_set.attribution {
        check_attribution(ad_set, attribution, &format!("{path}.attribution"), found);
    }
}

fn check_promoted(ad_set: &AdSetSpec, objective: &str, path: &str, found: &mut Findings) {
    let has = |name: &str| ad_set.promoted_object.as_ref().is_some_and(|object| object.contains_key(name));
    let (needed, message): (&[&[&str]], _) = match ad_set.optimization_goal.as_str() {
        "OFFSITE_CONVERSIONS" | "VALUE" => (
            &[
                &["pixel_id", "custom_event_type"],
                &["pixel_id", "pixel_rule"],
                &["custom_conversion_id"],
                &["application_id", "object_store_url"],
                &["product_set_id"],
                &["offline_conversion_data_set_id"],
                &["omnichannel_object"],
            ],
            "must say which conversion: custom_event_type with pixel_id (here or as the ad account's default), \
             custom_conversion_id, product_set_id, or application_id with object_store_url",
        ),
        "LEAD_GENERATION" | "QUALITY_LEAD" | "PAGE_LIKES" => {
            (&[&["page_id"]], "must name the Page: page_id, here or as the ad account's default")
        }
        "APP_INSTALLS" => (
            &[&["application_id", "object_store_url"]],
            "must name the app: application_id and object_store_url",
        ),
        _ => (&[], ""),
    };
    let field = format!("{path}.promoted_object");
    let is_there = needed.is_empty() || needed.iter().any(|names| names.iter().all(|name| has(name)));
    found.require(is_there, &field, message);
    let event = ad_set.promoted_object.as_ref().and_then(|object| object.get("custom_event_type"));
    let Some(event) = event.map(String::as_str) else { return };
    let fits = match objective {
        AWARENESS | TRAFFIC => false,
        LEADS => event != "PURCHASE",
        _ => true,
    };
    found.require(fits, &format!("{field}.custom_event_type"), format!("{event} is no event of {objective}"));
}

/// Source: Marketing API, "Ad Set", `attribution_spec`.
fn check_attribution(ad_set: &AdSetSpec, attribution: Attribution, path: &str, found: &mut Findings) {
    let goal = ad_set.optimization_goal.as_str();
    let of_app = ad_set.promoted_object.as_ref().is_some_and(|object| object.contains_key("application_id"));
    let (clicks, views): (&[u8], bool) = match goal {
        "OFFSITE_CONVERSIONS" | "VALUE" => (&[1, 7], !of_app),
        "APP_INSTALLS" => (&[1], true),
        _ => (&[1], false),
    };
    let days = clicks.iter().map(u8::to_string).collect::<Vec<_>>().join(" or ");
    let message = format!("must be {days} for {goal}");
    found.require(clicks.contains(&attribution.click_days), &format!("{path}.click_days"), message);
    for (name, days) in
        [("view_days", attribution.view_days), ("engaged_view_days", attribution.engaged_view_days)]
    {
        let message = match views {
            true => "must be 1 or absent".to_owned(),
            false => format!("must be absent for {goal}"),
        };
        found.require(days.is_none_or(|days| views && days == 1), &format!("{path}.{name}"), message);
    }
}
