//! The account client of Meta.

mod media;
mod quota;

use std::sync::Arc;

use domain::activity::Activity;
use domain::budget::BudgetLevel;
use domain::dataset::Dataset;
use domain::date::DateRange;
use domain::entity::{Changes, Entity, Level, Thumbnails};
use domain::gap::Gap;
use domain::id::{AdAccountId, EntityId};
use domain::launch::{Created, Difference, Launch, Step};
use domain::metrics::{InsightsRow, PeriodReach};
use domain::money::Currency;
use domain::results::CustomConversion;
use domain::tenant::Tenant;
use domain::totals::AccountDay;
use domain::{Error, FieldError};
use graph_api::entities::GraphEntity;
use graph_api::id::ObjectId;
use graph_api::insights::InsightsReader;
use graph_api::launch::{AdSetSpec, AdSpec, CreativeDifference, LaunchPlan, LaunchSpec, error_hint};
use graph_api::limit::QuotaShare;
use graph_api::page::Pages;
use graph_api::preview::{AdFormat, AdPreview};
use graph_api::quota_lease::Renewal;
use graph_api::usage::UseCase;
use graph_api::{Graph, GraphError, QuotaLease, UserClient};
use jiff::Timestamp;
use secrecy::SecretString;
use store::Table;
use store::account::AdAccount;
use store::audit::Actor;
use store::connection::Connection;

use self::quota::Quotas;
use crate::version::report_version;
use crate::{EntityRead, Purpose, consent};

/// Entities that are read by their ids and held in memory at a time.
const MAX_ENTITIES_PER_READ: usize = 500;

/// Renews leases of an ad account's quotas. Without a lease the call waits.
fn renewal(quotas: Quotas, graph: Graph) -> Renewal {
    Box::new(move |spent| {
        let (quotas, now) = (quotas.clone(), graph.now());
        Box::pin(async move {
            quotas.renew(spent, now).await.unwrap_or_else(|error| {
                tracing::warn!(ad_account = %quotas.account, %error, "A quota lease could not be acquired.");
                Err(now)
            })
        })
    })
}

/// Meta's side of an opened ad account.
#[derive(Debug)]
pub(crate) struct MetaClient {
    workspace: Tenant,
    account: AdAccountId,
    connection: Connection,
    table: Table,
    caller: UserClient,
    quotas: Quotas,
    quota_lease: Arc<QuotaLease>,
}

#[derive(Debug)]
pub(crate) struct MetaPages {
    level: Level,
    pages: Pages<GraphEntity>,
}

#[derive(Debug)]
pub(crate) struct MetaRows {
    dataset: Dataset,
    range: DateRange,
    reader: InsightsReader,
}

impl MetaPages {
    pub(crate) fn has_ended(&self) -> bool {
        self.pages.has_ended()
    }

    pub(crate) fn cursor(&self) -> Option<&str> {
        self.pages.cursor()
    }

    pub(crate) fn take_gaps(&mut self) -> Vec<Gap> {
        self.pages.take_gaps()
    }
}

impl MetaRows {
    pub(crate) fn measured_at(&self, now: Timestamp) -> Timestamp {
        self.reader
            .pending_reports()
            .iter()
            .map(|run| run.started_at)
            .min()
            .map_or(now, |began| began.min(now))
    }

    pub(crate) fn unread_rows(&self) -> &[Gap] {
        self.reader.unread_rows()
    }

    pub(crate) fn missing_fields(&self) -> Vec<Gap> {
        self.reader.missing_fields().collect()
    }
}

impl MetaClient {
    /// Leases calls. Returns [`Error::RateLimited`] while Meta would reject every call of this purpose.
    pub(crate) async fn open(
        graph: &Graph,
        table: &Table,
        workspace: &Tenant,
        account: &AdAccount,
        (connection, token): (Connection, SecretString),
        purpose: Purpose,
    ) -> Result<Self, Error> {
        let (case, share) = match purpose {
            Purpose::Action => (UseCase::AdsManagement, QuotaShare::Whole),
            Purpose::Sync => (UseCase::AdsManagement, QuotaShare::Background),
            Purpose::Reporting => (UseCase::AdsInsights, QuotaShare::Background),
        };
        let (table, account) = (table.clone(), account.id.clone());
        let app = graph.config().app_id.clone();
        let version = graph.config().version.clone();
        let quotas = Quotas { table: table.clone(), app, version, account: account.clone(), case, share };
        let now = graph.now();
        let lease = quotas.lease(now).await?.map_err(|until| Error::RateLimited {
            retry_after: until.duration_since(now).unsigned_abs(),
            reason: format!("Meta's quota for {account} is used up for now"),
        })?;
        let quota_lease = Arc::new(QuotaLease::renewed_by(lease, renewal(quotas.clone(), graph.clone())));
        let mut caller = graph.on_behalf_of(token).with_quota_lease(Arc::clone(&quota_lease));
        if let Some(deadline) = runtime::deadline::soft_deadline() {
            caller = caller.with_deadline(deadline);
        }
        let workspace = workspace.clone();
        Ok(Self { workspace, account, connection, table, caller, quotas, quota_lease })
    }

