//! The packed Worker in workerd, with Meta in front of it and SQS behind it. "Exactly one effect" is counted at the
//! very end, in what the function on Lambda causes.
//!
//! Cloudflare's emulator holds a queue in the memory of its process, so a Worker cannot be stopped here and find its
//! queue again, as it would at Cloudflare. These tests show that the code is interrupted in the middle of a batch and
//! instantiated again, and that the batch is redelivered.

mod aws_backend;
mod aws_signature;

use std::time::Duration;

use anyhow::{Context, ensure};
use hmac::{Hmac, KeyInit, Mac};
use hosts::edge::{APP_SECRET, AWS_KEY, EdgeWorker, PREVIOUS_APP_SECRET, VERIFY_TOKEN, WorkerConfig};
use hosts::ministack::IamMode;
use hosts::test_environment::{TestEnvironment, WORKSPACE};
use http::Method;
use journeys::leak_scanner::{LeakChannel, LeakScanner};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use self::aws_backend::{ACCOUNT, Availability, AwsBackend};

/// The timeout of every condition on a busy machine: several attempts with growing pauses between them.
const CONDITION_TIMEOUT: Duration = Duration::from_secs(120);
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The Worker's log messages after each batch and after each run of its cron trigger.
const BATCH_MESSAGE: &str = "A batch was forwarded.";
const HEALTH_MESSAGE: &str = "The Worker's health was checked.";

struct Scenario {
    edge: EdgeWorker,
    backend: AwsBackend,
    http: Client,
}

impl Scenario {
    async fn start() -> anyhow::Result<Self> {
        Self::start_with(|_| {}).await
    }

    async fn start_with(change: impl FnOnce(&mut WorkerConfig)) -> anyhow::Result<Self> {
        let backend = AwsBackend::start().await?;
        let mut config = WorkerConfig::for_queue(&backend.queue_url);
        change(&mut config);
        Ok(Self { edge: EdgeWorker::start(&config).await?, backend, http: Client::new() })
    }

    /// Posts a body with these signatures.
    async fn post(&self, body: &str, signatures: &[&str]) -> anyhow::Result<(StatusCode, Value)> {
        let mut request = self.http.post(format!("{}/v1/webhooks/meta", self.edge.url)).body(body.to_owned());
        for signature in signatures {
            request = request.header("x-hub-signature-256", *signature);
        }
        let response = request.send().await?;
        let status = response.status();
        Ok((status, serde_json::from_str(&response.text().await?).unwrap_or_default()))
    }

    /// Posts as Meta does. 200 promises that nothing will be lost.
    async fn deliver(&self, body: &str) -> anyhow::Result<u64> {
        let (status, response) = self.post(body, &[&signature(APP_SECRET, body)?]).await?;
        ensure!(status == 200, "{status} {response}");
        response["accepted"].as_u64().context("no count")
    }

    async fn handshake(&self, query: &str) -> anyhow::Result<(StatusCode, String)> {
        let response = self.http.get(format!("{}/v1/webhooks/meta?{query}", self.edge.url)).send().await?;
        Ok((response.status(), response.text().await?))
    }

    /// Waits until this many messages have arrived at AWS, and processes them.
    async fn wait_for_messages(&mut self, count: u64) -> anyhow::Result<()> {
        until(&format!("{count} messages have arrived"), async || {
            let waiting = self.backend.waiting_messages().await?;
            if waiting >= count {
                return Ok(Ok(()));
            }
            Ok(Err(json!([waiting, self.edge.lines(BATCH_MESSAGE).await?.last()])))
        })
        .await?;
        self.backend.process_messages().await.map(drop)
    }

    /// Asserts that each of these objects was queued for a sync once, and nothing else was.
    async fn assert_one_effect_each(&self, objects: impl Iterator<Item = u64>) -> anyhow::Result<()> {
        let effects = self.backend.effects().await?;
        let expected = objects.map(|object| (object, 1)).collect();
        ensure!(effects == expected, "expected one effect of each of {expected:?}, got {effects:?}");
        Ok(())
    }

