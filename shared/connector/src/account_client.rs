//! An opened ad account: one set of verbs for every platform.

mod library;

use domain::activity::Activity;
use domain::budget::BudgetLevel;
use domain::dataset::Dataset;
use domain::date::DateRange;
use domain::entity::{Changes, Entity, Level};
use domain::gap::Gap;
use domain::id::EntityId;
use domain::launch::{Created, Difference, Launch, Step};
use domain::metrics::{InsightsRow, PeriodReach};
use domain::results::CustomConversion;
use domain::tenant::Tenant;
use domain::totals::AccountDay;
use domain::{Error, FieldError};
use graph_api::launch::{AdSetSpec, LaunchSpec};
use jiff::Timestamp;
use store::Table;
use store::account::AdAccount;
use store::entity::StoredEntity;

use crate::meta::{MetaClient, MetaPages, MetaRows};

/// What an account is opened for. Platforms count calls for entities and for metrics separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Changing entities now, for a person, a schedule or a rule. A part of every quota is kept for this.
    Action,
    /// Reading entities in the background, or what a person can do without.
    Sync,
    /// Reading metrics in the background.
    Reporting,
}

/// An opened ad account. It acts for the account's connection, within the calls that it has leased, which
/// [`AccountClient::close`] returns.
#[derive(Debug)]
pub struct AccountClient {
    /// Workspace of the account.
    pub workspace: Tenant,
    /// Row of the account.
    pub account: AdAccount,
    pub(crate) table: Table,
    pub(crate) platform: PlatformClient,
}

/// The client of the account's platform.
#[derive(Debug)]
pub(crate) enum PlatformClient {
    Meta(Box<MetaClient>),
}

/// Pages of a list of entities; see [`AccountClient::next_entities`].
#[derive(Debug)]
pub struct EntityPages(PlatformPages);

#[derive(Debug)]
enum PlatformPages {
    Meta(MetaPages),
}

/// Rows of a report; see [`AccountClient::next_rows`].
#[derive(Debug)]
pub struct ReportRows(PlatformRows);

#[derive(Debug)]
enum PlatformRows {
    Meta(Box<MetaRows>),
}

/// What a platform returned for an entity that was requested by its id.
#[derive(Debug)]
pub enum EntityRead {
    /// Its current state.
    Found(Box<Entity>),
    /// Nothing: it may have been deleted long ago, or a permission may be lost.
    NotFound,
    /// An error about this entity alone.
    Failed(Error),
}

impl EntityPages {
    /// Returns whether the last page has been read.
    pub fn has_ended(&self) -> bool {
        match &self.0 {
            PlatformPages::Meta(pages) => pages.has_ended(),
        }
    }

    /// Returns the cursor of the next page; `None` before the first. It holds no token.
    pub fn cursor(&self) -> Option<&str> {
        match &self.0 {
            PlatformPages::Meta(pages) => pages.cursor(),
        }
    }
}

impl AccountClient {
    /// Lists the entities of a level, archived ones included, after a [cursor](EntityPages::cursor) if there is one.
    pub fn list_entities(&self, level: Level, after: Option<String>) -> EntityPages {
        match &self.platform {
            PlatformClient::Meta(meta) => EntityPages(PlatformPages::Meta(meta.list_entities(level, after))),
        }
    }

    /// Lists the entities of a level below a campaign or ad set.
    fn list_descendants(&self, level: Level, parent: (Level, &EntityId)) -> EntityPages {
        match &self.platform {
            PlatformClient::Meta(meta) => {
                EntityPages(PlatformPages::Meta(meta.list_descendants(level, parent)))
            }
        }
    }

    /// Returns the next page; `None` after the last one. After an error it continues where it stopped.
    pub async fn next_entities(&self, pages: &mut EntityPages) -> Result<Option<Vec<Entity>>, Error> {
        match (&self.platform, &mut pages.0) {
            (PlatformClient::Meta(meta), PlatformPages::Meta(pages)) => meta.next_entities(pages).await,
        }
    }

    /// Takes what could not be read of the entities since the last time: whole ones, each with its id where that could
    /// be read, and fields.
    pub fn take_entity_gaps(&self, pages: &mut EntityPages) -> Vec<Gap> {
        match &mut pages.0 {
            PlatformPages::Meta(pages) => pages.take_gaps(),
        }
    }

