//! What a day of an ad account uses of AWS, and what that costs. `cargo xtask bench costs` runs this: the whole system,
//! minute by minute, on an account whose numbers are restated as Meta's are. Everything is counted, no time is measured.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Context;
use domain::job::Queue;
use graph_sim::AccountArgs;
use http::Method;
use jiff::SignedDuration;
use journeys::TODAY;
use local::account::Account;
use local::demo::{ApiClient, WORKSPACE};
use local::meter::{Meter, Quantity, Usage};
use local::{Options, System};
use runtime::session::Role;
use serde_json::json;

/// Rules of the account.
const RULE_COUNT: u32 = 10;
const MINUTES: u32 = 24 * 60;
const DAYS_OF_MONTH: f64 = 30.4;

/// Dollars for each, in us-east-1: a unit written, a unit read, a request to a queue, an invocation and a GB-second of
/// Lambda on arm64.
const WRITE_DOLLARS: f64 = 0.625e-6;
const READ_DOLLARS: f64 = 0.125e-6;
const QUEUE_REQUEST_DOLLARS: f64 = 0.40e-6;
const INVOCATION_DOLLARS: f64 = 0.20e-6;
const GB_SECOND_DOLLARS: f64 = 13.333_4e-6;

/// Assumed of Lambda, which nothing here can measure: memory in GB, seconds until Meta answers, and seconds of an
/// invocation besides.
const MEMORY_GB: f64 = 0.5;
const SECONDS_OF_CALL: f64 = 0.5;
const SECONDS_OF_INVOCATION: f64 = 0.1;

/// Numbers of accounts for which the month is multiplied.
const ACCOUNTS: [u32; 4] = [1, 100, 10_000, 100_000];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let account = AccountArgs { today: Some(TODAY), restates: true, ..AccountArgs::default() };
    let meter = Meter::default();
    let options = Options { meter: Some(meter.clone()), ..Options::in_memory() };
    let system = System::start(Options { account: Account::Simulated(account), ..options }).await?;
    system.create_workspace(WORKSPACE, "Costs").await?;
    let api = ApiClient::new(&system, WORKSPACE, Role::Owner)?;
    api.connect().await?;
    let sim = system.sim().context("no simulator")?;
    let act = sim.account().id;
    for rule in 0..RULE_COUNT {
        let rule = json!({
            "name": format!("Rule {rule}"), "ad_account": act, "level": "ad", "action": {"type": "notify"},
            "when": {"measure": "roas", "window": "last_7_days", "operator": "below", "value": "1"},
            "guard": {"min_impressions": 1000},
        });
        api.call(Method::POST, "rules", Some(&rule)).await?;
    }
    meter.take();
    api.call(Method::PUT, &format!("ad-accounts/{act}/selection"), Some(&json!({"selected": true}))).await?;
    system.runner.settle().await?;
    let mut out = std::io::stdout();
    writeln!(out, "The first sync of 13 weeks: {} calls of Meta", sim.calls())?;
    Day::new(&meter, sim.calls(), 0).write(&mut out)?;

    // The first hours still look at what the first sync left.
    pass(&system, MINUTES / 4).await?;
    meter.take();
    let calls = sim.calls();
    pass(&system, MINUTES).await?;
    let day = Day::new(&meter, sim.calls() - calls, MINUTES);
    writeln!(out, "\nA day afterwards: {} calls of Meta", day.graph_calls)?;
    day.write(&mut out)?;
    writeln!(out, "\n{:>10}{:>16}{:>16}{:>14}", "accounts", "dollars a month", "writes/s", "calls/s")?;
    for accounts in ACCOUNTS {
        let (count, seconds) = (f64::from(accounts), 86_400.0);
        let writes = count * day.units(is_write) / seconds;
        let calls = count * day.graph_calls as f64 / seconds;
        writeln!(
            out,
            "{accounts:>10}{:>16.2}{writes:>16.2}{calls:>14.2}",
            count * DAYS_OF_MONTH * day.dollars()
        )?;
    }
    system.stop().await;
    Ok(())
}

/// Lets minutes pass, one by one.
async fn pass(system: &System, minutes: u32) -> anyhow::Result<()> {
    for _ in 0..minutes {
        system.clock.advance(SignedDuration::from_mins(1));
        while !system.cloud.timers.due().is_empty() {
            tokio::task::yield_now().await;
        }
        system.runner.settle().await?;
    }
    Ok(())
}

/// What an account used in a day.
struct Day {
    used: BTreeMap<Usage, Quantity>,
    graph_calls: u64,
    /// Messages that are of the deployment: a scheduled one each minute.
    ticks: u32,
}

