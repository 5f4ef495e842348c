//! What the ad of a launch shows.

use domain::FieldError;
use domain::text::{is_domain, is_enum_constant, is_http_url, is_multi_line, is_single_line};
use serde::{Deserialize, Serialize};

use super::content::is_conversation;
use crate::id::{ImageHash, ObjectId, PageId, VideoId};

/// Maximum length of the text above the picture, in characters.
const MAX_MESSAGE_CHARS: usize = 5_000;

/// Maximum length of a headline or description, in characters.
const MAX_LINE_CHARS: usize = 512;

/// Variants of a text beside the first. Source: Marketing API, "Advantage+ Creative", text options: five in all.
pub(super) const MAX_VARIANTS: usize = 4;

/// Cards of a carousel. Source: Marketing API, "Carousel Ads".
const CARDS: std::ops::RangeInclusive<usize> = 2..=10;

/// What the ad of a launch shows: something that exists already, or something that is made with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CreativeSpec {
    /// An ad creative of the account.
    CreativeId(ObjectId),
    /// A Page's post as `pageid_postid`; its likes and comments stay with it.
    PostId(#[cfg_attr(feature = "describe", schemars(regex(pattern = "^[0-9]{1,32}_[0-9]{1,32}$")))] String),
    /// A post of an Instagram account; its likes and comments stay with it.
    InstagramPost(InstagramPostSpec),
    /// A link with a picture, a video, cards, or the products of a catalog: made with the ad.
    Link(Box<LinkSpec>),
}

/// A post of an Instagram account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct InstagramPostSpec {
    /// Meta's id of the post.
    pub media: ObjectId,
    /// The Page that speaks elsewhere; the ad account's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<PageId>,
    /// The Instagram account; the ad account's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instagram_user: Option<ObjectId>,
    /// Where a click on the button leads to; without it there is no button.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(length(max = domain::text::MAX_URL_BYTES), extend("pattern" = domain::text::HTTP_URL_PATTERN)))]
    pub link: Option<String>,
    /// The button, `LEARN_MORE` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(extend("pattern" = domain::text::ENUM_CONSTANT_PATTERN)))]
    pub call_to_action: Option<String>,
}

/// A link that an ad shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LinkSpec {
    /// The Page that speaks; the ad account's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<PageId>,
    /// The Instagram account that speaks there; the ad account's default when absent, and without one the Page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instagram_user: Option<ObjectId>,
    /// Where a click leads to. May be absent when it opens a lead form, a conversation or an Instant Experience.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(length(max = domain::text::MAX_URL_BYTES), extend("pattern" = domain::text::HTTP_URL_PATTERN)))]
    pub link: Option<String>,
    /// The address that is shown instead, such as `example.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(length(max = 253), regex(pattern = domain::text::DOMAIN_PATTERN)))]
    pub display_link: Option<String>,
    /// The text above the picture; it may have several lines.
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_MESSAGE_CHARS), extend("pattern" = domain::text::MULTI_LINE_PATTERN)))]
    pub message: String,
    /// The headline below it; the link's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_LINE_CHARS), extend("pattern" = domain::text::SINGLE_LINE_PATTERN)))]
    pub headline: Option<String>,
    /// The text below the headline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_LINE_CHARS), extend("pattern" = domain::text::SINGLE_LINE_PATTERN)))]
    pub description: Option<String>,
    /// Other texts above the picture, four at most: Meta shows each viewer the one that it expects most of. A link with one
    /// picture or video may have them, and other headlines and descriptions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_VARIANTS), inner(length(max = MAX_MESSAGE_CHARS), regex(pattern = domain::text::MULTI_LINE_PATTERN))))]
    pub more_messages: Vec<String>,
    /// Other headlines, four at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_VARIANTS), inner(length(max = MAX_LINE_CHARS), regex(pattern = domain::text::SINGLE_LINE_PATTERN))))]
    pub more_headlines: Vec<String>,
    /// Other descriptions, four at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_VARIANTS), inner(length(max = MAX_LINE_CHARS), regex(pattern = domain::text::SINGLE_LINE_PATTERN))))]
    pub more_descriptions: Vec<String>,
    /// The picture, or the cover of the video, by its hash in the ad account's library; the link's own when absent, and
    /// the video's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageHash>,
    /// The video, by its id in the ad account's library.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video: Option<VideoId>,
    /// The cover of the video, by its address, instead of an image of the library.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(length(max = domain::text::MAX_URL_BYTES), extend("pattern" = domain::text::HTTP_URL_PATTERN)))]
    pub thumbnail_url: Option<String>,
    /// The cards of a carousel, which stay in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "describe", schemars(length(max = 10)))]
    pub cards: Vec<CardSpec>,
    /// The lead form that a click opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead_form: Option<ObjectId>,
    /// The Instant Experience of the Page that a click opens, by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instant_experience: Option<ObjectId>,
    /// The products to show instead of one picture: a product set of the catalog. The ad set promotes it too. With an
    /// Instant Experience the ad is a collection, which shows some of them below its picture or video.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_set: Option<ObjectId>,
    /// The button, such as `SHOP_NOW`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(extend("pattern" = domain::text::ENUM_CONSTANT_PATTERN)))]
    pub call_to_action: Option<String>,
}

