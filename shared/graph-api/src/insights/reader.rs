//! Reads all insights of an account, splitting the queries that are too large for Meta.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::Duration;

use domain::dataset::Breakdown;
use domain::date::DateRange;
use domain::entity::Level;
use domain::gap::Gap;
use domain::id::{AdAccountId, EntityId};
use domain::metrics::{DayFacts, InsightsRow, Measures};
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::Deserialize;

use super::optional_field::OptionalField;
use super::row::{GraphRow, Number};
use super::sub_query::{
    ACTION_FIELDS, COUNT_FIELDS, NAME_FIELDS, SubQuery, query, split_by_days, time_range,
};
use super::{PAGE_ROWS, QueryShape, ReportRun, report};
use crate::client::UserClient;
use crate::error::{Details, GraphError, TIMED_OUT_SUBCODE};
use crate::error_code::ThrottleScope;
use crate::page::Pages;

/// What no two rows have in common.
type RowKey = (EntityId, Date, BTreeMap<Breakdown, String>);

fn row_key(row: &InsightsRow) -> RowKey {
    (row.ad.clone(), row.facts.day, row.breakdowns.clone())
}

/// Impressions and spend.
type Total = (Decimal, Decimal);

#[derive(Deserialize)]
struct AccountTotals {
    date_start: Date,
    #[serde(default)]
    impressions: Number,
    #[serde(default)]
    spend: Number,
}

/// A sub-query being read.
#[derive(Debug)]
struct ActiveQuery {
    sub_query: SubQuery,
    pages: Pages<GraphRow>,
    /// How many more times an unreadable result of a report is requested.
    retries_left: u32,
    /// The number of times that the report was started.
    starts: u32,
    /// Whether a page did not come in time.
    was_late: bool,
}

impl ActiveQuery {
    /// Returns whether a page did not come in time after others had come: then it need not be the size.
    fn is_late(&self, details: &Details) -> bool {
        has_timed_out(details) && self.pages.cursor().is_some()
    }
}

/// The number of requests for a result that is not readable yet, after which the report is started again.
const MAX_RESULT_RETRIES: u32 = 4;

/// A reader of an account's rows, sub-query by sub-query. It returns each row once, whatever is retried or split.
///
/// After an error [`InsightsReader::next`] may be called again, and continues where it stopped.
#[derive(Debug)]
pub struct InsightsReader {
    caller: UserClient,
    account: AdAccountId,
    range: DateRange,
    shape: QueryShape,
    breakdowns: &'static [Breakdown],
    sub_queries: VecDeque<SubQuery>,
    current: Option<ActiveQuery>,
    returned: HashSet<RowKey>,
    /// The totals per day that campaigns read one by one must still add up to.
    missing: BTreeMap<Date, Total>,
    runs: Vec<ReportRun>,
    gaps: Vec<Gap>,
}

impl InsightsReader {
    pub(super) fn new(caller: UserClient, account: AdAccountId, range: DateRange, shape: QueryShape) -> Self {
        let whole = SubQuery { range, campaign: None, as_report: shape.as_report };
        Self {
            caller,
            account,
            range,
            shape,
            breakdowns: &[],
            sub_queries: split_by_days(&whole, shape.days).into(),
            current: None,
            returned: HashSet::new(),
            missing: BTreeMap::new(),
            runs: Vec::new(),
            gaps: Vec::new(),
        }
    }

    /// Splits the row of each ad and day.
    #[must_use]
    pub fn with_breakdowns(self, breakdowns: &'static [Breakdown]) -> Self {
        Self { breakdowns, ..self }
    }

    /// Returns the rows that could not be read so far: each with its ad and day, where these could be.
    pub fn unread_rows(&self) -> &[Gap] {
        &self.gaps
    }

    /// Returns the fields that are left out because Meta no longer has them.
    pub fn missing_fields(&self) -> impl Iterator<Item = Gap> {
        self.shape.without.iter().map(OptionalField::gap)
    }

