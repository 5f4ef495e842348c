//! Uploads of images and videos, and the readiness of videos.

use std::time::Duration;

use bytes::Bytes;
use graph_api::GraphError;
use graph_api::id::{ImageHash, VideoId};
use graph_api::media::VideoState;
use graph_sim::{Config, ErrorResponse, Fault, FaultKind, VideoFault};
use jiff::SignedDuration;

use crate::support::Meta;

/// The first bytes of a PNG of 1200 by 630 pixels.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x04\xb0\0\0\x02\x76\x08";

fn upload_fault(skip: u32, kind: FaultKind) -> Fault {
    Fault { method: Some("POST".into()), path_contains: "/advideos".into(), times: 1, skip, kind }
}

/// Makes Meta reject requests of a megabyte, and ask for videos in chunks of 300,000 bytes.
fn narrow(config: &mut Config) {
    config.behaviour.media.max_request_bytes = 1 << 20;
    config.behaviour.media.video_chunk_bytes = 300_000;
}

/// Returns a video of two million bytes.
fn film() -> Bytes {
    Bytes::from(vec![7; 2_000_000])
}

fn arrived(meta: &Meta, video: &VideoId) -> u64 {
    let node = meta.sim.node(video.as_str()).unwrap();
    node["status"]["uploading_phase"]["bytes_transferred"].as_u64().unwrap()
}

#[tokio::test]
async fn an_image_is_there_once_however_often_it_is_added() {
    let meta = Meta::start().await;
    let (caller, account) = (meta.caller(), meta.account());
    let lost = Fault {
        method: Some("POST".into()),
        path_contains: "/adimages".into(),
        times: 1,
        skip: 0,
        kind: FaultKind::LostResponse,
    };
    meta.sim.fail_next(lost);
    let image = caller.add_image(&account, "beach.png", Bytes::from_static(PNG)).await.unwrap();
    assert_eq!(
        (image.name.as_deref(), image.width, image.height),
        (Some("beach.png"), Some(1200), Some(630))
    );
    assert_eq!(caller.all_images(&account).all().await.unwrap().len(), 1);

    let unknown: ImageHash = "0123456789abcdef".parse().unwrap();
    let found = caller.images(&account, &[unknown.clone(), image.hash.clone()]).await.unwrap();
    assert_eq!(found.iter().map(|image| &image.hash).collect::<Vec<_>>(), [&image.hash]);
    assert_eq!(found[0].status.as_deref(), Some("ACTIVE"));
}

#[tokio::test]
async fn what_is_no_picture_to_meta_is_refused() {
    let meta = Meta::start().await;
    let webp = Bytes::from_static(b"RIFF\0\0\0\0WEBPVP8 ");
    let error = meta.caller().add_image(&meta.account(), "beach.webp", webp).await.unwrap_err();
    let GraphError::InvalidInput(details) = error else { panic!("{error:?}") };
    assert_eq!(details.subcode, Some(1_487_411));
}

