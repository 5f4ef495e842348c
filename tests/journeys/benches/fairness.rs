//! How long workspaces wait for numbers beside one that asks for a hundred times as much. `cargo xtask bench fairness`
//! runs this: every job through the functions, the simulated Meta, the table and the queues. Meta answers slowly, so that
//! jobs wait for their turn and not for this machine's processor.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, ensure};
use domain::dataset::Dataset;
use domain::date::{DateRange, IsoWeek};
use domain::id::AdAccountId;
use futures_util::future::try_join_all;
use graph_sim::{AccountArgs, FaultKind, FaultPlan, RequestMatcher, Trigger};
use http::Method;
use jiff::ToSpan;
use journeys::TODAY;
use local::account::Account;
use local::demo::ApiClient;
use local::tenant::tenant;
use local::{Options, System};
use runtime::session::Role;
use serde_json::json;

/// Workspaces besides the large one. Each asks for a week.
const WORKSPACES: u32 = 199;
/// Weeks that the large workspace asks for.
const LARGE_WEEKS: i32 = 100;
const LARGE: &str = "large";
/// How long Meta takes for an answer.
const ANSWER_MILLIS: u64 = 400;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let account = AccountArgs {
        campaigns: 2,
        adsets: 4,
        ads: 12,
        days: 1_000,
        today: Some(TODAY),
        ..AccountArgs::default()
    };
    let system =
        System::start(Options { account: Account::Simulated(account), ..Options::in_memory() }).await?;
    let bench =
        Bench { account: system.sim().context("no simulator")?.account().id.parse()?, system: &system };
    let small: Vec<String> = (0..WORKSPACES).map(|n| format!("small-{n}")).collect();
    for workspace in small.iter().map(String::as_str).chain([LARGE]) {
        bench.connect(workspace).await?;
    }
    system.runner.settle().await?;
    let slow = FaultKind::Delay { millis: ANSWER_MILLIS };
    let plan = FaultPlan::single(Trigger::default(), RequestMatcher::default(), slow);
    system.sim().context("no simulator")?.set_plan(plan);

    let mut out = std::io::stdout();
    writeln!(out, "{WORKSPACES} workspaces ask for a week each: milliseconds until its numbers are there")?;
    writeln!(
        out,
        "{:<20}{:>10}{:>10}{:>16}{:>10}{:>10}",
        "", "p50", "p99", "beside one: p50", "p99", "p99 ratio"
    )?;
    // Warms up, and says how long all of them keep the functions busy.
    let busy = bench.round(&small, Duration::ZERO, false).await?.last().copied().unwrap_or_default();
    let half_load = Duration::from_secs_f64(2.0 * busy / 1_000.0) / WORKSPACES;
    for (name, pause) in [("all at once", Duration::ZERO), ("at half load", half_load)] {
        let alone = bench.round(&small, pause, false).await?;
        let beside = bench.round(&small, pause, true).await?;
        let ratio = percentile(&beside, 99) / percentile(&alone, 99);
        writeln!(
            out,
            "{name:<20}{:>10.0}{:>10.0}{:>16.0}{:>10.0}{ratio:>10.2}",
            percentile(&alone, 50),
            percentile(&alone, 99),
            percentile(&beside, 50),
            percentile(&beside, 99),
        )?;
    }
    system.stop().await;
    Ok(())
}

struct Bench<'a> {
    account: AdAccountId,
    system: &'a System,
}

impl Bench<'_> {
    async fn connect(&self, workspace: &str) -> anyhow::Result<()> {
        self.system.create_workspace(workspace, workspace).await?;
        let api = ApiClient::new(self.system, workspace, Role::Owner)?;
        api.connect().await?;
        let path = format!("ad-accounts/{}/selection", self.account);
        api.call(Method::PUT, &path, Some(&json!({"selected": true}))).await.map(drop)
    }

    /// Lets every workspace ask for last week, one after another at random moments, beside the large one or not. Returns
    /// how long each waited, the shortest first.
    #[expect(clippy::disallowed_methods, reason = "people ask in real time")]
    async fn round(&self, small: &[String], pause: Duration, beside: bool) -> anyhow::Result<Vec<f64>> {
        let week = IsoWeek::of(TODAY - 7.days());
        let large = DateRange::ending(week.range().until, 7 * LARGE_WEEKS);
        if beside {
            self.request(LARGE, large).await?;
        }
        let mut asked = Vec::new();
        for (number, workspace) in (1_u64..).zip(small) {
            tokio::time::sleep(pause.mul_f64(gap(number))).await;
            asked.push(self.system.clock.now());
            self.request(workspace, week.range()).await?;
        }
        self.system.runner.settle().await?;
        let done = try_join_all(small.iter().map(|workspace| self.completed_at(workspace, week))).await?;
        let mut waits: Vec<f64> = asked
            .iter()
            .zip(&done)
            .map(|(asked, done)| done.duration_since(*asked).as_millis_f64())
            .collect();
        waits.sort_by(f64::total_cmp);
        if beside {
            let of_large = self.completed_at(LARGE, IsoWeek::of(large.since)).await?;
            ensure!(of_large >= asked[0], "the large workspace was measured before the others had asked");
        }
        Ok(waits)
    }

    async fn request(&self, workspace: &str, days: DateRange) -> anyhow::Result<()> {
        let api = ApiClient::new(self.system, workspace, Role::Owner)?;
        let body = json!({"since": days.since, "until": days.until});
        api.call(Method::POST, &format!("ad-accounts/{}/sync", self.account), Some(&body)).await.map(drop)
    }

    async fn completed_at(&self, workspace: &str, week: IsoWeek) -> anyhow::Result<jiff::Timestamp> {
        let (workspace, table) = (tenant(workspace)?, &self.system.table);
        let chunks = table.chunks_of(&workspace, &self.account, Dataset::AD_DAY, week.range()).await?;
        chunks.first().and_then(|chunk| chunk.completed_at).context("the week was not measured")
    }
}

/// Returns a pause before the next of independent requests, in means of it: always the same for a number.
fn gap(number: u64) -> f64 {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    // Between 0 and 1, without both.
    let uniform = ((mixed >> 12) as f64 + 0.5) / (1_u64 << 52) as f64;
    -uniform.ln()
}

/// Returns a percentile of sorted values.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted.get(sorted.len() * percent / 100).or(sorted.last()).copied().unwrap_or(f64::NAN)
}
