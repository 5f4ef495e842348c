//! The packed Worker in workerd: Meta at its door, SQS behind it. "Exactly one effect" is counted at the very end,
//! in what the function on Lambda causes.
//!
//! Cloudflare's emulator keeps a queue in the memory of its process, so a Worker cannot be stopped here and find its
//! queue again, as it would at Cloudflare. What can be shown is that the code is broken off in the middle of a
//! batch and instantiated anew, and that the batch comes again.

mod aws_signature;
mod far_end;

use std::time::Duration;

use anyhow::{Context, ensure};
use hmac::{Hmac, KeyInit, Mac};
use hosts::edge::{APP_SECRET, AWS_KEY, Edge, PREVIOUS_APP_SECRET, Setup, VERIFY_TOKEN};
use hosts::ministack::Roles;
use hosts::stage::{Stage, WORKSPACE};
use http::Method;
use journeys::canary::{Canaries, Place};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use self::far_end::{ACCOUNT, FarEnd, Weather};

/// How long anything may take on a busy machine: several tries with growing pauses between them.
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(100);

/// What the Worker says after each batch, and at each turn of its cron.
const BATCH: &str = "A batch was forwarded.";
const HEALTH: &str = "The Worker looked around.";

struct Story {
    edge: Edge,
    far: FarEnd,
    http: Client,
}

impl Story {
    async fn begin() -> anyhow::Result<Self> {
        Self::begin_with(|_| {}).await
    }

    async fn begin_with(change: impl FnOnce(&mut Setup)) -> anyhow::Result<Self> {
        let far = FarEnd::start().await?;
        let mut setup = Setup::of(&far.queue_url);
        change(&mut setup);
        Ok(Self { edge: Edge::start(&setup).await?, far, http: Client::new() })
    }

    /// Posts a body with these signatures.
    async fn post(&self, body: &str, signatures: &[&str]) -> anyhow::Result<(StatusCode, Value)> {
        let mut request = self.http.post(format!("{}/v1/webhooks/meta", self.edge.url)).body(body.to_owned());
        for signature in signatures {
            request = request.header("x-hub-signature-256", *signature);
        }
        let answer = request.send().await?;
        let status = answer.status();
        Ok((status, serde_json::from_str(&answer.text().await?).unwrap_or_default()))
    }

    /// Posts as Meta does. 200 is the promise that nothing will be lost.
    async fn deliver(&self, body: &str) -> anyhow::Result<u64> {
        let (status, answer) = self.post(body, &[&signature(APP_SECRET, body)?]).await?;
        ensure!(status == 200, "{status} {answer}");
        answer["accepted"].as_u64().context("no count")
    }

    async fn handshake(&self, query: &str) -> anyhow::Result<(StatusCode, String)> {
        let answer = self.http.get(format!("{}/v1/webhooks/meta?{query}", self.edge.url)).send().await?;
        Ok((answer.status(), answer.text().await?))
    }

    /// Waits until so many messages have arrived at AWS, and lets them be taken in.
    async fn arrived(&mut self, count: u64) -> anyhow::Result<()> {
        until(&format!("{count} messages have arrived"), async || {
            let waiting = self.far.waiting().await?;
            if waiting >= count {
                return Ok(Ok(()));
            }
            Ok(Err(json!([waiting, self.edge.lines(BATCH).await?.last()])))
        })
        .await?;
        self.far.take_in().await.map(drop)
    }

    /// Every one of these objects was told to be synced once, and nothing else was.
    async fn each_has_one_effect(&self, objects: impl Iterator<Item = u64>) -> anyhow::Result<()> {
        let effects = self.far.effects().await?;
        let expected = objects.map(|object| (object, 1)).collect();
        ensure!(effects == expected, "expected one effect of each of {expected:?}, got {effects:?}");
        Ok(())
    }

    /// Nothing secret is in the Worker's lines, in its calls to AWS and its dead letters.
    async fn end(mut self) -> anyhow::Result<()> {
        let canaries = Canaries::default();
        for (name, secret) in [
            ("the app's secret", APP_SECRET),
            ("the app's old secret", PREVIOUS_APP_SECRET),
            ("the verify token", VERIFY_TOKEN),
            ("the edge user's key", AWS_KEY),
        ] {
            canaries.add(name, secret);
        }
        for call in self.far.calls() {
            canaries.hear(Place::Call, call.to_string());
        }
        for letter in self.edge.dead_letters().await? {
            canaries.hear(Place::Queue, letter.to_string());
        }
        self.edge.stop(&canaries).await
    }
}

