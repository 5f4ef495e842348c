//! How this Meta deals with what is written and uploaded.

use std::time::Duration;

/// How long Meta works on what was written, and how much it takes.
#[derive(Clone, Debug)]
pub struct WriteSettings {
    /// How long a new or edited object is IN_PROCESS; not at all at first.
    pub in_process: Duration,
    /// How long the review of an ad takes that is new, or whose creative or audience was changed.
    pub review: Duration,
    /// Whether editing or copying what is IN_PROCESS fails with code 1, as it does at times.
    pub refuse_in_process: bool,
    /// Ads whose name contains this fail their review.
    pub disapproved_name_marker: Option<String>,
    /// How many campaigns, how many ad sets and how many ads an account may have that are not deleted.
    pub max_objects_per_kind: usize,
    /// Whether ad sets for Taiwan, Singapore, Thailand and Brazil must name verified identities, as most
    /// advertisers' must.
    pub require_regional_identities: bool,
}

impl Default for WriteSettings {
    /// Everything at once, and as much as an account for bulk use takes.
    fn default() -> Self {
        Self {
            in_process: Duration::ZERO,
            review: Duration::ZERO,
            refuse_in_process: false,
            disapproved_name_marker: None,
            max_objects_per_kind: 50_000,
            require_regional_identities: false,
        }
    }
}

/// How much Meta takes of images and videos, and how fast it is with them.
#[derive(Clone, Debug)]
pub struct MediaLimits {
    /// The largest body of a call, in bytes: a larger one is answered 413 with nothing in it.
    pub max_request_bytes: u64,
    /// How many bytes of a video the simulator asks for at once.
    pub video_chunk_bytes: u64,
    /// How long a video is processing.
    pub encoding: Duration,
}

impl Default for MediaLimits {
    /// Meta's own sizes; videos are ready at once.
    fn default() -> Self {
        Self { max_request_bytes: 100 << 20, video_chunk_bytes: 50 << 20, encoding: Duration::ZERO }
    }
}
