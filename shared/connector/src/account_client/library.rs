//! What an opened ad account has to choose from and to show: custom audiences, pictures of ads, images and videos,
//! creatives and their previews.

use bytes::Bytes;
use domain::Error;
use domain::audience::CustomAudience;
use domain::entity::Thumbnails;
use domain::id::EntityId;
use domain::launch::Step;
use domain::media::{Media, MediaId, MediaKind};
use domain::platform::PlatformData;
use graph_api::id::ObjectId;
use graph_api::launch::{AdSpec, CreativeDifference, LaunchSpec};
use graph_api::preview::{AdFormat, AdPreview};

use super::{AccountClient, PlatformClient};

impl AccountClient {
    /// Reads the small pictures of ads; those without one are left out.
    pub async fn thumbnails(&self, ads: &[EntityId]) -> Result<Thumbnails, Error> {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.thumbnails(ads).await,
        }
    }

    /// Makes a creative as an ad of this destination would have it, and returns where what the platform keeps of it is not
    /// what was asked for.
    pub async fn create_creative(
        &self,
        ad: &AdSpec,
        destination: Option<&str>,
    ) -> Result<(ObjectId, Vec<CreativeDifference>), Error> {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.create_creative(ad, destination).await,
        }
    }

    /// Returns a preview of an ad that exists.
    pub async fn preview_ad(&self, ad: &EntityId, format: AdFormat) -> Result<AdPreview, Error> {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.preview_ad(ad, format).await,
        }
    }

    /// Returns a preview of an ad of a launch document.
    pub async fn preview_step(
        &self,
        spec: &LaunchSpec,
        step: Step,
        format: AdFormat,
    ) -> Result<AdPreview, Error> {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.preview_step(spec, step, format).await,
        }
    }

    /// Lists a page of the account's custom audiences, after a cursor if there is one, and returns the cursor of the next.
    pub async fn list_audiences(
        &self,
        after: Option<String>,
    ) -> Result<(Vec<CustomAudience>, Option<String>), Error> {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.list_audiences(after).await,
        }
    }

    /// Lists a page of the account's library, after a cursor if there is one, and returns the cursor of the next page.
    pub async fn list_media(
        &self,
        kind: MediaKind,
        after: Option<String>,
    ) -> Result<(Vec<Media>, Option<String>), Error> {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.list_media(kind, after).await,
        }
    }

    /// Returns an image or video of the library; `None` when it is not there.
    pub async fn media(&self, kind: MediaKind, id: &MediaId) -> Result<Option<Media>, Error> {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.media(kind, id).await,
        }
    }

    /// Adds an image. Its content tells it: twice is once.
    pub async fn add_image(&self, name: &str, bytes: Bytes) -> Result<Media, Error> {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.add_image(name, bytes).await,
        }
    }

    /// Adds a video that the platform fetches from a URL. It never exists twice unless the outcome is unknown.
    pub async fn add_video_from_url(&self, name: &str, url: &str) -> Result<MediaId, Error> {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.add_video_from_url(name, url).await,
        }
    }

    /// Begins the upload of a video, and returns what the platform goes on with, and the video's id.
    pub async fn begin_upload(&self, bytes: u64) -> Result<(PlatformData, MediaId), Error> {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.begin_upload(bytes).await,
        }
    }

    /// Sends a part of a video: its first byte and its bytes. `next` is the byte that the platform needs next, also after
    /// an error.
    pub async fn send_upload(
        &self,
        session: &PlatformData,
        part: (u64, &Bytes),
        next: &mut u64,
    ) -> Result<(), Error> {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.send_upload(session, part, next).await,
        }
    }

    /// Ends the upload of a video of which every byte has arrived. Twice is once.
    pub async fn finish_upload(&self, session: &PlatformData, name: &str) -> Result<(), Error> {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.finish_upload(session, name).await,
        }
    }

    /// Cancels the upload of a video.
    pub async fn cancel_upload(&self, session: &PlatformData) -> Result<(), Error> {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.cancel_upload(session).await,
        }
    }
}
