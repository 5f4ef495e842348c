//! The library of images and videos, and the way of a file into it.
//!
//! A file is known by its digest, so that the same one is uploaded once. A video goes to the platform part by part as it
//! comes; nothing of it is kept here. What the platform has is asked of the platform, so that an upload that broke off
//! anywhere goes on without sending a byte twice.

mod file;

use connector::{AccountClient, Purpose};
use domain::media::{Media, MediaId, MediaKind, MediaState};
use domain::text::{is_http_url, is_single_line};
use domain::{Error, FieldError};
use http::{Method, StatusCode};
use jiff::Timestamp;
use middleware::user_event;
use runtime::endpoint::{self, Endpoint};
use runtime::page::Cursor;
use runtime::request::{AdAccountPath, Json, RequestContext};
use runtime::response::List;
use runtime::session::{Role, Session};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(crate) use self::file::{begin_file, get_file, send_bytes};
use crate::ManageCampaign;

/// Maximum length of a name, in characters.
const MAX_NAME_CHARS: usize = 255;

/// An image or video of an ad account's library.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct MediaView {
    /// What it is.
    kind: MediaKind,
    /// What `image` or `video` of a launch document names.
    id: MediaId,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// How far it has come. Ads show what is `ready`; a launch waits for what is `processing`.
    state: MediaState,
    /// Why ads cannot show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    /// How much of it Meta has prepared, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    percent: Option<u32>,
    /// The length of a video in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    /// The width of an image in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    /// The height of an image in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
    /// The address of its picture, which expires after some days.
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<String>,
}

impl From<Media> for MediaView {
    fn from(media: Media) -> Self {
        let Media { kind, id, name, state, failure, percent, seconds, width, height, picture, .. } = media;
        Self { kind, id, name, state, failure, percent, seconds, width, height, picture }
    }
}

/// Which part of the library.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct MediaQuery {
    /// Images or videos.
    kind: MediaKind,
    after: Option<Cursor>,
}

/// An image or video of the path.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct MediaPath {
    /// An ad account of the workspace.
    ad_account: domain::id::AdAccountId,
    /// Its id in the library.
    media: MediaId,
}

/// Of which kind it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct KindQuery {
    /// Image or video.
    kind: MediaKind,
}

/// A video that Meta fetches.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct VideoAtUrl {
    /// Its name in the library.
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_NAME_CHARS), extend("pattern" = domain::text::SINGLE_LINE_PATTERN)))]
    name: String,
    /// Where Meta fetches it from within minutes, such as a bucket's presigned URL. It is not kept.
    #[cfg_attr(feature = "describe", schemars(length(max = domain::text::MAX_URL_BYTES), extend("pattern" = "^https://[!-~]+$")))]
    url: String,
}

const MEDIA: &str = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/media";

pub(crate) fn list_media() -> Endpoint<ManageCampaign> {
    endpoint::member(Method::GET, MEDIA, Role::Viewer)
        .named("list_media", "Lists the images or videos of an ad account")
        .description("As Meta has them now, with one call of the ad account's quota for each page.")
        .calls_platform()
        .responds(StatusCode::OK, "The library.", ManageCampaign::list_media)
}

pub(crate) fn get_media() -> Endpoint<ManageCampaign> {
    let path = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/media/{media}";
    endpoint::member(Method::GET, path, Role::Viewer)
        .named("get_media", "Returns an image or video")
        .calls_platform()
        .responds(StatusCode::OK, "It as Meta has it now.", ManageCampaign::get_media)
}

pub(crate) fn add_video() -> Endpoint<ManageCampaign> {
    endpoint::member(Method::POST, MEDIA, Role::Editor)
        .named("add_video", "Has Meta fetch a video")
        .description("It can be shown by ads when it is `ready`. A file is uploaded with `PUT files/{sha256}` instead.")
        .fails_with(Error::Conflict, "The ad account is imported.")
        .changes_platform()
        .responds(StatusCode::CREATED, "The video.", ManageCampaign::add_video)
}

/// Returns what is wrong with a name in the library.
fn check_name(name: &str) -> Option<FieldError> {
    let message = || format!("must have 1 to {MAX_NAME_CHARS} characters, and no control characters");
    (!is_single_line(name, MAX_NAME_CHARS)).then(|| FieldError::new("name", message()))
}

