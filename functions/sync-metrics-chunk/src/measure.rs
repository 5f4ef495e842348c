//! A run: reads the days that are due and publishes them.

use std::collections::BTreeMap;

use connector::AccountClient;
use domain::Error;
use domain::dataset::Dataset;
use domain::date::DateRange;
use domain::gap::Gap;
use facts::{BlockLevel, Rows};
use jiff::ToSpan;
use jiff::civil::Date;
use runtime::deadline;
use runtime::telemetry::{self, TelemetryMetric};
use store::StoreError;
use store::chunk::{Chunk, DayGaps, Lease, RunTotals};
use store::fact::{MeasuredDay, PublishedDay};

use crate::entities::AccountEntities;
use crate::{LEASE_TTL, SyncMetricsChunk, lease_end, unread};

/// Rows that are collected at a time, about a kilobyte each. A day of more rows is collected alone.
const MAX_ROWS: u64 = 30_000;

/// Rows of a day at most: they are in memory at once.
const MAX_DAY_ROWS: u64 = 200_000;

/// Result of one run over a week.
pub(crate) enum RunResult {
    /// Every day that was due is published.
    Complete(RunTotals),
    /// The invocation ends before the rest can be measured.
    Unfinished,
    /// Another run holds the lease and will complete the week.
    Superseded,
}

/// Result of measuring some days.
enum BatchResult {
    Published,
    TooManyRows,
    Superseded,
}

impl SyncMetricsChunk {
    /// Measures the days that are due, as many at a time as fit into memory.
    pub(crate) async fn run(&self, client: &AccountClient, lease: &mut Lease) -> Result<RunResult, Error> {
        let today = client.account.today(self.host.clock.now())?;
        let mut totals = RunTotals::default();
        let mut entities = AccountEntities::load(&self.connector.table, client, lease.chunk.dataset).await?;
        let mut days_at_a_time = days_at_a_time(&lease.chunk, entities.ads());
        let mut longest_batch = None;
        while let Some(range) = next_due(&lease.chunk, today, days_at_a_time) {
            let begun = self.host.clock.now();
            if let (Some(longest), Some(end)) = (longest_batch, deadline::soft_deadline())
                && end.duration_since(begun) < longest
            {
                return Ok(RunResult::Unfinished);
            }
            match self.measure(client, lease, range, (&mut totals, &mut entities)).await? {
                BatchResult::Published => {}
                BatchResult::TooManyRows => {
                    days_at_a_time = 1;
                    continue;
                }
                BatchResult::Superseded => return Ok(RunResult::Superseded),
            }
            let took = self.host.clock.now().duration_since(begun);
            longest_batch = longest_batch.max(Some(took));
        }
        Ok(RunResult::Complete(totals))
    }

    /// Measures and publishes consecutive days.
    async fn measure(
        &self,
        client: &AccountClient,
        lease: &mut Lease,
        range: DateRange,
        (totals, entities): (&mut RunTotals, &mut AccountEntities<'_>),
    ) -> Result<BatchResult, Error> {
        let table = &self.connector.table;
        let mut report = client.report_rows(lease.chunk.dataset, range).await?;
        let measured_at = client.measured_at(&report, self.host.clock.now());
        let mut days: BTreeMap<Date, Rows> =
            range.days_within(range).map(|day| (day, Rows::new(BlockLevel::Ad))).collect();
        let (mut rows, mut extended_at) = (0, self.host.clock.now());
        while let Some(page) = client.next_rows(&mut report).await? {
            rows += page.len() as u64;
            // Rows that are split may lack what cannot be split.
            let has_all_fields =
                lease.chunk.dataset == Dataset::AD_DAY && client.missing_fields(&report).is_empty();
            for mut row in page {
                entities.note(&mut row, has_all_fields);
                if let Some(day) = days.get_mut(&row.facts.day) {
                    day.push(&row);
                }
            }
            totals.pages += 1;
            if rows > MAX_ROWS && range.days() > 1 {
                return Ok(BatchResult::TooManyRows);
            }
            if rows > MAX_DAY_ROWS {
                let (day, dataset) = (range.since, lease.chunk.dataset.name);
                let message = format!("{day} has more than {MAX_DAY_ROWS} rows of {dataset}");
                return Err(Error::Conflict(message));
            }
            let now = self.host.clock.now();
            if now.duration_since(extended_at) > LEASE_TTL / 2 {
                match table.record_chunk_progress(lease, totals.pages, lease_end(now)).await {
                    Ok(()) => extended_at = now,
                    Err(StoreError::Conflict) => return Ok(BatchResult::Superseded),
                    Err(error) => return Err(error.into()),
                }
            }
        }
        // Before the numbers, which would otherwise be in no list.
        entities.store().await?;
        let (unread, missing) = (client.unread_rows(&report), client.missing_fields(&report));
        if !unread.is_empty() {
            tracing::warn!(ad_account = %client.account.id, rows = unread.len(), "Rows could not be read.");
        }
        for (day, mut rows) in days {
            let gaps = gaps_of(day, unread, &missing);
            if !gaps.unreadable_rows.is_empty() {
                unread::keep_stored(table, client, (&lease.chunk, day), unread, &mut rows).await?;
            }
            match self.publish(client, lease, MeasuredDay { day, measured_at, rows: &rows, gaps }).await {
                Ok(published) => {
                    telemetry::count(TelemetryMetric::FactsWritten, published.written);
                    totals.written += published.written;
                    totals.unchanged += published.unchanged;
                }
                Err(StoreError::Conflict) => return Ok(BatchResult::Superseded),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(BatchResult::Published)
    }

    async fn publish(
        &self,
        client: &AccountClient,
        lease: &mut Lease,
        day: MeasuredDay<'_>,
    ) -> Result<PublishedDay, StoreError> {
        self.connector.table.publish_day(&client.workspace, &client.account.id, lease, day).await
    }
}

/// Returns what could not be read of a day: its own rows, those of an unknown day, and missing fields.
fn gaps_of(day: Date, unread: &[Gap], missing: &[Gap]) -> DayGaps {
    let mut gaps = DayGaps::default();
    gaps.gaps.extend(missing.iter().cloned());
    for row in unread.iter().filter(|row| is_of_day(row, day)) {
        gaps.add_unreadable_row(row);
    }
    gaps
}

/// Returns whether a row that could not be read may be about this day.
pub(crate) fn is_of_day(row: &Gap, day: Date) -> bool {
    row.day.as_deref().and_then(|day| day.parse::<Date>().ok()).is_none_or(|known| known == day)
}

/// Returns how many days are likely to fit into memory, by what the week had before, or else by the account's ads: rows
/// that turn out to be too many were read in vain.
fn days_at_a_time(chunk: &Chunk, ads: usize) -> i32 {
    let rows = chunk.manifest.most_rows().unwrap_or(ads as u64).max(1);
    i32::try_from(MAX_ROWS / rows).unwrap_or(i32::MAX).max(1)
}

/// Returns the first days that are due and have begun in the account's time zone.
fn next_due(chunk: &Chunk, today: Date, at_most: i32) -> Option<DateRange> {
    let week = chunk.week.range();
    let begun = DateRange { since: week.since, until: week.until.min(today) };
    let is_due = |day: &Date| chunk.is_due(*day);
    let since = week.days_within(begun).find(is_due)?;
    let last = since.saturating_add(i64::from(at_most - 1).days()).min(begun.until);
    let rest = DateRange { since, until: last };
    let until = rest.days_within(rest).take_while(is_due).last()?;
    Some(DateRange { since, until })
}
