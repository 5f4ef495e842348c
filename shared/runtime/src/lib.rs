//! Where a function meets its host: the clock, queues, schedules, secrets, sessions, HTTP, Lambda.
//!
//! It knows no business. Functions are `handle(http::Request<Bytes>)` and `process(job)` on concrete
//! types; the hosts call them, and only this crate knows the difference between the hosts.

pub mod clock;
pub mod deadline;
pub mod env;
pub mod lambda;
pub mod problem;
pub mod queue;
pub mod random;
pub mod reply;
pub mod route;
pub mod schedule;
pub mod secrets;
pub mod session;
pub mod telemetry;

pub use clock::Clock;
pub use queue::Queues;
pub use reply::Reply;
pub use schedule::Schedules;
pub use secrets::Keyring;
pub use session::Sessions;

/// What every function gets from its host. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Host {
    /// The time.
    pub clock: Clock,
    /// Messages to functions, this one included.
    pub queues: Queues,
    /// Messages to functions at a later time.
    pub schedules: Schedules,
    /// The keys that seal tokens.
    pub keyring: Keyring,
    /// Who may come in.
    pub sessions: Sessions,
    /// Where the front end reaches the API from outside, without a trailing slash.
    pub public_url: std::sync::Arc<str>,
}
