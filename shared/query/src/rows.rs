//! The rows of one ad account.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use domain::date::{DateRange, Grain};
use domain::entity::{Entity, Level};
use domain::id::EntityId;
use domain::tenant::Tenant;
use domain::{Error, FieldError};
use facts::{Columns, Group, Grouping, Selection, Sums};
use jiff::civil::Date;
use rust_decimal::Decimal;
use store::account::AdAccount;
use store::chunk::Chunk;
use store::report_scope::ReportScope;
use store::{StoreError, Table};

use crate::answer::{AccountScope, Row};
use crate::currency::convert;
use crate::document::Query;
use crate::filter::{Attribute, Filter};
use crate::numbers::Numbers;
use crate::sum::{FactQuery, sum_facts};

/// Rows of an account at most: they are in memory at once.
const MAX_ROWS: usize = 100_000;

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
}

/// Entities by their ids.
type Entities = HashMap<EntityId, Arc<Entity>>;

/// What tells the rows of an account apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct RowKey {
    id: Option<EntityId>,
    attributes: Vec<Option<String>>,
    breakdowns: Vec<Option<String>>,
    /// Number of the bucket in its range: the same one of two ranges is compared.
    bucket: Option<usize>,
}

/// Rows in the order in which they were found.
#[derive(Default)]
struct RowSet {
    numbers: HashMap<RowKey, usize>,
    rows: Vec<(RowKey, Row)>,
}

impl RowSet {
    fn row(&mut self, key: RowKey, new: impl FnOnce(&RowKey) -> Row) -> &mut Row {
        let number = *self.numbers.entry(key).or_insert_with_key(|key| {
            self.rows.push((key.clone(), new(key)));
            self.rows.len() - 1
        });
        &mut self.rows[number].1
    }
}

/// The buckets of a range, oldest first, and whether any of their days is measured.
struct Buckets(Vec<(Option<Date>, bool)>);

impl Buckets {
    fn new(grain: Grain, range: DateRange, chunks: &[Chunk], is_enabled: bool) -> Self {
        let measured: HashSet<Date> = chunks
            .iter()
            .filter(|_| is_enabled)
            .flat_map(|chunk| {
                chunk.week.range().days_within(range).filter(|day| chunk.measured_at(*day).is_some())
            })
            .collect();
        let all: BTreeSet<_> = range.days_within(range).map(|day| grain.bucket(day)).collect();
        let known: HashSet<_> = measured.into_iter().map(|day| grain.bucket(day)).collect();
        Self(all.into_iter().map(|bucket| (bucket, known.contains(&bucket))).collect())
    }

    /// Returns the number of a bucket; `None` where all days are one.
    fn number(&self, bucket: Option<Date>) -> Option<usize> {
        bucket?;
        self.0.iter().position(|(known, _)| *known == bucket)
    }

