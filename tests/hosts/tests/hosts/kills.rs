//! Kills Lambda processes at random during a backfill, which must not change the result.

use std::time::Duration;

use anyhow::{Context, ensure};
use graph_sim::{FaultKind, FaultPlan, RequestMatcher, Trigger};
use hosts::ministack::IamMode;
use hosts::test_environment::TestEnvironment;
use http::Method;
use jiff::ToSpan;
use journeys::totals;
use local::demo::ApiClient;
use runtime::env::Env;
use serde_json::json;

/// Invocations that lose their process: `KILLS`, which `cargo xtask nightly` raises.
fn kills() -> usize {
    Env::optional("KILLS").and_then(|kills| kills.parse().ok()).unwrap_or(10)
}

/// Workspaces that sync the same ad account: enough messages for fifty kills.
const WORKSPACES: [&str; 4] = ["north", "east", "south", "west"];

/// The functions that work on a backfill.
const KILLED_FUNCTIONS: [&str; 3] = ["sync-entities", "sync-metrics-chunk", "evaluate-rules"];

/// The error of an invocation whose process was killed.
const EXIT_MESSAGE: &str = ": Runtime exited before returning a response";

#[tokio::test]
#[ignore = "run by cargo xtask hosts"]
async fn a_backfill_completes_although_processes_are_killed_during_invocations() {
    let environment = TestEnvironment::deploy(IamMode::Ignored, "kills").await.unwrap();
    shorten_the_timeouts(&environment).await.unwrap();
    let seed = Env::optional("KILL_SEED").and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| environment.now().as_millisecond().unsigned_abs());
    println!("KILL_SEED={seed} chooses the same moments again");

    let mut apis = Vec::new();
    for workspace in WORKSPACES {
        let api = environment.api(workspace).unwrap();
        environment.connect(&api).await.unwrap();
        apis.push(api);
    }
    // Meta responds slowly, so that processes can be killed in the middle of a call.
    let slow = FaultKind::Delay { millis: 120 };
    let anything = RequestMatcher { method: Some("GET".to_owned()), ..RequestMatcher::default() };
    environment.sim.set_plan(FaultPlan::single(Trigger::default(), anything, slow));
    for api in &apis {
        environment.select(api, true).await.unwrap();
    }
    let summary = kill(&environment, &apis, SplitMix64(seed)).await.context(seed).unwrap();
    println!("{summary}");

    let (account, today) = (environment.sim.account().id, environment.today().unwrap());
    let since = today.saturating_sub(29.days());
    let rows = environment.sim.insights_rows(since, today);
    for (workspace, api) in WORKSPACES.iter().zip(&apis) {
        let progress = environment.wait_until_measured(api).await.context(*workspace).context(seed).unwrap();
        assert_eq!(progress["chunks"]["done"], 13, "{workspace}, seed {seed}: {progress}");
        let equal = totals::assert_equal(api, &account, &rows, since, today).await;
        equal.context(*workspace).context(seed).unwrap();
    }
    environment.wait_until_idle().await.context(seed).unwrap();
    for queue in KILLED_FUNCTIONS {
        let dead = environment.deployment.messages(&format!("{queue}-dead")).await.unwrap();
        assert_eq!(dead, 0, "{queue}, seed {seed}");
    }
    environment.finish().await.unwrap();
}

/// Kills processes until enough invocations have lost theirs, and returns a summary.
async fn kill(
    environment: &TestEnvironment,
    apis: &[ApiClient],
    mut rng: SplitMix64,
) -> anyhow::Result<String> {
    let ours = KILLED_FUNCTIONS.map(|function| environment.deployment.name(function));
    let killed_invocations = || {
        let log = environment.ministack.log()?;
        let of_ours =
            |line: &&str| line.ends_with(EXIT_MESSAGE) && ours.iter().any(|name| line.contains(name));
        anyhow::Ok(log.lines().filter(|line| of_ours(&line.trim_end())).count())
    };
    let (mut killed, mut asked) = (0, 0);
    let end = environment.now() + Duration::from_secs(180);
    let kills = kills();
    while killed_invocations()? < kills {
        ensure!(
            environment.now() < end,
            "only {} of {killed} kills met an invocation",
            killed_invocations()?
        );
        sleep(Duration::from_millis(20 + rng.below(280))).await;
        let mut running = environment.ministack.lambda_processes()?;
        running.retain(|process| ours.contains(&process.function));
        if let Some(index) = rng.index(running.len()) {
            running[index].kill()?;
            killed += 1;
        }
        // When the backfill is done before the last kill, another sync measures weeks again. The process that handles
        // the request may be killed next, so the request may fail.
        let api = &apis[rng.index(apis.len()).context("no workspace")?];
        let Ok(progress) = environment.progress(api).await else { continue };
        if progress["chunks"]["planned"] == 0 && progress["chunks"]["running"] == 0 {
            let again = api.call(Method::POST, &format!("{}sync", environment.ad_account()), None).await;
            asked += usize::from(again.is_ok());
        }
    }
    Ok(format!(
        "{killed} processes were killed, {kills} of them in mid-invocation, and {asked} more syncs asked for"
    ))
}

/// Shortens the timeouts. Lambda and SQS wait for minutes before they retry the message of a killed process: six
/// timeouts of its function. The deployed template stays as it is; this makes both shorter by the same calls as on AWS.
/// It also raises the number of receives, because five are too few for fifty kills in half a minute.
async fn shorten_the_timeouts(environment: &TestEnvironment) -> anyhow::Result<()> {
    let stack = &environment.deployment;
    for function in KILLED_FUNCTIONS {
        let timeout = json!({"FunctionName": stack.name(function), "Timeout": 10});
        stack.account.call("lambda", "update_function_configuration", timeout).await?;
        let dead = stack.queue(&format!("{function}-dead")).await?["QueueArn"].take();
        let redrive = json!({"deadLetterTargetArn": dead, "maxReceiveCount": 100}).to_string();
        let attributes = json!({"VisibilityTimeout": "3", "RedrivePolicy": redrive});
        let set = json!({"QueueUrl": stack.queue_url(function).await?, "Attributes": attributes});
        stack.account.call("sqs", "set_queue_attributes", set).await?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a random moment is all that this waits for")]
async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// A seeded random number generator.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    fn index(&mut self, length: usize) -> Option<usize> {
        let length = u64::try_from(length).ok().filter(|length| *length > 0)?;
        usize::try_from(self.below(length)).ok()
    }
}
