//! Client of Meta's Graph API. It depends on no table, queue or host.
//!
//! Calls use one user's or system user's token ([`Graph::on_behalf_of`]), return types of [`domain`], and fail with a
//! [`GraphError`] whose variant determines what the caller does next.

mod call;
pub mod change;
pub mod client;
pub mod error;
mod error_code;
mod lenient;
mod response;
pub mod time;
pub mod version;

#[doc(hidden)]
pub mod fuzzing;

pub mod limit;
pub mod quota_lease;
pub mod usage;

pub mod account;
pub mod activity;
pub mod batch;
pub mod budget;
pub mod copy;
pub mod creative;
pub mod custom_audience;
mod custom_conversion;
pub mod entities;
mod goal;
pub mod id;
pub mod insights;
pub mod launch;
pub mod media;
pub mod oauth;
pub mod page;
pub mod preview;
pub mod regulation;
pub mod signed_request;
pub mod subscription;
mod targeting;
mod thumbnail;
pub mod webhook;

pub use client::{Graph, GraphConfig, UserClient};
pub use error::GraphError;
pub use error_code::ThrottleScope;
pub use quota_lease::QuotaLease;
pub use time::Time;
