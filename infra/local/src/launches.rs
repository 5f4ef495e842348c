//! The commands `adflight launch` and `adflight launches`: clients of the API like any other.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use http::{Method, StatusCode};
use indicatif::{ProgressBar, ProgressStyle};
use local::demo::ApiClient;
use runtime::session::Role;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::client::{Api, account_of, read_document, show_findings, show_refusal};
use crate::uploads::{stand_in, upload_named};
use crate::{print, say};

/// How often a launch that goes on is looked at.
const POLL: Duration = Duration::from_millis(500);

/// How often it is looked at before the command ends; the launch goes on.
const MAX_POLLS: usize = 1_200;

#[derive(Args)]
pub(crate) struct Launch {
    /// The launch document: YAML or JSON.
    file: PathBuf,
    /// The ad account; may be left out where the workspace has one.
    #[arg(long, value_name = "ACT")]
    account: Option<String>,
    /// Check the document and show what would be sent, and create nothing.
    #[arg(long)]
    dry_run: bool,
    /// The idempotency key; by default the document's digest, so that the same file launches once.
    #[arg(long, value_name = "TEXT")]
    key: Option<String>,
    #[command(flatten)]
    api: Api,
}

/// Launches a document and shows how it goes.
pub(crate) async fn launch(args: Launch) -> anyhow::Result<ExitCode> {
    let mut document = read_document(&args.file)?;
    let api = args.api.client(Role::Editor)?;
    let account = account_of(&api, args.account).await?;
    let folder = args.file.parent().unwrap_or(Path::new(""));
    let mut query = "";
    if args.dry_run {
        // Meta does not know a file that was not uploaded.
        let has_files = stand_in(folder, &mut document)?;
        query = if has_files { "?dry_run=true&ask_meta=false" } else { "?dry_run=true" };
    } else {
        upload_named(&api, &account, folder, &mut document).await?;
    }
    // With the ids of its files: another film is another launch.
    let resolved = document.to_string();
    let key = args.key.unwrap_or_else(|| hex::encode(&Sha256::digest(&resolved)[..16]));
    let path = format!("ad-accounts/{account}/campaigns{query}");
    let (status, answer) =
        api.send(Method::POST, &path, Some(&document), &[("idempotency-key", key.as_str())]).await?;
    let answer: Value = serde_json::from_str(&answer).with_context(|| format!("{path} answered {status}"))?;
    match status {
        StatusCode::OK => show_dry_run(&answer),
        StatusCode::CREATED => follow(&api, answer).await,
        _ => Ok(show_refusal(&answer)),
    }
}

fn show_dry_run(answer: &Value) -> anyhow::Result<ExitCode> {
    for request in answer["requests"].as_array().into_iter().flatten() {
        let text = |name: &str| request[name].as_str().unwrap_or_default();
        print(&format!("{}: POST {}", text("step"), text("path")))?;
        for (name, value) in request["parameters"].as_object().into_iter().flatten() {
            print(&format!("  {name}={}", value.as_str().unwrap_or_default()))?;
        }
    }
    if answer["launchable"] == true {
        say("Nothing was found. Nothing was created.");
        return Ok(ExitCode::SUCCESS);
    }
    say("This would not launch:");
    show_findings(&answer["findings"]);
    Ok(ExitCode::FAILURE)
}

/// Shows a launch until it is settled.
async fn follow(api: &ApiClient, mut launch: Value) -> anyhow::Result<ExitCode> {
    let id = launch["launch_id"].as_str().context("the launch has no id")?.to_owned();
    let bar =
        ProgressBar::new(0).with_style(ProgressStyle::with_template("{msg} {bar:40} {pos} of {len} steps")?);
    let mut polls = 0;
    loop {
        let steps = launch["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
        let created = steps.iter().filter(|step| step["state"] == "created").count();
        bar.set_length(steps.len() as u64);
        bar.set_position(created as u64);
        let state = launch["state"].as_str().unwrap_or_default().to_owned();
        bar.set_message(state.clone());
        if !["running", "rolling_back"].contains(&state.as_str()) {
            break;
        }
        polls += 1;
        ensure!(polls < MAX_POLLS, "launch {id} goes on; see it with: adflight launches");
        #[expect(clippy::disallowed_methods, reason = "the API has nothing to wait on for a command")]
        tokio::time::sleep(POLL).await;
        launch = api.call(Method::GET, &format!("launches/{id}"), None).await?;
    }
    bar.finish_and_clear();
    for step in launch["steps"].as_array().into_iter().flatten() {
        let text = |name: &str| step[name].as_str().unwrap_or_default();
        print(&format!("{:<20} {:<20} {}", text("path"), text("id"), text("name")))?;
    }
    for difference in launch["differences"].as_array().into_iter().flatten() {
        let text = |name: &str| difference[name].as_str().unwrap_or_default();
        let (asked, shown) = (text("asked"), text("shown"));
        say(&format!("{} {}: asked for {asked}, Meta has {shown}", text("path"), text("field")));
    }
    if launch["state"] == "committed" {
        say(&format!("Launch {id} is committed. Everything is paused."));
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("Launch {id}: {}", launch["state"].as_str().unwrap_or_default()));
    say(launch["failure"].as_str().unwrap_or_default());
    Ok(ExitCode::FAILURE)
}

/// Lists the newest launches.
pub(crate) async fn list(api: &Api) -> anyhow::Result<ExitCode> {
    let launches = api.client(Role::Viewer)?.call(Method::GET, "launches?limit=50", None).await?;
    for launch in launches["data"].as_array().into_iter().flatten() {
        let text = |name: &str| launch[name].as_str().unwrap_or_default();
        let started = text("started_at").get(..19).unwrap_or_default();
        print(&format!("{started}  {:<12}  {}  {}", text("state"), text("launch_id"), text("name")))?;
    }
    Ok(ExitCode::SUCCESS)
}
