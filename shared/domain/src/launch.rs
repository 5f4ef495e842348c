//! Launches: one document that creates a campaign with its ad sets and ads.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::entity::Level;
use crate::id::{AdAccountId, EntityId, LaunchId};
use crate::platform::PlatformData;

/// A step of a launch, which creates one entity. The order is that of execution. Its text is the entity's path in the
/// document: `campaign`, `ad_sets[0]`, `ad_sets[0].ads[1]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Step {
    /// The campaign.
    Campaign,
    /// An ad set of the campaign, by its number.
    AdSet(u8),
    /// An ad, by the number of its ad set and its own.
    Ad(u8, u8),
}

impl Step {
    /// Returns the steps of a document whose ad sets have these numbers of ads.
    pub fn of(ads: impl IntoIterator<Item = usize>) -> Vec<Self> {
        let mut steps = vec![Self::Campaign];
        for (ad_set, ads) in (0..=u8::MAX).zip(ads) {
            steps.push(Self::AdSet(ad_set));
            steps.extend((0..=u8::MAX).take(ads).map(|ad| Self::Ad(ad_set, ad)));
        }
        steps.sort_unstable();
        steps
    }

    /// Returns the level of the entity that the step creates.
    pub fn level(self) -> Level {
        match self {
            Self::Campaign => Level::Campaign,
            Self::AdSet(_) => Level::AdSet,
            Self::Ad(..) => Level::Ad,
        }
    }

    /// Returns the step that creates the entity above.
    pub fn parent(self) -> Option<Self> {
        match self {
            Self::Campaign => None,
            Self::AdSet(_) => Some(Self::Campaign),
            Self::Ad(ad_set, _) => Some(Self::AdSet(ad_set)),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Campaign => f.write_str("campaign"),
            Self::AdSet(ad_set) => write!(f, "ad_sets[{ad_set}]"),
            Self::Ad(ad_set, ad) => write!(f, "ad_sets[{ad_set}].ads[{ad}]"),
        }
    }
}

impl FromStr for Step {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse().map_err(|_| format!("{text:?} is no number of a step"));
        // Launches of one ad set and one ad were stored without numbers.
        match text {
            "campaign" => return Ok(Self::Campaign),
            "ad_set" => return Ok(Self::AdSet(0)),
            "ad" => return Ok(Self::Ad(0, 0)),
            _ => {}
        }
        let path = text.strip_prefix("ad_sets[").and_then(|rest| rest.strip_suffix(']'));
        let path = path.ok_or_else(|| format!("{text:?} is no step of a launch"))?;
        match path.split_once("].ads[") {
            Some((ad_set, ad)) => Ok(Self::Ad(number(ad_set)?, number(ad)?)),
            None => Ok(Self::AdSet(number(path)?)),
        }
    }
}

impl TryFrom<String> for Step {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Step> for String {
    fn from(step: Step) -> Self {
        step.to_string()
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
    /// Everything that is to be created, in order.
    #[serde(default = "one_of_each")]
    pub steps: Vec<Step>,
    /// Entities that were there before, to which the launch adds: never undone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub existing: Vec<Existing>,
    /// Current state.
    pub state: LaunchState,
    /// Entities that exist at the platform.
    #[serde(default)]
    pub created: Vec<Created>,
    /// The step whose request to the platform is in flight. Its outcome is unknown until the entity is found or recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Step>,
    /// When that request was stored, before it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent_at: Option<Timestamp>,
    /// Whether a creation was requested again, because its outcome was unknown. There may be two then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resent: bool,
    /// Where what the platform keeps is not what was asked for, found before the launch was committed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    /// Why the launch was rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// When the launch began.
    pub started_at: Timestamp,
}

/// Returns the steps of launches that were stored without them.
fn one_of_each() -> Vec<Step> {
    Step::of([1])
}

/// An entity that stands for a step, which creates nothing then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Existing {
    /// The step.
    pub step: Step,
    /// The platform's id.
    pub id: EntityId,
}

/// A value of an entity that is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The step that created the entity.
    pub step: Step,
    /// Which value, in the platform's words.
    pub field: String,
    /// What was asked for.
    pub asked: String,
    /// What the platform shows.
    pub shown: String,
}

/// An entity that a launch created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// The step that created it.
    pub step: Step,
    /// The platform's id.
    pub id: EntityId,
    /// When it was known to exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Whether it has the name of the document, without the launch's mark.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub named: bool,
}

impl Launch {
    /// Returns the id of the entity of a step, if there is one.
    pub fn id_of(&self, step: Step) -> Option<&EntityId> {
        let existing = self.existing.iter().map(|existing| (existing.step, &existing.id));
        let created = self.created.iter().map(|created| (created.step, &created.id));
        existing.chain(created).find(|(of, _)| *of == step).map(|(_, id)| id)
    }

    /// Returns the first step that has not created its entity.
    pub fn next_step(&self) -> Option<Step> {
        self.steps.iter().copied().find(|step| self.id_of(*step).is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_paths_of_the_document_in_the_order_of_execution() {
        let steps = Step::of([1, 2]);
        let paths: Vec<_> = steps.iter().map(ToString::to_string).collect();
        let expected = ["campaign", "ad_sets[0]", "ad_sets[1]", "ad_sets[0].ads[0]", "ad_sets[1].ads[0]"];
        assert_eq!(paths[..5], expected);
        for step in steps {
            assert_eq!(step.to_string().parse(), Ok(step));
        }
        assert_eq!(["ad_set", "ad"].map(str::parse), [Ok(Step::AdSet(0)), Ok(Step::Ad(0, 0))]);
        for bad in ["", "ad_sets[]", "ad_sets[256]", "ad_sets[0].ads[]", "ads[0]", "ad_sets[0"] {
            assert!(bad.parse::<Step>().is_err(), "{bad}");
        }
    }
}