/// A card of a carousel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CardSpec {
    /// Where a click on it leads to; where the ad leads to when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(length(max = domain::text::MAX_URL_BYTES), extend("pattern" = domain::text::HTTP_URL_PATTERN)))]
    pub link: Option<String>,
    /// Its headline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_LINE_CHARS), extend("pattern" = domain::text::SINGLE_LINE_PATTERN)))]
    pub headline: Option<String>,
    /// The text below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_LINE_CHARS), extend("pattern" = domain::text::SINGLE_LINE_PATTERN)))]
    pub description: Option<String>,
    /// Its picture, by its hash in the ad account's library.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageHash>,
    /// Its video, by its id in the ad account's library. The picture is its cover.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video: Option<VideoId>,
    /// Its button; that of the ad when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(extend("pattern" = domain::text::ENUM_CONSTANT_PATTERN)))]
    pub call_to_action: Option<String>,
}

/// Why a Page is missing.
const MISSING_PAGE: &str = "must be the Page that speaks, here or for all launches in the ad account's defaults (PUT \
                            ad-accounts/{act}/defaults)";
const INVALID_ADDRESS: &str =
    "must be an address such as https://example.com/sale, in visible ASCII characters: encode others";
const INVALID_BUTTON: &str = "must be one of Meta's words, such as SHOP_NOW";

impl CreativeSpec {
    /// Returns every validation error. `field` is the path of the creative.
    pub(crate) fn check(&self, field: &str, destination: Option<&str>) -> Vec<FieldError> {
        match self {
            Self::CreativeId(_) => Vec::new(),
            Self::PostId(post) => {
                let message = "must be the Page's id, '_' and the post's id";
                let wrong = page_of(post).is_none();
                wrong.then(|| FieldError::new(format!("{field}.post_id"), message)).into_iter().collect()
            }
            Self::InstagramPost(post) => post.check(&format!("{field}.instagram_post")),
            Self::Link(link) => link.check(&format!("{field}.link"), destination),
        }
    }

    /// Returns whether a click leads to a website, as far as the document says.
    pub(crate) fn leads_to_website(&self, destination: Option<&str>) -> bool {
        match self {
            Self::CreativeId(_) | Self::PostId(_) => false,
            Self::InstagramPost(post) => post.link.is_some(),
            Self::Link(link) => {
                let opens = link.lead_form.is_some() || destination.is_some_and(is_conversation);
                link.link.is_some() && !opens
            }
        }
    }

    /// Returns the video that is shown without a cover.
    pub(crate) fn video_without_cover(&self) -> Option<&VideoId> {
        let Self::Link(link) = self else { return None };
        let has_cover = link.image.is_some() || link.thumbnail_url.is_some();
        link.video.as_ref().filter(|_| !has_cover)
    }

    /// Sets the cover of the video.
    pub(crate) fn set_cover(&mut self, url: Option<String>) {
        if let Self::Link(link) = self {
            link.thumbnail_url = url;
        }
    }