    /// Reads an entity. Returns `None` when the platform does not return it: that can be a lost permission.
    pub async fn read_entity(&self, level: Level, id: &EntityId) -> Result<Option<Entity>, Error> {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.read_entity(level, id).await,
        }
    }

    /// Reads entities by their ids. Returns at least one of them, in the given order; the others are to be requested
    /// again.
    pub async fn read_entities(
        &self,
        level: Level,
        ids: &[EntityId],
    ) -> Result<Vec<(EntityId, EntityRead)>, Error> {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.read_entities(level, ids).await,
        }
    }

    /// Opens the list of those of these entities that the platform lists: not the deleted ones.
    pub fn list_entities_in(&self, level: Level, ids: &[EntityId]) -> EntityPages {
        match &self.platform {
            PlatformClient::Meta(meta) => EntityPages(PlatformPages::Meta(meta.list_entities_in(level, ids))),
        }
    }

    /// Opens the report of these days: one row per ad and day with delivery, or several as the dataset splits them. Days
    /// are the account's own.
    pub async fn report_rows(&self, dataset: Dataset, range: DateRange) -> Result<ReportRows, Error> {
        match &self.platform {
            PlatformClient::Meta(meta) => {
                Ok(ReportRows(PlatformRows::Meta(Box::new(meta.report_rows(dataset, range).await?))))
            }
        }
    }

    /// Returns the next rows of a report, which may be none; `None` after the last ones. After an error it continues
    /// where it stopped, also in a later invocation.
    pub async fn next_rows(&self, rows: &mut ReportRows) -> Result<Option<Vec<InsightsRow>>, Error> {
        match (&self.platform, &mut rows.0) {
            (PlatformClient::Meta(meta), PlatformRows::Meta(rows)) => meta.next_rows(rows).await,
        }
    }

    /// Counts the people whom each object of a level has reached in each of these periods.
    pub async fn reach(&self, level: Level, periods: &[DateRange]) -> Result<Vec<PeriodReach>, Error> {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.reach(level, periods).await,
        }
    }

    /// Reads what the whole account had on each day; days without delivery are left out.
    pub async fn account_days(&self, range: DateRange) -> Result<Vec<AccountDay>, Error> {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.account_days(range).await,
        }
    }

    /// Lists what was changed in the account since a moment, by whomever but this app, newest first: this many entries at
    /// least, if there are.
    pub async fn activities(&self, since: Timestamp, max: usize) -> Result<Vec<Activity>, Error> {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.activities(since, max).await,
        }
    }

    /// Lists what the account's advertiser counts by rules of its own.
    pub async fn custom_conversions(&self) -> Result<Vec<CustomConversion>, Error> {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.custom_conversions().await,
        }
    }

    /// Returns when the measurement of a report that was opened `now` began: earlier when an invocation before has
    /// requested it.
    pub fn measured_at(&self, rows: &ReportRows, now: Timestamp) -> Timestamp {
        match &rows.0 {
            PlatformRows::Meta(rows) => rows.measured_at(now),
        }
    }

    /// Returns the rows of a report that could not be read so far: each with its ad and day, where these could be.
    pub fn unread_rows<'a>(&self, rows: &'a ReportRows) -> &'a [Gap] {
        match &rows.0 {
            PlatformRows::Meta(rows) => rows.unread_rows(),
        }
    }

    /// Returns the fields that the platform no longer reports.
    pub fn missing_fields(&self, rows: &ReportRows) -> Vec<Gap> {
        match &rows.0 {
            PlatformRows::Meta(rows) => rows.missing_fields(),
        }
    }

    /// Sets values of an entity. Idempotent, because the values are targets.
    pub async fn apply_change(&self, level: Level, id: &EntityId, changes: &Changes) -> Result<(), Error> {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.apply_change(level, id, changes).await,
        }
    }

    /// Moves the budget of a campaign to its ad sets, or back.
    pub async fn move_budget(&self, campaign: &EntityId, to: &BudgetLevel) -> Result<(), Error> {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.move_budget(campaign, to).await,
        }
    }

    /// Sets values of several entities of a level, with a result for each in their order.
    pub async fn apply_changes(
        &self,
        level: Level,
        changes: &[(EntityId, Changes)],
    ) -> Vec<Result<(), Error>> {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.apply_changes(level, changes).await,
        }
    }

    /// Creates the entity of a launch step, paused, and returns its id. After [`Error::Indeterminate`] it may exist:
    /// look for it with [`AccountClient::find_created`].
    pub async fn create(&self, launch: &Launch, step: Step) -> Result<EntityId, Error> {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.create(launch, step).await,
        }
    }

    /// Finds the entity that a step has created, by its name.
    pub async fn find_created(&self, launch: &Launch, step: Step) -> Result<Option<EntityId>, Error> {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.find_created(launch, step).await,
        }
    }

    /// Finds every entity of a level that bears the mark of a launch.
    pub async fn find_marked(&self, launch: &Launch, level: Level) -> Result<Vec<EntityId>, Error> {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.find_marked(launch, level).await,
        }
    }

    /// Returns what the platform's data says against a launch document: too small budgets, and media that it lacks.
    pub async fn preflight(&self, launch: &Launch) -> Result<Vec<FieldError>, Error> {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.preflight(launch, self.account.currency).await,
        }
    }

    /// Asks the platform whether it would create the entity of a step, without creating it. Those above it must exist.
    pub async fn validate(&self, launch: &Launch, step: Step) -> Result<(), Error> {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.validate(launch, step).await,
        }
    }

    /// Returns what a launch document would say of a campaign that exists, without ad sets.
    pub async fn describe_campaign(&self, id: &EntityId) -> Result<LaunchSpec, Error> {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.describe_campaign(id, self.account.currency).await,
        }
    }

    /// Returns what a launch document would say of an ad set that exists, as far as its ads depend on it.
    pub async fn describe_ad_set(&self, id: &EntityId) -> Result<AdSetSpec, Error> {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.describe_ad_set(id).await,
        }
    }

    /// Returns where what the platform keeps of a launch is not what was asked for.
    pub async fn launch_differences(&self, launch: &Launch) -> Result<Vec<Difference>, Error> {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.launch_differences(launch).await,
        }
    }

    /// Gives an entity that a step has created the name that the launch document says: until then it bears a mark by which
    /// it is found.
    pub async fn name_created(&self, launch: &Launch, created: &Created) -> Result<(), Error> {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.name_created(launch, created).await,
        }
    }

    /// Deletes an entity and everything below it. Succeeds when it is already gone.
    pub async fn delete(&self, id: &EntityId) -> Result<(), Error> {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.delete(id).await,
        }
    }

    /// Subscribes the app to the account's webhooks. Idempotent.
    pub async fn subscribe_webhooks(&self) -> Result<(), Error> {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.subscribe_webhooks().await,
        }
    }

    /// Returns what the platform calls the last request, for its support and the audit log.
    pub fn request_id(&self) -> Option<String> {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.request_id(),
        }
    }

    /// Returns the remaining leased calls and passes on the result of the work.
    pub async fn close<T>(self, result: Result<T, Error>) -> Result<T, Error> {
        match self.platform {
            PlatformClient::Meta(meta) => meta.close().await,
        }
        result
    }

    /// Reads one entity and stores it. Returns `None` when the platform does not return it: that can be a lost
    /// permission, so nothing is marked deleted.
    pub async fn refresh(&self, level: Level, id: &EntityId) -> Result<Option<Entity>, Error> {
        let fetch_number = self.table.begin_fetch(&self.workspace, &self.account.id).await?;
        let Some(entity) = self.read_entity(level, id).await? else { return Ok(None) };
        let stored = StoredEntity { entity, fetch_number, hidden: false };
        self.table.upsert_entity(&self.workspace, &self.account.id, &stored).await?;
        // What was just switched on is not to wait for the next sync of a quiet account.
        if level == Level::Campaign && stored.entity.is_switched_on() {
            self.table.wake_account(&self.workspace, &self.account.id, fetch_number, self.now()).await?;
        }
        Ok(Some(stored.entity))
    }

    /// Reads what a launch has created, and stores it. The next sync reads what cannot be read now.
    pub async fn refresh_created(&self, created: &[Created]) -> Result<(), Error> {
        for level in [Level::Campaign, Level::AdSet, Level::Ad] {
            let of_level = created.iter().filter(|created| created.step.level() == level);
            let mut left: Vec<_> = of_level.map(|created| created.id.clone()).collect();
            while !left.is_empty() {
                for (id, _) in self.refresh_entities(level, &left).await? {
                    left.retain(|one| *one != id);
                }
            }
        }
        Ok(())
    }

    /// Reads entities by their ids and stores them. Returns at least one of them; the others are to be requested again.
    pub async fn refresh_entities(
        &self,
        level: Level,
        ids: &[EntityId],
    ) -> Result<Vec<(EntityId, EntityRead)>, Error> {
        let fetch_number = self.table.begin_fetch(&self.workspace, &self.account.id).await?;
        let read = self.read_entities(level, ids).await?;
        for (_, read) in &read {
            if let EntityRead::Found(entity) = read {
                let stored = StoredEntity { entity: (**entity).clone(), fetch_number, hidden: false };
                self.table.upsert_entity(&self.workspace, &self.account.id, &stored).await?;
            }
        }
        Ok(read)
    }

    fn now(&self) -> Timestamp {
        match &self.platform {
            PlatformClient::Meta(meta) => meta.now(),
        }
    }

    /// Reads and stores the descendants of an entity, which a change of its status changes, and returns them.
    pub async fn refresh_descendants(&self, level: Level, id: &EntityId) -> Result<Vec<Entity>, Error> {
        let mut descendants = Vec::new();
        for below in [Level::AdSet, Level::Ad].into_iter().filter(|below| *below > level) {
            descendants.extend(self.refresh_below((level, id), below).await?);
        }
        Ok(descendants)
    }

    /// [`Self::refresh_descendants`] of one level.
    pub async fn refresh_below(&self, above: (Level, &EntityId), level: Level) -> Result<Vec<Entity>, Error> {
        let mut below = Vec::new();
        let fetch_number = self.table.begin_fetch(&self.workspace, &self.account.id).await?;
        let mut pages = self.list_descendants(level, above);
        while let Some(page) = self.next_entities(&mut pages).await? {
            for entity in page {
                let stored = StoredEntity { entity, fetch_number, hidden: false };
                self.table.upsert_entity(&self.workspace, &self.account.id, &stored).await?;
                below.push(stored.entity);
            }
        }
        Ok(below)
    }
}
