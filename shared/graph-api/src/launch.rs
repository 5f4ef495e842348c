//! Creates and deletes campaigns, ad sets and ads.

mod ad;
mod ad_set;
mod addition;
mod audience;
mod audience_edit;
mod bid;
mod budget_schedule;
mod creative;
mod day_part;
mod defaults;
mod duplicate;
mod error_hint;
mod findings;
mod form;
mod goal;
mod preflight;
mod read_back;
mod spec;

use std::borrow::Cow;

use domain::entity::Level;
use domain::id::EntityId;
use domain::launch::{Launch, Step};
use serde::Deserialize;

use self::form::{form, path};
use crate::client::UserClient;
use crate::creative::VALIDATE_ONLY;
use crate::error::GraphError;

pub use self::ad::AdSpec;
pub(crate) use self::ad::{INVALID_URL_TAGS, are_url_tags};
pub use self::ad_set::AdSetSpec;
#[cfg(feature = "describe")]
pub use self::ad_set::TIME_PATTERN;
#[cfg(feature = "describe")]
pub use self::bid::BidStrategy;
pub(crate) use self::bid::{INVALID_ROAS, ROAS_SCALE, STRATEGIES, needs_bid, needs_roas, roas_floor};
pub use self::budget_schedule::BudgetSchedule;
pub use self::creative::CreativeDifference;

pub use self::audience::{Audience, City, Gender, Placements};
pub use self::audience_edit::{AudienceEdit, TargetingEdit};
pub use self::day_part::{Day, DayPart};
pub use self::defaults::LaunchDefaults;
pub use self::duplicate::{DuplicateAd, DuplicateAdSet, DuplicateSpec, LaunchPlan};
pub use self::error_hint::error_hint;
pub use self::goal::Attribution;
pub use self::spec::{LaunchDocument, LaunchSpec};

/// A request that creates an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRequest {
    /// The edge, such as `act_1/campaigns`.
    pub path: String,
    /// The parameters. Where an object above does not exist yet, its step in braces stands for its id.
    pub form: Vec<(&'static str, String)>,
}

#[derive(Deserialize)]
struct CreatedId {
    id: EntityId,
}

impl UserClient {
    /// Creates the object of a launch step as PAUSED, and returns its id.
    ///
    /// Sent once. After [`GraphError::Indeterminate`] the object may exist: look for it with [`UserClient::find_step`]
    /// before retrying.
    pub async fn create_step(
        &self,
        launch: &Launch,
        spec: &LaunchSpec,
        step: Step,
    ) -> Result<EntityId, GraphError> {
        let form = form(launch, self.with_covers(spec, step).await?.as_ref(), step);
        let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let created: CreatedId = self.create(&path(launch, step), &form).await?;
        Ok(created.id)
    }

    /// Gives the video of an ad its cover, as [`Self::with_cover`] does.
    async fn with_covers<'a>(
        &self,
        spec: &'a LaunchSpec,
        step: Step,
    ) -> Result<Cow<'a, LaunchSpec>, GraphError> {
        let Some(ad) = spec.ad(step) else { return Ok(Cow::Borrowed(spec)) };
        let Cow::Owned(covered) = self.with_cover(&ad.creative).await? else {
            return Ok(Cow::Borrowed(spec));
        };
        let mut spec = spec.clone();
        if let Some(ad) = spec.ad_mut(step) {
            ad.creative = covered;
        }
        Ok(Cow::Owned(spec))
    }

    /// Validates a launch step at Meta without creating its object. The objects of the steps before it must exist.
    ///
    /// The creation may still fail later: Meta checks against the account's state at that moment.
    pub async fn validate_step(
        &self,
        launch: &Launch,
        spec: &LaunchSpec,
        step: Step,
    ) -> Result<(), GraphError> {
        let form = form(launch, self.with_covers(spec, step).await?.as_ref(), step);
        let form = form.iter().map(|(name, value)| (*name, value.as_str()));
        let form: Vec<_> = form.chain([VALIDATE_ONLY]).collect();
        self.update(&path(launch, step), &form).await
    }

    /// Finds the object that a step already created, for use after a lost response.
    pub async fn find_step(
        &self,
        launch: &Launch,
        spec: &LaunchSpec,
        step: Step,
    ) -> Result<Option<EntityId>, GraphError> {
        let name = spec.marked_name(launch, step);
        let found = self.entities_named(&launch.ad_account, step.level(), launch.id.as_str()).await?;
        Ok(found.into_iter().find(|object| object.name.as_ref() == Some(&name)).map(|object| object.id))
    }

    /// Finds every object of a level whose name has the launch's mark.
    pub async fn find_marked(&self, launch: &Launch, level: Level) -> Result<Vec<EntityId>, GraphError> {
        let found = self.entities_named(&launch.ad_account, level, launch.id.as_str()).await?;
        Ok(found.into_iter().map(|object| object.id).collect())
    }

    /// Deletes an object and everything below it. Succeeds when it is already gone.
    pub async fn remove(&self, id: &EntityId) -> Result<(), GraphError> {
        self.delete(id.as_str(), &[]).await
    }
}

/// Returns the request that creates the object of a step, as a dry run shows it.
pub fn step_request(launch: &Launch, spec: &LaunchSpec, step: Step) -> StepRequest {
    StepRequest { path: path(launch, step), form: form(launch, spec, step) }
}
