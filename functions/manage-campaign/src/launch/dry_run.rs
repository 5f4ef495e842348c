//! A dry run of a launch: what is wrong with its document, and what would be sent.

use std::collections::BTreeMap;

use connector::Purpose;
use domain::launch::{Launch, Step};
use domain::tenant::Tenant;
use domain::{Error, FieldError};
use graph_api::launch::{LaunchSpec, step_request};
use http::{HeaderMap, StatusCode};
use runtime::Response;
use runtime::request::Json;
use runtime::response::IntoResponse;
use serde::Serialize;

use super::view::LaunchView;
use crate::ManageCampaign;

/// What a dry run found.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct DryRun {
    /// Whether nothing was found. Meta checks the campaign; it can check ad sets and ads only once those above them exist.
    launchable: bool,
    /// Everything that is wrong, each with its place in the document and what to do.
    findings: Vec<Finding>,
    /// The requests that create the entities, in order.
    requests: Vec<PlannedRequest>,
}

/// Something that is wrong with a document.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
struct Finding {
    /// Where, such as `ad_sets[0].countries`.
    field: String,
    message: String,
}

/// A request that would be sent.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
struct PlannedRequest {
    /// Where the document describes what it creates, such as `ad_sets[0].ads[1]`.
    step: String,
    /// The edge that it is posted to, such as `act_1/campaigns`.
    path: String,
    /// Its parameters. Where an entity above does not exist yet, its step in braces stands for its id.
    parameters: BTreeMap<&'static str, String>,
}

/// The response to a launch, or to a dry run of it.
pub(crate) enum LaunchResponse {
    Launched(HeaderMap, Json<Box<LaunchView>>),
    DryRun(Json<DryRun>),
}

impl IntoResponse for LaunchResponse {
    fn into_response(self, status: StatusCode) -> Result<Response, Error> {
        match self {
            Self::Launched(headers, view) => (headers, view).into_response(status),
            Self::DryRun(dry_run) => dry_run.into_response(StatusCode::OK),
        }
    }

    #[cfg(feature = "describe")]
    fn contents() -> Vec<(&'static str, runtime::operation::SchemaFn)> {
        Json::<Box<LaunchView>>::contents()
    }
}

impl ManageCampaign {
    /// Returns what is wrong with a document. Meta is asked, if it is to be, only when nothing is.
    pub(super) async fn dry_run(
        &self,
        workspace: &Tenant,
        launch: &Launch,
        (spec, mut errors): (&LaunchSpec, Vec<FieldError>),
        ask_meta: bool,
    ) -> Result<DryRun, Error> {
        if ask_meta && errors.is_empty() {
            let client = self.connector.open(workspace, &launch.ad_account, Purpose::Action).await?;
            let asked = async {
                errors.extend(client.preflight(launch).await?);
                if !errors.is_empty() {
                    return Ok(());
                }
                // Those below it cannot be checked before it exists.
                let Some(first) = launch.steps.first() else { return Ok(()) };
                match client.validate(launch, *first).await {
                    Err(Error::RejectedByPlatform(why)) => {
                        errors.push(FieldError::new(first.to_string(), why));
                    }
                    validated => validated?,
                }
                Ok(())
            };
            let asked = asked.await;
            client.close(asked).await?;
        }
        let request = |step: Step| {
            let request = step_request(launch, spec, step);
            PlannedRequest {
                step: step.to_string(),
                path: request.path,
                parameters: request.form.into_iter().collect(),
            }
        };
        Ok(DryRun {
            launchable: errors.is_empty(),
            requests: launch.steps.iter().copied().map(request).collect(),
            findings: errors
                .into_iter()
                .map(|error| Finding { field: error.field, message: error.message })
                .collect(),
        })
    }
}