    /// Stops the scenario, and fails when a secret is in the Worker's lines, its calls to AWS or its dead letters.
    async fn finish(mut self) -> anyhow::Result<()> {
        let scanner = LeakScanner::default();
        for (name, secret) in [
            ("the app's secret", APP_SECRET),
            ("the app's old secret", PREVIOUS_APP_SECRET),
            ("the verify token", VERIFY_TOKEN),
            ("the edge user's key", AWS_KEY),
        ] {
            scanner.add_secret(name, secret);
        }
        for call in self.backend.calls() {
            scanner.record(LeakChannel::AwsCall, call.to_string());
        }
        for letter in self.edge.dead_letters().await? {
            scanner.record(LeakChannel::Queue, letter.to_string());
        }
        self.edge.stop(&scanner).await
    }
}

async fn until<T>(
    what: &str,
    mut look: impl AsyncFnMut() -> anyhow::Result<Result<T, Value>>,
) -> anyhow::Result<T> {
    let mut seen = Value::Null;
    let looking = async {
        let mut ticks = tokio::time::interval(POLL_INTERVAL);
        loop {
            ticks.tick().await;
            match look().await? {
                Ok(found) => return anyhow::Ok(found),
                Err(other) => seen = other,
            }
        }
    };
    let found = tokio::time::timeout(CONDITION_TIMEOUT, looking).await;
    found.with_context(|| format!("not in time: {what}; last seen: {seen}"))?
}

fn signature(secret: &str, body: &str) -> anyhow::Result<String> {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())?.chain_update(body);
    Ok(format!("sha256={}", hex::encode(mac.finalize().into_bytes())))
}

/// Returns how often the code was crashed.
fn crash_count(logs: &[String]) -> usize {
    logs.iter().filter(|line| line.starts_with("Broken on purpose")).count()
}

/// Returns a delivery with a change of each of these ads: it has issues.
fn delivery(ads: impl Iterator<Item = u64>) -> String {
    let changes = ads
        .map(|ad| json!({"field": "with_issues_ad_objects", "value": {"id": ad.to_string(), "level": "AD"}}));
    let changes: Vec<_> = changes.collect();
    let entry = json!([{"id": ACCOUNT, "time": 1_796_000_000, "changes": changes}]);
    json!({"object": "ad_account", "entry": entry}).to_string()
}

#[tokio::test]
#[ignore = "run by cargo xtask hosts"]
async fn the_handshake_echoes_the_challenge_only_for_the_verify_token() {
    let scenario = Scenario::start().await.unwrap();
    let ask = |token: &str| format!("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token={token}");
    let (status, response) = scenario.handshake(&ask(VERIFY_TOKEN)).await.unwrap();
    assert_eq!((status.as_u16(), response.as_str()), (200, "1158201444"));
    for (query, expected) in
        [(ask("guess"), 403), (ask(""), 403), (ask(APP_SECRET), 403), (String::new(), 400)]
    {
        let (status, response) = scenario.handshake(&query).await.unwrap();
        assert_eq!(status, expected, "{query}: {response}");
    }
    let elsewhere = scenario.http.get(format!("{}/v1/webhooks", scenario.edge.url)).send().await.unwrap();
    assert_eq!(elsewhere.status(), 404);
    scenario.finish().await.unwrap();
}

