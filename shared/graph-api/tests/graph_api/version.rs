//! Meta's warnings about the Graph version in use.

use domain::entity::Level;

use crate::support::{Meta, graph_of};

#[tokio::test]
async fn the_version_in_use_serves_and_is_not_warned_about() {
    let meta = Meta::start().await;
    let campaigns = meta.caller().entities(&meta.account(), Level::Campaign).all().await.unwrap();
    assert_eq!(campaigns.len(), 5);
    assert_eq!(meta.graph.version_warning(), None);
    assert!(meta.clock.passed().is_zero(), "nothing had to be waited for");
}

#[tokio::test]
async fn a_retired_version_is_warned_about_once() {
    let meta = Meta::start().await;
    let graph = graph_of(&meta.sim, &meta.clock, "v20.0");
    let old = graph.on_behalf_of(meta.token.clone().into());
    for _ in 0..3 {
        old.entities(&meta.account(), Level::Campaign).all().await.unwrap();
    }
    let warning = graph.version_warning().unwrap();
    assert!(warning.contains("v20.0"), "{warning}");
}