    /// Converts Graph's response. A token that Meta declares invalid marks the connection as needing a reconnect, so
    /// that no other work uses it. Code 190 has also been seen for a missing Page permission and for an endpoint that
    /// takes no tokens of users, so unless Meta documents that the error ends a consent, it is asked about the token.
    async fn check_response<T>(&self, response: Result<T, GraphError>) -> Result<T, Error> {
        if let Err(GraphError::Reconnect(details)) = &response {
            if details.needs_user_action() {
                let why = format!("{details}; the person must resolve this at facebook.com");
                return Err(Error::NeedPermission(why));
            }
            if !details.invalidates_token() {
                return Err(Error::Internal(format!("Meta rejected the appsecret_proof: {details}")));
            }
            if !details.ends_consent() && self.caller.is_token_valid().await? {
                return Err(Error::NeedPermission(details.to_string()));
            }
            tracing::warn!(connection = %self.connection.id.log_id(), %details, "A connection must be renewed.");
            let (table, seen, now) = (&self.table, &self.connection, self.now());
            let why = &details.message;
            consent::mark_needs_reconnect(table, &self.workspace, seen, why, Actor::Platform, now).await?;
        }
        response.map_err(Error::from)
    }

    pub(crate) async fn close(self) {
        report_version(self.caller.graph(), &self.table).await;
        if let Some((lease, spent)) = self.quota_lease.take()
            && let Err(error) = self.quotas.release(lease, spent, self.now()).await
        {
            // The result stands, and the lease expires by itself.
            tracing::warn!(ad_account = %self.account, %error, "A quota lease could not be released.");
        }
    }

    pub(crate) fn list_entities(&self, level: Level, after: Option<String>) -> MetaPages {
        MetaPages { level, pages: self.caller.entities(&self.account, level).after(after) }
    }

    pub(crate) fn list_descendants(&self, level: Level, parent: (Level, &EntityId)) -> MetaPages {
        MetaPages { level, pages: self.caller.entities_below(&self.account, level, parent) }
    }

    pub(crate) fn list_entities_in(&self, level: Level, ids: &[EntityId]) -> MetaPages {
        MetaPages { level, pages: self.caller.entities_in(&self.account, level, ids) }
    }

    pub(crate) async fn next_entities(&self, pages: &mut MetaPages) -> Result<Option<Vec<Entity>>, Error> {
        let page = self.check_response(pages.pages.next().await).await?;
        Ok(page.map(|page| page.into_iter().map(|entity| entity.into_entity(pages.level)).collect()))
    }

    pub(crate) async fn read_entity(&self, level: Level, id: &EntityId) -> Result<Option<Entity>, Error> {
        match self.caller.entity(level, id).await {
            Err(GraphError::NotFound(_)) => Ok(None),
            response => self.check_response(response).await.map(Some),
        }
    }

    /// Reads the first of these entities in batches. The quota lease may cover only some of them.
    pub(crate) async fn read_entities(
        &self,
        level: Level,
        ids: &[EntityId],
    ) -> Result<Vec<(EntityId, EntityRead)>, Error> {
        let ids = ids.get(..MAX_ENTITIES_PER_READ).unwrap_or(ids);
        let (mut read, mut failed) = (Vec::new(), None);
        for (id, response) in self.caller.entities_by_id(level, ids).await {
            let result = match response {
                Ok(entity) => EntityRead::Found(Box::new(entity)),
                Err(GraphError::NotFound(_)) => EntityRead::NotFound,
                Err(
                    error @ (GraphError::NeedPermission(_)
                    | GraphError::InvalidInput(_)
                    | GraphError::UnexpectedShape { .. }),
                ) => EntityRead::Failed(error.into()),
                // An error about Meta, the token or the quota.
                Err(error) => {
                    failed = failed.or(Some(error));
                    continue;
                }
            };
            read.push((id, result));
        }
        let failed = failed.filter(|_| read.is_empty()).map_or(Ok(()), Err);
        self.check_response(failed).await.map(|()| read)
    }

