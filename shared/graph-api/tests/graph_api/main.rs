//! The client against a simulated Meta, over HTTP.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

mod version;
