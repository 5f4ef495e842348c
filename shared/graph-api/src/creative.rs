//! Creatives of ads. Only their name and status can be changed, so a new text requires a new creative.

mod attached;
mod content;
mod spec;

use std::borrow::Cow;
use std::time::Duration;

use domain::id::AdAccountId;
use serde::Deserialize;

use crate::client::UserClient;
use crate::error::{Details, GraphError};
use crate::error_code::ThrottleScope;
use crate::id::{ImageHash, ObjectId, PageId, VideoId};
use crate::media::VideoState;
use crate::page::Pages;

pub use self::spec::{CardSpec, CreativeSpec, InstagramPostSpec, LinkSpec};

pub(crate) use self::attached::{ATTACHED_FIELDS, Attached};
pub(crate) use self::content::{ad_creative, is_conversation};

const FIELDS: &str =
    "id,name,status,object_story_id,effective_object_story_id,object_story_spec,thumbnail_url";

/// What Meta may do with a creative by itself, each of which is off unless somebody switches it on. Source: AdCreative,
/// `degrees_of_freedom_spec.creative_features_spec` of v26.
pub(crate) const FEATURES: [&str; 4] =
    ["image_animation", "product_extensions", "video_filtering", "video_uncrop"];

/// Creatives per page; each row is long.
const PAGE_ROWS: u32 = 100;

/// The width and height of a thumbnail in pixels; Meta's default is 64.
const THUMBNAIL_SIDE_PX: &str = "400";

/// The pause before a video that is still processed is looked at again.
const PROCESSING_PAUSE: Duration = Duration::from_secs(30);

/// A creative of an ad account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creative {
    /// Its id.
    pub id: ObjectId,
    /// Its name.
    pub name: Option<String>,
    /// The status: ACTIVE, IN_PROCESS, WITH_ISSUES or DELETED.
    pub status: Option<String>,
    /// The Page that publishes it.
    pub page: Option<PageId>,
    /// The post that it was created from, as `pageid_postid`.
    pub post: Option<String>,
    /// The post that people see and comment on, as `pageid_postid`; a new creative has none at first.
    pub effective_post: Option<String>,
    /// The destination of a click.
    pub link: Option<String>,
    /// The hash of its image.
    pub image: Option<ImageHash>,
    /// The id of its video.
    pub video: Option<VideoId>,
    /// The URL of a thumbnail, valid for some days.
    pub thumbnail_url: Option<String>,
}

#[derive(Deserialize)]
struct Row {
    id: ObjectId,
    name: Option<String>,
    status: Option<String>,
    object_story_id: Option<String>,
    effective_object_story_id: Option<String>,
    thumbnail_url: Option<String>,
    #[serde(default)]
    object_story_spec: Spec,
}

#[derive(Default, Deserialize)]
struct Spec {
    page_id: Option<PageId>,
    #[serde(default)]
    link_data: Part,
    #[serde(default)]
    video_data: Part,
    #[serde(default)]
    photo_data: Part,
    #[serde(default)]
    template_data: Part,
}

/// The fields of a part of a story that name a link, an image or a video.
#[derive(Default, Deserialize)]
struct Part {
    link: Option<String>,
    image_hash: Option<ImageHash>,
    video_id: Option<VideoId>,
    call_to_action: Option<Button>,
}

#[derive(Deserialize)]
struct Button {
    value: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    link: Option<String>,
}

impl From<Row> for Creative {
    fn from(row: Row) -> Self {
        let Spec { page_id, link_data, video_data, photo_data, template_data } = row.object_story_spec;
        let mut creative = Self {
            id: row.id,
            name: row.name,
            status: row.status,
            page: page_id,
            post: row.object_story_id,
            effective_post: row.effective_object_story_id,
            link: None,
            image: None,
            video: None,
            thumbnail_url: row.thumbnail_url,
        };
        // A story has one of these parts.
        for part in [link_data, video_data, photo_data, template_data] {
            let target = part.call_to_action.and_then(|button| button.value?.link);
            creative.link = creative.link.or(part.link).or(target);
            creative.image = creative.image.or(part.image_hash);
            creative.video = creative.video.or(part.video_id);
        }
        creative
    }
}

impl UserClient {
    /// Reads the current state of a creative.
    pub async fn creative(&self, id: &ObjectId) -> Result<Creative, GraphError> {
        let query = [
            ("fields", FIELDS),
            ("thumbnail_width", THUMBNAIL_SIDE_PX),
            ("thumbnail_height", THUMBNAIL_SIDE_PX),
        ];
        let row: Row = self.get(id.as_str(), &query).await?;
        Ok(row.into())
    }

    /// Reads every creative of an account. Their thumbnails have Meta's default size.
    pub async fn creatives(&self, account: &AdAccountId) -> Result<Vec<Creative>, GraphError> {
        let query = vec![("fields", FIELDS.to_owned())];
        let rows = Pages::<Row>::new(self.clone(), creatives_path(account), query, PAGE_ROWS);
        Ok(rows.all().await?.into_iter().map(Creative::from).collect())
    }

    /// Gives a video that has no cover its own first picture, which Meta requires. Waits for one that is still processed,
    /// by [`GraphError::RateLimited`].
    pub(crate) async fn with_cover<'a>(
        &self,
        content: &'a CreativeSpec,
    ) -> Result<Cow<'a, CreativeSpec>, GraphError> {
        let Some(id) = content.video_without_cover() else { return Ok(Cow::Borrowed(content)) };
        let video = self.video(id).await?;
        if let VideoState::Processing { percent } = video.state {
            let details = Details::of(format!("video {id} is still being processed: {percent} %"));
            let (after, scope) = (PROCESSING_PAUSE, ThrottleScope::Action);
            return Err(GraphError::RateLimited { after, scope, details });
        }
        let mut content = content.clone();
        content.set_cover(video.picture);
        Ok(Cow::Owned(content))
    }
}

/// The parameter that makes Meta validate a creation without carrying it out.
pub(crate) const VALIDATE_ONLY: (&str, &str) = ("execution_options", r#"["validate_only"]"#);

pub(crate) fn creatives_path(account: &AdAccountId) -> String {
    format!("{account}/adcreatives")
}