async fn until<T>(
    what: &str,
    mut look: impl AsyncFnMut() -> anyhow::Result<Result<T, Value>>,
) -> anyhow::Result<T> {
    let mut seen = Value::Null;
    let looking = async {
        let mut ticks = tokio::time::interval(PAUSE);
        loop {
            ticks.tick().await;
            match look().await? {
                Ok(found) => return anyhow::Ok(found),
                Err(other) => seen = other,
            }
        }
    };
    let found = tokio::time::timeout(PATIENCE, looking).await;
    found.with_context(|| format!("not in time: {what}; last seen: {seen}"))?
}

fn signature(secret: &str, body: &str) -> anyhow::Result<String> {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())?.chain_update(body);
    Ok(format!("sha256={}", hex::encode(mac.finalize().into_bytes())))
}

/// How often the code was broken off.
fn broken(logs: &[String]) -> usize {
    logs.iter().filter(|line| line.starts_with("Broken on purpose")).count()
}

/// A delivery that says of each of these ads that it has issues.
fn delivery(ads: impl Iterator<Item = u64>) -> String {
    let changes = ads
        .map(|ad| json!({"field": "with_issues_ad_objects", "value": {"id": ad.to_string(), "level": "AD"}}));
    let changes: Vec<_> = changes.collect();
    let entry = json!([{"id": ACCOUNT, "time": 1_796_000_000, "changes": changes}]);
    json!({"object": "ad_account", "entry": entry}).to_string()
}

#[tokio::test]
#[ignore = "run by cargo xtask hosts"]
async fn the_handshake_answers_the_challenge_to_whom_knows_the_token() {
    let story = Story::begin().await.unwrap();
    let ask = |token: &str| format!("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token={token}");
    let (status, answer) = story.handshake(&ask(VERIFY_TOKEN)).await.unwrap();
    assert_eq!((status.as_u16(), answer.as_str()), (200, "1158201444"));
    for (query, expected) in
        [(ask("guess"), 403), (ask(""), 403), (ask(APP_SECRET), 403), (String::new(), 400)]
    {
        let (status, answer) = story.handshake(&query).await.unwrap();
        assert_eq!(status, expected, "{query}: {answer}");
    }
    let elsewhere = story.http.get(format!("{}/v1/webhooks", story.edge.url)).send().await.unwrap();
    assert_eq!(elsewhere.status(), 404);
    story.end().await.unwrap();
}

#[tokio::test]
#[ignore = "run by cargo xtask hosts"]
async fn only_what_meta_has_signed_comes_in() {
    let mut story = Story::begin().await.unwrap();
    // As Meta writes it: everything beyond ASCII escaped, and signed so.
    let escaped = delivery([1].into_iter())
        .replace(r#""level":"AD""#, r#""level":"AD","error_summary":"\u00fcber \ud83d\ude00""#);
    let good = signature(APP_SECRET, &escaped).unwrap();
    let (status, answer) = story.post(&escaped, &[&good]).await.unwrap();
    assert_eq!((status.as_u16(), &answer), (200, &json!({"accepted": 1})));
    // While the app's secret is being changed at Meta, either signs.
    let before = delivery([2].into_iter());
    let (status, answer) =
        story.post(&before, &[&signature(PREVIOUS_APP_SECRET, &before).unwrap()]).await.unwrap();
    assert_eq!(status, 200, "{answer}");

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
        let (status, answer) = story.post(body, signatures).await.unwrap();
        assert_eq!(status, 403, "{signatures:?} for {body}: {answer}");
    }
    // Hex has no case.
    let (status, answer) = story.post(&other, &[&upper]).await.unwrap();
    assert_eq!(status, 200, "{answer}");
    // Signed, and no webhook all the same.
    for broken in ["", "{}", "[1", "\u{0}"] {
        let (status, answer) = story.post(broken, &[&signature(APP_SECRET, broken).unwrap()]).await.unwrap();
        assert_eq!(status, 400, "{broken}: {answer}");
    }
    story.arrived(3).await.unwrap();
    story.each_has_one_effect(1..=3).await.unwrap();
    story.end().await.unwrap();
}

