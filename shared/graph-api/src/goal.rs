//! What counts as a result of an ad set: the conversion or event that its goal asks for.
//!
//! Source: Marketing API, "Ad Set", `optimization_goal` and `promoted_object`; "Action types" for the types in which the
//! events are reported. Goals whose results no row of insights has (recall, profile visits, calls) have none here.

use domain::results::CustomConversion;
use serde::Deserialize;

/// What an ad set promotes, as far as it says what counts.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct PromotedObject {
    custom_event_type: Option<String>,
    custom_conversion_id: Option<String>,
    /// Events of an app are counted under types of their own, which depend on how they arrive.
    application_id: Option<String>,
}

/// Returns the measure that counts the results of an ad set, by the name that queries have for it; `None` where none does.
pub(crate) fn result_measure(goal: &str, promoted: Option<&PromotedObject>) -> Option<String> {
    let measure = match goal {
        "OFFSITE_CONVERSIONS" | "VALUE" | "CONVERSIONS" => return conversion(promoted),
        "LEAD_GENERATION" | "QUALITY_LEAD" => "leads",
        "LINK_CLICKS" => "link_clicks",
        "LANDING_PAGE_VIEWS" => "landing_page_views",
        "IMPRESSIONS" => "impressions",
        "THRUPLAY" => "thruplays",
        "VIDEO_VIEWS" => "video_views",
        "APP_INSTALLS" | "APP_INSTALLS_AND_OFFSITE_CONVERSIONS" => "app_installs",
        "POST_ENGAGEMENT" => "actions.post_engagement",
        "PAGE_LIKES" => "actions.like",
        "EVENT_RESPONSES" => "actions.rsvp",
        "CONVERSATIONS" => "actions.onsite_conversion.messaging_conversation_started_7d",
        "MESSAGING_PURCHASE_CONVERSION" => "purchases",
        _ => return None,
    };
    Some(measure.to_owned())
}

/// Returns the measure of a conversion: a custom conversion before the event that it is made of.
fn conversion(promoted: Option<&PromotedObject>) -> Option<String> {
    let PromotedObject { custom_event_type, custom_conversion_id, application_id } = promoted?;
    if application_id.is_some() {
        return None;
    }
    if let Some(id) = custom_conversion_id {
        return Some(CustomConversion::measure_of(id));
    }
    let measure = match custom_event_type.as_deref()? {
        "PURCHASE" => "purchases",
        "LEAD" => "leads",
        "ADD_TO_CART" => "add_to_cart",
        "INITIATED_CHECKOUT" => "initiate_checkout",
        "COMPLETE_REGISTRATION" => "actions.offsite_conversion.fb_pixel_complete_registration",
        "CONTENT_VIEW" => "actions.offsite_conversion.fb_pixel_view_content",
        "SEARCH" => "actions.offsite_conversion.fb_pixel_search",
        "ADD_PAYMENT_INFO" => "actions.offsite_conversion.fb_pixel_add_payment_info",
        "ADD_TO_WISHLIST" => "actions.offsite_conversion.fb_pixel_add_to_wishlist",
        // Of the others, no type among `actions` counts this event alone.
        _ => return None,
    };
    Some(measure.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_counts_what_it_asks_for() {
        let promoted = |json: &str| serde_json::from_str::<PromotedObject>(json).unwrap();
        for (goal, object, measure) in [
            ("OFFSITE_CONVERSIONS", r#"{"pixel_id":"1","custom_event_type":"PURCHASE"}"#, Some("purchases")),
            ("VALUE", r#"{"pixel_id":"1","custom_event_type":"PURCHASE"}"#, Some("purchases")),
            (
                "OFFSITE_CONVERSIONS",
                r#"{"pixel_id":"1","custom_event_type":"OTHER","custom_conversion_id":"23"}"#,
                Some("actions.offsite_conversion.custom.23"),
            ),
            ("OFFSITE_CONVERSIONS", r#"{"pixel_id":"1"}"#, None),
            ("OFFSITE_CONVERSIONS", r#"{"custom_event_type":"SOMETHING_NEW"}"#, None),
            ("OFFSITE_CONVERSIONS", r#"{"application_id":"1","custom_event_type":"PURCHASE"}"#, None),
            (
                "OFFSITE_CONVERSIONS",
                r#"{"pixel_id":"1","custom_event_type":"OTHER","custom_event_str":"x"}"#,
                None,
            ),
            ("LEAD_GENERATION", r#"{"page_id":"1"}"#, Some("leads")),
            ("LINK_CLICKS", "{}", Some("link_clicks")),
            ("AD_RECALL_LIFT", "{}", None),
            ("REACH", "{}", None),
        ] {
            assert_eq!(result_measure(goal, Some(&promoted(object))).as_deref(), measure, "{goal} {object}");
        }
    }
}