    /// Resumes report runs over these days that an earlier reader started with the same breakdowns: a report may take
    /// longer than an invocation.
    #[must_use]
    pub fn resume(mut self, mut runs: Vec<ReportRun>) -> Self {
        let now = self.caller.graph().now();
        runs.retain(|run| run.is_within(self.range) && run.is_fresh(now));
        self.runs = runs;
        self
    }

    /// Returns the report runs that were started and not read to their end.
    pub fn pending_reports(&self) -> &[ReportRun] {
        &self.runs
    }

    /// Returns the query shape in use, which may have become smaller.
    pub fn query_shape(&self) -> QueryShape {
        self.shape
    }

    /// Returns the next rows, which may be none; `None` after the last ones.
    pub async fn next(&mut self) -> Result<Option<Vec<InsightsRow>>, GraphError> {
        loop {
            let Some(mut active) = self.current.take() else {
                let Some(sub_query) = self.sub_queries.pop_front().or_else(|| self.reconcile()) else {
                    return Ok(None);
                };
                if let Some(rows) = self.begin(sub_query).await? {
                    return Ok(Some(rows));
                }
                continue;
            };
            match active.pages.next_at_current_size().await {
                Ok(Some(rows)) => {
                    self.gaps.extend(active.pages.take_gaps());
                    let rows = rows.into_iter().map(|GraphRow(row)| row).collect();
                    let rows = self.deduplicate(&active.sub_query, rows);
                    self.current = Some(active);
                    return Ok(Some(rows));
                }
                Ok(None) => self.forget_run(active.sub_query.range),
                // Meta has computed a complete report already.
                Err(GraphError::RequestTooLarge(details))
                    if active.sub_query.as_report
                        && has_timed_out(&details)
                        && active.retries_left > 0
                        && self.has_time_for_more() =>
                {
                    self.retry_result(active, GraphError::RequestTooLarge(details)).await?;
                }
                Err(GraphError::RequestTooLarge(details)) if self.may_ask_again(&active, &details) => {
                    active.was_late = true;
                    self.current = Some(active);
                }
                Err(GraphError::RequestTooLarge(details)) => {
                    self.forget_run(active.sub_query.range);
                    self.split(active, details)?;
                }
                Err(GraphError::InvalidInput(details)) if self.leave_out_field(&details) => {
                    self.forget_run(active.sub_query.range);
                    self.sub_queries.push_front(active.sub_query);
                }
                Err(error) if active.sub_query.as_report && is_unreadable(&error) => {
                    self.retry_result(active, error).await?;
                }
                Err(error) => {
                    self.current = Some(active);
                    return Err(error);
                }
            }
        }
    }

    /// Returns whether a page is worth another try: once for a query, and only while there is time for that, and for a
    /// report afterwards.
    fn may_ask_again(&self, active: &ActiveQuery, details: &Details) -> bool {
        active.is_late(details) && !active.was_late && self.has_time_for_more()
    }

    /// Returns whether there is time for another late page, and for asking for less afterwards.
    fn has_time_for_more(&self) -> bool {
        let needed = 3 * self.caller.graph().config().timeout;
        self.caller.time_left().is_none_or(|left| left > needed)
    }

    /// Starts reading a sub-query in the current query shape. After an error the sub-query is queued again.
    async fn begin(&mut self, sub_query: SubQuery) -> Result<Option<Vec<InsightsRow>>, GraphError> {
        let begun = if self.shape.split_fields {
            self.read_in_halves(&sub_query).await.map(Some)
        } else if self.shape.by_campaign && sub_query.campaign.is_none() && !sub_query.as_report {
            self.split_by_campaign(&sub_query).await.map(|()| None)
        } else {
            self.open(&sub_query, 0).await.map(|()| None)
        };
        match begun {
            Ok(rows) => Ok(rows),
            Err(GraphError::RequestTooLarge(details)) => {
                let pages = self.pages(&sub_query, &self.fields(&[COUNT_FIELDS, ACTION_FIELDS]));
                self.split(
                    ActiveQuery { sub_query, pages, retries_left: 0, starts: 0, was_late: false },
                    details,
                )?;
                Ok(None)
            }
            Err(GraphError::InvalidInput(details)) if self.leave_out_field(&details) => {
                self.forget_run(sub_query.range);
                self.sub_queries.push_front(sub_query);
                Ok(None)
            }
            Err(error) => {
                self.sub_queries.push_front(sub_query);
                Err(error)
            }
        }
    }

