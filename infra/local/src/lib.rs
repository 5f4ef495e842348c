//! The whole system in one process: every function, on an embedded table, queues, schedules and secrets.
//!
//! The functions run unchanged. The AWS SDK gets another HTTP client ([`cloud`]), and the runner replaces the event
//! sources ([`runner`]): it polls queues, fires schedules and serves HTTP.

pub mod account;
pub mod calls;
pub mod cloud;
pub mod data;
pub mod demo;
pub mod dynamo;
pub mod functions;
pub mod http_server;
mod hub;
pub mod issuer;
pub mod meter;
pub mod observer;
mod outbox;
pub mod recover;
pub mod report;
pub mod rotate;
pub mod runner;
mod secrets;
pub mod snapshot;
pub mod sqs;
pub mod system;
pub mod tenant;
pub mod timers;
pub mod upload;
pub mod verify;

pub use system::{Options, System};
