//! From the first login to the disconnection: over the deployed API, with real Lambda processes, queues and schedules.
//! The step that fails is named.

use anyhow::{Context, bail, ensure};
use hosts::ministack::IamMode;
use hosts::test_environment::{TestEnvironment, WORKSPACE};
use http::Method;
use jiff::{SignedDuration, Timestamp, ToSpan};
use journeys::{launch_document, totals};
use local::demo::ApiClient;
use serde_json::{Value, json};
use store::due::DUE_SHARDS;

/// How far ahead an activation is scheduled: long enough for the call itself on a busy machine.
const ACTIVATION_DELAY: SignedDuration = SignedDuration::from_secs(4);

#[tokio::test]
#[ignore = "run by cargo xtask hosts"]
async fn an_advertiser_connects_is_synced_launches_schedules_and_disconnects_with_what_the_roles_allow() {
    journey().await.unwrap();
}

async fn journey() -> anyhow::Result<()> {
    let environment = TestEnvironment::deploy(IamMode::Enforced, "journey").await?;
    let api = environment.api(WORKSPACE)?;
    let steps = async {
        let rule = connect_and_add_a_rule(&environment, &api).await.context("connect")?;
        backfill(&environment, &api).await.context("backfill")?;
        evaluate_the_rule(&environment, &api, &rule).await.context("rule")?;
        check_correlation(&environment, &api).await.context("telemetry")?;
        let campaign = launch(&environment, &api).await.context("launch")?;
        cancel_a_schedule(&environment, &api, &campaign).await.context("withdrawn schedule")?;
        activate(&environment, &api, &campaign).await.context("activation")?;
        receive_a_change(&environment, &api, &campaign).await.context("webhook")?;
        recurring_events(&environment).await.context("recurring events")?;
        disconnect(&environment, &api).await.context("disconnect")
    };
    if let Err(error) = steps.await {
        let warnings_and_errors = environment.deployment.warnings_and_errors().await?;
        return Err(error
            .context(format!("target/hosts/{}; {warnings_and_errors}", environment.ministack.log_name())));
    }
    // No message was dead-lettered.
    for queue in environment.deployment.queues() {
        let dead = environment.deployment.messages(&format!("{queue}-dead")).await?;
        ensure!(dead == 0, "{queue} has {dead} dead letters");
    }
    environment.finish().await
}

async fn connect_and_add_a_rule(environment: &TestEnvironment, api: &ApiClient) -> anyhow::Result<String> {
    let connected = environment.connect(api).await?;
    ensure!(connected["ad_accounts"].as_array().is_some_and(|all| all.len() == 3), "{connected}");
    let rule = json!({
        "name": "Pause whatever spends",
        "level": "campaign",
        "when": {"measure": "spend", "window": "last_7_days", "operator": "above", "value": "0"},
        "guard": {"min_impressions": 1},
        "action": {"type": "pause"},
    });
    let added = api.call(Method::POST, "rules", Some(&rule)).await?;
    text(&added, "id")
}

/// Checks that the account is synced through the queues, and that its insights equal Meta's to the cent.
async fn backfill(environment: &TestEnvironment, api: &ApiClient) -> anyhow::Result<()> {
    environment.select(api, true).await?;
    let progress = environment.wait_until_measured(api).await?;
    ensure!(progress["chunks"]["done"] == 13, "{progress}");
    let (account, today) = (environment.sim.account().id, environment.today()?);
    for days in [1, 8, 30] {
        let since = today.saturating_sub((days - 1).days());
        let rows = environment.sim.insights_rows(since, today);
        ensure!(!rows.is_empty(), "nothing to compare");
        totals::assert_equal(api, &account, &rows, since, today).await?;
    }
    let campaigns = api.all(&format!("{}campaigns", environment.ad_account())).await?;
    ensure!(campaigns.len() == 6, "{} campaigns", campaigns.len());
    Ok(())
}

/// Checks that measuring the last week had the rules evaluated: they decided, acted, and stored their reasons.
async fn evaluate_the_rule(environment: &TestEnvironment, api: &ApiClient, rule: &str) -> anyhow::Result<()> {
    let made = environment.until("the rule has decided", async || {
        let made = api.all(&format!("rules/{rule}/decisions")).await?;
        let open = made.is_empty() || made.iter().any(|decision| decision["outcome"] == "pending");
        Ok(if open { Err(json!(made)) } else { Ok(made) })
    });
    let made = made.await?;
    let paused = made.iter().find(|decision| decision["outcome"] == "done");
    let paused = paused.with_context(|| format!("nothing was paused: {made:?}"))?;
    let campaign = environment.sim.campaign(&text(paused, "entity")?).context("an unknown campaign")?;
    ensure!(campaign["status"] == "PAUSED", "{campaign}");
    Ok(())
}