    /// Returns these fields without those that Meta no longer has.
    fn fields(&self, lists: &[&str]) -> String {
        let gone = &self.shape.without;
        // Parts of rows are of ads whose names come with their whole rows.
        let of_names =
            Some(NAME_FIELDS).filter(|_| self.breakdowns.is_empty() && lists.contains(&COUNT_FIELDS));
        let names = lists.iter().copied().chain(of_names).flat_map(|list| list.split(','));
        names.filter(|name| !gone.iter().any(|gone| gone.name() == *name)).collect::<Vec<_>>().join(",")
    }

    /// Leaves out a field that Meta no longer has, if rows can do without it. Returns whether that changes the query.
    fn leave_out_field(&mut self, details: &Details) -> bool {
        let Some(field) = OptionalField::named_by(details) else { return false };
        if !self.shape.without.insert(field) {
            return false;
        }
        tracing::warn!(ad_account = %self.account, field = field.name(), %details, "Meta no longer has a field.");
        true
    }

    fn pages(&self, sub_query: &SubQuery, fields: &str) -> Pages<GraphRow> {
        let path = format!("{}/insights", self.account);
        Pages::new(self.caller.clone(), path, query(sub_query, fields, self.breakdowns), PAGE_ROWS)
            .rejecting_odd_rows()
            .with_page_size(self.shape.rows)
    }

    /// Opens a sub-query to be read. A report is awaited until it is complete.
    async fn open(&mut self, sub_query: &SubQuery, mut starts: u32) -> Result<(), GraphError> {
        let fields = self.fields(&[COUNT_FIELDS, ACTION_FIELDS]);
        let mut pages = self.pages(sub_query, &fields);
        if sub_query.as_report {
            let path = format!("{}/insights", self.account);
            let query = query(sub_query, &fields, self.breakdowns);
            let run = loop {
                let known = self.runs.iter().position(|run| run.range == sub_query.range);
                let run = match known {
                    Some(known) => self.runs[known].id.clone(),
                    None => {
                        starts += 1;
                        let id = report::start(&self.caller, &path, &query).await?;
                        let started_at = self.caller.graph().now();
                        self.runs.push(ReportRun { range: sub_query.range, id: id.clone(), started_at });
                        id
                    }
                };
                // After a permanent error the next attempt starts another run.
                match report::await_run(&self.caller, &run).await {
                    Ok(report::RunEnd::Complete) => break run,
                    Err(error @ (GraphError::RateLimited { .. } | GraphError::Transient(_))) => {
                        return Err(error);
                    }
                    Err(error) => {
                        self.forget_run(sub_query.range);
                        return Err(error);
                    }
                    Ok(report::RunEnd::Retryable(details)) => {
                        self.forget_run(sub_query.range);
                        if starts >= report::MAX_STARTS {
                            return Err(GraphError::Transient(details));
                        }
                    }
                }
            };
            pages = Pages::new(self.caller.clone(), format!("{run}/insights"), Vec::new(), PAGE_ROWS)
                .rejecting_odd_rows();
        }
        self.current = Some(ActiveQuery {
            sub_query: sub_query.clone(),
            pages,
            retries_left: MAX_RESULT_RETRIES,
            starts,
            was_late: false,
        });
        Ok(())
    }

    fn forget_run(&mut self, range: DateRange) {
        self.runs.retain(|run| run.range != range);
    }