fn is_write(usage: &Usage) -> bool {
    usage.service == "dynamodb" && !is_read(usage)
}

fn is_read(usage: &Usage) -> bool {
    usage.service == "dynamodb" && ["GetItem", "BatchGetItem", "Query", "Scan"].contains(&&*usage.operation)
}

fn is_received(usage: &Usage) -> bool {
    usage.operation == "ReceiveMessage"
}

impl Day {
    fn new(meter: &Meter, graph_calls: u64, ticks: u32) -> Self {
        let mut used = meter.take();
        // On AWS, nobody reads the table besides the functions: the runner does that here, for the stream.
        used.retain(|usage, _| usage.function != "-" || usage.service == "sqs");
        // The tick reads the due index for all accounts of a deployment.
        used.retain(|usage, _| (&*usage.subject, &*usage.operation) != ("DUE", "Query"));
        Self { used, graph_calls, ticks }
    }

    fn of(&self, which: fn(&Usage) -> bool) -> impl Iterator<Item = (&Usage, &Quantity)> {
        self.used.iter().filter(move |(usage, _)| which(usage))
    }

    fn units(&self, which: fn(&Usage) -> bool) -> f64 {
        self.of(which).map(|(_, used)| used.units).sum()
    }

    /// Messages that were received, by queue. Each is an invocation, too: these queues have batches of one.
    fn messages_by_queue(&self) -> impl Iterator<Item = (&str, f64)> {
        self.of(is_received).map(|(usage, used)| {
            let of_deployment = if usage.subject == Queue::SyncEntities.name() { self.ticks } else { 0 };
            (&*usage.subject, used.calls as f64 - f64::from(of_deployment))
        })
    }

    fn messages(&self) -> f64 {
        self.messages_by_queue().map(|(_, count)| count).sum()
    }

    fn lambda(&self) -> f64 {
        let seconds = self.graph_calls as f64 * SECONDS_OF_CALL + self.messages() * SECONDS_OF_INVOCATION;
        self.messages() * INVOCATION_DOLLARS + seconds * MEMORY_GB * GB_SECOND_DOLLARS
    }

    fn dollars(&self) -> f64 {
        self.units(is_write) * WRITE_DOLLARS
            + self.units(is_read) * READ_DOLLARS
            + 3.0 * self.messages() * QUEUE_REQUEST_DOLLARS
            + self.lambda()
    }

    /// Writes what was used of each kind, the dearest first.
    fn write(&self, out: &mut impl Write) -> anyhow::Result<()> {
        let mut kinds = BTreeMap::<(&str, &str), [f64; 3]>::new();
        for (usage, used) in self.of(|usage| usage.service == "dynamodb") {
            let of_kind = kinds.entry((&usage.subject, usage.function)).or_default();
            of_kind[0] += used.calls as f64;
            of_kind[if is_read(usage) { 2 } else { 1 }] += used.units;
        }
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        kinds.sort_by(|(_, a), (_, b)| dollars(b).total_cmp(&dollars(a)));
        writeln!(
            out,
            "{:<26}{:<22}{:>8}{:>10}{:>10}{:>14}",
            "kind of item", "function", "calls", "written", "read", "$ in 30.4 x"
        )?;
        for ((kind, function), of_kind @ [calls, written, read]) in &kinds {
            let month = DAYS_OF_MONTH * dollars(of_kind);
            writeln!(out, "{kind:<26}{function:<22}{calls:>8.0}{written:>10.0}{read:>10.1}{month:>14.4}")?;
        }
        let month = |day: f64| DAYS_OF_MONTH * day;
        let (written, read) = (self.units(is_write), self.units(is_read));
        let table = month(written * WRITE_DOLLARS + read * READ_DOLLARS);
        writeln!(out, "{:<56}{written:>10.0}{read:>10.1}{table:>14.4}", "table")?;
        for (queue, count) in self.messages_by_queue().filter(|(_, count)| *count > 0.0) {
            let queues = month(3.0 * count * QUEUE_REQUEST_DOLLARS);
            writeln!(out, "messages of {queue:<36}{count:>8.0}{:>20}{queues:>14.4}", "")?;
        }
        writeln!(out, "{:<76}{:>14.4}", "Lambda", month(self.lambda()))?;
        writeln!(out, "{:<76}{:>14.4}", "all", month(self.dollars()))?;
        Ok(())
    }
}

fn dollars([_, written, read]: &[f64; 3]) -> f64 {
    written * WRITE_DOLLARS + read * READ_DOLLARS
}
