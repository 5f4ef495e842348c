//! Files of people's own disks: declared by their digest, sent part by part.

use bytes::Bytes;
use connector::{AccountClient, Purpose};
use domain::id::AdAccountId;
use domain::media::{FileDigest, MediaId, MediaKind, MediaState};
use domain::platform::PlatformData;
use domain::{Error, FieldError};
use graph_api::media::{ImageFile, MAX_VIDEO_BYTES, VideoFile};
use http::{Method, StatusCode};
use middleware::user_event;
use runtime::endpoint::{self, Endpoint};
use runtime::request::{Binary, Json, NoQuery, RequestContext};
use runtime::session::{Role, Session};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::StoreError;
use store::upload::Upload;

use super::check_name;
use crate::ManageCampaign;

/// The largest part of a file: what Lambda takes of a body that is no text.
const MAX_PART_BYTES: usize = 4 << 20;

/// A file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct FileSpec {
    /// What it is.
    kind: MediaKind,
    /// Its name in the library.
    #[cfg_attr(feature = "describe", schemars(length(max = super::MAX_NAME_CHARS), extend("pattern" = domain::text::SINGLE_LINE_PATTERN)))]
    name: String,
    /// Its length in bytes: an image has 4 MB at most, a video 4 GB.
    #[cfg_attr(feature = "describe", schemars(range(min = 1, max = MAX_VIDEO_BYTES)))]
    bytes: u64,
}

/// A file on its way into the library.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct FileView {
    /// Its digest.
    sha256: FileDigest,
    /// What it is.
    kind: MediaKind,
    /// Its name.
    name: String,
    /// Its length in bytes.
    bytes: u64,
    /// How far it has come.
    state: MediaState,
    /// While it is `uploading`: the byte to go on with. Meta has what is before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
    /// While it is `uploading`: the bytes of a part at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_part_bytes: Option<usize>,
    /// What `image` or `video` of a launch document names, once all of it has arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    media: Option<MediaId>,
    /// How much of it Meta has prepared, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    percent: Option<u32>,
    /// Why ads cannot show it, and what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

impl FileView {
    fn new(upload: Upload, percent: Option<u32>) -> Self {
        let Upload { sha256, kind, name, bytes, state, next, media, failure, .. } = upload;
        let is_open = state == MediaState::Uploading;
        Self {
            sha256,
            kind,
            name,
            bytes,
            state,
            next: is_open.then_some(next),
            max_part_bytes: is_open.then_some(MAX_PART_BYTES),
            media: media.filter(|_| matches!(state, MediaState::Processing | MediaState::Ready)),
            percent,
            failure,
        }
    }
}

/// A file of the path.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct FilePath {
    /// An ad account of the workspace.
    ad_account: AdAccountId,
    /// The file's SHA-256, in hexadecimal digits.
    sha256: FileDigest,
}

/// Which part.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct PartQuery {
    /// The place of its first byte in the file: `next` of the file.
    first: u64,
}

const FILE: &str = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/files/{sha256}";

pub(crate) fn begin_file() -> Endpoint<ManageCampaign> {
    endpoint::member(Method::PUT, FILE, Role::Editor)
        .named("begin_file", "Begins the upload of an image or video, or goes on with it")
        .description(
            "The digest tells the file: one that the library has is not uploaded again. While `state` is `uploading`, send the \
             bytes from `next` on with `PUT files/{sha256}/bytes`, after any failure, too.",
        )
        .handles_own_idempotency()
        .fails_with(Error::Conflict, "The ad account is imported.")
        .changes_platform()
        .responds(StatusCode::OK, "The file.", ManageCampaign::begin_file)
}

pub(crate) fn get_file() -> Endpoint<ManageCampaign> {
    endpoint::member(Method::GET, FILE, Role::Viewer)
        .named("get_file", "Returns how far a file has come")
        .description("As Meta has it now.")
        .calls_platform()
        .responds(StatusCode::OK, "The file.", ManageCampaign::get_file)
}

pub(crate) fn send_bytes() -> Endpoint<ManageCampaign> {
    let path = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/files/{sha256}/bytes";
    endpoint::member(Method::PUT, path, Role::Editor)
        .named("send_bytes", "Sends a part of a file")
        .description(
            "An image is sent whole. The file's own index is read as it passes by: what ads cannot show is refused as soon as \
             it is known.",
        )
        .handles_own_idempotency()
        .accepts_body_of(MAX_PART_BYTES)
        .fails_with(Error::Conflict, "Another part is needed next, or another request sends one.")
        .changes_platform()
        .responds(StatusCode::OK, "The file.", ManageCampaign::send_bytes)
}

