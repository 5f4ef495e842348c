//! `/act_X/advideos` and `/act_X/video_ads`: uploads in one piece, in chunks, or to an upload URL, and the encoding
//! that follows.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::error::{GraphError, invalid, required, unsupported};
use crate::node::{Kind, Node, graph_time};
use crate::params::Params;
use crate::processing::ProcessingState;
use crate::world::World;
use crate::write::{Operation, Write};

/// A step of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UploadStep {
    /// A whole video in one call, or to its upload URL.
    Whole,
    Start,
    Transfer,
    Finish,
    Cancel,
    /// Requests an upload URL.
    StartVideoAd,
    FinishVideoAd,
    /// A phase that does not exist.
    Unknown,
}

impl UploadStep {
    pub(crate) fn of(params: Params<'_>) -> Self {
        match params.text("upload_phase") {
            None => Self::Whole,
            Some("start") => Self::Start,
            Some("transfer") => Self::Transfer,
            Some("finish") => Self::Finish,
            Some("cancel") => Self::Cancel,
            Some(_) => Self::Unknown,
        }
    }

    pub(crate) fn of_video_ad(params: Params<'_>) -> Self {
        match params.text("upload_phase") {
            Some("start") => Self::StartVideoAd,
            Some("finish") => Self::FinishVideoAd,
            _ => Self::Unknown,
        }
    }
}

/// A fault of a video.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VideoFault {
    /// Only half of the next chunk arrives: code 6000, subcode 1363037, with the offset to resume at.
    Interrupted,
    /// The next finished video is processing for ever.
    Stuck,
    /// The encoding of the next finished video fails.
    EncodingFails,
}

/// Uploads in progress, and the faults queued for future ones.
#[derive(Clone, Default)]
pub(crate) struct Uploads {
    sessions: BTreeMap<String, UploadSession>,
    pub(crate) faults: VecDeque<VideoFault>,
}

#[derive(Clone)]
struct UploadSession {
    video: String,
    size: u64,
    received: u64,
}

impl Uploads {
    /// Removes and returns the first queued fault that is one of these.
    fn take_fault(&mut self, wanted: &[VideoFault]) -> Option<VideoFault> {
        let index = self.faults.iter().position(|fault| wanted.contains(fault))?;
        self.faults.remove(index)
    }
}

pub(crate) fn check(
    world: &World,
    operation: &Operation,
    step: UploadStep,
    write: &Write,
) -> Result<(), GraphError> {
    let params = Params(&write.params);
    match step {
        UploadStep::Unknown => {
            params.required("upload_phase")?;
            params.one_of("upload_phase", &["start", "transfer", "finish", "cancel"]).map(drop)
        }
        UploadStep::Start => params.required("file_size").and(params.amount("file_size")).map(drop),
        UploadStep::StartVideoAd => Ok(()),
        UploadStep::Transfer => {
            let session = session(world, params)?;
            params.required("start_offset")?;
            let from = params.amount("start_offset")?.unwrap_or_default();
            let chunk = write.files.values().next().ok_or_else(|| required("video_file_chunk"))?;
            if from != session.received || from + chunk.size > session.size {
                return Err(interrupted(session.received, next_end(world, session)));
            }
            Ok(())
        }
        UploadStep::Finish => match session(world, params)? {
            session if session.received < session.size => Err(incomplete()),
            _ => Ok(()),
        },
        UploadStep::Cancel => session(world, params).map(drop),
        UploadStep::FinishVideoAd => {
            let video = world.nodes.get(params.required("video_id")?).filter(|node| is_of(node, operation));
            match video
                .ok_or_else(|| invalid("Param video_id must be the id of a video of this ad account"))?
            {
                video if transferred(video) == 0 => Err(incomplete()),
                _ => Ok(()),
            }
        }
        UploadStep::Whole => check_whole(write),
    }
}

fn check_whole(write: &Write) -> Result<(), GraphError> {
    let url = write.params.get("file_url");
    match (write.files.values().next(), url) {
        (None, None) => Err(required("source")),
        (Some(file), _) if file.size == 0 => {
            Err(GraphError::new(382, "(#382) The video file you selected is too small."))
        }
        (None, Some(url)) if !(url.starts_with("https://") || url.starts_with("http://")) => {
            Err(GraphError::new(389, "(#389) Unable to fetch video file from URL."))
        }
        _ => Ok(()),
    }
}

fn session<'a>(world: &'a World, params: Params<'_>) -> Result<&'a UploadSession, GraphError> {
    let id = params.required("upload_session_id")?;
    let session = world.uploads.sessions.get(id);
    session.ok_or_else(|| invalid("Param upload_session_id must be an upload session that has not ended"))
}

