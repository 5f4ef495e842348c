//! Thumbnails of ads: the small pictures of their creatives.
//!
//! Meta signs the addresses of pictures, and they expire after some days. Therefore they are asked for when a picture is
//! to be shown, and not kept.

use std::time::Duration;

use domain::entity::{Level, Thumbnail, Thumbnails};
use domain::id::{AdAccountId, EntityId};
use futures_util::StreamExt;
use futures_util::stream;
use reqwest::header::CONTENT_TYPE;
use reqwest::{StatusCode, Url};
use serde::Deserialize;

use crate::client::UserClient;
use crate::entities::listable_statuses;
use crate::error::GraphError;
use crate::page::Pages;

/// The most bytes of a picture. Meta's thumbnails have 64 x 64 pixels, some kilobytes.
const MAX_BYTES: u64 = 48_000;

/// Pictures that are read at the same time.
const AT_ONCE: usize = 16;

/// How long one picture is waited for: fifty take 12 seconds at most, and a gateway waits for 30.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Where Meta has pictures, those of Instagram included.
const MEDIA_HOSTS: [&str; 2] = [".fbcdn.net", ".cdninstagram.com"];

/// What a browser shows as a picture and never runs: not SVG.
const MEDIA_TYPES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

#[derive(Debug, Deserialize)]
struct Row {
    id: EntityId,
    creative: Option<Creative>,
}

#[derive(Debug, Deserialize)]
struct Creative {
    thumbnail_url: Option<String>,
}

impl UserClient {
    /// Reads the thumbnails of ads of an account: their addresses with one call, then each picture from Meta's media hosts,
    /// which count no calls. An ad without a picture is left out, one whose picture cannot be read is named.
    pub async fn ad_thumbnails(
        &self,
        account: &AdAccountId,
        ads: &[EntityId],
    ) -> Result<Thumbnails, GraphError> {
        let filter = serde_json::json!([
            {"field": "ad.id", "operator": "IN", "value": ads},
            {"field": "effective_status", "operator": "IN", "value": listable_statuses(Level::Ad)},
        ]);
        let query =
            vec![("fields", "id,creative{thumbnail_url}".to_owned()), ("filtering", filter.to_string())];
        let size = u32::try_from(ads.len()).unwrap_or(u32::MAX);
        let rows: Vec<Row> = Pages::new(self.clone(), format!("{account}/ads"), query, size).all().await?;
        let addresses = rows.into_iter().filter_map(|row| Some((row.id, row.creative?.thumbnail_url?)));
        let read = addresses.map(|(ad, url)| async move { (ad, self.picture(&url).await) });
        let read: Vec<_> = stream::iter(read).buffer_unordered(AT_ONCE).collect().await;
        let mut thumbnails = Thumbnails::default();
        for (ad, picture) in read {
            match picture {
                Some((media_type, bytes)) => {
                    thumbnails.read.push(Thumbnail { ad, media_type, bytes });
                }
                None => thumbnails.failed.push(ad),
            }
        }
        Ok(thumbnails)
    }

    /// Reads a picture; nothing that is not one, is too large, or is not on a host of Meta's. The token is not sent, and no
    /// redirect followed.
    async fn picture(&self, url: &str) -> Option<(&'static str, Vec<u8>)> {
        let url = Url::parse(url).ok().filter(|url| self.is_host_of_meta(url, &MEDIA_HOSTS))?;
        let response = self.graph().http().ok()?.get(url).timeout(TIMEOUT).send().await.ok()?;
        let header = response.headers().get(CONTENT_TYPE)?.to_str().ok()?;
        let media_type = MEDIA_TYPES.into_iter().find(|known| header.starts_with(known))?;
        let fits = response.content_length().is_some_and(|length| length <= MAX_BYTES);
        if response.status() != StatusCode::OK || !fits {
            return None;
        }
        let bytes = response.bytes().await.ok()?;
        Some((media_type, bytes.to_vec()))
    }

    /// Returns whether an address is one of these hosts of Meta's over HTTPS, or, where calls go to a simulator, that.
    pub(crate) fn is_host_of_meta(&self, url: &Url, hosts: &[&str]) -> bool {
        let host = url.host_str().unwrap_or_default();
        let is_plain = url.port().is_none() && url.username().is_empty();
        let is_meta = url.scheme() == "https" && is_plain && hosts.iter().any(|known| host.ends_with(known));
        let graph = Url::parse(&self.graph().config().graph_url);
        is_meta || graph.is_ok_and(|graph| graph.origin() == url.origin())
    }
}