impl ManageCampaign {
    async fn begin_file(
        self,
        context: RequestContext<Session, FilePath, NoQuery, Json<FileSpec>>,
    ) -> Result<Json<FileView>, Error> {
        let RequestContext { caller: session, path: FilePath { ad_account, sha256 }, body, .. } = context;
        let Json(FileSpec { kind, name, bytes }) = body;
        let (table, workspace) = (&self.connector.table, &session.workspace);
        table.require_account(workspace, &ad_account).await?.require_connection()?;
        let most = if kind == MediaKind::Image { MAX_PART_BYTES as u64 } else { MAX_VIDEO_BYTES };
        let wrong_size = (!(1..=most).contains(&bytes))
            .then(|| FieldError::new("bytes", format!("must be 1 to {most} for {kind:?}s").to_lowercase()));
        let mistakes: Vec<_> = [check_name(&name), wrong_size].into_iter().flatten().collect();
        if !mistakes.is_empty() {
            return Err(Error::Invalid(mistakes));
        }
        let stored = table.upload(workspace, &ad_account, &sha256).await?;
        let client = self.connector.open(workspace, &ad_account, Purpose::Action).await?;
        let begun = async {
            let mut upload = Upload::new(sha256.clone(), kind, name, bytes);
            if let Some(mut stored) = stored {
                upload.version = stored.version;
                let percent = self.look_at(&client, &mut stored).await?;
                let is_same = (stored.kind, stored.bytes) == (upload.kind, upload.bytes);
                if is_same && stored.state != MediaState::Failed {
                    return Ok(FileView::new(stored, percent));
                }
                upload.version = stored.version;
            }
            self.begin(&client, &mut upload).await?;
            Ok(FileView::new(upload, None))
        };
        let begun = begun.await;
        client.close(begun).await.map(Json)
    }

    async fn begin(&self, client: &AccountClient, upload: &mut Upload) -> Result<(), Error> {
        if upload.kind == MediaKind::Video {
            let (session, media) = client.begin_upload(upload.bytes).await?;
            (upload.session, upload.media) = (Some(session), Some(media));
            upload.file = Some(PlatformData::new(&VideoFile::default())?);
        }
        self.save_upload(client, upload).await
    }

    async fn get_file(self, context: RequestContext<Session, FilePath>) -> Result<Json<FileView>, Error> {
        let RequestContext { caller: session, path: FilePath { ad_account, sha256 }, .. } = context;
        let (table, workspace) = (&self.connector.table, &session.workspace);
        let account = table.require_account(workspace, &ad_account).await?;
        let stored = table.upload(workspace, &ad_account, &sha256).await?;
        let mut upload = stored.ok_or_else(|| Error::NotFound("this file".to_owned()))?;
        if account.connection.is_none() {
            return Ok(Json(FileView::new(upload, None)));
        }
        let client = self.connector.open(workspace, &ad_account, Purpose::Sync).await?;
        let looked = self.look_at(&client, &mut upload).await;
        let percent = client.close(looked).await?;
        Ok(Json(FileView::new(upload, percent)))
    }

    async fn send_bytes(
        self,
        context: RequestContext<Session, FilePath, PartQuery, Binary>,
    ) -> Result<Json<FileView>, Error> {
        let RequestContext { caller: session, path: FilePath { ad_account, sha256 }, query, body, .. } =
            context;
        let (PartQuery { first }, Binary(bytes)) = (query, body);
        let (table, workspace) = (&self.connector.table, &session.workspace);
        table.require_account(workspace, &ad_account).await?.require_connection()?;
        let stored = table.upload(workspace, &ad_account, &sha256).await?;
        let mut upload = stored.ok_or_else(|| {
            Error::NotFound("this file: begin its upload with PUT files/{sha256}".to_owned())
        })?;
        if upload.state != MediaState::Uploading {
            return Ok(Json(FileView::new(upload, None)));
        }
        let client = self.connector.open(workspace, &ad_account, Purpose::Action).await?;
        let sent = self.send(&session, &client, &mut upload, (first, bytes)).await;
        client.close(sent).await?;
        Ok(Json(FileView::new(upload, None)))
    }

    /// Sends the next part, which must begin where the platform needs it.
    async fn send(
        &self,
        session: &Session,
        client: &AccountClient,
        upload: &mut Upload,
        (first, bytes): (u64, Bytes),
    ) -> Result<(), Error> {
        if first != upload.next {
            // What a worker that died has sent is known to the platform alone.
            self.look_at(client, upload).await?;
            if upload.state != MediaState::Uploading {
                return Ok(());
            }
        }
        if first != upload.next {
            let next = upload.next;
            let why =
                format!("the file goes on at byte {next}, not {first}; GET it, and send what is missing");
            return Err(Error::Conflict(why));
        }
        let left = upload.bytes - upload.next;
        let fits = match upload.kind {
            MediaKind::Image => bytes.len() as u64 == upload.bytes,
            MediaKind::Video => (1..=left).contains(&(bytes.len() as u64)),
        };
        if !fits && left > 0 {
            let most = left.min(MAX_PART_BYTES as u64);
            let why =
                format!("a part has 1 to {most} bytes now, and an image comes whole; {} came", bytes.len());
            return Err(Error::Conflict(why));
        }
        match upload.kind {
            MediaKind::Image => self.send_image(session, client, upload, bytes).await,
            MediaKind::Video => self.send_part(session, client, upload, bytes).await,
        }
    }

