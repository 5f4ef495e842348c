//! Objects with their numbers over a range, zeros included.

use ads::date::{DateRange, IsoWeek};
use ads::id::{AdAccountId, ObjectId};
use ads::metrics::{Measures, Metric, Shown};
use ads::money::{Currency, Money};
use ads::object::{AdObject, EffectiveStatus, Level, Status};
use ads::tenant::Tenant;
use ads::{Failure, Invalid};
use runtime::route::{self, Visit};
use runtime::{Reply, reply};
use rust_decimal::Decimal;
use serde::Serialize;
use store::account::AdAccount;
use store::fact;

use crate::{Endpoint, ManageCampaign};

/// Days shown when the range is left out.
const DEFAULT_DAYS: i32 = 30;

/// Rows of a page unless `limit` says otherwise, and at most.
const PAGE: (usize, usize) = (50, 500);

#[derive(Serialize)]
pub(crate) struct ShownObject {
    id: ObjectId,
    #[serde(skip_serializing_if = "Option::is_none")]
    campaign_id: Option<ObjectId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    adset_id: Option<ObjectId>,
    name: Option<String>,
    status: Option<Status>,
    effective_status: Option<EffectiveStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    objective: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    daily_budget: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lifetime_budget: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<Shown>,
}

impl ShownObject {
    pub(crate) fn new(object: AdObject, currency: Currency, measures: Option<&Measures>) -> Self {
        let money = |amount: Option<i64>| amount.map(|amount| Money { amount, currency });
        Self {
            daily_budget: money(object.daily_budget),
            lifetime_budget: money(object.lifetime_budget),
            id: object.id,
            campaign_id: object.campaign_id,
            adset_id: object.adset_id,
            name: object.name,
            status: object.status,
            effective_status: object.effective_status,
            objective: object.objective,
            created_time: object.created_time,
            metrics: measures.map(Shown::from),
        }
    }
}

#[derive(Serialize)]
struct ObjectList {
    ad_account: AdAccountId,
    currency: Currency,
    since: jiff::civil::Date,
    until: jiff::civil::Date,
    /// Weeks of the range that are not stored completely: their numbers are missing or partial.
    incomplete_weeks: Vec<IsoWeek>,
    data: Vec<ShownObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
}

/// An object's place in the list: the metric first (unknown last), then the id, so that a page begins where
/// the one before ended.
type Position = (Option<Decimal>, String);

impl ManageCampaign {
    pub(crate) async fn list(&self, visit: &Visit<Endpoint>, level: Level) -> Result<Reply, Failure> {
        visit.allow_query(&[
            "since",
            "until",
            "sort",
            "order",
            "effective_status",
            "campaign_id",
            "limit",
            "after",
        ])?;
        let workspace = visit.workspace()?;
        let account = self.access.table.known_account(workspace, &visit.path("ad_account")?).await?;
        let range = self.range(visit, &account)?;
        let sort = visit.query("sort")?.unwrap_or(Metric::Spend);
        let order = visit.query("order")?.unwrap_or(Order::Descending);
        let statuses: Option<String> = visit.query("effective_status")?;
        let campaign: Option<ObjectId> = visit.query("campaign_id")?;
        let limit = visit.limit(PAGE.0, PAGE.1)?;
        let after = visit.after()?.map(|text| parse_position(&text)).transpose()?;

        let mut objects = self.objects_with_measures(workspace, &account.id, level, range).await?;
        if let Some(statuses) = &statuses {
            let wanted: Vec<_> = statuses.split(',').collect();
            objects.retain(|(object, _)| {
                object.effective_status.as_ref().is_some_and(|status| wanted.contains(&status.as_str()))
            });
        }
        if campaign.is_some() {
            objects.retain(|(object, _)| object.campaign_id == campaign);
        }
        let position = |(object, measures): &(AdObject, Measures)| -> Position {
            (sort.of(measures), object.id.to_string())
        };
        let compare = |a: &Position, b: &Position| order.compare(a, b);
        objects.sort_by(|a, b| compare(&position(a), &position(b)));
        if let Some(after) = after {
            objects.retain(|entry| compare(&position(entry), &after).is_gt());
        }
        let more = objects.len() > limit;
        objects.truncate(limit);
        let after =
            objects.last().filter(|_| more).map(|entry| route::cursor(&write_position(&position(entry))));
        let data = objects
            .into_iter()
            .map(|(object, measures)| ShownObject::new(object, account.currency, Some(&measures)))
            .collect();
        let incomplete_weeks = self.access.table.incomplete_weeks(workspace, &account.id, range).await?;
        let (since, until) = (range.since, range.until);
        reply::ok(&ObjectList {
            ad_account: account.id,
            currency: account.currency,
            since,
            until,
            incomplete_weeks,
            data,
            after,
        })
    }