    fn get(&self, number: Option<usize>) -> Option<(Option<Date>, bool)> {
        self.0.get(number.unwrap_or(0)).copied()
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
        let buckets = Buckets::new(query.grain(), range, &chunks, is_enabled);
        self.add_sums(&objects, &conditions, (range, &chunks, &buckets), |key, group, numbers, setting| {
            let row = set.row(key, |key| objects.new_row(number, key, Some(group)));
            row.numbers.absorb(numbers);
            row.attribution_setting = setting;
        })
        .await?;
        let mut compared = None;
        if let Some(range) = query.compared()? {
            let chunks = table.chunks_of(workspace, &account.id, query.dataset()?, range).await?;
            let buckets = Buckets::new(query.grain(), range, &chunks, is_enabled);
            self.add_sums(&objects, &conditions, (range, &chunks, &buckets), |key, group, numbers, _| {
                let row = set.row(key, |key| objects.new_row(number, key, Some(group)));
                row.previous.get_or_insert_default().absorb(numbers);
            })
            .await?;
            compared = Some((scope(range, &chunks)?, buckets));
        }
        objects.fill(&mut set, number, &conditions, &buckets)?;
        objects.count(&mut set, &conditions);

        let mut rows = Vec::with_capacity(set.rows.len());
        for (key, mut row) in set.rows {
            // Of the other range, there may be more buckets.
            let Some((bucket, is_measured)) = buckets.get(key.bucket) else { continue };
            row.bucket = bucket;
            row.numbers.settle(is_measured);
            if let Some((_, buckets)) = &compared {
                let is_measured = buckets.get(key.bucket).is_some_and(|(_, is_measured)| is_measured);
                row.previous.get_or_insert_default().settle(is_measured);
            }
            convert(&mut row.numbers, self.rate);
            row.previous.iter_mut().for_each(|previous| convert(previous, self.rate));
            rows.push(row);
        }
        let compared = compared.map(|(scope, _)| scope);
        let scope = AccountScope { name: account.name.clone(), scope: of_range, compared };
        let named = self.named().await?;
        Ok(AccountRows { scope, rows, known, named, chunks })
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
        let weekdays = self.query.filters.iter().filter_map(|filter| match filter {
            Filter::Weekdays(days) => Some(*days),
            _ => None,
        });
        let weekdays = weekdays.reduce(|a, b| std::array::from_fn(|day| a[day] && b[day]));
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
        let buckets = Buckets::new(Grain::Day, range, &of.chunks, true);
        for row in rows {
            row.sparklines = vec![Vec::with_capacity(buckets.0.len()); measures.len()];
            for (day, is_measured) in &buckets.0 {
                let group = sums.find(*day, row.id.as_ref());
                let mut numbers =
                    group.map(|group| numbers_of(&sums, group)).transpose()?.unwrap_or_default();
                numbers.settle(*is_measured);
                convert(&mut numbers, self.rate);
                for (line, measure) in row.sparklines.iter_mut().zip(measures) {
                    line.push(numbers.of(measure).filter(|_| !measure.is_of_entities()));
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

/// Filters as sets of ids: the object of a level must, or must not, be among them.
#[derive(Default)]
struct Conditions(Vec<(Level, HashSet<EntityId>, bool)>);

impl Conditions {
    fn selection(&self) -> Selection {
        let mut selection = Selection::default();
        for (level, ids, is_among) in &self.0 {
            selection.push(*level, ids, *is_among);
        }
        selection
    }

    fn level(&self) -> Level {
        self.0.iter().map(|(level, ..)| *level).max().unwrap_or(Level::Account)
    }

    fn admit(&self, entity: &Entity) -> bool {
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
struct Objects<'a> {
    reader: Reader<'a>,
    /// Those of the query's level, or at account level the campaigns.
    known: &'a Entities,
    campaigns: &'a Entities,
}

impl Objects<'_> {
    /// Returns which facts are read.
    fn selection(&self, conditions: &Conditions) -> Selection {
        let mut selection = conditions.selection();
        for filter in &self.reader.query.filters {
            if let Filter::Breakdown { breakdown, values, is_among } = filter {
                selection.push_values(*breakdown, values.clone(), *is_among);
            }
        }
        selection
    }

    /// Returns the filters as sets of ids.
    fn conditions(&self) -> Conditions {
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
    fn key(&self, group: &Group, buckets: &Buckets) -> RowKey {
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
    fn key_of(&self, entity: &Entity, bucket: Option<usize>) -> RowKey {
        let id = Some(entity.id.clone()).filter(|_| self.reader.query.level > Level::Account);
        let attributes = self.attributes(Some(&entity.id), id_at(entity, Level::Campaign));
        RowKey { id, attributes, breakdowns: Vec::new(), bucket }
    }

    fn attributes(&self, id: Option<&EntityId>, campaign: Option<&EntityId>) -> Vec<Option<String>> {
        let value = |attribute: Attribute| {
            let entity = match attribute {
                Attribute::Objective => self.campaigns.get(campaign?),
                _ => self.known.get(id?),
            };
            attribute.of(entity?).map(str::to_owned)
        };
        self.reader.query.attributes().map(value).collect()
    }

    fn new_row(&self, account: usize, key: &RowKey, group: Option<&Group>) -> Row {
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
    fn fill(
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
        let measured = buckets.0.iter().enumerate().filter(|(_, (_, is_measured))| *is_measured);
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
    fn count(&self, set: &mut RowSet, conditions: &Conditions) {
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
