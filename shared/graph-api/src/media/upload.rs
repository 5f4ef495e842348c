//! Uploads videos: from a URL, in one request, or in chunks.
//!
//! A chunk states its first byte, so that it can be sent again after a lost response: Meta then names the byte that it
//! needs (Marketing API, "Video uploads", and Meta's SDKs).

use bytes::Bytes;
use domain::id::AdAccountId;
use reqwest::Method;
use serde::{Deserialize, Deserializer, Serialize};

use crate::call::{Call, Effect, File};
use crate::client::{UserClient, retry_delays};
use crate::error::{Details, GraphError};
use crate::id::VideoId;
use crate::response::decode;

/// The size up to which a video is uploaded in one request. After a lost response such a video may exist twice, so
/// larger ones are uploaded in chunks; above a hundred megabytes Meta accepts only chunks.
const MAX_SINGLE_UPLOAD_BYTES: usize = 8 << 20;

/// The number of times in a row that Meta may ask for the same byte again.
const MAX_RESUMES_PER_BYTE: u32 = 4;

#[derive(Deserialize)]
struct CreatedVideo {
    id: VideoId,
}

#[derive(Deserialize)]
struct StartedUpload {
    upload_session_id: String,
    video_id: VideoId,
    #[serde(flatten)]
    range: ByteRange,
}

/// An upload of a video in chunks, from its beginning to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoUpload {
    /// Meta's id of the upload.
    pub session: String,
    /// The video that it becomes.
    pub video: VideoId,
    /// The bytes that Meta wants at a time.
    pub chunk_bytes: u64,
}

/// The bytes that Meta expects next; none when both offsets are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
struct ByteRange {
    #[serde(deserialize_with = "offset")]
    start_offset: u64,
    #[serde(deserialize_with = "offset")]
    end_offset: u64,
}

/// Parses an offset, which Meta writes as text.
fn offset<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum TextOrNumber {
        Text(String),
        Number(u64),
    }
    match TextOrNumber::deserialize(deserializer)? {
        TextOrNumber::Number(number) => Ok(number),
        TextOrNumber::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}

impl UserClient {
    /// Adds a video that Meta fetches from a URL. [`UserClient::await_video`] reports whether Meta could.
    ///
    /// Sent once. After [`GraphError::Indeterminate`] look for its title in [`UserClient::videos`].
    pub async fn add_video_from_url(
        &self,
        account: &AdAccountId,
        title: &str,
        url: &str,
    ) -> Result<VideoId, GraphError> {
        let params = [("file_url", url), ("title", title)];
        let made: CreatedVideo = self.create(&videos_path(account), &params).await?;
        Ok(made.id)
    }

    /// Adds a video, in one request when it is small, else in chunks. It can be used once [`UserClient::await_video`]
    /// succeeds.
    ///
    /// After an error a chunked upload is cancelled and leaves nothing behind. After [`GraphError::Indeterminate`] look
    /// for its title in [`UserClient::videos`].
    pub async fn add_video(
        &self,
        account: &AdAccountId,
        title: &str,
        bytes: Bytes,
    ) -> Result<VideoId, GraphError> {
        if bytes.len() <= MAX_SINGLE_UPLOAD_BYTES {
            match self.upload_whole(account, title, &bytes).await {
                // Meta rejected the size with an empty 413: upload in chunks instead.
                Err(GraphError::RequestTooLarge(_)) => {}
                answer => return answer,
            }
        }
        self.upload_in_chunks(account, title, &bytes).await
    }

    async fn upload_whole(
        &self,
        account: &AdAccountId,
        title: &str,
        bytes: &Bytes,
    ) -> Result<VideoId, GraphError> {
        let file = File { field: "source", name: title.to_owned(), bytes: bytes.clone() };
        let made: CreatedVideo = decode(&self.post_video(account, &[("title", title)], Some(&file)).await?)?;
        Ok(made.id)
    }

    async fn upload_in_chunks(
        &self,
        account: &AdAccountId,
        title: &str,
        bytes: &Bytes,
    ) -> Result<VideoId, GraphError> {
        let upload = self.begin_video(account, bytes.len() as u64).await?;
        let mut next = 0;
        let sent = match self.send_video_part(account, &upload, (0, bytes), &mut next).await {
            Ok(()) => self.finish_video(account, &upload, title).await,
            Err(error) => Err(error),
        };
        if let Err(error) = sent {
            self.cancel_video(account, &upload).await;
            return Err(error);
        }
        Ok(upload.video)
    }

    /// Begins the upload of a video of this many bytes. Retried: a duplicate session is merely never used.
    pub async fn begin_video(&self, account: &AdAccountId, bytes: u64) -> Result<VideoUpload, GraphError> {
        let (path, size) = (videos_path(account), bytes.to_string());
        let params = [("upload_phase", "start"), ("file_size", size.as_str())];
        let call =
            Call { method: Method::POST, path: &path, params: &params, file: None, effect: Effect::Set };
        let started: StartedUpload = decode(&self.send_with_retry(&call).await?)?;
        let ByteRange { start_offset, end_offset } = started.range;
        let chunk_bytes = end_offset.saturating_sub(start_offset).max(1);
        Ok(VideoUpload { session: started.upload_session_id, video: started.video_id, chunk_bytes })
    }

