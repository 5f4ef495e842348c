//! Changes and deletes entities: at Meta first, then in the table.

mod budget;
mod values;

use bytes::Bytes;
use connector::{AccountClient, Purpose};
use domain::entity::{Changes, EffectiveStatus, Entity, Level, Status};
use domain::id::{AdAccountId, EntityId};
use domain::money::Currency;
use domain::schedule::ScheduledAction;
use domain::{Error, FieldError};
use http::header::IF_MATCH;
use http::{HeaderMap, Method, Request, StatusCode};
use jiff::tz::TimeZone;
use middleware::user_event;
use middleware::version::require_match;
use runtime::endpoint::{self, Endpoint};
use runtime::request::{Json, NoQuery, RequestContext};
use runtime::response::NoContent;
use runtime::session::{Role, Session};
use serde::Deserialize;
use serde_json::{Value, json};
use store::entity::StoredEntity;

pub(crate) use self::budget::move_budget;
pub(crate) use self::values::NewValues;
use crate::ManageCampaign;
use crate::list::{EntityFields, EntityReport};

pub(crate) const CAMPAIGN: &str = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/campaigns/{id}";
pub(crate) const ADSET: &str = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/adsets/{id}";
pub(crate) const AD: &str = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/ads/{id}";

/// A campaign, ad set or ad of the path.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct EntityPath {
    /// An ad account of the workspace.
    pub(crate) ad_account: AdAccountId,
    /// Meta's id of the entity.
    pub(crate) id: EntityId,
}

pub(crate) fn change_entity(path: &'static str, level: Level) -> Endpoint<ManageCampaign> {
    let description = "It as the platform returns it after the change, with the metrics of the last 30 days.";
    endpoint::member(Method::PATCH, path, Role::Editor)
        .named(format!("update_{level}"), format!("Updates one {level} at Meta"))
        .checks_version()
        .fails_with(Error::NoBudget, "It holds no budget that could be changed.")
        .fails_with(Error::Conflict, "Its ad account is imported.")
        .changes_platform()
        .responds(StatusCode::OK, description, move |function: ManageCampaign, context| {
            function.change_entity(context, level)
        })
}

pub(crate) fn delete_entity(path: &'static str, level: Level) -> Endpoint<ManageCampaign> {
    endpoint::member(Method::DELETE, path, Role::Editor)
        .named(format!("delete_{level}"), format!("Deletes one {level} at Meta"))
        .description("Meta deletes what is below it as well.")
        .checks_version()
        .fails_with(Error::Conflict, "Its ad account is imported.")
        .changes_platform()
        .responds(StatusCode::NO_CONTENT, "It is deleted.", move |function: ManageCampaign, context| {
            function.delete_entity(context, level)
        })
}

impl ManageCampaign {
    async fn change_entity(
        self,
        context: RequestContext<Session, EntityPath, NoQuery, Json<NewValues>>,
        level: Level,
    ) -> Result<(HeaderMap, Json<EntityReport>), Error> {
        let RequestContext { caller: session, path, body: Json(values), request, .. } = context;
        let (workspace, EntityPath { ad_account, id }) = (&session.workspace, path);
        let account = self.connector.table.require_account(workspace, &ad_account).await?;
        let entity = self.entity(workspace, &account.id, level, &id).await?;
        let zone = account.time_zone()?;
        check_values(&values, &entity, account.currency, &zone)?;
        // An Idempotency-Key is free again for the same request once its outcome is unknown.
        if values.is_relative() && !request.headers().contains_key(IF_MATCH) {
            let message = "is missing: a value that is made of the one before is changed on the version that was read, or a repeated request would change it once more";
            return Err(FieldError::new("If-Match", message).into());
        }
        let client = self.connector.open(workspace, &account.id, Purpose::Action).await?;
        let result = async {
            let entity = match values.depends_on_values() {
                true => shown(&client, &request, &entity, account.currency).await?,
                false => current(&client, &request, entity, account.currency).await?,
            };
            let at = |(field, message)| FieldError::new(field, message);
            let changes = values.changes(&entity, &zone, self.host.clock.now());
            let changes =
                changes.map_err(|mistakes| Error::Invalid(mistakes.into_iter().map(at).collect()))?;
            let (before, after) = audit_diff(&entity, &changes);
            let before_change = entity;
            let event = user_event(&session, &format!("{level}.changed"), format!("{level}/{id}"))?;
            let event = event.in_account(&account.id).with_change(before, after);
            let event = self.connector.table.record_intent(workspace, event, self.host.clock.now()).await?;
            let changed = client.apply_change(level, &id, &changes).await;
            match event.complete(changed, client.request_id(), self.host.clock.now()).await {
                Ok(()) => {}
                Err(Error::Indeterminate(_) | Error::Unavailable(_)) => {
                    return Err(self.look_up(&client, level, &id, "may have been made").await?);
                }
                Err(error) => return Err(error),
            }
            // What was there before is not what is there now.
            match refetch(&client, level, &id, &changes).await {
                Ok(Some(entity)) => {
                    let (had, has) = (changes.values_of(&before_change), changes.values_of(&entity));
                    match has == changes {
                        true => Ok(entity),
                        false if has == had => Err(self.look_up(&client, level, &id, "was made").await?),
                        false => Err(Error::RejectedByPlatform(format!(
                            "Meta confirmed the change, and shows {has}"
                        ))),
                    }
                }
                Ok(None) | Err(Error::Unavailable(_) | Error::RateLimited { .. }) => {
                    Err(self.look_up(&client, level, &id, "was made").await?)
                }
                Err(error) => Err(error),
            }
        };
        let result = result.await;
        let changed = client.close(result).await?;
        let range = self.range(None, None, &account)?;
        self.report(workspace, &account, changed, range, None).await
    }

