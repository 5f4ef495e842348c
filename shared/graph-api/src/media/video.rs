//! Videos and their processing state. Only a video that is ready can be used in a creative.

use std::time::Duration;

use domain::id::AdAccountId;
use serde::Deserialize;
use serde_json::Value;

use crate::client::UserClient;
use crate::error::{Details, GraphError};
use crate::error_code::ThrottleScope;
use crate::id::VideoId;
use crate::page::Pages;

const FIELDS: &str = "id,title,length,picture,status";

/// Videos per page.
const PAGE_ROWS: u32 = 100;

/// The first pause between polls; pauses double up to [`MAX_POLL_INTERVAL`].
const MIN_POLL_INTERVAL: Duration = Duration::from_secs(2);
const MAX_POLL_INTERVAL: Duration = Duration::from_secs(60);

/// The time after which a video that is still processing is given up.
const PROCESSING_TIMEOUT: Duration = Duration::from_secs(2 * 3600);

/// The processing state of a video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VideoState {
    /// Ready to use.
    Ready,
    /// Uploading or encoding.
    Processing {
        /// The progress of the encoding in percent.
        percent: u32,
    },
    /// Not finished in time, and lost.
    Expired,
    /// Unusable, for these reasons.
    Failed(Vec<String>),
}

/// A video of an ad account.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(from = "VideoNode")]
pub struct Video {
    /// Its id.
    pub id: VideoId,
    /// Its title.
    pub title: Option<String>,
    /// Its length in seconds; present once it is ready.
    pub length: Option<f64>,
    /// The URL of a picture of it, valid for some days; present once it is ready.
    pub picture: Option<String>,
    /// Its processing state.
    pub state: VideoState,
    /// The bytes of it that Meta has, as far as it says so.
    pub bytes_received: Option<u64>,
    /// Whether all of it arrived, so that Meta processes it or has done so.
    pub is_received: bool,
}

/// A picture of a video, usable as its cover in an ad.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Thumbnail {
    /// Its id.
    pub id: String,
    /// Its URL, valid for some days.
    pub uri: String,
    /// Whether Meta prefers this one.
    #[serde(default)]
    pub is_preferred: bool,
    /// The width in pixels.
    pub width: Option<u32>,
    /// The height in pixels.
    pub height: Option<u32>,
}

#[derive(Deserialize)]
struct VideoNode {
    id: VideoId,
    title: Option<String>,
    length: Option<f64>,
    picture: Option<String>,
    status: Option<Status>,
}

#[derive(Default, Deserialize)]
struct Status {
    #[serde(default)]
    video_status: String,
    processing_progress: Option<u32>,
    #[serde(default)]
    uploading_phase: Phase,
    #[serde(default)]
    processing_phase: Phase,
}

#[derive(Default, Deserialize)]
struct Phase {
    #[serde(default)]
    status: String,
    /// The reference does not define their shape; objects with a `message` have been seen.
    #[serde(default)]
    errors: Vec<Value>,
    bytes_transferred: Option<u64>,
}

impl From<VideoNode> for Video {
    fn from(node: VideoNode) -> Self {
        let status = node.status.unwrap_or_default();
        let begun = !["", "not_started"].contains(&status.processing_phase.status.as_str());
        Self {
            id: node.id,
            title: node.title,
            length: node.length,
            picture: node.picture,
            bytes_received: status.uploading_phase.bytes_transferred,
            is_received: begun || status.video_status == "ready",
            state: status.state(),
        }
    }
}

impl Status {
    fn state(self) -> VideoState {
        match self.video_status.as_str() {
            "ready" => VideoState::Ready,
            "expired" => VideoState::Expired,
            "error" | "upload_failed" => {
                let errors = self.uploading_phase.errors.iter().chain(&self.processing_phase.errors);
                let reason =
                    |error: &Value| error["message"].as_str().map_or(error.to_string(), str::to_owned);
                VideoState::Failed(errors.map(reason).collect())
            }
            _ => VideoState::Processing { percent: self.processing_progress.unwrap_or(0) },
        }
    }
}

impl Video {
    /// The fields that are read of a video.
    pub(crate) const FIELDS: &str = FIELDS;
}

impl UserClient {
    /// Reads the current state of a video.
    pub async fn video(&self, id: &VideoId) -> Result<Video, GraphError> {
        self.get(id.as_str(), &[("fields", FIELDS)]).await
    }

    /// Polls a video until it can be used, with growing pauses.
    ///
    /// Fails with [`GraphError::InvalidInput`] and Meta's reasons when it never can, with [`GraphError::RateLimited`]
    /// when the deadline comes first, and with [`GraphError::Transient`] when it is still processing after two hours.
    pub async fn await_video(&self, id: &VideoId) -> Result<Video, GraphError> {
        let (mut pause, mut waited) = (MIN_POLL_INTERVAL, Duration::ZERO);
        loop {
            let video = self.video(id).await?;
            let percent = match &video.state {
                VideoState::Ready => return Ok(video),
                VideoState::Failed(reasons) => {
                    let details = format!("the video cannot be used: {}", reasons.join("; "));
                    return Err(GraphError::InvalidInput(Details::of(details)));
                }
                VideoState::Expired => {
                    return Err(GraphError::InvalidInput(Details::of("the video was never finished")));
                }
                VideoState::Processing { percent } => *percent,
            };
            let details = Details::of(format!("the video is processing, {percent} % are done"));
            if waited >= PROCESSING_TIMEOUT {
                return Err(GraphError::Transient(details));
            }
            if !self.pause(pause).await {
                return Err(GraphError::RateLimited {
                    after: MAX_POLL_INTERVAL,
                    scope: ThrottleScope::Action,
                    details,
                });
            }
            waited += pause;
            pause = (pause * 2).min(MAX_POLL_INTERVAL);
        }
    }

    /// Lists every video of an account, whatever its state.
    pub fn videos(&self, account: &AdAccountId) -> Pages<Video> {
        let query = vec![("fields", FIELDS.to_owned())];
        Pages::new(self.clone(), format!("{account}/advideos"), query, PAGE_ROWS)
    }

    /// Reads the thumbnails of a video; there are none before it is ready.
    pub async fn thumbnails(&self, id: &VideoId) -> Result<Vec<Thumbnail>, GraphError> {
        let query = vec![("fields", "id,uri,is_preferred,width,height".to_owned())];
        Pages::new(self.clone(), format!("{id}/thumbnails"), query, 100).all().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_from_whatever_meta_says_of_it() {
        let read = |status: &str| -> Video {
            serde_json::from_str(&format!(r#"{{"id":"1","status":{status}}}"#)).unwrap()
        };
        assert_eq!(read(r#"{"video_status":"ready"}"#).state, VideoState::Ready);
        assert_eq!(read(r#"{"video_status":"expired"}"#).state, VideoState::Expired);
        assert_eq!(read("{}").state, VideoState::Processing { percent: 0 });
        let uploading = read(r#"{"video_status":"uploading","processing_phase":{"status":"not_started"}}"#);
        assert!(!uploading.is_received);
        let failed = read(
            r#"{"video_status":"error","uploading_phase":{"status":"complete"},
                "processing_phase":{"status":"error","errors":[{"message":"No sound."},"odd"]}}"#,
        );
        assert_eq!(failed.state, VideoState::Failed(vec!["No sound.".to_owned(), "\"odd\"".to_owned()]));
    }
}
