//! Launches, schedules, changes and deletes campaigns, ad sets and ads.
//!
//! Reads come from the table. A write goes to Meta first and to the table after Meta has confirmed it, as
//! Meta shows the object then. A launch and a scheduled activation are state machines in the table, so a
//! crash between any two steps is taken up again.

mod change;
#[cfg(feature = "describe")]
mod describe;
mod error_hint;
mod launch;
mod list;
mod schedule;

use access::{Connector, MiddlewareStack};
use bytes::Bytes;
use domain::Error;
use domain::job::Job;
use domain::object::Level;
use http::{Method, Request};
use runtime::route::{Access::Role as Needs, RequestContext, Route};
use runtime::session::Role;
use runtime::{Host, Response};

#[cfg(feature = "describe")]
pub use crate::describe::describe;

/// What can be asked of this function.
#[derive(Debug, Clone, Copy)]
pub enum Endpoint {
    /// List objects of a level with their numbers.
    List(Level),
    /// Show one object with its numbers.
    Show(Level),
    /// Change one object.
    Change(Level),
    /// Delete one object.
    Delete(Level),
    /// Launch a campaign.
    Launch,
    /// Show a launch.
    ShowLaunch,
    /// Set a campaign's activation.
    Schedule,
    /// Show a campaign's activation.
    ShowSchedule,
    /// Withdraw a campaign's activation.
    Unschedule,
}

const fn route(method: Method, path: &'static str, role: Role, endpoint: Endpoint) -> Route<Endpoint> {
    Route { method, path, access: Needs(role), endpoint }
}

const CAMPAIGNS: &str = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/campaigns";
const CAMPAIGN: &str = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/campaigns/{id}";
const SCHEDULE: &str = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/campaigns/{id}/schedule";
const ADSETS: &str = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/adsets";
const ADSET: &str = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/adsets/{id}";
const ADS: &str = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/ads";
const AD: &str = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/ads/{id}";

/// Every route of this function.
pub static ROUTES: &[Route<Endpoint>] = &[
    route(Method::GET, CAMPAIGNS, Role::Viewer, Endpoint::List(Level::Campaign)),
    route(Method::POST, CAMPAIGNS, Role::Editor, Endpoint::Launch),
    route(Method::GET, CAMPAIGN, Role::Viewer, Endpoint::Show(Level::Campaign)),
    route(Method::PATCH, CAMPAIGN, Role::Editor, Endpoint::Change(Level::Campaign)),
    route(Method::DELETE, CAMPAIGN, Role::Editor, Endpoint::Delete(Level::Campaign)),
    route(Method::GET, SCHEDULE, Role::Viewer, Endpoint::ShowSchedule),
    route(Method::PUT, SCHEDULE, Role::Editor, Endpoint::Schedule),
    route(Method::DELETE, SCHEDULE, Role::Editor, Endpoint::Unschedule),
    route(Method::GET, ADSETS, Role::Viewer, Endpoint::List(Level::AdSet)),
    route(Method::GET, ADSET, Role::Viewer, Endpoint::Show(Level::AdSet)),
    route(Method::PATCH, ADSET, Role::Editor, Endpoint::Change(Level::AdSet)),
    route(Method::DELETE, ADSET, Role::Editor, Endpoint::Delete(Level::AdSet)),
    route(Method::GET, ADS, Role::Viewer, Endpoint::List(Level::Ad)),
    route(Method::GET, AD, Role::Viewer, Endpoint::Show(Level::Ad)),
    route(Method::PATCH, AD, Role::Editor, Endpoint::Change(Level::Ad)),
    route(Method::DELETE, AD, Role::Editor, Endpoint::Delete(Level::Ad)),
    route(Method::GET, "/v1/workspaces/{workspace}/launches/{launch}", Role::Viewer, Endpoint::ShowLaunch),
];

/// The function.
#[derive(Debug, Clone)]
pub struct ManageCampaign {
    connector: Connector,
    host: Host,
    middleware: MiddlewareStack,
}

impl ManageCampaign {
    /// The function on this host.
    pub fn new(connector: Connector, host: Host) -> Self {
        let middleware = MiddlewareStack::new(&connector.table, &host);
        Self { connector, host, middleware }
    }

    /// Answers a request.
    pub async fn handle(&self, request: Request<Bytes>) -> Response {
        let handles_own_idempotency = |endpoint| matches!(endpoint, Endpoint::Launch);
        self.middleware
            .serve("manage-campaign", ROUTES, request, handles_own_idempotency, |context| {
                self.dispatch(context)
            })
            .await
    }

    async fn dispatch(&self, context: RequestContext<Endpoint>) -> Result<Response, Error> {
        if !matches!(context.endpoint, Endpoint::List(_) | Endpoint::Show(_)) {
            context.takes_no_query()?;
        }
        match context.endpoint {
            Endpoint::List(level) => self.list(&context, level).await,
            Endpoint::Show(level) => self.show(&context, level).await,
            Endpoint::Change(level) => self.change(&context, level).await,
            Endpoint::Delete(level) => self.delete(&context, level).await,
            Endpoint::Launch => self.launch(&context).await,
            Endpoint::ShowLaunch => self.show_launch(&context).await,
            Endpoint::Schedule => self.schedule(&context).await,
            Endpoint::ShowSchedule => self.show_schedule(&context).await,
            Endpoint::Unschedule => self.unschedule(&context).await,
        }
    }

    /// Does a job.
    pub async fn process(&self, job: Job) -> Result<(), Error> {
        match job {
            Job::ActivateCampaign { workspace, ad_account, campaign, timer } => {
                self.activate(&workspace, &ad_account, &campaign, &timer).await
            }
            Job::ResumeLaunch { workspace, launch } => self.resume(&workspace, &launch).await,
            other => Err(other.wrong_queue()),
        }
    }
}
