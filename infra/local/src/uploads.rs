//! The command `adflight upload`, and the files that a launch document names.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use http::Method;
use indicatif::{ProgressBar, ProgressStyle};
use local::demo::ApiClient;
use local::upload::{UploadStage, open, upload};
use runtime::session::Role;
use serde_json::Value;

use crate::client::{Api, account_of};
use crate::{print, say};

/// How often a video that Meta prepares is looked at.
const POLL: Duration = Duration::from_secs(2);

/// How often it is looked at before the command ends; Meta goes on.
const MAX_POLLS: usize = 1_800;

#[derive(Args)]
pub(crate) struct Upload {
    /// Videos (.mp4, .mov) and images (.jpg, .png, .gif).
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The ad account; may be left out where the workspace has one.
    #[arg(long, value_name = "ACT")]
    account: Option<String>,
    #[command(flatten)]
    api: Api,
}

/// Uploads files, waits until ads can show them, and prints their ids.
pub(crate) async fn upload_files(args: Upload) -> anyhow::Result<ExitCode> {
    let api = args.api.client(Role::Editor)?;
    let account = account_of(&api, args.account).await?;
    for path in &args.files {
        let file = upload_shown(&api, &account, path).await?;
        let file = await_ready(&api, &account, file).await?;
        let text = |name: &str| file[name].as_str().unwrap_or_default();
        print(&format!("{}: {}  {}", text("kind"), text("media"), path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn await_ready(api: &ApiClient, account: &str, mut file: Value) -> anyhow::Result<Value> {
    let bar = ProgressBar::new(100).with_style(ProgressStyle::with_template("{msg} {bar:40} {percent} %")?);
    bar.set_message("Meta prepares it");
    let path = format!("ad-accounts/{account}/files/{}", file["sha256"].as_str().unwrap_or_default());
    for _ in 0..MAX_POLLS {
        if file["state"] != "processing" {
            break;
        }
        bar.set_position(file["percent"].as_u64().unwrap_or(0));
        #[expect(clippy::disallowed_methods, reason = "the API has nothing to wait on for a command")]
        tokio::time::sleep(POLL).await;
        file = api.call(Method::GET, &path, None).await?;
    }
    bar.finish_and_clear();
    let name = file["name"].as_str().unwrap_or_default();
    let why = file["failure"].as_str().unwrap_or("Meta still prepares it; the same command goes on waiting");
    ensure!(file["state"] == "ready", "{name} cannot be shown by ads: {why}");
    Ok(file)
}

/// Uploads a file with a progress bar.
async fn upload_shown(api: &ApiClient, account: &str, path: &Path) -> anyhow::Result<Value> {
    let bytes = std::fs::metadata(path).map_or(0, |file| file.len());
    let style = "{msg} {bar:40} {bytes} of {total_bytes}";
    let bar = ProgressBar::new(bytes).with_style(ProgressStyle::with_template(style)?);
    let shown = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let uploaded = upload(api, account, path, |stage| {
        let (what, done) = match stage {
            UploadStage::Reading(done) => ("reading", done),
            UploadStage::Sending(done) => ("sending", done),
        };
        bar.set_message(format!("{shown}: {what}"));
        bar.set_position(done);
    });
    let uploaded = uploaded.await;
    bar.finish_and_clear();
    uploaded
}

/// Checks the files that a launch document names, and puts an id in their place that stands for theirs. Returns whether
/// there are any.
pub(crate) fn stand_in(folder: &Path, document: &mut Value) -> anyhow::Result<bool> {
    let files = files_of(folder, document);
    let has_files = !files.is_empty();
    for (place, path) in files {
        open(&path).with_context(|| shown(&place))?;
        say(&format!("{} would be uploaded; 0 stands for its id", path.display()));
        if let Some(value) = document.pointer_mut(&place) {
            *value = "0".into();
        }
    }
    Ok(has_files)
}

/// Uploads the files that a launch document names in place of images and videos, and puts their ids there. Their paths are
/// those from the document's folder.
pub(crate) async fn upload_named(
    api: &ApiClient,
    account: &str,
    folder: &Path,
    document: &mut Value,
) -> anyhow::Result<()> {
    for (place, path) in files_of(folder, document) {
        let file = upload_shown(api, account, &path).await.with_context(|| shown(&place))?;
        if let Some(value) = document.pointer_mut(&place) {
            *value = file["media"].clone();
        }
    }
    Ok(())
}

/// Returns a place as people read it.
fn shown(place: &str) -> String {
    place.trim_start_matches('/').replace('/', ".")
}

/// Returns where a document names files, and their paths.
fn files_of(folder: &Path, document: &Value) -> Vec<(String, PathBuf)> {
    let mut places = Vec::new();
    find_files(document, String::new(), &mut places);
    let path = |place: &String| Some(folder.join(document.pointer(place)?.as_str()?));
    places.into_iter().filter_map(|place| path(&place).map(|path| (place, path))).collect()
}

/// Collects where a document names files. An id or hash has neither point nor slash.
fn find_files(value: &Value, place: String, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let place = format!("{place}/{}", name.replace('~', "~0").replace('/', "~1"));
                let is_media = matches!(name.as_str(), "image" | "video");
                match value.as_str().filter(|_| is_media) {
                    Some(text) if text.contains(['.', '/']) => found.push(place),
                    _ => find_files(value, place, found),
                }
            }
        }
        Value::Array(values) => {
            for (number, value) in values.iter().enumerate() {
                find_files(value, format!("{place}/{number}"), found);
            }
        }
        _ => {}
    }
}
