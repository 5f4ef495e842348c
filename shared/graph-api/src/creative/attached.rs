//! The creative that an ad has, to be replaced by one that differs in the parameters of its links: nothing else of a
//! creative can be changed, and not even those (Marketing API, "Ad Creative").

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::FEATURES;
use super::content::INSTANT_EXPERIENCE_LINK;

/// What a creative like it is made of: what AdCreative of v26 shows and `POST act_X/adcreatives` takes, but for what names it,
/// and pictures that Meta makes of the rest.
pub(crate) const ATTACHED_FIELDS: &str = "creative{name,object_story_id,effective_object_story_id,object_story_spec,\
    asset_feed_spec,product_set_id,template_url_spec,source_instagram_media_id,object_id,call_to_action,instagram_user_id,\
    degrees_of_freedom_spec,destination_spec,contextual_multi_ads,interactive_components_spec,branded_content,\
    instagram_branded_content,facebook_branded_content,branded_content_sponsor_page_id,ad_disclaimer_spec,\
    authorization_category,regional_regulation_disclaimer_spec,platform_customizations,portrait_customizations,\
    omnichannel_link_spec,applink_treatment,dynamic_ad_voice,playable_asset_id,format_transformation_spec,\
    media_sourcing_spec,creative_sourcing_spec,page_welcome_message,place_page_set_id,recommender_settings,\
    product_suggestion_settings,categorization_criteria,category_media_source}";

/// The creative of an ad.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Attached(Map<String, Value>);

impl Attached {
    /// Returns the `creative` parameter of an ad that shows the same, with these parameters in its links.
    pub(crate) fn with_url_tags(&self, url_tags: Option<&str>) -> Value {
        let mut creative = self.0.clone();
        creative.remove("id");
        switch_off(&mut creative);
        let post = creative.remove("effective_object_story_id");
        let is_made_per_viewer =
            ["asset_feed_spec", "product_set_id"].iter().any(|field| creative.contains_key(*field));
        if creative.contains_key("source_instagram_media_id") {
            creative.remove("object_story_id");
            creative.remove("object_story_spec");
        } else if let Some(post) = post.filter(|_| !is_made_per_viewer) {
            // The post stays, with what people said about it.
            for made in ["object_story_spec", "call_to_action", "object_id"] {
                creative.remove(made);
            }
            creative.insert("object_story_id".to_owned(), post);
        } else {
            creative.retain(|field, _| {
                !["object_story_id", "call_to_action", "object_id"].contains(&field.as_str())
            });
            creative.values_mut().for_each(without_second_picture);
        }
        creative.extend(url_tags.map(|tags| ("url_tags".to_owned(), json!(tags))));
        creative.into()
    }
}

/// A new creative has what Meta switches on by itself, unless it is told not to; one that says so already keeps its word.
fn switch_off(creative: &mut Map<String, Value>) {
    let features = creative.entry("degrees_of_freedom_spec").or_insert_with(|| json!({}));
    let features = &mut features["creative_features_spec"];
    if !features.is_object() {
        *features = json!({});
    }
    if let Some(features) = features.as_object_mut() {
        // Shown of older creatives, and refused (3858504).
        features.remove("standard_enhancements");
        for feature in FEATURES {
            features.entry(feature).or_insert_with(|| json!({"enroll_status": "OPT_OUT"}));
        }
    }
    let leads_to_website = ["link_data", "video_data", "template_data"].iter().any(|part| {
        let data = creative.get("object_story_spec").map_or(&Value::Null, |story| &story[part]);
        let links = [&data["link"], &data["call_to_action"]["value"]["link"]];
        links.into_iter().filter_map(Value::as_str).any(|link| !link.starts_with(INSTANT_EXPERIENCE_LINK))
    });
    if leads_to_website {
        let website = json!({"destination_type": "WEBSITE_AND_SHOP_OPT_OUT"});
        creative.entry("destination_spec").or_insert(website);
    }
}

/// Takes away the address of each picture that has a hash: Meta shows both and takes one of them.
fn without_second_picture(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if fields.contains_key("image_hash") {
                fields.retain(|field, _| !["image_url", "picture"].contains(&field.as_str()));
            }
            fields.values_mut().for_each(without_second_picture);
        }
        Value::Array(values) => values.iter_mut().for_each(without_second_picture),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features() -> Value {
        let mut features: Map<String, Value> =
            FEATURES.iter().map(|name| ((*name).to_owned(), json!({"enroll_status": "OPT_OUT"}))).collect();
        features.insert("text_translation".to_owned(), json!({"enroll_status": "OPT_IN"}));
        json!({"creative_features_spec": features})
    }

    fn retagged(creative: Value) -> Value {
        let attached: Attached = serde_json::from_value(creative).unwrap();
        attached.with_url_tags(Some("utm_source=meta"))
    }

    #[test]
    fn a_post_stays_with_what_people_said_about_it() {
        let shown = json!({
            "id": "9", "name": "Spring", "effective_object_story_id": "1_2",
            "object_story_spec": {"page_id": "1", "link_data": {"link": "https://example.com"}},
            "degrees_of_freedom_spec": {"creative_features_spec": {
                "text_translation": {"enroll_status": "OPT_IN"}, "standard_enhancements": {"enroll_status": "OPT_IN"},
            }},
        });
        // What Meta would switch on in a new creative stays off, and what was on stays on.
        let expected = json!({
            "name": "Spring", "object_story_id": "1_2", "url_tags": "utm_source=meta",
            "degrees_of_freedom_spec": features(), "destination_spec": {"destination_type": "WEBSITE_AND_SHOP_OPT_OUT"},
        });
        assert_eq!(retagged(shown), expected);
    }

    #[test]
    fn what_meta_makes_for_each_viewer_is_made_again() {
        let story = |picture: Value| {
            let mut data = json!({"link": "https://example.com", "image_hash": "abc"});
            data.as_object_mut().unwrap().extend(picture.as_object().unwrap().clone());
            json!({"page_id": "1", "template_data": data})
        };
        let shown = json!({
            "id": "9", "effective_object_story_id": "1_2", "product_set_id": "7", "degrees_of_freedom_spec": features(),
            "destination_spec": {"destination_type": "WEBSITE_AND_SHOP"},
            "object_story_spec": story(json!({"picture": "https://example.com/signed"})),
        });
        let expected = json!({
            "product_set_id": "7", "object_story_spec": story(json!({})), "url_tags": "utm_source=meta",
            "degrees_of_freedom_spec": features(), "destination_spec": {"destination_type": "WEBSITE_AND_SHOP"},
        });
        assert_eq!(retagged(shown), expected);
    }
}
