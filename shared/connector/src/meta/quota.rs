//! Meta's quotas, shared by all processes through the table.

use domain::Error;
use domain::dataset::Dataset;
use domain::date::DateRange;
use domain::id::{AdAccountId, EntityId};
use graph_api::insights::{OptionalFields, QueryShape, ReportRun};
use graph_api::limit::{
    AccountLimits, AppLimit, BudgetChanges, DEFAULT_LEASE_POINTS, LeaseGrant, QuotaConsumption, QuotaShare,
    WRITE_POINTS,
};
use graph_api::usage::UseCase;
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::Table;
use store::limit_scope::LimitScope;

use crate::version::RemovedFields;

/// A query shape that worked.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct SavedQueryShape {
    shape: QueryShape,
    until: Option<Timestamp>,
    reports: Vec<ReportRun>,
}

/// Quotas of one ad account.
#[derive(Debug, Clone)]
pub(super) struct Quotas {
    pub(super) table: Table,
    pub(super) app: String,
    /// The version of the API.
    pub(super) version: String,
    pub(super) account: AdAccountId,
    pub(super) case: UseCase,
    pub(super) share: QuotaShare,
}

impl Quotas {
    /// Leases calls. The inner error is the time to try again.
    pub(super) async fn lease(&self, now: Timestamp) -> Result<Result<LeaseGrant, Timestamp>, Error> {
        let app = self.table.limit::<AppLimit>(&self.app, LimitScope::App).await?;
        if let Some(until) = app.blocked_until.filter(|until| *until > now) {
            return Ok(Err(until));
        }
        self.update(LimitScope::Account(&self.account), now, |limits: &mut AccountLimits| {
            limits.lease(self.case, self.share, WRITE_POINTS, DEFAULT_LEASE_POINTS, now)
        })
        .await
    }

    /// Settles a lease and takes a new one in the same write.
    pub(super) async fn renew(
        &self,
        spent: Option<(LeaseGrant, QuotaConsumption)>,
        now: Timestamp,
    ) -> Result<Result<LeaseGrant, Timestamp>, Error> {
        self.record_usage(spent.as_ref(), now).await?;
        self.update(LimitScope::Account(&self.account), now, |limits: &mut AccountLimits| {
            if let Some((lease, spent)) = &spent {
                limits.settle(lease, spent, now);
            }
            limits.lease(self.case, self.share, WRITE_POINTS, DEFAULT_LEASE_POINTS, now)
        })
        .await
    }

    /// Settles a lease without a new one.
    pub(super) async fn release(
        &self,
        lease: LeaseGrant,
        spent: QuotaConsumption,
        now: Timestamp,
    ) -> Result<(), Error> {
        let spent = Some((lease, spent));
        self.record_usage(spent.as_ref(), now).await?;
        self.update(LimitScope::Account(&self.account), now, |limits: &mut AccountLimits| {
            if let Some((lease, spent)) = &spent {
                limits.settle(lease, spent, now);
            }
        })
        .await
    }

    /// Counts a change of an ad set's budget, or fails while Meta would reject it.
    pub(super) async fn admit_budget_change(&self, adset: &EntityId, now: Timestamp) -> Result<(), Error> {
        let admitted = self
            .update(LimitScope::Budget(adset), now, |changes: &mut BudgetChanges| changes.admit(now))
            .await?;
        admitted.map_err(|until| Error::RateLimited {
            retry_after: until.duration_since(now).unsigned_abs(),
            reason: format!("the budget of ad set {adset} has been changed four times within the hour"),
        })
    }

    /// Takes back a change of an ad set's budget that was counted at this time and not sent.
    pub(super) async fn take_back_budget_change(
        &self,
        adset: &EntityId,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.update(LimitScope::Budget(adset), now, |changes: &mut BudgetChanges| changes.take_back(now))
            .await
    }

    /// Loads the query shape of a dataset of the account, and its pending reports.
    pub(super) async fn load(
        &self,
        dataset: Dataset,
        now: Timestamp,
    ) -> Result<(QueryShape, Vec<ReportRun>), Error> {
        let scope = LimitScope::Insights(&self.account, dataset);
        let saved = self.table.limit::<SavedQueryShape>(&self.app, scope);
        let removed = RemovedFields::load(&self.table, &self.app, &self.version, now);
        let (saved, without) = tokio::try_join!(saved, removed)?;
        let valid = saved.until.is_some_and(|until| until > now);
        let (shape, reports) = if valid { (saved.shape, saved.reports) } else { Default::default() };
        Ok((QueryShape { without, ..shape }, reports))
    }

    /// Saves a query shape that Meta handled, for a day, because accounts and Meta's load change, and the pending
    /// reports of these days. What was found missing is saved for every account.
    pub(super) async fn save(
        &self,
        shape: QueryShape,
        missing: OptionalFields,
        (dataset, range): (Dataset, DateRange),
        reports: &[ReportRun],
        now: Timestamp,
    ) -> Result<(), Error> {
        RemovedFields::add(missing, &self.table, &self.app, &self.version, now).await?;
        let shape = QueryShape { without: OptionalFields::default(), ..shape };
        self.update(LimitScope::Insights(&self.account, dataset), now, |saved: &mut SavedQueryShape| {
            saved.reports.retain(|run| !run.is_within(range) && run.is_fresh(now));
            saved.reports.extend_from_slice(reports);
            (saved.shape, saved.until) = (shape, Some(now + SignedDuration::from_hours(24)));
        })
        .await
    }

    /// Records usage of the app as a whole, which is rarely limited and stored separately.
    async fn record_usage(
        &self,
        spent: Option<&(LeaseGrant, QuotaConsumption)>,
        now: Timestamp,
    ) -> Result<(), Error> {
        match spent {
            Some((_, spent)) if AppLimit::default().record_usage(spent, now) => {
                self.update(LimitScope::App, now, |limit: &mut AppLimit| {
                    limit.record_usage(spent, now);
                })
                .await
            }
            _ => Ok(()),
        }
    }

    async fn update<T, R>(
        &self,
        of: LimitScope<'_>,
        now: Timestamp,
        update: impl FnMut(&mut T) -> R,
    ) -> Result<R, Error>
    where
        T: DeserializeOwned + Serialize + Default,
    {
        Ok(self.table.modify_limit(&self.app, of, now, update).await?)
    }
}
