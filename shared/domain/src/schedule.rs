//! What can be scheduled.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is done with a campaign at its time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ScheduledAction {
    /// It is activated, with what it holds then.
    #[default]
    Activate,
    /// It is paused; its ad sets and ads keep their status.
    Pause,
    /// It is archived: it ends for good.
    Archive,
}

impl ScheduledAction {
    /// Every action.
    pub const ALL: [Self; 3] = [Self::Activate, Self::Pause, Self::Archive];

    /// Returns the action as paths and keys have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Activate => "activate",
            Self::Pause => "pause",
            Self::Archive => "archive",
        }
    }
}

impl fmt::Display for ScheduledAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
