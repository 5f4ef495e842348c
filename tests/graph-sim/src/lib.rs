//! A local simulator of Meta's Graph and Marketing API over real HTTP.
//!
//! Start a [`GraphSim`], point a client at its [`base_url`](GraphSim::base_url), and configure the faults to inject.
//! Its data is either generated from a seed or read from recorded responses. Its behaviour is deterministic: it depends
//! only on its configuration, the calls and the injected clock.

// Configuration and control.
mod args;
mod config;
mod control;
mod fault;
mod sim;
mod start_error;

// HTTP and dispatch.
mod batch;
mod call;
mod call_log;
mod connection;
mod error;
mod exchange;
mod gzip;
mod json_path;
mod routes;
mod server;
mod state;
mod version;

// Authentication, permissions and limits.
mod auth;
mod business;
mod change_limits;
mod crypto;
mod custom_audience;
mod login;
mod me;
mod oauth;
mod people;
mod quota;
mod token;

// Webhooks.
mod webhook;

// Reads.
mod fields;
mod filter;
mod insights;
mod listing;
mod object;
mod paging;
mod params;
mod percent;
mod preview;
mod read;
mod reports;
mod selection;
pub mod spec;
mod thumbnail;

// Writes.
mod journal;
mod media;
mod write;
mod write_settings;

// Data model.
mod activity;
mod event;
mod facts;
mod generator;
mod money;
mod node;
mod numbers;
mod processing;
mod recorded;
mod status;
mod world;

pub use args::{AccountArgs, BehaviourArgs};
pub use call_log::RecordedCall;
pub use config::{App, AppAge, Behaviour, Clock, Config, Generator, Limits, PagingQuirks, Source, Tier};
pub use event::Issue;
pub use fault::{
    Area, ErrorData, ErrorResponse, ExpectedOutcome, Fault, FaultCase, FaultKind, FaultPlan, FaultRule,
    RequestMatcher, ThrottleKind, Trigger,
};
pub use insights::InsightsLimits;
pub use login::LOGIN_USER_ID;
pub use media::sample::SampleVideo;
pub use media::video::VideoFault;
pub use people::{CallbackResponse, NewAccount};
pub use processing::ReviewDecision;
pub use quota::{Usage, UseCase};
pub use recorded::last_recorded_day;
pub use reports::{ReportError, ReportOutcome, ReportRun, ReportSettings};
pub use sim::{AccountInfo, GraphSim, SimSnapshot};
pub use start_error::StartError;
pub use token::TokenState;
pub use webhook::DeliveryStats;
pub use write_settings::{MediaLimits, WriteSettings};
