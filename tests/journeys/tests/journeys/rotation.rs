//! The keys that seal tokens are rotated while the system runs.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use auth_meta::rotation::{Rotation, RotationStatus};
use connector::token_context;
use domain::Error;
use domain::job::{Job, Queue};
use domain::tenant::Tenant;
use http::Method;
use jiff::SignedDuration;
use journeys::{Scenario, options, test_event};
use local::calls::Recorders;
use local::cloud::{Cloud, KEYRING_SECRET};
use local::data::Data;
use local::demo::ApiClient;
use local::rotate::rotate;
use local::tenant::tenant;
use runtime::keyring::key_id_of;
use runtime::secrets::StoredSecret;
use runtime::session::Role;
use runtime::{Clock, Keyring};
use secrecy::ExposeSecret;
use store::connection::{Connection, ConnectionState};

/// The embedded cloud with some connections, without a runner.
struct Fixture {
    cloud: Cloud,
    clock: Clock,
}

impl Fixture {
    async fn start() -> Self {
        let clock = Clock::system();
        let local = Data::Memory.secrets().unwrap();
        let cloud = Cloud::start(&Data::Memory, &local, &clock, 30, Recorders::default()).await.unwrap();
        let fixture = Self { cloud, clock };
        for (workspace, connection) in [("a", "meta-1"), ("a", "meta-2"), ("b", "meta-1")] {
            fixture.connect(workspace, connection, &format!("EAA-{workspace}-{connection}")).await;
        }
        fixture
    }

    async fn connect(&self, workspace: &str, connection: &str, token: &str) {
        let (ws, id) = (tenant(workspace).unwrap(), connection.parse().unwrap());
        let keyring = self.start_process().await;
        let connection = Connection {
            sealed_token: keyring.seal(&token.into(), &token_context(&ws, &id)).await.unwrap(),
            id,
            platform_user: "1".parse().unwrap(),
            connected_by: "somebody".to_owned(),
            scopes: Vec::new(),
            expires_at: None,
            data_access_expires_at: None,
            state: ConnectionState::Connected,
            reason: None,
            connected_at: self.clock.now(),
            kind: Default::default(),
            token_owner: None,
            declined: Vec::new(),
            granted_accounts: None,
            granted_account_count: None,
            discovery: None,
            gaps: domain::gap::Gaps::default(),
            checked_at: None,
        };
        self.cloud
            .table
            .upsert_connection(&ws, &connection, &test_event(self.clock.now()).unwrap())
            .await
            .unwrap();
    }

    /// Returns the keyring of a process that has just started.
    async fn start_process(&self) -> Keyring {
        let secret = StoredSecret::new(self.cloud.secrets.clone(), KEYRING_SECRET);
        Keyring::fetch(secret, self.clock.clone()).await.unwrap()
    }

    async fn rotation(&self) -> Rotation {
        let Cloud { table, queues, .. } = self.cloud.clone();
        // Pages of two, so that one pass over the connections takes several.
        Rotation::new(table, self.start_process().await, queues, self.clock.clone())
            .with_connections_per_run(2)
    }

    async fn rows(&self) -> Vec<(Tenant, Connection)> {
        let mut rows = Vec::new();
        for place in self.cloud.table.connections_after(None, 100).await.unwrap().0 {
            let row = self.cloud.table.connection(&place.workspace, &place.connection).await.unwrap();
            rows.push((place.workspace, row.unwrap()));
        }
        rows
    }

    async fn every_token_opens(&self, keyring: &Keyring, when: &str) {
        for (workspace, row) in self.rows().await {
            let opened = keyring.open(&row.sealed_token, &token_context(&workspace, &row.id)).await;
            let opened = opened.unwrap_or_else(|failure| panic!("{when}: {workspace} {}: {failure}", row.id));
            assert_eq!(opened.expose_secret(), format!("EAA-{workspace}-{}", row.id));
        }
    }

