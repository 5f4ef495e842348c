//! From the first login to the disconnection: over the deployed API, with real Lambda processes, queues and
//! schedules between them. The step that fails names itself.

use anyhow::{Context, bail, ensure};
use hosts::ministack::Roles;
use hosts::stage::{Stage, WORKSPACE};
use http::Method;
use jiff::{SignedDuration, Timestamp, ToSpan};
use journeys::{launch_document, numbers};
use local::main_job::Api;
use serde_json::{Value, json};

/// How far ahead an activation is planned: enough for the call itself on a busy machine.
const SOON: SignedDuration = SignedDuration::from_secs(4);

#[tokio::test]
#[ignore = "run by cargo xtask hosts"]
async fn an_advertiser_connects_is_mirrored_launches_schedules_and_leaves() {
    journey(Roles::Ignored, "journey").await.unwrap();
}

#[tokio::test]
#[ignore = "run by cargo xtask hosts"]
async fn every_role_suffices_for_the_whole_journey() {
    journey(Roles::Enforced, "journey").await.unwrap();
}

async fn journey(roles: Roles, stack: &str) -> anyhow::Result<()> {
    let stage = Stage::deploy(roles, stack).await?;
    let api = stage.api(WORKSPACE)?;
    let told = async {
        let rule = connect_and_ask_for_a_rule(&stage, &api).await.context("connect")?;
        backfill(&stage, &api).await.context("backfill")?;
        obey_the_rule(&stage, &api, &rule).await.context("rule")?;
        follow_the_story(&stage, &api).await.context("telemetry")?;
        let campaign = launch(&stage, &api).await.context("launch")?;
        withdraw_a_schedule(&stage, &api, &campaign).await.context("withdrawn schedule")?;
        activate(&stage, &api, &campaign).await.context("activation")?;
        hear_of_a_change(&stage, &api, &campaign).await.context("webhook")?;
        look_after_accounts(&stage).await.context("watch")?;
        disconnect(&stage, &api).await.context("disconnect")
    };
    if let Err(error) = told.await {
        let complaints = stage.deployment.complaints().await?;
        return Err(error.context(format!("target/hosts/{}; {complaints}", stage.ministack.name())));
    }
    // Nothing was given up on the way.
    for queue in stage.deployment.queues() {
        let dead = stage.deployment.messages(&format!("{queue}-dead")).await?;
        ensure!(dead == 0, "{queue} has {dead} dead letters");
    }
    stage.end().await
}

async fn connect_and_ask_for_a_rule(stage: &Stage, api: &Api) -> anyhow::Result<String> {
    let connected = stage.connect(api).await?;
    ensure!(connected["ad_accounts"].as_array().is_some_and(|all| all.len() == 3), "{connected}");
    let rule = json!({
        "name": "Pause whatever spends",
        "level": "campaign",
        "when": {"metric": "spend", "window": "last_7_days", "is": "above", "value": "0"},
        "guard": {"min_impressions": 1},
        "action": {"do": "pause"},
    });
    let added = api.call(Method::POST, "rules", Some(&rule)).await?;
    text(&added, "id")
}

/// The account is mirrored through the queues, and its numbers are Meta's to the cent.
async fn backfill(stage: &Stage, api: &Api) -> anyhow::Result<()> {
    stage.select(api, true).await?;
    let progress = stage.measured(api).await?;
    ensure!(progress["chunks"]["done"] == 13, "{progress}");
    let (account, today) = (stage.sim.account().id, stage.today()?);
    for days in [1, 8, 30] {
        let since = today.saturating_sub((days - 1).days());
        let rows = stage.sim.fact_rows(since, today);
        ensure!(!rows.is_empty(), "nothing to compare");
        numbers::assert_equal(api, &account, &rows, since, today).await?;
    }
    let campaigns = api.all(&format!("{}campaigns", stage.ad_account())).await?;
    ensure!(campaigns.len() == 6, "{} campaigns", campaigns.len());
    Ok(())
}

/// The last measured week has had the rules evaluated: they decided, acted, and kept why.
async fn obey_the_rule(stage: &Stage, api: &Api, rule: &str) -> anyhow::Result<()> {
    let made = stage.until("the rule has decided", async || {
        let made = api.all(&format!("rules/{rule}/decisions")).await?;
        let open = made.is_empty() || made.iter().any(|decision| decision["outcome"] == "deciding");
        Ok(if open { Err(json!(made)) } else { Ok(made) })
    });
    let made = made.await?;
    let paused = made.iter().find(|decision| decision["outcome"] == "done");
    let paused = paused.with_context(|| format!("nothing was paused: {made:?}"))?;
    let campaign = stage.sim.campaign(&text(paused, "object")?).context("an unknown campaign")?;
    ensure!(campaign["status"] == "PAUSED", "{campaign}");
    Ok(())
}