    pub(crate) async fn show(&self, visit: &Visit<Endpoint>, level: Level) -> Result<Reply, Failure> {
        visit.allow_query(&["since", "until"])?;
        let workspace = visit.workspace()?;
        let account = self.access.table.known_account(workspace, &visit.path("ad_account")?).await?;
        let range = self.range(visit, &account)?;
        let object = self.object(workspace, &account.id, level, &visit.path("id")?).await?;
        let weeks = self.access.table.facts(workspace, &account.id, level, range).await?;
        let measures = fact::sums(&weeks, range).remove(&object.id).unwrap_or_default();
        reply::ok(&ShownObject::new(object, account.currency, Some(&measures)))
    }

    /// An object of this account, as kept.
    pub(crate) async fn object(
        &self,
        workspace: &Tenant,
        account: &AdAccountId,
        level: Level,
        id: &ObjectId,
    ) -> Result<AdObject, Failure> {
        let kept = self.access.table.object(workspace, account, level, id).await?;
        kept.map(|kept| kept.object).ok_or_else(|| Failure::NotFound(format!("{level} {id}")))
    }

    async fn objects_with_measures(
        &self,
        workspace: &Tenant,
        account: &AdAccountId,
        level: Level,
        range: DateRange,
    ) -> Result<Vec<(AdObject, Measures)>, Failure> {
        let objects = self.access.table.objects(workspace, account, level).await?;
        let weeks = self.access.table.facts(workspace, account, level, range).await?;
        let mut sums = fact::sums(&weeks, range);
        Ok(objects
            .into_iter()
            .map(|kept| {
                let measures = sums.remove(&kept.object.id).unwrap_or_default();
                (kept.object, measures)
            })
            .collect())
    }

    fn range(&self, visit: &Visit<Endpoint>, account: &AdAccount) -> Result<DateRange, Failure> {
        match (visit.query("since")?, visit.query("until")?) {
            (Some(since), Some(until)) => Ok(DateRange::new(since, until)?),
            (None, None) => Ok(DateRange::ending(account.today(self.host.clock.now()), DEFAULT_DAYS)),
            (Some(_), None) => {
                Err(Invalid::new("until", "is missing; give both since and until, or neither").into())
            }
            (None, Some(_)) => {
                Err(Invalid::new("since", "is missing; give both since and until, or neither").into())
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Ascending,
    Descending,
}

impl Order {
    fn compare(self, a: &Position, b: &Position) -> std::cmp::Ordering {
        let by_value = match (&a.0, &b.0) {
            (Some(a), Some(b)) if self == Self::Descending => b.cmp(a),
            (Some(a), Some(b)) => a.cmp(b),
            // Unknown is neither high nor low.
            (a, b) => b.is_some().cmp(&a.is_some()),
        };
        by_value.then_with(|| a.1.cmp(&b.1))
    }
}

impl std::str::FromStr for Order {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "asc" => Ok(Self::Ascending),
            "desc" => Ok(Self::Descending),
            _ => Err("must be asc or desc"),
        }
    }
}

fn write_position((value, id): &Position) -> String {
    format!("{}#{id}", value.map(|value| value.to_string()).unwrap_or_default())
}

fn parse_position(text: &str) -> Result<Position, Invalid> {
    let invalid = || Invalid::new("after", "must be the `after` of the page before");
    let (value, id) = text.split_once('#').ok_or_else(invalid)?;
    let value = (!value.is_empty()).then(|| value.parse()).transpose().map_err(|_| invalid())?;
    Ok((value, id.to_owned()))
}
