//! Live events: that something in a workspace has changed. An event names what changed and not how, so that whoever
//! needs it reads it; events of a workspace have contiguous ids, so that a reader notices what it has missed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::entity::Level;
use crate::id::{AdAccountId, RuleId};

/// Something that changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Changed {
    /// An ad account, its selection, or its sync.
    AdAccount {
        /// The ad account.
        ad_account: AdAccountId,
    },
    /// Metrics of an ad account, or the progress of their sync.
    Metrics {
        /// The ad account.
        ad_account: AdAccountId,
    },
    /// Campaigns, ad sets or ads of an ad account.
    Entities {
        /// The ad account.
        ad_account: AdAccountId,
        /// Their level.
        level: Level,
    },
    /// Scheduled activations of an ad account.
    Schedules {
        /// The ad account.
        ad_account: AdAccountId,
    },
    /// The change log of an ad account.
    Changes {
        /// The ad account.
        ad_account: AdAccountId,
    },
    /// Connections.
    Connections,
    /// Members or invitations.
    Members,
    /// Rules.
    Rules,
    /// Decisions of a rule.
    Decisions {
        /// The rule.
        rule: RuleId,
    },
    /// Launches.
    Launches,
    /// The audit log.
    Audit,
}

impl Changed {
    /// Returns the ad account that it names, if it names one.
    pub const fn ad_account(&self) -> Option<&AdAccountId> {
        match self {
            Self::AdAccount { ad_account }
            | Self::Metrics { ad_account }
            | Self::Entities { ad_account, .. }
            | Self::Schedules { ad_account }
            | Self::Changes { ad_account } => Some(ad_account),
            Self::Connections
            | Self::Members
            | Self::Rules
            | Self::Decisions { .. }
            | Self::Launches
            | Self::Audit => None,
        }
    }
}

/// What changed together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct LiveEvent {
    /// Number of the event in its workspace: one more than that of the event before it.
    pub id: u64,
    /// When the change was noticed.
    pub at: Timestamp,
    /// What changed.
    pub changed: Vec<Changed>,
}
