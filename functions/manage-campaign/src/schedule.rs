//! Scheduled activation: starts a campaign at a local time in a named time zone.
//!
//! The table is authoritative: it names the valid timer, and a replaced or cancelled timer does nothing.

use std::time::Duration;

use connector::{AccountClient, Purpose};
use domain::entity::{Changes, EffectiveStatus, Level, Status};
use domain::id::{AdAccountId, EntityId};
use domain::job::Job;
use domain::launch::Step;
use domain::tenant::Tenant;
use domain::{Error, FieldError};
use http::{Method, StatusCode};
use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use middleware::user_event;
use middleware::version::require_match;
use runtime::endpoint::{self, Endpoint};
use runtime::random;
use runtime::request::{Json, NoQuery, RequestContext};
use runtime::response::NoContent;
use runtime::session::{Role, Session};
use serde::Deserialize;
use serde_json::{Value, json};
use store::StoreError;
use store::account::canonical_time_zone;
use store::audit::{Actor, AuditEvent};
use store::schedule::{Activation, ActivationState};

use crate::ManageCampaign;
use crate::change::EntityPath;

/// Maximum time after the scheduled activation during which a failing one is retried.
const MAX_ACTIVATION_DELAY: SignedDuration = SignedDuration::from_hours(6);

/// Latest accepted year.
const MAX_SCHEDULE_YEAR: i16 = 2100;