fn is_of(node: &Node, operation: &Operation) -> bool {
    node.kind == Kind::Video && node.account == operation.account
}

fn next_end(world: &World, session: &UploadSession) -> u64 {
    session.size.min(session.received + world.media.video_chunk_bytes)
}

fn incomplete() -> GraphError {
    GraphError::new(6000, "There was a problem uploading your video file. Please try again.")
}

/// The shape is that expected by the official SDKs, which resume at these offsets.
fn interrupted(start: u64, end: u64) -> GraphError {
    let data = json!({ "start_offset": start.to_string(), "end_offset": end.to_string() });
    GraphError { data: Some(data), is_transient: Some(true), ..incomplete().subcode(1363037) }
        .user_message("The upload was interrupted: go on where it broke off.")
}

pub(crate) fn execute(
    world: &mut World,
    operation: &Operation,
    step: UploadStep,
    write: &Write,
) -> Result<Value, GraphError> {
    let success = json!({ "success": true });
    match step {
        UploadStep::Unknown => Ok(success),
        UploadStep::Start => Ok(start(world, operation, write)),
        UploadStep::Transfer => transfer(world, write),
        UploadStep::Finish => {
            let session = end_session(world, write)?;
            describe(world, &session.video, write);
            encode(world, &session.video, write.time);
            Ok(success)
        }
        UploadStep::Cancel => {
            let session = end_session(world, write)?;
            world.nodes.remove(&session.video);
            Ok(success)
        }
        UploadStep::StartVideoAd => {
            let id = add(world, operation, write, 0);
            let url = format!("{}/video-ads-upload/v26.0/{id}", world.base_url);
            Ok(json!({ "video_id": id, "upload_url": url }))
        }
        UploadStep::FinishVideoAd => {
            let id = Params(&write.params).required("video_id")?;
            describe(world, id, write);
            encode(world, id, write.time);
            Ok(success)
        }
        UploadStep::Whole if operation.kind == Kind::Video => {
            receive(world, &operation.id, size_of(write));
            Ok(success)
        }
        UploadStep::Whole => {
            let id = add(world, operation, write, size_of(write));
            receive(world, &id, size_of(write));
            encode(world, &id, write.time);
            Ok(json!({ "id": id }))
        }
    }
}

/// Returns the number of bytes a call uploads; a file at a URL is assumed to have two million.
fn size_of(write: &Write) -> u64 {
    let offset = Params(&write.params).amount("offset").ok().flatten().unwrap_or_default();
    write.files.values().next().map_or(2_000_000, |file| offset + file.size)
}

fn start(world: &mut World, operation: &Operation, write: &Write) -> Value {
    let size = Params(&write.params).amount("file_size").ok().flatten().unwrap_or_default();
    let video = add(world, operation, write, size);
    let id = world.next_id();
    let session = UploadSession { video: video.clone(), size, received: 0 };
    let end = next_end(world, &session);
    world.uploads.sessions.insert(id.clone(), session);
    json!({
        "upload_session_id": id,
        "video_id": video,
        "start_offset": "0",
        "end_offset": end.to_string(),
    })
}

fn transfer(world: &mut World, write: &Write) -> Result<Value, GraphError> {
    let params = Params(&write.params);
    let size = write.files.values().next().map_or(0, |file| file.size);
    let broken = world.uploads.take_fault(&[VideoFault::Interrupted]).is_some();
    let from = params.amount("start_offset")?.unwrap_or_default();
    let chunk_bytes = world.media.video_chunk_bytes;
    let id = params.required("upload_session_id")?;
    let Some(session) = world.uploads.sessions.get_mut(id) else { return Err(unsupported("post", id)) };
    session.received = from + if broken { size / 2 } else { size };
    let (video, received) = (session.video.clone(), session.received);
    let end = session.size.min(received + chunk_bytes);
    receive(world, &video, received);
    if broken {
        return Err(interrupted(received, end));
    }
    Ok(json!({ "start_offset": received.to_string(), "end_offset": end.to_string() }))
}

fn end_session(world: &mut World, write: &Write) -> Result<UploadSession, GraphError> {
    let id = Params(&write.params).required("upload_session_id")?;
    world.uploads.sessions.remove(id).ok_or_else(|| unsupported("post", id))
}

/// Adds a video of which nothing has arrived yet.
fn add(world: &mut World, operation: &Operation, write: &Write, size: u64) -> String {
    let zone = world.account_of(&operation.account).zone.clone();
    let now = graph_time(write.time, &zone);
    let mut fields = Map::new();
    fields.insert("created_time".into(), json!(now));
    fields.insert("updated_time".into(), json!(now));
    fields.insert("published".into(), json!(false));
    fields.insert("status".into(), status("processing", 0, size, "not_started", &[]));
    let id = world.create(Kind::Video, &operation.account, fields);
    describe(world, &id, write);
    id
}