    /// Has an entity read by a job until it is known, and returns the error that says so.
    async fn look_up(
        &self,
        client: &AccountClient,
        level: Level,
        id: &EntityId,
        what: &str,
    ) -> Result<Error, Error> {
        self.read_later(&client.workspace, &client.account.id, (level, id.clone())).await?;
        let why =
            format!("the change {what}; {level} {id} is read until that is known, and then shown as it is");
        Ok(Error::Indeterminate(why))
    }

    async fn delete_entity(
        self,
        context: RequestContext<Session, EntityPath>,
        level: Level,
    ) -> Result<NoContent, Error> {
        let RequestContext { caller: session, path, request, .. } = context;
        let (workspace, EntityPath { ad_account: account, id }) = (&session.workspace, path);
        let currency = self.connector.table.require_account(workspace, &account).await?.currency;
        let entity = self.entity(workspace, &account, level, &id).await?;
        let client = self.connector.open(workspace, &account, Purpose::Action).await?;
        let removed = async {
            let entity = current(&client, &request, entity, currency).await?;
            let event = user_event(&session, &format!("{level}.deleted"), format!("{level}/{id}"))?;
            let before = json!({"name": entity.name, "status": entity.status});
            let event = event.in_account(&account).with_change(before, json!({"status": Status::Deleted}));
            let event = self.connector.table.record_intent(workspace, event, self.host.clock.now()).await?;
            let removed = client.delete(&id).await;
            event.complete(removed, client.request_id(), self.host.clock.now()).await
        };
        let removed = removed.await;
        client.close(removed).await?;
        if level == Level::Campaign {
            for action in ScheduledAction::ALL {
                match self.cancel_pending(&session, &account, &id, action).await {
                    // What is being done finds the campaign deleted and fails; the deletion stands.
                    Ok(_) | Err(Error::Conflict(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        // Meta deletes the descendants as well and no longer lists any of them.
        let table = &self.connector.table;
        let fetch_number = table.begin_fetch(workspace, &account).await?;
        for below in [Level::Campaign, Level::AdSet, Level::Ad].into_iter().filter(|below| *below >= level) {
            for stored in table.entities(workspace, &account, below).await? {
                let mut entity = stored.entity;
                let parents = [Some(&entity.id), entity.campaign_id.as_ref(), entity.adset_id.as_ref()];
                if !parents.contains(&Some(&id)) {
                    continue;
                }
                if entity.id == id {
                    entity.status = Some(Status::Deleted);
                }
                entity.effective_status = Some(EffectiveStatus::Deleted);
                table
                    .upsert_entity(workspace, &account, &StoredEntity { entity, fetch_number, hidden: false })
                    .await?;
            }
        }
        Ok(NoContent)
    }
}

/// Returns the values before and after a change, for the audit log.
fn audit_diff(entity: &Entity, changes: &Changes) -> (Value, Value) {
    (json!(changes.values_of(entity)), json!(changes))
}

/// Returns the entity to change. With an `If-Match` it is what the platform shows now, which nobody may have changed since
/// the client read it, there or here. The platform has no conditional changes: one at the same moment is not seen.
async fn current(
    client: &AccountClient,
    request: &Request<Bytes>,
    stored: Entity,
    currency: Currency,
) -> Result<Entity, Error> {
    match request.headers().contains_key(IF_MATCH) {
        true => shown(client, request, &stored, currency).await,
        false => Ok(stored),
    }
}

/// Returns the entity to change as the platform shows it now.
async fn shown(
    client: &AccountClient,
    request: &Request<Bytes>,
    Entity { level, id, .. }: &Entity,
    currency: Currency,
) -> Result<Entity, Error> {
    let shown = client.refresh(*level, id).await?;
    let shown = shown.ok_or_else(|| Error::NotFound(format!("{level} {id}")))?;
    require_match(request, &EntityFields::new(shown.clone(), currency).version())?;
    Ok(shown)
}

/// Checks new values as far as that needs no call to the platform.
fn check_values(
    values: &NewValues,
    entity: &Entity,
    currency: Currency,
    zone: &TimeZone,
) -> Result<(), Error> {
    let mut mistakes = values.check(currency, zone);
    for mistake in mistakes.iter_mut().filter(|mistake| mistake.field.is_empty()) {
        mistake.field = "body".to_owned();
    }
    if !mistakes.is_empty() {
        return Err(Error::Invalid(mistakes));
    }
    let none = |kind| format!("{} {} holds no {kind} budget that could be changed", entity.level, entity.id);
    values.missing_budget(entity).map_or(Ok(()), |kind| Err(Error::NoBudget(none(kind))))
}

/// Reads an entity again after a change, which may also have changed its effective status.
async fn refetch(
    client: &AccountClient,
    level: Level,
    id: &EntityId,
    changes: &Changes,
) -> Result<Option<Entity>, Error> {
    let current = client.refresh(level, id).await?;
    if changes.status.is_some() {
        client.refresh_descendants(level, id).await?;
    }
    Ok(current)
}
