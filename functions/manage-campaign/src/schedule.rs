//! Schedules: when a campaign is activated, as a local time in a named time zone.
//!
//! The table is authoritative: it names the valid timer, and a replaced or cancelled timer does nothing.

use domain::entity::{EffectiveStatus, Level};
use domain::id::{AdAccountId, EntityId};
use domain::job::Job;
use domain::tenant::Tenant;
use domain::{Error, FieldError, local_time};
use http::{Method, StatusCode};
use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use middleware::user_event;
use middleware::version::require_match;
use runtime::endpoint::{self, Endpoint};
use runtime::random;
use runtime::request::{Json, NoQuery, RequestContext};
use runtime::response::NoContent;
use runtime::session::{Role, Session};
use serde::Deserialize;
use serde_json::{Value, json};
use store::account::canonical_time_zone;
use store::schedule::{Activation, ActivationScope, ActivationState};

use crate::ManageCampaign;
use crate::change::EntityPath;
use crate::launch::is_settled;

/// Latest accepted year.
const MAX_SCHEDULE_YEAR: i16 = 2100;

/// What stands for this moment in place of a time.
const NOW: &str = "now";

/// How much later than now the timer of an immediate activation comes due. It matters only if its message is lost.
const TIMER_AFTER_NOW: SignedDuration = SignedDuration::from_mins(1);

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSchedule {
    /// Local time without an offset: `2026-12-01T09:00:00`; or `now`.
    #[cfg_attr(
        feature = "describe",
        schemars(regex(
            pattern = "^(now|(20[0-9]{2}|2100)-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?)$"
        ))
    )]
    activate_at: String,
    /// IANA zone; the ad account's when absent.
    timezone: Option<String>,
    /// What is activated with the campaign. When absent: every ad set and ad that it holds then, if none of its ads is
    /// active in an active ad set; otherwise the campaign alone.
    scope: Option<ActivationScope>,
}

const SCHEDULE: &str = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/campaigns/{id}/schedule";

pub(crate) fn get_schedule() -> Endpoint<ManageCampaign> {
    endpoint::member(Method::GET, SCHEDULE, Role::Viewer)
        .named("get_schedule", "Returns the time at which a campaign is activated")
        .responds(StatusCode::OK, "The activation.", ManageCampaign::get_schedule)
}

pub(crate) fn set_schedule() -> Endpoint<ManageCampaign> {
    endpoint::member(Method::PUT, SCHEDULE, Role::Editor)
        .named("schedule_campaign", "Sets the time at which a campaign is activated")
        .description(
            "An activation that is set already is replaced. At its time it acts on what the campaign holds then: ads first, \
             then ad sets, the campaign last. Afterwards `problems` names what cannot deliver, and why.",
        )
        .checks_version()
        .fails_with(
            Error::Conflict,
            "The campaign is over, is being launched or activated at this moment, or is imported.",
        )
        .responds(StatusCode::OK, "The activation.", ManageCampaign::set_schedule)
}

pub(crate) fn cancel_schedule() -> Endpoint<ManageCampaign> {
    endpoint::member(Method::DELETE, SCHEDULE, Role::Editor)
        .named("cancel_schedule", "Cancels the activation of a campaign")
        .checks_version()
        .fails_with(Error::Conflict, "The campaign is being activated at this moment.")
        .responds(StatusCode::NO_CONTENT, "It is cancelled.", ManageCampaign::cancel_schedule)
}

impl ManageCampaign {
    /// Creates the timer first, under a unique name: until the table names it, it does nothing. A crash in between
    /// leaves a timer without effect and a caller without a response.
    async fn set_schedule(
        self,
        context: RequestContext<Session, EntityPath, NoQuery, Json<NewSchedule>>,
    ) -> Result<Json<Activation>, Error> {
        let RequestContext { caller: session, path, body: Json(requested), request, .. } = context;
        let (workspace, EntityPath { ad_account, id: campaign }) = (&session.workspace, path);
        let account = self.connector.table.require_account(workspace, &ad_account).await?;
        account.require_connection()?;
        let entity = self.entity(workspace, &account.id, Level::Campaign, &campaign).await?;
        let ended = [EffectiveStatus::Archived, EffectiveStatus::Deleted];
        if entity.effective_status.is_some_and(|status| ended.contains(&status)) {
            return Err(Error::Conflict("the campaign is archived or deleted".to_owned()));
        }
        if self.recent_launch(workspace, &campaign).await?.is_some_and(|launch| !is_settled(&launch)) {
            let why = "the campaign is still being launched; see GET launches";
            return Err(Error::Conflict(why.to_owned()));
        }
        let timezone = canonical_time_zone(requested.timezone.as_deref().unwrap_or(&account.timezone))?;
        let is_now = requested.activate_at == NOW;
        let at = match is_now {
            true => self.local_now(&timezone)?,
            false => self.local_time(&requested.activate_at, &timezone)?,
        };

        let before = self.connector.table.activation(workspace, &account.id, &campaign).await?;
        require_match(&request, &before)?;
        if before.as_ref().is_some_and(|before| before.state == ActivationState::Activating) {
            return Err(activation_in_progress());
        }
        let activation = Activation {
            campaign,
            at,
            timezone,
            version: before.as_ref().map_or(1, |before| before.version + 1),
            timer: random::id()?,
            // One that failed half way goes on with what it was to activate.
            scope: requested
                .scope
                .or_else(|| before.as_ref().filter(|before| before.state == ActivationState::Failed)?.scope),
            state: ActivationState::Scheduled,
            failure: None,
            problems: Vec::new(),
        };
        let event = user_event(&session, "campaign.scheduled", format!("campaign/{}", activation.campaign))?;
        let event = event
            .in_account(&account.id)
            .with_change(before.as_ref().map_or(Value::Null, audit_value), audit_value(&activation));
        let due = if is_now { at.saturating_add(TIMER_AFTER_NOW) } else { at };
        self.set_timer(workspace, &account.id, &Activation { at: due, ..activation.clone() }).await?;
        let event = event.done_at(self.host.clock.now());
        let table = &self.connector.table;
        table.upsert_activation(workspace, &account.id, &activation, before.as_ref(), Some(&event)).await?;
        if let Some(before) = before {
            self.host.schedules.cancel_timer(&before.timer).await?;
        }
        if is_now {
            self.host.queues.send(&[job_of(workspace, &account.id, &activation)]).await?;
        }
        Ok(Json(activation))
    }

