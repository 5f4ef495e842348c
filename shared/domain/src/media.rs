//! Images and videos of an ad account's library, for ads to show.

use serde::{Deserialize, Serialize};

use crate::id_type;

id_type!(
    /// The SHA-256 of a file, by which it is known before the platform has it.
    FileDigest, "sha256", |text| text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')),
    "^[0-9a-f]{64}$", "must be the SHA-256 of the file: 64 hexadecimal digits in lower case"
);
id_type!(
    /// An image or a video in a platform's library: Meta's hash of an image, or its id of a video.
    MediaId, "media", |text| (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric()),
    "^[A-Za-z0-9]{1,64}$", "must be the id of an image or video"
);

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    /// A picture, known by its hash.
    Image,
    /// A video, known by its id.
    Video,
}

/// How far an image or video has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MediaState {
    /// Its bytes are being sent.
    Uploading,
    /// The platform prepares it.
    Processing,
    /// Ads can show it.
    Ready,
    /// Ads will never be able to show it.
    Failed,
}

/// An image or video as the platform returns it.
#[derive(Debug, Clone, PartialEq)]
pub struct Media {
    /// What it is.
    pub kind: MediaKind,
    /// Its id in the platform's library.
    pub id: MediaId,
    /// Its title or file name.
    pub name: Option<String>,
    /// How far it has come.
    pub state: MediaState,
    /// Why it failed.
    pub failure: Option<String>,
    /// How much of it the platform has prepared, in percent.
    pub percent: Option<u32>,
    /// The bytes of it that the platform has.
    pub bytes_received: Option<u64>,
    /// Its length in seconds.
    pub seconds: Option<f64>,
    /// Its width in pixels.
    pub width: Option<u32>,
    /// Its height in pixels.
    pub height: Option<u32>,
    /// The address of a picture of it, which expires after some days.
    pub picture: Option<String>,
}

impl Media {
    /// Returns a video of which nothing is known but that the platform will fetch and prepare it.
    pub fn processing(id: MediaId, name: String) -> Self {
        Self {
            kind: MediaKind::Video,
            id,
            name: Some(name),
            state: MediaState::Processing,
            failure: None,
            percent: None,
            bytes_received: None,
            seconds: None,
            width: None,
            height: None,
            picture: None,
        }
    }
}
