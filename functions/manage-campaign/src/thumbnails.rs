//! Thumbnails of ads, read from the platform when they are to be shown: the addresses of pictures expire.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use connector::Purpose;
use domain::entity::{Thumbnail, Thumbnails};
use domain::id::EntityId;
use domain::{Error, FieldError};
use http::{Method, StatusCode};
use runtime::endpoint::{self, Endpoint};
use runtime::request::{AdAccountPath, Json, RequestContext};
use runtime::session::{Role, Session};
use serde::{Deserialize, Serialize};

use crate::ManageCampaign;

/// The most ads of a request: their pictures fit into an answer.
const MAX_ADS: usize = 50;

/// Of which ads.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct ThumbnailsQuery {
    /// The ads, 50 at most.
    #[cfg_attr(feature = "describe", schemars(length(min = 1, max = MAX_ADS)))]
    ids: Vec<EntityId>,
}

/// Pictures of ads.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct ThumbnailList {
    /// In no order.
    data: Vec<ThumbnailView>,
    /// Ads whose pictures could not be read now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<EntityId>,
}

/// The picture of an ad.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
struct ThumbnailView {
    /// The ad.
    id: EntityId,
    /// The picture as a data URL, about 64 x 64 pixels.
    image: String,
}

impl From<Thumbnail> for ThumbnailView {
    fn from(Thumbnail { ad, media_type, bytes }: Thumbnail) -> Self {
        Self { id: ad, image: format!("data:{media_type};base64,{}", STANDARD.encode(bytes)) }
    }
}

pub(crate) fn list_thumbnails() -> Endpoint<ManageCampaign> {
    let path = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/thumbnails";
    endpoint::member(Method::GET, path, Role::Viewer)
        .named("list_thumbnails", "Returns small pictures of ads")
        .description(
            "They are read from Meta now, with one call of the ad account's quota. Ads without a picture, deleted ads, and ads \
             of other accounts are left out.",
        )
        .calls_platform()
        .responds(StatusCode::OK, "The pictures that there are.", ManageCampaign::list_thumbnails)
}

impl ManageCampaign {
    async fn list_thumbnails(
        self,
        context: RequestContext<Session, AdAccountPath, ThumbnailsQuery>,
    ) -> Result<Json<ThumbnailList>, Error> {
        let RequestContext { caller: session, path: AdAccountPath { ad_account }, query, .. } = context;
        let ads = query.ids;
        if !(1..=MAX_ADS).contains(&ads.len()) {
            return Err(FieldError::new("ids", format!("name 1 to {MAX_ADS} ads, not {}", ads.len())).into());
        }
        let account = self.connector.table.require_account(&session.workspace, &ad_account).await?;
        if account.connection.is_none() {
            return Ok(Json(ThumbnailList { data: Vec::new(), failed: Vec::new() }));
        }
        // Changes come first: nothing is taken of what is kept for them.
        let client = self.connector.open(&session.workspace, &ad_account, Purpose::Sync).await?;
        let read = client.thumbnails(&ads).await;
        let Thumbnails { read, failed } = client.close(read).await?;
        Ok(Json(ThumbnailList { data: read.into_iter().map(ThumbnailView::from).collect(), failed }))
    }
}