    /// Returns the Page that publishes the ad; `None` where the document does not name it.
    pub(crate) fn page(&self) -> Option<PageId> {
        match self {
            Self::CreativeId(_) => None,
            Self::PostId(post) => page_of(post),
            Self::InstagramPost(post) => post.page.clone(),
            Self::Link(link) => link.page.clone(),
        }
    }
}

/// Returns the Page of a post; `None` when the post's id is malformed.
fn page_of(post: &str) -> Option<PageId> {
    let (page, post) = post.split_once('_')?;
    post.parse::<ObjectId>().ok()?;
    page.parse().ok()
}

impl InstagramPostSpec {
    fn check(&self, field: &str) -> Vec<FieldError> {
        let mut found = Vec::new();
        let mut require = |holds: bool, part: &str, message: &str| {
            if !holds {
                found.push(FieldError::new(format!("{field}.{part}"), message));
            }
        };
        require(self.page.is_some(), "page", MISSING_PAGE);
        require(self.link.as_deref().is_none_or(is_http_url), "link", INVALID_ADDRESS);
        require(
            self.call_to_action.as_deref().is_none_or(is_enum_constant),
            "call_to_action",
            INVALID_BUTTON,
        );
        found
    }
}

/// The variants of a text.
pub(super) struct Variants<'a> {
    /// The field that has those beside the first.
    part: &'static str,
    /// Meta's name of them.
    pub(super) list: &'static str,
    pub(super) first: Option<&'a str>,
    pub(super) more: &'a [String],
}

impl LinkSpec {
    /// Returns each text that may have variants.
    pub(super) fn variants(&self) -> [Variants<'_>; 3] {
        let variants = |part, list, first, more| Variants { part, list, first, more };
        [
            variants("more_messages", "bodies", Some(self.message.as_str()), self.more_messages.as_slice()),
            variants("more_headlines", "titles", self.headline.as_deref(), &self.more_headlines),
            variants(
                "more_descriptions",
                "descriptions",
                self.description.as_deref(),
                &self.more_descriptions,
            ),
        ]
    }

