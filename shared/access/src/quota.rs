//! Meta's quotas, shared by every process through the table.

use ads::Failure;
use ads::date::DateRange;
use ads::id::{AdAccountId, ObjectId};
use graph_api::insights::{Portion, ReportRun};
use graph_api::limit::{AccountLimits, AppLimit, BudgetChanges, Lease, PORTION, Spent, WRITE};
use graph_api::usage::UseCase;
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::limit::LimitOf;
use store::{StoreError, Table};

/// As often as that others may be faster; each time at least one of them has got through.
const TRIES: u32 = 50;

/// A portion that worked.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Learnt {
    portion: Portion,
    until: Option<Timestamp>,
    runs: Vec<ReportRun>,
}

/// The quotas of one ad account.
#[derive(Debug, Clone)]
pub(crate) struct Quotas {
    pub(crate) table: Table,
    pub(crate) app: String,
    pub(crate) account: AdAccountId,
    pub(crate) case: UseCase,
}

impl Quotas {
    /// Leases some calls. The inner error says when to ask again.
    pub(crate) async fn lease(&self, now: Timestamp) -> Result<Result<Lease, Timestamp>, Failure> {
        let app = self.table.limit::<AppLimit>(&self.app, LimitOf::App).await?.value;
        if let Some(until) = app.blocked_until.filter(|until| *until > now) {
            return Ok(Err(until));
        }
        self.change(LimitOf::Account(&self.account), now, |limits: &mut AccountLimits| {
            limits.lease(self.case, WRITE, PORTION, now)
        })
        .await
    }

    /// Returns a lease, and leases anew in the same step.
    pub(crate) async fn exchange(
        &self,
        spent: Option<(Lease, Spent)>,
        now: Timestamp,
    ) -> Result<Result<Lease, Timestamp>, Failure> {
        self.hear(spent.as_ref(), now).await?;
        self.change(LimitOf::Account(&self.account), now, |limits: &mut AccountLimits| {
            if let Some((lease, spent)) = &spent {
                limits.settle(lease, spent, now);
            }
            limits.lease(self.case, WRITE, PORTION, now)
        })
        .await
    }

    /// Returns a lease for good.
    pub(crate) async fn settle(&self, lease: Lease, spent: Spent, now: Timestamp) -> Result<(), Failure> {
        let spent = Some((lease, spent));
        self.hear(spent.as_ref(), now).await?;
        self.change(LimitOf::Account(&self.account), now, |limits: &mut AccountLimits| {
            if let Some((lease, spent)) = &spent {
                limits.settle(lease, spent, now);
            }
        })
        .await
    }

    /// Counts a change of an ad set's budget, or fails while Meta would refuse it.
    pub(crate) async fn admit_budget_change(&self, adset: &ObjectId, now: Timestamp) -> Result<(), Failure> {
        let admitted = self
            .change(LimitOf::Budget(adset), now, |changes: &mut BudgetChanges| changes.admit(now))
            .await?;
        admitted.map_err(|until| Failure::Wait {
            after: until.duration_since(now).unsigned_abs(),
            why: format!("the budget of ad set {adset} has been changed four times within the hour"),
        })
    }

    /// How much of the account's insights to ask for at a time, and the reports that were left unread.
    pub(crate) async fn learnt(&self, now: Timestamp) -> Result<(Portion, Vec<ReportRun>), Failure> {
        let learnt = self.table.limit::<Learnt>(&self.app, LimitOf::Insights(&self.account)).await?.value;
        let valid = learnt.until.is_some_and(|until| until > now);
        Ok(if valid { (learnt.portion, learnt.runs) } else { Default::default() })
    }

    /// Remembers what Meta bore, for a day, for accounts and Meta's own load change; and the reports of these days
    /// that are still to be read.
    pub(crate) async fn learn(
        &self,
        portion: Portion,
        range: DateRange,
        runs: &[ReportRun],
        now: Timestamp,
    ) -> Result<(), Failure> {
        self.change(LimitOf::Insights(&self.account), now, |known: &mut Learnt| {
            known.runs.retain(|run| !run.lies_within(range) && run.is_fresh(now));
            known.runs.extend_from_slice(runs);
            (known.portion, known.until) = (portion, Some(now + SignedDuration::from_hours(24)));
        })
        .await
    }

    /// What concerns the app as a whole is rare, and kept apart.
    async fn hear(&self, spent: Option<&(Lease, Spent)>, now: Timestamp) -> Result<(), Failure> {
        match spent {
            Some((_, spent)) if AppLimit::default().hear(spent, now) => {
                self.change(LimitOf::App, now, |limit: &mut AppLimit| {
                    limit.hear(spent, now);
                })
                .await
            }
            _ => Ok(()),
        }
    }

    /// Reads, changes and replaces, until nobody else was faster.
    async fn change<T, R>(
        &self,
        of: LimitOf<'_>,
        now: Timestamp,
        mut change: impl FnMut(&mut T) -> R,
    ) -> Result<R, Failure>
    where
        T: DeserializeOwned + Serialize + Default,
    {
        for _ in 0..TRIES {
            let mut read = self.table.limit::<T>(&self.app, of).await?;
            let result = change(&mut read.value);
            match self.table.keep_limit(&self.app, of, read, now).await {
                Ok(()) => return Ok(result),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Failure::Unavailable("too many processes share one limit at this moment".to_owned()))
    }
}
