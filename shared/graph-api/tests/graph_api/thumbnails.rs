//! Thumbnails of ads.

use std::sync::{Arc, Mutex};

use domain::entity::Level;
use domain::id::EntityId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{Clock, Meta, graph_at};

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

#[tokio::test]
async fn no_redirect_of_a_picture_is_followed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let graph = graph_at(base.clone(), &Clock::default(), "v26.0");
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let seen = asked.clone();
    let server = tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let length = connection.read(&mut request).await.unwrap();
            let line = String::from_utf8_lossy(&request[..length]).lines().next().unwrap().to_owned();
            let body = format!(r#"{{"data":[{{"id":"1","creative":{{"thumbnail_url":"{base}/moved"}}}}]}}"#);
            let answer = if line.contains("/moved") {
                "HTTP/1.1 302 Found\r\ncontent-type: image/png\r\nlocation: /inside\r\ncontent-length: 0\r\n"
                    .to_owned()
            } else {
                format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
                    body.len()
                )
            };
            seen.lock().unwrap().push(line.clone());
            let body = if line.contains("/ads?") { body.as_str() } else { "" };
            let answer = format!("{answer}connection: close\r\n\r\n{body}");
            connection.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let ad: EntityId = "1".parse().unwrap();
    let caller = graph.on_behalf_of("token".to_owned().into());
    let found = caller.ad_thumbnails(&"act_1".parse().unwrap(), std::slice::from_ref(&ad)).await.unwrap();
    server.abort();
    assert_eq!((found.read.len(), found.failed), (0, vec![ad]));
    let asked = asked.lock().unwrap();
    assert!(asked.len() == 2 && asked[1].contains("/moved"), "{asked:?}");
}
