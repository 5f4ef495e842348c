//! Events after one that a reader knows.

use std::time::Duration;

use domain::Error;
use domain::live::LiveEvent;
use http::{Method, StatusCode};
use runtime::endpoint::{self, Endpoint};
use runtime::request::{Json, NoPath, RequestContext};
use runtime::session::{Role, Session};
use serde::{Deserialize, Serialize};
use store::live::LiveEvents;

use crate::LiveUpdates;

/// Maximum events of an answer.
const MAX_EVENTS: usize = 200;

/// How often a request that waits looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// When a reader asks again that could not wait here, in seconds.
const ASK_AGAIN_SECONDS: u64 = 5;

/// Which events.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct LiveEventsQuery {
    /// Those after the event of this id; 0 for all that are kept. Without it there are none, only `latest`.
    after: Option<u64>,
    /// Seconds to wait until there is one, up to 20. A deployment may wait less.
    #[serde(default)]
    wait: u64,
}

/// Events of a workspace.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct LiveEventList {
    /// Oldest first, with contiguous ids; at most 200.
    data: Vec<LiveEvent>,
    /// Id of the last of them, from which to ask for the next. Without any: `after`, or that of the last event there is.
    latest: u64,
    /// Whether events after `after` are not kept any more. Read what you show again, and go on from `latest`.
    missed: bool,
    /// Seconds after which to ask again.
    ask_again: u64,
}

pub(crate) fn list_live_events() -> Endpoint<LiveUpdates> {
    endpoint::member(Method::GET, "/v1/workspaces/{workspace}/events", Role::Viewer)
        .named("list_live_events", "Lists what has changed since an event")
        .description(
            "Events are kept for a day. They say what changed and not how: read it. The same change may be in two events.",
        )
        .responds(StatusCode::OK, "The events.", LiveUpdates::list_live_events)
}

impl LiveUpdates {
    async fn list_live_events(
        self,
        context: RequestContext<Session, NoPath, LiveEventsQuery>,
    ) -> Result<Json<LiveEventList>, Error> {
        let RequestContext { caller: session, query: LiveEventsQuery { after, wait }, .. } = context;
        let workspace = &session.workspace;
        let from_latest = async |missed| -> Result<_, Error> {
            let latest = self.table.latest_live_event(workspace, self.clock.now()).await?.unwrap_or(0);
            Ok(Json(LiveEventList { data: Vec::new(), latest, missed, ask_again: 0 }))
        };
        let Some(after) = after else { return from_latest(false).await };
        let wait = Duration::from_secs(wait.min(20)).min(self.max_wait);
        let looks = wait.as_millis() / LOOK_EVERY.as_millis();
        for look in 0..=looks {
            match self.table.live_events(workspace, after, MAX_EVENTS).await? {
                LiveEvents::Unknown => return from_latest(true).await,
                LiveEvents::After(data) => {
                    if let Some(last) = data.last() {
                        let latest = last.id;
                        return Ok(Json(LiveEventList { data, latest, missed: false, ask_again: 0 }));
                    }
                }
            }
            if look < looks {
                #[expect(clippy::disallowed_methods, reason = "the table calls nobody when it changes")]
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        let ask_again = if wait.is_zero() { ASK_AGAIN_SECONDS } else { 0 };
        Ok(Json(LiveEventList { data: Vec::new(), latest: after, missed: false, ask_again }))
    }
}
