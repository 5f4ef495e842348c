//! The custom conversions of an ad account, with the measures that count them.

use domain::Error;
use domain::results::CustomConversion;
use http::{Method, StatusCode};
use runtime::endpoint::{self, Endpoint};
use runtime::request::{AdAccountPath, Json, RequestContext};
use runtime::response::List;
use runtime::session::{Role, Session};

use crate::QueryInsights;

pub(crate) fn list_custom_conversions() -> Endpoint<QueryInsights> {
    let path = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/custom-conversions";
    endpoint::member(Method::GET, path, Role::Viewer)
        .named("list_custom_conversions", "Lists the custom conversions of an ad account")
        .description("As Meta listed them to a sync in the last day. Each is a measure like any other.")
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
    ) -> Result<Json<List<CustomConversion>>, Error> {
        let RequestContext { caller: session, path: AdAccountPath { ad_account }, .. } = context;
        let account = self.table.require_account(&session.workspace, &ad_account).await?;
        let read = self.table.custom_conversions(&session.workspace, &account.id).await?;
        Ok(Json(List { data: read.map(|read| read.conversions).unwrap_or_default(), after: None }))
    }
}
