//! What parallel changes of one workspace cost: each is recorded in one audit log. `cargo xtask bench changes` runs
//! this in release mode. Time must grow with the number of changes, not with its square.

use std::io::Write;
use std::time::Instant;

use anyhow::ensure;
use futures_util::future::join_all;
use http::Method;
use journeys::Scenario;
use local::tenant::tenant;
use runtime::session::Role;
use serde_json::json;

/// The numbers of changes that are sent at the same time; the first is the reference of the others.
const CHANGES: [u32; 4] = [20, 50, 100, 200];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let scenario = Scenario::start().await?;
    // Starts what is made at first use.
    run(&scenario, "warm-up", 20).await?;
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{:>8}{:>12}{:>14}{:>12}{:>10}",
        "changes", "seconds", "ms a change", "x first", "unsealed"
    )?;
    let mut reference = None;
    for changes in CHANGES {
        let workspace = format!("changes-{changes}");
        let seconds = run(&scenario, &workspace, changes).await?;
        let each = 1000.0 * seconds / f64::from(changes);
        let first = *reference.get_or_insert(each);
        let (table, now) = (&scenario.system.table, scenario.system.clock.now());
        let report = table.verify_audit_log(&tenant(&workspace)?, &[], now).await??;
        ensure!(report.entries == u64::from(changes), "{workspace}: {report:?}");
        let ratio = each / first;
        writeln!(out, "{changes:>8}{seconds:>12.2}{each:>14.2}{ratio:>12.2}{:>10}", report.unsealed)?;
    }
    scenario.finish().await
}

/// Adds this many rules at the same time, and returns the seconds until all are answered.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
async fn run(scenario: &Scenario, workspace: &str, changes: u32) -> anyhow::Result<f64> {
    let token = scenario.system.token(workspace, Role::Owner)?;
    let path = format!("/v1/workspaces/{workspace}/rules");
    let rule = json!({
        "name": "Tell me", "level": "campaign", "action": {"type": "notify"},
        "when": {"measure": "spend", "window": "today", "operator": "above", "value": "1"},
    });
    let rule = rule.to_string();
    let began = Instant::now();
    let sent =
        (0..changes).map(|_| scenario.send(Method::POST, &path, Some(&token), &[], Some(rule.clone())));
    for response in join_all(sent).await {
        let response = response?;
        ensure!(response.status == 201, "{}: {}", response.status, response.text);
    }
    Ok(began.elapsed().as_secs_f64())
}
