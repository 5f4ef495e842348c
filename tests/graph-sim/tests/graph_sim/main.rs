//! The simulator as a client meets it, over HTTP.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests fail by panicking, and say what they skip"
)]

mod batches;
mod client;
mod copying;
mod failing;
mod faults;
mod heavy;
mod insights;
mod leaving;
mod limits;
mod login;
mod media;
mod money;
mod protocol;
mod reading;
mod reports;
mod restarting;
mod restating;
mod rules;
mod slicing;
mod specified;
mod stages;
mod tokens;
mod webhooks;
mod writing;