/// One correlation id leads from the request through every message that it caused, and the metrics of their lines
/// are those that the alarms look at.
async fn follow_the_story(stage: &Stage, api: &Api) -> anyhow::Result<()> {
    let units = async |function: &str, what: &str| {
        let units = stage.deployment.units(function).await?;
        anyhow::Ok(units.into_iter().filter(|unit| unit["what"] == what).collect::<Vec<_>>())
    };
    let selection = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/selection";
    let [request] = &units("auth-meta", selection).await?[..] else { bail!("one request, one line") };
    let [account] = &units("sync-entities", "sync_account").await?[..] else { bail!("one sync, one line") };
    // The line of an invocation comes at its end, after the work that others have waited for.
    let weeks = stage.until("every week has its line", async || {
        let weeks = units("sync-metrics-chunk", "sync_chunk").await?;
        Ok(if weeks.len() < 13 { Err(json!(weeks.len())) } else { Ok(weeks) })
    });
    let weeks = weeks.await?;
    ensure!(weeks.len() == 13, "{} lines for 13 weeks", weeks.len());
    let rules = units("evaluate-rules", "evaluate_rules").await?;
    for unit in [account].into_iter().chain(&weeks).chain(&rules) {
        ensure!(unit["correlation"] == request["correlation"], "{unit} does not follow from {request}");
        ensure!(unit["outcome"] == "done", "{unit}");
    }
    let named = stage.deployment.name("sync-metrics-chunk");
    let embedded = &weeks[0]["_aws"]["CloudWatchMetrics"][0];
    ensure!(weeks[0]["Function"] == named, "another dimension than the alarms': {}", weeks[0]);
    ensure!(
        embedded["Namespace"] == "Adflight" && embedded["Dimensions"] == json!([["Function"]]),
        "{embedded}"
    );
    let written: u64 = weeks.iter().filter_map(|week| week["FactsWritten"].as_u64()).sum();
    let progress = stage.progress(api).await?;
    ensure!(progress["facts"]["items_written"] == written, "{written} facts in the lines, {progress}");
    Ok(())
}

async fn launch(stage: &Stage, api: &Api) -> anyhow::Result<String> {
    let document = launch_document(&stage.sim.account());
    let path = format!("{}campaigns", stage.ad_account());
    let key = [("idempotency-key", "winter")];
    let launched = api.call_with(Method::POST, &path, Some(&document), &key).await?;
    ensure!(launched["state"] == "committed", "{launched}");
    for field in ["campaign_id", "adset_id", "ad_id"] {
        let made = stage.sim.node(&text(&launched, field)?).context("it is not at Meta")?;
        ensure!(made["status"] == "PAUSED", "{made}");
    }
    let again = api.call_with(Method::POST, &path, Some(&document), &key).await?;
    ensure!(again == launched, "the same key launched again: {again}");
    text(&launched, "campaign_id")
}

/// What Scheduler is told of an activation in another zone, which the emulator ignores; and that it forgets it.
async fn withdraw_a_schedule(stage: &Stage, api: &Api, campaign: &str) -> anyhow::Result<()> {
    let before = schedules(stage).await?;
    let path = format!("{}campaigns/{campaign}/schedule", stage.ad_account());
    let wanted = json!({"activate_at": "2099-12-01T09:00:00", "timezone": "America/New_York"});
    api.call(Method::PUT, &path, Some(&wanted)).await?;
    let during = schedules(stage).await?;
    let new: Vec<&Value> = during.iter().filter(|schedule| !before.contains(schedule)).collect();
    let [timer] = new[..] else { bail!("{} new schedules", new.len()) };
    ensure!(timer["ScheduleExpression"] == "at(2099-12-01T09:00:00)", "{timer}");
    ensure!(timer["ScheduleExpressionTimezone"] == "America/New_York", "{timer}");
    ensure!(timer["ActionAfterCompletion"] == "DELETE", "{timer}");
    ensure!(timer["FlexibleTimeWindow"]["Mode"] == "OFF", "{timer}");
    let role = text(&timer["Target"], "RoleArn")?;
    ensure!(role.ends_with(stage.deployment.resource("SchedulesRole")?), "{role}");
    let queue = stage.deployment.queue("manage-campaign").await?;
    ensure!(timer["Target"]["Arn"] == queue["QueueArn"], "{timer}");
    api.call(Method::DELETE, &path, None).await?;
    ensure!(schedules(stage).await? == before, "the withdrawn schedule is still there");
    Ok(())
}