#[tokio::test]
#[ignore = "run by cargo xtask hosts"]
async fn a_body_beyond_the_limit_is_refused_whether_it_says_so_or_not() {
    let mut story = Story::begin().await.unwrap();
    let large = " ".repeat(1024 * 1024 + 1);
    let (status, answer) = story.post(&large, &[&signature(APP_SECRET, &large).unwrap()]).await.unwrap();
    assert_eq!(status, 413, "{answer}");
    let chunk = " ".repeat(64 * 1024);
    let body: Vec<_> = (0..17).map(|_| format!("{:x}\r\n{chunk}\r\n", chunk.len())).collect();
    let answer = story.post_in_chunks(&body.concat()).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    // What comes in pieces and keeps to the limit is taken.
    let text = delivery([1].into_iter());
    let signed = signature(APP_SECRET, &text).unwrap();
    let (first, second) = text.split_at(text.len() / 2);
    let body = format!("{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n", first.len(), second.len());
    let answer = story.post_in_chunks_signed(&body, &signed).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    story.arrived(1).await.unwrap();
    story.end().await.unwrap();
}

impl Story {
    async fn post_in_chunks(&self, chunks: &str) -> anyhow::Result<String> {
        self.post_in_chunks_signed(chunks, "sha256=00").await
    }

