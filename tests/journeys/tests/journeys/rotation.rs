//! The keys that seal tokens are changed while everything goes on.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use access::token_context;
use ads::Failure;
use ads::job::{Job, Queue};
use ads::tenant::Tenant;
use auth_meta::rotation::{Progress, Rotation};
use http::Method;
use jiff::SignedDuration;
use journeys::{Story, options};
use local::cloud::{Cloud, KEYRING_SECRET};
use local::data::Data;
use local::main_job::Api;
use local::rotate::rotate;
use local::system::tenant;
use runtime::keyring::key_of;
use runtime::secrets::SecretAt;
use runtime::session::Role;
use runtime::{Clock, Keyring};
use secrecy::ExposeSecret;
use store::connection::{Connection, ConnectionState};

/// The embedded cloud with some connections, and no function that works on its own account.
struct Scene {
    cloud: Cloud,
    clock: Clock,
}

impl Scene {
    async fn begin() -> Self {
        let clock = Clock::system();
        let local = Data::Memory.secrets().unwrap();
        let cloud = Cloud::start(&Data::Memory, &local, &clock, 30, None).await.unwrap();
        let scene = Self { cloud, clock };
        for (workspace, connection) in [("a", "meta-1"), ("a", "meta-2"), ("b", "meta-1")] {
            scene.connect(workspace, connection, &format!("EAA-{workspace}-{connection}")).await;
        }
        scene
    }

    async fn connect(&self, workspace: &str, connection: &str, token: &str) {
        let (ws, id) = (tenant(workspace).unwrap(), connection.parse().unwrap());
        let keyring = self.reader().await;
        let connection = Connection {
            sealed_token: keyring.seal(&token.into(), &token_context(&ws, &id)).await.unwrap(),
            id,
            meta_user: "1".parse().unwrap(),
            connected_by: "somebody".to_owned(),
            scopes: Vec::new(),
            expires_at: None,
            data_access_expires_at: None,
            state: ConnectionState::Connected,
            reason: None,
            connected_at: self.clock.now(),
            kind: Default::default(),
            token_of: None,
            declined: Vec::new(),
            chosen: None,
            checked_at: None,
        };
        self.cloud.table.keep_connection(&ws, &connection).await.unwrap();
    }

    /// A process that has just started.
    async fn reader(&self) -> Keyring {
        let secret = SecretAt::new(self.cloud.secrets.clone(), KEYRING_SECRET);
        Keyring::fetch(secret, self.clock.clone()).await.unwrap()
    }

    async fn rotation(&self) -> Rotation {
        let Cloud { table, queues, .. } = self.cloud.clone();
        Rotation::new(table, self.reader().await, queues, self.clock.clone())
    }

