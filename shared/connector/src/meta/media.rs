//! Images and videos of Meta's library, and custom audiences.

use bytes::Bytes;
use domain::Error;
use domain::audience::CustomAudience;
use domain::media::{Media, MediaId, MediaKind, MediaState};
use domain::platform::PlatformData;
use graph_api::GraphError;
use graph_api::id::{ImageHash, VideoId};
use graph_api::media::{Image, Video, VideoState, VideoUpload};

use super::MetaClient;

impl MetaClient {
    pub(crate) async fn list_media(
        &self,
        kind: MediaKind,
        after: Option<String>,
    ) -> Result<(Vec<Media>, Option<String>), Error> {
        Ok(match kind {
            MediaKind::Image => {
                let mut pages = self.caller.all_images(&self.account).after(after);
                let page = self.check_response(pages.next().await).await?.unwrap_or_default();
                (page.into_iter().filter_map(image).collect(), next_of(pages.has_ended(), pages.cursor()))
            }
            MediaKind::Video => {
                let mut pages = self.caller.videos(&self.account).after(after);
                let page = self.check_response(pages.next().await).await?.unwrap_or_default();
                (page.into_iter().filter_map(video).collect(), next_of(pages.has_ended(), pages.cursor()))
            }
        })
    }

    pub(crate) async fn list_audiences(
        &self,
        after: Option<String>,
    ) -> Result<(Vec<CustomAudience>, Option<String>), Error> {
        let mut pages = self.caller.custom_audiences(&self.account).after(after);
        let page = self.check_response(pages.next().await).await?.unwrap_or_default();
        let next = next_of(pages.has_ended(), pages.cursor());
        Ok((page.into_iter().map(CustomAudience::from).collect(), next))
    }

    pub(crate) async fn media(&self, kind: MediaKind, id: &MediaId) -> Result<Option<Media>, Error> {
        match kind {
            MediaKind::Image => {
                let hash: ImageHash = id.as_str().parse()?;
                let found = self.check_response(self.caller.images(&self.account, &[hash]).await).await?;
                Ok(found.into_iter().find_map(image))
            }
            MediaKind::Video => match self.caller.video(&id.as_str().parse()?).await {
                Err(GraphError::NotFound(_)) => Ok(None),
                response => Ok(video(self.check_response(response).await?)),
            },
        }
    }

    pub(crate) async fn add_image(&self, name: &str, bytes: Bytes) -> Result<Media, Error> {
        let added = self.check_response(self.caller.add_image(&self.account, name, bytes).await).await?;
        image(added).ok_or_else(|| Error::Internal("Meta returned an image with an odd hash".to_owned()))
    }

    pub(crate) async fn add_video_from_url(&self, name: &str, url: &str) -> Result<MediaId, Error> {
        let added = self.caller.add_video_from_url(&self.account, name, url).await;
        media_id(&self.check_response(added).await?)
    }

    pub(crate) async fn begin_upload(&self, bytes: u64) -> Result<(PlatformData, MediaId), Error> {
        let upload = self.check_response(self.caller.begin_video(&self.account, bytes).await).await?;
        Ok((PlatformData::new(&upload)?, media_id(&upload.video)?))
    }

    pub(crate) async fn send_upload(
        &self,
        session: &PlatformData,
        part: (u64, &Bytes),
        next: &mut u64,
    ) -> Result<(), Error> {
        let upload: VideoUpload = session.read()?;
        self.check_response(self.caller.send_video_part(&self.account, &upload, part, next).await).await
    }

    pub(crate) async fn finish_upload(&self, session: &PlatformData, name: &str) -> Result<(), Error> {
        let upload: VideoUpload = session.read()?;
        self.check_response(self.caller.finish_video(&self.account, &upload, name).await).await
    }

    pub(crate) async fn cancel_upload(&self, session: &PlatformData) -> Result<(), Error> {
        let upload: VideoUpload = session.read()?;
        self.caller.cancel_video(&self.account, &upload).await;
        Ok(())
    }
}

fn next_of(has_ended: bool, cursor: Option<&str>) -> Option<String> {
    cursor.filter(|_| !has_ended).map(str::to_owned)
}

fn media_id(video: &VideoId) -> Result<MediaId, Error> {
    Ok(video.as_str().parse()?)
}

/// `None` for one whose id is not of Meta's form.
fn image(image: Image) -> Option<Media> {
    let is_gone = image.status.as_deref() == Some("DELETED");
    Some(Media {
        kind: MediaKind::Image,
        id: image.hash.as_str().parse().ok()?,
        name: image.name,
        state: if is_gone { MediaState::Failed } else { MediaState::Ready },
        failure: is_gone.then(|| "it was deleted at Meta".to_owned()),
        percent: None,
        bytes_received: None,
        seconds: None,
        width: image.width,
        height: image.height,
        picture: image.permalink_url.or(image.url),
    })
}

fn video(video: Video) -> Option<Media> {
    let is_received = video.is_received;
    let (state, failure, percent) = match video.state {
        VideoState::Ready => (MediaState::Ready, None, None),
        VideoState::Processing { percent } if is_received => (MediaState::Processing, None, Some(percent)),
        VideoState::Processing { .. } => (MediaState::Uploading, None, None),
        VideoState::Expired => (MediaState::Failed, Some("its upload was never finished".to_owned()), None),
        VideoState::Failed(reasons) => (MediaState::Failed, Some(reasons.join("; ")), None),
    };
    Some(Media {
        kind: MediaKind::Video,
        id: video.id.as_str().parse().ok()?,
        name: video.title,
        state,
        failure,
        percent,
        bytes_received: video.bytes_received,
        seconds: video.length,
        width: None,
        height: None,
        picture: video.picture,
    })
}