#[tokio::test]
async fn a_video_can_be_used_once_it_is_encoded() {
    let encoding = Duration::from_secs(300);
    let meta = Meta::with(|config| config.behaviour.media.encoding = encoding).await;
    let (caller, account) = (meta.caller(), meta.account());
    let url = "https://example.com/film.mp4";
    let video = caller.add_video_from_url(&account, "From an address", url).await.unwrap();
    assert_eq!(caller.video(&video).await.unwrap().state, VideoState::Processing { percent: 0 });
    assert!(caller.thumbnails(&video).await.unwrap().is_empty());

    let soon = caller.clone().with_deadline(meta.clock.now() + SignedDuration::from_mins(1));
    assert!(matches!(soon.await_video(&video).await, Err(GraphError::RateLimited { .. })));
    assert!(meta.clock.passed() < Duration::from_secs(60));

    let ready = caller.await_video(&video).await.unwrap();
    assert_eq!((ready.state, ready.title.as_deref()), (VideoState::Ready, Some("From an address")));
    assert!(ready.length.is_some() && ready.picture.is_some());
    let passed = meta.clock.passed();
    assert!(passed >= encoding && passed < encoding * 2, "{passed:?}");
    let thumbnails = caller.thumbnails(&video).await.unwrap();
    assert_eq!(thumbnails.iter().filter(|thumbnail| thumbnail.is_preferred).count(), 1);
    assert_eq!(caller.videos(&account).all().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_video_that_never_will_be_ready_is_not_waited_for_for_ever() {
    let meta = Meta::start().await;
    let (caller, account) = (meta.caller(), meta.account());
    meta.sim.fail_next_video(VideoFault::EncodingFails);
    let bad = caller.add_video(&account, "Bad", film()).await.unwrap();
    let Err(GraphError::InvalidInput(details)) = caller.await_video(&bad).await else { panic!() };
    assert!(details.message.contains("could not be encoded"), "{details}");

    meta.sim.fail_next_video(VideoFault::Stuck);
    let stuck = caller.add_video(&account, "Stuck", film()).await.unwrap();
    assert!(matches!(caller.await_video(&stuck).await, Err(GraphError::Transient(_))));
    assert!(meta.clock.passed() < Duration::from_secs(3 * 3600));
}

#[tokio::test]
async fn a_small_video_is_sent_once() {
    let meta = Meta::start().await;
    let (caller, account) = (meta.caller(), meta.account());
    meta.sim.fail_next(upload_fault(0, FaultKind::LostResponse));
    let answer = caller.add_video(&account, "Lost", film()).await;
    assert!(matches!(answer, Err(GraphError::Indeterminate(_))), "{answer:?}");
    let videos = caller.videos(&account).all().await.unwrap();
    assert_eq!(videos.iter().map(|video| video.title.as_deref()).collect::<Vec<_>>(), [Some("Lost")]);
}

#[tokio::test]
async fn a_video_that_is_too_much_for_one_call_goes_in_the_chunks_meta_wants() {
    let meta = Meta::with(narrow).await;
    let (caller, account) = (meta.caller(), meta.account());
    let before = meta.graph.calls();
    let video = caller.add_video(&account, "Long", film()).await.unwrap();
    assert_eq!(arrived(&meta, &video), 2_000_000);
    // The rejected whole video, start, seven chunks, finish.
    assert_eq!(meta.graph.calls() - before, 10);
    let ready = caller.await_video(&video).await.unwrap();
    assert_eq!(ready.title.as_deref(), Some("Long"));
}

#[tokio::test]
async fn an_upload_goes_on_where_it_broke_off() {
    let meta = Meta::with(narrow).await;
    let (caller, account) = (meta.caller(), meta.account());
    // Half of the first chunk arrives; the second arrives, but its response is lost; the third is lost. The response to
    // the end of the session is lost too.
    meta.sim.fail_next_video(VideoFault::Interrupted);
    meta.sim.fail_next(upload_fault(2, FaultKind::LostResponse));
    meta.sim.fail_next(upload_fault(3, FaultKind::LostRequest));
    meta.sim.fail_next(upload_fault(8, FaultKind::LostResponse));
    let video = caller.add_video(&account, "Broken off", film()).await.unwrap();
    assert_eq!((arrived(&meta, &video), meta.sim.faults_injected()), (2_000_000, 3));
    assert_eq!(caller.videos(&account).all().await.unwrap().len(), 1);
    assert_eq!(caller.await_video(&video).await.unwrap().title.as_deref(), Some("Broken off"));
}

#[tokio::test]
async fn an_upload_in_parts_sends_nothing_twice_and_ends_once() {
    let meta = Meta::with(narrow).await;
    let (caller, account, film) = (meta.caller(), meta.account(), film());
    let upload = caller.begin_video(&account, film.len() as u64).await.unwrap();
    let mut next = 0;
    meta.sim.fail_next(upload_fault(1, FaultKind::LostResponse));
    let first = film.slice(..900_000);
    caller.send_video_part(&account, &upload, (0, &first), &mut next).await.unwrap();
    assert_eq!(next, 900_000);
    // Where the caller is wrong about what Meta has, Meta names the byte that it needs.
    next = 1_000_000;
    let calls = meta.graph.calls();
    caller.send_video_part(&account, &upload, (900_000, &film.slice(900_000..)), &mut next).await.unwrap();
    assert_eq!((next, arrived(&meta, &upload.video)), (2_000_000, 2_000_000));
    assert!(meta.graph.calls() > calls);
    caller.finish_video(&account, &upload, "Film").await.unwrap();
    caller.finish_video(&account, &upload, "Film").await.unwrap();
    assert_eq!(caller.await_video(&upload.video).await.unwrap().title.as_deref(), Some("Film"));
    let other = caller.begin_video(&account, 9).await.unwrap();
    caller.cancel_video(&account, &other).await;
    assert_eq!(caller.videos(&account).all().await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_upload_that_is_given_up_leaves_nothing_behind() {
    let meta = Meta::with(narrow).await;
    let (caller, account) = (meta.caller(), meta.account());
    let refused = FaultKind::ErrorResponse(ErrorResponse::new(352, None));
    meta.sim.fail_next(upload_fault(3, refused));
    let answer = caller.add_video(&account, "Given up", film()).await;
    assert!(matches!(answer, Err(GraphError::InvalidInput(_))), "{answer:?}");
    assert!(caller.videos(&account).all().await.unwrap().is_empty());
}
