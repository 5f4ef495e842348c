//! A local stand-in for Meta's Graph and Marketing API (v26.0), spoken over real HTTP.
//!
//! Start a [`GraphSim`], point a client at its [`base_url`](GraphSim::base_url), and tell it which faults to make.
//! What it holds is either made up from a seed or read from recorded answers; everything it does follows from its
//! configuration, its calls and the clock it is given.

// Starting and steering it.
mod args;
mod config;
mod fault;
mod sim;
mod start_error;

// Being called.
mod batch;
mod call;
mod error;
mod exchange;
mod gzip;
mod json_path;
mod line;
mod record;
mod routes;
mod server;
mod state;

// Letting callers in.
mod access;
mod business;
mod crypto;
mod login;
mod me;
mod oauth;
mod pace;
mod people;
mod quota;
mod token;

// Telling callers.
mod webhook;

// Reading.
mod fields;
mod filter;
mod insights;
mod listing;
mod object;
mod paging;
mod params;
mod percent;
mod read;
mod reports;
mod selection;
pub mod spec;

// Writing.
mod journal;
mod media;
mod write;
mod writing;

// What there is to read.
mod activity;
mod event;
mod facts;
mod generator;
mod money;
mod node;
mod numbers;
mod recorded;
mod stage;
mod status;
mod world;

pub use args::{AccountArgs, MannerArgs};
pub use config::{App, Behaviour, Clock, Config, Generator, Limits, Pages, Source, Tier};
pub use event::Issue;
pub use fault::{
    Area, Ending, ErrorData, Fault, FaultCase, FaultKind, FaultPlan, Place, Refusal, Rule, ThrottleKind, When,
};
pub use insights::Heaviest;
pub use login::PERSON;
pub use media::video::VideoTrouble;
pub use people::{Called, MoreAccount};
pub use quota::{Usage, UseCase};
pub use record::RecordedCall;
pub use recorded::last_recorded_day;
pub use reports::{ReportError, ReportFate, ReportRun, Reports};
pub use sim::{AccountInfo, GraphSim};
pub use stage::Verdict;
pub use start_error::StartError;
pub use token::TokenState;
pub use webhook::Deliveries;
pub use writing::{MediaLimits, Writing};
