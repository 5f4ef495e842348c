//! The rows of one ad account.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use domain::Error;
use domain::date::{DateRange, Grain};
use domain::entity::{Entity, Level};
use domain::id::EntityId;
use domain::tenant::Tenant;
use facts::{Columns, Group, Grouping, Selection, Sums};
use jiff::civil::Date;
use rust_decimal::Decimal;
use store::account::AdAccount;
use store::chunk::Chunk;
use store::report_scope::ReportScope;
use store::{StoreError, Table};

use crate::answer::{AccountScope, Row};
use crate::buckets::Buckets;
use crate::currency::convert;
use crate::document::Query;
use crate::filter::Filter;
use crate::numbers::Numbers;
use crate::objects::{Conditions, Objects};
use crate::reach::{self, RangeReach};
use crate::sum::{FactQuery, sum_facts};

/// Ids that are read one by one; for more of them, the index of their level is read.
const MAX_IDS_READ: usize = 100;

/// What is read, and of which account.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) table: &'a Table,
    pub(crate) workspace: &'a Tenant,
    pub(crate) account: &'a AdAccount,
    pub(crate) query: &'a Query,
    /// What one unit of the account's currency is worth in the answer's.
    pub(crate) rate: Decimal,
}

/// What an account adds to an answer, and what it takes to read more of it.
pub(crate) struct AccountRows {
    pub(crate) scope: AccountScope,
    pub(crate) rows: Vec<Row>,
    pub(crate) known: Entities,
    /// Entities of other levels that filters name and the account has.
    pub(crate) named: HashSet<EntityId>,
    chunks: Vec<Chunk>,
    is_enabled: bool,
}

/// Entities by their ids.
pub(crate) type Entities = HashMap<EntityId, Arc<Entity>>;

/// What tells the rows of an account apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RowKey {
    pub(crate) id: Option<EntityId>,
    pub(crate) attributes: Vec<Option<String>>,
    pub(crate) breakdowns: Vec<Option<String>>,
    /// Number of the bucket in its range: the same one of two ranges is compared.
    pub(crate) bucket: Option<usize>,
}

/// Rows in the order in which they were found.
#[derive(Default)]
pub(crate) struct RowSet {
    pub(crate) numbers: HashMap<RowKey, usize>,
    pub(crate) rows: Vec<(RowKey, Row)>,
}

impl RowSet {
    pub(crate) fn row(&mut self, key: RowKey, new: impl FnOnce(&RowKey) -> Row) -> &mut Row {
        let number = *self.numbers.entry(key).or_insert_with_key(|key| {
            self.rows.push((key.clone(), new(key)));
            self.rows.len() - 1
        });
        &mut self.rows[number].1
    }
}

impl<'a> Reader<'a> {
    /// Reads what the query asks of the account. `number` is the account's index in the answer.
    pub(crate) async fn read(self, number: usize) -> Result<AccountRows, Error> {
        let Self { table, workspace, account, query, .. } = self;
        let range = query.range()?;
        // The manifests before the numbers, which then are at least as fresh as they say.
        let chunks = table.chunks_of(workspace, &account.id, query.dataset()?, range).await?;
        let is_enabled = self.is_enabled(&chunks).await?;
        let scope = |range, chunks: &[Chunk]| -> Result<ReportScope, Error> {
            let scope = ReportScope::new(account, range, chunks)?;
            Ok(if is_enabled { scope } else { scope.not_enabled() })
        };
        let of_range = scope(range, &chunks)?;
        let (known, campaigns) = self.entities().await?;
        let objects =
            Objects { reader: self, known: &known, campaigns: campaigns.as_ref().unwrap_or(&known) };
        let conditions = objects.conditions();

        let mut set = RowSet::default();
        let buckets = Buckets::new(query, query.grain(), (range, &chunks), is_enabled);
        self.add_sums(&objects, &conditions, (range, &chunks, &buckets), |key, group, numbers, setting| {
            let row = set.row(key, |key| objects.new_row(number, key, Some(group)));
            row.numbers.absorb(numbers);
            row.attribution_setting = setting;
        })
        .await?;
        let mut compared = None;
        if let Some(range) = query.compared()? {
            let chunks = table.chunks_of(workspace, &account.id, query.dataset()?, range).await?;
            let buckets = Buckets::new(query, query.grain(), (range, &chunks), is_enabled);
            self.add_sums(&objects, &conditions, (range, &chunks, &buckets), |key, group, numbers, _| {
                let row = set.row(key, |key| objects.new_row(number, key, Some(group)));
                row.previous.get_or_insert_default().absorb(numbers);
            })
            .await?;
            let reach = self.reach(&buckets, &conditions).await?;
            compared = Some((scope(range, &chunks)?, buckets, reach));
        }
        let reach = self.reach(&buckets, &conditions).await?;
        objects.fill(&mut set, number, &conditions, &buckets)?;
        objects.count(&mut set, &conditions);

        let mut rows = Vec::with_capacity(set.rows.len());
        for (key, mut row) in set.rows {
            // Of the other range, there may be more buckets.
            let Some(bucket) = buckets.get(key.bucket) else { continue };
            row.bucket = bucket.day;
            row.numbers.settle(bucket.is_measured);
            if let Some(reach) = &reach {
                reach.add(&key, bucket.period, &mut row.numbers);
            }
            if let Some((_, buckets, reach)) = &compared {
                let previous = row.previous.get_or_insert_default();
                if let Some(bucket) = buckets.get(key.bucket) {
                    previous.settle(bucket.is_measured);
                    if let Some(reach) = reach {
                        reach.add(&key, bucket.period, previous);
                    }
                }
            }
            convert(&mut row.numbers, self.rate);
            row.previous.iter_mut().for_each(|previous| convert(previous, self.rate));
            rows.push(row);
        }
        let compared = compared.map(|(scope, ..)| scope);
        let reach = reach.map(|reach| reach.scope(buckets.periods()));
        let scope = AccountScope { name: account.name.clone(), scope: of_range, compared, reach };
        let named = self.named().await?;
        Ok(AccountRows { scope, rows, known, named, chunks, is_enabled })
    }

