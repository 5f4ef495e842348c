//! Tests of what survives a restart, and of what prevents a start.

use std::fs;

use graph_sim::{GraphSim, Source, StartError};
use reqwest::Method;
use serde_json::json;

use crate::client::{Client, ManualClock, config, generated};

#[tokio::test]
async fn what_was_made_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let time = ManualClock::new();
    let start = async || {
        let mut config = config(generated(), &time);
        config.journal = Some(folder.path().join("journal.jsonl"));
        Client::with_config(config, time.clone()).await.unwrap()
    };
    let first = start().await;
    let (one, two) = (first.new_campaign().await, first.new_campaign().await);
    assert_ne!(one, two);
    first.post(&one, &[("name", "Renamed"), ("daily_budget", "7000")]).await;
    first.send(Method::DELETE, &two, &[]).await.unwrap();
    first.error(Method::POST, &one, &[("daily_budget", "1")]).await;
    let before = (first.sim.node(&one), first.sim.node(&two));
    let token = first.token.clone();
    first.sim.stop().await;

    time.advance_minutes(600);
    let mut second = start().await;
    assert_eq!((second.sim.node(&one), second.sim.node(&two)), before);
    assert_eq!(before.0.unwrap()["created_time"], "2026-11-20T10:00:00+0800");
    let third = second.new_campaign().await;
    assert!(third != one && third != two);
    second.token = token;
    second.get("me", &[]).await;
}

#[tokio::test]
async fn a_broken_journal_is_reported_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal.jsonl");
    let unknown = json!({"method": "POST", "path": "42", "params": {}, "time": "2026-11-20T02:00:00Z"});
    fs::write(&journal, format!("\n{unknown}\n")).unwrap();
    let time = ManualClock::new();
    let mut config = config(generated(), &time);
    config.journal = Some(journal);
    let error = GraphSim::start(config).await.err().unwrap().to_string();
    assert!(error.contains("journal.jsonl:2: Unsupported post request"), "{error}");
}

#[tokio::test]
async fn a_broken_recording_names_its_file_and_place() {
    let folder = tempfile::tempdir().unwrap();
    let start = async || {
        let source = Source::EventRecord { folder: folder.path().to_owned(), timezone: None };
        GraphSim::start(config(source, &ManualClock::new())).await.err().map(|error| error.to_string())
    };
    let write = |file: &str, text: &str| fs::write(folder.path().join(file), text).unwrap();
    assert!(start().await.unwrap().contains("account.json: "));
    write("account.json", r#"{"id": "act_5", "name": "A", "currency": "EUR"}"#);
    write("campaigns.json", "{\"data\": [\n  {\"id\": \"1\", \"name\": \"C\"},\n  {\"id\": 2}\n]}");
    write("adsets.json", "[]");
    write("ads.json", "[]");
    write("insights_ad_day.json", "{\"data\": []}");
    assert_eq!(
        start().await.unwrap(),
        "campaigns.json:3:11: expected `id` to be the digits of an id, as text, found 2"
    );
    write("campaigns.json", "[");
    assert!(start().await.unwrap().starts_with("campaigns.json:1:1: EOF while parsing"));
    write("campaigns.json", "[]");
    assert_eq!(start().await, None);
}

#[tokio::test]
async fn a_port_in_use_is_reported() {
    let time = ManualClock::new();
    let sim = GraphSim::start(config(generated(), &time)).await.unwrap();
    let port: u16 = sim.base_url().rsplit_once(':').unwrap().1.parse().unwrap();
    let mut second = config(generated(), &time);
    second.port = port;
    assert!(
        matches!(GraphSim::start(second).await, Err(StartError::Port { port: taken, .. }) if taken == port)
    );
    sim.stop().await;
    let mut third = config(generated(), &time);
    third.port = port;
    assert!(GraphSim::start(third).await.is_ok());
}