    /// Reads the days in query sizes that Meta is known to handle.
    pub(crate) async fn report_rows(&self, dataset: Dataset, range: DateRange) -> Result<MetaRows, Error> {
        let (shape, reports) = self.quotas.load(dataset, self.now()).await?;
        let reader = self.caller.insights(&self.account, range, shape).with_breakdowns(dataset.breakdowns);
        Ok(MetaRows { dataset, range, reader: reader.resume(reports) })
    }

    /// Counts people, period by period.
    pub(crate) async fn reach(&self, level: Level, periods: &[DateRange]) -> Result<Vec<PeriodReach>, Error> {
        self.check_response(self.caller.reach(&self.account, level, periods).await).await
    }

    /// Reads the account's own totals by day.
    pub(crate) async fn account_days(&self, range: DateRange) -> Result<Vec<AccountDay>, Error> {
        self.check_response(self.caller.account_days(&self.account, range).await).await
    }

    /// Lists custom conversions.
    pub(crate) async fn custom_conversions(&self) -> Result<Vec<CustomConversion>, Error> {
        self.check_response(self.caller.custom_conversions(&self.account).await).await
    }

    /// Reads the small pictures of ads.
    pub(crate) async fn thumbnails(&self, ads: &[EntityId]) -> Result<Thumbnails, Error> {
        self.check_response(self.caller.ad_thumbnails(&self.account, ads).await).await
    }

    pub(crate) async fn create_creative(
        &self,
        ad: &AdSpec,
        destination: Option<&str>,
    ) -> Result<(ObjectId, Vec<CreativeDifference>), Error> {
        self.check_response(self.caller.create_creative(&self.account, ad, destination).await).await
    }

    pub(crate) async fn preview_ad(&self, ad: &EntityId, format: AdFormat) -> Result<AdPreview, Error> {
        self.check_response(self.caller.ad_preview(ad, format).await).await
    }

    pub(crate) async fn preview_step(
        &self,
        spec: &LaunchSpec,
        step: Step,
        format: AdFormat,
    ) -> Result<AdPreview, Error> {
        let response = self.caller.preview_of_step(&self.account, spec, step, format).await;
        self.check_step(response, spec, step).await
    }

    /// Reads pages of the activity log until there are enough entries.
    pub(crate) async fn activities(&self, since: Timestamp, max: usize) -> Result<Vec<Activity>, Error> {
        let mut pages = self.caller.activities(&self.account, since);
        let own_app = &self.caller.graph().config().app_id;
        let (mut found, mut read) = (Vec::new(), 0);
        while read < max
            && let Some(page) = self.check_response(pages.next().await).await?
        {
            read += page.len();
            found.extend(page.into_iter().filter_map(|entry| entry.into_activity(own_app)));
        }
        Ok(found)
    }

    /// Saves a reduced query size for the next time, and a pending report for the next invocation.
    pub(crate) async fn next_rows(&self, rows: &mut MetaRows) -> Result<Option<Vec<InsightsRow>>, Error> {
        let MetaRows { dataset, range, reader } = rows;
        let before = (reader.query_shape(), reader.pending_reports().to_vec());
        let response = self.check_response(reader.next().await).await;
        if (reader.query_shape(), reader.pending_reports()) != (before.0, &before.1) {
            let shape = reader.query_shape();
            let missing = shape.without.difference(before.0.without);
            let days = (*dataset, *range);
            self.quotas.save(shape, missing, days, reader.pending_reports(), self.now()).await?;
        }
        response
    }

    /// Changes an ad set's budget only as often as Meta allows.
    pub(crate) async fn apply_change(
        &self,
        level: Level,
        id: &EntityId,
        changes: &Changes,
    ) -> Result<(), Error> {
        let is_budget = changes.daily_budget.is_some() || changes.lifetime_budget.is_some();
        if level == Level::AdSet && is_budget {
            self.quotas.admit_budget_change(id, self.now()).await?;
        }
        self.check_response(self.caller.change(id, changes).await).await
    }

    pub(crate) async fn move_budget(&self, campaign: &EntityId, to: &BudgetLevel) -> Result<(), Error> {
        self.check_response(self.caller.move_budget(campaign, to).await).await
    }