/// Delay between two attempts.
const RETRY_DELAY: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSchedule {
    /// Local time without an offset: `2026-12-01T09:00:00`.
    #[cfg_attr(
        feature = "describe",
        schemars(regex(
            pattern = "^(20[0-9]{2}|2100)-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$"
        ))
    )]
    activate_at: String,
    /// IANA zone; the ad account's when absent.
    timezone: Option<String>,
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
        .description("An activation that is set already is replaced.")
        .checks_version()
        .fails_with(
            Error::Conflict,
            "The campaign is over, is being activated at this moment, or is imported.",
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
        let timezone = canonical_time_zone(requested.timezone.as_deref().unwrap_or(&account.timezone))?;
        let at = self.local_time(&requested.activate_at, &timezone)?;

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
            state: ActivationState::Scheduled,
            failure: None,
        };
        let event = user_event(&session, "campaign.scheduled", format!("campaign/{}", activation.campaign))?;
        let event = event
            .in_account(&account.id)
            .with_change(before.as_ref().map_or(Value::Null, audit_value), audit_value(&activation));
        self.set_timer(workspace, &account.id, &activation).await?;
        let event = event.done_at(self.host.clock.now());
        let table = &self.connector.table;
        table.upsert_activation(workspace, &account.id, &activation, before.as_ref(), Some(&event)).await?;
        if let Some(before) = before {
            self.host.schedules.cancel_timer(&before.timer).await?;
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
        let job = Job::ActivateCampaign {
            workspace: workspace.clone(),
            ad_account: ad_account.clone(),
            campaign: activation.campaign.clone(),
            timer: activation.timer.clone(),
        };
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
        let local = zone.to_ambiguous_zoned(at);
        if matches!(local.offset(), AmbiguousOffset::Gap { .. }) {
            return Err(invalid(format!(
                "{at} does not exist in {timezone}: clocks are set forward over it"
            )));
        }
        // An ambiguous local time means the first one, as everywhere in AWS.
        let moment = local.compatible().map_err(|error| invalid(error.to_string()))?;
        if moment.timestamp() <= self.host.clock.now() {
            return Err(invalid(format!("{at} in {timezone} is over")));
        }
        if at.year() > MAX_SCHEDULE_YEAR {
            return Err(invalid(format!("{at} is too far away; {MAX_SCHEDULE_YEAR} is the last year")));
        }
        Ok(at)
    }

    /// Handles a timer that fired.
    pub(crate) async fn activate(
        &self,
        workspace: &Tenant,
        ad_account: &AdAccountId,
        campaign: &EntityId,
        timer: &str,
    ) -> Result<(), Error> {
        let table = &self.connector.table;
        let due = table.activation(workspace, ad_account, campaign).await?;
        let pending = [ActivationState::Scheduled, ActivationState::Activating];
        let Some(due) = due.filter(|due| due.timer == timer && pending.contains(&due.state)) else {
            tracing::info!(%workspace, %campaign, "An obsolete timer fired.");
            return Ok(());
        };
        // Recorded before it is executed: from here on it cannot be cancelled, and any worker resumes it.
        let activating =
            Activation { state: ActivationState::Activating, version: due.version + 1, ..due.clone() };
        // All attempts share one event, which the first one records.
        let actor = Actor::Schedule { timer: timer.to_owned() };
        let event = AuditEvent::new(
            format!("timer/{timer}"),
            actor,
            "campaign.activated",
            format!("campaign/{campaign}"),
        );
        let event =
            event.in_account(ad_account).with_change(audit_value(&due), json!({"status": Status::Active}));
        let intended = event.clone().at(self.host.clock.now());
        let intended = (due.state == ActivationState::Scheduled).then_some(&intended);
        match table.upsert_activation(workspace, ad_account, &activating, Some(&due), intended).await {
            Ok(()) => {}
            Err(StoreError::Conflict) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let mut trace = None;
        let outcome = match self.connector.open(workspace, ad_account, Purpose::Action).await {
            Ok(client) => {
                let started = self.start(&client, campaign).await;
                trace = client.request_id();
                client.close(started).await
            }
            Err(error) => Err(error),
        };
        let event = event.ended(&outcome, trace);
        let (state, failure) = match outcome {
            Ok(()) => (ActivationState::Activated, None),
            Err(error) if error.is_retryable() && !self.is_late(&due) => {
                return Err(Error::RateLimited { retry_after: RETRY_DELAY, reason: error.to_string() });
            }
            Err(error) => {
                tracing::warn!(%workspace, %campaign, %error, "An activation failed.");
                (ActivationState::Failed, Some(error.public_detail()))
            }
        };
        tracing::info!(%workspace, %campaign, ?state, failure, "Ran a scheduled activation.");
        let concluded = Activation { state, failure, version: activating.version + 1, ..activating.clone() };
        let event = event.at(self.host.clock.now());
        match table
            .upsert_activation(workspace, ad_account, &concluded, Some(&activating), Some(&event))
            .await
        {
            Ok(()) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn is_late(&self, due: &Activation) -> bool {
        // A time that cannot be resolved counts as past.
        let zone = TimeZone::get(&due.timezone);
        let at = zone.and_then(|zone| zone.to_ambiguous_zoned(due.at).compatible());
        at.map_or(true, |at| self.host.clock.now().duration_since(at.timestamp()) > MAX_ACTIVATION_DELAY)
    }

    /// Activates a campaign. For one that was launched here, the ad and the ad set are activated first and the campaign
    /// last, because only all three together deliver, and nothing may run before all of them are ready.
    async fn start(&self, client: &AccountClient, campaign: &EntityId) -> Result<(), Error> {
        let launches = self.connector.table.launches(&client.workspace).await?;
        let ours = launches
            .into_iter()
            .map(|stored| stored.launch)
            .find(|launch| launch.id_of(Step::Campaign) == Some(campaign));
        let below = ours.map(|launch| launch.created).unwrap_or_default();
        let below = below.into_iter().skip(1).rev().map(|created| (created.step.level(), created.id));
        let active = Changes { status: Some(Status::Active), ..Changes::default() };
        for (level, id) in below.chain([(Level::Campaign, campaign.clone())]) {
            client.apply_change(level, &id, &active).await?;
        }
        // The descendants' effective status changes only once the campaign is active.
        client.refresh(Level::Campaign, campaign).await?;
        client.refresh_descendants(Level::Campaign, campaign).await
    }
}

/// Returns an activation as a value of the audit log.
fn audit_value(activation: &Activation) -> Value {
    json!({"activate_at": activation.at.to_string(), "timezone": activation.timezone, "timer": activation.timer})
}

fn activation_in_progress() -> Error {
    Error::Conflict("the campaign is being activated at this moment".to_owned())
}
