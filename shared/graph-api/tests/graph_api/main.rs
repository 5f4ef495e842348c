//! The client against a simulated Meta, over HTTP.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

mod paging;
mod version;