    fn check(&self, field: &str, destination: Option<&str>) -> Vec<FieldError> {
        let mut found = Vec::new();
        let mut require = |holds: bool, part: &str, message: &str| {
            if !holds {
                found.push(FieldError::new(format!("{field}.{part}"), message));
            }
        };
        require(self.page.is_some(), "page", MISSING_PAGE);
        let has_other_target = self.lead_form.is_some()
            || self.instant_experience.is_some()
            || destination.is_some_and(is_conversation);
        let opens_alone = self.link.is_none()
            && self.lead_form.is_none()
            && self.cards.is_empty()
            && !destination.is_some_and(is_conversation);
        let message = "opens in place of a link, a lead form, a conversation and cards: leave them out";
        require(self.instant_experience.is_none() || opens_alone, "instant_experience", message);
        let shows = self.image.is_some() || self.video.is_some();
        let message = "must be there, or a video: an Instant Experience has no picture of its own";
        require(self.instant_experience.is_none() || shows, "image", message);
        let address = self.link.as_deref();
        require(address.map_or(has_other_target, is_http_url), "link", INVALID_ADDRESS);
        let display = self.display_link.as_deref();
        require(display.is_none_or(is_domain), "display_link", "must be a domain, such as example.com");
        require(
            display.is_none() || self.video.is_none(),
            "display_link",
            "must be absent: a video shows none",
        );
        let cover = self.thumbnail_url.as_deref();
        require(cover.is_none_or(is_http_url), "thumbnail_url", INVALID_ADDRESS);
        let covers = usize::from(cover.is_some()) + usize::from(self.image.is_some());
        let message = "is the cover of a video, beside video and instead of image";
        require(cover.is_none() || (self.video.is_some() && covers == 1), "thumbnail_url", message);
        let shows_products = self.product_set.is_some() && self.instant_experience.is_none();
        let contents = [self.video.is_some(), shows_products, !self.cards.is_empty()];
        let message = "an ad shows a video, cards or products: give one of video, cards and product_set";
        require(contents.into_iter().filter(|given| *given).count() <= 1, "video", message);
        let cards = format!("must have {} to {} entries", CARDS.start(), CARDS.end());
        require(self.cards.is_empty() || CARDS.contains(&self.cards.len()), "cards", &cards);
        let lines = format!(
            "must have 1 to {MAX_MESSAGE_CHARS} characters, and no control characters but line breaks (\\n)"
        );
        require(is_multi_line(&self.message, MAX_MESSAGE_CHARS), "message", &lines);
        let line = format!("must have 1 to {MAX_LINE_CHARS} characters, and no control characters");
        for (part, text) in [("headline", &self.headline), ("description", &self.description)] {
            require(text.as_deref().is_none_or(|text| is_single_line(text, MAX_LINE_CHARS)), part, &line);
        }
        for variants in self.variants() {
            let Variants { part, first, more, .. } = variants;
            let fits = |text: &String| match part {
                "more_messages" => is_multi_line(text, MAX_MESSAGE_CHARS),
                _ => is_single_line(text, MAX_LINE_CHARS),
            };
            let texts: Vec<&str> = first.into_iter().chain(more.iter().map(String::as_str)).collect();
            let are_unique = texts.iter().enumerate().all(|(number, text)| !texts[..number].contains(text));
            let message = format!(
                "must hold {MAX_VARIANTS} texts at most, which differ from the first and from each other, and are no longer than it may be"
            );
            require(more.len() <= MAX_VARIANTS && more.iter().all(fits) && are_unique, part, &message);
            let message =
                "must be absent: the first of these texts is missing, or it shows cards or products";
            let has_one = first.is_some() && self.cards.is_empty() && self.product_set.is_none();
            require(more.is_empty() || has_one, part, message);
        }
        require(
            self.call_to_action.as_deref().is_none_or(is_enum_constant),
            "call_to_action",
            INVALID_BUTTON,
        );
        for (number, card) in self.cards.iter().enumerate() {
            let at = |part: &str| format!("cards[{number}].{part}");
            require(card.link.as_deref().is_none_or(is_http_url), &at("link"), INVALID_ADDRESS);
            for (part, text) in [("headline", &card.headline), ("description", &card.description)] {
                let fits = text.as_deref().is_none_or(|text| is_single_line(text, MAX_LINE_CHARS));
                require(fits, &at(part), &line);
            }
            let shows = card.image.is_some() || card.video.is_some();
            require(shows, &at("image"), "must be there, or a video: a card shows one of them");
            let button = card.call_to_action.as_deref();
            require(button.is_none_or(is_enum_constant), &at("call_to_action"), INVALID_BUTTON);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_of_a_link_is_reported_and_a_page_is_required() {
        let read = |json: &str| serde_json::from_str::<CreativeSpec>(json).unwrap();
        let bad = read(
            r#"{"link":{"link":"example.com","message":" \n","headline":"a\nb","description":"",
                        "call_to_action":"shop now"}}"#,
        );
        let fields: Vec<_> = bad.check("c", None).into_iter().map(|found| found.field).collect();
        let parts = ["page", "link", "message", "headline", "description", "call_to_action"];
        assert_eq!(fields, parts.map(|part| format!("c.link.{part}")));
        let good = read(
            r#"{"link":{"page":"1","link":"https://example.com/?a=1&b=2","message":"One\nTwo","image":"a1b2"}}"#,
        );
        assert_eq!(good.check("c", None), []);
        assert_eq!(good.page(), Some("1".parse().unwrap()));
        assert!(
            serde_json::from_str::<CreativeSpec>(r#"{"link":{"link":"x","message":"y","text":"z"}}"#)
                .is_err()
        );
    }

    #[test]
    fn a_post_names_its_page() {
        assert_eq!(CreativeSpec::PostId("12_3".to_owned()).page(), Some("12".parse().unwrap()));
        for bad in ["12", "12_", "_3", "a_3", "1_2_3"] {
            assert_eq!(CreativeSpec::PostId(bad.to_owned()).check("c", None).len(), 1, "{bad}");
        }
    }
}