    /// Removes rows that were already returned, and subtracts rows of campaigns from the missing totals.
    fn deduplicate(&mut self, sub_query: &SubQuery, rows: Vec<InsightsRow>) -> Vec<InsightsRow> {
        if sub_query.campaign.is_some() {
            for row in &rows {
                let measures = &row.facts.measures;
                let (impressions, spend) = self.missing.entry(row.facts.day).or_default();
                *impressions -= Decimal::from(measures.impressions);
                *spend -= measures.spend;
            }
        }
        rows.into_iter().filter(|row| self.returned.insert(row_key(row))).collect()
    }

    /// Returns one more sub-query for the days on which the campaigns do not add up to the account: a campaign that is
    /// no longer listed still has numbers.
    fn reconcile(&mut self) -> Option<SubQuery> {
        let missing = std::mem::take(&mut self.missing);
        let mut days =
            missing.into_iter().filter(|(_, total)| *total != Total::default()).map(|(day, _)| day);
        let first = days.next()?;
        let range = DateRange { since: first, until: days.next_back().unwrap_or(first) };
        tracing::info!(ad_account = %self.account, ?range, "Campaigns do not sum up to their account: a report will.");
        Some(SubQuery { range, campaign: None, as_report: true })
    }

    /// Splits a sub-query that was too large: fewer days, fewer rows per page, one campaign at a time, a report, half
    /// of the fields.
    fn split(&mut self, mut active: ActiveQuery, details: Details) -> Result<(), GraphError> {
        let sub_query = &active.sub_query;
        let timed_out = has_timed_out(&details);
        let days = sub_query.range.days().unsigned_abs();
        let mut smaller = self.shape;
        if days > 1 && active.pages.cursor().is_none() && (!timed_out || sub_query.as_report) {
            smaller.days = days / 2;
            for window in split_by_days(sub_query, smaller.days).into_iter().rev() {
                self.sub_queries.push_front(window);
            }
        } else if !timed_out && !sub_query.as_report && active.pages.shrink() {
            smaller.rows = active.pages.size();
            self.current = Some(active);
        } else if !timed_out && !sub_query.as_report && sub_query.campaign.is_none() && !smaller.by_campaign {
            smaller.by_campaign = true;
            self.sub_queries.push_front(active.sub_query);
        } else if !sub_query.as_report && !smaller.split_fields {
            // A report is one query whatever its size, so it covers all that is left to read.
            smaller = QueryShape { as_report: true, without: smaller.without, ..QueryShape::default() };
            let range = self.sub_queries.drain(..).fold(active.sub_query.range, |all, sub_query| DateRange {
                since: all.since.min(sub_query.range.since),
                until: all.until.max(sub_query.range.until),
            });
            // It also covers the days on which the campaigns read so far do not add up to the account.
            let missing = self.reconcile().map_or(range, |sub_query| sub_query.range);
            let range =
                DateRange { since: range.since.min(missing.since), until: range.until.max(missing.until) };
            self.sub_queries.push_front(SubQuery { range, campaign: None, as_report: true });
        } else if !smaller.split_fields {
            // Halves are read whole before their rows are returned, so what is read again is to be a day at most.
            smaller = QueryShape { split_fields: true, as_report: false, days: 1, ..smaller };
            let by_rows = SubQuery { as_report: false, ..active.sub_query };
            for day in split_by_days(&by_rows, smaller.days).into_iter().rev() {
                self.sub_queries.push_front(day);
            }
        } else {
            self.sub_queries.push_front(active.sub_query);
            return Err(GraphError::RequestTooLarge(details));
        }
        self.shape = smaller;
        tracing::info!(ad_account = %self.account, query_shape = ?self.shape, "Meta wants to be asked for less.");
        Ok(())
    }