    /// Sends a part of a video: its first byte and its bytes. `next` is the byte that Meta needs next, before and after:
    /// also after an error, and behind the part when Meta has more. Nothing that Meta has is sent again.
    pub async fn send_video_part(
        &self,
        account: &AdAccountId,
        upload: &VideoUpload,
        (first, bytes): (u64, &Bytes),
        next: &mut u64,
    ) -> Result<(), GraphError> {
        let end = first.saturating_add(bytes.len() as u64);
        let place = |offset: u64| usize::try_from(offset - first).unwrap_or(usize::MAX).min(bytes.len());
        let (mut furthest, mut resumes_left) = (*next, MAX_RESUMES_PER_BYTE);
        let mut delays = retry_delays();
        let mut chunk_bytes = upload.chunk_bytes.max(1);
        while (first..end).contains(next) {
            let until = next.saturating_add(chunk_bytes).min(end);
            let chunk = bytes.slice(place(*next)..place(until));
            match self.send_chunk(account, upload, *next, chunk).await {
                Ok(range) => {
                    *next = range.start_offset;
                    if range.end_offset > range.start_offset {
                        chunk_bytes = range.end_offset - range.start_offset;
                    }
                }
                Err(GraphError::UploadInterrupted { at, .. }) => *next = at,
                // Whether it has arrived is asked, so that it is not sent twice.
                Err(GraphError::Indeterminate(details) | GraphError::Transient(details)) => {
                    match delays.next() {
                        Some(pause) if self.pause(pause).await => {}
                        _ => return Err(GraphError::Transient(details)),
                    }
                    if let Some(received) = self.video(&upload.video).await?.bytes_received {
                        *next = received;
                    }
                }
                Err(error) => return Err(error),
            }
            if *next > furthest {
                (furthest, resumes_left) = (*next, MAX_RESUMES_PER_BYTE);
            } else if resumes_left > 0 {
                resumes_left -= 1;
            } else {
                let problem = format!("Meta asks for byte {next} of a video again and again");
                return Err(GraphError::Transient(Details::of(problem)));
            }
        }
        Ok(())
    }

    async fn send_chunk(
        &self,
        account: &AdAccountId,
        upload: &VideoUpload,
        offset: u64,
        bytes: Bytes,
    ) -> Result<ByteRange, GraphError> {
        let file = File { field: "video_file_chunk", name: "chunk".to_owned(), bytes };
        let offset = offset.to_string();
        let params = [
            ("upload_phase", "transfer"),
            ("upload_session_id", upload.session.as_str()),
            ("start_offset", offset.as_str()),
        ];
        decode(&self.post_video(account, &params, Some(&file)).await?)
    }

    /// Ends an upload of which Meta has every byte. Meta refuses to end it twice: where it was ended before, or the
    /// response was lost, the state of the video says so.
    pub async fn finish_video(
        &self,
        account: &AdAccountId,
        upload: &VideoUpload,
        title: &str,
    ) -> Result<(), GraphError> {
        let params =
            [("upload_phase", "finish"), ("upload_session_id", upload.session.as_str()), ("title", title)];
        let mut delays = retry_delays();
        loop {
            let Err(error) = self.post_video(account, &params, None).await else { return Ok(()) };
            if self.video(&upload.video).await.is_ok_and(|video| video.is_received) {
                return Ok(());
            }
            if !matches!(error, GraphError::Indeterminate(_) | GraphError::Transient(_)) {
                return Err(error);
            }
            match delays.next() {
                Some(pause) if self.pause(pause).await => {}
                _ => return Err(error),
            }
        }
    }

    /// Cancels an upload. A failure is only logged, because a session that is not ended expires by itself.
    pub async fn cancel_video(&self, account: &AdAccountId, upload: &VideoUpload) {
        let params = [("upload_phase", "cancel"), ("upload_session_id", upload.session.as_str())];
        if let Err(error) = self.post_video(account, &params, None).await {
            tracing::warn!(ad_account = %account, video = %upload.video, %error, "An upload could not be cancelled.");
        }
    }

    /// Posts to the videos edge once, without retries.
    async fn post_video(
        &self,
        account: &AdAccountId,
        params: &[(&str, &str)],
        file: Option<&File>,
    ) -> Result<Bytes, GraphError> {
        let path = videos_path(account);
        self.send(&Call { method: Method::POST, path: &path, params, file, effect: Effect::Create }).await
    }
}

fn videos_path(account: &AdAccountId) -> String {
    format!("{account}/advideos")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_text_or_numbers() {
        let started: StartedUpload = serde_json::from_str(
            r#"{"upload_session_id":"s","video_id":"1","start_offset":"0","end_offset":52428800}"#,
        )
        .unwrap();
        assert_eq!(started.range, ByteRange { start_offset: 0, end_offset: 52_428_800 });
    }
}