/// The timer fires, the campaign runs at Meta, and the timer is gone.
async fn activate(stage: &Stage, api: &Api, campaign: &str) -> anyhow::Result<()> {
    let before = schedules(stage).await?;
    let path = format!("{}campaigns/{campaign}/schedule", stage.ad_account());
    let soon = (stage.now() + SOON).strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let planned = json!({"activate_at": soon, "timezone": "UTC"});
    let planned = api.call(Method::PUT, &path, Some(&planned)).await?;
    ensure!(planned["state"] == "scheduled", "{planned}");
    let paused = stage.sim.campaign(campaign).context("no campaign")?;
    ensure!(paused["status"] == "PAUSED", "too early: {paused}");
    let shown = stage.until("the campaign is activated", async || {
        let shown = api.call(Method::GET, &path, None).await?;
        let open = shown["state"] == "scheduled" || shown["state"] == "activating";
        Ok(if open { Err(shown) } else { Ok(shown) })
    });
    let shown = shown.await?;
    ensure!(shown["state"] == "activated", "{shown}");
    let at: Timestamp = format!("{soon}Z").parse()?;
    ensure!(stage.now() >= at, "activated before its time");
    let active = stage.sim.campaign(campaign).context("no campaign")?;
    ensure!(active["status"] == "ACTIVE", "{active}");
    ensure!(schedules(stage).await? == before, "the timer is still there");
    Ok(())
}

/// Meta says that something changed; exactly that is read again, once however often it is said.
async fn hear_of_a_change(stage: &Stage, api: &Api, campaign: &str) -> anyhow::Result<()> {
    let door = format!("{}/v1/webhooks/meta", stage.deployment.url);
    let http = reqwest::Client::new();
    let handshake = [
        ("hub.mode", "subscribe"),
        ("hub.challenge", "1158201444"),
        ("hub.verify_token", &stage.verify_token),
    ];
    let challenge = http.get(&door).query(&handshake).send().await?.text().await?;
    ensure!(challenge == "1158201444", "{challenge}");
    let forged = http.post(&door).header("x-hub-signature-256", "sha256=00").body("{}").send().await?;
    ensure!(forged.status() == 403, "a forged webhook is answered {}", forged.status());

    stage.sim.update_node(campaign, json!({"name": "Renamed in Ads Manager"}));
    let (calls, now) = (stage.sim.calls(), stage.now());
    api.deliver_change(&stage.sim, &json!(campaign), now).await?;
    let path = format!("{}campaigns/{campaign}", stage.ad_account());
    stage
        .until("the change is read", async || {
            let shown = api.call(Method::GET, &path, None).await?;
            Ok(if shown["name"] == "Renamed in Ads Manager" { Ok(()) } else { Err(shown) })
        })
        .await?;
    stage.idle().await?;
    for _ in 0..3 {
        api.deliver_change(&stage.sim, &json!(campaign), now).await?;
    }
    stage.idle().await?;
    let read = stage.sim.calls() - calls;
    ensure!(read == 1, "{read} calls for one change");
    Ok(())
}

/// What the template's own schedule sends to the function is understood by it.
async fn look_after_accounts(stage: &Stage) -> anyhow::Result<()> {
    let watch = stage.deployment.schedule("default", "watch-accounts").await?;
    let invoke = json!({
        "FunctionName": stage.deployment.name("sync-entities"), "Payload": text(&watch["Target"], "Input")?,
    });
    let answer = stage.deployment.account.call("lambda", "invoke", invoke).await?;
    ensure!(answer["StatusCode"] == 200 && answer.get("FunctionError").is_none(), "{answer}");
    Ok(())
}

/// The token is forgotten, and each beat ends with its next message.
async fn disconnect(stage: &Stage, api: &Api) -> anyhow::Result<()> {
    let beats = schedules(stage).await?;
    ensure!(beats.len() == 2, "syncs and rules should beat: {beats:?}");
    let connections = api.call(Method::GET, "connections", None).await?;
    let id = text(&connections["data"][0], "id")?;
    api.call(Method::DELETE, &format!("connections/{id}"), None).await?;
    let connections = api.call(Method::GET, "connections", None).await?;
    ensure!(connections["data"] == json!([]), "{connections}");
    let calls = stage.sim.calls();
    for beat in &beats {
        // What Scheduler sends, to the queue that it sends to.
        let arn = text(&beat["Target"], "Arn")?;
        let queue = arn.rsplit_once(&stage.deployment.name("")).context("another stack's queue")?.1;
        let send = json!({
            "QueueUrl": stage.deployment.queue_url(queue).await?,
            "MessageBody": text(&beat["Target"], "Input")?,
        });
        stage.deployment.account.call("sqs", "send_message", send).await?;
    }
    stage
        .until("the beats have ended", async || {
            let left = schedules(stage).await?;
            Ok(if left.is_empty() { Ok(()) } else { Err(json!(left)) })
        })
        .await?;
    ensure!(stage.sim.calls() == calls, "Meta was asked without a connection");
    Ok(())
}

/// What Scheduler holds for the functions.
async fn schedules(stage: &Stage) -> anyhow::Result<Vec<Value>> {
    stage.deployment.schedules(stage.deployment.resource("Schedules")?).await
}

fn text(value: &Value, field: &str) -> anyhow::Result<String> {
    Ok(value[field].as_str().with_context(|| format!("{field} in {value}"))?.to_owned())
}