/// Checks that one correlation id leads from the request through every message that it caused, and that the log lines
/// contain the metrics of the alarms.
async fn check_correlation(environment: &TestEnvironment, api: &ApiClient) -> anyhow::Result<()> {
    let units = async |function: &str, what: &str| {
        let units = environment.deployment.units(function).await?;
        anyhow::Ok(units.into_iter().filter(|unit| unit["operation"] == what).collect::<Vec<_>>())
    };
    let selection = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/selection";
    let [request] = &units("auth-meta", selection).await?[..] else { bail!("one request, one line") };
    let [account] = &units("sync-entities", "sync_account").await?[..] else { bail!("one sync, one line") };
    // An invocation logs its canonical line at its end, after the work that others have waited for.
    let chunks = environment.until("every chunk has its line", async || {
        let chunks = units("sync-metrics-chunk", "sync_chunk").await?;
        Ok(if chunks.len() < 13 { Err(json!(chunks.len())) } else { Ok(chunks) })
    });
    let chunks = chunks.await?;
    ensure!(chunks.len() == 13, "{} lines for 13 chunks", chunks.len());
    let rules = units("evaluate-rules", "evaluate_rules").await?;
    for unit in [account].into_iter().chain(&chunks).chain(&rules) {
        ensure!(unit["correlation"] == request["correlation"], "{unit} does not follow from {request}");
        ensure!(unit["outcome"] == "done", "{unit}");
    }
    let named = environment.deployment.name("sync-metrics-chunk");
    let embedded = &chunks[0]["_aws"]["CloudWatchMetrics"][0];
    ensure!(chunks[0]["Function"] == named, "another dimension than the alarms': {}", chunks[0]);
    ensure!(
        embedded["Namespace"] == "Adflight" && embedded["Dimensions"] == json!([["Function"]]),
        "{embedded}"
    );
    let written: u64 = chunks.iter().filter_map(|chunk| chunk["FactsWritten"].as_u64()).sum();
    let progress = environment.progress(api).await?;
    ensure!(progress["facts"]["segments_written"] == written, "{written} facts in the lines, {progress}");
    Ok(())
}

async fn launch(environment: &TestEnvironment, api: &ApiClient) -> anyhow::Result<String> {
    let document = launch_document(&environment.sim.account());
    let path = format!("{}campaigns", environment.ad_account());
    let key = [("idempotency-key", "winter")];
    let launched = api.call_with(Method::POST, &path, Some(&document), &key).await?;
    ensure!(launched["state"] == "committed", "{launched}");
    for field in ["campaign_id", "adset_id", "ad_id"] {
        let made = environment.sim.node(&text(&launched, field)?).context("it is not at Meta")?;
        ensure!(made["status"] == "PAUSED", "{made}");
    }
    let again = api.call_with(Method::POST, &path, Some(&document), &key).await?;
    ensure!(again == launched, "the same key launched again: {again}");
    text(&launched, "campaign_id")
}

/// Checks the schedule of an activation in another time zone, which the emulator ignores, and its deletion.
async fn cancel_a_schedule(
    environment: &TestEnvironment,
    api: &ApiClient,
    campaign: &str,
) -> anyhow::Result<()> {
    let before = schedules(environment).await?;
    let path = format!("{}campaigns/{campaign}/schedules/activate", environment.ad_account());
    let wanted = json!({"at": "2099-12-01T09:00:00", "timezone": "America/New_York"});
    api.call(Method::PUT, &path, Some(&wanted)).await?;
    let during = schedules(environment).await?;
    let new: Vec<&Value> = during.iter().filter(|schedule| !before.contains(schedule)).collect();
    let [timer] = new[..] else { bail!("{} new schedules", new.len()) };
    ensure!(timer["ScheduleExpression"] == "at(2099-12-01T09:00:00)", "{timer}");
    ensure!(timer["ScheduleExpressionTimezone"] == "America/New_York", "{timer}");
    ensure!(timer["ActionAfterCompletion"] == "DELETE", "{timer}");
    ensure!(timer["FlexibleTimeWindow"]["Mode"] == "OFF", "{timer}");
    let role = text(&timer["Target"], "RoleArn")?;
    ensure!(role.ends_with(environment.deployment.resource("SchedulesRole")?), "{role}");
    let queue = environment.deployment.queue("manage-campaign").await?;
    ensure!(timer["Target"]["Arn"] == queue["QueueArn"], "{timer}");
    api.call(Method::DELETE, &path, None).await?;
    ensure!(schedules(environment).await? == before, "the withdrawn schedule is still there");
    Ok(())
}