/// Returns why nobody will be able to fetch an address, whose signature may be over. The parameters are those of presigned
/// URLs of Amazon S3 and what is compatible with it.
fn check_url(url: &str, now: Timestamp) -> Option<FieldError> {
    if !is_http_url(url) || !url.starts_with("https://") {
        let message =
            "must be an address that begins with https://, in visible ASCII characters: encode others";
        return Some(FieldError::new("url", message));
    }
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let parameter = |wanted: &str| {
        query.split('&').filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == wanted)
    };
    let (_, signed_at) = parameter("X-Amz-Date")?;
    let (_, seconds) = parameter("X-Amz-Expires")?;
    let signed_at = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", signed_at).ok()?;
    let signed_at = signed_at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    let until = signed_at.checked_add(jiff::SignedDuration::from_secs(seconds.parse().ok()?)).ok()?;
    (until <= now)
        .then(|| FieldError::new("url", format!("its signature is over since {until}: sign it again")))
}

impl ManageCampaign {
    async fn list_media(
        self,
        context: RequestContext<Session, AdAccountPath, MediaQuery>,
    ) -> Result<Json<List<MediaView>>, Error> {
        let RequestContext { caller: session, path: AdAccountPath { ad_account }, query, request, .. } =
            context;
        let from = (&request, query.after.as_ref());
        let list = async |client: &AccountClient, after| client.list_media(query.kind, after).await;
        self.list_library(&session.workspace, &ad_account, from, list).await
    }

    async fn get_media(
        self,
        context: RequestContext<Session, MediaPath, KindQuery>,
    ) -> Result<Json<MediaView>, Error> {
        let RequestContext { caller: session, path: MediaPath { ad_account, media }, query, .. } = context;
        let account = self.connector.table.require_account(&session.workspace, &ad_account).await?;
        let missing = || Error::NotFound("this media".to_owned());
        if account.connection.is_none() {
            return Err(missing());
        }
        let client = self.connector.open(&session.workspace, &ad_account, Purpose::Sync).await?;
        let read = client.media(query.kind, &media).await;
        Ok(Json(client.close(read).await?.ok_or_else(missing)?.into()))
    }

    async fn add_video(
        self,
        context: RequestContext<Session, AdAccountPath, runtime::request::NoQuery, Json<VideoAtUrl>>,
    ) -> Result<Json<MediaView>, Error> {
        let RequestContext { caller: session, path: AdAccountPath { ad_account }, body, .. } = context;
        let Json(VideoAtUrl { name, url }) = body;
        let (table, now) = (&self.connector.table, self.host.clock.now());
        table.require_account(&session.workspace, &ad_account).await?.require_connection()?;
        let mistakes: Vec<_> = [check_name(&name), check_url(&url, now)].into_iter().flatten().collect();
        if !mistakes.is_empty() {
            return Err(Error::Invalid(mistakes));
        }
        let client = self.connector.open(&session.workspace, &ad_account, Purpose::Action).await?;
        let added = async {
            // Without the address, which may be signed.
            let event = user_event(&session, "media.added", format!("ad_account/{ad_account}"))?;
            let event = event.in_account(&ad_account).with_change(Value::Null, json!({"name": name}));
            let event = table.record_intent(&session.workspace, event, now).await?;
            let added = client.add_video_from_url(&name, &url).await;
            let id = event.complete(added, client.request_id(), self.host.clock.now()).await?;
            let read = client.media(MediaKind::Video, &id).await;
            Ok(read.ok().flatten().unwrap_or_else(|| Media::processing(id, name.clone())))
        };
        let added = added.await;
        Ok(Json(client.close(added).await?.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_whose_signature_is_over_is_refused() {
        let now = "2026-11-30T12:00:00Z".parse().unwrap();
        let wrong = |url: &str| check_url(url, now).map(|error| error.message);
        let signed = |at: &str, seconds: u32| {
            wrong(&format!(
                "https://b.s3.amazonaws.com/film.mp4?X-Amz-Date={at}&X-Amz-Expires={seconds}&X-Amz-Signature=ab"
            ))
        };
        assert_eq!(wrong("https://example.com/film.mp4"), None);
        assert_eq!(signed("20261130T115900Z", 3600), None);
        assert_eq!(
            signed("20261130T100000Z", 3600).as_deref(),
            Some("its signature is over since 2026-11-30T11:00:00Z: sign it again")
        );
        assert!(wrong("http://example.com/film.mp4").is_some() && wrong("s3://bucket/film.mp4").is_some());
    }
}
