//! A simulated Meta and the client, on one clock.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use domain::id::AdAccountId;
use domain::id::EntityId;
use domain::launch::{Created, Launch, LaunchState, Step};
use domain::platform::PlatformData;
use graph_api::launch::LaunchSpec;
use graph_api::{Graph, GraphConfig, Time, UserClient};
use graph_sim::{App, Config, Generator, GraphSim, Source};
use jiff::civil::{Date, date};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

pub(crate) const APP_ID: &str = "1234567890";
pub(crate) const SECRET: &str = "app-secret-of-the-tests";

/// The last day with metrics.
pub(crate) const TODAY: Date = date(2026, 11, 20);

/// The start time in Unix seconds: 2026-11-20, 10:00 in Singapore.
const START: i64 = 1_795_140_000;

/// A simulated clock, which advances only by pauses of the client and by calls of tests.
#[derive(Clone, Default)]
pub(crate) struct Clock(Arc<AtomicI64>);

impl Clock {
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_second(START).unwrap() + SignedDuration::from_nanos(self.0.load(Ordering::SeqCst))
    }

    pub(crate) fn pass(&self, length: Duration) {
        self.0.fetch_add(length.as_nanos().try_into().unwrap(), Ordering::SeqCst);
    }

    /// Returns the time since the test began.
    pub(crate) fn passed(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::SeqCst).try_into().unwrap())
    }
}

/// A simulated Meta and its client.
pub(crate) struct Meta {
    pub(crate) sim: GraphSim,
    pub(crate) clock: Clock,
    pub(crate) graph: Graph,
    pub(crate) token: String,
}

impl Meta {
    /// Starts a Meta with an account of thirty ads and two weeks of metrics. It requires `appsecret_proof` and rejects
    /// unknown parameters.
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// Starts the same Meta with other settings.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let generator = Generator { campaigns: 5, adsets: 10, ads: 30, days: 14, ..Generator::new(TODAY) };
        Self::of(Source::Generated(generator), change).await
    }

    /// Starts a Meta with another account.
    pub(crate) async fn of(source: Source, change: impl FnOnce(&mut Config)) -> Self {
        let clock = Clock::default();
        let app = App { app_id: APP_ID.into(), app_secret: SECRET.into(), redirect_uris: Vec::new() };
        let time = clock.clone();
        let mut config = Config::new(source, app, Arc::new(move || time.now()));
        config.behaviour.strict = true;
        config.behaviour.require_proof = true;
        change(&mut config);
        let sim = GraphSim::start(config).await.unwrap();
        let token = sim.issue_token("7", &["ads_read", "ads_management", "business_management"]);
        let graph = graph_of(&sim, &clock, "v26.0");
        Self { sim, clock, graph, token }
    }

    /// Returns a caller with the token of a user who has every permission.
    pub(crate) fn caller(&self) -> UserClient {
        self.graph.on_behalf_of(self.token.clone().into())
    }

    pub(crate) fn account(&self) -> AdAccountId {
        self.sim.account().id.parse().unwrap()
    }
}

impl Drop for Meta {
    /// Appends the client's requests to the file `GRAPH_REQUESTS`, if `cargo xtask peers` sets it to check them.
    #[expect(clippy::disallowed_methods, reason = "the chore says where")]
    fn drop(&mut self) {
        let Ok(path) = std::env::var("GRAPH_REQUESTS") else { return };
        let requests = self.sim.requests().into_iter().filter(|call| !call.class.is_empty());
        let lines = requests.map(|call| {
            let edge = (!call.edge.is_empty()).then_some(call.edge);
            let shown =
                json!({"method": call.method, "class": call.class, "edge": edge, "params": call.params});
            format!("{shown}\n")
        });
        let lines: String = lines.collect::<BTreeSet<_>>().into_iter().collect();
        // One write, because other tests append at the same time.
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        file.unwrap().write_all(lines.as_bytes()).unwrap();
    }
}

/// Returns a launch of this document that has not begun.
pub(crate) fn launch_of(meta: &Meta, document: serde_json::Value) -> (Launch, LaunchSpec) {
    let spec: LaunchSpec = serde_json::from_value(document).unwrap();
    let launch = Launch {
        existing: Vec::new(),
        differences: Vec::new(),
        id: "0123456789abcdef".parse().unwrap(),
        ad_account: meta.account(),
        document: PlatformData::new(&spec).unwrap(),
        steps: spec.steps(),
        state: LaunchState::Running,
        created: Vec::new(),
        intent: None,
        intent_at: None,
        resent: false,
        failure: None,
        started_at: meta.clock.now(),
    };
    (launch, spec)
}

/// Returns what a step has created.
pub(crate) fn created(step: Step, id: EntityId) -> Created {
    Created { step, id, at: None, named: false }
}

/// Returns a client of this Graph version that advances the clock instead of waiting.
pub(crate) fn graph_of(sim: &GraphSim, clock: &Clock, version: &str) -> Graph {
    graph_at(sim.base_url(), clock, version)
}

/// Returns such a client for another base URL.
pub(crate) fn graph_at(url: String, clock: &Clock, version: &str) -> Graph {
    let config = GraphConfig {
        graph_url: url.clone(),
        dialog_url: url,
        version: version.to_owned(),
        app_id: APP_ID.to_owned(),
        app_secret: SECRET.into(),
        timeout: std::time::Duration::from_secs(5),
    };
    let (now, pass) = (clock.clone(), clock.clone());
    let time = Time::simulated(move || now.now(), move |length| pass.pass(length));
    Graph::new(config, time)
}
