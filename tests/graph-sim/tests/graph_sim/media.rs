//! Tests of images and videos.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use graph_sim::VideoFault;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Client, ManualClock, config, generated, json};

/// Returns the first bytes of a PNG of 1200 by 630, with a salt that makes it unique.
fn png(salt: u8) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x04\xb0\0\0\x02\x76\x08\x02".to_vec();
    bytes.push(salt);
    bytes
}

/// Posts a multipart form and returns status and body; files are (part, name, content).
async fn send_parts(
    client: &Client,
    path: &str,
    texts: &[(&str, &str)],
    files: &[(&str, &str, &[u8])],
) -> (u16, String) {
    let mut body = Vec::new();
    for (name, text) in texts {
        body.extend(
            format!("--cut\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n").bytes(),
        );
    }
    for (part, name, content) in files {
        let head =
            format!("--cut\r\nContent-Disposition: form-data; name=\"{part}\"; filename=\"{name}\"\r\n\r\n");
        body.extend(head.bytes().chain(content.iter().copied()).chain(*b"\r\n"));
    }
    body.extend(b"--cut--\r\n");
    let request =
        client.http.post(format!("{}/v26.0/{path}", client.sim.base_url())).bearer_auth(&client.token);
    let request = request.header("Content-Type", "multipart/form-data; boundary=cut").body(body);
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

async fn parts(client: &Client, path: &str, texts: &[(&str, &str)], files: &[(&str, &str, &[u8])]) -> Value {
    let (status, body) = send_parts(client, path, texts, files).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

async fn video_status(client: &Client, id: &str) -> Value {
    client.get(id, &[("fields", "status")]).await["status"].take()
}

#[tokio::test]
async fn the_same_image_has_the_same_hash_however_it_comes() {
    let client = Client::new().await;
    let edge = client.act("adimages");
    let sent = parts(&client, &edge, &[], &[("a", "one.png", &png(1)), ("b", "two.png", &png(2))]).await;
    let one = &sent["images"]["one.png"];
    let hash = one["hash"].as_str().unwrap();
    assert_eq!((&one["width"], &one["height"], hash.len()), (&json!(1200), &json!(630), 32));
    assert_ne!(&sent["images"]["two.png"]["hash"], hash);
    let again = client.post(&edge, &[("bytes", &STANDARD.encode(png(1)))]).await;
    assert_eq!(again["images"]["bytes"]["hash"], hash);

    let asked = json!([hash]).to_string();
    let read = client.get(&edge, &[("hashes", &asked), ("fields", "hash,name,status,permalink_url")]).await;
    let found = read["data"].as_array().unwrap();
    assert_eq!(
        (found.len(), &found[0]["name"], &found[0]["status"]),
        (1, &json!("one.png"), &json!("ACTIVE"))
    );
    let whole = client.get(found[0]["id"].as_str().unwrap(), &[("fields", "original_width")]).await;
    assert_eq!(whole["original_width"], 1200);

    let elsewhere = "act_1000000000000072/adimages";
    let from = json!({"source_account_id": client.sim.account().id, "hash": hash}).to_string();
    let copied = client.post(elsewhere, &[("copy_from", &from)]).await;
    assert_eq!(copied["images"]["one.png"]["hash"], hash);
    client.send(Method::DELETE, &edge, &[("hash", hash)]).await.unwrap();
    assert_eq!(client.get(&edge, &[("hashes", &asked)]).await["data"], json!([]));
    assert_eq!(client.error(Method::DELETE, &edge, &[("hash", hash)]).await, (400, 100, None));
    assert_eq!(client.error(Method::POST, &edge, &[("copy_from", &from)]).await, (400, 100, None));
}

#[tokio::test]
async fn some_images_are_refused() {
    let client = Client::new().await;
    let edge = client.act("adimages");
    let webp = STANDARD.encode(b"RIFF\0\0\0\0WEBPVP8 ");
    assert_eq!(client.error(Method::POST, &edge, &[("bytes", &webp)]).await, (400, 100, Some(1487411)));
    assert_eq!(client.error(Method::POST, &edge, &[("bytes", "no base64!")]).await, (400, 100, None));
    assert_eq!(client.error(Method::POST, &edge, &[]).await, (400, 100, None));
}

#[tokio::test]
async fn a_video_in_one_piece_is_ready_after_a_while_and_then_has_thumbnails() {
    let time = ManualClock::new();
    let mut config = config(generated(), &time);
    config.behaviour.media.encoding = Duration::from_secs(60);
    let client = Client::with_config(config, time).await.unwrap();
    let made =
        parts(&client, &client.act("advideos"), &[("title", "Film")], &[("source", "f.mp4", &[7; 500_000])])
            .await;
    let id = made["id"].as_str().unwrap();
    let status = video_status(&client, id).await;
    assert_eq!(
        (&status["video_status"], &status["processing_phase"]["status"]),
        (&json!("processing"), &json!("in_progress"))
    );
    assert_eq!(
        status["uploading_phase"],
        json!({"status": "complete", "bytes_transferred": 500_000, "source_file_size": 500_000})
    );
    assert_eq!(client.get(&format!("{id}/thumbnails"), &[]).await["data"], json!([]));
    let before = client.get(id, &[("fields", "title,picture,length")]).await;
    assert_eq!(before, json!({"title": "Film", "id": id}), "what is not there yet is left out");
    let page = client.sim.account().page_id;
    let spec =
        json!({"page_id": page, "video_data": {"video_id": id, "image_url": "https://shop.example/t.jpg"}});
    let creative = [("object_story_spec", spec.to_string())];
    let creative = [(creative[0].0, creative[0].1.as_str())];
    assert_eq!(client.error(Method::POST, &client.act("adcreatives"), &creative).await, (400, 100, None));

    client.time.advance_minutes(1);
    let status = video_status(&client, id).await;
    assert_eq!((&status["video_status"], &status["processing_progress"]), (&json!("ready"), &json!(100)));
    let after = client.get(id, &[("fields", "picture,length,thumbnails{uri,is_preferred}")]).await;
    assert_eq!(after["length"], 3.0);
    assert_eq!(after["thumbnails"]["data"][0]["is_preferred"], true);
    client.post(&client.act("adcreatives"), &creative).await;
    let bare = json!({"page_id": page, "video_data": {"video_id": id}}).to_string();
    let bare = [("object_story_spec", bare.as_str())];
    assert_eq!(
        client.error(Method::POST, &client.act("adcreatives"), &bare).await,
        (400, 100, Some(1443226))
    );
}

/// Starts a client whose simulator requests four bytes of a video per chunk.
async fn chunked() -> Client {
    let time = ManualClock::new();
    let mut config = config(generated(), &time);
    config.behaviour.media.video_chunk_bytes = 4;
    Client::with_config(config, time).await.unwrap()
}

#[tokio::test]
async fn a_video_in_chunks_goes_on_where_it_was_interrupted() {
    let client = chunked().await;
    let edge = client.act("advideos");
    let content = b"ten bytes!";
    let start = client.post(&edge, &[("upload_phase", "start"), ("file_size", "10")]).await;
    assert_eq!(
        (&start["start_offset"], &start["end_offset"]),
        (&json!("0"), &json!("4")),
        "offsets are text"
    );
    let session = start["upload_session_id"].as_str().unwrap().to_owned();
    let chunk = async |from: usize, to: usize| {
        let offset = from.to_string();
        let texts = [
            ("upload_phase", "transfer"),
            ("upload_session_id", session.as_str()),
            ("start_offset", &offset),
        ];
        let (_, body) =
            send_parts(&client, &edge, &texts, &[("video_file_chunk", "chunk", &content[from..to])]).await;
        serde_json::from_str::<Value>(&body).unwrap()
    };
    assert_eq!(chunk(0, 4).await, json!({"start_offset": "4", "end_offset": "8"}));
    client.sim.fail_next_video(VideoFault::Interrupted);
    let error = chunk(4, 8).await["error"].take();
    assert_eq!((&error["code"], &error["error_subcode"]), (&json!(6000), &json!(1_363_037)));
    assert_eq!(error["error_data"], json!({"start_offset": "6", "end_offset": "10"}));
    let finish = [("upload_phase", "finish"), ("upload_session_id", session.as_str()), ("title", "Film")];
    assert_eq!(client.error(Method::POST, &edge, &finish).await, (400, 6000, None));
    assert_eq!(chunk(4, 8).await["error"]["error_data"]["start_offset"], "6", "from where it was asked to");
    assert_eq!(chunk(6, 10).await, json!({"start_offset": "10", "end_offset": "10"}));
    assert_eq!(client.post(&edge, &finish).await, json!({"success": true}));
    let id = start["video_id"].as_str().unwrap();
    assert_eq!(video_status(&client, id).await["video_status"], "ready");
    assert_eq!(client.get(id, &[("fields", "title")]).await["title"], "Film");
    assert_eq!(client.error(Method::POST, &edge, &finish).await, (400, 100, None), "the session is over");

    let start = client.post(&edge, &[("upload_phase", "start"), ("file_size", "10")]).await;
    let cancel =
        [("upload_phase", "cancel"), ("upload_session_id", start["upload_session_id"].as_str().unwrap())];
    client.post(&edge, &cancel).await;
    assert_eq!(client.sim.node(start["video_id"].as_str().unwrap()), None);
}

#[tokio::test]
async fn a_video_can_be_sent_to_an_address_made_for_it() {
    let client = Client::new().await;
    let edge = client.act("video_ads");
    let start = client.post(&edge, &[("upload_phase", "start")]).await;
    let id = start["video_id"].as_str().unwrap();
    let finish = [("upload_phase", "finish"), ("video_id", id), ("title", "Film")];
    assert_eq!(client.error(Method::POST, &edge, &finish).await, (400, 6000, None), "nothing has come yet");
    let request = client.http.post(start["upload_url"].as_str().unwrap());
    let request = request.header("Authorization", format!("OAuth {}", client.token));
    let request = request.header("offset", "0").header("file_size", "5").body("film!");
    assert_eq!(json(request.send().await.unwrap()).await, json!({"success": true}));
    client.post(&edge, &finish).await;
    let read = client.get(id, &[("fields", "title,status")]).await;
    assert_eq!((&read["title"], &read["status"]["video_status"]), (&json!("Film"), &json!("ready")));
    let nobody = client.http.post(start["upload_url"].as_str().unwrap()).body("film!").send().await.unwrap();
    assert_eq!(nobody.status(), 400);
}

#[tokio::test]
async fn a_video_can_fail_or_stay_processing() {
    let client = Client::new().await;
    let edge = client.act("advideos");
    client.sim.fail_next_video(VideoFault::Stuck);
    client.sim.fail_next_video(VideoFault::EncodingFails);
    let film = [("file_url", "https://shop.example/film.mp4")];
    let (stuck, failed) = (client.post(&edge, &film).await, client.post(&edge, &film).await);
    client.time.advance_minutes(600);
    assert_eq!(video_status(&client, stuck["id"].as_str().unwrap()).await["video_status"], "processing");
    let status = video_status(&client, failed["id"].as_str().unwrap()).await;
    assert_eq!(
        (&status["video_status"], &status["processing_phase"]["status"]),
        (&json!("error"), &json!("error"))
    );
    assert!(status["processing_phase"]["errors"][0]["message"].is_string());
    assert_eq!(client.error(Method::POST, &edge, &[("file_url", "film.mp4")]).await, (400, 389, None));
}

#[tokio::test]
async fn what_is_too_large_is_refused_without_a_word() {
    let time = ManualClock::new();
    let mut config = config(generated(), &time);
    config.behaviour.media.max_request_bytes = 1_000;
    let client = Client::with_config(config, time).await.unwrap();
    let edge = client.act("advideos");
    let large = send_parts(&client, &edge, &[], &[("source", "f.mp4", &[7; 1_000])]).await;
    assert_eq!(large, (413, String::new()));
    parts(&client, &edge, &[], &[("source", "f.mp4", &[7; 500])]).await;
}

#[tokio::test]
async fn media_and_copies_outlive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let time = ManualClock::new();
    let start = async || {
        let mut config = config(generated(), &time);
        config.journal = Some(folder.path().join("journal.jsonl"));
        Client::with_config(config, time.clone()).await.unwrap()
    };
    let first = start().await;
    let image = parts(&first, &first.act("adimages"), &[], &[("a", "one.png", &png(1))]).await;
    let made =
        parts(&first, &first.act("advideos"), &[("title", "Film")], &[("source", "f.mp4", &[7; 500])]).await;
    let campaign = first.new_campaign().await;
    let copied = first.post(&format!("{campaign}/copies"), &[]).await;
    first.post(&first.sim.account().id, &[("spend_cap", "700")]).await;
    let nodes = |client: &Client| {
        let ids =
            [made["id"].as_str(), copied["copied_campaign_id"].as_str(), Some(&client.sim.account().id)]
                .map(|id| client.sim.node(id.unwrap()));
        assert!(ids.iter().all(Option::is_some));
        ids
    };
    let before = nodes(&first);
    first.sim.stop().await;
    let journal = std::fs::read_to_string(folder.path().join("journal.jsonl")).unwrap();
    assert!(journal.len() < 3_000, "contents are not kept: {journal}");

    let second = start().await;
    assert_eq!(nodes(&second), before);
    let hashes = json!([image["images"]["one.png"]["hash"]]).to_string();
    let found = second.get(&second.act("adimages"), &[("hashes", &hashes)]).await;
    assert_eq!(found["data"].as_array().unwrap().len(), 1);
}