    /// A body whose length nobody tells beforehand. Answers the first line.
    async fn post_in_chunks_signed(&self, chunks: &str, signature: &str) -> anyhow::Result<String> {
        let address = self.edge.url.strip_prefix("http://").context("no address")?;
        let mut stream = TcpStream::connect(address).await?;
        let head = format!(
            "POST /v1/webhooks/meta HTTP/1.1\r\nhost: {address}\r\ntransfer-encoding: chunked\r\n\
             x-hub-signature-256: {signature}\r\nconnection: close\r\n\r\n"
        );
        // It may be refused, and the connection closed, before all of it was sent.
        let _sent = stream.write_all(format!("{head}{chunks}0\r\n\r\n").as_bytes()).await;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

#[tokio::test]
#[ignore = "run by cargo xtask hosts"]
async fn a_thousand_changes_of_one_delivery_and_one_that_comes_ten_times_have_one_effect_each() {
    let mut story = Story::begin().await.unwrap();
    assert_eq!(story.deliver(&delivery(1..=1000)).await.unwrap(), 1000);
    story.arrived(1000).await.unwrap();
    let calls = story.far.calls().len();
    assert!(calls < 150, "ten messages go in a call, not {calls} calls");
    let repeated = delivery(1001..=1100);
    for _ in 0..10 {
        assert_eq!(story.deliver(&repeated).await.unwrap(), 100);
    }
    story.arrived(1000).await.unwrap();
    story.each_has_one_effect(1..=1100).await.unwrap();
    story.end().await.unwrap();
}

#[tokio::test]
#[ignore = "run by cargo xtask hosts"]
async fn meta_gets_its_answer_while_sqs_is_out_of_reach_and_nothing_is_lost() {
    let mut story = Story::begin().await.unwrap();
    for (weather, first) in [(Weather::Unavailable, 1), (Weather::Hanging, 101)] {
        story.far.set(weather);
        let before = story.far.calls().len();
        story.deliver(&delivery(first..first + 50)).await.unwrap();
        story.deliver(&delivery(first + 50..first + 100)).await.unwrap();
        // It was tried in vain more than once.
        until("two tries", async || {
            let tries = story.far.calls().len() - before;
            Ok((tries >= 2).then_some(()).ok_or(json!(tries)))
        })
        .await
        .unwrap();
        assert_eq!(story.far.waiting().await.unwrap(), 0);
        story.far.set(Weather::Fair);
        story.arrived(100).await.unwrap();
        story.each_has_one_effect(first..first + 100).await.unwrap();
    }
    let batches = story.edge.lines(BATCH).await.unwrap();
    let unreached = |why: &str| {
        batches.iter().any(|line| line["out_of_reach"].as_str().is_some_and(|said| said.contains(why)))
    };
    assert!(unreached("503") && unreached("no answer in 10 s"), "{batches:?}");
    assert_eq!(story.edge.dead_letters().await.unwrap(), Vec::<Value>::new());
    story.end().await.unwrap();
}

#[tokio::test]
#[ignore = "run by cargo xtask hosts"]
async fn what_nobody_can_use_goes_to_the_dead_letters_with_its_reason_and_its_neighbours_go_on() {
    let mut story = Story::begin().await.unwrap();
    story.deliver(&delivery(1..=5)).await.unwrap();
    let evaluate = json!({"job": "evaluate_rules", "workspace": "demo", "ad_account": "act_77"});
    let elsewhere = json!({"correlation": "c", "job": evaluate}).to_string();
    story.edge.enqueue(&["no job at all".to_owned(), elsewhere]).await.unwrap();
    story.edge.enqueue_json(&json!({"a": [1, 2]})).await.unwrap();
    story.edge.enqueue(&["x".repeat(100_000)]).await.unwrap();
    // What Meta may well send and SQS does not take.
    let odd = delivery(6..=6).replace("with_issues_ad_objects", "\\uffff");
    story.deliver(&odd).await.unwrap();
    story.deliver(&delivery(7..=9)).await.unwrap();
    let letters = until("five dead letters", async || {
        let letters = story.edge.dead_letters().await?;
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
    story.arrived(8).await.unwrap();
    story.each_has_one_effect((1..=5).chain(7..=9)).await.unwrap();
    story.end().await.unwrap();
}

#[tokio::test]
#[ignore = "run by cargo xtask hosts"]
async fn a_message_that_breaks_the_code_is_buried_and_takes_no_neighbour_along() {
    let mut story = Story::begin_with(|setup| setup.brittle = true).await.unwrap();
    let breaking = delivery(4..=4).replace("with_issues_ad_objects", "break-the-worker");
    // In one batch with those before and after it.
    let both = [delivery(1..=3), breaking, delivery(5..=7)];
    for body in &both {
        story.deliver(body).await.unwrap();
    }
    // Another batch comes between that run and the next try of its messages.
    until("the code is broken", async || {
        Ok(if broken(story.edge.logs().await?) > 0 { Ok(()) } else { Err(Value::Null) })
    })
    .await
    .unwrap();
    story.deliver(&delivery(9..=9)).await.unwrap();
    story.arrived(1).await.unwrap();
    let letters = until("one dead letter", async || {
        let letters = story.edge.dead_letters().await?;
        Ok(if letters.is_empty() { Err(json!(letters)) } else { Ok(letters) })
    });
    let letters = letters.await.unwrap();
    assert_eq!(letters[0]["reason"], "the Worker broke while it handled this message");
    assert!(letters[0]["message"].as_str().unwrap().contains("break-the-worker"), "{letters:?}");
    story.arrived(6).await.unwrap();
    story.each_has_one_effect((1..=3).chain(5..=7).chain(9..=9)).await.unwrap();
    assert_eq!(story.edge.dead_letters().await.unwrap().len(), 1);
    assert_eq!(broken(story.edge.logs().await.unwrap()), 1, "once is enough to know the message");
    // The door is as open as before.
    story.deliver(&delivery(8..=8)).await.unwrap();
    story.arrived(1).await.unwrap();
    story.end().await.unwrap();
}

#[tokio::test]
#[ignore = "run by cargo xtask hosts"]
async fn a_consumer_that_breaks_off_after_sqs_has_the_messages_causes_no_second_effect() {
    let mut story = Story::begin_with(|setup| setup.brittle = true).await.unwrap();
    story.far.set(Weather::Breaking);
    story.deliver(&delivery(1..=30)).await.unwrap();
    until("broken off twice", async || {
        let calls = story.far.calls().len();
        Ok((calls >= 2).then_some(()).ok_or(json!(calls)))
    })
    .await
    .unwrap();
    story.far.set(Weather::Fair);
    // Thirty, and those again that had arrived before the Worker could hear of it.
    story.arrived(31).await.unwrap();
    let settled = until("the queue of the edge is empty", async || {
        story.far.take_in().await?;
        let done = story.edge.lines(BATCH).await?;
        let forwarded: u64 = done.iter().filter_map(|line| line["forwarded"].as_u64()).sum();
        Ok((forwarded >= 30).then_some(()).ok_or(json!(done)))
    });
    settled.await.unwrap();
    story.far.take_in().await.unwrap();
    story.each_has_one_effect(1..=30).await.unwrap();
    assert_eq!(story.edge.dead_letters().await.unwrap(), Vec::<Value>::new());
    story.end().await.unwrap();
}

#[tokio::test]
#[ignore = "run by cargo xtask hosts"]
async fn the_cron_says_what_the_worker_can_reach() {
    let mut story = Story::begin().await.unwrap();
    story.edge.cron().await.unwrap();
    story.far.set(Weather::Unavailable);
    story.edge.cron().await.unwrap();
    let lines = until("two lines", async || {
        let lines = story.edge.lines(HEALTH).await?;
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
    story.end().await.unwrap();

    let mut other_key = Story::begin_with(|setup| setup.key = "another".to_owned()).await.unwrap();
    other_key.edge.cron().await.unwrap();
    let lines = other_key.edge.lines(HEALTH).await.unwrap();
    assert!(lines[0]["sqs"].as_str().unwrap().contains("SignatureDoesNotMatch"), "{lines:?}");
    other_key.end().await.unwrap();
}

#[tokio::test]
#[ignore = "run by cargo xtask hosts"]
async fn what_comes_in_at_the_edge_is_read_by_the_deployed_functions_with_the_key_of_the_edge_user() {
    from_the_edge_to_lambda().await.unwrap();
}

async fn from_the_edge_to_lambda() -> anyhow::Result<()> {
    let stage = Stage::deploy(Roles::Enforced, "adflight-edge").await?;
    let api = stage.api(WORKSPACE)?;
    stage.connect(&api).await?;
    stage.select(&api, true).await?;
    stage.measured(&api).await?;
    let campaigns = api.all(&format!("{}campaigns", stage.ad_account())).await?;
    let campaign = campaigns.first().and_then(|campaign| campaign["id"].as_str()).context("no campaign")?;

    // What an operator does.
    let user = json!({"UserName": stage.deployment.output("EdgeUserName")?});
    let key = stage.deployment.account.call("iam", "create_access_key", user).await?["AccessKey"].take();
    let text = |field: &str| key[field].as_str().map(str::to_owned).with_context(|| format!("no {field}"));
    // The emulator names AWS's host, and answers at its own.
    let named = stage.deployment.queue_url("webhook-ingest").await?;
    let path = named.splitn(4, '/').last().context("no path")?;
    let mut setup = Setup::of(&format!("{}/{path}", stage.deployment.account.endpoint));
    setup.key_id = text("AccessKeyId")?;
    setup.key = text("SecretAccessKey")?;
    setup.app_secret = hosts::stage::APP_SECRET.to_owned();
    stage.canaries.add("the edge user's key", &setup.key);
    let mut edge = Edge::start(&setup).await?;

    stage.idle().await?;
    stage.sim.update_node(campaign, json!({"name": "Renamed in Ads Manager"}));
    let calls = stage.sim.calls();
    let value = json!({"id": campaign, "level": "CAMPAIGN", "status_name": "Active"});
    let changes = json!([{"field": "in_process_ad_objects", "value": value}]);
    let entry = json!([{"id": "0", "time": stage.now().as_second(), "changes": changes}]);
    let body = json!({"object": "ad_account", "entry": entry}).to_string();
    for _ in 0..3 {
        let post = Client::new().post(format!("{}/v1/webhooks/meta", edge.url)).body(body.clone());
        let answer = post.header("x-hub-signature-256", stage.sim.webhook_signature(&body)).send().await?;
        ensure!(answer.status() == 200, "{answer:?}");
    }
    let path = format!("{}campaigns/{campaign}", stage.ad_account());
    stage
        .until("the change is read", async || {
            let shown = api.call(Method::GET, &path, None).await?;
            let read = shown["name"] == "Renamed in Ads Manager";
            Ok(if read { Ok(()) } else { Err(json!([shown["name"], edge.lines(BATCH).await?])) })
        })
        .await?;
    stage
        .until("every delivery has come to AWS", async || {
            let batches = edge.lines(BATCH).await?;
            let forwarded: u64 = batches.iter().filter_map(|line| line["forwarded"].as_u64()).sum();
            Ok(if forwarded >= 3 { Ok(()) } else { Err(json!(batches)) })
        })
        .await?;
    stage.idle().await?;
    let read = stage.sim.calls() - calls;
    ensure!(read == 1, "{read} calls for one change");
    edge.cron().await?;
    let health = edge.lines(HEALTH).await?;
    ensure!(health.last().is_some_and(|line| line["healthy"] == true), "{named}: {health:?}");
    edge.stop(&stage.canaries).await?;
    stage.end().await
}
