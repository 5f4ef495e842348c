//! What Meta's answers say about the version in use.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use domain::entity::Level;
use domain::id::EntityId;
use graph_api::GraphError;
use graph_api::client::CallEvent;
use graph_api::entities::GraphEntity;
use graph_api::version::VersionNotice;

use crate::support::{Meta, graph_of};

#[tokio::test]
async fn the_version_in_use_serves_and_is_not_warned_about() {
    let meta = Meta::start().await;
    let campaigns = meta.caller().entities(&meta.account(), Level::Campaign).all().await.unwrap();
    assert_eq!(campaigns.len(), 5);
    let ids = ids(campaigns);
    assert_eq!(meta.caller().entities_by_id(Level::Campaign, &ids).await.len(), 5);
    assert_eq!(meta.graph.version_notice(), None);
    assert!(meta.clock.passed().is_zero(), "nothing had to be waited for");
}

#[tokio::test]
async fn a_version_that_has_ended_is_noticed_on_every_answer_and_reported_once_an_hour() {
    static NOTICES: AtomicUsize = AtomicUsize::new(0);
    let meta = Meta::start().await;
    let graph = graph_of(&meta.sim, &meta.clock, "v24.0");
    graph.set_listener(|event| {
        NOTICES.fetch_add(usize::from(event == CallEvent::OtherVersion), Ordering::Relaxed);
    });
    let old = graph.on_behalf_of(meta.token.clone().into());
    let campaigns = old.entities(&meta.account(), Level::Campaign).all().await.unwrap();
    assert_eq!(NOTICES.swap(0, Ordering::Relaxed), 1);
    let notice = VersionNotice {
        served: Some("v27.0".to_owned()),
        warning: Some("You are calling a deprecated version of the Ads API.".to_owned()),
    };
    assert_eq!(graph.version_notice(), Some(notice.clone()));
    assert_eq!(graph.take_version_notice(), Some((notice.clone(), meta.clock.now())));
    assert_eq!(graph.take_version_notice(), None, "nothing new");

    let ids = ids(campaigns);
    old.entities_by_id(Level::Campaign, &ids).await;
    let seen_at = meta.clock.now();
    assert_eq!(NOTICES.swap(0, Ordering::Relaxed), 1 + ids.len(), "the batch and each of its items");
    assert_eq!(graph.take_version_notice(), None, "reported within the hour");
    meta.clock.pass(Duration::from_secs(3600));
    assert_eq!(graph.take_version_notice(), Some((notice, seen_at)), "with the time at which it came");
}

#[tokio::test]
async fn a_version_that_does_not_exist_is_not_retried() {
    let meta = Meta::start().await;
    let graph = graph_of(&meta.sim, &meta.clock, "v99.0");
    let caller = graph.on_behalf_of(meta.token.clone().into());
    let read = caller.entities(&meta.account(), Level::Campaign).all().await;
    assert!(matches!(read, Err(GraphError::UnsupportedVersion(_))), "{read:?}");
    assert_eq!(graph.calls(), 1);
    let warning = graph.version_notice().unwrap().warning.unwrap();
    assert!(warning.contains("#2635"), "{warning}");
}

fn ids(campaigns: Vec<GraphEntity>) -> Vec<EntityId> {
    campaigns.into_iter().map(|campaign| campaign.into_entity(Level::Campaign).id).collect()
}
