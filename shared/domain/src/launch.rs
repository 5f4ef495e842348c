//! Launches: one document that creates a campaign, an ad set and an ad.

use serde::{Deserialize, Serialize};

use crate::entity::Level;
use crate::id::{AdAccountId, EntityId, LaunchId};
use crate::platform::PlatformData;

/// The steps of a launch. The order of declaration is the order of execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The campaign, with the budget.
    Campaign,
    /// The ad set in the campaign.
    AdSet,
    /// The ad in the ad set.
    Ad,
}

impl Step {
    /// Every step, in order.
    pub const ALL: [Self; 3] = [Self::Campaign, Self::AdSet, Self::Ad];

    /// Returns the level of the entity that the step creates.
    pub fn level(self) -> Level {
        match self {
            Self::Campaign => Level::Campaign,
            Self::AdSet => Level::AdSet,
            Self::Ad => Level::Ad,
        }
    }
}

/// Where a launch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LaunchState {
    /// Steps are being taken.
    Running,
    /// Everything exists, PAUSED.
    Committed,
    /// A step failed for good; what exists is being deleted.
    RollingBack,
    /// A step failed for good and nothing is left on the platform.
    RolledBack,
    /// Neither committed nor rolled back within a day: a person must look. The ids say what exists.
    NeedsReview,
}

/// One run of a launch document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// The launch's id, part of every entity name that it creates.
    pub id: LaunchId,
    /// The ad account in which it creates entities.
    pub ad_account: AdAccountId,
    /// The launch document, in the words of the account's platform.
    pub document: PlatformData,
    /// Current state.
    pub state: LaunchState,
    /// Entities that exist at the platform.
    #[serde(default)]
    pub created: Vec<Created>,
    /// The step whose request to the platform is in flight. Its outcome is unknown until the entity is found or recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Step>,
    /// Why the launch was rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// When the launch began.
    pub started_at: jiff::Timestamp,
}

/// An entity that a launch created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// The step that created it.
    pub step: Step,
    /// The platform's id.
    pub id: EntityId,
}

impl Launch {
    /// Returns the id of the entity that a step created, if it has.
    pub fn id_of(&self, step: Step) -> Option<&EntityId> {
        self.created.iter().find(|created| created.step == step).map(|created| &created.id)
    }

    /// Returns the first step that has not created its entity.
    pub fn next_step(&self) -> Option<Step> {
        Step::ALL.into_iter().find(|step| self.id_of(*step).is_none())
    }
}
