//! Decisions: what a rule has seen of an entity on a day, and what came of it.

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::date::DateRange;
use crate::entity::Level;
use crate::id::{AdAccountId, EntityId, RuleId};
use crate::rule::{Action, Condition};

/// How a decision ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DecisionOutcome {
    /// Decided; the action is not confirmed yet. A crash leaves this, and the next evaluation finishes it.
    Pending,
    /// Done on the platform, or recorded where the action is a notification.
    Done,
    /// The entity already was as the rule wants it.
    NoChange,
    /// The guard held the rule back.
    InsufficientData,
    /// The platform or we refused; `reason` says why.
    Rejected,
    /// Not confirmed on its day; nothing is done about it any more.
    Expired,
}

/// One rule, one entity, one day: what was seen and what was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Decision {
    /// Which rule.
    pub rule: RuleId,
    /// Its name at that time.
    pub rule_name: String,
    /// Which account.
    pub ad_account: AdAccountId,
    /// Campaign, ad set or ad.
    pub level: Level,
    /// Which entity.
    pub entity: EntityId,
    /// The entity's name, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity_name: Option<String>,
    /// The account's day on which it was decided: a rule acts on an entity once a day at most.
    pub day: Date,
    /// First and last day that were looked at.
    pub window: DateRange,
    /// The condition as it stood.
    pub condition: Condition,
    /// The metric's value.
    pub value: Decimal,
    /// Impressions in the window.
    pub impressions: u64,
    /// Spend in the window, major units.
    pub spend: Decimal,
    /// What was to be done.
    pub action: Action,
    /// How it ended.
    pub outcome: DecisionOutcome,
    /// Why, where there is something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the entity was before, such as its status or daily budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// When it was decided, RFC 3339.
    pub at: jiff::Timestamp,
}
