//! Images. The same content has the same hash, so adding an image is idempotent.

use std::collections::BTreeMap;

use bytes::Bytes;
use domain::id::AdAccountId;
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use crate::call::{Call, Effect, File};
use crate::client::UserClient;
use crate::error::GraphError;
use crate::id::ImageHash;
use crate::page::Pages;
use crate::response::decode;

const FIELDS: &str = "hash,name,status,width,height,url,permalink_url";

/// Images per page.
const PAGE_ROWS: u32 = 100;

/// Hashes per read; they are sent in the URL.
const MAX_HASHES_PER_REQUEST: usize = 50;

/// An image of an ad account.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Image {
    /// The hash, by which creatives refer to it.
    pub hash: ImageHash,
    /// The file name.
    pub name: Option<String>,
    /// The status: ACTIVE, INTERNAL or DELETED; absent right after it was added.
    pub status: Option<String>,
    /// The width in pixels.
    pub width: Option<u32>,
    /// The height in pixels.
    pub height: Option<u32>,
    /// The URL of the image, valid for some days.
    pub url: Option<String>,
    /// The permanent URL, for people who may see the ad account.
    pub permalink_url: Option<String>,
}

/// The added images by file name.
#[derive(Deserialize)]
struct AddedImages {
    images: BTreeMap<String, Image>,
}

impl UserClient {
    /// Adds an image: a JPG, PNG or GIF. Meta rejects WebP.
    pub async fn add_image(
        &self,
        account: &AdAccountId,
        name: &str,
        bytes: Bytes,
    ) -> Result<Image, GraphError> {
        let file = File { field: "filename", name: name.to_owned(), bytes };
        let path = format!("{account}/adimages");
        let call =
            Call { method: Method::POST, path: &path, params: &[], file: Some(&file), effect: Effect::Set };
        let added: AddedImages = decode(&self.send_with_retry(&call).await?)?;
        added.images.into_values().next().ok_or_else(|| GraphError::UnexpectedShape {
            at: "images".to_owned(),
            problem: "it holds no image".to_owned(),
        })
    }

    /// Reads those of these images that the account has, in no particular order.
    pub async fn images(
        &self,
        account: &AdAccountId,
        hashes: &[ImageHash],
    ) -> Result<Vec<Image>, GraphError> {
        let mut images = Vec::new();
        for some in hashes.chunks(MAX_HASHES_PER_REQUEST) {
            let query = vec![("fields", FIELDS.to_owned()), ("hashes", json!(some).to_string())];
            images.extend(
                Pages::new(self.clone(), format!("{account}/adimages"), query, PAGE_ROWS).all().await?,
            );
        }
        Ok(images)
    }

    /// Lists every image of an account.
    pub fn all_images(&self, account: &AdAccountId) -> Pages<Image> {
        Pages::new(
            self.clone(),
            format!("{account}/adimages"),
            vec![("fields", FIELDS.to_owned())],
            PAGE_ROWS,
        )
    }
}
