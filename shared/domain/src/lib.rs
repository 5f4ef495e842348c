//! The words of the product: ids, money, dates, metrics, ad objects, rules, launches and jobs.
//!
//! Nothing here does I/O, reads a clock or knows a host, so every other crate can speak these words.

pub mod account;
pub mod canonical;
pub mod creative;
pub mod date;
pub mod email;
pub mod error;
pub mod id;
pub mod job;
pub mod launch;
pub mod metrics;
pub mod money;
pub mod object;
pub mod regulation;
pub mod role;
pub mod rule;
pub mod tenant;
pub mod text;

pub use error::Error;

/// A value that was refused at the door: which field, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct FieldError {
    /// The path of the field as the sender wrote it, such as `ad_set.countries`.
    pub field: String,
    /// What is wrong and how to mend it, as a sentence for the sender.
    pub message: String,
}

impl FieldError {
    /// Names a field and what would be right.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}
