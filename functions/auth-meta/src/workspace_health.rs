//! What needs a person's attention in a workspace: connections, ad accounts, and the version of Meta's API.

use connector::version::GraphVersion;
use domain::Error;
use graph_api::version::Support;
use http::{Method, StatusCode};
use jiff::Timestamp;
use jiff::civil::Date;
use runtime::endpoint::{self, Endpoint};
use runtime::request::{Json, RequestContext};
use runtime::session::{Role, Session};
use serde::Serialize;
use store::account::AdAccount;

use crate::AuthMeta;
use crate::views::ConnectionView;

/// Ad accounts that an answer lists.
const MAX_AD_ACCOUNTS: usize = 100;

pub(crate) fn get_health() -> Endpoint<AuthMeta> {
    endpoint::member(Method::GET, "/v1/workspaces/{workspace}/health", Role::Viewer)
        .named("get_health", "Returns what needs attention")
        .description("Connections, selected ad accounts and the version of Meta's API; of the ad accounts, the first hundred.")
        .responds(StatusCode::OK, "What needs attention, each with what to do.", AuthMeta::get_health)
}

/// How the workspace is.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema), schemars(rename = "WorkspaceHealth"))]
struct HealthView {
    /// Whether nothing needs attention.
    healthy: bool,
    /// What does.
    problems: Vec<HealthProblem>,
    graph_version: GraphVersionView,
}

/// Something that needs attention.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
struct HealthProblem {
    subject: HealthSubject,
    /// The id of the connection or ad account.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// What is wrong, in words for a person.
    message: String,
    /// What to do about it, where the message does not say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_step: Option<String>,
    /// When it began, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
}

/// What a problem concerns.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum HealthSubject {
    Connection,
    AdAccount,
    /// The whole installation; its operator resolves it.
    GraphVersion,
}

/// The version of Meta's Graph API that this installation asks for.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
struct GraphVersionView {
    /// Its name, such as `v26.0`.
    requested: String,
    /// The day on which Meta ends it, from sixty days before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(with = "Option<String>", extend("format" = "date")))]
    ends_on: Option<Date>,
    /// The version by which Meta serves instead. While it is newer, nothing is launched.
    #[serde(skip_serializing_if = "Option::is_none")]
    served: Option<String>,
}

impl From<GraphVersion> for GraphVersionView {
    fn from(version: GraphVersion) -> Self {
        let ends_on = match version.support {
            Support::EndsOn(day) | Support::EndedOn(day) => Some(day),
            Support::Served | Support::Unknown => None,
        };
        let served = version.notice.and_then(|notice| notice.served);
        Self { requested: version.requested, ends_on, served }
    }
}

impl AuthMeta {
    async fn get_health(self, context: RequestContext<Session>) -> Result<Json<HealthView>, Error> {
        let (table, workspace) = (&self.connector.table, &context.caller.workspace);
        let fails = |account: &AdAccount| account.selected && account.sync_problem.is_some();
        let accounts = table.accounts_page(workspace, None, MAX_AD_ACCOUNTS, fails);
        let (connections, accounts) = tokio::try_join!(table.connections(workspace), accounts)?;
        let version = self.connector.graph_version().await?;
        let now = self.host.clock.now();
        let of_version = version.problems().into_iter().map(|(message, since)| HealthProblem {
            subject: HealthSubject::GraphVersion,
            id: None,
            message,
            next_step: None,
            since,
        });
        let of_connections = connections.into_iter().filter_map(|connection| {
            let id = connection.id.to_string();
            let (message, next_step) = ConnectionView::of(connection, now).problem()?;
            let subject = HealthSubject::Connection;
            Some(HealthProblem { subject, id: Some(id), message, next_step, since: None })
        });
        let of_accounts = accounts.into_iter().filter_map(|account| {
            let problem = account.sync_problem?;
            Some(HealthProblem {
                subject: HealthSubject::AdAccount,
                id: Some(account.id.to_string()),
                message: problem.reason,
                next_step: None,
                since: Some(problem.since),
            })
        });
        let problems: Vec<_> = of_version.chain(of_connections).chain(of_accounts).collect();
        Ok(Json(HealthView { healthy: problems.is_empty(), problems, graph_version: version.into() }))
    }
}
