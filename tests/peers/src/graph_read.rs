//! Our Graph client as one of the conformance clients: `graph-read JOB FOLDER` reads an ad account and prints the
//! records, one JSON object per line, in the format of tests/peers/README.md.

use std::io::Write;

use anyhow::Context;
use clap::Parser;
use domain::date::DateRange;
use domain::entity::{Entity, Level};
use domain::id::AdAccountId;
use domain::metrics::InsightsRow;
use graph_api::insights::QueryShape;
use graph_api::{Graph, GraphConfig, Time};
use jiff::civil::Date;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};

/// Reads an ad account with our Graph client.
#[derive(Parser)]
struct Args {
    /// What to read, as JSON: url, token, app_id, app_secret, account, since, until.
    job: String,
    /// A folder for a client's files; ours has none.
    folder: String,
}

#[derive(Deserialize)]
struct Job {
    url: String,
    token: SecretString,
    app_id: String,
    app_secret: SecretString,
    account: AdAccountId,
    since: Date,
    until: Date,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let job: Job = serde_json::from_str(&Args::parse().job).context("the job cannot be read")?;
    let config = GraphConfig {
        graph_url: job.url.clone(),
        dialog_url: job.url,
        version: "v26.0".to_owned(),
        app_id: job.app_id,
        app_secret: job.app_secret,
        timeout: GraphConfig::DEFAULT_TIMEOUT,
    };
    let caller = Graph::new(config, real_time()).on_behalf_of(job.token);
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for (level, stream) in [(Level::Campaign, "campaigns"), (Level::AdSet, "adsets"), (Level::Ad, "ads")] {
        let mut pages = caller.entities(&job.account, level);
        while let Some(page) = pages.next().await? {
            for found in page {
                writeln!(out, "{}", json!({"stream": stream, "record": object(&found.into_entity(level))}))?;
            }
        }
    }
    let mut days =
        caller.insights(&job.account, DateRange::new(job.since, job.until)?, QueryShape::default());
    while let Some(rows) = days.next().await? {
        for found in rows {
            writeln!(out, "{}", json!({"stream": "insights", "record": row(&found)}))?;
        }
    }
    out.flush().context("standard output cannot be written")
}

fn object(object: &Entity) -> Value {
    json!({
        "id": object.id,
        "name": object.name,
        "effective_status": object.effective_status,
        "campaign_id": object.campaign_id,
        "adset_id": object.adset_id,
    })
}

/// Returns a row: absent numbers are zero, whole ones decimal strings like the others.
fn row(found: &InsightsRow) -> Value {
    let (facts, measures) = (&found.facts, &found.facts.measures);
    json!({
        "ad_id": found.ad,
        "adset_id": found.adset,
        "campaign_id": found.campaign,
        "date": facts.day,
        "impressions": measures.impressions.to_string(),
        "clicks": measures.clicks.to_string(),
        "inline_link_clicks": measures.link_clicks.unwrap_or_default().to_string(),
        "spend": measures.spend,
        "reach": facts.reach.unwrap_or_default().to_string(),
        "frequency": facts.frequency.unwrap_or_default(),
        "actions": measures.actions,
        "action_values": measures.action_values,
    })
}

#[expect(clippy::disallowed_methods, reason = "the simulator that it reads from lives by the real clock")]
fn real_time() -> Time {
    Time::new(jiff::Timestamp::now)
}