    async fn rows(&self) -> Vec<(Tenant, Connection)> {
        let mut rows = Vec::new();
        for place in self.cloud.table.all_connections().await.unwrap() {
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

    /// A whole rotation: what the operator's call and the jobs do that it causes, one after the other.
    async fn rotate(&self) {
        let rotation = self.rotation().await;
        rotation.begin().await.unwrap();
        self.complete(&rotation).await;
    }

    async fn complete(&self, rotation: &Rotation) {
        if let Progress::Resealing { current, left } = rotation.advance().await.unwrap() {
            for place in left {
                rotation.reseal(&place.workspace, &place.connection, &current).await.unwrap();
            }
            self.clock.advance(SignedDuration::from_mins(11));
        }
        assert_eq!(rotation.advance().await.unwrap(), Progress::AtRest);
    }
}

/// Kills work after it was polled so many times: each time it waits for something is a place to die at.
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
    let scene = Scene::begin().await;
    let mut places = 0;
    loop {
        // One that started before this rotation and hears of nothing.
        let old = scene.reader().await;
        let before = old.current();
        places += 1;
        let completed = killed_after(places, scene.rotate()).await.is_some();
        let when = format!("killed at {places}");
        scene.every_token_opens(&old, &when).await;
        scene.every_token_opens(&scene.reader().await, &when).await;

        scene.complete(&scene.rotation().await).await;
        scene.every_token_opens(&old, &format!("{when}, completed")).await;
        let new = scene.reader().await;
        scene.every_token_opens(&new, &format!("{when}, completed")).await;
        let kept = new.kept().await.unwrap();
        assert!(kept.document.is_at_rest(), "{when}");
        for (_, row) in scene.rows().await {
            assert_eq!(key_of(&row.sealed_token), Some(kept.document.current()), "{when}");
        }
        if completed {
            assert_ne!(kept.document.current(), before);
            break;
        }
        // The old one may ask for the keyring again.
        scene.clock.advance(SignedDuration::from_secs(11));
    }
    assert!(places > 50, "it was killed at {places} places only");
}

#[tokio::test]
async fn rotations_at_the_same_time_lose_no_key() {
    let scene = Scene::begin().await;
    let rotations = [scene.rotation().await, scene.rotation().await, scene.rotation().await];
    let begun = rotations.each_ref().map(Rotation::begin);
    for begun in futures_util::future::join_all(begun).await {
        begun.unwrap();
    }
    scene.every_token_opens(&scene.reader().await, "all have begun").await;
    let kept = scene.reader().await.kept().await.unwrap();
    assert_eq!((kept.document.ids().count(), kept.document.current()), (2, "k2"), "one of them added a key");
    scene.complete(&rotations[1]).await;
    scene.every_token_opens(&scene.reader().await, "completed").await;
    // Whoever has seen an older keyring changes nothing.
    let late = rotations[0].clone();
    let reader = scene.reader().await;
    let refused = reader.replace(&kept, &kept.document).await.unwrap_err();
    assert!(matches!(refused, Failure::Conflict(_)), "{refused:?}");
    late.go_on().await.unwrap();
    assert_eq!(scene.reader().await.current(), "k2", "going on begins nothing");
}

#[tokio::test]
async fn a_token_that_was_replaced_while_it_was_sealed_anew_is_left_alone() {
    let scene = Scene::begin().await;
    let (workspace, seen) = scene.rows().await.remove(0);
    scene.connect("a", "meta-1", "EAA-new").await;
    let stale = scene.reader().await.seal(&"EAA-old".into(), "elsewhere").await.unwrap();
    scene.cloud.table.reseal_connection(&workspace, &seen, &stale).await.unwrap();
    let (_, row) = scene.rows().await.remove(0);
    let token = scene.reader().await.open(&row.sealed_token, &token_context(&workspace, &row.id)).await;
    assert_eq!(token.unwrap().expose_secret(), "EAA-new");
}

#[tokio::test]
async fn an_old_key_stays_while_a_process_may_still_seal_with_it() {
    let scene = Scene::begin().await;
    let (stale, rotation) = (scene.reader().await, scene.rotation().await);
    rotation.begin().await.unwrap();
    // A login that read its keys before the rotation ends after everything was sealed anew.
    let late = stale.seal(&"EAA".into(), "x").await.unwrap();
    assert_eq!(key_of(&late), Some("k1"));
    let Progress::Resealing { current, left } = rotation.advance().await.unwrap() else { panic!("at rest") };
    for place in left {
        rotation.reseal(&place.workspace, &place.connection, &current).await.unwrap();
    }
    let Progress::Resealing { left, .. } = rotation.advance().await.unwrap() else { panic!("at rest") };
    assert!(left.is_empty());
    assert!(scene.reader().await.open(&late, "x").await.is_ok());
    // A minute later it looks before it seals.
    scene.clock.advance(SignedDuration::from_secs(61));
    assert_eq!(key_of(&stale.seal(&"EAA".into(), "x").await.unwrap()), Some("k2"));
    scene.clock.advance(SignedDuration::from_mins(10));
    assert_eq!(rotation.advance().await.unwrap(), Progress::AtRest);
    let gone = scene.reader().await.open(&late, "x").await.unwrap_err();
    assert!(matches!(gone, Failure::Reconnect(_)), "{gone:?}");
}

#[tokio::test]
async fn an_unknown_key_is_asked_for_once_by_all_who_meet_it_and_not_again_for_ten_seconds() {
    let scene = Scene::begin().await;
    let stale = scene.reader().await;
    scene.rotate().await;
    let newer = scene.reader().await.seal(&"EAA".into(), "x").await.unwrap();
    // If each of them needed a call of its own, all but one would have been turned away.
    let opened = (0..20).map(|_| stale.open(&newer, "x"));
    for opened in futures_util::future::join_all(opened).await {
        assert_eq!(opened.unwrap().expose_secret(), "EAA");
    }
    scene.rotation().await.begin().await.unwrap();
    let newest = scene.reader().await.seal(&"EAA".into(), "x").await.unwrap();
    // The rotations' clock has gone on by eleven minutes since; the last question was just now.
    let early = stale.open(&newest, "x").await.unwrap_err();
    assert!(matches!(early, Failure::Unavailable(_)), "it says nothing about the token: {early:?}");
    scene.clock.advance(SignedDuration::from_secs(10));
    assert_eq!(stale.open(&newest, "x").await.unwrap().expose_secret(), "EAA");
}

#[tokio::test]
async fn a_token_that_was_tampered_with_asks_for_a_reconnect_and_nothing_else_breaks() {
    let story = Story::synced().await.unwrap();
    let other = Api::new(&story.system, "other", Role::Owner).unwrap();
    other.connect().await.unwrap();
    let table = &story.system.table;
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
        table.keep_connection(&demo, &Connection { sealed_token, ..ours.clone() }).await.unwrap();
        let answer = story.owner(Method::GET, "campaigns?limit=1", None).await.unwrap();
        assert_eq!(answer.status, 200, "what is kept is shown as ever");
        let campaign = format!("campaigns/{}", answer.json()["data"][0]["id"].as_str().unwrap());
        let patch = serde_json::json!({"name": "Renamed"});
        let answer = story.owner(Method::PATCH, &campaign, Some(patch)).await.unwrap();
        assert_eq!(
            (answer.status.as_u16(), answer.json()["type"].as_str()),
            (409, Some("urn:adflight:reconnect"))
        );
        let shown = story.api().unwrap().call(Method::GET, &format!("connections/{}", ours.id), None).await;
        let shown = shown.unwrap();
        assert_eq!(shown["state"], "needs_reconnect");
        assert!(shown["reason"].as_str().unwrap().contains("connect again"), "{shown}");
        story.system.clock.advance(SignedDuration::from_secs(11));
    }
    let shown = other.call(Method::GET, &format!("connections/{}", theirs.id), None).await.unwrap();
    assert_eq!(shown["state"], "connected");
    // A rotation is not held up by what nobody can open.
    story.system.cloud.queues.send(&[Job::RotateKeyring]).await.unwrap();
    story.system.runner.settle().await.unwrap();
    story.system.clock.advance(SignedDuration::from_mins(11));
    story.system.cloud.queues.send(&[Job::CompleteRotation]).await.unwrap();
    story.system.runner.settle().await.unwrap();
    assert!(story.system.cloud.keyring.kept().await.unwrap().document.is_at_rest());
    assert_eq!(story.system.cloud.keyring.current(), "k2");
    assert_eq!(story.system.runner.dead(Queue::AuthMeta).await.unwrap(), 0);

