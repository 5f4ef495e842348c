//! Tests of the client against a simulated Meta, over HTTP.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests fail by panicking, and say what they skip"
)]

mod rows;
mod support;
mod task_clock;

mod batches;
mod budgets;
mod copies;
mod coverage;
mod creatives;
mod custom_audiences;
mod custom_conversions;
mod errors;
mod insights;
mod limits;
mod login;
mod media;
mod media_files;
mod odd_answers;
mod paging;
mod previews;
mod recordings;
mod secrets;
mod subscriptions;
mod thumbnails;
mod version;
mod writing;
