//! What the routes take and give.

use domain::Error;
use domain::launch::LaunchSpec;
use http::StatusCode;
use runtime::describe::{Header, Operation};
use serde_json::json;
use store::schedule::Activation;

use crate::Endpoint;
use crate::change::Patch;
use crate::launch::LaunchView;
use crate::list::{DateRangeQuery, EntityList, EntityView, ListQuery};
use crate::schedule::NewSchedule;

/// What a route takes and gives.
pub fn describe(endpoint: Endpoint) -> Operation {
    match endpoint {
        Endpoint::List(level) => {
            Operation::new(format!("list_{level}s"), format!("Lists {level}s with their numbers"))
                .about("Those without delivery are listed with zeros.")
                .query::<ListQuery>()
                .gives::<EntityList>(StatusCode::OK, "A page of them.")
        }
        Endpoint::Show(level) => {
            Operation::new(format!("show_{level}"), format!("Shows one {level} with its numbers"))
                .query::<DateRangeQuery>()
                .gives::<EntityView>(StatusCode::OK, "It, as Meta last showed it.")
        }
        Endpoint::Change(level) => {
            Operation::new(format!("change_{level}"), format!("Changes one {level} at Meta"))
                .body::<Patch>()
                .gives::<EntityView>(StatusCode::OK, "It, as Meta shows it afterwards, without numbers.")
                .may(Error::Conflict, "It holds no budget that could be changed.")
                .changes_meta()
        }
        Endpoint::Delete(level) => {
            Operation::new(format!("delete_{level}"), format!("Deletes one {level} at Meta"))
                .about("Meta deletes what is below it as well.")
                .gives_nothing(StatusCode::NO_CONTENT, "It is deleted.")
                .changes_meta()
        }
        Endpoint::Launch => Operation::new("launch", "Launches a campaign")
            .about(
                "A campaign, an ad set and an ad, all of them paused, or nothing. Where the document is silent, it takes \
                 the ad account's defaults.",
            )
            .body::<LaunchSpec>()
            .needs_key("Of your own per launch: a repeated request with the same text launches once.")
            .gives::<LaunchView<'static>>(StatusCode::CREATED, "The launch.")
            .with_header(Header::required(
                "Location",
                "Where the launch can be looked at.",
                json!({"type": "string", "format": "uri-reference"}),
            ))
            .may(
                Error::Conflict,
                "The key was used for another document, or the launch is under way or flagged.",
            )
            .changes_meta(),
        Endpoint::ShowLaunch => Operation::new("show_launch", "Shows a launch")
            .gives::<LaunchView<'static>>(StatusCode::OK, "The launch."),
        Endpoint::Schedule => Operation::new("schedule", "Sets the time at which a campaign is activated")
            .about("An activation that is set already is replaced.")
            .body::<NewSchedule>()
            .gives::<Activation>(StatusCode::OK, "The activation.")
            .may(Error::Conflict, "The campaign is over, or is being activated at this moment."),
        Endpoint::ShowSchedule => {
            Operation::new("show_schedule", "Shows the time at which a campaign is activated")
                .gives::<Activation>(StatusCode::OK, "The activation.")
        }
        Endpoint::Unschedule => Operation::new("unschedule", "Withdraws the activation of a campaign")
            .gives_nothing(StatusCode::NO_CONTENT, "It is withdrawn.")
            .may(Error::Conflict, "The campaign is being activated at this moment."),
    }
}