    /// Reads the reach of the periods of a range, if the query asks for it.
    async fn reach(self, buckets: &Buckets, conditions: &Conditions) -> Result<Option<RangeReach>, Error> {
        if !reach::is_asked_for(self.query) {
            return Ok(None);
        }
        // A condition on what is below a row leaves a part of its people.
        let is_whole = conditions.level() <= self.query.level;
        let periods: Vec<_> = buckets.periods().collect();
        RangeReach::read(self, &periods, is_whole).await.map(Some)
    }

    /// Returns whether the platform has ever answered a row of what is measured. Without the advertiser's opt-in, no rows
    /// are unknown, not zero.
    async fn is_enabled(self, chunks: &[Chunk]) -> Result<bool, Error> {
        let dataset = self.query.dataset()?;
        let has_rows = |chunks: &[Chunk]| chunks.iter().any(|chunk| chunk.manifest.rows() > 0);
        if !dataset.needs_opt_in || has_rows(chunks) {
            return Ok(true);
        }
        let ever = DateRange { since: Date::MIN, until: Date::MAX };
        Ok(has_rows(&self.table.chunks_of(self.workspace, &self.account.id, dataset, ever).await?))
    }

    /// Returns which of the entities of other levels that filters name the account has.
    async fn named(self) -> Result<HashSet<EntityId>, Error> {
        let mut named = HashSet::new();
        for filter in &self.query.filters {
            let Filter::Entities { level, ids, is_among: true } = filter else { continue };
            if *level != self.query.level {
                let found = self.table.entities_by_id(self.workspace, &self.account.id, *level, ids).await?;
                named.extend(found.into_iter().map(|stored| stored.entity.id));
            }
        }
        Ok(named)
    }

    /// Reads the entities that the rows are about, and the campaigns if those are needed besides.
    async fn entities(self) -> Result<(Entities, Option<Entities>), Error> {
        let Self { table, workspace, account, query, .. } = self;
        let by_id = |stored: Vec<store::entity::StoredEntity>| -> Entities {
            stored.into_iter().map(|stored| (stored.entity.id.clone(), Arc::new(stored.entity))).collect()
        };
        let filtered = query.filters.iter().filter_map(Filter::attribute);
        let attributes: Vec<_> = filtered.chain(query.attributes()).collect();
        let needs = |level: Level| attributes.iter().any(|attribute| attribute.level(query.level) == level);
        // All of them, so that each is known to exist.
        let ids: Vec<EntityId> = query
            .filters
            .iter()
            .filter_map(|filter| match filter {
                Filter::Entities { level, ids, is_among: true } if *level == query.level => Some(ids),
                _ => None,
            })
            .flatten()
            .cloned()
            .collect();
        let few = Some(&ids).filter(|ids| (1..=MAX_IDS_READ).contains(&ids.len()));
        let known = match (query.level, few) {
            (Level::Account, _) if !needs(Level::Campaign) => Vec::new(),
            (Level::Account, _) => table.entities(workspace, &account.id, Level::Campaign).await?,
            (level, Some(ids)) => table.entities_by_id(workspace, &account.id, level, ids).await?,
            (level, None) => table.entities(workspace, &account.id, level).await?,
        };
        let campaigns = if query.level > Level::Campaign && needs(Level::Campaign) {
            Some(by_id(table.entities(workspace, &account.id, Level::Campaign).await?))
        } else {
            None
        };
        Ok((by_id(known), campaigns))
    }

