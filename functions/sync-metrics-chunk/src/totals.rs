//! Holds the sums of measured days against the account's own totals. A day that differs lacks rows, or has been changed
//! by the platform since: it is measured again.

use std::collections::{BTreeMap, BTreeSet};

use connector::Purpose;
use domain::Error;
use domain::dataset::Dataset;
use domain::date::{DateRange, Grain};
use domain::entity::Level;
use domain::id::AdAccountId;
use domain::job::Job;
use domain::tenant::Tenant;
use domain::totals::DayTotals;
use facts::{Columns, Grouping, Selection, Sums};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan};
use query::{FactQuery, sum_facts};
use store::StoreError;
use store::account::AdAccount;
use store::chunk::Chunk;
use store::totals::{TotalsCheck, TotalsDifference, unchecked_days};

use crate::{SyncMetricsChunk, job};

/// Days of a check at most: one answer of the platform has them.
const MAX_DAYS: i32 = 92;

/// The time between two checks of an account. Days that differed do not wait for it.
const CHECK_INTERVAL: SignedDuration = SignedDuration::from_hours(6);

/// How often a day is measured again because it differs. Later differences are only shown: a person can request the day,
/// and its numbers are measured again as long as the platform may change them.
const MAX_REPEATS: u32 = 2;

/// Returns whether the totals of an account are to be checked now.
pub(crate) fn is_check_due(account: &AdAccount, chunks: &[Chunk], now: Timestamp) -> Result<bool, Error> {
    let unchecked = unchecked_days(account, chunks)?;
    let differed = unchecked.iter().any(|(chunk, day)| chunk.difference(*day).is_some());
    let last = chunks.iter().filter_map(Chunk::last_checked_at).max();
    let is_old = last.is_none_or(|last| now.duration_since(last) >= CHECK_INTERVAL);
    Ok(differed || is_old && !unchecked.is_empty())
}

impl SyncMetricsChunk {
    /// Checks totals, and then requests the evaluation that has waited for it. Twice is harmless.
    pub(crate) async fn check_totals(
        &self,
        workspace: &Tenant,
        ad_account: &AdAccountId,
    ) -> Result<(), Error> {
        let checked = self.check_unchecked(workspace, ad_account).await;
        if let Err(error) = &checked {
            if error.is_retryable() {
                return checked;
            }
            tracing::warn!(%workspace, %ad_account, %error, "The totals of an ad account cannot be checked.");
        }
        let (workspace, ad_account) = (workspace.clone(), ad_account.clone());
        self.host.queues.send(&[Job::EvaluateRules { workspace, ad_account }]).await?;
        match checked {
            // A defect of ours: the message becomes a dead letter, which the operator sees.
            Err(Error::Internal(_)) => checked,
            // The next sync tries it again. People see that days are unchecked; the numbers are as good as before.
            _ => Ok(()),
        }
    }

    /// Checks days that were not checked since they were measured.
    async fn check_unchecked(&self, workspace: &Tenant, ad_account: &AdAccountId) -> Result<(), Error> {
        let table = &self.connector.table;
        let account = table.account(workspace, ad_account).await?.filter(|account| account.selected);
        let Some(account) = account else { return Ok(()) };
        let chunks = table.chunks(workspace, ad_account).await?;
        let mut days = unchecked_days(&account, &chunks)?;
        // Yesterday is measured again and again: older days that were never checked come first.
        let is_new = |(chunk, day): &&(&Chunk, Date)| chunk.last_check(*day).is_none();
        let Some(&(_, until)) = days.iter().find(is_new).or(days.first()) else { return Ok(()) };
        let earliest = until.saturating_sub((MAX_DAYS - 1).days());
        days.retain(|(_, day)| (earliest..=until).contains(day));
        let since = days.last().map_or(until, |(_, day)| *day);
        let range = DateRange { since, until };

        let client = self.connector.open(workspace, ad_account, Purpose::Reporting).await?;
        let totals = client.account_days(range).await;
        let totals = client.close(totals).await?;
        let now = self.host.clock.now();
        let totals: BTreeMap<Date, DayTotals> = totals.into_iter().map(|day| (day.day, day.totals)).collect();
        let sums = self.sums_by_day(workspace, ad_account, &chunks, range).await?;

        let minor_units = ad_account.platform().minor_units(account.currency);
        let mut checks: BTreeMap<_, (&Chunk, BTreeMap<Date, TotalsCheck>)> = BTreeMap::new();
        let mut again = Vec::new();
        for (chunk, day) in days {
            let (Some(measured_at), Some(entry)) = (chunk.measured_at(day), chunk.manifest.day(day)) else {
                continue;
            };
            let rows = sums.get(&day).copied().unwrap_or_default();
            let account = totals.get(&day).copied().unwrap_or_default();
            let difference = (!rows.agrees_with(&account, entry.rows(), minor_units))
                .then_some(TotalsDifference { rows, account });
            let mut repeats = 0;
            if difference.is_some() {
                tracing::warn!(%workspace, %ad_account, %day, "The sum of a day is not the account's own total.");
                repeats = chunk.last_check(day).map_or(0, |check| check.repeats) + 1;
                if repeats <= MAX_REPEATS {
                    again.push((chunk, day));
                }
            }
            let check = TotalsCheck { measured_at, checked_at: now, difference, repeats };
            checks.entry(chunk.week).or_insert_with(|| (chunk, BTreeMap::new())).1.insert(day, check);
        }
        // Requested before it is recorded: what is recorded as differing is measured again.
        for (chunk, day) in &again {
            let (week, day) = ((Dataset::AD_DAY, chunk.week), DateRange { since: *day, until: *day });
            table.plan_chunk(workspace, ad_account, week, day, now).await?;
        }
        let checked: usize = checks.values().map(|(_, checks)| checks.len()).sum();
        for (chunk, checks) in checks.into_values() {
            table.record_checks(workspace, ad_account, chunk, checks).await?;
        }
        let weeks: BTreeSet<_> = again.iter().map(|(chunk, _)| chunk.week).collect();
        let jobs: Vec<Job> =
            weeks.into_iter().map(|week| job(workspace, ad_account, (Dataset::AD_DAY, week))).collect();
        self.host.queues.send(&jobs).await?;
        tracing::info!(checked, again = again.len(), "Checked the totals of an ad account.");
        Ok(())
    }

    /// Sums the rows of each day.
    async fn sums_by_day(
        &self,
        workspace: &Tenant,
        ad_account: &AdAccountId,
        chunks: &[Chunk],
        range: DateRange,
    ) -> Result<BTreeMap<Date, DayTotals>, Error> {
        let columns = ["impressions", "clicks", "spend"].map(str::to_owned);
        let wanted = FactQuery {
            dataset: Dataset::AD_DAY,
            range,
            weekdays: None,
            grouping: Grouping { level: Level::Account, grain: Grain::Day, breakdowns: Vec::new() },
            objects: Selection::default(),
            columns: Columns::Only(columns.into()),
        };
        let sums = sum_facts(&self.connector.table, workspace, ad_account, chunks, wanted).await?;
        let day = |(number, group): (usize, &facts::Group)| Some((group.bucket?, totals_of(&sums, number)));
        sums.groups().iter().enumerate().filter_map(day).map(|(day, totals)| Ok((day, totals?))).collect()
    }
}

fn totals_of(sums: &Sums, group: usize) -> Result<DayTotals, Error> {
    let measures = sums.measures(group).map_err(StoreError::from)?;
    Ok(DayTotals { impressions: measures.impressions, clicks: measures.clicks, spend: measures.spend })
}
