//! `POST facts`: numbers that a workspace sends of an imported ad account.
//!
//! The key of a row is its ad and its day. A row replaces what was stored under its key, so that a request can be repeated
//! after any failure: what was stored already is unchanged then. Each week is leased as it is for a sync, and each day
//! published at once.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use domain::Error;
use domain::FieldError;
use domain::dataset::Dataset;
use domain::date::IsoWeek;
use domain::id::EntityId;
use domain::metrics::InsightsRow;
use domain::tenant::Tenant;
use facts::{BlockLevel, Rows};
use futures_util::{StreamExt, stream};
use http::{Method, StatusCode};
use jiff::civil::Date;
use jiff::{SignedDuration, ToSpan};
use middleware::user_event;
use runtime::endpoint::{self, Endpoint};
use runtime::request::{AdAccountPath, EachOf, Json, NoQuery, RequestContext};
use runtime::router::MAX_READ_BYTES;
use runtime::session::{Role, Session};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::StoreError;
use store::account::AdAccount;
use store::chunk::{DayGaps, Lease, RunTotals};
use store::deletion::DeletionProgress;
use store::fact::MeasuredDay;

use crate::SyncMetricsChunk;
use crate::fact_row::FactRow;
use crate::places::Places;
use crate::unread::for_each_stored_row;

/// Rows of a request at most.
const MAX_ROWS: usize = 1_000;

/// Mistakes of a row that are said, at most: an answer has room for those of all rows.
const MAX_ERRORS: usize = 5;

/// Ads of a day at most.
const MAX_DAY_ROWS: usize = 30_000;

/// Weeks that are written at the same time.
const CONCURRENT_WEEKS: usize = 4;

/// The time after which a week is free again whose writer has died.
const LEASE_TTL: SignedDuration = SignedDuration::from_mins(1);

/// Numbers of an imported ad account.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct FactRows {
    /// One for each ad and day with delivery. What is wrong with one refuses it alone.
    rows: EachOf<FactRow, MAX_ROWS>,
    /// Whether campaigns, ad sets and ads that are not known yet are created. Without it, rows about them are refused.
    #[serde(default)]
    create_entities: bool,
}

/// What became of the rows.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct Ingestion {
    /// Rows that are stored now and were not, or not so, before.
    ingested: usize,
    /// Rows that were stored already as they are.
    unchanged: usize,
    /// Rows that were refused.
    rejected: usize,
    /// Each row, in the order in which they were sent.
    rows: Vec<RowResult>,
}

/// What became of a row.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
struct RowResult {
    state: RowState,
    /// What is wrong with a row that was rejected.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<RowError>,
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum RowState {
    Ingested,
    Unchanged,
    Rejected,
}

/// What is wrong with a field of a row.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
struct RowError {
    field: String,
    message: String,
}

impl RowResult {
    fn stored(state: RowState) -> Self {
        Self { state, errors: Vec::new() }
    }