    /// Performs a whole rotation: the operator's call and the resulting jobs, one after the other.
    async fn rotate(&self) {
        let rotation = self.rotation().await;
        rotation.begin().await.unwrap();
        self.complete(&rotation).await;
    }

    async fn complete(&self, rotation: &Rotation) {
        if self.reseal_all(rotation).await.is_some() {
            self.clock.advance(SignedDuration::from_mins(11));
        }
        assert_eq!(self.reseal_all(rotation).await, None);
    }

    /// Performs one pass over all connections and returns how many it resealed; `None` when the rotation is complete.
    async fn reseal_all(&self, rotation: &Rotation) -> Option<usize> {
        let (mut pass, mut resealed) = (None, 0);
        loop {
            match rotation.advance(pass).await.unwrap() {
                RotationStatus::Complete => return None,
                RotationStatus::Resealing { current, remaining, next } => {
                    resealed += remaining.len();
                    for place in remaining {
                        rotation.reseal(&place.workspace, &place.connection, &current).await.unwrap();
                    }
                    pass = next;
                }
            }
            if pass.is_none() {
                return Some(resealed);
            }
        }
    }
}

/// Drops work after this many polls: each await point is a place where it can be killed.
async fn killed_after<F: Future>(polls: usize, work: F) -> Option<F::Output> {
    let (mut work, mut left) = (pin!(work), polls);
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        work.as_mut().poll(context).map(Some)
    })
    .await
}

#[tokio::test]
async fn a_rotation_killed_anywhere_is_completed_by_the_next_run_and_every_token_opens_at_every_moment() {
    let fixture = Fixture::start().await;
    let mut kill_points = 0;
    loop {
        // A process that started before this rotation and is not notified.
        let old = fixture.start_process().await;
        let before = old.current();
        kill_points += 1;
        let completed = killed_after(kill_points, fixture.rotate()).await.is_some();
        let when = format!("killed at {kill_points}");
        fixture.every_token_opens(&old, &when).await;
        fixture.every_token_opens(&fixture.start_process().await, &when).await;

        fixture.complete(&fixture.rotation().await).await;
        fixture.every_token_opens(&old, &format!("{when}, completed")).await;
        let new = fixture.start_process().await;
        fixture.every_token_opens(&new, &format!("{when}, completed")).await;
        let stored = new.refetch().await.unwrap();
        assert!(stored.document.has_single_key(), "{when}");
        for (_, row) in fixture.rows().await {
            assert_eq!(key_id_of(&row.sealed_token), Some(stored.document.current()), "{when}");
        }
        if completed {
            assert_ne!(stored.document.current(), before);
            break;
        }
        // The old process may fetch the keyring again.
        fixture.clock.advance(SignedDuration::from_secs(11));
    }
    assert!(kill_points > 50, "it was killed at only {kill_points} points");
}

#[tokio::test]
async fn rotations_at_the_same_time_lose_no_key() {
    let fixture = Fixture::start().await;
    let rotations = [fixture.rotation().await, fixture.rotation().await, fixture.rotation().await];
    let begun = rotations.each_ref().map(Rotation::begin);
    for begun in futures_util::future::join_all(begun).await {
        begun.unwrap();
    }
    fixture.every_token_opens(&fixture.start_process().await, "all have begun").await;
    let stored = fixture.start_process().await.refetch().await.unwrap();
    assert_eq!(
        (stored.document.ids().count(), stored.document.current()),
        (2, "k2"),
        "one of them added a key"
    );
    fixture.complete(&rotations[1]).await;
    fixture.every_token_opens(&fixture.start_process().await, "completed").await;
    // A rotation with an older keyring changes nothing.
    let late = rotations[0].clone();
    let reader = fixture.start_process().await;
    let refused = reader.replace(&stored, &stored.document).await.unwrap_err();
    assert!(matches!(refused, Error::Conflict(_)), "{refused:?}");
    late.resume(None).await.unwrap();
    assert_eq!(fixture.start_process().await.current(), "k2", "going on begins nothing");
}

