//! Facts: one item per entity and ISO week, written only by the holder of the lease of the week's chunk.

use std::collections::HashMap;

use domain::date::{DateRange, IsoWeek};
use domain::entity::Level;
use domain::id::{AdAccountId, EntityId};
use domain::metrics::{DayFacts, Measures};
use domain::tenant::Tenant;
use serde::{Deserialize, Serialize};

use crate::chunk::Lease;
use crate::key;
use crate::table::{ConditionExpression, StoreError, Table, number};

/// Maximum writes per transaction: DynamoDB accepts 100 actions, one of which checks the fence.
const MAX_TRANSACTION_WRITES: usize = 99;

/// Maximum estimated size of a transaction, in bytes: DynamoDB accepts 4 MB, of which some is left for names and keys.
const MAX_TRANSACTION_BYTES: usize = 3 * 1024 * 1024;

/// One entity's metrics of a week: up to seven days. A day without delivery is absent, as at Meta.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WeekFacts {
    /// Ad, or the level that ads were rolled up to.
    pub level: Level,
    /// The entity; at account level, the account itself.
    pub id: EntityId,
    /// Parent campaign, for ad sets and ads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign_id: Option<EntityId>,
    /// Parent ad set, for ads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adset_id: Option<EntityId>,
    /// The week.
    pub week: IsoWeek,
    /// The days, in order.
    pub days: Vec<DayFacts>,
}

/// Sums the additive measures of each entity over a range.
pub fn sum_by_entity(weeks: &[WeekFacts], range: DateRange) -> HashMap<&EntityId, Measures> {
    let mut sums: HashMap<&EntityId, Measures> = HashMap::new();
    for week in weeks {
        for day in week.days.iter().filter(|day| range.contains(day.day)) {
            *sums.entry(&week.id).or_default() += &day.measures;
        }
    }
    sums
}

/// A change to one week's item.
#[derive(Debug, Clone, PartialEq)]
pub enum FactChange {
    /// Writes these metrics.
    Put(WeekFacts),
    /// Deletes the item, because the platform no longer reports this entity for this week.
    Delete(Level, EntityId),
}

/// Returns how many changes from the front fit into one transaction, at least one.
fn transaction_batch_len(changes: &[FactChange]) -> usize {
    let mut bytes = 0;
    let fits = |change: &&FactChange| {
        bytes += match change {
            FactChange::Put(facts) => facts.days.iter().map(estimated_bytes).sum(),
            FactChange::Delete(..) => 0,
        };
        bytes <= MAX_TRANSACTION_BYTES
    };
    changes.iter().take(MAX_TRANSACTION_WRITES).take_while(fits).count().max(1)
}

/// Estimates a day's size in the table in bytes, generously.
fn estimated_bytes(day: &DayFacts) -> usize {
    let types = day.measures.actions.keys().chain(day.measures.action_values.keys());
    400 + types.map(|action| action.len() + 32).sum::<usize>()
}

#[derive(Serialize)]
struct StoredFacts<'a> {
    #[serde(flatten)]
    facts: &'a WeekFacts,
    fence: u64,
}

impl Table {
    /// Lists the facts of one level for the whole weeks that `range` touches, ordered by week and entity.
    pub async fn facts(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        level: Level,
        range: DateRange,
    ) -> Result<Vec<WeekFacts>, StoreError> {
        let pk = key::fact_partition(ws, account, level);
        let (first, last) = (IsoWeek::of(range.since), IsoWeek::of(range.until));
        self.query_between(&pk, &first.to_string(), &format!("{last}#\u{7f}")).await
    }

    /// Writes the changes of one week in transactions that check the lease's fence, so that a run that has lost its
    /// lease writes nothing. BatchWriteItem would be cheaper, but supports no conditions.
    pub async fn write_facts(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        week: IsoWeek,
        lease: &Lease,
        changes: &[FactChange],
    ) -> Result<(), StoreError> {
        let key_of = |level, id: &EntityId| key::fact(ws, account, level, week, id);
        let mut rest = changes;
        while !rest.is_empty() {
            let (changes, later) = rest.split_at(transaction_batch_len(rest));
            rest = later;
            let fence = ConditionExpression {
                expression: "fence = :fence",
                values: vec![(":fence", number(lease.fence))],
            };
            let mut actions = vec![self.check_action(&lease.key, fence)?];
            for change in changes {
                actions.push(match change {
                    FactChange::Put(facts) => {
                        let stored = StoredFacts { facts, fence: lease.fence };
                        self.put_action(&key_of(facts.level, &facts.id), &stored)?
                    }
                    FactChange::Delete(level, id) => self.delete_action(&key_of(*level, id))?,
                });
            }
            self.transact(actions).await?;
        }
        Ok(())
    }
}
