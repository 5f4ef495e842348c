//! Thumbnails of ads.

use domain::entity::Level;
use domain::id::EntityId;

use crate::support::Meta;

/// Returns the ads of the simulated account that are listed.
async fn ads(meta: &Meta) -> Vec<EntityId> {
    let listed = meta.caller().entities(&meta.account(), Level::Ad).all().await.unwrap();
    listed.into_iter().map(|ad| ad.into_entity(Level::Ad).id).collect()
}

#[tokio::test]
async fn pictures_of_many_ads_take_one_call() {
    let meta = Meta::start().await;
    let ads = ads(&meta).await;
    let before = meta.graph.calls();
    let found = meta.caller().ad_thumbnails(&meta.account(), &ads).await.unwrap();
    assert_eq!(found.failed, []);
    let mut found = found.read;
    assert_eq!(meta.graph.calls() - before, 1);
    found.sort_by(|a, b| a.ad.cmp(&b.ad));
    let mut wanted = ads;
    wanted.sort();
    assert_eq!(found.iter().map(|one| one.ad.clone()).collect::<Vec<_>>(), wanted);
    for one in &found {
        assert_eq!((one.media_type, &one.bytes[..8]), ("image/png", &b"\x89PNG\r\n\x1a\n"[..]));
    }
}

#[tokio::test]
async fn only_pictures_on_metas_hosts_are_read() {
    let meta = Meta::start().await;
    let ads = ads(&meta).await;
    let elsewhere = Meta::start().await;
    let base = elsewhere.sim.base_url();
    meta.sim.edit_answers(move |path, _, body| {
        if path.contains("/ads") {
            let mut answer: serde_json::Value = serde_json::from_str(body).unwrap();
            let rows = answer["data"].as_array_mut().unwrap();
            // Another host; something that is no picture; a picture that is gone; an ad without a creative.
            rows[0]["creative"]["thumbnail_url"] = format!("{base}/thumbnails/1.png").into();
            let own = rows[1]["creative"]["thumbnail_url"].as_str().unwrap().to_owned();
            let (host, _) = own.split_once("/thumbnails").unwrap();
            rows[1]["creative"]["thumbnail_url"] = format!("{host}/dialog/oauth").into();
            rows[2]["creative"]["thumbnail_url"] = format!("{host}/thumbnails/none").into();
            rows[3].as_object_mut().unwrap().remove("creative");
            rows[4]["creative"]["thumbnail_url"] = "no address".into();
            *body = answer.to_string();
        }
    });
    let found = meta.caller().ad_thumbnails(&meta.account(), &ads).await.unwrap();
    assert_eq!((found.read.len(), found.failed.len()), (ads.len() - 5, 4));
}
