//! The command `adflight bulk`: many changes from one document, with a preview, a stop and an undo.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Args;
use http::{Method, StatusCode};
use indicatif::{ProgressBar, ProgressStyle};
use local::demo::ApiClient;
use runtime::session::Role;
use serde_json::Value;

use crate::client::{Api, account_of, read_document, show_refusal};
use crate::{print, say};

/// How often a bulk change that goes on is looked at.
const POLL: Duration = Duration::from_millis(500);

/// How often it is looked at before the command ends; the bulk change goes on.
const MAX_POLLS: usize = 3_600;

#[derive(Args)]
pub(crate) struct Bulk {
    /// The document: YAML or JSON.
    #[arg(required_unless_present_any = ["undo", "stop"])]
    file: Option<PathBuf>,
    /// The ad account; may be left out where the workspace has one.
    #[arg(long, value_name = "ACT")]
    account: Option<String>,
    /// Show what would change, and change nothing.
    #[arg(long, conflicts_with_all = ["undo", "stop"])]
    dry_run: bool,
    /// The idempotency key; by default a new one, so that the same file changes again.
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["undo", "stop"])]
    key: Option<String>,
    /// Give the objects of a bulk change their values of before.
    #[arg(long, value_name = "ID", conflicts_with = "file")]
    undo: Option<String>,
    /// Stop a bulk change: what is not changed yet stays as it is.
    #[arg(long, value_name = "ID", conflicts_with_all = ["file", "undo"])]
    stop: Option<String>,
    #[command(flatten)]
    api: Api,
}

/// Changes many objects and shows how it goes.
pub(crate) async fn bulk(args: Bulk) -> anyhow::Result<ExitCode> {
    let api = args.api.client(Role::Editor)?;
    let account = account_of(&api, args.account).await?;
    let changes = format!("ad-accounts/{account}/bulk-changes");
    let (path, document) = match (&args.file, &args.undo, &args.stop) {
        (Some(file), ..) => {
            let query = if args.dry_run { "?dry_run=true" } else { "" };
            (format!("{changes}{query}"), Some(read_document(file)?))
        }
        (None, Some(id), _) => (format!("{changes}/{id}/undo"), None),
        (None, None, Some(id)) => (format!("{changes}/{id}/stop"), None),
        (None, None, None) => bail!("name a document, or a bulk change with --undo or --stop"),
    };
    let key = args.key.map_or_else(runtime::random::id, Ok)?;
    let headers = [("idempotency-key", key.as_str())];
    let (status, text) = api.send(Method::POST, &path, document.as_ref(), &headers).await?;
    let answer: Value = serde_json::from_str(&text).with_context(|| format!("{path} answered {status}"))?;
    match status {
        StatusCode::OK => {
            show_objects(&answer, |_| true)?;
            say(&format!("{} would change, {} are so already.", answer["changing"], answer["unchanged"]));
            Ok(ExitCode::SUCCESS)
        }
        StatusCode::ACCEPTED => follow(&api, &changes, answer, args.stop.is_some()).await,
        _ => Ok(show_refusal(&answer)),
    }
}

/// Shows a bulk change until it is done. What a person has just `stopped` has not gone wrong.
async fn follow(api: &ApiClient, changes: &str, mut bulk: Value, stopped: bool) -> anyhow::Result<ExitCode> {
    let id = bulk["id"].as_str().context("the bulk change has no id")?.to_owned();
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template("{bar:40} {pos} of {len}")?);
    let mut polls = 0;
    while bulk["state"] == "running" {
        let count = |name: &str| bulk["counts"][name].as_u64().unwrap_or(0);
        bar.set_length(count("objects"));
        bar.set_position(count("objects") - count("open"));
        polls += 1;
        ensure!(polls < MAX_POLLS, "bulk change {id} goes on");
        #[expect(clippy::disallowed_methods, reason = "the API has nothing to wait on for a command")]
        tokio::time::sleep(POLL).await;
        bulk = api.call(Method::GET, &format!("{changes}/{id}"), None).await?;
    }
    bar.finish_and_clear();
    let is_odd = |object: &Value| {
        let state = object["state"].as_str().unwrap_or_default();
        let is_right = ["done", "unchanged"].contains(&state) || (stopped && state == "stopped");
        !is_right
    };
    show_objects(&bulk, is_odd)?;
    let counts = bulk["counts"].as_object().into_iter().flatten();
    let counts: Vec<_> =
        counts.filter(|(_, count)| **count != 0).map(|(name, count)| format!("{count} {name}")).collect();
    say(&format!("Bulk change {id}: {}. Undo it with: adflight bulk --undo {id}", counts.join(", ")));
    let odd = bulk["objects"].as_array().into_iter().flatten().any(is_odd);
    Ok(if odd { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn show_objects(answer: &Value, which: impl Fn(&Value) -> bool) -> anyhow::Result<()> {
    for object in answer["objects"].as_array().into_iter().flatten().filter(|object| which(object)) {
        let text = |name: &str| object[name].as_str().unwrap_or_default();
        print(&format!("{} {}  {}", text("level"), text("id"), text("name")))?;
        for (before, after) in [
            (&object["before"], &object["after"]),
            (&object["before"]["targeting"], &object["after"]["targeting"]),
        ] {
            let values = after.as_object().into_iter().flatten().filter(|(name, _)| *name != "targeting");
            for (name, after) in values {
                print(&format!("  {name}: {} -> {}", shown(&before[name]), shown(after)))?;
            }
        }
        if !text("reason").is_empty() {
            print(&format!("  {}: {}", text("state"), text("reason")))?;
        }
    }
    Ok(())
}

/// A value as people read it: amounts in minor units.
fn shown(value: &Value) -> String {
    match (value.as_str(), value["amount"].as_i64()) {
        (Some(text), _) => text.to_owned(),
        (None, Some(amount)) => format!("{amount} {}", value["currency"].as_str().unwrap_or_default()),
        (None, None) if value.is_null() => "nothing".to_owned(),
        (None, None) => value.to_string(),
    }
}