#[tokio::test]
async fn a_token_that_is_replaced_while_it_is_resealed_is_not_overwritten() {
    let fixture = Fixture::start().await;
    let (workspace, seen) = fixture.rows().await.remove(0);
    fixture.connect("a", "meta-1", "EAA-new").await;
    let stale = fixture.start_process().await.seal(&"EAA-old".into(), "elsewhere").await.unwrap();
    fixture
        .cloud
        .table
        .reseal_connection(&workspace, &seen, &stale, &test_event(fixture.clock.now()).unwrap())
        .await
        .unwrap();
    let (_, row) = fixture.rows().await.remove(0);
    let token =
        fixture.start_process().await.open(&row.sealed_token, &token_context(&workspace, &row.id)).await;
    assert_eq!(token.unwrap().expose_secret(), "EAA-new");
}

#[tokio::test]
async fn an_old_key_stays_while_a_process_may_still_seal_with_it() {
    let fixture = Fixture::start().await;
    let (stale, rotation) = (fixture.start_process().await, fixture.rotation().await);
    rotation.begin().await.unwrap();
    // A login that read the keys before the rotation ends after everything was resealed.
    let late = stale.seal(&"EAA".into(), "x").await.unwrap();
    assert_eq!(key_id_of(&late), Some("k1"));
    assert_eq!(fixture.reseal_all(&rotation).await, Some(3));
    assert_eq!(fixture.reseal_all(&rotation).await, Some(0));
    assert!(fixture.start_process().await.open(&late, "x").await.is_ok());
    // After a minute a process fetches the keyring before it seals.
    fixture.clock.advance(SignedDuration::from_secs(61));
    assert_eq!(key_id_of(&stale.seal(&"EAA".into(), "x").await.unwrap()), Some("k2"));
    fixture.clock.advance(SignedDuration::from_mins(10));
    assert_eq!(fixture.reseal_all(&rotation).await, None);
    let gone = fixture.start_process().await.open(&late, "x").await.unwrap_err();
    assert!(matches!(gone, Error::Reconnect(_)), "{gone:?}");
}

#[tokio::test]
async fn an_unknown_key_is_fetched_once_for_concurrent_calls_and_not_again_for_ten_seconds() {
    let fixture = Fixture::start().await;
    let stale = fixture.start_process().await;
    fixture.rotate().await;
    let newer = fixture.start_process().await.seal(&"EAA".into(), "x").await.unwrap();
    // If each needed a call of its own, all but one would be refused.
    let opened = (0..20).map(|_| stale.open(&newer, "x"));
    for opened in futures_util::future::join_all(opened).await {
        assert_eq!(opened.unwrap().expose_secret(), "EAA");
    }
    fixture.rotation().await.begin().await.unwrap();
    let newest = fixture.start_process().await.seal(&"EAA".into(), "x").await.unwrap();
    // The rotation has advanced the clock by eleven minutes since; the last fetch was just now.
    let early = stale.open(&newest, "x").await.unwrap_err();
    assert!(matches!(early, Error::Unavailable(_)), "it says nothing about the token: {early:?}");
    fixture.clock.advance(SignedDuration::from_secs(10));
    assert_eq!(stale.open(&newest, "x").await.unwrap().expose_secret(), "EAA");
}

