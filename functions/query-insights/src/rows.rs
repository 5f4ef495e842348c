//! The rows of a query: one for each entity, or each entity and day.

use std::collections::{HashMap, HashSet};

use domain::dataset::Dataset;
use domain::date::DateRange;
use domain::entity::Level;
use domain::id::EntityId;
use domain::metrics::{Details, Measures, Metrics};
use domain::tenant::Tenant;
use domain::{Error, FieldError};
use facts::{BlockLevel, Grouping, Sums};
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::Serialize;
use store::StoreError;
use store::account::AdAccount;
use store::entity::StoredEntity;
use store::fact_reader::{FactSelection, SumQuery};

use crate::{Increment, QueryInsights, RowQuery};

/// One entity's numbers for a day or a range.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct Row {
    pub(crate) level: Level,
    pub(crate) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) campaign_id: Option<EntityId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) adset_id: Option<EntityId>,
    pub(crate) date_start: Date,
    pub(crate) date_stop: Date,
    #[serde(serialize_with = "serialize_measures")]
    #[cfg_attr(feature = "describe", schemars(with = "Metrics"))]
    pub(crate) metrics: RowMetrics,
    #[serde(skip_serializing_if = "Option::is_none")]
    attribution_setting: Option<String>,
}

/// A row's measures, and what cannot be summed.
#[derive(Debug, Clone, Default)]
pub(crate) struct RowMetrics {
    pub(crate) measures: Measures,
    pub(crate) reach: Option<u64>,
    pub(crate) frequency: Option<Decimal>,
}

fn serialize_measures<S: serde::Serializer>(row: &RowMetrics, serializer: S) -> Result<S::Ok, S::Error> {
    Metrics::from(&row.measures).with_reach(row.reach, row.frequency).serialize(serializer)
}

impl QueryInsights {
    /// Returns rows in the order of ids and days.
    pub(crate) async fn rows(
        &self,
        workspace: &Tenant,
        account: &AdAccount,
        wanted: RowQuery,
        details: Details,
    ) -> Result<Vec<Row>, Error> {
        let range = wanted.range()?;
        let RowQuery { level, increment, ids, .. } = wanted;
        let ids: Option<HashSet<EntityId>> = ids.map(|ids| ids.into_iter().collect());
        let entities = self.entities(workspace, account, level).await?;
        let query = FactQuery { workspace, account, level, range, ids: ids.as_ref(), details };
        let mut rows = match increment {
            Increment::Day if level == Level::Ad => self.by_ad_and_day(&query).await?,
            Increment::Day => query.rows(&self.sums(&query, true).await?)?,
            Increment::All => over_range(&query, &entities, query.rows(&self.sums(&query, false).await?)?),
        };
        if let Some(ids) = &ids {
            check_known(ids, level, &entities, &rows)?;
            rows.retain(|row| ids.iter().any(|id| id.as_str() == row.id));
        }
        rows.sort_by_cached_key(position);
        for row in &mut rows {
            row.name = match level {
                Level::Account => account.name.clone(),
                _ => entities.get(row.id.as_str()).and_then(|stored| stored.entity.name.clone()),
            };
        }
        Ok(rows)
    }

    async fn sums(&self, query: &FactQuery<'_>, by_day: bool) -> Result<Sums, StoreError> {
        let sums = SumQuery {
            dataset: Dataset::AD_DAY,
            range: query.range,
            grouping: Grouping { level: query.level, by_day },
            with_detail: query.details != Details::default(),
            ids: query.ids,
        };
        self.table.sum_facts(query.workspace, &query.account.id, &sums).await
    }

    /// Returns the rows as Meta reported them, with what cannot be summed.
    async fn by_ad_and_day(&self, query: &FactQuery<'_>) -> Result<Vec<Row>, Error> {
        let selection = FactSelection {
            dataset: Dataset::AD_DAY,
            range: query.range,
            level: BlockLevel::Ad,
            with_detail: query.details != Details::default(),
            only: query.ids,
        };
        let mut reader = self.table.read_facts(query.workspace, &query.account.id, selection).await?;
        let mut rows = Vec::new();
        while let Some(blocks) = reader.next().await? {
            for block in blocks.decode() {
                for row in block?.to_rows(blocks.day).map_err(StoreError::from)? {
                    let (facts, day) = (row.facts, blocks.day);
                    rows.push(Row {
                        campaign_id: Some(row.campaign),
                        adset_id: Some(row.adset),
                        attribution_setting: facts.attribution_setting,
                        metrics: RowMetrics {
                            measures: query.details.of(facts.measures),
                            reach: facts.reach,
                            frequency: facts.frequency,
                        },
                        ..empty_row(query.level, row.ad.as_str(), (day, day))
                    });
                }
            }
        }
        Ok(rows)
    }

