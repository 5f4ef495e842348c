//! How the simulator processes writes and uploads.

use std::time::Duration;

/// How long Meta processes written objects, and how many it accepts.
#[derive(Clone, Debug)]
pub struct WriteSettings {
    /// How long a new or edited object is IN_PROCESS; zero by default.
    pub in_process: Duration,
    /// How long the review takes of an ad that is new, or whose creative or audience was changed.
    pub review: Duration,
    /// Whether editing or copying an object that is IN_PROCESS fails with code 1, as it sometimes does at Meta.
    pub refuse_in_process: bool,
    /// Ads whose name contains this text fail their review.
    pub disapproved_name_marker: Option<String>,
    /// How many campaigns, ad sets and ads (each counted separately) that are not deleted an account may have.
    pub max_objects_per_kind: usize,
    /// Whether ad sets for Taiwan, Singapore, Thailand and Brazil must name verified identities, as most advertisers'
    /// must.
    pub require_regional_identities: bool,
    /// Features of creatives that are switched on in every new one, whatever was asked for.
    pub enrolled_features: Vec<String>,
    /// Whether the budget schedules of a new object are dropped without a word.
    pub drops_budget_schedules: bool,
}

impl Default for WriteSettings {
    /// No delays, and the object limit of an account for bulk use.
    fn default() -> Self {
        Self {
            in_process: Duration::ZERO,
            review: Duration::ZERO,
            refuse_in_process: false,
            disapproved_name_marker: None,
            max_objects_per_kind: 50_000,
            require_regional_identities: false,
            enrolled_features: Vec::new(),
            drops_budget_schedules: false,
        }
    }
}

/// The sizes of images and videos that Meta accepts, and how long it processes them.
#[derive(Clone, Debug)]
pub struct MediaLimits {
    /// The largest request body in bytes; a larger one is answered with 413 and an empty body.
    pub max_request_bytes: u64,
    /// How many bytes of a video the simulator requests per chunk.
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
