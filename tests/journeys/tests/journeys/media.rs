//! Files on their way into an ad account's library.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use graph_sim::{Fault, FaultKind, SampleVideo, VideoFault};
use http::Method;
use journeys::Scenario;
use local::demo::WORKSPACE;
use local::upload::{UploadStage, upload};
use manage_campaign::ManageCampaign;
use runtime::env::Env;
use runtime::session::Role;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::crash::{self, NEVER, dying_manage_campaign};

fn written(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The first bytes of the parts that Meta was sent, in the order in which they were.
fn offsets(scenario: &Scenario) -> Vec<u64> {
    let transfers = scenario.sim().unwrap().requests().into_iter();
    transfers.filter_map(|call| call.params.get("start_offset")?.parse().ok()).collect()
}

/// The videos of the account that Meta has.
async fn videos(scenario: &Scenario) -> Vec<Value> {
    let path = format!("ad-accounts/{}/media?kind=video", scenario.account().unwrap());
    let list = scenario.api().unwrap().call(Method::GET, &path, None).await.unwrap();
    list["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_film_arrives_whole_and_once_although_it_breaks_off_at_every_part() {
    let scenario = Scenario::smallest().await.unwrap();
    let (account, sim) = (scenario.account().unwrap(), scenario.sim().unwrap());
    let megabytes = Env::optional("FILM_MB").map_or(24, |megabytes| megabytes.parse().unwrap());
    let film = SampleVideo::default().file(megabytes << 20);
    let (_folder, path) = written("film.mp4", &film);
    let mut parts = 0_u64;
    let api = scenario.api().unwrap();
    let uploaded = upload(&api, &account, &path, |stage| {
        if matches!(stage, UploadStage::Sending(next) if next < film.len() as u64) {
            // Half of it arrives, or all of it and nobody is told.
            match parts % 2 {
                0 => sim.fail_next_video(VideoFault::Interrupted),
                _ => sim.fail_next(Fault {
                    method: Some("POST".to_owned()),
                    path_contains: "/advideos".to_owned(),
                    times: 1,
                    skip: 0,
                    kind: FaultKind::LostResponse,
                }),
            }
            parts += 1;
        }
    });
    let uploaded = uploaded.await.unwrap();
    assert!(parts >= megabytes as u64 / 4, "{parts}");
    let sent = offsets(&scenario);
    assert!(sent.is_sorted_by(|before, after| before < after), "sent twice: {sent:?}");
    let id = uploaded["media"].as_str().unwrap();
    let node = sim.node(id).unwrap();
    assert_eq!(node["status"]["uploading_phase"]["bytes_transferred"], film.len() as u64);
    assert_eq!(node["title"], "film.mp4");

    // The same file again, by whatever name, is not sent again.
    let calls = sim.requests().len();
    let (_folder, other) = written("copy.mp4", &film);
    let again = upload(&api, &account, &other, |_| {}).await.unwrap();
    assert_eq!((again["media"].as_str(), again["state"].as_str()), (Some(id), Some("ready")));
    assert!(sim.requests()[calls..].iter().all(|call| call.edge != "advideos"));
    assert_eq!(videos(&scenario).await.len(), 1);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn what_ads_cannot_show_is_refused_with_the_reason() {
    let scenario = Scenario::smallest().await.unwrap();
    let (account, api) = (scenario.account().unwrap(), scenario.api().unwrap());
    let wide = SampleVideo { size: (2000, 400), ..SampleVideo::default() };
    let short = SampleVideo { millis: 400, ..SampleVideo::default() };
    let odd = SampleVideo { codec: b"jpeg", ..SampleVideo::default() };
    let cut = |mut file: Vec<u8>| {
        file.truncate(5_000);
        file
    };
    for (kind, file, why) in [
        ("video", wide.file(9_000), "its picture is 2000 x 400; 9:16 to 16:9 are possible"),
        ("video", short.file(9_000), "it lasts 0.4 seconds; a second to 241 minutes are possible"),
        ("video", odd.file(9_000), "it is encoded as jpeg: encode it as H.264"),
        (
            "video",
            cut(SampleVideo::default().file(9_000)),
            "it has no video track: it may be sound only, or its end is missing",
        ),
        (
            "video",
            b"RIFF....AVI LIST, and so on".to_vec(),
            "it is neither MP4 nor MOV: save it as one of them",
        ),
        ("image", b"RIFF\x10\0\0\0WEBPVP8 ....".to_vec(), "it is no image that Meta takes: JPG, PNG or GIF"),
    ] {
        let target = format!("ad-accounts/{account}/files/{}", digest(&file));
        let spec = json!({"kind": kind, "name": "a", "bytes": file.len()});
        let begun = api.call(Method::PUT, &target, Some(&spec)).await.unwrap();
        assert_eq!((&begun["state"], &begun["next"]), (&json!("uploading"), &json!(0)), "{why}");
        let part = format!("{target}/bytes?first=0");
        let (status, text) = api.send_bytes(Method::PUT, &part, file).await.unwrap();
        assert_eq!(status, 200, "{text}");
        let sent: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&sent["state"], &sent["failure"]), (&json!("failed"), &json!(why)));
        assert_eq!(sent["media"].as_str(), None);
    }
    assert_eq!(videos(&scenario).await, [Value::Null; 0], "what was refused is gone");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_wrong_part_changes_nothing_and_a_video_is_fetched_from_an_address() {
    let scenario = Scenario::smallest().await.unwrap();
    let (account, api) = (scenario.account().unwrap(), scenario.api().unwrap());
    let film = SampleVideo { index_first: true, turned: true, ..SampleVideo::default() }.file(9_000);
    let target = format!("ad-accounts/{account}/files/{}", digest(&film));
    let put = async |first: usize, bytes: &[u8]| {
        let path = format!("{target}/bytes?first={first}");
        api.send_bytes(Method::PUT, &path, bytes.to_vec()).await
    };
    assert_eq!(put(0, &film[..4]).await.unwrap().0, 404, "before it was begun");
    let spec = |bytes: usize| json!({"kind": "video", "name": "film.mov", "bytes": bytes});
    let (status, text) = api.send(Method::PUT, &target, Some(&spec(0)), &[]).await.unwrap();
    assert!(status == 400 && text.contains("must be 1 to 4294967296"), "{text}");
    api.call(Method::PUT, &target, Some(&spec(film.len()))).await.unwrap();
    let (status, text) = put(7, &film[7..]).await.unwrap();
    assert!(status == 409 && text.contains("goes on at byte 0, not 7"), "{text}");
    let longer = [&film[..], b"more"].concat();
    assert_eq!(put(0, &longer).await.unwrap().0, 409);
    assert_eq!(put(0, &film[..5_000]).await.unwrap().0, 200);
    let (_, text) = put(5_000, &film[5_000..]).await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["state"], "processing");
    let known = api.call(Method::GET, &target, None).await.unwrap();
    assert_eq!(known["state"], "ready");

    let media = format!("ad-accounts/{account}/media");
    let body = json!({"name": "Fetched", "url": "https://b.example.com/film.mp4?X-Amz-Signature=c0ffee"});
    let added = api.call(Method::POST, &media, Some(&body)).await.unwrap();
    let path = format!("{media}/{}?kind=video", added["id"].as_str().unwrap());
    assert_eq!(api.call(Method::GET, &path, None).await.unwrap()["name"], "Fetched");
    let fetched =
        scenario.sim().unwrap().requests().into_iter().any(|call| {
            call.params.get("file_url").is_some_and(|url| url.ends_with("X-Amz-Signature=c0ffee"))
        });
    assert!(fetched);
    let events = api.call(Method::GET, "audit?limit=100", None).await.unwrap().to_string();
    assert!(events.contains("media.added") && !events.contains("c0ffee"), "{events}");
    let unknown = api.send(Method::GET, &format!("{media}/12345?kind=video"), None, &[]).await.unwrap();
    assert_eq!(unknown.0, 404);
    scenario.finish().await.unwrap();
}

/// Uploads a file in three parts as a client does that asks how far it is after any failure. Returns whether it was told
/// that all has arrived.
async fn upload_to(scenario: &Scenario, function: &ManageCampaign, file: &[u8]) -> bool {
    let token = scenario.system.token(WORKSPACE, Role::Editor).unwrap();
    let account = scenario.account().unwrap();
    let path = format!("/v1/workspaces/{WORKSPACE}/ad-accounts/{account}/files/{}", digest(file));
    let ask = async |method: Method, path: String, content_type: &str, body: Vec<u8>| {
        let request = http::Request::builder().method(method).uri(path);
        let request = request.header("authorization", format!("Bearer {token}"));
        let request = request.header("content-type", content_type).body(body.into()).unwrap();
        let response = function.handle(request).await;
        let answer = serde_json::from_slice::<Value>(response.body()).unwrap();
        response.status().is_success().then_some(answer)
    };
    let spec = json!({"kind": "video", "name": "film", "bytes": file.len()}).to_string();
    let mut state = ask(Method::PUT, path.clone(), "application/json", spec.into()).await;
    for _ in 0..8 {
        state = match state {
            Some(known) if known["state"] == "uploading" => {
                let first = known["next"].as_u64().unwrap() as usize;
                let part = file[first..].iter().copied().take(3_000).collect();
                ask(Method::PUT, format!("{path}/bytes?first={first}"), "application/octet-stream", part)
                    .await
            }
            Some(_) => return true,
            None => ask(Method::GET, path.clone(), "application/json", Vec::new()).await,
        };
    }
    false
}

#[tokio::test]
async fn an_upload_that_dies_at_any_call_to_the_table_goes_on_where_it_was() {
    let scenario = Scenario::smallest().await.unwrap();
    let film = |number: u32| SampleVideo { millis: 2_000 + number, ..SampleVideo::default() }.file(8_000);
    let (whole, calls) = dying_manage_campaign(&scenario, NEVER, false);
    assert!(upload_to(&scenario, &whole, &film(0)).await);
    let points = calls.load(Ordering::SeqCst);
    assert!(points > 10, "{points}");
    let mut tried = 0;
    for at in crash::points(points) {
        for with_effect in [false, true] {
            tried += 1;
            let film = film(tried);
            let before = offsets(&scenario).len();
            let (function, _) = dying_manage_campaign(&scenario, at..=i64::MAX, with_effect);
            upload_to(&scenario, &function, &film).await;
            assert!(upload_to(&scenario, &whole, &film).await, "at {at}, {with_effect}");
            let sent = offsets(&scenario).split_off(before);
            // An upload that was begun and not stored is begun again; its second begins at zero, too.
            let restarts = sent.iter().filter(|offset| **offset == 0).count();
            assert!(restarts == 1 && sent.is_sorted_by(|before, after| before < after), "{at}: {sent:?}");
        }
    }
    let ready = videos(&scenario).await.iter().filter(|video| video["state"] == "ready").count();
    assert_eq!(ready, tried as usize + 1);
    scenario.finish().await.unwrap();
}