/// Checks that the timer fires, that the campaign is active at Meta, and that the timer is deleted.
async fn activate(environment: &TestEnvironment, api: &ApiClient, campaign: &str) -> anyhow::Result<()> {
    let before = schedules(environment).await?;
    let path = format!("{}campaigns/{campaign}/schedules/activate", environment.ad_account());
    let soon = (environment.now() + ACTIVATION_DELAY).strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let planned = json!({"at": soon, "timezone": "UTC"});
    let planned = api.call(Method::PUT, &path, Some(&planned)).await?;
    ensure!(planned["state"] == "scheduled", "{planned}");
    let paused = environment.sim.campaign(campaign).context("no campaign")?;
    ensure!(paused["status"] == "PAUSED", "too early: {paused}");
    let view = environment.until("the campaign is activated", async || {
        let view = api.call(Method::GET, &path, None).await?;
        let open = view["state"] == "scheduled" || view["state"] == "running";
        Ok(if open { Err(view) } else { Ok(view) })
    });
    let view = view.await?;
    ensure!(view["state"] == "done", "{view}");
    let at: Timestamp = format!("{soon}Z").parse()?;
    ensure!(environment.now() >= at, "activated before its time");
    let active = environment.sim.campaign(campaign).context("no campaign")?;
    ensure!(active["status"] == "ACTIVE", "{active}");
    ensure!(schedules(environment).await? == before, "the timer is still there");
    Ok(())
}

/// Checks that a change from Meta has exactly its object synced, once however often it is delivered.
async fn receive_a_change(
    environment: &TestEnvironment,
    api: &ApiClient,
    campaign: &str,
) -> anyhow::Result<()> {
    let webhook_url = format!("{}/v1/webhooks/meta", environment.deployment.url);
    let http = reqwest::Client::new();
    let handshake = [
        ("hub.mode", "subscribe"),
        ("hub.challenge", "1158201444"),
        ("hub.verify_token", &environment.verify_token),
    ];
    let challenge = http.get(&webhook_url).query(&handshake).send().await?.text().await?;
    ensure!(challenge == "1158201444", "{challenge}");
    let forged = http.post(&webhook_url).header("x-hub-signature-256", "sha256=00").body("{}").send().await?;
    ensure!(forged.status() == 403, "a forged webhook is answered {}", forged.status());

    environment.sim.update_node(campaign, json!({"name": "Renamed in Ads Manager"}));
    let (calls, now) = (environment.sim.calls(), environment.now());
    api.receive_webhook(&environment.sim, &json!(campaign), now).await?;
    let path = format!("{}campaigns/{campaign}", environment.ad_account());
    environment
        .until("the change is read", async || {
            let view = api.call(Method::GET, &path, None).await?;
            Ok(if view["name"] == "Renamed in Ads Manager" { Ok(()) } else { Err(view) })
        })
        .await?;
    environment.wait_until_idle().await?;
    for _ in 0..3 {
        api.receive_webhook(&environment.sim, &json!(campaign), now).await?;
    }
    environment.wait_until_idle().await?;
    let read = environment.sim.calls() - calls;
    ensure!(read == 1, "{read} calls for one change");
    Ok(())
}

/// Checks that the function accepts the events of the template's own schedules.
async fn recurring_events(environment: &TestEnvironment) -> anyhow::Result<()> {
    for name in ["take-due", "watch-accounts"] {
        let schedule = environment.deployment.schedule("default", name).await?;
        let invoke = json!({
            "FunctionName": environment.deployment.name("sync-entities"),
            "Payload": text(&schedule["Target"], "Input")?,
        });
        let response = environment.deployment.account.call("lambda", "invoke", invoke).await?;
        ensure!(response["StatusCode"] == 200 && response.get("FunctionError").is_none(), "{response}");
    }
    Ok(())
}

/// Checks that the token is deleted, and that the account is not due any more.
async fn disconnect(environment: &TestEnvironment, api: &ApiClient) -> anyhow::Result<()> {
    ensure!(due_accounts(environment).await? == 1, "the account should be in the due index");
    let connections = api.call(Method::GET, "connections", None).await?;
    let id = text(&connections["data"][0], "id")?;
    api.call(Method::DELETE, &format!("connections/{id}"), None).await?;
    let connections = api.call(Method::GET, "connections", None).await?;
    ensure!(connections["data"] == json!([]), "{connections}");
    ensure!(due_accounts(environment).await? == 0, "the account is still due");
    Ok(())
}

/// Returns how many accounts are in the due index.
async fn due_accounts(environment: &TestEnvironment) -> anyhow::Result<usize> {
    let mut count = 0;
    for shard in 0..DUE_SHARDS {
        let query = json!({
            "TableName": environment.deployment.resource("Table")?,
            "KeyConditionExpression": "pk = :shard",
            "ExpressionAttributeValues": {":shard": {"S": format!("DUE#{shard:02}")}},
        });
        let answer = environment.deployment.account.call("dynamodb", "query", query).await?;
        count += answer["Items"].as_array().map_or(0, Vec::len);
    }
    Ok(count)
}

/// Returns the schedules that functions have created.
async fn schedules(environment: &TestEnvironment) -> anyhow::Result<Vec<Value>> {
    environment.deployment.schedules(environment.deployment.resource("Schedules")?).await
}

fn text(value: &Value, field: &str) -> anyhow::Result<String> {
    Ok(value[field].as_str().with_context(|| format!("{field} in {value}"))?.to_owned())
}
