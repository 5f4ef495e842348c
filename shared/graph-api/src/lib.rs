//! Meta's Graph API (v26) and nothing else: it knows no table, no queue and no host.
//!
//! A call is made on behalf of somebody ([`Graph::on_behalf_of`]), answers in the words of [`ads`], and
//! fails with a [`GraphError`] that names the caller's next move.

mod answer;
mod call;
pub mod client;
mod code;
pub mod error;
pub mod time;

#[doc(hidden)]
pub mod fuzzing;

pub mod allowance;
pub mod limit;
pub mod usage;

pub mod account;
pub mod batch;
pub mod budget;
pub mod copy;
pub mod creative;
pub mod insights;
pub mod launch;
pub mod media;
pub mod oauth;
pub mod page;
pub mod signed_request;
pub mod structure;
pub mod subscription;
pub mod webhook;

pub use allowance::Allowance;
pub use client::{Caller, Graph, GraphConfig};
pub use code::Scope;
pub use error::GraphError;
pub use time::Time;
