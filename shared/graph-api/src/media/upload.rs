//! Uploads videos: from a URL, in one request, or in chunks.
//!
//! A chunk states its first byte, so that it can be sent again after a lost response: Meta then names the byte that it
//! needs (Marketing API, "Video uploads", and Meta's SDKs).

use bytes::Bytes;
use domain::id::AdAccountId;
use reqwest::Method;
use serde::{Deserialize, Deserializer};

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
        let path = videos_path(account);
        let size = bytes.len().to_string();
        let params = [("upload_phase", "start"), ("file_size", size.as_str())];
        let call =
            Call { method: Method::POST, path: &path, params: &params, file: None, effect: Effect::Set };
        // Retried: a duplicate session is merely never used.
        let started: StartedUpload = decode(&self.send_with_retry(&call).await?)?;
        let upload =
            Upload { caller: self, account, session: &started.upload_session_id, video: &started.video_id };
        let sent = match upload.transfer(bytes, started.range).await {
            Ok(()) => upload.finish(title).await,
            Err(error) => Err(error),
        };
        if let Err(error) = sent {
            upload.cancel().await;
            return Err(error);
        }
        Ok(started.video_id)
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

/// A chunked upload in progress.
struct Upload<'a> {
    caller: &'a UserClient,
    account: &'a AdAccountId,
    session: &'a str,
    video: &'a VideoId,
}

impl Upload<'_> {
    /// Sends chunks of the length that Meta asks for, until it asks for no more.
    async fn transfer(&self, bytes: &Bytes, mut range: ByteRange) -> Result<(), GraphError> {
        let (mut furthest, mut resumes_left) = (range.start_offset, MAX_RESUMES_PER_BYTE);
        while range.start_offset < range.end_offset {
            range = match self.send_chunk(bytes, range).await {
                Err(GraphError::UploadInterrupted { at, .. }) => {
                    let length = range.end_offset - range.start_offset;
                    let end_offset = at.saturating_add(length).min(bytes.len() as u64);
                    ByteRange { start_offset: at, end_offset }
                }
                answer => answer?,
            };
            if range.start_offset > furthest {
                (furthest, resumes_left) = (range.start_offset, MAX_RESUMES_PER_BYTE);
            } else if resumes_left > 0 {
                resumes_left -= 1;
            } else {
                let problem = format!("Meta asks for byte {} of a video again and again", range.start_offset);
                return Err(GraphError::Transient(Details::of(problem)));
            }
        }
        Ok(())
    }

    async fn send_chunk(&self, bytes: &Bytes, range: ByteRange) -> Result<ByteRange, GraphError> {
        let place = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let chunk = bytes.slice(place(range.start_offset)..place(range.end_offset));
        let file = File { field: "video_file_chunk", name: "chunk".to_owned(), bytes: chunk };
        let from = range.start_offset.to_string();
        let params = [
            ("upload_phase", "transfer"),
            ("upload_session_id", self.session),
            ("start_offset", from.as_str()),
        ];
        let path = videos_path(self.account);
        let call = Call {
            method: Method::POST,
            path: &path,
            params: &params,
            file: Some(&file),
            effect: Effect::Set,
        };
        decode(&self.caller.send_with_retry(&call).await?)
    }

    /// Ends the session. Meta refuses to end it twice, so after a lost response the state of the video is checked.
    async fn finish(&self, title: &str) -> Result<(), GraphError> {
        let params = [("upload_phase", "finish"), ("upload_session_id", self.session), ("title", title)];
        let mut delays = retry_delays();
        loop {
            let error = match self.caller.post_video(self.account, &params, None).await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            if !matches!(error, GraphError::Indeterminate(_) | GraphError::Transient(_)) {
                return Err(error);
            }
            if self.caller.video(self.video).await.is_ok_and(|video| video.is_received) {
                return Ok(());
            }
            match delays.next() {
                Some(pause) if self.caller.pause(pause).await => {}
                _ => return Err(error),
            }
        }
    }

    /// Cancels the upload. A failure is only logged, because a session that is not ended expires by itself.
    async fn cancel(&self) {
        let params = [("upload_phase", "cancel"), ("upload_session_id", self.session)];
        if let Err(error) = self.caller.post_video(self.account, &params, None).await {
            tracing::warn!(ad_account = %self.account, video = %self.video, %error, "An upload could not be cancelled.");
        }
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
