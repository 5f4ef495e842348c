//! The client against a simulated Meta, over HTTP.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests fail by panicking")]

mod rows;
mod support;
mod turns;

mod insights;
mod limits;
mod paging;
mod recordings;
mod version;
