//! Uploads files through the API as its clients do: part by part, going on wherever it broke off.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use graph_api::media::{ImageFile, VideoFile};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::demo::ApiClient;

/// Bytes that are read of a file at a time.
const READ_BYTES: usize = 1 << 20;

/// How often in a row a part is tried again.
const MAX_RETRIES: u32 = 8;

/// The first pause before a part is tried again; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// What an upload does, and how far it is, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadStage {
    /// The file is read, for its digest.
    Reading(u64),
    /// Its bytes are sent.
    Sending(u64),
}

/// Uploads a file to an ad account's library, unless it is there, and returns it as the API does.
pub async fn upload(
    api: &ApiClient,
    account: &str,
    path: &Path,
    mut progress: impl FnMut(UploadStage),
) -> anyhow::Result<Value> {
    let (mut file, kind, name) = open(path)?;
    let (shown, before) = (path.display(), file.metadata()?);
    let sha256 = digest(&mut file, |read| progress(UploadStage::Reading(read)))?;
    let target = format!("ad-accounts/{account}/files/{sha256}");
    let spec = json!({"kind": kind, "name": name, "bytes": before.len()});
    let mut state = api.call(Method::PUT, &target, Some(&spec)).await?;
    let (mut failures, mut part) = (0, Vec::new());
    while state["state"] == "uploading" {
        let next = state["next"].as_u64().context("the upload does not say where it goes on")?;
        let most = state["max_part_bytes"].as_u64().context("the upload does not say how it goes on")?;
        progress(UploadStage::Sending(next));
        part.clear();
        file.seek(SeekFrom::Start(next))?;
        (&file).take(most).read_to_end(&mut part)?;
        let now = file.metadata()?;
        let is_unchanged = (now.len(), now.modified().ok()) == (before.len(), before.modified().ok());
        ensure!(
            is_unchanged,
            "{shown} was changed while it was uploaded; upload it again when it is finished"
        );
        let sent = api.send_bytes(Method::PUT, &format!("{target}/bytes?first={next}"), part.clone()).await;
        state = match sent {
            Ok((status, text)) if status.is_success() => {
                failures = 0;
                serde_json::from_str(&text)?
            }
            Ok((status, text)) if !is_passing(status) => bail!("{shown} was refused ({status}): {text}"),
            failed => {
                failures += 1;
                if failures > MAX_RETRIES {
                    let why = failed.map(|(status, text)| format!("{status}: {text}"))?;
                    bail!("{shown} could not be sent; the same command goes on at byte {next}: {why}");
                }
                #[expect(clippy::disallowed_methods, reason = "a command waits before it tries again")]
                tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(failures.min(6) - 1)).await;
                // What has arrived is known at the platform; nothing of it is sent again.
                api.call(Method::GET, &target, None).await.unwrap_or(state)
            }
        };
    }
    progress(UploadStage::Sending(before.len()));
    if let Some(failure) = state["failure"].as_str() {
        bail!("{shown} cannot be shown by ads: {failure}");
    }
    Ok(state)
}

/// Opens a file that ads can show, and returns its kind and name.
pub fn open(path: &Path) -> anyhow::Result<(std::fs::File, &'static str, &str)> {
    let shown = path.display();
    let name =
        path.file_name().and_then(|name| name.to_str()).with_context(|| format!("{shown} is no file"))?;
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let kind = match extension.to_ascii_lowercase().as_str() {
        "mp4" | "mov" | "m4v" => "video",
        "jpg" | "jpeg" | "png" | "gif" => "image",
        _ => bail!("{shown} must be a video (.mp4, .mov) or an image (.jpg, .png, .gif)"),
    };
    let mut file = std::fs::File::open(path).with_context(|| format!("{shown} cannot be read"))?;
    let bytes = file.metadata()?.len();
    match problem(kind, &mut file, bytes)? {
        Some(problem) => bail!("{shown} cannot be shown by ads: {problem}"),
        None => Ok((file, kind, name)),
    }
}

/// Whether another try can help.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || [StatusCode::CONFLICT, StatusCode::TOO_MANY_REQUESTS].contains(&status)
}

/// Returns why ads cannot show a file. Of a video only its index is read.
fn problem(kind: &str, file: &mut std::fs::File, bytes: u64) -> anyhow::Result<Option<String>> {
    file.rewind()?;
    if kind == "image" {
        let mut image = Vec::new();
        file.take(READ_BYTES as u64).read_to_end(&mut image)?;
        return Ok(ImageFile::problem(&image));
    }
    let (mut video, mut buffer) = (VideoFile::default(), vec![0; 4096]);
    while video.position() < bytes {
        let first = video.position();
        file.seek(SeekFrom::Start(first))?;
        let read = file.read(&mut buffer)?;
        video.read(first, &buffer[..read]);
        if read == 0 || video.position() <= first {
            break;
        }
    }
    Ok(video.problem(Some(bytes)))
}

fn digest(file: &mut std::fs::File, mut progress: impl FnMut(u64)) -> anyhow::Result<String> {
    file.rewind()?;
    let (mut hasher, mut read, mut buffer) = (Sha256::new(), 0, vec![0; READ_BYTES]);
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            return Ok(hex::encode(hasher.finalize()));
        }
        hasher.update(&buffer[..length]);
        read += length as u64;
        progress(read);
    }
}
