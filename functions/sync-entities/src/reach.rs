//! The request for reach: it cannot be summed, so the platform counts each period by itself.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use domain::date::{DateRange, Day, Grain};
use domain::entity::Level;
use domain::id::AdAccountId;
use domain::job::{Job, SyncCause};
use domain::tenant::Tenant;
use domain::{Error, FieldError};
use http::{Method, StatusCode};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use middleware::user_event;
use runtime::endpoint::{self, Endpoint};
use runtime::request::{AdAccountPath, Json, NoQuery, RequestContext};
use runtime::session::{Role, Session};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::account::AdAccount;
use store::reach::ReachPeriod;

use crate::SyncEntities;

/// Periods of a request at most.
const MAX_PERIODS: usize = 120;

/// How long a request waits for its count until a sync queues it again.
const MAX_WAIT: SignedDuration = SignedDuration::from_hours(1);

/// What is counted each day without being asked for: so many days until the last one that is settled, of these levels. With a
/// day's rows the numbers of ads have their reach on it; what else of ads is asked for, because an account may have 50,000.
const AUTOMATIC_DAYS: [i32; 4] = [1, 7, 28, 30];
const AUTOMATIC_LEVELS: [Level; 3] = [Level::Account, Level::Campaign, Level::AdSet];

/// How long after a day's end its people are counted.
const SETTLED_AFTER: SignedDuration = SignedDuration::from_hours(4);

/// Returns how many periods a job counts at most: it holds the rows of one call in memory.
fn periods_per_job(level: Level) -> usize {
    match level {
        Level::Account | Level::Campaign => 30,
        Level::AdSet => 10,
        Level::Ad => 3,
    }
}

/// Whose reach, over which periods.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct ReachRequest {
    /// Whose.
    level: Level,
    /// First day: 37 months ago at most.
    since: Day,
    /// Last day, included; today when it is left out.
    until: Option<Day>,
    /// The periods into which the days are put.
    #[serde(default)]
    by: PeriodsBy,
}

/// The periods into which days are put.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
enum PeriodsBy {
    /// All of them together.
    #[default]
    All,
    /// Each day.
    Day,
    /// Weeks from Monday to Sunday, as far as the range has their days.
    Week,
    /// Calendar months, as far as the range has their days.
    Month,
}

impl PeriodsBy {
    fn periods(self, range: DateRange) -> Vec<DateRange> {
        let grain = match self {
            Self::All => Grain::All,
            Self::Day => Grain::Day,
            Self::Week => Grain::Week,
            Self::Month => Grain::Month,
        };
        grain.periods(range).into_values().collect()
    }
}

/// Reach was asked for.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct ReachAccepted {
    accepted: bool,
    /// How many periods are counted.
    periods: usize,
}

pub(crate) fn request_reach() -> Endpoint<SyncEntities> {
    endpoint::member(Method::POST, "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/reach", Role::Editor)
        .named("request_reach", "Requests the reach of periods")
        .description(
            "People cannot be summed over days or entities: Meta counts each period and level. Queries show what was counted.",
        )
        .fails_with(Error::Conflict, "The ad account is imported.")
        .fails_with(Error::NotSelected, "The ad account is not selected.")
        .responds(StatusCode::ACCEPTED, "The count is queued.", SyncEntities::request_reach)
}

impl SyncEntities {
    async fn request_reach(
        self,
        context: RequestContext<Session, AdAccountPath, NoQuery, Json<ReachRequest>>,
    ) -> Result<Json<ReachAccepted>, Error> {
        let RequestContext { caller: session, path: AdAccountPath { ad_account }, body, .. } = context;
        let Json(ReachRequest { level, since, until, by }) = body;
        let workspace = &session.workspace;
        let account = self.selected_account(workspace, &ad_account).await?;
        let range = self.requested_range(&account, &[], since.0, until.map(|day| day.0))?;
        let periods = by.periods(range);
        if periods.len() > MAX_PERIODS {
            let message =
                format!("would be {} periods; {MAX_PERIODS} at most can be asked for at once", periods.len());
            return Err(FieldError::new("by", message).into());
        }
        let (table, now) = (&self.connector.table, self.host.clock.now());
        let event = user_event(&session, "ad_account.reach_requested", format!("ad_account/{ad_account}"))?;
        let change =
            json!({"level": level, "since": range.since, "until": range.until, "periods": periods.len()});
        let event = table.record_intent(
            workspace,
            event.with_change(Value::Null, change).in_account(&ad_account),
            now,
        );
        let event = event.await?;
        let sent = async {
            table.request_reach(workspace, &ad_account, level, &periods, now).await?;
            self.host.queues.send(&jobs(workspace, &ad_account, level, &periods)).await
        };
        let sent = sent.await;
        event.complete(sent, None, self.host.clock.now()).await?;
        Ok(Json(ReachAccepted { accepted: true, periods: periods.len() }))
    }