#[tokio::test]
#[ignore = "run by cargo xtask hosts"]
async fn only_webhooks_that_meta_signed_are_accepted() {
    let mut scenario = Scenario::start().await.unwrap();
    // As Meta writes it: everything beyond ASCII is escaped, and signed in that form.
    let escaped = delivery([1].into_iter())
        .replace(r#""level":"AD""#, r#""level":"AD","error_summary":"\u00fcber \ud83d\ude00""#);
    let good = signature(APP_SECRET, &escaped).unwrap();
    let (status, response) = scenario.post(&escaped, &[&good]).await.unwrap();
    assert_eq!((status.as_u16(), &response), (200, &json!({"accepted": 1, "set_aside": 0})));
    // While the app's secret is being changed at Meta, either secret signs.
    let before = delivery([2].into_iter());
    let (status, response) =
        scenario.post(&before, &[&signature(PREVIOUS_APP_SECRET, &before).unwrap()]).await.unwrap();
    assert_eq!(status, 200, "{response}");

    let other = delivery([3].into_iter());
    let of_other = signature(APP_SECRET, &other).unwrap();
    let upper = format!("sha256={}", of_other["sha256=".len()..].to_uppercase());
    let unescaped = escaped.replace("\\u00fc", "ü");
    let foreign = signature("another app's secret", &other).unwrap();
    let none = signature("", &other).unwrap();
    let refused: &[(&str, &[&str])] = &[
        (&other, &[]),
        (&other, &[""]),
        (&other, &["sha256="]),
        (&other, &[&of_other["sha256=".len()..]]),
        (&other, &[&of_other.replace("sha256", "sha1")]),
        (&other, &[&good]),
        (&other, &[&foreign]),
        (&other, &[&none]),
        (&other, &[&of_other, &of_other]),
        (&other, &[&of_other, &good]),
        (&other, &[&foreign, &of_other]),
        (&unescaped, &[&good]),
        (&format!("{other} "), &[&of_other]),
    ];
    for (body, signatures) in refused {
        let (status, response) = scenario.post(body, signatures).await.unwrap();
        assert_eq!(status, 403, "{signatures:?} for {body}: {response}");
    }
    // Hex digits may be upper or lower case.
    let (status, response) = scenario.post(&other, &[&upper]).await.unwrap();
    assert_eq!(status, 200, "{response}");
    // Signed, but no valid webhook.
    for broken in ["", "{}", "[1", "\u{0}"] {
        let (status, response) =
            scenario.post(broken, &[&signature(APP_SECRET, broken).unwrap()]).await.unwrap();
        assert_eq!(status, 400, "{broken}: {response}");
    }
    scenario.wait_for_messages(3).await.unwrap();
    scenario.assert_one_effect_each(1..=3).await.unwrap();
    scenario.finish().await.unwrap();
}

#[tokio::test]
#[ignore = "run by cargo xtask hosts"]
async fn a_body_beyond_the_limit_is_refused_with_and_without_a_content_length() {
    let mut scenario = Scenario::start().await.unwrap();
    // Refused by the length that it declares, before it is sent.
    let declared = format!("content-length: {}", 5 * 1024 * 1024 + 1);
    let response = scenario.post_raw(&declared, "{", "sha256=00").await.unwrap();
    assert!(response.starts_with("HTTP/1.1 413"), "{response}");
    let chunk = " ".repeat(64 * 1024);
    let body: Vec<_> = (0..81).map(|_| format!("{:x}\r\n{chunk}\r\n", chunk.len())).collect();
    let response = scenario.post_in_chunks(&body.concat()).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 413"), "{response}");
    // A chunked body within the limit is accepted.
    let text = delivery([1].into_iter());
    let signed = signature(APP_SECRET, &text).unwrap();
    let (first, second) = text.split_at(text.len() / 2);
    let body = format!("{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n", first.len(), second.len());
    let response = scenario.post_in_chunks_signed(&body, &signed).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    scenario.wait_for_messages(1).await.unwrap();
    scenario.finish().await.unwrap();
}

impl Scenario {
    async fn post_in_chunks(&self, chunks: &str) -> anyhow::Result<String> {
        self.post_in_chunks_signed(chunks, "sha256=00").await
    }

    /// Posts a body of undeclared length, and returns the first line of the response.
    async fn post_in_chunks_signed(&self, chunks: &str, signature: &str) -> anyhow::Result<String> {
        self.post_raw("transfer-encoding: chunked", &format!("{chunks}0\r\n\r\n"), signature).await
    }

    /// Posts with a header that tells the body's length, and returns the first line of the response.
    async fn post_raw(&self, length: &str, body: &str, signature: &str) -> anyhow::Result<String> {
        let address = self.edge.url.strip_prefix("http://").context("no address")?;
        let mut stream = TcpStream::connect(address).await?;
        let head = format!(
            "POST /v1/webhooks/meta HTTP/1.1\r\nhost: {address}\r\n{length}\r\n\
             x-hub-signature-256: {signature}\r\nconnection: close\r\n\r\n"
        );
        // The request may be refused, and the connection closed, before all of it is sent.
        let _sent = stream.write_all(format!("{head}{body}").as_bytes()).await;
        let mut response = [0; 12];
        stream.read_exact(&mut response).await?;
        Ok(String::from_utf8_lossy(&response).into_owned())
    }
}

#[tokio::test]
#[ignore = "run by cargo xtask hosts"]
async fn a_thousand_changes_in_one_delivery_and_one_delivered_ten_times_have_one_effect_each() {
    let mut scenario = Scenario::start().await.unwrap();
    assert_eq!(scenario.deliver(&delivery(1..=1000)).await.unwrap(), 1000);
    scenario.wait_for_messages(1000).await.unwrap();
    let calls = scenario.backend.calls().len();
    assert!(calls < 150, "ten messages go in a call, not {calls} calls");
    let repeated = delivery(1001..=1100);
    for _ in 0..10 {
        assert_eq!(scenario.deliver(&repeated).await.unwrap(), 100);
    }
    scenario.wait_for_messages(1000).await.unwrap();
    scenario.assert_one_effect_each(1..=1100).await.unwrap();
    scenario.finish().await.unwrap();
}

#[tokio::test]
#[ignore = "run by cargo xtask hosts"]
async fn meta_gets_its_response_while_sqs_is_unavailable_and_nothing_is_lost() {
    let mut scenario = Scenario::start().await.unwrap();
    for (availability, first) in [(Availability::Unavailable, 1), (Availability::Hanging, 101)] {
        scenario.backend.set_availability(availability);
        let before = scenario.backend.calls().len();
        scenario.deliver(&delivery(first..first + 50)).await.unwrap();
        scenario.deliver(&delivery(first + 50..first + 100)).await.unwrap();
        // It was retried without success.
        until("two attempts", async || {
            let attempts = scenario.backend.calls().len() - before;
            Ok((attempts >= 2).then_some(()).ok_or(json!(attempts)))
        })
        .await
        .unwrap();
        assert_eq!(scenario.backend.waiting_messages().await.unwrap(), 0);
        scenario.backend.set_availability(Availability::Available);
        scenario.wait_for_messages(100).await.unwrap();
        scenario.assert_one_effect_each(first..first + 100).await.unwrap();
    }
    let batches = scenario.edge.lines(BATCH_MESSAGE).await.unwrap();
    let unreached = |why: &str| {
        batches.iter().any(|line| line["sqs_error"].as_str().is_some_and(|said| said.contains(why)))
    };
    assert!(unreached("503") && unreached("no answer in 10 s"), "{batches:?}");
    assert_eq!(scenario.edge.dead_letters().await.unwrap(), Vec::<Value>::new());
    scenario.finish().await.unwrap();
}

#[tokio::test]
#[ignore = "run by cargo xtask hosts"]
async fn an_unusable_message_is_dead_lettered_with_its_reason_and_the_rest_of_its_batch_is_forwarded() {
    let mut scenario = Scenario::start().await.unwrap();
    scenario.deliver(&delivery(1..=5)).await.unwrap();
    let evaluate = json!({"job": "evaluate_rules", "workspace": "demo", "ad_account": "act_77"});
    let elsewhere = json!({"correlation": "c", "job": evaluate}).to_string();
    scenario.edge.enqueue(&["no job at all".to_owned(), elsewhere]).await.unwrap();
    scenario.edge.enqueue_json(&json!({"a": [1, 2]})).await.unwrap();
    scenario.edge.enqueue(&["x".repeat(100_000)]).await.unwrap();
    // A character that Meta may send and SQS does not accept.
    let odd = delivery(6..=6).replace("with_issues_ad_objects", "\\uffff");
    scenario.deliver(&odd).await.unwrap();
    scenario.deliver(&delivery(7..=9)).await.unwrap();
    let letters = until("five dead letters", async || {
        let letters = scenario.edge.dead_letters().await?;
        Ok(if letters.len() >= 5 { Ok(letters) } else { Err(json!(letters)) })
    });
    let mut letters = letters.await.unwrap();
    letters.sort_by_key(|letter| letter["reason"].to_string());
    let reasons: Vec<_> = letters.iter().map(|letter| letter["reason"].as_str().unwrap()).collect();
    assert!(reasons[0].starts_with("SQS refused it: InvalidMessageContents"), "{reasons:?}");
    assert_eq!(reasons[1], "a job of evaluate-rules came to another function");
    assert_eq!(reasons[2], "not a job: expected ident at line 1 column 2");
    assert!(reasons[3].starts_with("not a job: expected value"), "{reasons:?}");
    assert_eq!(reasons[4], "not a job: not a text");
    assert_eq!(letters[2]["message"], "no job at all");
    assert_eq!(letters[3]["message"].as_str().unwrap().len(), 20_000);
    assert_eq!(letters[4]["message"], r#"{"a":[1,2]}"#);
    scenario.wait_for_messages(8).await.unwrap();
    scenario.assert_one_effect_each((1..=5).chain(7..=9)).await.unwrap();
    scenario.finish().await.unwrap();
}

#[tokio::test]
#[ignore = "run by cargo xtask hosts"]
async fn a_message_that_crashes_the_worker_is_dead_lettered_and_the_rest_of_its_batch_is_forwarded() {
    let mut scenario = Scenario::start_with(|config| config.crashable = true).await.unwrap();
    let breaking = delivery(4..=4).replace("with_issues_ad_objects", "crash-the-worker");
    // In one batch with the messages before and after it.
    let both = [delivery(1..=3), breaking, delivery(5..=7)];
    for body in &both {
        scenario.deliver(body).await.unwrap();
    }
    // Another batch comes between the crash and the retry of its messages.
    until("the code is broken", async || {
        Ok(if crash_count(scenario.edge.logs().await?) > 0 { Ok(()) } else { Err(Value::Null) })
    })
    .await
    .unwrap();
    scenario.deliver(&delivery(9..=9)).await.unwrap();
    scenario.wait_for_messages(1).await.unwrap();
    let letters = until("one dead letter", async || {
        let letters = scenario.edge.dead_letters().await?;
        Ok(if letters.is_empty() { Err(json!(letters)) } else { Ok(letters) })
    });
    let letters = letters.await.unwrap();
    assert_eq!(letters[0]["reason"], "the Worker broke while it handled this message");
    assert!(letters[0]["message"].as_str().unwrap().contains("crash-the-worker"), "{letters:?}");
    scenario.wait_for_messages(6).await.unwrap();
    scenario.assert_one_effect_each((1..=3).chain(5..=7).chain(9..=9)).await.unwrap();
    assert_eq!(scenario.edge.dead_letters().await.unwrap().len(), 1);
    assert_eq!(crash_count(scenario.edge.logs().await.unwrap()), 1, "once is enough to know the message");
    // The Worker accepts webhooks as before.
    scenario.deliver(&delivery(8..=8)).await.unwrap();
    scenario.wait_for_messages(1).await.unwrap();
    scenario.finish().await.unwrap();
}

#[tokio::test]
#[ignore = "run by cargo xtask hosts"]
async fn a_consumer_that_crashes_after_sqs_has_the_messages_causes_no_second_effect() {
    let mut scenario = Scenario::start_with(|config| config.crashable = true).await.unwrap();
    scenario.backend.set_availability(Availability::CrashesWorker);
    scenario.deliver(&delivery(1..=30)).await.unwrap();
    until("broken off twice", async || {
        let calls = scenario.backend.calls().len();
        Ok((calls >= 2).then_some(()).ok_or(json!(calls)))
    })
    .await
    .unwrap();
    scenario.backend.set_availability(Availability::Available);
    // Thirty, and again those that had arrived before the Worker got the response.
    scenario.wait_for_messages(31).await.unwrap();
    let settled = until("the queue of the edge is empty", async || {
        scenario.backend.process_messages().await?;
        let done = scenario.edge.lines(BATCH_MESSAGE).await?;
        let forwarded: u64 = done.iter().filter_map(|line| line["forwarded"].as_u64()).sum();
        Ok((forwarded >= 30).then_some(()).ok_or(json!(done)))
    });
    settled.await.unwrap();
    scenario.backend.process_messages().await.unwrap();
    scenario.assert_one_effect_each(1..=30).await.unwrap();
    assert_eq!(scenario.edge.dead_letters().await.unwrap(), Vec::<Value>::new());
    scenario.finish().await.unwrap();
}

#[tokio::test]
#[ignore = "run by cargo xtask hosts"]
async fn the_cron_logs_the_health_of_sqs_and_the_queue_lengths() {
    let mut scenario = Scenario::start().await.unwrap();
    scenario.edge.cron().await.unwrap();
    scenario.backend.set_availability(Availability::Unavailable);
    scenario.edge.cron().await.unwrap();
    let lines = until("two lines", async || {
        let lines = scenario.edge.lines(HEALTH_MESSAGE).await?;
        Ok(if lines.len() >= 2 { Ok(lines) } else { Err(json!(lines)) })
    });
    let lines = lines.await.unwrap();
    let well = &lines[0];
    assert_eq!(
        (&well["healthy"], &well["waiting_at_aws"], &well["in_flight_at_aws"]),
        (&json!(true), &json!(3), &json!(2))
    );
    assert_eq!((&well["waiting"], &well["dead"], well.get("sqs")), (&json!(0), &json!(0), None), "{well}");
    assert_eq!(lines[1]["healthy"], false, "{}", lines[1]);
    assert!(lines[1]["sqs"].as_str().unwrap().contains("503"), "{}", lines[1]);
    scenario.finish().await.unwrap();

    let mut other_key = Scenario::start_with(|config| config.key = "another".to_owned()).await.unwrap();
    other_key.edge.cron().await.unwrap();
    let lines = other_key.edge.lines(HEALTH_MESSAGE).await.unwrap();
    assert!(lines[0]["sqs"].as_str().unwrap().contains("SignatureDoesNotMatch"), "{lines:?}");
    other_key.finish().await.unwrap();
}

#[tokio::test]
#[ignore = "run by cargo xtask hosts"]
async fn a_webhook_at_the_edge_is_processed_by_the_deployed_functions_with_the_key_of_the_edge_user() {
    from_the_edge_to_lambda().await.unwrap();
}

async fn from_the_edge_to_lambda() -> anyhow::Result<()> {
    let environment = TestEnvironment::deploy(IamMode::Enforced, "adflight-edge").await?;
    let api = environment.api(WORKSPACE)?;
    environment.connect(&api).await?;
    environment.select(&api, true).await?;
    environment.wait_until_measured(&api).await?;
    let campaigns = api.all(&format!("{}campaigns", environment.ad_account())).await?;
    let campaign = campaigns.first().and_then(|campaign| campaign["id"].as_str()).context("no campaign")?;

    // An operator does this.
    let user = json!({"UserName": environment.deployment.output("EdgeUserName")?});
    let key =
        environment.deployment.account.call("iam", "create_access_key", user).await?["AccessKey"].take();
    let text = |field: &str| key[field].as_str().map(str::to_owned).with_context(|| format!("no {field}"));
    // The emulator's URL names AWS's host, but it listens at its own.
    let named = environment.deployment.queue_url("webhook-ingest").await?;
    let path = named.splitn(4, '/').last().context("no path")?;
    let mut config = WorkerConfig::for_queue(&format!("{}/{path}", environment.deployment.account.endpoint));
    config.key_id = text("AccessKeyId")?;
    config.key = text("SecretAccessKey")?;
    config.app_secret = hosts::test_environment::APP_SECRET.to_owned();
    environment.scanner.add_secret("the edge user's key", &config.key);
    let mut edge = EdgeWorker::start(&config).await?;

    environment.wait_until_idle().await?;
    environment.sim.update_node(campaign, json!({"name": "Renamed in Ads Manager"}));
    let calls = environment.sim.calls();
    let value = json!({"id": campaign, "level": "CAMPAIGN", "status_name": "Active"});
    let changes = json!([{"field": "in_process_ad_objects", "value": value}]);
    let entry = json!([{"id": "0", "time": environment.now().as_second(), "changes": changes}]);
    let body = json!({"object": "ad_account", "entry": entry}).to_string();
    for _ in 0..3 {
        let post = Client::new().post(format!("{}/v1/webhooks/meta", edge.url)).body(body.clone());
        let response =
            post.header("x-hub-signature-256", environment.sim.webhook_signature(&body)).send().await?;
        ensure!(response.status() == 200, "{response:?}");
    }
    let path = format!("{}campaigns/{campaign}", environment.ad_account());
    environment
        .until("the change is read", async || {
            let view = api.call(Method::GET, &path, None).await?;
            let read = view["name"] == "Renamed in Ads Manager";
            Ok(if read { Ok(()) } else { Err(json!([view["name"], edge.lines(BATCH_MESSAGE).await?])) })
        })
        .await?;
    environment
        .until("every delivery has come to AWS", async || {
            let batches = edge.lines(BATCH_MESSAGE).await?;
            let forwarded: u64 = batches.iter().filter_map(|line| line["forwarded"].as_u64()).sum();
            Ok(if forwarded >= 3 { Ok(()) } else { Err(json!(batches)) })
        })
        .await?;
    environment.wait_until_idle().await?;
    let read = environment.sim.calls() - calls;
    ensure!(read == 1, "{read} calls for one change");
    edge.cron().await?;
    let health = edge.lines(HEALTH_MESSAGE).await?;
    ensure!(health.last().is_some_and(|line| line["healthy"] == true), "{named}: {health:?}");
    edge.stop(&environment.scanner).await?;
    environment.finish().await
}
