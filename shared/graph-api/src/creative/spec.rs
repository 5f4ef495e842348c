//! What the ad of a launch shows.

use domain::FieldError;
use domain::text::{is_enum_constant, is_http_url, is_multi_line, is_single_line};
use serde::{Deserialize, Serialize};

use crate::id::{ImageHash, ObjectId, PageId};

/// Maximum length of the text above the picture, in characters.
const MAX_MESSAGE_CHARS: usize = 5_000;

/// Maximum length of a headline or description, in characters.
const MAX_LINE_CHARS: usize = 512;

/// What the ad of a launch shows: something that exists already, or something that is made with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CreativeSpec {
    /// An ad creative of the account.
    CreativeId(ObjectId),
    /// A Page's post as `pageid_postid`; its likes and comments stay with it.
    PostId(#[cfg_attr(feature = "describe", schemars(regex(pattern = "^[0-9]{1,32}_[0-9]{1,32}$")))] String),
    /// A link with a picture, or with the products of a catalog: made with the ad.
    Link(Box<LinkSpec>),
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
    /// Where a click leads to.
    #[cfg_attr(feature = "describe", schemars(length(max = domain::text::MAX_URL_BYTES), extend("pattern" = domain::text::HTTP_URL_PATTERN)))]
    pub link: String,
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
    /// The picture, by its hash in the ad account's library; the link's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageHash>,
    /// The products to show instead of one picture: a product set of the catalog. The ad set promotes it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_set: Option<ObjectId>,
    /// The button, such as `SHOP_NOW`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(extend("pattern" = domain::text::ENUM_CONSTANT_PATTERN)))]
    pub call_to_action: Option<String>,
}

impl CreativeSpec {
    /// Returns every validation error. `field` is the path of the creative.
    pub(crate) fn check(&self, field: &str) -> Vec<FieldError> {
        match self {
            Self::CreativeId(_) => Vec::new(),
            Self::PostId(post) => {
                let message = "must be the Page's id, '_' and the post's id";
                let wrong = page_of(post).is_none();
                wrong.then(|| FieldError::new(format!("{field}.post_id"), message)).into_iter().collect()
            }
            Self::Link(link) => link.check(&format!("{field}.link")),
        }
    }

    /// Returns the Page that publishes the ad; `None` where the document does not name it.
    pub(crate) fn page(&self) -> Option<PageId> {
        match self {
            Self::CreativeId(_) => None,
            Self::PostId(post) => page_of(post),
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

impl LinkSpec {
    fn check(&self, field: &str) -> Vec<FieldError> {
        let mut found = Vec::new();
        let mut require = |holds: bool, part: &str, message: &str| {
            if !holds {
                found.push(FieldError::new(format!("{field}.{part}"), message));
            }
        };
        let missing_page = "must be the Page that speaks, here or for all launches in the ad account's defaults (PUT \
                      ad-accounts/{act}/defaults)";
        require(self.page.is_some(), "page", missing_page);
        let address =
            "must be an address such as https://example.com/sale, in visible ASCII characters: encode others";
        require(is_http_url(&self.link), "link", address);
        let lines = format!(
            "must have 1 to {MAX_MESSAGE_CHARS} characters, and no control characters but line breaks (\\n)"
        );
        require(is_multi_line(&self.message, MAX_MESSAGE_CHARS), "message", &lines);
        let line = format!("must have 1 to {MAX_LINE_CHARS} characters, and no control characters");
        for (part, text) in [("headline", &self.headline), ("description", &self.description)] {
            require(text.as_deref().is_none_or(|text| is_single_line(text, MAX_LINE_CHARS)), part, &line);
        }
        let word = "must be one of Meta's words, such as SHOP_NOW";
        require(self.call_to_action.as_deref().is_none_or(is_enum_constant), "call_to_action", word);
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
        let fields: Vec<_> = bad.check("c").into_iter().map(|found| found.field).collect();
        let parts = ["page", "link", "message", "headline", "description", "call_to_action"];
        assert_eq!(fields, parts.map(|part| format!("c.link.{part}")));
        let good = read(
            r#"{"link":{"page":"1","link":"https://example.com/?a=1&b=2","message":"One\nTwo","image":"a1b2"}}"#,
        );
        assert_eq!(good.check("c"), []);
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
            assert_eq!(CreativeSpec::PostId(bad.to_owned()).check("c").len(), 1, "{bad}");
        }
    }
}