    /// Queues what is to be counted: what was asked for and whose jobs a crash may have lost; what was counted before its last
    /// day had settled; and once a day the last days of an account that is not quiet.
    pub(crate) async fn request_due_reach(
        &self,
        workspace: &Tenant,
        account: &AdAccount,
        cause: SyncCause,
        is_quiet: bool,
    ) -> Result<(), Error> {
        let (table, ad_account, now) = (&self.connector.table, &account.id, self.host.clock.now());
        let last = last_settled_day(account, now)?;
        let mut known = table.reach_periods(workspace, ad_account).await?;
        let is_lost = |one: &&ReachPeriod| {
            one.is_pending()
                && (cause == SyncCause::Resume || now.duration_since(one.requested_at) >= MAX_WAIT)
        };
        // What somebody waits for comes first, however many days have gathered behind a throttle.
        known.sort_by_key(|one| (one.is_automatic, Reverse(one.period.until)));
        let mut due = BTreeMap::<Level, Vec<DateRange>>::new();
        for ReachPeriod { level, period, .. } in known.iter().filter(is_lost).take(MAX_PERIODS) {
            due.entry(*level).or_default().push(*period);
        }
        // A first sync has no time for more, and neither has a person who waits for one.
        if cause == SyncCause::Recurring {
            let mut renewed = BTreeMap::<Level, Vec<DateRange>>::new();
            for one in known.iter().filter(|one| one.period.until <= last && !one.is_pending()) {
                let settled_at = account.end_of(one.period.until)? + SETTLED_AFTER;
                if one.counted_at.is_some_and(|counted_at| counted_at < settled_at) {
                    renewed.entry(one.level).or_default().push(one.period);
                }
            }
            for level in AUTOMATIC_LEVELS.into_iter().filter(|_| !is_quiet) {
                let windows = AUTOMATIC_DAYS.map(|days| DateRange::ending(last, days));
                let is_new =
                    |window: &DateRange| !known.iter().any(|one| one.level == level && one.period == *window);
                renewed.entry(level).or_default().extend(windows.into_iter().filter(is_new));
            }
            for (level, periods) in renewed {
                table.renew_reach(workspace, ad_account, level, &periods, now).await?;
                due.entry(level).or_default().extend(periods);
            }
        }
        let jobs: Vec<_> =
            due.iter().flat_map(|(level, periods)| jobs(workspace, ad_account, *level, periods)).collect();
        self.host.queues.send(&jobs).await
    }
}

/// Returns the last day of an account that is over for so long that Meta has counted its people.
fn last_settled_day(account: &AdAccount, now: Timestamp) -> Result<Date, Error> {
    let yesterday = account.today(now)?.yesterday().unwrap_or(Date::MIN);
    let is_settled = now.duration_since(account.end_of(yesterday)?) >= SETTLED_AFTER;
    Ok(if is_settled { yesterday } else { yesterday.yesterday().unwrap_or(yesterday) })
}

fn jobs(workspace: &Tenant, ad_account: &AdAccountId, level: Level, periods: &[DateRange]) -> Vec<Job> {
    let job = |periods: &[DateRange]| Job::MeasureReach {
        workspace: workspace.clone(),
        ad_account: ad_account.clone(),
        level,
        periods: periods.to_vec(),
    };
    periods.chunks(periods_per_job(level)).map(job).collect()
}
