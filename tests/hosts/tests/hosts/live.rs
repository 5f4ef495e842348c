//! The hub of live events in workerd, with the function in front of it and clients at its sockets.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should stop where it stands"
)]

use std::time::Duration;

use domain::live::LiveEvent;
use futures_util::{SinkExt, StreamExt, stream};
use hosts::edge::EdgeWorker;
use journeys::Scenario;
use journeys::leak_scanner::LeakScanner;
use live_updates::key::HubKey;
use live_updates::{HubClient, LiveUpdates};
use local::tenant::tenant;
use middleware::Middleware;
use runtime::Clock;
use runtime::session::Role;
use runtime::stream::WrittenItem;
use serde_json::{Value, json};
use store::live::LiveEvents;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const KEY: &str = "5ec7e7-of-the-hub-and-of-the-api-alike";
/// Sockets in one workspace.
const SOCKETS: usize = 1000;
/// Of which a person has this many.
const SOCKETS_PER_PERSON: usize = 20;
/// Events that are published to all of them.
const EVENTS: usize = 40;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

struct Live {
    scenario: Scenario,
    edge: EdgeWorker,
    function: LiveUpdates,
}

async fn hub() -> EdgeWorker {
    let secrets = json!({"secrets": {"LIVE_HUB_KEY": KEY}});
    EdgeWorker::start_environment("live-updates", secrets).await.unwrap()
}

impl Live {
    async fn start() -> Self {
        let scenario = Scenario::start().await.unwrap();
        let edge = hub().await;
        let function = Self::function(&scenario, &edge);
        Self { scenario, edge, function }
    }

    /// Returns the function as it is on AWS, with this hub.
    fn function(scenario: &Scenario, edge: &EdgeWorker) -> LiveUpdates {
        let system = &scenario.system;
        let hub = HubClient::new(&edge.url, HubKey::new(KEY.into()).unwrap()).unwrap();
        let middleware = Middleware::new(&system.table, &system.host);
        // The hub has the machine's clock, and tickets are for its time.
        LiveUpdates::new(system.table.clone(), Clock::system(), middleware, Some(hub), Duration::ZERO)
    }

    /// Asks for a ticket as a person of a workspace, and returns the address with it.
    async fn ticket(&self, workspace: &str, person: &str) -> String {
        let system = &self.scenario.system;
        let mut claims = system.issuer().claims(workspace, Role::Viewer, system.clock.now()).unwrap();
        claims.sub = person.to_owned();
        let request = http::Request::post(format!("/v1/workspaces/{workspace}/live/tickets"))
            .header("authorization", format!("Bearer {}", system.issuer().sign(&claims).unwrap()))
            .body(bytes::Bytes::new());
        let answer = self.function.handle(request.unwrap()).await;
        let ticket: Value = serde_json::from_slice(answer.body()).unwrap();
        ticket["url"].as_str().unwrap_or_else(|| panic!("{ticket}")).to_owned()
    }

    async fn open(&self, workspace: &str, person: &str) -> Socket {
        open(&self.ticket(workspace, person).await).await
    }

    /// Says that a rule of a workspace was written, as the table's stream does.
    async fn write(&self, workspace: &str) {
        let item = WrittenItem {
            sequence_number: "1".to_owned(),
            pk: format!("WS#{workspace}"),
            sk: "RULE#r1".to_owned(),
            is_new: true,
        };
        self.function.publish(vec![item]).await.unwrap();
    }

    /// Returns the ids of all events after this one, as the API has them.
    async fn stored(&self, workspace: &str, after: u64) -> Vec<u64> {
        let workspace = tenant(workspace).unwrap();
        match self.scenario.system.table.live_events(&workspace, after, 1000).await.unwrap() {
            LiveEvents::After(events) => events.into_iter().map(|event| event.id).collect(),
            LiveEvents::Unknown => panic!("event {after} is not there"),
        }
    }

    async fn finish(self) {
        let scanner = LeakScanner::default();
        scanner.add_secret("the key of the hub", KEY);
        self.edge.stop(&scanner).await.unwrap();
        self.scenario.finish().await.unwrap();
    }
}

async fn open(url: &str) -> Socket {
    connect_async(url).await.unwrap().0
}

/// Returns the next message, or the code with which the socket was closed; none when it broke.
async fn next(socket: &mut Socket) -> Result<Value, Option<u16>> {
    match socket.next().await {
        Some(Ok(Message::Text(text))) => Ok(serde_json::from_str(&text).unwrap()),
        Some(Ok(Message::Close(Some(frame)))) => Err(Some(frame.code.into())),
        Some(Ok(other)) => panic!("{other:?}"),
        Some(Err(_)) | None => Err(None),
    }
}

/// Returns the ids of the events of the next message.
async fn next_ids(socket: &mut Socket) -> Vec<u64> {
    let message = next(socket).await.unwrap();
    let events: Vec<LiveEvent> = serde_json::from_value(message["events"].clone()).unwrap();
    events.into_iter().map(|event| event.id).collect()
}

