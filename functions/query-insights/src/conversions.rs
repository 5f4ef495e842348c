//! The custom conversions of an ad account, with the measures that count them.

use domain::Error;
use domain::results::CustomConversion;
use http::{Method, StatusCode};
use jiff::Timestamp;
use runtime::endpoint::{self, Endpoint};
use runtime::request::{AdAccountPath, Json, RequestContext};
use runtime::session::{Role, Session};
use serde::Serialize;
use store::custom_conversion::CustomConversions;

use crate::QueryInsights;

/// The custom conversions of an ad account.
#[derive(Default, Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct CustomConversionList {
    /// All of them, in no order.
    data: Vec<CustomConversion>,
    /// When they were last asked for; absent before the first sync.
    #[serde(skip_serializing_if = "Option::is_none")]
    read_at: Option<Timestamp>,
    /// Why Meta did not list them then.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

impl From<CustomConversions> for CustomConversionList {
    fn from(CustomConversions { read_at, conversions, failure }: CustomConversions) -> Self {
        Self { data: conversions, read_at: Some(read_at), failure }
    }
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
    ) -> Result<Json<CustomConversionList>, Error> {
        let RequestContext { caller: session, path: AdAccountPath { ad_account }, .. } = context;
        let account = self.table.require_account(&session.workspace, &ad_account).await?;
        let known = self.table.custom_conversions(&session.workspace, &account.id).await?;
        Ok(Json(known.map(CustomConversionList::from).unwrap_or_default()))
    }
}
