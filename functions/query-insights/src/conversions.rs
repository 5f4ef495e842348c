//! The custom conversions of an ad account, with the measures that count them.

use domain::Error;
use domain::results::CustomConversion;
use http::{Method, StatusCode};
use jiff::Timestamp;
use runtime::endpoint::{self, Endpoint};
use runtime::request::{AdAccountPath, Json, RequestContext};
use runtime::session::{Role, Session};
use serde::Serialize;
use store::custom_conversion::ReadConversions;

use crate::QueryInsights;

/// The custom conversions of an ad account.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct CustomConversions {
    /// All of them, in no order.
    data: Vec<CustomConversion>,
    /// When they were last asked for; absent before the first sync.
    #[serde(skip_serializing_if = "Option::is_none")]
    read_at: Option<Timestamp>,
}

pub(crate) fn list_custom_conversions() -> Endpoint<QueryInsights> {
    let path = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/custom-conversions";
    endpoint::member(Method::GET, path, Role::Viewer)
        .named("list_custom_conversions", "Lists the custom conversions of an ad account")
        .description("As Meta last listed them; syncs ask once a day. Each is a measure like any other.")
        .responds(
            StatusCode::OK,
            "All of them, archived ones included.",
            QueryInsights::list_custom_conversions,
        )
}

impl QueryInsights {
    async fn list_custom_conversions(
        self,
        context: RequestContext<Session, AdAccountPath>,
    ) -> Result<Json<CustomConversions>, Error> {
        let RequestContext { caller: session, path: AdAccountPath { ad_account }, .. } = context;
        let account = self.table.require_account(&session.workspace, &ad_account).await?;
        let read = self.table.custom_conversions(&session.workspace, &account.id).await?;
        let read = read.map(|ReadConversions { read_at, conversions }| (conversions, Some(read_at)));
        let (data, read_at) = read.unwrap_or_default();
        Ok(Json(CustomConversions { data, read_at }))
    }
}
