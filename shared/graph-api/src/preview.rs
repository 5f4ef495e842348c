//! Previews: a page of Meta's that shows an ad as people will see it.

use domain::id::{AdAccountId, EntityId};
use domain::launch::Step;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::batch::Item;
use crate::client::UserClient;
use crate::creative::ad_creative;
use crate::error::{Details, GraphError};
use crate::launch::LaunchSpec;
use crate::page::Page;

/// Where Meta has its previews.
const PREVIEW_HOSTS: [&str; 1] = ["www.facebook.com"];

/// The side of a frame in pixels, where Meta's answer does not say it, and the longest.
const DEFAULT_PIXELS: u32 = 500;
const MAX_PIXELS: u32 = 2_000;

/// Where an ad is shown: those of Meta's formats in which most ads are bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AdFormat {
    /// The feed of Facebook on a phone.
    MobileFeedStandard,
    /// The feed of Facebook on a desktop.
    DesktopFeedStandard,
    /// The right column of Facebook on a desktop.
    RightColumnStandard,
    /// Marketplace on a phone.
    MarketplaceMobile,
    /// A story of Facebook.
    FacebookStoryMobile,
    /// A reel of Facebook.
    FacebookReelsMobile,
    /// The feed of Instagram.
    InstagramStandard,
    /// A story of Instagram.
    InstagramStory,
    /// A reel of Instagram.
    InstagramReels,
    /// Explore on Instagram.
    InstagramExploreContextual,
    /// The inbox of Messenger.
    MessengerMobileInboxMedia,
    /// Apps and websites of the Audience Network.
    MobileNative,
}

/// A page that shows an ad.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct AdPreview {
    /// Its address at `https://www.facebook.com`, for a frame. Meta serves it for a day, to whoever has the address.
    #[cfg_attr(feature = "describe", schemars(extend("format" = "uri")))]
    pub url: String,
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
}

#[derive(Deserialize)]
struct Row {
    body: String,
}

impl UserClient {
    /// Returns the preview of an ad that exists.
    pub async fn ad_preview(&self, ad: &EntityId, format: AdFormat) -> Result<AdPreview, GraphError> {
        self.read_preview(&format!("{ad}/previews"), format, None).await
    }

    /// Returns the preview of an ad of a launch document. Nothing is created. The ad is shown as the document has it,
    /// without what Meta may do with it by itself.
    pub async fn preview_of_step(
        &self,
        account: &AdAccountId,
        spec: &LaunchSpec,
        step: Step,
        format: AdFormat,
    ) -> Result<AdPreview, GraphError> {
        let (Some(ad_set), Some(ad)) = (spec.ad_set(step), spec.ad(step)) else {
            return Err(GraphError::InvalidInput(Details::of(format!("{step} is no ad of the document"))));
        };
        let content = self.with_cover(&ad.creative).await?;
        let creative = ad_creative(&content, spec.name_of(step), ad_set.destination_type.as_deref());
        let creative = Some(Value::from(creative).to_string());
        self.read_preview(&format!("{account}/generatepreviews"), format, creative).await
    }

    async fn read_preview(
        &self,
        path: &str,
        format: AdFormat,
        creative: Option<String>,
    ) -> Result<AdPreview, GraphError> {
        let format = serde_json::to_value(format).unwrap_or_default();
        let format = ("ad_format", format.as_str().unwrap_or_default().to_owned());
        let params = [format].into_iter().chain(creative.map(|creative| ("creative", creative))).collect();
        // Within a batch, because texts and cards may be too long for an address.
        let mut read = self.batch::<Page<Row>>(&[Item::get(path, params)]).await;
        let page = read.pop().unwrap_or_else(|| Err(not_a_frame()))?;
        let preview = page.data.first().and_then(|row| self.frame(&row.body));
        preview.ok_or_else(not_a_frame)
    }

    /// Reads the frame that Meta answers with, which is HTML: it is not shown as such, and no other host's.
    fn frame(&self, html: &str) -> Option<AdPreview> {
        let url = attribute(html, "src")?.replace("&amp;", "&");
        let address =
            Url::parse(&url).ok().filter(|address| self.is_host_of_meta(address, &PREVIEW_HOSTS))?;
        let pixels = |name| {
            let given = attribute(html, name).and_then(|text| text.parse().ok());
            given.map_or(DEFAULT_PIXELS, |pixels: u32| pixels.min(MAX_PIXELS))
        };
        Some(AdPreview { url: address.into(), width: pixels("width"), height: pixels("height") })
    }
}

fn not_a_frame() -> GraphError {
    GraphError::UnexpectedShape { at: "data[0].body".to_owned(), problem: "is no frame of Meta's".to_owned() }
}

fn attribute<'a>(html: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = html.split_once(&format!(" {name}=\""))?;
    rest.split('"').next()
}