    fn rejected(errors: Vec<FieldError>) -> Self {
        let error = |FieldError { field, message }| RowError { field, message };
        Self { state: RowState::Rejected, errors: errors.into_iter().map(error).take(MAX_ERRORS).collect() }
    }
}

/// Rows of a day by their ads, each with its number in the request.
type DayRows = BTreeMap<EntityId, (usize, InsightsRow)>;

/// Results by the numbers of rows.
type Results = Vec<(usize, RowResult)>;

pub(crate) fn ingest_facts() -> Endpoint<SyncMetricsChunk> {
    let path = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/facts";
    endpoint::member(Method::POST, path, Role::Editor)
        .named("ingest_facts", "Stores numbers of an imported ad account")
        .description(
            "A row replaces what was stored of its ad and day. After a failure, send the same request again. A body may be compressed with gzip.",
        )
        .accepts_body_of(MAX_READ_BYTES)
        .fails_with(Error::Conflict, "The ad account is not imported.")
        .fails_with(Error::NotSelected, "The ad account is not selected.")
        .may_be_rate_limited("Another request writes the same weeks at this moment.")
        .responds(StatusCode::OK, "What became of each row.", SyncMetricsChunk::ingest_facts)
}

impl SyncMetricsChunk {
    async fn ingest_facts(
        self,
        context: RequestContext<Session, AdAccountPath, NoQuery, Json<FactRows>>,
    ) -> Result<Json<Ingestion>, Error> {
        let RequestContext { caller: session, path: AdAccountPath { ad_account }, body, .. } = context;
        let Json(FactRows { rows, create_entities }) = body;
        let (table, workspace) = (&self.connector.table, &session.workspace);
        let account = table.require_account(workspace, &ad_account).await?;
        if account.connection.is_some() {
            let why = format!(
                "{ad_account} is connected, and its numbers are measured; only imported ad accounts take others"
            );
            return Err(Error::Conflict(why));
        }
        account.require_selected()?;
        let EachOf(rows) = rows;
        let event = user_event(&session, "facts.ingested", format!("ad_account/{ad_account}"))?;
        let event = event.in_account(&ad_account).with_change(Value::Null, json!({"rows": rows.len()}));
        let event = table.record_intent(workspace, event, self.host.clock.now()).await?;
        let ingested = self.ingest(workspace, &account, rows, create_entities).await;
        if table.account(workspace, &ad_account).await?.is_none() {
            // Deleted meanwhile, perhaps before the last of it was written.
            let app = &self.connector.graph.config().app_id;
            while table.delete_account_data(workspace, &ad_account, app).await? == DeletionProgress::Partial {
            }
        }
        let after = match &ingested {
            Ok(Ingestion { ingested, unchanged, rejected, .. }) => {
                json!({"ingested": ingested, "unchanged": unchanged, "rejected": rejected})
            }
            // Some of it may be stored: the intent stays without an outcome.
            Err(error) if error.is_retryable() => return ingested.map(Json),
            Err(_) => Value::Null,
        };
        event.with_after(after).complete(ingested, None, self.host.clock.now()).await.map(Json)
    }

    async fn ingest(
        &self,
        workspace: &Tenant,
        account: &AdAccount,
        rows: Vec<Result<FactRow, Vec<FieldError>>>,
        create_entities: bool,
    ) -> Result<Ingestion, Error> {
        let table = &self.connector.table;
        let today = account.today(self.host.clock.now())?;
        let first = today.saturating_sub(Dataset::AD_DAY.kept_days.days());
        let valid: Vec<&FactRow> = rows.iter().filter_map(|row| row.as_ref().ok()).collect();
        let mut places = Places::load(table, workspace, &account.id, &valid, create_entities).await?;
        let mut results: Vec<Option<RowResult>> = Vec::with_capacity(rows.len());
        let mut weeks: BTreeMap<IsoWeek, BTreeMap<Date, DayRows>> = BTreeMap::new();
        for (number, row) in rows.into_iter().enumerate() {
            let placed = row.and_then(|row| {
                if !(first..=today).contains(&row.day()) {
                    let zone = &account.timezone;
                    let message = format!("must be a day from {first} to {today}, which is today in {zone}");
                    return Err(vec![FieldError::new("day", message)]);
                }
                let place = places.place(&row)?;
                let row = row.into_facts(place);
                let days = weeks.entry(IsoWeek::of(row.facts.day)).or_default();
                match days.entry(row.facts.day).or_default().entry(row.ad.clone()) {
                    Entry::Vacant(free) => drop(free.insert((number, row))),
                    Entry::Occupied(taken) => {
                        let message = format!("has a row of this day already: rows[{}]", taken.get().0);
                        return Err(vec![FieldError::new("ad_id", message)]);
                    }
                }
                Ok(())
            });
            results.push(placed.err().map(RowResult::rejected));
        }
        // Before their numbers, which would otherwise be in no list.
        places.store().await?;
        let writes: Vec<_> =
            weeks.into_iter().map(|(week, days)| self.ingest_week(workspace, account, week, days)).collect();
        // All of them, whatever becomes of one: one that is given up keeps its lease.
        let written: Vec<Result<Results, Error>> =
            stream::iter(writes).buffer_unordered(CONCURRENT_WEEKS).collect().await;
        for week in written {
            for (number, result) in week? {
                results[number] = Some(result);
            }
        }
        let rows: Vec<RowResult> = results.into_iter().flatten().collect();
        let count = |state| rows.iter().filter(|row| row.state == state).count();
        let (ingested, unchanged) = (count(RowState::Ingested), count(RowState::Unchanged));
        Ok(Ingestion { ingested, unchanged, rejected: count(RowState::Rejected), rows })
    }

