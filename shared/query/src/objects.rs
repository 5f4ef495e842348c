//! What rows are about: filters as sets of ids, and the entities that have rows although nothing was delivered.

use std::collections::HashSet;

use domain::date::Grain;
use domain::entity::{Entity, Level};
use domain::id::EntityId;
use domain::{Error, FieldError};
use facts::{Group, Selection};
use rust_decimal::Decimal;

use crate::answer::Row;
use crate::buckets::Buckets;
use crate::filter::{Attribute, Filter};
use crate::numbers::Numbers;
use crate::rows::{Entities, Reader, RowKey, RowSet};

/// Rows of an account at most: they are in memory at once.
const MAX_ROWS: usize = 100_000;

/// Filters as sets of ids: the object of a level must, or must not, be among them.
#[derive(Default)]
pub(crate) struct Conditions(Vec<(Level, HashSet<EntityId>, bool)>);

impl Conditions {
    pub(crate) fn selection(&self) -> Selection {
        let mut selection = Selection::default();
        for (level, ids, is_among) in &self.0 {
            selection.push(*level, ids, *is_among);
        }
        selection
    }

    pub(crate) fn level(&self) -> Level {
        self.0.iter().map(|(level, ..)| *level).max().unwrap_or(Level::Account)
    }

    pub(crate) fn admit(&self, entity: &Entity) -> bool {
        self.0.iter().all(|(level, ids, is_among)| {
            id_at(entity, *level).is_some_and(|id| ids.contains(id)) == *is_among
        })
    }
}

/// Returns the id of an entity, or of what it is below.
fn id_at(entity: &Entity, level: Level) -> Option<&EntityId> {
    match level {
        level if level == entity.level => Some(&entity.id),
        Level::Campaign => entity.campaign_id.as_ref(),
        Level::AdSet => entity.adset_id.as_ref(),
        Level::Account | Level::Ad => None,
    }
}

/// The entities of an account that a query is about.
pub(crate) struct Objects<'a> {
    pub(crate) reader: Reader<'a>,
    /// Those of the query's level, or at account level the campaigns.
    pub(crate) known: &'a Entities,
    pub(crate) campaigns: &'a Entities,
}

