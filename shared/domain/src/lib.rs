//! Domain types, the same for every ad platform: ids, money, dates, metrics, entities, rules, launches and jobs.
//!
//! Nothing here does I/O, reads a clock or depends on a host, so every other crate can use these types.

pub mod activity;
pub mod audience;
pub mod budget;
pub mod bulk;
pub mod canonical;
pub mod dataset;
pub mod date;
pub mod decision;
pub mod email;
pub mod entity;
pub mod error;
pub mod gap;
pub mod id;
pub mod job;
pub mod launch;
pub mod live;
pub mod local_time;
pub mod media;
pub mod metrics;
pub mod money;
pub mod platform;
pub mod results;
pub mod role;
pub mod rule;
pub mod schedule;
pub mod tenant;
pub mod text;
pub mod totals;

pub use error::Error;

/// A validation error: the field, and what a valid value is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct FieldError {
    /// Path of the field as the sender wrote it, such as `ad_set.countries`.
    pub field: String,
    /// What is wrong and how to fix it, as a sentence for the sender.
    pub message: String,
}

impl FieldError {
    /// Creates an error for a field.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}
