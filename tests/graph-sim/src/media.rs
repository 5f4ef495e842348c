//! Images and videos. Their content is not kept: what it was is all that is ever asked for.

pub(crate) mod image;
mod image_size;
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

/// A file that came with a write, without its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FilePart {
    /// As the caller named it.
    pub(crate) name: String,
    /// In bytes.
    pub(crate) size: u64,
    /// The same for the same content.
    pub(crate) hash: String,
    /// Width and height, of an image of a kind Meta takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dimensions: Option<(u32, u32)>,
}

impl FilePart {
    fn new(name: &str, content: &[u8]) -> Self {
        Self {
            name: name.to_owned(),
            size: content.len() as u64,
            // As long as Meta's own, which is an MD5.
            hash: hex::encode(&Sha256::digest(content)[..16]),
            dimensions: image_size::size(content),
        }
    }
}

impl Write {
    /// The write a call asks for.
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