    /// Requests the unreadable result of a complete report again, and starts the report again after the last retry.
    async fn retry_result(&mut self, mut active: ActiveQuery, error: GraphError) -> Result<(), GraphError> {
        if active.retries_left == 0 {
            self.forget_run(active.sub_query.range);
            return if active.starts >= report::MAX_STARTS {
                self.sub_queries.push_front(active.sub_query);
                Err(error)
            } else {
                self.open(&active.sub_query, active.starts).await
            };
        }
        active.retries_left -= 1;
        let pause = Duration::from_secs(2) * (MAX_RESULT_RETRIES - active.retries_left);
        self.current = Some(active);
        if self.caller.pause(pause).await {
            return Ok(());
        }
        Err(GraphError::RateLimited {
            after: pause,
            scope: ThrottleScope::Action,
            details: Details::of(error.to_string()),
        })
    }

    /// Replaces a sub-query by one per campaign, and records the totals that they must add up to.
    async fn split_by_campaign(&mut self, sub_query: &SubQuery) -> Result<(), GraphError> {
        let totals = self.account_totals(sub_query.range).await?;
        let campaigns = self.caller.entities(&self.account, Level::Campaign).all().await?;
        for campaign in campaigns {
            let campaign = Some(campaign.into_entity(Level::Campaign).id);
            self.sub_queries.push_front(SubQuery { campaign, ..sub_query.clone() });
        }
        for (day, (impressions, spend)) in totals {
            let missing = self.missing.entry(day).or_default();
            *missing = (missing.0 + impressions, missing.1 + spend);
        }
        Ok(())
    }

    /// Reads the impressions and spend of the whole account per day.
    async fn account_totals(&self, range: DateRange) -> Result<BTreeMap<Date, Total>, GraphError> {
        let query = vec![
            ("level", "account".to_owned()),
            ("time_increment", "1".to_owned()),
            ("time_range", time_range(range)),
            ("fields", "impressions,spend".to_owned()),
        ];
        let days = Pages::<AccountTotals>::new(
            self.caller.clone(),
            format!("{}/insights", self.account),
            query,
            PAGE_ROWS,
        )
        .rejecting_odd_rows();
        Ok(days
            .all()
            .await?
            .into_iter()
            .map(|day| (day.date_start, (day.impressions.0, day.spend.0)))
            .collect())
    }

    /// Reads counts, then actions, and merges them row by row.
    async fn read_in_halves(&mut self, sub_query: &SubQuery) -> Result<Vec<InsightsRow>, GraphError> {
        let mut rows: BTreeMap<RowKey, InsightsRow> = BTreeMap::new();
        let (counts, odd_counts) =
            self.pages(sub_query, &self.fields(&[COUNT_FIELDS])).all_with_gaps().await?;
        let (actions, odd_actions) =
            self.pages(sub_query, &self.fields(&[ACTION_FIELDS])).all_with_gaps().await?;
        let odd: HashSet<_> =
            odd_counts.iter().chain(&odd_actions).map(|gap| (gap.id.clone(), gap.day.clone())).collect();
        self.gaps.extend(odd_counts.into_iter().chain(odd_actions));
        for GraphRow(row) in counts {
            rows.insert(row_key(&row), row);
        }
        for GraphRow(row) in actions {
            // An action without an impression on that day has a row of its own.
            let known = rows.entry(row_key(&row)).or_insert_with(|| InsightsRow {
                facts: DayFacts { measures: Measures::default(), ..row.facts.clone() },
                ..row.clone()
            });
            known.facts.measures += &row.facts.measures;
        }
        // Half of a row is a wrong row.
        rows.retain(|(ad, day, _), _| !odd.contains(&(Some(ad.to_string()), Some(day.to_string()))));
        Ok(self.deduplicate(sub_query, rows.into_values().collect()))
    }
}

/// Meta's other subcode for an insights query that timed out.
const ALTERNATE_TIMED_OUT_SUBCODE: i64 = 1_504_038;

fn has_timed_out(details: &Details) -> bool {
    [Some(TIMED_OUT_SUBCODE), Some(ALTERNATE_TIMED_OUT_SUBCODE)].contains(&details.subcode)
}

fn is_unreadable(error: &GraphError) -> bool {
    matches!(error, GraphError::InvalidInput(_) | GraphError::NotFound(_) | GraphError::Transient(_))
}
