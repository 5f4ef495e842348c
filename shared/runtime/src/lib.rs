//! Where a function meets its host: the clock, queues, schedules, secrets, sessions, HTTP, and the two hosts.
//!
//! It knows no business. Functions are `handle(http::Request<Bytes>)` and `process(job)` on concrete
//! types; the hosts call them, and only this crate knows the difference between the hosts: natively AWS
//! Lambda and the laptop, on wasm32 Cloudflare Workers, where a function at the edge finds queues and HTTP.

// Where a panic ends every request of the isolate.
#![cfg_attr(target_arch = "wasm32", warn(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

pub mod app_secrets;
pub mod clock;
pub mod deadline;
pub mod endpoint;
mod input;
pub mod operation;
pub mod page;
pub mod problem;
pub mod random;
pub mod request;
pub mod response;
pub mod router;
pub mod session;
pub mod telemetry;

#[cfg(not(target_arch = "wasm32"))]
pub mod aws;
#[cfg(not(target_arch = "wasm32"))]
pub mod env;
#[cfg(any(target_arch = "wasm32", test))]
mod envelope;
#[cfg(not(target_arch = "wasm32"))]
pub mod keyring;
#[cfg(not(target_arch = "wasm32"))]
pub mod lambda;
#[cfg(not(target_arch = "wasm32"))]
pub mod queue;
#[cfg(not(target_arch = "wasm32"))]
pub mod schedule;
#[cfg(not(target_arch = "wasm32"))]
pub mod secrets;
#[cfg(not(target_arch = "wasm32"))]
pub mod stream;
#[cfg(target_arch = "wasm32")]
pub mod workers;

pub use app_secrets::AppSecrets;
pub use clock::Clock;
#[cfg(not(target_arch = "wasm32"))]
pub use keyring::Keyring;
#[cfg(not(target_arch = "wasm32"))]
pub use queue::Queues;
pub use response::Response;
#[cfg(not(target_arch = "wasm32"))]
pub use schedule::Schedules;
pub use session::SessionVerifier;
#[cfg(target_arch = "wasm32")]
pub use workers::Queues;

/// What a function gets from its host that does more than answer questions. Cheap to clone.
#[cfg(not(target_arch = "wasm32"))]
#[derive(Debug, Clone)]
pub struct Host {
    /// The time.
    pub clock: Clock,
    /// Messages to functions, this one included.
    pub queues: Queues,
    /// Messages to functions at a later time.
    pub schedules: Schedules,
    /// Who may come in.
    pub sessions: SessionVerifier,
    /// How many requests a workspace may make in a minute, and at once.
    pub requests_per_minute: u32,
    /// Where the front end reaches the API from outside, without a trailing slash. Unless it is configured,
    /// it is where the request came in.
    pub public_url: Option<std::sync::Arc<str>>,
}
