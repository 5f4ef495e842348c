//! Live events: what changes is said once it can be read, to its own workspace alone, and nothing is missed.

use std::collections::BTreeSet;

use domain::live::{Changed, LiveEvent};
use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt};
use http::Method;
use jiff::SignedDuration;
use journeys::Scenario;
use local::demo::ApiClient;
use local::tenant::tenant;
use runtime::session::Role;
use serde_json::{Value, json};
use store::live::LiveEvents;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Returns the events after this one, when there are some.
async fn events(api: &ApiClient, after: u64) -> Vec<LiveEvent> {
    let found = api.call(Method::GET, &format!("events?after={after}&wait=20"), None).await.unwrap();
    assert_eq!(found["missed"], false, "{found}");
    serde_json::from_value(found["data"].clone()).unwrap()
}

async fn latest(api: &ApiClient) -> u64 {
    api.call(Method::GET, "events", None).await.unwrap()["latest"].as_u64().unwrap()
}

async fn ticket(api: &ApiClient) -> String {
    let ticket = api.call(Method::POST, "live/tickets", None).await.unwrap();
    ticket["url"].as_str().unwrap().to_owned()
}

async fn open(url: &str) -> Socket {
    connect_async(url).await.unwrap().0
}

/// Returns the next message, or the code with which the socket is closed.
async fn next(socket: &mut Socket) -> Result<Value, u16> {
    match socket.next().await.unwrap().unwrap() {
        Message::Text(text) => Ok(serde_json::from_str(&text).unwrap()),
        Message::Close(Some(frame)) => Err(frame.code.into()),
        other => panic!("{other:?}"),
    }
}

async fn invite(api: &ApiClient, email: &str) {
    api.call(Method::POST, "invitations", Some(&json!({"email": email, "role": "viewer"}))).await.unwrap();
}

#[tokio::test]
async fn a_sync_says_what_it_changed_and_ids_have_no_gap() {
    let scenario = Scenario::start().await.unwrap();
    let api = scenario.api().unwrap();
    assert_eq!(api.call(Method::GET, "events?after=0", None).await.unwrap()["data"], json!([]));
    scenario.connect_and_sync().await.unwrap();
    let ad_account: domain::id::AdAccountId = scenario.account().unwrap().parse().unwrap();
    let mut expected = BTreeSet::from([
        Changed::Audit,
        Changed::Connections,
        Changed::AdAccount { ad_account: ad_account.clone() },
        Changed::Metrics { ad_account: ad_account.clone() },
    ]);
    let levels = ["campaign", "adset", "ad"].map(|level| level.parse().unwrap());
    expected.extend(levels.map(|level| Changed::Entities { ad_account: ad_account.clone(), level }));
    let (mut last, mut said) = (0, BTreeSet::new());
    while !expected.is_subset(&said) {
        for event in events(&api, last).await {
            assert!(last == 0 || event.id == last + 1, "{} after {last}", event.id);
            last = event.id;
            said.extend(event.changed);
        }
    }

    // Who asks is answered as soon as something happens, and who was away too long is told.
    let end = latest(&api).await;
    let until_members = async {
        let mut after = end;
        loop {
            let found = events(&api, after).await;
            if found.iter().any(|event| event.changed.contains(&Changed::Members)) {
                return;
            }
            after = found.last().map_or(after, |event| event.id);
        }
    };
    tokio::join!(until_members, invite(&api, "ada@example.com"));
    for unknown in [1, end + 100] {
        let found = api.call(Method::GET, &format!("events?after={unknown}"), None).await.unwrap();
        assert_eq!((&found["missed"], &found["data"]), (&json!(true), &json!([])), "{found}");
        assert!(found["latest"].as_u64().unwrap() > end);
    }
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_socket_hears_its_own_workspace_and_a_ticket_opens_one() {
    let scenario = Scenario::start().await.unwrap();
    for name in ["ours", "theirs"] {
        scenario.system.create_workspace(name, name).await.unwrap();
    }
    let owner = |name| ApiClient::new(&scenario.system, name, Role::Owner).unwrap();
    let (ours, theirs) = (owner("ours"), owner("theirs"));
    // Also who may only read hears what changes.
    let viewer = ApiClient::new(&scenario.system, "ours", Role::Viewer).unwrap();
    let url = ticket(&viewer).await;
    let mut socket = open(&url).await;
    assert!(next(&mut socket).await.unwrap()["latest"].is_u64());
    assert_eq!(next(&mut open(&url).await).await, Err(4401), "a ticket was used twice");
    let late = ticket(&viewer).await;
    let forged = format!("{}x", ticket(&viewer).await);
    scenario.system.clock.advance(SignedDuration::from_secs(31));
    for refused in [&late, &forged] {
        assert_eq!(next(&mut open(refused).await).await, Err(4401));
    }

    invite(&theirs, "ada@example.com").await;
    invite(&ours, "bob@example.com").await;
    // The first may still be about the beginning of the workspace.
    let event = loop {
        let message = next(&mut socket).await.unwrap();
        let events: Vec<LiveEvent> = serde_json::from_value(message["events"].clone()).unwrap();
        if let Some(event) = events.into_iter().find(|event| event.changed.contains(&Changed::Audit)) {
            break event;
        }
    };
    let LiveEvents::After(stored) =
        scenario.system.table.live_events(&tenant("ours").unwrap(), 0, 10).await.unwrap()
    else {
        panic!("no events");
    };
    assert!(stored.contains(&event), "{stored:?}");
    socket.send(Message::text("ping")).await.unwrap();
    let mut answer = next(&mut socket).await.unwrap();
    while answer["latest"].is_null() {
        answer = next(&mut socket).await.unwrap();
    }
    assert!(answer["latest"].as_u64().unwrap() >= event.id);

    // After half an hour the session and the role are checked again.
    scenario.system.clock.advance(SignedDuration::from_mins(31));
    socket.send(Message::text("ping")).await.unwrap();
    while let Ok(message) = next(&mut socket).await {
        assert!(!message["latest"].is_null(), "{message}");
    }
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn nobody_publishes_without_the_key() {
    let scenario = Scenario::start().await.unwrap();
    let body = json!({"workspace": "demo", "events": [{"id": 1}]}).to_string();
    for headers in [&[][..], &[("x-adflight-signature", "AAAA")]] {
        let sent = scenario.send(Method::POST, "/live/publish", None, headers, Some(body.clone())).await;
        assert_eq!(sent.unwrap().status, 401);
    }
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn events_of_writers_at_the_same_time_have_contiguous_ids() {
    let scenario = Scenario::start().await.unwrap();
    let (workspace, now) = (tenant("busy").unwrap(), scenario.system.clock.now());
    let table = &scenario.system.table;
    let appended = join_all((0..8).map(|_| async {
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.push(table.append_live_event(&workspace, vec![Changed::Rules], now).await.unwrap().id);
        }
        assert!(ids.is_sorted());
        ids
    }));
    let ids: BTreeSet<u64> = appended.await.into_iter().flatten().collect();
    assert_eq!((ids.len(), ids.last().unwrap() - ids.first().unwrap()), (40, 39));
    let LiveEvents::After(rest) = table.live_events(&workspace, *ids.first().unwrap(), 100).await.unwrap()
    else {
        panic!("the first event is not there");
    };
    assert_eq!(rest.len(), 39);
    scenario.finish().await.unwrap();
}