    /// Records that a file comes into the library, and how that ended.
    async fn add<T>(
        &self,
        session: &Session,
        client: &AccountClient,
        upload: &Upload,
        adding: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let Upload { sha256, kind, name, bytes, .. } = upload;
        let account = &client.account.id;
        let event = user_event(session, "media.added", format!("ad_account/{account}"))?;
        let after = json!({"kind": kind, "name": name, "bytes": bytes, "sha256": sha256});
        let event = event.in_account(account).with_change(Value::Null, after);
        let event =
            self.connector.table.record_intent(&client.workspace, event, self.host.clock.now()).await?;
        event.complete(adding.await, client.request_id(), self.host.clock.now()).await
    }

    async fn send_image(
        &self,
        session: &Session,
        client: &AccountClient,
        upload: &mut Upload,
        bytes: Bytes,
    ) -> Result<(), Error> {
        if hex::encode(Sha256::digest(&bytes)) != upload.sha256.as_str() {
            let message = "is not the file with this SHA-256: it may have been changed meanwhile";
            return Err(FieldError::new("body", message).into());
        }
        if let Some(problem) = ImageFile::problem(&bytes) {
            (upload.state, upload.failure) = (MediaState::Failed, Some(problem));
        } else {
            let adding = client.add_image(&upload.name, bytes);
            let added = self.add(session, client, upload, adding).await?;
            (upload.media, upload.state, upload.next) = (Some(added.id), MediaState::Ready, upload.bytes);
        }
        self.save_upload(client, upload).await
    }

    /// Sends a part of a video, and ends the upload after the last.
    async fn send_part(
        &self,
        session_of: &Session,
        client: &AccountClient,
        upload: &mut Upload,
        bytes: Bytes,
    ) -> Result<(), Error> {
        let session =
            upload.session.clone().ok_or_else(|| Error::Internal("an upload has no session".to_owned()))?;
        let (first, mut next) = (upload.next, upload.next);
        let sent = match bytes.is_empty() {
            true => Ok(()),
            false => client.send_upload(&session, (first, &bytes), &mut next).await,
        };
        if next != first {
            let mut file: VideoFile =
                upload.file.as_ref().map(PlatformData::read).transpose()?.unwrap_or_default();
            let arrived = usize::try_from(next.saturating_sub(first)).unwrap_or(bytes.len()).min(bytes.len());
            file.read(first, &bytes[..arrived]);
            let problem = file.problem((next >= upload.bytes).then_some(upload.bytes));
            (upload.next, upload.file) = (next.min(upload.bytes), Some(PlatformData::new(&file)?));
            if let Some(problem) = problem {
                client.cancel_upload(&session).await?;
                (upload.state, upload.failure) = (MediaState::Failed, Some(problem));
                return self.save_upload(client, upload).await;
            }
            // Before an error of the rest: this has arrived.
            self.save_upload(client, upload).await?;
        }
        sent?;
        if upload.next < upload.bytes {
            return Ok(());
        }
        let finishing = client.finish_upload(&session, &upload.name);
        self.add(session_of, client, upload, finishing).await?;
        upload.state = MediaState::Processing;
        self.save_upload(client, upload).await
    }

    /// Asks the platform what it has of a file, and returns how much of it is prepared, in percent. While it is uploaded
    /// nothing is stored: that would get in the way of who sends it.
    async fn look_at(&self, client: &AccountClient, upload: &mut Upload) -> Result<Option<u32>, Error> {
        let Some(id) = &upload.media else { return Ok(None) };
        let before = upload.state;
        let read = client.media(upload.kind, id).await?;
        let percent = read.as_ref().and_then(|media| media.percent);
        match (read, before) {
            (_, MediaState::Failed) => {}
            (None, _) => {
                let why = "the platform does not have it any more; upload it again";
                (upload.state, upload.failure) = (MediaState::Failed, Some(why.to_owned()));
            }
            // It says how much of it has arrived, and nothing else before it has all.
            (Some(media), MediaState::Uploading) if media.state == MediaState::Uploading => {
                upload.next = media.bytes_received.unwrap_or(upload.next).min(upload.bytes);
            }
            // All of it has arrived, although the platform does not say yet that it prepares it.
            (Some(media), _) if media.state == MediaState::Uploading => {}
            (Some(media), _) => {
                let failure = media.failure.filter(|failure| !failure.is_empty());
                let failure = failure.unwrap_or_else(|| "the platform cannot use it".to_owned());
                upload.failure = (media.state == MediaState::Failed).then_some(failure);
                upload.state = media.state;
            }
        }
        if upload.state != before {
            match self.save_upload(client, upload).await {
                // Another request has seen it, too.
                Err(Error::Conflict(_)) => {}
                saved => saved?,
            }
        }
        Ok(percent)
    }

    async fn save_upload(&self, client: &AccountClient, upload: &mut Upload) -> Result<(), Error> {
        let (workspace, ad_account, now) = (&client.workspace, &client.account.id, self.host.clock.now());
        match self.connector.table.save_upload(workspace, ad_account, upload, now).await {
            Err(StoreError::Conflict) => Err(Error::Conflict(
                "another request sends this file at this moment; GET it, and go on".to_owned(),
            )),
            saved => Ok(saved?),
        }
    }
}
