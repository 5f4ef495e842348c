//! The ads of a launch document.

use domain::FieldError;
use domain::money::Currency;
use domain::text::{INVALID_DOMAIN_MESSAGE, is_domain, is_single_line};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::findings::Findings;
#[cfg(feature = "describe")]
use super::spec::MAX_NAME_CHARS;
use crate::creative::{CreativeSpec, FEATURES, is_conversation};

/// Maximum length of URL parameters, in characters.
const MAX_URL_TAGS_CHARS: usize = 1_000;

/// An ad of a launch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AdSpec {
    /// Its name; the campaign's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_NAME_CHARS), extend("pattern" = domain::text::SINGLE_LINE_PATTERN)))]
    pub name: Option<String>,
    /// What is shown.
    pub creative: CreativeSpec,
    /// The domain where conversions happen, such as `example.com`: without a path, and, as Meta wants it, without
    /// subdomains. The ad account's default when the ad set names a pixel or a custom conversion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(length(max = 253), regex(pattern = domain::text::DOMAIN_PATTERN)))]
    pub conversion_domain: Option<String>,
    /// Parameters that are added to the links of a click, such as
    /// `utm_source=meta&utm_campaign={{campaign.name}}`. Meta fills in what is in double braces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_URL_TAGS_CHARS), extend("pattern" = domain::text::SINGLE_LINE_PATTERN)))]
    pub url_tags: Option<String>,
    /// What Meta may do with the creative by itself, such as `image_animation`; nothing when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "describe", schemars(length(max = 100), inner(regex(pattern = "^[a-z_]{1,64}$"))))]
    pub creative_features: Vec<String>,
    /// Whether clicks may lead into the advertiser's shop at Meta instead of its website.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shop_destination: bool,
}

pub(crate) const INVALID_URL_TAGS: &str = "must be parameters such as utm_source=meta&utm_medium=paid, without ? before them, 1,000 characters at most";

/// Returns whether a text is what Meta may add to a link after its `?`.
pub(crate) fn are_url_tags(text: &str) -> bool {
    is_single_line(text, MAX_URL_TAGS_CHARS) && !text.starts_with(['?', '&']) && !text.contains([' ', '#'])
}

impl AdSpec {
    pub(super) fn check(&self, destination: Option<&str>, path: &str, found: &mut Findings) {
        let domain = self.conversion_domain.as_deref();
        let field = format!("{path}.conversion_domain");
        found.require(domain.is_none_or(is_domain), &field, INVALID_DOMAIN_MESSAGE);
        let tags = self.url_tags.as_deref();
        found.require(tags.is_none_or(are_url_tags), &format!("{path}.url_tags"), INVALID_URL_TAGS);
        let word = |word: &String| {
            (1..=64).contains(&word.len())
                && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        };
        let features = self.creative_features.len() <= 100 && self.creative_features.iter().all(word);
        let message = "must hold names of Meta's, such as image_animation";
        found.require(features, &format!("{path}.creative_features"), message);
        let is_made = !matches!(self.creative, CreativeSpec::CreativeId(_));
        let message = "must be absent: a creative that exists cannot be changed";
        found.require(is_made || tags.is_none(), &format!("{path}.url_tags"), message);
        found.require(
            is_made || self.creative_features.is_empty(),
            &format!("{path}.creative_features"),
            message,
        );
        let website = self.creative.leads_to_website(destination);
        let message = "must be absent: only ads that are made for a website can lead into a shop";
        found.require(website || !self.shop_destination, &format!("{path}.shop_destination"), message);
        found.extend(self.creative.check(&format!("{path}.creative"), destination));
    }

    /// Checks what makes its creative, and returns each finding with its field.
    pub fn check_creative(&self, destination: Option<&str>, currency: Currency) -> Vec<FieldError> {
        let mut found = Findings::new(currency);
        let message = "must be MESSENGER, WHATSAPP or INSTAGRAM_DIRECT, where a click opens a conversation";
        found.require(destination.is_none_or(is_conversation), "destination_type", message);
        self.check(destination, "ad", &mut found);
        let field = |error: FieldError| {
            let field = error.field.trim_start_matches("ad.").to_owned();
            FieldError { field, ..error }
        };
        found.into_errors().into_iter().map(field).collect()
    }

    /// Returns the parameters of its creative beside the content: nothing is on by itself that the document does not
    /// ask for.
    pub(crate) fn creative_options(&self, destination: Option<&str>) -> Map<String, Value> {
        let mut options = Map::new();
        let status = |on| json!({"enroll_status": if on { "OPT_IN" } else { "OPT_OUT" }});
        let off = FEATURES.iter().map(|name| ((*name).to_owned(), status(false)));
        let on = self.creative_features.iter().map(|name| (name.clone(), status(true)));
        let features: Map<_, _> = off.chain(on).collect();
        options.insert("degrees_of_freedom_spec".to_owned(), json!({"creative_features_spec": features}));
        if self.creative.leads_to_website(destination) {
            let shop = if self.shop_destination { "WEBSITE_AND_SHOP" } else { "WEBSITE_AND_SHOP_OPT_OUT" };
            options.insert("destination_spec".to_owned(), json!({"destination_type": shop}));
        }
        options.extend(self.url_tags.as_ref().map(|tags| ("url_tags".to_owned(), json!(tags))));
        options
    }
}
