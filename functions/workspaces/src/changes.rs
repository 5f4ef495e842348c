//! The change log of an ad account: a subscriber of the outbox keeps it, and the API shows it.

use domain::Error;
use domain::date::{DateRange, Day};
use domain::id::{AdAccountId, EntityId};
use http::{Method, StatusCode};
use runtime::endpoint::{self, Endpoint};
use runtime::page::{Cursor, Limit, encode_cursor};
use runtime::request::{Json, RequestContext};
use runtime::response::List;
use runtime::session::{Role, Session};
use serde::Deserialize;
use store::account_change::AccountChange;
use store::audit::{EntryKey, is_entry_id_prefix};

use crate::Workspaces;

/// Changes that are read at once, where only those of an entity are wanted.
const PAGE_READ: usize = 200;

/// Changes that are read for one answer at most, where only those of an entity are wanted.
const MAX_READ: usize = 2000;

/// An ad account of the path.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct ChangesPath {
    /// An ad account of the workspace.
    ad_account: AdAccountId,
}

/// Which changes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct ChangesQuery {
    /// Those from this day on, in the ad account's time zone.
    since: Day,
    /// Those until this day, inclusive; today by default.
    until: Option<Day>,
    /// Those of this campaign, ad set or ad, and of what is below it.
    entity: Option<EntityId>,
    #[serde(default)]
    limit: Limit<100, 500>,
    after: Option<Cursor>,
}

pub(crate) fn list_changes() -> Endpoint<Workspaces> {
    let path = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/changes";
    endpoint::member(Method::GET, path, Role::Viewer)
        .named("list_changes", "Lists what was changed in an ad account")
        .description(
            "What people, rules and schedules changed here at campaigns, ad sets and ads, some seconds after it happened, and \
             what was changed at the platform itself, after the next sync. A page may have fewer rows than its limit.",
        )
        .responds(StatusCode::OK, "The changes, newest first.", Workspaces::list_changes)
}

impl Workspaces {
    /// Adds what an audit entry says to the change log of its ad account. Adding it again changes nothing.
    pub(crate) async fn log_change(&self, key: EntryKey) -> Result<(), Error> {
        let Some(stored) = self.table.audit_entry(&key).await? else { return Ok(()) };
        let Some((account, change)) = AccountChange::of_entry(stored.entry()?) else { return Ok(()) };
        // What happened before the account was deleted would come back.
        if self.table.account(&key.workspace, &account).await?.is_none() {
            return Ok(());
        }
        let entity = match &change.entity {
            Some(id) => self.table.entity(&key.workspace, &account, change.level, id).await?,
            None => None,
        };
        let change = match entity {
            Some(stored) => change.about(stored.entity),
            None => change,
        };
        Ok(self.table.add_account_change(&key.workspace, &account, &change).await?)
    }

    async fn list_changes(
        self,
        context: RequestContext<Session, ChangesPath, ChangesQuery>,
    ) -> Result<Json<List<AccountChange>>, Error> {
        let RequestContext { caller: session, path: ChangesPath { ad_account }, query, .. } = context;
        let workspace = &session.workspace;
        let ChangesQuery { since: Day(since), until, entity, limit, after } = query;
        let limit = limit.rows();
        let account = self.table.require_account(workspace, &ad_account).await?;
        let today = account.today(self.clock.now())?;
        let range = DateRange::new(since, until.map_or(today.max(since), |Day(until)| until))?;
        let range =
            (account.end_of(range.since.yesterday().unwrap_or(range.since))?, account.end_of(range.until)?);
        let mut before = after.map(|after| after.position().to_owned());
        if before.as_deref().is_some_and(|before| !is_entry_id_prefix(before)) {
            return Err(Cursor::invalid().into());
        }
        let (mut data, mut read) = (Vec::new(), 0);
        let more = loop {
            let missing = limit + 1 - data.len();
            let wanted = if entity.is_some() { missing.max(PAGE_READ) } else { missing };
            let page =
                self.table.account_changes(workspace, &ad_account, range, before.as_deref(), wanted).await?;
            read += page.len();
            let is_last = page.len() < wanted;
            before = page.last().map(|last| last.id.clone());
            data.extend(page.into_iter().filter(|one| entity.as_ref().is_none_or(|id| one.concerns(id))));
            if is_last || data.len() > limit || read >= MAX_READ {
                break !is_last;
            }
        };
        let is_full = data.len() > limit;
        data.truncate(limit);
        let last = data.last().map(|last| last.id.clone());
        // Where few of many concern the entity, the next page goes on after what was read.
        let position = if is_full { last } else { before };
        let after = position.filter(|_| more || is_full).map(|id| encode_cursor(&context.request, &id));
        Ok(Json(List { data, after }))
    }
}
