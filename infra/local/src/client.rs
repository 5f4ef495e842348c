//! What the commands have in common that are clients of the API like any other.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use local::data::Data;
use local::demo::{ApiClient, WORKSPACE};
use local::system::token_for;
use runtime::session::Role;
use serde_json::Value;

use crate::say;

/// The API to call.
#[derive(Args)]
pub(crate) struct Api {
    /// Where the API is.
    #[arg(long, default_value = "http://127.0.0.1:8787", value_name = "URL")]
    url: String,
    /// The workspace.
    #[arg(long, default_value = WORKSPACE)]
    workspace: String,
    /// A session token; by default one of the system in --data.
    #[arg(long, env = "ADFLIGHT_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The folder of the system, from which a token is made.
    #[arg(long, default_value = ".adflight", value_name = "DIR")]
    data: Data,
}

impl Api {
    pub(crate) fn client(&self, role: Role) -> anyhow::Result<ApiClient> {
        let token = match &self.token {
            Some(token) => token.clone(),
            None => token_for(&self.data, &self.workspace, role)?,
        };
        ApiClient::at(self.url.trim_end_matches('/'), &self.workspace, token)
    }
}

/// Reads a document: YAML, or JSON, which is YAML, too.
pub(crate) fn read_document(file: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    serde_yaml_ng::from_slice(&text).with_context(|| format!("{} is neither YAML nor JSON", file.display()))
}

/// Returns the ad account that is named, or the only selected one of the workspace.
pub(crate) async fn account_of(api: &ApiClient, named: Option<String>) -> anyhow::Result<String> {
    if let Some(named) = named {
        return Ok(named);
    }
    let accounts = api.all("ad-accounts").await?;
    let selected = accounts.iter().filter(|account| account["selected"] == true);
    let ids: Vec<_> = selected.filter_map(|account| account["id"].as_str()).collect();
    match ids.as_slice() {
        [only] => Ok((*only).to_owned()),
        [] => bail!("the workspace has no ad account that is selected"),
        several => bail!("name the ad account with --account: {}", several.join(", ")),
    }
}

/// Shows what is wrong with a document.
pub(crate) fn show_findings(findings: &Value) {
    for finding in findings.as_array().into_iter().flatten() {
        let text = |name: &str| finding[name].as_str().unwrap_or_default();
        say(&format!("  {}: {}", text("field"), text("message")));
    }
}

/// Shows why a request was refused.
pub(crate) fn show_refusal(problem: &Value) -> ExitCode {
    let has_findings = problem["errors"].is_array();
    let what = if has_findings { &problem["title"] } else { &problem["detail"] };
    say(what.as_str().unwrap_or("it was refused"));
    show_findings(&problem["errors"]);
    ExitCode::FAILURE
}
