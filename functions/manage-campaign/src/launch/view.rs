//! A launch as the API shows it.

use domain::entity::Level;
use domain::id::{AdAccountId, EntityId, LaunchId};
use domain::launch::{Difference, Launch, LaunchState, Step};
use graph_api::launch::LaunchPlan;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::launch::StoredLaunch;

#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct LaunchView {
    launch_id: LaunchId,
    state: LaunchState,
    ad_account: AdAccountId,
    /// The campaign's name, as the document says it.
    name: String,
    started_at: Timestamp,
    /// Subject of the session that requested it.
    #[serde(skip_serializing_if = "Option::is_none")]
    requested_by: Option<String>,
    /// The campaign or ad set that it adds to.
    #[serde(skip_serializing_if = "Option::is_none")]
    added_to: Option<EntityId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    campaign_id: Option<EntityId>,
    /// Of the first ad set.
    #[serde(skip_serializing_if = "Option::is_none")]
    adset_id: Option<EntityId>,
    /// Of the first ad.
    #[serde(skip_serializing_if = "Option::is_none")]
    ad_id: Option<EntityId>,
    /// What is to be created, in order. A list of launches leaves it out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<StepView>,
    /// Where what Meta keeps is not what was asked for: it has dropped something, or switched something on. To be looked at
    /// before the campaign is started.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    differences: Vec<DifferenceView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

/// A value that is not what was asked for.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
struct DifferenceView {
    /// The step that created the entity, such as `ad_sets[0].ads[1]`.
    path: String,
    /// Which value, in Meta's words.
    field: String,
    /// What was asked for.
    asked: String,
    /// What Meta shows.
    shown: String,
}

/// A step of a launch, which creates one entity.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
struct StepView {
    /// Where the document describes the entity, such as `ad_sets[0].ads[1]`.
    path: String,
    level: Level,
    /// The entity's name, as the document says it.
    name: String,
    state: StepState,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<EntityId>,
    /// When it was created, or requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
}

/// Where a step stands.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum StepState {
    /// Not yet requested, or undone.
    Planned,
    /// Requested; whether it was created is not known yet.
    Requested,
    /// Created.
    Created,
}

impl From<StoredLaunch> for LaunchView {
    fn from(stored: StoredLaunch) -> Self {
        let launch = &stored.launch;
        let plan = launch.document.read::<LaunchPlan>().ok();
        let steps = launch.steps.iter().map(|step| StepView::of(launch, plan.as_ref(), *step)).collect();
        Self { steps, ..Self::listed(stored) }
    }
}

impl LaunchView {
    /// Returns a launch without its steps.
    pub(super) fn listed(StoredLaunch { launch, requested_by, .. }: StoredLaunch) -> Self {
        Self {
            name: name_of(&launch),
            started_at: launch.started_at,
            requested_by,
            added_to: launch.existing.last().map(|existing| existing.id.clone()),
            campaign_id: launch.id_of(Step::Campaign).cloned(),
            adset_id: launch.id_of(Step::AdSet(0)).cloned(),
            ad_id: launch.id_of(Step::Ad(0, 0)).cloned(),
            steps: Vec::new(),
            differences: launch.differences.into_iter().map(DifferenceView::from).collect(),
            launch_id: launch.id,
            state: launch.state,
            ad_account: launch.ad_account,
            failure: launch.failure,
        }
    }
}

impl From<Difference> for DifferenceView {
    fn from(Difference { step, field, asked, shown }: Difference) -> Self {
        Self { path: step.to_string(), field, asked, shown }
    }
}

impl StepView {
    fn of(launch: &Launch, plan: Option<&LaunchPlan>, step: Step) -> Self {
        let created = launch.created.iter().find(|created| created.step == step);
        let is_requested = launch.intent == Some(step);
        let (state, at) = match created {
            Some(created) => (StepState::Created, created.at),
            None if is_requested => (StepState::Requested, launch.intent_at),
            None => (StepState::Planned, None),
        };
        Self {
            path: step.to_string(),
            level: step.level(),
            name: plan.map(|plan| plan.name_of(step).to_owned()).unwrap_or_default(),
            state,
            id: created.map(|created| created.id.clone()),
            at,
        }
    }
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    name: String,
}

/// Returns the name of a launch's campaign; an empty one where the document cannot be read any more.
pub(super) fn name_of(launch: &Launch) -> String {
    launch.document.read::<Named>().map(|named| named.name).unwrap_or_default()
}
