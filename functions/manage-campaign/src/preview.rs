//! Previews: a page of the platform's that shows an ad as people will see it, of an ad that exists or of a document.

use connector::Purpose;
use domain::entity::Level;
use domain::launch::Step;
use domain::{Error, FieldError};
use graph_api::launch::{LaunchDefaults, LaunchSpec};
use graph_api::preview::{AdFormat, AdPreview};
use http::{Method, StatusCode};
use runtime::endpoint::{self, Endpoint};
use runtime::request::{AdAccountPath, Json, RequestContext};
use runtime::session::{Role, Session};
use serde::Deserialize;

use crate::ManageCampaign;
use crate::change::EntityPath;

/// Where the ad is shown.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct PreviewQuery {
    /// Where, in Meta's words.
    ad_format: AdFormat,
}

/// Which ad of the document, and where it is shown.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct DocumentPreviewQuery {
    /// Where, in Meta's words.
    ad_format: AdFormat,
    /// Which ad of the document, such as `ad_sets[0].ads[1]`; the first one when absent.
    #[serde(default)]
    #[cfg_attr(feature = "describe", schemars(extend("pattern" = r"^(ad|ad_sets\[[0-9]{1,3}\]\.ads\[[0-9]{1,3}\])$")))]
    ad: Option<String>,
}

pub(crate) fn preview_ad() -> Endpoint<ManageCampaign> {
    let path = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/ads/{id}/preview";
    endpoint::member(Method::GET, path, Role::Viewer)
        .named("preview_ad", "Returns a preview of an ad")
        .description(
            "The address of a page at Meta that shows the ad as people see it. It is good for a day.",
        )
        .calls_platform()
        .responds(StatusCode::OK, "The preview.", ManageCampaign::preview_ad)
}

pub(crate) fn preview_document() -> Endpoint<ManageCampaign> {
    let path = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/previews";
    endpoint::member(Method::POST, path, Role::Viewer)
        .named("preview_document", "Returns a preview of an ad of a launch document")
        .description(
            "Takes the document of a launch, with the ad account's defaults. Nothing is created. Only what the ad shows must \
             be right already; its pictures and videos are in the ad account's library.",
        )
        .only_reads()
        .calls_platform()
        .responds(StatusCode::OK, "The preview.", ManageCampaign::preview_document)
}

impl ManageCampaign {
    async fn preview_ad(
        self,
        context: RequestContext<Session, EntityPath, PreviewQuery>,
    ) -> Result<Json<AdPreview>, Error> {
        let RequestContext { caller: session, path: EntityPath { ad_account, id }, query, .. } = context;
        self.entity(&session.workspace, &ad_account, Level::Ad, &id).await?;
        // Changes come first: nothing is taken of what is kept for them.
        let client = self.connector.open(&session.workspace, &ad_account, Purpose::Sync).await?;
        let preview = client.preview_ad(&id, query.ad_format).await;
        Ok(Json(client.close(preview).await?))
    }

    async fn preview_document(
        self,
        context: RequestContext<Session, AdAccountPath, DocumentPreviewQuery, Json<LaunchSpec>>,
    ) -> Result<Json<AdPreview>, Error> {
        let RequestContext { caller: session, path, query, body: Json(mut spec), .. } = context;
        let account = self.connector.table.require_account(&session.workspace, &path.ad_account).await?;
        let defaults: LaunchDefaults = account.launch_defaults.read()?;
        defaults.fill(&mut spec);
        let step = query.ad.as_deref().map_or(Ok(Step::Ad(0, 0)), str::parse);
        let step = step.map_err(|why| FieldError::new("ad", why))?;
        let errors = spec.check_creative(step);
        if !errors.is_empty() {
            return Err(Error::Invalid(errors));
        }
        let client = self.connector.open(&session.workspace, &path.ad_account, Purpose::Sync).await?;
        let preview = client.preview_step(&spec, step, query.ad_format).await;
        Ok(Json(client.close(preview).await?))
    }
}
