//! The runtime of a function: clock, queues, schedules, secrets, sessions, HTTP, and the hosts.
//!
//! It contains no business logic. A function is `handle(http::Request<Bytes>)` and `process(job)` on a concrete type;
//! hosts call both, and only this crate knows the hosts: natively AWS Lambda and the local server, on wasm32 Cloudflare
//! Workers, which provide queues and HTTP to a function at the edge.

// On Workers a panic ends every request of the isolate.
#![cfg_attr(target_arch = "wasm32", warn(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

pub mod app_secrets;
pub mod clock;
pub mod deadline;
pub mod endpoint;
mod input;
pub mod operation;
#[cfg(not(target_arch = "wasm32"))]
pub mod origins;
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

/// Services of the host for a function. Cheap to clone.
#[cfg(not(target_arch = "wasm32"))]
#[derive(Debug, Clone)]
pub struct Host {
    /// Current time.
    pub clock: Clock,
    /// Sends jobs to functions, this one included.
    pub queues: Queues,
    /// Sends jobs to functions at a later time.
    pub schedules: Schedules,
    /// Verifies session tokens.
    pub sessions: SessionVerifier,
    /// Rate limit of a workspace: requests per minute, which is also the burst size.
    pub requests_per_minute: u32,
    /// Public URL of the API as the front end uses it, without a trailing slash. Unless it is configured, it is where
    /// the request was received.
    pub public_url: Option<std::sync::Arc<str>>,
}