    /// Leases a week, and merges rows of its days with what is stored.
    async fn ingest_week(
        &self,
        workspace: &Tenant,
        account: &AdAccount,
        week: IsoWeek,
        days: BTreeMap<Date, DayRows>,
    ) -> Result<Results, Error> {
        let (table, now) = (&self.connector.table, self.host.clock.now());
        let leased = table.lease_import(workspace, &account.id, week, now, now + LEASE_TTL).await?;
        let Some(mut lease) = leased else { return Err(busy(week)) };
        // Once more after the lease: a deletion deselects before it looks for weeks, and will find this one.
        let selected = table.require_account(workspace, &account.id).await;
        let mut merged = match selected.and_then(|account| account.require_selected()) {
            Ok(()) => self.merge_days(workspace, account, &mut lease, days).await,
            Err(error) => Err(error),
        };
        let totals = merged.as_ref().map(|(_, totals)| totals.clone()).unwrap_or_default();
        match table.complete_chunk(&lease, &totals, self.host.clock.now()).await {
            Ok(_) => {}
            Err(StoreError::Conflict) => {
                let chunks = table.chunks_of(workspace, &account.id, Dataset::AD_DAY, week.range()).await?;
                if chunks.is_empty() {
                    // The account is being deleted.
                    let chunk = (Dataset::AD_DAY, week);
                    table.delete_orphaned_facts(workspace, &account.id, chunk, lease.fence()).await?;
                }
                merged = merged.and(Err(busy(week)));
            }
            Err(error) => return Err(error.into()),
        }
        merged.map(|(results, _)| results)
    }

    async fn merge_days(
        &self,
        workspace: &Tenant,
        account: &AdAccount,
        lease: &mut Lease,
        days: BTreeMap<Date, DayRows>,
    ) -> Result<(Results, RunTotals), Error> {
        let table = &self.connector.table;
        let (mut results, mut totals) = (Vec::new(), RunTotals::default());
        for (day, fresh) in days {
            let mut rows = Rows::new(BlockLevel::Ad);
            let mut unchanged = HashMap::new();
            for_each_stored_row(table, workspace, &account.id, (&lease.chunk, day), |stored| {
                match fresh.get(&stored.ad) {
                    Some((number, fresh)) => {
                        unchanged.insert(*number, is_same(&stored, fresh));
                    }
                    None => rows.push(&stored),
                }
            })
            .await?;
            if rows.len() + fresh.len() > MAX_DAY_ROWS {
                let message = format!("would have more than {MAX_DAY_ROWS} ads");
                let rejected = || RowResult::rejected(vec![FieldError::new("day", message.clone())]);
                results.extend(fresh.into_values().map(|(number, _)| (number, rejected())));
                continue;
            }
            fresh.values().for_each(|(_, row)| rows.push(row));
            let measured_at = self.host.clock.now();
            let measured = MeasuredDay { day, measured_at, rows: &rows, gaps: DayGaps::default() };
            let published = table.publish_day(workspace, &account.id, lease, measured).await;
            let published = published.map_err(|error| match error {
                StoreError::Conflict => busy(lease.chunk.week),
                error => error.into(),
            })?;
            totals.written += published.written;
            totals.unchanged += published.unchanged;
            results.extend(fresh.into_values().map(|(number, _)| {
                let is_unchanged = unchanged.get(&number) == Some(&true);
                let state = if is_unchanged { RowState::Unchanged } else { RowState::Ingested };
                (number, RowResult::stored(state))
            }));
        }
        Ok((results, totals))
    }
}

/// Whether a row says what is stored. Names are no numbers.
fn is_same(stored: &InsightsRow, fresh: &InsightsRow) -> bool {
    (&stored.campaign, &stored.adset, &stored.facts) == (&fresh.campaign, &fresh.adset, &fresh.facts)
}

fn busy(week: IsoWeek) -> Error {
    Error::RateLimited {
        retry_after: Duration::from_secs(1),
        reason: format!("another request writes week {week} at this moment; send this one again"),
    }
}
