//! What creatives show, in Meta's shape.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::spec::Variants;
use super::{CardSpec, CreativeSpec, InstagramPostSpec, LinkSpec};

/// Where a click that opens a conversation leads to, with the button and the link that Meta wants for it.
const CONVERSATIONS: [(&str, &str, &str); 3] = [
    ("MESSENGER", "MESSAGE_PAGE", "https://fb.com/messenger_doc/"),
    ("WHATSAPP", "WHATSAPP_MESSAGE", "https://api.whatsapp.com/send"),
    ("INSTAGRAM_DIRECT", "MESSAGE_PAGE", "https://www.instagram.com/"),
];

/// The link that Meta wants for an ad that opens a lead form.
const LEAD_FORM_LINK: &str = "http://fb.me/";

/// The beginning of the link that Meta wants for an ad that opens an Instant Experience, which it once called a canvas.
/// Source: Marketing API, "Collection Ads".
pub(super) const INSTANT_EXPERIENCE_LINK: &str = "https://fb.com/canvas_doc/";

/// The button of an ad that opens an Instant Experience, where the document names none.
const INSTANT_EXPERIENCE_BUTTON: &str = "LEARN_MORE";

/// The button of an ad that opens a lead form, where the document names none.
const LEAD_FORM_BUTTON: &str = "SIGN_UP";

/// Returns whether a destination is a conversation, which needs no address.
pub(crate) fn is_conversation(destination: &str) -> bool {
    CONVERSATIONS.iter().any(|(app, ..)| *app == destination)
}

/// Returns the `creative` parameter of an ad whose ad set has this destination. A creative that is created with the ad
/// gets this name.
pub(crate) fn ad_creative(
    creative: &CreativeSpec,
    name: &str,
    destination: Option<&str>,
) -> Map<String, Value> {
    let parts = parts(creative, destination).into_iter().map(|(part, value)| (part.to_owned(), value));
    let is_made = matches!(creative, CreativeSpec::Link(_) | CreativeSpec::InstagramPost(_));
    let name = is_made.then(|| ("name".to_owned(), json!(name)));
    parts.chain(name).collect()
}

/// Returns the parameters of a creative.
fn parts(creative: &CreativeSpec, destination: Option<&str>) -> Vec<(&'static str, Value)> {
    match creative {
        CreativeSpec::CreativeId(id) => vec![("creative_id", json!(id))],
        CreativeSpec::PostId(post) => vec![("object_story_id", json!(post))],
        CreativeSpec::InstagramPost(post) => instagram_parts(post),
        CreativeSpec::Link(link) => link_parts(link, destination),
    }
}

fn instagram_parts(post: &InstagramPostSpec) -> Vec<(&'static str, Value)> {
    let mut parts = vec![("source_instagram_media_id", json!(post.media))];
    parts.extend(post.page.iter().map(|page| ("object_id", json!(page))));
    parts.extend(post.instagram_user.iter().map(|user| ("instagram_user_id", json!(user))));
    if let (Some(link), button) = (&post.link, post.call_to_action.as_deref().unwrap_or("LEARN_MORE")) {
        parts.push(("call_to_action", json!({"type": button, "value": {"link": link}})));
    }
    parts
}

/// Returns the parameters of a creative that shows a link: with a picture, a video, cards, or the products of a catalog.
/// With products it is a template, which Meta fills for each viewer, or a collection, which shows them below its picture.
fn link_parts(link: &LinkSpec, destination: Option<&str>) -> Vec<(&'static str, Value)> {
    let target = Target::of(link, destination);
    let (kind, data) = match &link.video {
        Some(_) => ("video_data", video_data(link, &target)),
        None if link.product_set.is_some() && link.instant_experience.is_none() => {
            ("template_data", link_data(link, &target))
        }
        None => ("link_data", link_data(link, &target)),
    };
    let mut story = json!({ kind: data });
    if let Some(page) = &link.page {
        story["page_id"] = json!(page);
    }
    if let Some(user) = &link.instagram_user {
        story["instagram_user_id"] = json!(user);
    }
    let products = link.product_set.iter().map(|set| ("product_set_id", json!(set)));
    let texts = texts(link).map(|texts| ("asset_feed_spec", texts));
    [("object_story_spec", story)].into_iter().chain(products).chain(texts).collect()
}