    async fn entities(
        &self,
        workspace: &Tenant,
        account: &AdAccount,
        level: Level,
    ) -> Result<HashMap<String, StoredEntity>, Error> {
        if level == Level::Account {
            return Ok(HashMap::new());
        }
        let entities = self.table.entities(workspace, &account.id, level).await?;
        Ok(entities.into_iter().map(|stored| (stored.entity.id.to_string(), stored)).collect())
    }
}

/// Whose facts, over which days.
struct FactQuery<'a> {
    workspace: &'a Tenant,
    account: &'a AdAccount,
    level: Level,
    range: DateRange,
    ids: Option<&'a HashSet<EntityId>>,
    details: Details,
}

impl FactQuery<'_> {
    /// Returns a row for each sum.
    fn rows(&self, sums: &Sums) -> Result<Vec<Row>, StoreError> {
        let mut rows = Vec::with_capacity(sums.groups().len());
        for (number, group) in sums.groups().iter().enumerate() {
            let id = group.id.as_ref().map_or(self.account.id.as_str(), EntityId::as_str);
            let days = group.day.map_or((self.range.since, self.range.until), |day| (day, day));
            let measures = self.details.of(sums.measures(number)?);
            rows.push(Row {
                campaign_id: group.campaign.clone(),
                adset_id: group.adset.clone(),
                metrics: RowMetrics { measures, ..RowMetrics::default() },
                ..empty_row(self.level, id, days)
            });
        }
        Ok(rows)
    }
}

fn empty_row(level: Level, id: &str, (date_start, date_stop): (Date, Date)) -> Row {
    Row {
        level,
        id: id.to_owned(),
        name: None,
        campaign_id: None,
        adset_id: None,
        date_start,
        date_stop,
        metrics: RowMetrics::default(),
        attribution_setting: None,
    }
}

/// Adds rows of zeros for what has not delivered, so that no entity seems to be missing.
fn over_range(query: &FactQuery<'_>, entities: &HashMap<String, StoredEntity>, rows: Vec<Row>) -> Vec<Row> {
    let delivered: HashSet<String> = rows.iter().map(|row| row.id.clone()).collect();
    let days = (query.range.since, query.range.until);
    let idle = entities.iter().filter(|(id, _)| !delivered.contains(*id)).map(|(id, stored)| Row {
        campaign_id: stored.entity.campaign_id.clone(),
        adset_id: stored.entity.adset_id.clone(),
        ..empty_row(query.level, id, days)
    });
    let account = query.account.id.as_str();
    let idle_account = (query.level == Level::Account && !delivered.contains(account))
        .then(|| empty_row(query.level, account, days));
    let idle: Vec<Row> = idle.chain(idle_account).collect();
    rows.into_iter().chain(idle).collect()
}

/// Refuses ids that this level does not have: an empty answer would look like no delivery.
fn check_known(
    ids: &HashSet<EntityId>,
    level: Level,
    entities: &HashMap<String, StoredEntity>,
    rows: &[Row],
) -> Result<(), FieldError> {
    let is_known =
        |id: &&EntityId| entities.contains_key(id.as_str()) || rows.iter().any(|row| row.id == id.as_str());
    let mut unknown: Vec<_> = ids.iter().filter(|id| !is_known(id)).map(EntityId::as_str).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    unknown.sort_unstable();
    let message = format!("holds what is no {level} of this ad account: {}", unknown.join(", "));
    Err(FieldError::new("ids", message))
}

/// The position of a row in the list.
pub(crate) fn position(row: &Row) -> String {
    format!("{}#{}", row.id, row.date_start)
}