fn describe(world: &mut World, id: &str, write: &Write) {
    let Some(node) = world.nodes.get_mut(id) else { return };
    let given = |name: &str| write.params.get(name);
    for (field, text) in
        [("title", given("title").or_else(|| given("name"))), ("description", given("description"))]
    {
        if let Some(text) = text {
            node.fields.insert(field.into(), json!(text));
        }
    }
}

/// Records how many bytes of a video have arrived.
fn receive(world: &mut World, id: &str, received: u64) {
    if let Some(node) = world.nodes.get_mut(id) {
        let size = node.fields.get("status").map_or(0, source_size).max(received);
        node.fields.insert("status".into(), status("processing", received, size, "not_started", &[]));
    }
}

fn transferred(node: &Node) -> u64 {
    node.fields
        .get("status")
        .and_then(|status| status["uploading_phase"]["bytes_transferred"].as_u64())
        .unwrap_or(0)
}

fn source_size(status: &Value) -> u64 {
    status["uploading_phase"]["source_file_size"].as_u64().unwrap_or(0)
}

/// Begins the encoding of a video that has arrived.
fn encode(world: &mut World, id: &str, now: Timestamp) {
    let fault = world.uploads.take_fault(&[VideoFault::Stuck, VideoFault::EncodingFails]);
    let encoding = world.media.encoding;
    let Some(node) = world.nodes.get_mut(id) else { return };
    let size = transferred(node);
    node.fields.insert("status".into(), status("processing", size, size, "in_progress", &[]));
    let fails = fault == Some(VideoFault::EncodingFails);
    if fault == Some(VideoFault::Stuck) {
        return;
    }
    if encoding.is_zero() {
        return finish(world, id, fails);
    }
    world.enter_state(id, now + encoding, |until| ProcessingState::Encoding(until, fails));
}

/// Ends the encoding of a video; only then it has a length, a picture and thumbnails.
pub(crate) fn finish(world: &mut World, id: &str, fails: bool) {
    let Some(node) = world.nodes.get_mut(id) else { return };
    node.processing = ProcessingState::Idle;
    let size = transferred(node);
    if fails {
        let errors = [json!({ "code": 1363008, "message": "The video could not be encoded." })];
        node.fields.insert("status".into(), status("error", size, size, "error", &errors));
        return;
    }
    node.fields.insert("status".into(), status("ready", size, size, "complete", &[]));
    // Two megabytes correspond to about eight seconds.
    node.fields.insert("length".into(), json!(1.0 + (size / 250_000) as f64));
    node.fields.insert("picture".into(), json!(picture_url(id, 0)));
    node.fields.insert("source".into(), json!(format!("https://video.invalid/v/{id}.mp4?oe=6A000000")));
    node.fields.insert("permalink_url".into(), json!(format!("/watch/?v={id}")));
}

fn status(video: &str, received: u64, size: u64, processing: &str, errors: &[Value]) -> Value {
    let uploading = if received < size || received == 0 { "in_progress" } else { "complete" };
    let mut phase = json!({ "status": processing });
    if !errors.is_empty() {
        phase["errors"] = json!(errors);
    }
    let (progress, publishing) = match video {
        "ready" => (100, json!({ "status": "complete", "publish_status": "published" })),
        _ => (0, json!({ "status": "not_started" })),
    };
    json!({
        "video_status": video,
        "processing_progress": progress,
        "uploading_phase": { "status": uploading, "bytes_transferred": received, "source_file_size": size },
        "processing_phase": phase,
        "publishing_phase": publishing,
    })
}

/// Returns whether a video can be used in a creative.
pub(crate) fn is_ready(node: &Node) -> bool {
    node.fields.get("status").is_some_and(|status| status["video_status"] == "ready")
}

/// Returns the rows of `GET /{video}/thumbnails`: none before the video is ready.
pub(crate) fn thumbnails(node: &Node) -> Vec<Value> {
    let id = node.text("id").unwrap_or_default();
    let count = if is_ready(node) { 3 } else { 0 };
    (0..count)
        .map(|index| {
            json!({
                "id": format!("{id}{index}"),
                "uri": picture_url(id, index),
                "width": 640,
                "height": 360,
                "scale": 1,
                "name": "",
                "is_preferred": index == 0,
            })
        })
        .collect()
}

fn picture_url(id: &str, index: usize) -> String {
    format!("https://scontent.invalid/t/{id}_{index}.jpg?oe=6A000000")
}