    /// Sums the facts of a range, and passes on each group with its key.
    async fn add_sums(
        self,
        objects: &Objects<'_>,
        conditions: &Conditions,
        (range, chunks, buckets): (DateRange, &[Chunk], &Buckets),
        mut add: impl FnMut(RowKey, &Group, Numbers, Option<String>),
    ) -> Result<(), Error> {
        let query = self.query;
        let Some(columns) = needed_columns(query) else { return Ok(()) };
        let by_campaign = query.level == Level::Account && query.attributes().next().is_some();
        let level = if by_campaign { Level::Campaign } else { query.level };
        let sums = self.sum(
            Grouping { level, grain: query.grain(), breakdowns: query.breakdowns() },
            range,
            chunks,
            columns,
            objects.selection(conditions),
        );
        let sums = sums.await?;
        for (number, group) in sums.groups().iter().enumerate() {
            let numbers = numbers_of(&sums, number)?;
            add(
                objects.key(group, buckets),
                group,
                numbers,
                sums.attribution_setting(number).map(str::to_owned),
            );
        }
        Ok(())
    }

    async fn sum(
        self,
        grouping: Grouping,
        range: DateRange,
        chunks: &[Chunk],
        columns: Columns,
        objects: Selection,
    ) -> Result<Sums, Error> {
        let weekdays = self.query.weekdays();
        let dataset = self.query.dataset()?;
        let query = FactQuery { dataset, range, weekdays, grouping, objects, columns };
        sum_facts(self.table, self.workspace, &self.account.id, chunks, query).await
    }

    /// Reads the sparklines of some rows of the account.
    pub(crate) async fn add_sparklines(self, of: &AccountRows, rows: &mut [&mut Row]) -> Result<(), Error> {
        let measures = self.query.sparklines.as_deref().unwrap_or_default();
        let range = self.query.range()?;
        let level = self.query.level;
        let of_query = Objects { reader: self, known: &of.known, campaigns: &of.known };
        // Rows of entities have passed the filters; those of the account are about what the filters leave of it.
        let conditions = if level > Level::Account { Conditions::default() } else { of_query.conditions() };
        let mut objects = of_query.selection(&conditions);
        if level > Level::Account {
            objects.push(level, rows.iter().filter_map(|row| row.id.as_ref()), true);
        }
        let columns = Columns::Only(measures.iter().flat_map(|measure| measure.columns()).collect());
        let sums = self
            .sum(
                Grouping { level, grain: Grain::Day, breakdowns: Vec::new() },
                range,
                &of.chunks,
                columns,
                objects,
            )
            .await?;
        let buckets = Buckets::new(self.query, Grain::Day, (range, &of.chunks), of.is_enabled);
        for row in rows {
            row.sparklines = vec![Vec::with_capacity(buckets.0.len()); measures.len()];
            for bucket in &buckets.0 {
                let group = sums.find(bucket.day, row.id.as_ref());
                let mut numbers =
                    group.map(|group| numbers_of(&sums, group)).transpose()?.unwrap_or_default();
                numbers.settle(bucket.is_measured);
                convert(&mut numbers, self.rate);
                let same_results = numbers.result_type() == row.numbers.result_type();
                for (line, measure) in row.sparklines.iter_mut().zip(measures) {
                    let is_shown = !measure.is_of_entities() && (same_results || !measure.is_of_results());
                    line.push(numbers.of(measure).filter(|_| is_shown));
                }
            }
        }
        Ok(())
    }
}

/// Returns the columns that a query needs; `None` where no facts are.
fn needed_columns(query: &Query) -> Option<Columns> {
    let mut columns: BTreeSet<String> =
        query.needed_measures().iter().flat_map(|measure| measure.columns()).collect();
    let details = query.include.as_deref().unwrap_or_default();
    if !details.is_empty() {
        return Some(Columns::All);
    }
    if columns.is_empty() {
        return None;
    }
    if query.level == Level::Ad {
        columns.insert(facts::ATTRIBUTION_SETTING.to_owned());
    }
    Some(Columns::Only(columns))
}

fn numbers_of(sums: &Sums, group: usize) -> Result<Numbers, Error> {
    let measures = sums.measures(group).map_err(StoreError::from)?;
    let (reach, frequency) = sums.reach(group).map_err(StoreError::from)?;
    Ok(Numbers { measures: Some(measures), reach, frequency, ..Numbers::default() })
}
