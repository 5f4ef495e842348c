//! Schedules: when a campaign is activated, paused or archived, as a local time in a named time zone.
//!
//! The table is authoritative: it names the valid timer, and a replaced or cancelled timer does nothing.

mod activation;
mod run;

use domain::entity::{EffectiveStatus, Level};
use domain::id::{AdAccountId, EntityId};
use domain::job::Job;
use domain::schedule::ScheduledAction;
use domain::tenant::Tenant;
use domain::{Error, FieldError, local_time};
use http::{Method, StatusCode};
use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use middleware::user_event;
use middleware::version::require_match;
use runtime::endpoint::{self, Endpoint};
use runtime::page::{Cursor, Limit, encode_cursor};
use runtime::random;
use runtime::request::{AdAccountPath, Json, NoQuery, RequestContext};
use runtime::response::{List, NoContent};
use runtime::session::{Role, Session};
use serde::Deserialize;
use serde_json::{Value, json};
use store::account::canonical_time_zone;
use store::schedule::{ActivationScope, Schedule, ScheduleState};

use crate::ManageCampaign;
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
    at: String,
    /// IANA zone; the ad account's when absent.
    timezone: Option<String>,
    /// What is activated with the campaign. When absent: every ad set and ad that it holds then, if none of its ads is
    /// active in an active ad set; otherwise the campaign alone.
    scope: Option<ActivationScope>,
}

/// A schedule of the path.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct SchedulePath {
    /// An ad account of the workspace.
    ad_account: AdAccountId,
    /// A campaign of it.
    id: EntityId,
    /// What is to be done with it.
    action: ScheduledAction,
}

/// Which schedules.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct SchedulesQuery {
    /// Those of one campaign.
    campaign: Option<EntityId>,
    #[serde(default)]
    limit: Limit<50, 200>,
    after: Option<Cursor>,
}

const SCHEDULES: &str = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/schedules";
const SCHEDULE: &str =
    "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/campaigns/{id}/schedules/{action}";

pub(crate) fn list_schedules() -> Endpoint<ManageCampaign> {
    endpoint::member(Method::GET, SCHEDULES, Role::Viewer)
        .named("list_schedules", "Lists the schedules of an ad account")
        .responds(StatusCode::OK, "A page of them, by campaign.", ManageCampaign::list_schedules)
}

pub(crate) fn get_schedule() -> Endpoint<ManageCampaign> {
    endpoint::member(Method::GET, SCHEDULE, Role::Viewer)
        .named("get_schedule", "Returns when a campaign is activated, paused or archived")
        .responds(StatusCode::OK, "The schedule.", ManageCampaign::get_schedule)
}

pub(crate) fn set_schedule() -> Endpoint<ManageCampaign> {
    endpoint::member(Method::PUT, SCHEDULE, Role::Editor)
        .named("schedule_campaign", "Sets when a campaign is activated, paused or archived")
        .description(
            "A time that is set already for the action is replaced. An activation acts on what the campaign holds then: ads first, \
             then ad sets, the campaign last; afterwards `problems` names what cannot deliver, and why.",
        )
        .checks_version()
        .fails_with(
            Error::Conflict,
            "The campaign is over, is being launched, the action is being done at this moment, or it is imported.",
        )
        .responds(StatusCode::OK, "The schedule.", ManageCampaign::set_schedule)
}

pub(crate) fn cancel_schedule() -> Endpoint<ManageCampaign> {
    endpoint::member(Method::DELETE, SCHEDULE, Role::Editor)
        .named("cancel_schedule", "Cancels the activation, pause or archiving of a campaign")
        .checks_version()
        .fails_with(Error::Conflict, "It is being done at this moment.")
        .responds(StatusCode::NO_CONTENT, "It is cancelled.", ManageCampaign::cancel_schedule)
}

impl ManageCampaign {
    /// Creates the timer first, under a unique name: until the table names it, it does nothing. A crash in between
    /// leaves a timer without effect and a caller without a response.
    async fn set_schedule(
        self,
        context: RequestContext<Session, SchedulePath, NoQuery, Json<NewSchedule>>,
    ) -> Result<Json<Schedule>, Error> {
        let RequestContext { caller: session, path, body: Json(requested), request, .. } = context;
        let (workspace, SchedulePath { ad_account, id: campaign, action }) = (&session.workspace, path);
        if action != ScheduledAction::Activate && requested.scope.is_some() {
            let message = "must be absent: only what is activated has a scope";
            return Err(FieldError::new("scope", message).into());
        }
        let account = self.connector.table.require_account(workspace, &ad_account).await?;
        account.require_connection()?;
        let entity = self.entity(workspace, &account.id, Level::Campaign, &campaign).await?;
        let ended = [EffectiveStatus::Archived, EffectiveStatus::Deleted];
        if entity.effective_status.is_some_and(|status| ended.contains(&status)) {
            return Err(Error::Conflict("the campaign is archived or deleted".to_owned()));
        }
        let activates = action == ScheduledAction::Activate;
        if activates
            && self.recent_launches(workspace, &campaign).await?.iter().any(|launch| !is_settled(launch))
        {
            let why = "the campaign is still being launched; see GET launches";
            return Err(Error::Conflict(why.to_owned()));
        }
        let timezone = canonical_time_zone(requested.timezone.as_deref().unwrap_or(&account.timezone))?;
        let is_now = requested.at == NOW;
        let at = match is_now {
            true => self.local_now(&timezone)?,
            false => self.local_time(&requested.at, &timezone)?,
        };

        let before = self.connector.table.schedule(workspace, &account.id, &campaign, action).await?;
        require_match(&request, &before)?;
        if before.as_ref().is_some_and(|before| before.state == ScheduleState::Running) {
            return Err(in_progress(action));
        }
        let schedule = Schedule {
            campaign,
            action,
            at,
            timezone,
            version: before.as_ref().map_or(1, |before| before.version + 1),
            timer: random::id()?,
            // One that failed half way goes on with what it was to activate.
            scope: requested
                .scope
                .or_else(|| before.as_ref().filter(|before| before.state == ScheduleState::Failed)?.scope),
            state: ScheduleState::Scheduled,
            failure: None,
            problems: Vec::new(),
        };
        let event = user_event(&session, "campaign.scheduled", format!("campaign/{}", schedule.campaign))?;
        let event = event
            .in_account(&account.id)
            .with_change(before.as_ref().map_or(Value::Null, audit_value), audit_value(&schedule));
        let due = if is_now { at.saturating_add(TIMER_AFTER_NOW) } else { at };
        self.set_timer(workspace, &account.id, &Schedule { at: due, ..schedule.clone() }).await?;
        let event = event.done_at(self.host.clock.now());
        let table = &self.connector.table;
        table.upsert_schedule(workspace, &account.id, &schedule, before.as_ref(), Some(&event)).await?;
        if let Some(before) = before {
            self.host.schedules.cancel_timer(&before.timer).await?;
        }
        if is_now {
            self.host.queues.send(&[job_of(workspace, &account.id, &schedule)]).await?;
        }
        Ok(Json(schedule))
    }