    story.api().unwrap().connect().await.unwrap();
    story.sync().await.unwrap();
    let renewed = table.connections(&demo).await.unwrap().remove(0);
    assert_eq!((renewed.state, key_of(&renewed.sealed_token)), (ConnectionState::Connected, Some("k2")));
    story.end().await.unwrap();
}

#[tokio::test]
async fn the_keyring_of_a_laptop_is_rotated_while_nothing_runs_and_stays_so() {
    let folder = tempfile::tempdir().unwrap();
    let data = Data::Folder(folder.path().to_owned());
    let story = Story::on(options(data.clone())).await.unwrap();
    story.api().unwrap().connect().await.unwrap();
    let busy = rotate(&data).await.unwrap_err();
    assert!(busy.to_string().contains("in use"), "{busy}");
    story.end().await.unwrap();

    let said = rotate(&data).await.unwrap();
    assert!(said.starts_with("Sealed anew: 1, with k2."), "{said}");
    let again = rotate(&data).await.unwrap();
    assert!(again.starts_with("Sealed anew: 0, with k2."), "it does not begin another one: {again}");

    let story = Story::on(options(data)).await.unwrap();
    story.select(true).await.unwrap();
    story.system.runner.settle().await.unwrap();
    let progress = story.owner(Method::GET, "sync", None).await.unwrap().json();
    assert!(progress["structure_synced_at"].is_string(), "the token opens: {progress}");
    story.end().await.unwrap();
}
