//! Copies of campaigns, object by object: Meta copies a whole tree in one call only below three objects, and its
//! asynchronous way is closed to new apps (Marketing API, "Ad copies").

use domain::entity::{Changes, Entity};
use domain::id::EntityId;
use domain::launch::{Launch, Step};
use serde::{Deserialize, Serialize};

use super::LaunchSpec;
use crate::client::UserClient;
use crate::copy::{CopyOptions, CopyStatus, RenameStrategy};
use crate::error::{Details, GraphError};

/// A copy of a campaign with ad sets and ads of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DuplicateSpec {
    /// The campaign that is copied.
    pub copy_of: EntityId,
    /// The name of the copy.
    pub name: String,
    /// Another daily budget of the campaign, in minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily_budget: Option<i64>,
    /// The ad sets that are copied.
    pub ad_sets: Vec<DuplicateAdSet>,
}

/// An ad set that is copied, with ads of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DuplicateAdSet {
    /// The ad set.
    pub copy_of: EntityId,
    /// The name of the copy.
    pub name: String,
    /// The ads that are copied.
    pub ads: Vec<DuplicateAd>,
}

/// An ad that is copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DuplicateAd {
    /// The ad.
    pub copy_of: EntityId,
    /// The name of the copy.
    pub name: String,
}

/// What a launch makes, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LaunchPlan {
    /// A copy of a campaign.
    Duplicate(DuplicateSpec),
    /// What a document describes.
    Document(Box<LaunchSpec>),
}

impl LaunchPlan {
    /// Returns the name that the object of a step has in the end.
    pub fn name_of(&self, step: Step) -> &str {
        match self {
            Self::Document(spec) => spec.name_of(step),
            Self::Duplicate(duplicate) => duplicate.object(step).map_or("", |(_, name)| name),
        }
    }

    /// Returns what is set on the object of a step once all of them exist.
    pub fn last_changes(&self, step: Step) -> Changes {
        let name = Some(self.name_of(step).to_owned());
        match self {
            Self::Duplicate(duplicate) if step == Step::Campaign => {
                Changes { name, daily_budget: duplicate.daily_budget, ..Changes::default() }
            }
            _ => Changes { name, ..Changes::default() },
        }
    }
}

impl DuplicateSpec {
    /// Returns what is to be created, in order.
    pub fn steps(&self) -> Vec<Step> {
        Step::of(self.ad_sets.iter().map(|ad_set| ad_set.ads.len()))
    }

    /// Returns the object that a step copies, and the name of the copy.
    pub(super) fn object(&self, step: Step) -> Option<(&EntityId, &str)> {
        let ad_set = |number: u8| self.ad_sets.get(usize::from(number));
        match step {
            Step::Campaign => Some((&self.copy_of, &self.name)),
            Step::AdSet(number) => ad_set(number).map(|ad_set| (&ad_set.copy_of, ad_set.name.as_str())),
            Step::Ad(number, ad) => {
                let ad = ad_set(number)?.ads.get(usize::from(ad))?;
                Some((&ad.copy_of, &ad.name))
            }
        }
    }
}

/// Returns what the name of a copy ends with until the launch is committed.
fn mark(launch: &Launch, step: Step) -> String {
    let id = &launch.id;
    match step {
        Step::Campaign => format!(" [{id}]"),
        Step::AdSet(ad_set) => format!(" [{id} {ad_set}]"),
        Step::Ad(ad_set, ad) => format!(" [{id} {ad_set}.{ad}]"),
    }
}

impl UserClient {
    /// Copies the object of a step, paused and without what is below it, and returns the copy's id.
    ///
    /// Sent once. After [`GraphError::Indeterminate`] the copy may exist: look for it with [`UserClient::find_copy`].
    pub async fn copy_step(
        &self,
        launch: &Launch,
        duplicate: &DuplicateSpec,
        step: Step,
    ) -> Result<EntityId, GraphError> {
        let missing = || GraphError::InvalidInput(Details::of("the step copies nothing".to_owned()));
        let (source, _) = duplicate.object(step).ok_or_else(missing)?;
        let into =
            step.parent().map(|parent| launch.id_of(parent).cloned().ok_or_else(missing)).transpose()?;
        let renaming =
            RenameStrategy::Affix { prefix: String::new(), suffix: mark(launch, step), deep: false };
        let options = CopyOptions { deep: false, status: CopyStatus::Paused, renaming, into };
        Ok(self.copy(step.level(), source, &options).await?.id)
    }

    /// Finds the copy that a step has made, for use after a lost response.
    pub async fn find_copy(&self, launch: &Launch, step: Step) -> Result<Option<EntityId>, GraphError> {
        let mark = mark(launch, step);
        let found = self.entities_named(&launch.ad_account, step.level(), launch.id.as_str()).await?;
        let is_it = |object: &Entity| object.name.as_ref().is_some_and(|name| name.ends_with(&mark));
        Ok(found.into_iter().find(is_it).map(|object| object.id))
    }
}
