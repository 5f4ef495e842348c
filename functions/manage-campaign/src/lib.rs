//! Launches, schedules, changes and deletes campaigns, ad sets and ads.
//!
//! Reads come from the table, except the pictures of ads. A write goes to Meta first and, after Meta has confirmed it, to
//! the table as Meta then returns the entity. A launch and a scheduled activation are state machines in the table, so
//! that work resumes after a crash between any two steps.

mod audiences;
mod background;
mod bulk;
mod change;
mod creatives;
mod launch;
mod library;
mod list;
mod list_query;
mod media;
mod preview;
mod schedule;
mod thumbnails;

use std::sync::LazyLock;

use bytes::Bytes;
use connector::Connector;
use domain::Error;
use domain::entity::Level;
use domain::job::Job;
use http::Request;
use middleware::Middleware;
use runtime::endpoint::Endpoint;
use runtime::{Host, Response};

/// All endpoints of this function.
pub static ENDPOINTS: LazyLock<Vec<Endpoint<ManageCampaign>>> = LazyLock::new(|| {
    vec![
        list::list_entities(list::CAMPAIGNS, Level::Campaign),
        launch::launch(),
        launch::duplicate(),
        launch::add_ad_sets(),
        launch::add_ads(),
        list::show_entity(change::CAMPAIGN, Level::Campaign),
        change::change_entity(change::CAMPAIGN, Level::Campaign),
        change::delete_entity(change::CAMPAIGN, Level::Campaign),
        change::move_budget(),
        schedule::list_schedules(),
        schedule::get_schedule(),
        schedule::set_schedule(),
        schedule::cancel_schedule(),
        bulk::create_bulk_change(),
        bulk::list_bulk_changes(),
        bulk::get_bulk_change(),
        bulk::stop_bulk_change(),
        bulk::undo_bulk_change(),
        audiences::list_audiences(),
        media::list_media(),
        media::add_video(),
        media::get_media(),
        media::begin_file(),
        media::get_file(),
        media::send_bytes(),
        list::list_entities(list::ADSETS, Level::AdSet),
        list::show_entity(change::ADSET, Level::AdSet),
        change::change_entity(change::ADSET, Level::AdSet),
        change::delete_entity(change::ADSET, Level::AdSet),
        list::list_entities(list::ADS, Level::Ad),
        list::show_entity(change::AD, Level::Ad),
        change::change_entity(change::AD, Level::Ad),
        change::delete_entity(change::AD, Level::Ad),
        creatives::create_creative(),
        preview::preview_ad(),
        preview::preview_document(),
        thumbnails::list_thumbnails(),
        launch::list_launches(),
        launch::get_launch(),
    ]
});

/// The `manage-campaign` function.
#[derive(Debug, Clone)]
pub struct ManageCampaign {
    connector: Connector,
    host: Host,
    middleware: Middleware,
}

impl ManageCampaign {
    /// Creates the function.
    pub fn new(connector: Connector, host: Host) -> Self {
        let middleware = Middleware::new(&connector.table, &host);
        Self { connector, host, middleware }
    }

    /// Handles a request.
    pub async fn handle(&self, request: Request<Bytes>) -> Response {
        self.middleware.serve("manage-campaign", &ENDPOINTS, self, request).await
    }

    /// Processes a job.
    pub async fn process(&self, job: Job) -> Result<(), Error> {
        match job {
            Job::RunSchedule { workspace, ad_account, campaign, action, timer } => {
                self.run_schedule(&workspace, &ad_account, (&campaign, action), &timer).await
            }
            Job::ApplyBulkChange { workspace, ad_account, bulk_change } => {
                self.apply_bulk_change(&workspace, &ad_account, &bulk_change).await
            }
            Job::ResumeLaunch { workspace, launch } => self.resume(&workspace, &launch).await,
            other => Err(other.wrong_queue()),
        }
    }
}