    /// Creates the timer of an activation. Repeating it changes nothing.
    pub async fn set_timer(
        &self,
        workspace: &Tenant,
        ad_account: &AdAccountId,
        activation: &Activation,
    ) -> Result<(), Error> {
        let job = job_of(workspace, ad_account, activation);
        self.host.schedules.set_timer(&activation.timer, activation.at, &activation.timezone, &job).await
    }

    async fn get_schedule(
        self,
        context: RequestContext<Session, EntityPath>,
    ) -> Result<Json<Activation>, Error> {
        let EntityPath { ad_account, id } = &context.path;
        let activation = self.connector.table.activation(&context.caller.workspace, ad_account, id).await?;
        let none = || Error::NotFound("a schedule of this campaign".to_owned());
        activation.map(Json).ok_or_else(none)
    }

    async fn cancel_schedule(self, context: RequestContext<Session, EntityPath>) -> Result<NoContent, Error> {
        let RequestContext { caller: session, path, request, .. } = context;
        let EntityPath { ad_account: account, id: campaign } = path;
        let before = self.connector.table.activation(&session.workspace, &account, &campaign).await?;
        require_match(&request, &before)?;
        if !self.cancel_activation(&session, &account, &campaign).await? {
            return Err(Error::NotFound("a schedule of this campaign".to_owned()));
        }
        Ok(NoContent)
    }

    /// Cancels a pending activation for a person. Returns whether there was one.
    pub(crate) async fn cancel_activation(
        &self,
        session: &Session,
        account: &AdAccountId,
        campaign: &EntityId,
    ) -> Result<bool, Error> {
        let (table, workspace) = (&self.connector.table, &session.workspace);
        let before = table.activation(workspace, account, campaign).await?;
        let Some(before) = before else { return Ok(false) };
        match before.state {
            ActivationState::Scheduled => {}
            ActivationState::Activating => return Err(activation_in_progress()),
            ActivationState::Cancelled | ActivationState::Activated | ActivationState::Failed => {
                return Ok(false);
            }
        }
        let cancelled =
            Activation { version: before.version + 1, state: ActivationState::Cancelled, ..before.clone() };
        let event = user_event(session, "campaign.schedule_cancelled", format!("campaign/{campaign}"))?;
        let event = event.in_account(account).with_change(audit_value(&before), Value::Null);
        let event = event.done_at(self.host.clock.now());
        table.upsert_activation(workspace, account, &cancelled, Some(&before), Some(&event)).await?;
        self.host.schedules.cancel_timer(&before.timer).await?;
        Ok(true)
    }

    /// Returns the local time in a zone, in full seconds.
    fn local_now(&self, timezone: &str) -> Result<DateTime, Error> {
        let zone = TimeZone::get(timezone).map_err(|error| Error::Internal(error.to_string()))?;
        let now = self.host.clock.now().to_zoned(zone).datetime();
        now.with().subsec_nanosecond(0).build().map_err(|error| Error::Internal(error.to_string()))
    }

    /// Parses a local time that exists in the zone and lies in the future.
    fn local_time(&self, text: &str, timezone: &str) -> Result<DateTime, Error> {
        let invalid = |message: String| Error::from(FieldError::new("activate_at", message));
        // An offset would be dropped silently, and the campaign would start at another hour.
        let shape = || {
            invalid(format!("{text:?} must be a local time without an offset, such as 2026-12-01T09:00:00"))
        };
        let at: DateTime = text.parse().map_err(|_| shape())?;
        let written = at.to_string();
        if written != text && written.strip_suffix(":00") != Some(text) {
            return Err(shape());
        }
        let zone = TimeZone::get(timezone).map_err(|error| Error::Internal(error.to_string()))?;
        let moment = local_time::resolve(at, &zone).ok_or_else(|| {
            invalid(format!("{at} does not exist in {timezone}: clocks are set forward over it"))
        })?;
        if moment.timestamp() <= self.host.clock.now() {
            return Err(invalid(format!("{at} in {timezone} is over")));
        }
        if at.year() > MAX_SCHEDULE_YEAR {
            return Err(invalid(format!("{at} is too far away; {MAX_SCHEDULE_YEAR} is the last year")));
        }
        Ok(at)
    }
}

/// Returns the job of an activation.
pub(crate) fn job_of(workspace: &Tenant, ad_account: &AdAccountId, activation: &Activation) -> Job {
    Job::ActivateCampaign {
        workspace: workspace.clone(),
        ad_account: ad_account.clone(),
        campaign: activation.campaign.clone(),
        timer: activation.timer.clone(),
    }
}

/// Returns an activation as a value of the audit log.
pub(crate) fn audit_value(activation: &Activation) -> Value {
    json!({"activate_at": activation.at.to_string(), "timezone": activation.timezone, "timer": activation.timer})
}

fn activation_in_progress() -> Error {
    Error::Conflict("the campaign is being activated at this moment".to_owned())
}
