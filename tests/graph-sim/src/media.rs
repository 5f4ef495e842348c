//! Images and videos. Their content is not stored, because only its metadata is ever read.

pub(crate) mod image;
mod image_size;
pub(crate) mod sample;
pub(crate) mod video;

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::call::GraphCall;
use crate::error::{GraphError, invalid};
use crate::write::Write;

/// The metadata of a file sent with a write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FilePart {
    /// The file name the caller gave.
    pub(crate) name: String,
    /// In bytes.
    pub(crate) size: u64,
    /// A hash of the content.
    pub(crate) hash: String,
    /// Width and height in pixels, for an image in a format that Meta accepts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dimensions: Option<(u32, u32)>,
}

impl FilePart {
    fn new(name: &str, content: &[u8]) -> Self {
        Self {
            name: name.to_owned(),
            size: content.len() as u64,
            // As long as Meta's hash, which is an MD5.
            hash: hex::encode(&Sha256::digest(content)[..16]),
            dimensions: image_size::size(content),
        }
    }
}

impl Write {
    /// Builds the write that a call asks for.
    pub(crate) fn of(call: &GraphCall, time: Timestamp) -> Result<Self, GraphError> {
        let mut params = call.params.clone();
        let mut files: BTreeMap<String, FilePart> = call
            .files
            .iter()
            .map(|(part, file)| (part.clone(), FilePart::new(&file.name, &file.bytes)))
            .collect();
        if call.segments.get(1).is_some_and(|edge| edge == "adimages")
            && let Some(text) = params.remove("bytes")
        {
            // Some clients break the text into lines.
            let text: String = text.split_whitespace().collect();
            let content =
                STANDARD.decode(text).map_err(|_| invalid("Param bytes must be an image in base64"))?;
            let name = params.get("name").map_or("bytes", String::as_str);
            files.insert("bytes".to_owned(), FilePart::new(name, &content));
        }
        let (method, path) = (call.method.to_string(), call.segments.join("/"));
        Ok(Self { method, path, params, files, time, user: None })
    }
}
