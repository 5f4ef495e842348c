//! The custom audiences that ad sets can name.

use connector::AccountClient;
use domain::Error;
use domain::audience::CustomAudience;
use domain::id::EntityId;
use http::{Method, StatusCode};
use runtime::endpoint::{self, Endpoint};
use runtime::page::Cursor;
use runtime::request::{AdAccountPath, Json, RequestContext};
use runtime::response::List;
use runtime::session::{Role, Session};
use serde::{Deserialize, Serialize};

use crate::ManageCampaign;

/// From where the list goes on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct AudiencesQuery {
    after: Option<Cursor>,
}

/// A custom audience of an ad account: customers, visitors, or people like them.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct AudienceView {
    /// What `custom_audiences` and `excluded_custom_audiences` of a launch document name.
    id: EntityId,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// What it was made from, in Meta's words, such as `CUSTOM`, `WEBSITE` or `LOOKALIKE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    subtype: Option<String>,
    /// About how many people it has at least. Absent for few.
    #[serde(skip_serializing_if = "Option::is_none")]
    people_from: Option<u64>,
    /// About how many people it has at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    people_to: Option<u64>,
    /// Whether ads can be shown to it now. One that is not ready can be named, and left out, all the same.
    ready: bool,
    /// What Meta says against it.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl From<CustomAudience> for AudienceView {
    fn from(audience: CustomAudience) -> Self {
        let CustomAudience { id, name, subtype, people, is_ready, problem } = audience;
        let (people_from, people_to) = people.unzip();
        Self { id, name, subtype, people_from, people_to, ready: is_ready, problem }
    }
}

pub(crate) fn list_audiences() -> Endpoint<ManageCampaign> {
    let path = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/audiences";
    endpoint::member(Method::GET, path, Role::Viewer)
        .named("list_audiences", "Lists the custom audiences of an ad account")
        .description("As Meta has them now, lookalikes and those that others share with it included.")
        .calls_platform()
        .responds(StatusCode::OK, "The audiences.", ManageCampaign::list_audiences)
}

impl ManageCampaign {
    async fn list_audiences(
        self,
        context: RequestContext<Session, AdAccountPath, AudiencesQuery>,
    ) -> Result<Json<List<AudienceView>>, Error> {
        let RequestContext { caller: session, path: AdAccountPath { ad_account }, query, request, .. } =
            context;
        let from = (&request, query.after.as_ref());
        let list = async |client: &AccountClient, after| client.list_audiences(after).await;
        self.list_library(&session.workspace, &ad_account, from, list).await
    }
}
