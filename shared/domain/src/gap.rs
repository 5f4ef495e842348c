//! Gaps: parts of a platform's answers that could not be read and were left out, so that the rest could go on.

use serde::{Deserialize, Serialize};

/// Gaps that are listed one by one; beyond them only the number grows.
const MAX_LISTED_GAPS: usize = 20;

/// Maximum characters of a reason.
const MAX_REASON_CHARS: usize = 300;

/// A part of an answer that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Gap {
    /// Id of the entity, ad account or ad that it is about, where that could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The day of a row of metrics, where that could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day: Option<String>,
    /// What was left out: a field of the platform, or everything about this id when it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Why, without the values that the platform sent.
    pub reason: String,
}

impl Gap {
    /// Returns a gap of a whole row or object; the id and day are what could be read of it.
    pub fn new(reason: impl AsRef<str>) -> Self {
        let reason = reason.as_ref().chars().take(MAX_REASON_CHARS).collect();
        Self { id: None, day: None, field: None, reason }
    }
}

/// The gaps of one piece of work: the first ones, and how many there are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Gaps {
    /// How many there are.
    pub count: u64,
    /// The first of them.
    pub first: Vec<Gap>,
}

impl Gaps {
    /// Adds a gap. One that is listed already, such as a field that is missing on every page, counts once.
    pub fn push(&mut self, gap: Gap) {
        if self.first.contains(&gap) {
            return;
        }
        self.count += 1;
        if self.first.len() < MAX_LISTED_GAPS {
            self.first.push(gap);
        }
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl Extend<Gap> for Gaps {
    fn extend<I: IntoIterator<Item = Gap>>(&mut self, gaps: I) {
        gaps.into_iter().for_each(|gap| self.push(gap));
    }
}
