//! Scheduled activation: a campaign starts at a local time of a named zone.
//!
//! The table decides: the timer carries a version, and one that was replaced or withdrawn does nothing.

use ads::id::{AdAccountId, ObjectId, WorkspaceId};
use ads::job::Job;
use ads::object::{Level, Status};
use ads::{Failure, Invalid};
use graph_api::launch::{Changes, level_of};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use runtime::route::Visit;
use runtime::schedule::When;
use runtime::{Reply, reply};
use serde::Deserialize;
use store::schedule::{Activation, ActivationState};

use access::Reached;

use crate::{Endpoint, ManageCampaign};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewSchedule {
    /// Local time without an offset: `2026-12-01T09:00:00`.
    activate_at: DateTime,
    /// IANA zone; the ad account's when absent.
    timezone: Option<String>,
}

impl ManageCampaign {
    /// The table first: a crash before the timer is set leaves an activation that the caller, who got no
    /// answer, sets again; the other order could leave a timer that nobody can see.
    pub(crate) async fn schedule(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let workspace = visit.workspace()?;
        let account = self.access.account(workspace, &visit.path("ad_account")?).await?;
        let campaign: ObjectId = visit.path("id")?;
        self.object(workspace, &account.id, Level::Campaign, &campaign).await?;
        let wanted: NewSchedule = visit.json()?;
        let timezone = wanted.timezone.unwrap_or(account.timezone);
        self.check(wanted.activate_at, &timezone)?;

        let before = self.access.table.activation(workspace, &account.id, &campaign).await?;
        let activation = Activation {
            campaign,
            at: wanted.activate_at,
            timezone,
            version: before.as_ref().map_or(1, |before| before.version + 1),
            state: ActivationState::Scheduled,
            failure: None,
        };
        self.access.table.keep_activation(workspace, &account.id, &activation, before.as_ref()).await?;
        self.set_timer(workspace, &account.id, &activation).await?;
        reply::ok(&activation)
    }

    /// Sets the timer of an activation; setting it again changes nothing.
    pub async fn set_timer(
        &self,
        workspace: &WorkspaceId,
        ad_account: &AdAccountId,
        activation: &Activation,
    ) -> Result<(), Failure> {
        let job = Job::ActivateCampaign {
            workspace: workspace.clone(),
            ad_account: ad_account.clone(),
            campaign: activation.campaign.clone(),
            version: activation.version,
        };
        let when = When::Once { at: activation.at, timezone: &activation.timezone };
        let name = timer_name(workspace, &activation.campaign);
        self.host.schedules.set(&name, &when, &job).await
    }

    pub(crate) async fn show_schedule(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let (account, campaign) = (visit.path("ad_account")?, visit.path("id")?);
        let activation = self.access.table.activation(visit.workspace()?, &account, &campaign).await?;
        reply::ok(&activation.ok_or_else(|| Failure::NotFound("a schedule of this campaign".to_owned()))?)
    }

    pub(crate) async fn unschedule(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let (account, campaign) = (visit.path("ad_account")?, visit.path("id")?);
        if !self.withdraw(visit.workspace()?, &account, &campaign).await? {
            return Err(Failure::NotFound("a schedule of this campaign".to_owned()));
        }
        Ok(reply::no_content())
    }

    /// Withdraws an activation that is still to come, and says whether there was one.
    pub(crate) async fn withdraw(
        &self,
        workspace: &WorkspaceId,
        account: &AdAccountId,
        campaign: &ObjectId,
    ) -> Result<bool, Failure> {
        let Some(before) = self.access.table.activation(workspace, account, campaign).await? else {
            return Ok(false);
        };
        if before.state == ActivationState::Scheduled {
            let withdrawn = Activation {
                version: before.version + 1,
                state: ActivationState::Cancelled,
                ..before.clone()
            };
            self.access.table.keep_activation(workspace, account, &withdrawn, Some(&before)).await?;
        }
        self.host.schedules.cancel(&timer_name(workspace, campaign)).await?;
        Ok(before.state != ActivationState::Cancelled)
    }

    fn check(&self, at: DateTime, timezone: &str) -> Result<(), Failure> {
        let zone = TimeZone::get(timezone).map_err(|_| {
            Invalid::new(
                "timezone",
                format!("{timezone:?} is not a known IANA time zone, such as Asia/Singapore"),
            )
        })?;
        let local = zone.to_ambiguous_zoned(at);
        if matches!(local.offset(), AmbiguousOffset::Gap { .. }) {
            let problem = format!("{at} does not exist in {timezone}: clocks are set forward over it");
            return Err(Invalid::new("activate_at", problem).into());
        }
        // A time that comes twice means the first, as everywhere in AWS.
        let moment = local.compatible().map_err(|error| Invalid::new("activate_at", error.to_string()))?;
        if moment.timestamp() <= self.host.clock.now() {
            return Err(Invalid::new("activate_at", format!("{at} in {timezone} is over")).into());
        }
        Ok(())
    }

    /// The time has come.
    pub(crate) async fn activate(
        &self,
        workspace: &WorkspaceId,
        ad_account: &AdAccountId,
        campaign: &ObjectId,
        version: u64,
    ) -> Result<(), Failure> {
        let Some(due) = self.access.table.activation(workspace, ad_account, campaign).await? else {
            return Ok(());
        };
        if due.version != version || due.state != ActivationState::Scheduled {
            tracing::info!(%workspace, %campaign, version, "A timer came due that is no longer wanted.");
            return Ok(());
        }
        let outcome = match self.access.reach(workspace, ad_account).await {
            Ok(reached) => self.start(&reached, campaign).await,
            Err(failure) => Err(failure),
        };
        let (state, failure) = match outcome {
            Ok(()) => (ActivationState::Activated, None),
            Err(failure) if failure.may_pass() => return Err(failure),
            Err(failure) => (ActivationState::Failed, Some(failure.to_string())),
        };
        tracing::info!(%workspace, %campaign, ?state, failure, "A scheduled activation came due.");
        let concluded = Activation { state, failure, version: version + 1, ..due.clone() };
        Ok(self.access.table.keep_activation(workspace, ad_account, &concluded, Some(&due)).await?)
    }

    /// Activates a campaign. One that we launched has its ad and ad set activated first and itself last,
    /// for only together do they deliver, and nothing may run before all of it is ready.
    async fn start(&self, reached: &Reached, campaign: &ObjectId) -> Result<(), Failure> {
        let launches = self.access.table.launches(&reached.workspace).await?;
        let ours = launches.into_iter().map(|kept| kept.launch);
        let ours =
            ours.into_iter().find(|launch| launch.created.first().is_some_and(|first| first.id == *campaign));
        let below = ours.map(|launch| launch.created).unwrap_or_default();
        let mut objects: Vec<_> =
            below.into_iter().skip(1).rev().map(|created| (level_of(created.step), created.id)).collect();
        objects.push((Level::Campaign, campaign.clone()));
        let active = Changes { status: Some(Status::Active.as_str().to_owned()), ..Changes::default() };
        for (level, id) in &objects {
            reached.heed(reached.caller.change(id, &active).await).await?;
            reached.refresh(*level, id).await?;
        }
        Ok(())
    }
}

/// The name of a campaign's timer.
fn timer_name(workspace: &WorkspaceId, campaign: &ObjectId) -> String {
    format!("activate-{workspace}-{campaign}")
}
