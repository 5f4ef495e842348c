//! Tests of the simulator over HTTP, as a client uses it.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests fail by panicking, and say what they skip"
)]

mod batches;
mod breakdowns;
mod client;
mod copying;
mod deauthorization;
mod failing;
mod faults;
mod insights;
mod insights_limits;
mod limits;
mod login;
mod media;
mod money;
mod processing;
mod protocol;
mod reading;
mod reports;
mod restarting;
mod restatement;
mod rules;
mod specification;
mod tokens;
mod webhooks;
mod writing;