/// Returns the variants of its texts, those of the story included. Source: Marketing API, "Advantage+ Creative", text options.
fn texts(link: &LinkSpec) -> Option<Value> {
    let mut feed = json!({});
    for Variants { list, first, more, .. } in link.variants().into_iter().filter(|text| !text.more.is_empty())
    {
        let texts = first.into_iter().chain(more.iter().map(String::as_str));
        feed[list] = texts.map(|text| json!({"text": text})).collect();
    }
    let has_variants = feed.as_object().is_some_and(|feed| !feed.is_empty());
    feed["optimization_type"] = json!("DEGREES_OF_FREEDOM");
    has_variants.then_some(feed)
}

/// Where a click leads to.
struct Target<'a> {
    link: Cow<'a, str>,
    button: Option<&'a str>,
    /// What a button says about it; its link when there is nothing else.
    value: Option<Value>,
}

impl<'a> Target<'a> {
    fn of(link: &'a LinkSpec, destination: Option<&str>) -> Self {
        let named = link.link.as_deref();
        let button = link.call_to_action.as_deref();
        if let Some(experience) = &link.instant_experience {
            let link = format!("{INSTANT_EXPERIENCE_LINK}{experience}").into();
            return Self { link, button: button.or(Some(INSTANT_EXPERIENCE_BUTTON)), value: None };
        }
        let conversation = CONVERSATIONS.iter().find(|(app, ..)| Some(*app) == destination);
        match (&link.lead_form, conversation) {
            (Some(form), _) => Self {
                link: named.unwrap_or(LEAD_FORM_LINK).into(),
                button: button.or(Some(LEAD_FORM_BUTTON)),
                value: Some(json!({"lead_gen_form_id": form})),
            },
            (None, Some((app, its_button, its_link))) => Self {
                link: named.unwrap_or(its_link).into(),
                button: button.or(Some(its_button)),
                value: Some(json!({"app_destination": app})),
            },
            (None, None) => Self { link: named.unwrap_or_default().into(), button, value: None },
        }
    }

    fn call_to_action(&self, link: &str, button: Option<&str>) -> Option<Value> {
        let value = self.value.clone().unwrap_or_else(|| json!({"link": link}));
        Some(json!({"type": button.or(self.button)?, "value": value}))
    }
}

fn set(data: &mut Value, parts: &[(&str, Option<&str>)]) {
    for (name, value) in parts {
        if let Some(value) = value {
            data[*name] = json!(value);
        }
    }
}

fn link_data(link: &LinkSpec, target: &Target<'_>) -> Value {
    let mut data = json!({"link": target.link, "message": link.message});
    set(
        &mut data,
        &[
            ("name", link.headline.as_deref()),
            ("description", link.description.as_deref()),
            ("caption", link.display_link.as_deref()),
            ("image_hash", link.image.as_ref().map(|image| image.as_str())),
        ],
    );
    if let Some(action) = target.call_to_action(&target.link, None) {
        data["call_to_action"] = action;
    }
    if !link.cards.is_empty() {
        data["child_attachments"] = link.cards.iter().map(|shown| card(shown, target)).collect();
        // The cards stay in their order, and Meta adds none of its own.
        data["multi_share_optimized"] = json!(false);
        data["multi_share_end_card"] = json!(false);
    }
    data
}

fn card(card: &CardSpec, target: &Target<'_>) -> Value {
    let link = card.link.as_deref().unwrap_or(&target.link);
    let mut data = json!({"link": link});
    set(
        &mut data,
        &[
            ("name", card.headline.as_deref()),
            ("description", card.description.as_deref()),
            ("image_hash", card.image.as_ref().map(|image| image.as_str())),
            ("video_id", card.video.as_ref().map(|video| video.as_str())),
        ],
    );
    if let Some(action) = target.call_to_action(link, card.call_to_action.as_deref()) {
        data["call_to_action"] = action;
    }
    data
}

/// A video has no link other than that of its button, so that it always has one.
fn video_data(link: &LinkSpec, target: &Target<'_>) -> Value {
    let mut data = json!({"video_id": link.video, "message": link.message});
    set(
        &mut data,
        &[
            ("title", link.headline.as_deref()),
            ("link_description", link.description.as_deref()),
            ("image_hash", link.image.as_ref().map(|image| image.as_str())),
            ("image_url", link.thumbnail_url.as_deref()),
        ],
    );
    let button = target.button.unwrap_or("LEARN_MORE");
    data["call_to_action"] = target.call_to_action(&target.link, Some(button)).unwrap_or_default();
    data
}