#[tokio::test]
async fn a_token_that_was_tampered_with_asks_for_a_reconnect_and_nothing_else_breaks() {
    let scenario = Scenario::synced().await.unwrap();
    let other = ApiClient::new(&scenario.system, "other", Role::Owner).unwrap();
    other.connect().await.unwrap();
    let table = &scenario.system.table;
    let (demo, elsewhere) = (tenant("demo").unwrap(), tenant("other").unwrap());
    let ours = table.connections(&demo).await.unwrap().remove(0);
    let theirs = table.connections(&elsewhere).await.unwrap().remove(0);
    let body = ours.sealed_token.rsplit_once('.').unwrap().1;
    for sealed_token in [
        theirs.sealed_token.clone(),
        format!("v1.k0.{body}"),
        ours.sealed_token.chars().rev().collect(),
        "v1.k1.".to_owned(),
    ] {
        table
            .upsert_connection(
                &demo,
                &Connection { sealed_token, ..ours.clone() },
                &test_event(scenario.system.clock.now()).unwrap(),
            )
            .await
            .unwrap();
        let response = scenario.call_as_owner(Method::GET, "campaigns?limit=1", None).await.unwrap();
        assert_eq!(response.status, 200, "what is kept is shown as ever");
        let campaign = format!("campaigns/{}", response.json()["data"][0]["id"].as_str().unwrap());
        let patch = serde_json::json!({"name": "Renamed"});
        let response = scenario.call_as_owner(Method::PATCH, &campaign, Some(patch)).await.unwrap();
        assert_eq!(
            (response.status.as_u16(), response.json()["type"].as_str()),
            (409, Some("urn:adflight:reconnect"))
        );
        let view = scenario.api().unwrap().call(Method::GET, &format!("connections/{}", ours.id), None).await;
        let view = view.unwrap();
        assert_eq!(view["state"], "needs_reconnect");
        assert!(view["reason"].as_str().unwrap().contains("connect again"), "{view}");
        scenario.system.clock.advance(SignedDuration::from_secs(11));
    }
    let view = other.call(Method::GET, &format!("connections/{}", theirs.id), None).await.unwrap();
    assert_eq!(view["state"], "connected");
    // A token that cannot be opened does not delay a rotation.
    scenario.system.cloud.queues.send(&[Job::RotateKeyring]).await.unwrap();
    scenario.system.runner.settle().await.unwrap();
    scenario.system.clock.advance(SignedDuration::from_mins(11));
    scenario.system.cloud.queues.send(&[Job::CompleteRotation { pass: None }]).await.unwrap();
    scenario.system.runner.settle().await.unwrap();
    assert!(scenario.system.cloud.keyring.refetch().await.unwrap().document.has_single_key());
    assert_eq!(scenario.system.cloud.keyring.current(), "k2");
    assert_eq!(scenario.system.runner.dead_letter_count(Queue::AuthMeta).await.unwrap(), 0);

    scenario.api().unwrap().connect().await.unwrap();
    scenario.sync().await.unwrap();
    let renewed = table.connections(&demo).await.unwrap().remove(0);
    assert_eq!((renewed.state, key_id_of(&renewed.sealed_token)), (ConnectionState::Connected, Some("k2")));
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn the_local_keyring_is_rotated_while_nothing_runs_and_saved() {
    let folder = tempfile::tempdir().unwrap();
    let data = Data::Folder(folder.path().to_owned());
    let scenario = Scenario::with_options(options(data.clone())).await.unwrap();
    scenario.api().unwrap().connect().await.unwrap();
    let busy = rotate(&data).await.unwrap_err();
    assert!(busy.to_string().contains("in use"), "{busy}");
    scenario.finish().await.unwrap();

    let said = rotate(&data).await.unwrap();
    assert!(said.starts_with("Sealed anew: 1, with k2."), "{said}");
    let again = rotate(&data).await.unwrap();
    assert!(again.starts_with("Sealed anew: 0, with k2."), "it does not begin another one: {again}");

    let scenario = Scenario::with_options(options(data)).await.unwrap();
    scenario.select(true).await.unwrap();
    scenario.system.runner.settle().await.unwrap();
    let progress = scenario.call_as_owner(Method::GET, "sync", None).await.unwrap().json();
    assert!(progress["entities_synced_at"].is_string(), "the token opens: {progress}");
    scenario.finish().await.unwrap();
}
