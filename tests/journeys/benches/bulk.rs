//! What 500 changes of budgets cost: as one bulk change, and as a request each. `cargo xtask bench bulk` runs this.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Instant;

use anyhow::{Context, ensure};
use graph_sim::AccountArgs;
use http::Method;
use jiff::SignedDuration;
use journeys::Scenario;
use local::demo::ApiClient;
use serde_json::{Value, json};

/// Objects whose budgets are changed: the most of a bulk change.
const OBJECTS: usize = 500;

/// Points of Meta's quota: 3 of a change, 1 of a read (Marketing API, "Rate limiting").
const POINTS_OF_A_CHANGE: usize = 3;

/// Objects of a level that hold a daily budget, with it.
type Budgets = BTreeMap<(&'static str, String), i64>;

async fn budgets(api: &ApiClient, account: &str) -> anyhow::Result<Budgets> {
    let mut found = Budgets::new();
    for (level, list) in [("campaign", "campaigns"), ("adset", "adsets")] {
        for object in api.all(&format!("ad-accounts/{account}/{list}")).await? {
            let id = object["id"].as_str().context("no id")?.to_owned();
            let budget = object["daily_budget"]["amount"].as_i64();
            if object["effective_status"] != "ARCHIVED" && found.len() < OBJECTS {
                found.extend(budget.map(|budget| ((level, id), budget)));
            }
        }
    }
    Ok(found)
}

struct Cost {
    seconds: f64,
    exchanges: u64,
    points: usize,
}

/// Returns what is done costs at Meta.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
async fn measured(
    scenario: &Scenario,
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<Cost> {
    let sim = scenario.sim()?;
    let (calls, requests) = (scenario.system.graph.calls(), sim.requests().len());
    let began = Instant::now();
    work.await?;
    let seconds = began.elapsed().as_secs_f64();
    let made = sim.requests().split_off(requests);
    // A batch itself costs nothing; its items do.
    let made = made.iter().filter(|call| !call.params.contains_key("batch"));
    let points = made.map(|call| if call.method == "GET" { 1 } else { POINTS_OF_A_CHANGE }).sum();
    Ok(Cost { seconds, exchanges: scenario.system.graph.calls() - calls, points })
}

async fn finished(
    scenario: &Scenario,
    api: &ApiClient,
    account: &str,
    begun: &Value,
) -> anyhow::Result<Value> {
    let path = format!("ad-accounts/{account}/bulk-changes/{}", begun["id"].as_str().context("no id")?);
    for _ in 0..200 {
        scenario.system.runner.settle().await?;
        let shown = api.call(Method::GET, &path, None).await?;
        if shown["state"] == "done" {
            return Ok(shown);
        }
        scenario.system.clock.advance(SignedDuration::from_secs(40));
    }
    let shown = api.call(Method::GET, &path, None).await?;
    anyhow::bail!("the bulk change never ends: {}", shown["counts"])
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = AccountArgs { campaigns: 400, adsets: 900, ads: 900, days: 1, ..AccountArgs::default() };
    let scenario = Scenario::of_account(args).await?;
    let (account, api) = (scenario.account()?, scenario.api()?);
    let before = budgets(&api, &account).await?;
    ensure!(before.len() == OBJECTS, "{} budgets", before.len());
    let changes = |level: &str| {
        let ids: Vec<_> = before.keys().filter(|(of, _)| *of == level).map(|(_, id)| id).collect();
        json!({"level": level, "ids": ids, "set": {"daily_budget": {"by_percent": 10}}})
    };
    let document = json!({"changes": [changes("campaign"), changes("adset")]});
    let path = format!("ad-accounts/{account}/bulk-changes");

    let mut bulk = Value::Null;
    let of_bulk = measured(&scenario, async {
        let key = [("idempotency-key", "bench")];
        let begun = api.call_with(Method::POST, &path, Some(&document), &key).await?;
        bulk = finished(&scenario, &api, &account, &begun).await?;
        let odd = bulk["objects"]
            .as_array()
            .and_then(|objects| objects.iter().find(|object| object["state"] != "done"));
        ensure!(bulk["counts"]["done"] == OBJECTS, "{} {odd:?}", bulk["counts"]);
        Ok(())
    });
    let of_bulk = of_bulk.await?;
    let mut undone = Value::Null;
    let of_undo = measured(&scenario, async {
        let id = bulk["id"].as_str().context("no id")?;
        let begun = api.call(Method::POST, &format!("{path}/{id}/undo"), None).await?;
        undone = finished(&scenario, &api, &account, &begun).await?;
        Ok(())
    });
    let of_undo = of_undo.await?;
    ensure!(undone["counts"]["done"] == OBJECTS, "{}", undone["counts"]);
    ensure!(budgets(&api, &account).await? == before, "the undo restores every budget");
    let of_each = measured(&scenario, async {
        for ((level, id), budget) in &before {
            let changed = json!({"daily_budget": {"amount": budget + 100, "currency": "SGD"}});
            api.call(Method::PATCH, &format!("ad-accounts/{account}/{level}s/{id}"), Some(&changed)).await?;
        }
        Ok(())
    });
    let of_each = of_each.await?;

    let mut out = std::io::stdout();
    writeln!(
        out,
        "{OBJECTS} budgets changed{:>22}{:>12}{:>10}{:>8}",
        "seconds", "exchanges", "points", "x each"
    )?;
    for (name, cost) in [("a request each", &of_each), ("one bulk change", &of_bulk), ("its undo", &of_undo)]
    {
        let ratio = cost.exchanges as f64 / of_each.exchanges as f64;
        writeln!(
            out,
            "{name:<28}{:>14.1}{:>12}{:>10}{ratio:>8.2}",
            cost.seconds, cost.exchanges, cost.points
        )?;
    }
    scenario.finish().await
}
