//! Scheduled activation: a campaign starts at a local time of a named zone.
//!
//! The table decides: it names the timer that counts, and one that was replaced or withdrawn does nothing.

use std::time::Duration;

use access::audit::{self, Act, Actor};
use access::{Reached, UseCase};
use ads::id::{AdAccountId, ObjectId};
use ads::job::Job;
use ads::launch::Step;
use ads::object::{EffectiveStatus, Level, Status};
use ads::tenant::Tenant;
use ads::{Failure, Invalid};
use graph_api::launch::Changes;
use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use runtime::route::Visit;
use runtime::{Reply, problem, random, reply};
use serde::Deserialize;
use serde_json::{Value, json};
use store::StoreError;
use store::account::canonical_zone;
use store::schedule::{Activation, ActivationState};

use crate::{Endpoint, ManageCampaign};

/// An activation that Meta keeps from happening is tried again for this long after its time.
const PATIENCE: SignedDuration = SignedDuration::from_hours(6);

/// Nobody plans further ahead.
const LAST_YEAR: i16 = 2100;

/// Time between two tries.
const TRY_AGAIN: Duration = Duration::from_secs(60);

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

impl ManageCampaign {
    /// The timer first, under a name of its own: until the table names it, it does nothing. A crash between
    /// leaves a timer that comes to nothing, and a caller who got no answer.
    pub(crate) async fn schedule(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let workspace = visit.workspace()?;
        let account = self.access.table.known_account(workspace, &visit.path("ad_account")?).await?;
        let campaign: ObjectId = visit.path("id")?;
        let object = self.object(workspace, &account.id, Level::Campaign, &campaign).await?;
        let over = [EffectiveStatus::Archived, EffectiveStatus::Deleted];
        if object.effective_status.is_some_and(|status| over.contains(&status)) {
            return Err(Failure::Conflict("the campaign is archived or deleted".to_owned()));
        }
        let wanted: NewSchedule = visit.json()?;
        let timezone = canonical_zone(wanted.timezone.as_deref().unwrap_or(&account.timezone))?;
        let at = self.local_time(&wanted.activate_at, &timezone)?;

        let before = self.access.table.activation(workspace, &account.id, &campaign).await?;
        if before.as_ref().is_some_and(|before| before.state == ActivationState::Activating) {
            return Err(under_way());
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
        let act = audit::by_person(visit, "campaign.scheduled", format!("campaign/{}", activation.campaign))?;
        let act = act
            .in_account(&account.id)
            .changing(before.as_ref().map_or(Value::Null, said), said(&activation));
        let act = self.access.intend(workspace, act).await?;
        let set = async {
            self.set_timer(workspace, &account.id, &activation).await?;
            let table = &self.access.table;
            Ok(table.keep_activation(workspace, &account.id, &activation, before.as_ref()).await?)
        };
        let set = set.await;
        act.ended(set, None, self.host.clock.now()).await?;
        if let Some(before) = before {
            self.host.schedules.cancel_timer(&before.timer).await?;
        }
        reply::ok(&activation)
    }

    /// Sets the timer of an activation; setting it again changes nothing.
    pub async fn set_timer(
        &self,
        workspace: &Tenant,
        ad_account: &AdAccountId,
        activation: &Activation,
    ) -> Result<(), Failure> {
        let job = Job::ActivateCampaign {
            workspace: workspace.clone(),
            ad_account: ad_account.clone(),
            campaign: activation.campaign.clone(),
            timer: activation.timer.clone(),
        };
        self.host.schedules.set_timer(&activation.timer, activation.at, &activation.timezone, &job).await
    }

    pub(crate) async fn show_schedule(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let (account, campaign) = (visit.path("ad_account")?, visit.path("id")?);
        let activation = self.access.table.activation(visit.workspace()?, &account, &campaign).await?;
        reply::ok(&activation.ok_or_else(|| Failure::NotFound("a schedule of this campaign".to_owned()))?)
    }

    pub(crate) async fn unschedule(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let (account, campaign): (AdAccountId, ObjectId) = (visit.path("ad_account")?, visit.path("id")?);
        let workspace = visit.workspace()?;
        let none = || Failure::NotFound("a schedule of this campaign".to_owned());
        let before = self.access.table.activation(workspace, &account, &campaign).await?.ok_or_else(none)?;
        let act = audit::by_person(visit, "campaign.unscheduled", format!("campaign/{campaign}"))?;
        let act = act.in_account(&account).changing(said(&before), Value::Null);
        let act = self.access.intend(workspace, act).await?;
        let withdrawn = self.withdraw(workspace, &account, &campaign).await;
        let withdrawn = withdrawn.and_then(|there_was| there_was.then_some(()).ok_or_else(none));
        act.ended(withdrawn, None, self.host.clock.now()).await?;
        Ok(reply::no_content())
    }

    /// Withdraws an activation that is still to come, and says whether there was one.
    pub(crate) async fn withdraw(
        &self,
        workspace: &Tenant,
        account: &AdAccountId,
        campaign: &ObjectId,
    ) -> Result<bool, Failure> {
        let before = self.access.table.activation(workspace, account, campaign).await?;
        let Some(before) = before else { return Ok(false) };
        match before.state {
            ActivationState::Scheduled => {}
            ActivationState::Activating => return Err(under_way()),
            ActivationState::Cancelled | ActivationState::Activated | ActivationState::Failed => {
                return Ok(false);
            }
        }
        let withdrawn =
            Activation { version: before.version + 1, state: ActivationState::Cancelled, ..before.clone() };
        self.access.table.keep_activation(workspace, account, &withdrawn, Some(&before)).await?;
        self.host.schedules.cancel_timer(&before.timer).await?;
        Ok(true)
    }

    /// A local time that exists in the zone and is still to come.
    fn local_time(&self, text: &str, timezone: &str) -> Result<DateTime, Failure> {
        let invalid = |problem: String| Failure::from(Invalid::new("activate_at", problem));
        // An offset would be dropped in silence, and the campaign would start at another hour.
        let shape = || {
            invalid(format!("{text:?} must be a local time without an offset, such as 2026-12-01T09:00:00"))
        };
        let at: DateTime = text.parse().map_err(|_| shape())?;
        let written = at.to_string();
        if written != text && written.strip_suffix(":00") != Some(text) {
            return Err(shape());
        }
        let zone = TimeZone::get(timezone).map_err(|error| Failure::Defect(error.to_string()))?;
        let local = zone.to_ambiguous_zoned(at);
        if matches!(local.offset(), AmbiguousOffset::Gap { .. }) {
            return Err(invalid(format!(
                "{at} does not exist in {timezone}: clocks are set forward over it"
            )));
        }
        // A time that comes twice means the first, as everywhere in AWS.
        let moment = local.compatible().map_err(|error| invalid(error.to_string()))?;
        if moment.timestamp() <= self.host.clock.now() {
            return Err(invalid(format!("{at} in {timezone} is over")));
        }
        if at.year() > LAST_YEAR {
            return Err(invalid(format!("{at} is too far away; {LAST_YEAR} is the last year")));
        }
        Ok(at)
    }

    /// The time has come.
    pub(crate) async fn activate(
        &self,
        workspace: &Tenant,
        ad_account: &AdAccountId,
        campaign: &ObjectId,
        timer: &str,
    ) -> Result<(), Failure> {
        let table = &self.access.table;
        let due = table.activation(workspace, ad_account, campaign).await?;
        let pending = [ActivationState::Scheduled, ActivationState::Activating];
        let Some(due) = due.filter(|due| due.timer == timer && pending.contains(&due.state)) else {
            tracing::info!(%workspace, %campaign, "A timer came due that is no longer wanted.");
            return Ok(());
        };
        // Said before it is done: from here on it cannot be withdrawn, and whoever finds it goes on.
        let acting =
            Activation { state: ActivationState::Activating, version: due.version + 1, ..due.clone() };
        match table.keep_activation(workspace, ad_account, &acting, Some(&due)).await {
            Ok(()) => {}
            Err(StoreError::Conflict) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        // However often it is tried, it is one act.
        let who = Actor::Schedule { timer: timer.to_owned() };
        let act =
            Act::new(format!("timer/{timer}"), who, "campaign.activated", format!("campaign/{campaign}"));
        let act = act.in_account(ad_account).changing(said(&due), json!({"status": Status::Active}));
        let act = self.access.intend(workspace, act).await?;
        let mut trace = None;
        let outcome = match self.access.reach(workspace, ad_account, UseCase::AdsManagement).await {
            Ok(reached) => {
                let started = self.start(&reached, campaign).await;
                trace = reached.caller.trace();
                reached.done(started).await
            }
            Err(failure) => Err(failure),
        };
        let outcome = match outcome {
            Err(failure) if failure.may_pass() && !self.is_late(&due) => Err(failure),
            settled => act.ended(settled, trace, self.host.clock.now()).await,
        };
        let (state, failure) = match outcome {
            Ok(()) => (ActivationState::Activated, None),
            Err(failure) if failure.may_pass() && !self.is_late(&due) => {
                return Err(Failure::Wait { after: TRY_AGAIN, why: failure.to_string() });
            }
            Err(failure) => {
                tracing::warn!(%workspace, %campaign, %failure, "An activation failed.");
                (ActivationState::Failed, Some(problem::detail(&failure)))
            }
        };
        tracing::info!(%workspace, %campaign, ?state, failure, "A scheduled activation came due.");
        let concluded = Activation { state, failure, version: acting.version + 1, ..acting.clone() };
        match table.keep_activation(workspace, ad_account, &concluded, Some(&acting)).await {
            Ok(()) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn is_late(&self, due: &Activation) -> bool {
        let zone = TimeZone::get(&due.timezone).unwrap_or(TimeZone::UTC);
        let at = zone.to_ambiguous_zoned(due.at).compatible();
        at.is_ok_and(|at| self.host.clock.now().duration_since(at.timestamp()) > PATIENCE)
    }

    /// Activates a campaign. One that we launched has its ad and ad set activated first and itself last,
    /// for only together do they deliver, and nothing may run before all of it is ready.
    async fn start(&self, reached: &Reached, campaign: &ObjectId) -> Result<(), Failure> {
        let launches = self.access.table.launches(&reached.workspace).await?;
        let ours = launches
            .into_iter()
            .map(|kept| kept.launch)
            .find(|launch| launch.id_of(Step::Campaign) == Some(campaign));
        let below = ours.map(|launch| launch.created).unwrap_or_default();
        let mut objects: Vec<_> = below.into_iter().skip(1).rev().map(|created| created.id).collect();
        objects.push(campaign.clone());
        let active = Changes { status: Some(Status::Active.as_str().to_owned()), ..Changes::default() };
        for id in &objects {
            reached.heed(reached.caller.change(id, &active).await).await?;
        }
        // What is below shows its effective status only now that what is above it runs.
        reached.refresh(Level::Campaign, campaign).await?;
        reached.refresh_below(Level::Campaign, campaign).await
    }
}

/// An activation, for the audit log.
fn said(activation: &Activation) -> Value {
    json!({"activate_at": activation.at.to_string(), "timezone": activation.timezone, "timer": activation.timer})
}

fn under_way() -> Failure {
    Failure::Conflict("the campaign is being activated at this moment".to_owned())
}
