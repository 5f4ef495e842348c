//! The worker of schedules: what is due is marked as running, done, and its outcome kept.

use std::time::Duration;

use connector::{AccountClient, Purpose};
use domain::Error;
use domain::entity::{Changes, Level, Status};
use domain::id::{AdAccountId, EntityId};
use domain::schedule::ScheduledAction;
use domain::tenant::Tenant;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use store::StoreError;
use store::audit::{Actor, AuditEvent, Phase};
use store::schedule::{Schedule, ScheduleProblem, ScheduleState};

use super::{audit_value, job_of};
use crate::ManageCampaign;

/// How long after its time an activation that fails is tried again: later nobody expects it.
const MAX_ACTIVATION_DELAY: SignedDuration = SignedDuration::from_hours(6);

/// How long after its time a pause that fails is tried again: what runs on costs money.
const MAX_PAUSE_DELAY: SignedDuration = SignedDuration::from_hours(24);

/// Delay between two attempts.
pub(super) const RETRY_DELAY: Duration = Duration::from_secs(60);

/// What became of what was scheduled.
#[derive(Default)]
pub(super) struct Ran {
    /// Why it counts as failed although the platform did it.
    pub(super) failure: Option<String>,
    pub(super) problems: Vec<ScheduleProblem>,
}

impl ManageCampaign {
    /// Handles a timer that fired.
    pub(crate) async fn run_schedule(
        &self,
        workspace: &Tenant,
        ad_account: &AdAccountId,
        (campaign, action): (&EntityId, ScheduledAction),
        timer: &str,
    ) -> Result<(), Error> {
        let table = &self.connector.table;
        let due = table.schedule(workspace, ad_account, campaign, action).await?;
        let pending = [ScheduleState::Scheduled, ScheduleState::Running];
        let Some(due) = due.filter(|due| due.timer == timer && pending.contains(&due.state)) else {
            tracing::info!(%workspace, %campaign, %action, "An obsolete timer fired.");
            return Ok(());
        };
        // Recorded before it is executed: from here on it cannot be cancelled, and any worker resumes it.
        let mut running = Schedule { state: ScheduleState::Running, version: due.version + 1, ..due.clone() };
        // All attempts share one event, which the first one records.
        let (status, done) = match action {
            ScheduledAction::Activate => (Status::Active, "campaign.activated"),
            ScheduledAction::Pause => (Status::Paused, "campaign.paused"),
            ScheduledAction::Archive => (Status::Archived, "campaign.archived"),
        };
        let actor = Actor::Schedule { timer: timer.to_owned() };
        let event = AuditEvent::new(format!("timer/{timer}"), actor, done, format!("campaign/{campaign}"));
        let event = event.in_account(ad_account).with_change(audit_value(&due), json!({"status": status}));
        let intended = event.clone().at(self.host.clock.now());
        let intended = (due.state == ScheduleState::Scheduled).then_some(&intended);
        match table.upsert_schedule(workspace, ad_account, &running, Some(&due), intended).await {
            Ok(()) => {}
            Err(StoreError::Conflict) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        if let Some(later) = self.later_schedule(workspace, ad_account, &due).await? {
            let why =
                format!("it could not be done before the {} of {}, which holds", later.action, later.at);
            let event = AuditEvent { phase: Phase::Failed, reason: Some(why.clone()), ..event };
            return self.conclude(workspace, ad_account, &running, (Some(why), Vec::new()), event).await;
        }
        let mut trace = None;
        let outcome = match self.connector.open(workspace, ad_account, Purpose::Action).await {
            Ok(client) => {
                let ran = match action {
                    ScheduledAction::Activate => self.activate(&client, &mut running).await,
                    ScheduledAction::Pause | ScheduledAction::Archive => {
                        stop(&client, campaign, status).await
                    }
                };
                trace = client.request_id();
                client.close(ran).await
            }
            Err(error) => Err(error),
        };
        let mut event = event.ended(&outcome, trace);
        let (failure, problems) = match outcome {
            Ok(Ran { failure, problems }) => {
                if failure.is_some() {
                    (event.phase, event.reason) = (Phase::Failed, failure.clone());
                }
                (failure, problems)
            }
            Err(error) if error.is_retryable() && !self.is_late(&due) => {
                let after = match error {
                    Error::RateLimited { retry_after, .. } => retry_after,
                    _ => RETRY_DELAY,
                };
                tracing::info!(%workspace, %campaign, %action, %error, after_secs = after.as_secs(), "A schedule waits.");
                return self.process_after(after, &job_of(workspace, ad_account, &due)).await;
            }
            Err(error) => {
                tracing::warn!(%workspace, %campaign, %action, %error, "A schedule failed.");
                (Some(error.public_detail()), Vec::new())
            }
        };
        self.conclude(workspace, ad_account, &running, (failure, problems), event).await
    }

    /// Returns another schedule of the campaign whose time came after this one's and that has been done, or is: what waited
    /// longer than that must not undo it.
    async fn later_schedule(
        &self,
        workspace: &Tenant,
        ad_account: &AdAccountId,
        due: &Schedule,
    ) -> Result<Option<Schedule>, Error> {
        let table = &self.connector.table;
        for action in ScheduledAction::ALL.into_iter().filter(|action| *action != due.action) {
            let other = table.schedule(workspace, ad_account, &due.campaign, action).await?;
            let is_later = |other: &Schedule| {
                matches!(other.state, ScheduleState::Running | ScheduleState::Done)
                    && moment_of(other) > moment_of(due)
            };
            if let Some(other) = other.filter(is_later) {
                return Ok(Some(other));
            }
        }
        Ok(None)
    }

    /// Keeps the outcome.
    async fn conclude(
        &self,
        workspace: &Tenant,
        ad_account: &AdAccountId,
        running: &Schedule,
        (failure, problems): (Option<String>, Vec<ScheduleProblem>),
        event: AuditEvent,
    ) -> Result<(), Error> {
        let Schedule { campaign, action, .. } = running;
        let state = if failure.is_some() { ScheduleState::Failed } else { ScheduleState::Done };
        tracing::info!(
            %workspace, %campaign, %action, ?state, failure, problems = problems.len(), "Ran a schedule."
        );
        let version = running.version + 1;
        let concluded = Schedule { state, failure, problems, version, ..running.clone() };
        let event = event.at(self.host.clock.now());
        let table = &self.connector.table;
        match table.upsert_schedule(workspace, ad_account, &concluded, Some(running), Some(&event)).await {
            Ok(()) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn is_late(&self, due: &Schedule) -> bool {
        let max_delay = match due.action {
            ScheduledAction::Activate => MAX_ACTIVATION_DELAY,
            ScheduledAction::Pause | ScheduledAction::Archive => MAX_PAUSE_DELAY,
        };
        // A time that cannot be resolved counts as past.
        moment_of(due).is_none_or(|at| self.host.clock.now().duration_since(at) > max_delay)
    }
}

fn moment_of(schedule: &Schedule) -> Option<Timestamp> {
    let zone = TimeZone::get(&schedule.timezone).ok()?;
    Some(zone.to_ambiguous_zoned(schedule.at).compatible().ok()?.timestamp())
}

/// Stops a campaign; what is below it keeps its status and delivers no more.
async fn stop(client: &AccountClient, campaign: &EntityId, status: Status) -> Result<Ran, Error> {
    let stopped = Changes { status: Some(status), ..Changes::default() };
    client.apply_change(Level::Campaign, campaign, &stopped).await?;
    let read = client.refresh(Level::Campaign, campaign).await?;
    client.refresh_descendants(Level::Campaign, campaign).await?;
    let shown = read.ok_or_else(|| Error::NotFound(format!("campaign {campaign}")))?.status;
    if shown == stopped.status {
        return Ok(Ran::default());
    }
    // It may show what was there before for a moment.
    let shown = shown.as_ref().map_or("no status", Status::as_str);
    Err(Error::Indeterminate(format!("the platform confirmed it, and shows {shown}")))
}