    /// Changes several entities of a level, with a result for each in their order.
    pub(crate) async fn apply_changes(
        &self,
        level: Level,
        changes: &[(EntityId, Changes)],
    ) -> Vec<Result<(), Error>> {
        let is_counted = |change: &Changes| {
            level == Level::AdSet && (change.daily_budget.is_some() || change.lifetime_budget.is_some())
        };
        let (mut results, mut admitted, now) = (Vec::new(), Vec::new(), self.now());
        for (id, change) in changes {
            let admits = match is_counted(change) {
                true => self.quotas.admit_budget_change(id, now).await,
                false => Ok(()),
            };
            if admits.is_ok() {
                admitted.push((id.clone(), change.clone()));
            }
            results.push(admits);
        }
        let answers = self.caller.change_all(&admitted).await;
        let open = results.iter_mut().filter(|result| result.is_ok());
        for ((result, answer), (id, change)) in open.zip(answers).zip(&admitted) {
            // Meta's own refusals have a code.
            let was_not_sent =
                matches!(&answer, Err(GraphError::RateLimited { details, .. }) if details.code == 0);
            *result = self.check_response(answer).await;
            if was_not_sent
                && is_counted(change)
                && let Err(error) = self.quotas.take_back_budget_change(id, now).await
            {
                tracing::warn!(ad_account = %self.account, %error, "A budget change stays counted.");
            }
        }
        results
    }

    /// Adds to a rejection where the launch document can set what Meta requires.
    pub(crate) async fn create(&self, launch: &Launch, step: Step) -> Result<EntityId, Error> {
        match launch.document.read()? {
            LaunchPlan::Document(spec) => {
                let response = self.caller.create_step(launch, &spec, step).await;
                self.check_step(response, &spec, step).await
            }
            LaunchPlan::Duplicate(duplicate) => {
                self.check_response(self.caller.copy_step(launch, &duplicate, step).await).await
            }
        }
    }

    pub(crate) async fn validate(&self, launch: &Launch, step: Step) -> Result<(), Error> {
        let spec: LaunchSpec = launch.document.read()?;
        let response = self.caller.validate_step(launch, &spec, step).await;
        self.check_step(response, &spec, step).await
    }

    pub(crate) async fn preflight(
        &self,
        launch: &Launch,
        currency: Currency,
    ) -> Result<Vec<FieldError>, Error> {
        let spec: LaunchSpec = launch.document.read()?;
        self.check_response(self.caller.preflight(&self.account, &spec, currency).await).await
    }

    async fn check_step<T>(
        &self,
        response: Result<T, GraphError>,
        spec: &LaunchSpec,
        step: Step,
    ) -> Result<T, Error> {
        let hint = response.as_ref().err().and_then(|error| error_hint(error, spec, step));
        self.check_response(response).await.map_err(|error| match (error, hint) {
            (Error::RejectedByPlatform(why), Some(hint)) => {
                Error::RejectedByPlatform(format!("{why}; {hint}"))
            }
            (error, _) => error,
        })
    }

    pub(crate) async fn find_marked(&self, launch: &Launch, level: Level) -> Result<Vec<EntityId>, Error> {
        self.check_response(self.caller.find_marked(launch, level).await).await
    }

    pub(crate) async fn find_created(&self, launch: &Launch, step: Step) -> Result<Option<EntityId>, Error> {
        let found = match launch.document.read()? {
            LaunchPlan::Document(spec) => self.caller.find_step(launch, &spec, step).await,
            LaunchPlan::Duplicate(_) => self.caller.find_copy(launch, step).await,
        };
        self.check_response(found).await
    }

    pub(crate) async fn describe_campaign(
        &self,
        id: &EntityId,
        currency: Currency,
    ) -> Result<LaunchSpec, Error> {
        self.check_response(self.caller.describe_campaign(id, currency).await).await
    }

    pub(crate) async fn describe_ad_set(&self, id: &EntityId) -> Result<AdSetSpec, Error> {
        self.check_response(self.caller.describe_ad_set(id).await).await
    }

    pub(crate) async fn launch_differences(&self, launch: &Launch) -> Result<Vec<Difference>, Error> {
        let plan: LaunchPlan = launch.document.read()?;
        self.check_response(self.caller.launch_differences(launch, &plan).await).await
    }

    pub(crate) async fn name_created(&self, launch: &Launch, created: &Created) -> Result<(), Error> {
        let plan: LaunchPlan = launch.document.read()?;
        let changes = plan.last_changes(created.step);
        self.check_response(self.caller.change(&created.id, &changes).await).await
    }

    pub(crate) async fn delete(&self, id: &EntityId) -> Result<(), Error> {
        self.check_response(self.caller.remove(id).await).await
    }

    pub(crate) async fn subscribe_webhooks(&self) -> Result<(), Error> {
        self.check_response(self.caller.subscribe_account(&self.account).await).await?;
        self.check_response(self.caller.subscribe_to_edits(&self.account).await).await
    }

    pub(crate) fn request_id(&self) -> Option<String> {
        self.caller.trace_id()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.caller.graph().now()
    }
}
