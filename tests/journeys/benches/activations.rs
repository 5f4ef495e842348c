//! A thousand campaigns of an ad account that are to start at the same minute. `cargo xtask bench activations` runs this.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use graph_sim::{AccountArgs, Usage, UseCase};
use http::Method;
use jiff::SignedDuration;
use journeys::Scenario;
use local::demo::ApiClient;
use serde_json::{Value, json};

const CAMPAIGNS: usize = 1_000;

/// Campaigns that start alone, for comparison.
const ALONE: usize = 50;

/// Requests that schedule at a time.
const AT_ONCE: usize = 16;

/// When all of them start: an hour after the clock's beginning, in the ad account's zone.
const START: &str = "2026-11-20T13:00:00";
const UNTIL_START: SignedDuration = SignedDuration::from_hours(1);

/// How long one that has to wait is given before it is looked at again.
const WAIT: SignedDuration = SignedDuration::from_secs(10);

/// Returns how many schedules are in each state, page by page.
async fn states(api: &ApiClient, account: &str) -> anyhow::Result<BTreeMap<String, usize>> {
    let (mut states, mut after) = (BTreeMap::new(), String::new());
    loop {
        let path = format!("ad-accounts/{account}/schedules?limit=200{after}");
        let page = api.call(Method::GET, &path, None).await?;
        for schedule in page["data"].as_array().context("no data")? {
            *states.entry(schedule["state"].as_str().context("no state")?.to_owned()).or_default() += 1;
        }
        match page["after"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(states),
        }
    }
}

/// Pauses every campaign that delivers, by bulk changes of 500.
async fn pause(
    scenario: &Scenario,
    api: &ApiClient,
    account: &str,
    keys: &str,
) -> anyhow::Result<Vec<String>> {
    let campaigns = api.all(&format!("ad-accounts/{account}/campaigns")).await?;
    let is_alive = |campaign: &&Value| campaign["effective_status"] != "ARCHIVED";
    let ids: Vec<String> = campaigns
        .iter()
        .filter(is_alive)
        .filter_map(|campaign| Some(campaign["id"].as_str()?.to_owned()))
        .take(CAMPAIGNS)
        .collect();
    ensure!(ids.len() == CAMPAIGNS, "{} campaigns", ids.len());
    for (number, some) in ids.chunks(500).enumerate() {
        let set = json!({"changes": [{"level": "campaign", "ids": some, "set": {"status": "PAUSED"}}]});
        let key = format!("{keys}-{number}");
        let path = format!("ad-accounts/{account}/bulk-changes");
        let headers = [("idempotency-key", key.as_str())];
        let begun = api.call_with(Method::POST, &path, Some(&set), &headers).await?;
        let path = format!("{path}/{}", begun["id"].as_str().context("no id")?);
        for tries in 0.. {
            scenario.system.runner.settle().await?;
            if api.call(Method::GET, &path, None).await?["state"] == "done" {
                break;
            }
            ensure!(tries < 100, "the bulk change never ends");
            scenario.system.clock.advance(SignedDuration::from_secs(40));
        }
    }
    Ok(ids)
}

#[tokio::main]
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
async fn main() -> anyhow::Result<()> {
    let args = AccountArgs { campaigns: 1_400, adsets: 1_600, ads: 1_800, days: 1, ..AccountArgs::default() };
    let scenario = Scenario::of_account(args).await?;
    let (account, api, sim) = (scenario.account()?, scenario.api()?, scenario.sim()?);
    let ids = pause(&scenario, &api, &account, "pause").await?;
    let schedule = |id: String| {
        let path = format!("ad-accounts/{account}/campaigns/{id}/schedules/activate");
        let api = &api;
        async move { api.call(Method::PUT, &path, Some(&json!({"at": START}))).await }
    };
    stream::iter(ids.iter().cloned().map(schedule)).buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await?;
    let scheduled = states(&api, &account).await?;
    ensure!(scheduled == BTreeMap::from([("scheduled".to_owned(), CAMPAIGNS)]), "{scheduled:?}");

    let calls = scenario.system.graph.calls();
    let began = Instant::now();
    scenario.system.clock.advance(UNTIL_START);
    let mut waited = SignedDuration::ZERO;
    let ended = loop {
        scenario.system.runner.settle().await?;
        let states = states(&api, &account).await?;
        if !states.contains_key("scheduled") && !states.contains_key("running") {
            break states;
        }
        if waited > SignedDuration::from_hours(2) {
            bail!("they never end: {states:?}");
        }
        scenario.system.clock.advance(WAIT);
        waited += WAIT;
    };
    let seconds = began.elapsed().as_secs_f64();
    let Usage { calls: counted, limit, .. } = sim.usage(&account, UseCase::AdsManagement);
    let active = ids.iter().filter(|id| sim.node(id).is_some_and(|node| node["status"] == "ACTIVE")).count();
    let mut out = std::io::stdout();
    writeln!(out, "{CAMPAIGNS} activations at one minute: {ended:?}, {active} campaigns active at Meta")?;
    writeln!(
        out,
        "{seconds:.1} s of work on this machine, {waited:#} of waiting, {} exchanges with Meta; {counted} of {limit} calls of the hour",
        scenario.system.graph.calls() - calls
    )?;
    ensure!(active == CAMPAIGNS, "all of them are active");

    // The same work, one campaign after the other.
    let ids = pause(&scenario, &api, &account, "again").await?;
    let began = Instant::now();
    for id in ids.iter().take(ALONE) {
        let path = format!("ad-accounts/{account}/campaigns/{id}/schedules/activate");
        api.call(Method::PUT, &path, Some(&json!({"at": "now"}))).await?;
        scenario.system.runner.settle().await?;
    }
    let alone = began.elapsed().as_secs_f64() / ALONE as f64;
    let ratio = seconds / CAMPAIGNS as f64 / alone;
    writeln!(
        out,
        "{:.0} ms for one of {ALONE} that start alone; together each takes {ratio:.2} of that",
        alone * 1000.0
    )?;
    scenario.finish().await
}