    /// Creates the timer of a schedule. Repeating it changes nothing.
    pub async fn set_timer(
        &self,
        workspace: &Tenant,
        ad_account: &AdAccountId,
        schedule: &Schedule,
    ) -> Result<(), Error> {
        let job = job_of(workspace, ad_account, schedule);
        self.host.schedules.set_timer(&schedule.timer, schedule.at, &schedule.timezone, &job).await
    }

    async fn list_schedules(
        self,
        context: RequestContext<Session, AdAccountPath, SchedulesQuery>,
    ) -> Result<Json<List<Schedule>>, Error> {
        let RequestContext { caller: session, path: AdAccountPath { ad_account }, query, request, .. } =
            context;
        let (table, limit) = (&self.connector.table, query.limit.rows());
        table.require_account(&session.workspace, &ad_account).await?;
        let after = query.after.as_ref().map(Cursor::position);
        let campaign = query.campaign.as_ref();
        let mut data =
            table.schedules_after(&session.workspace, &ad_account, campaign, after, limit + 1).await?;
        let more = data.len() > limit;
        data.truncate(limit);
        let last = data.last().filter(|_| more).map(Schedule::position);
        Ok(Json(List { after: last.map(|position| encode_cursor(&request, &position)), data }))
    }

    async fn get_schedule(
        self,
        context: RequestContext<Session, SchedulePath>,
    ) -> Result<Json<Schedule>, Error> {
        let SchedulePath { ad_account, id, action } = context.path;
        let table = &self.connector.table;
        let schedule = table.schedule(&context.caller.workspace, &ad_account, &id, action).await?;
        schedule.map(Json).ok_or_else(|| none(action))
    }

    async fn cancel_schedule(
        self,
        context: RequestContext<Session, SchedulePath>,
    ) -> Result<NoContent, Error> {
        let RequestContext { caller: session, path, request, .. } = context;
        let SchedulePath { ad_account: account, id: campaign, action } = path;
        let before = self.connector.table.schedule(&session.workspace, &account, &campaign, action).await?;
        require_match(&request, &before)?;
        match self.cancel_pending(&session, &account, &campaign, action).await? {
            true => Ok(NoContent),
            false => Err(none(action)),
        }
    }

    /// Cancels what is pending for a campaign and an action, for a person. Returns whether there was anything.
    pub(crate) async fn cancel_pending(
        &self,
        session: &Session,
        account: &AdAccountId,
        campaign: &EntityId,
        action: ScheduledAction,
    ) -> Result<bool, Error> {
        let (table, workspace) = (&self.connector.table, &session.workspace);
        let before = table.schedule(workspace, account, campaign, action).await?;
        let Some(before) = before else { return Ok(false) };
        match before.state {
            ScheduleState::Scheduled => {}
            ScheduleState::Running => return Err(in_progress(action)),
            ScheduleState::Cancelled | ScheduleState::Done | ScheduleState::Failed => return Ok(false),
        }
        let cancelled =
            Schedule { version: before.version + 1, state: ScheduleState::Cancelled, ..before.clone() };
        let event = user_event(session, "campaign.schedule_cancelled", format!("campaign/{campaign}"))?;
        let event = event.in_account(account).with_change(audit_value(&before), Value::Null);
        let event = event.done_at(self.host.clock.now());
        table.upsert_schedule(workspace, account, &cancelled, Some(&before), Some(&event)).await?;
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
        let invalid = |message: String| Error::from(FieldError::new("at", message));
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

/// Returns the job of a schedule.
fn job_of(workspace: &Tenant, ad_account: &AdAccountId, schedule: &Schedule) -> Job {
    Job::RunSchedule {
        workspace: workspace.clone(),
        ad_account: ad_account.clone(),
        campaign: schedule.campaign.clone(),
        action: schedule.action,
        timer: schedule.timer.clone(),
    }
}

/// Returns a schedule as a value of the audit log.
fn audit_value(schedule: &Schedule) -> Value {
    let Schedule { action, at, timezone, timer, .. } = schedule;
    json!({"action": action, "at": at.to_string(), "timezone": timezone, "timer": timer})
}

fn in_progress(action: ScheduledAction) -> Error {
    Error::Conflict(format!("{action} is being done with the campaign at this moment"))
}

fn none(action: ScheduledAction) -> Error {
    Error::NotFound(format!("a schedule to {action} this campaign"))
}