impl Objects<'_> {
    /// Returns which facts are read.
    pub(crate) fn selection(&self, conditions: &Conditions) -> Selection {
        let mut selection = conditions.selection();
        for filter in &self.reader.query.filters {
            if let Filter::Breakdown { breakdown, values, is_among } = filter {
                selection.push_values(*breakdown, values.clone(), *is_among);
            }
        }
        selection
    }

    /// Returns the filters as sets of ids.
    pub(crate) fn conditions(&self) -> Conditions {
        let query = self.reader.query;
        let mut conditions = Conditions::default();
        for filter in &query.filters {
            match filter {
                Filter::Entities { level, ids, is_among } => {
                    conditions.0.push((*level, ids.iter().cloned().collect(), *is_among));
                }
                Filter::Attribute { is_among: wanted, .. }
                | Filter::NameContains { is_there: wanted, .. } => {
                    let Some(attribute) = filter.attribute() else { continue };
                    let level = attribute.level(query.level);
                    let of_level = if level == query.level { self.known } else { self.campaigns };
                    // What is not wanted is excluded, so that what is known only by numbers stays.
                    let matching = of_level.values().filter(|entity| filter.passes(entity) == *wanted);
                    conditions.0.push((level, matching.map(|entity| entity.id.clone()).collect(), *wanted));
                }
                Filter::Accounts { .. }
                | Filter::Weekdays(_)
                | Filter::Breakdown { .. }
                | Filter::Number { .. } => {}
            }
        }
        conditions
    }

    /// Returns the key of a group's row.
    pub(crate) fn key(&self, group: &Group, buckets: &Buckets) -> RowKey {
        let is_account = self.reader.query.level == Level::Account;
        let campaign = if is_account || self.reader.query.level == Level::Campaign {
            group.id.as_ref()
        } else {
            group.campaign.as_ref()
        };
        RowKey {
            id: group.id.clone().filter(|_| !is_account),
            attributes: self.attributes(group.id.as_ref(), campaign),
            breakdowns: group.breakdowns.clone(),
            bucket: buckets.number(group.bucket),
        }
    }

    /// Returns the key of an entity's row; at account level, that of the row to which the campaign belongs.
    pub(crate) fn key_of(&self, entity: &Entity, bucket: Option<usize>) -> RowKey {
        let id = Some(entity.id.clone()).filter(|_| self.reader.query.level > Level::Account);
        let attributes = self.attributes(Some(&entity.id), id_at(entity, Level::Campaign));
        RowKey { id, attributes, breakdowns: Vec::new(), bucket }
    }

    pub(crate) fn attributes(
        &self,
        id: Option<&EntityId>,
        campaign: Option<&EntityId>,
    ) -> Vec<Option<String>> {
        let value = |attribute: Attribute| {
            let entity = match attribute {
                Attribute::Objective => self.campaigns.get(campaign?),
                _ => self.known.get(id?),
            };
            attribute.of(entity?).map(str::to_owned)
        };
        self.reader.query.attributes().map(value).collect()
    }

    pub(crate) fn new_row(&self, account: usize, key: &RowKey, group: Option<&Group>) -> Row {
        let entity = key.id.as_ref().and_then(|id| self.known.get(id)).cloned();
        let parent = |level| {
            let known = entity.as_ref().filter(|entity| entity.level > level);
            known.and_then(|entity| id_at(entity, level)).cloned()
        };
        let of_group = group.filter(|_| key.id.is_some());
        Row {
            account,
            campaign_id: parent(Level::Campaign)
                .or_else(|| of_group.and_then(|group| group.campaign.clone())),
            adset_id: parent(Level::AdSet).or_else(|| of_group.and_then(|group| group.adset.clone())),
            id: key.id.clone(),
            entity,
            bucket: None,
            attributes: key.attributes.clone(),
            breakdowns: key.breakdowns.clone(),
            numbers: Numbers::default(),
            previous: None,
            attribution_setting: None,
            sparklines: Vec::new(),
        }
    }

    /// Adds rows for what has not delivered, so that nothing seems to be missing.
    pub(crate) fn fill(
        &self,
        set: &mut RowSet,
        account: usize,
        conditions: &Conditions,
        buckets: &Buckets,
    ) -> Result<(), Error> {
        let query = self.reader.query;
        let by_days = query.grain() != Grain::All;
        if !query.fill_zeros.unwrap_or(!by_days) {
            return Ok(());
        }
        let is_account = query.level == Level::Account;
        let mut keys: Vec<RowKey> =
            set.rows.iter().map(|(key, _)| RowKey { bucket: None, ..key.clone() }).collect();
        if !query.breakdowns().is_empty() {
            // Which values are missing is not known.
        } else if is_account && query.attributes().next().is_none() {
            keys.push(RowKey { id: None, attributes: Vec::new(), breakdowns: Vec::new(), bucket: None });
        } else if conditions.level() <= query.level.max(Level::Campaign) {
            // A condition on what is below an entity says nothing about one without delivery.
            let admitted = self.known.values().filter(|entity| conditions.admit(entity));
            keys.extend(admitted.map(|entity| self.key_of(entity, None)));
        }
        let keys: HashSet<RowKey> = keys.into_iter().collect();
        let measured = buckets.0.iter().enumerate().filter(|(_, bucket)| bucket.is_measured);
        let numbers: Vec<_> =
            if by_days { measured.map(|(number, _)| Some(number)).collect() } else { vec![None] };
        if keys.len().saturating_mul(numbers.len()) > MAX_ROWS {
            let message = format!("would be more than {MAX_ROWS} rows; ask for fewer days or entities");
            return Err(FieldError::new("fill_zeros", message).into());
        }
        for key in keys {
            for bucket in &numbers {
                set.row(RowKey { bucket: *bucket, ..key.clone() }, |key| self.new_row(account, key, None));
            }
        }
        Ok(())
    }

    /// Adds what entities have: their number and budgets.
    pub(crate) fn count(&self, set: &mut RowSet, conditions: &Conditions) {
        let Reader { query, account, .. } = self.reader;
        if query.level > Level::Account {
            let units = Decimal::from(account.id.platform().minor_units(account.currency));
            let budget = |minor: Option<i64>| Some((Decimal::from(minor?) / units).normalize());
            for (_, row) in &mut set.rows {
                row.numbers.count = 1;
                row.numbers.daily_budget = row.entity.as_ref().and_then(|entity| budget(entity.daily_budget));
                row.numbers.lifetime_budget =
                    row.entity.as_ref().and_then(|entity| budget(entity.lifetime_budget));
            }
        } else if query.attributes().next().is_none() {
            set.rows.iter_mut().for_each(|(_, row)| row.numbers.count = 1);
        } else {
            for entity in self.known.values().filter(|entity| conditions.admit(entity)) {
                if let Some(number) = set.numbers.get(&self.key_of(entity, None)) {
                    set.rows[*number].1.numbers.count += 1;
                }
            }
        }
    }
}