#[tokio::test]
#[ignore = "needs the packed Worker"]
async fn sockets_of_a_hub_hear_their_workspace_and_its_end_loses_no_event() {
    let mut live = Live::start().await;
    let url = live.ticket("ours", "ada").await;
    let mut socket = open(&url).await;
    assert_eq!(next(&mut socket).await, Ok(json!({"latest": 0})));
    let mut others = live.open("theirs", "bob").await;
    next(&mut others).await.unwrap();
    assert_eq!(next(&mut open(&url).await).await, Err(Some(4401)), "a ticket was used twice");
    let forged = url.replacen("ticket=", "ticket=x", 1);
    assert_eq!(next(&mut open(&forged).await).await, Err(Some(4401)));
    let unsigned = reqwest::Client::new().post(format!("{}/live/publish", live.edge.url));
    let unsigned = unsigned.body(r#"{"workspace":"ours","events":[{"id":1}]}"#).send().await.unwrap();
    assert_eq!(unsigned.status(), 401);

    // The other workspace's socket hears its own event first, although ours was written before it.
    live.write("ours").await;
    live.write("theirs").await;
    let ours = next_ids(&mut socket).await;
    assert_eq!(ours, live.stored("ours", 0).await);
    assert_eq!(next_ids(&mut others).await, live.stored("theirs", 0).await);
    socket.send(Message::text("ping")).await.unwrap();
    assert_eq!(next(&mut socket).await, Ok(json!({"latest": ours[0]})));

    // Who does not say what it has seen is closed, and reads what it missed; a person has so many sockets.
    let mut quick = live.open("ours", "ada").await;
    next(&mut quick).await.unwrap();
    let (mut last, mut closed) = (ours[0], None);
    while closed.is_none() {
        live.write("ours").await;
        last = next_ids(&mut quick).await[0];
        quick.send(Message::text(json!({"seen": last}).to_string())).await.unwrap();
        closed = match next(&mut socket).await {
            Ok(_) => None,
            Err(code) => code,
        };
        assert!(last < ours[0] + 2000, "nobody is closed");
    }
    assert_eq!(closed, Some(1013));
    let mut sockets = Vec::new();
    for _ in 1..SOCKETS_PER_PERSON {
        let mut socket = live.open("ours", "ada").await;
        assert!(next(&mut socket).await.is_ok());
        sockets.push(socket);
    }
    assert_eq!(next(&mut live.open("ours", "ada").await).await, Err(Some(4429)));
    assert!(next(&mut live.open("ours", "bob").await).await.is_ok());

    // The hub ends, events happen, and another hub takes its place: whoever comes back reads them.
    let ended = std::mem::replace(&mut live.edge, hub().await);
    ended.stop(&LeakScanner::default()).await.unwrap();
    assert!(next(&mut quick).await.is_err());
    live.write("ours").await;
    live.function = Live::function(&live.scenario, &live.edge);
    live.write("ours").await;
    let mut back = live.open("ours", "ada").await;
    assert_eq!(next(&mut back).await, Ok(json!({"latest": last + 2})));
    assert_eq!(live.stored("ours", last).await, [last + 1, last + 2]);
    live.write("ours").await;
    assert_eq!(next_ids(&mut back).await, [last + 3]);
    live.finish().await;
}

#[tokio::test]
#[ignore = "needs the packed Worker"]
async fn a_hub_that_slept_goes_on_with_its_sockets() {
    let live = Live::start().await;
    let url = live.ticket("ours", "ada").await;
    let mut socket = open(&url).await;
    next(&mut socket).await.unwrap();
    live.write("ours").await;
    let first = next_ids(&mut socket).await[0];
    #[expect(
        clippy::disallowed_methods,
        reason = "workerd lets an object sleep after ten seconds of its own clock"
    )]
    tokio::time::sleep(Duration::from_secs(13)).await;
    // The runtime answers for it, and does not wake it.
    socket.send(Message::text("ping")).await.unwrap();
    assert_eq!(next(&mut socket).await, Ok(json!({"latest": first})));
    assert_eq!(next(&mut open(&url).await).await, Err(Some(4401)), "a ticket was used twice");
    live.write("ours").await;
    assert_eq!(next_ids(&mut socket).await, [first + 1]);
    live.finish().await;
}

#[tokio::test]
#[ignore = "needs the packed Worker"]
async fn a_thousand_sockets_of_a_workspace_hear_every_event() {
    let live = Live::start().await;
    let sockets = stream::iter(0..SOCKETS).map(|n| {
        let person = format!("person-{}", n / SOCKETS_PER_PERSON);
        let live = &live;
        async move {
            let mut socket = live.open("busy", &person).await;
            next(&mut socket).await.unwrap();
            socket
        }
    });
    let sockets: Vec<Socket> = sockets.buffer_unordered(16).collect().await;
    let watch = Clock::system().stopwatch();
    let listeners = sockets.into_iter().map(|mut socket| {
        tokio::spawn(async move {
            let mut received = Vec::with_capacity(EVENTS);
            while received.len() < EVENTS {
                let ids = next_ids(&mut socket).await;
                received.extend(ids.into_iter().map(|id| (id, watch.elapsed_ms())));
            }
            received
        })
    });
    let listeners: Vec<_> = listeners.collect();
    let mut published = Vec::new();
    for _ in 0..EVENTS {
        published.push(watch.elapsed_ms());
        live.write("busy").await;
    }
    let ids = live.stored("busy", 0).await;
    let mut took = Vec::new();
    for listener in listeners {
        let received = listener.await.unwrap();
        assert_eq!(received.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ids);
        took.extend(received.iter().zip(&published).map(|((_, at), since)| at - since));
    }
    took.sort_unstable_by(f64::total_cmp);
    let (median, p95) = (took[took.len() / 2], took[took.len() * 95 / 100]);
    println!(
        "   {EVENTS} events to {SOCKETS} sockets of a workspace in workerd: median {median:.0} ms, p95 {p95:.0} ms"
    );
    live.finish().await;
}
