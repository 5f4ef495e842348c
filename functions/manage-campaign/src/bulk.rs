//! Bulk changes: one request for up to 500 campaigns, ad sets and ads, with a preview, a result for each, and an undo.
//!
//! What is changed is what the request found: an object that somebody has changed since is left alone. Objects are
//! changed in the background, some at a time. They are marked as sent before the call to the platform, and read after it;
//! a worker that dies in between leaves some whose outcome the next one reads. An undo is a bulk change itself.

mod document;
mod run;
mod stop;
mod view;

use std::collections::BTreeMap;

use connector::{EntityRead, Purpose};
use domain::Error;
use domain::bulk::{BulkChange, BulkObject, BulkState};
use domain::entity::{Entity, Level};
use domain::id::{AdAccountId, BulkChangeId, EntityId};
use domain::job::Job;
use domain::tenant::Tenant;
use http::header::{HeaderValue, LOCATION};
use http::{HeaderMap, Method, StatusCode};
use jiff::SignedDuration;
use middleware::user_event;
use runtime::endpoint::{self, Endpoint};
use runtime::operation::Header;
use runtime::page::{Cursor, Limit, encode_cursor};
use runtime::random;
use runtime::request::{AdAccountPath, Json, RequestContext, require_idempotency_key};
use runtime::response::List;
use runtime::session::{Role, Session};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::StoreError;
use store::account::AdAccount;
use store::bulk::{BulkCause, StoredBulkChange};

use self::document::BulkDocument;
pub(crate) use self::stop::stop_bulk_change;
use self::view::{BulkPreview, BulkResponse, BulkView};
use crate::ManageCampaign;
use crate::background::RECOVERY_DELAY;

/// Objects of a bulk change at most.
const MAX_OBJECTS: usize = 500;

/// How to change.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct BulkQuery {
    /// Whether to show what would change, and to change nothing.
    #[serde(default)]
    dry_run: bool,
    /// The `preview` of a dry run: the request is refused when it would do anything else by now.
    preview: Option<String>,
}

/// Which bulk changes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct BulkChangesQuery {
    #[serde(default)]
    limit: Limit<20, 50>,
    after: Option<Cursor>,
}

/// A bulk change of the path.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct BulkPath {
    /// An ad account of the workspace.
    ad_account: AdAccountId,
    /// A bulk change of it.
    bulk_change: BulkChangeId,
}

const BULK_CHANGES: &str = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/bulk-changes";
const BULK_CHANGE: &str = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/bulk-changes/{bulk_change}";

pub(crate) fn create_bulk_change() -> Endpoint<ManageCampaign> {
    endpoint::member(Method::POST, BULK_CHANGES, Role::Editor)
        .named("create_bulk_change", "Changes many campaigns, ad sets and ads")
        .description(
            "It goes on after the response: `GET bulk-changes/{bulk_change}` says what became of each object. What somebody changes \
             meanwhile is left alone. With `dry_run` nothing is changed: the response has the values before and after.",
        )
        .requires_idempotency_key("Chosen by the client, one per bulk change. A repeated request with the same key changes once.")
        .handles_own_idempotency()
        .fails_with(Error::Conflict, "The ad account is imported, or would be changed otherwise than in the preview.")
        .fails_with(Error::KeyReused, "The key was used with another body.")
        .responds(StatusCode::ACCEPTED, "The bulk change, without its objects.", ManageCampaign::create_bulk_change)
        .or_responds::<BulkPreview>(StatusCode::OK, "application/json", "What would change.")
        .with_header(
            Header::required("Location", "URL of the bulk change.").with_format("uri-reference"),
        )
}

pub(crate) fn list_bulk_changes() -> Endpoint<ManageCampaign> {
    endpoint::member(Method::GET, BULK_CHANGES, Role::Viewer)
        .named("list_bulk_changes", "Lists the bulk changes of an ad account")
        .responds(
            StatusCode::OK,
            "The bulk changes of the last 90 days, newest first, without their objects.",
            ManageCampaign::list_bulk_changes,
        )
}

pub(crate) fn get_bulk_change() -> Endpoint<ManageCampaign> {
    endpoint::member(Method::GET, BULK_CHANGE, Role::Viewer)
        .named("get_bulk_change", "Returns a bulk change")
        .responds(StatusCode::OK, "The bulk change.", ManageCampaign::get_bulk_change)
}

pub(crate) fn undo_bulk_change() -> Endpoint<ManageCampaign> {
    let path = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/bulk-changes/{bulk_change}/undo";
    endpoint::member(Method::POST, path, Role::Editor)
        .named("undo_bulk_change", "Undoes a bulk change")
        .description(
            "A bulk change that gives every object its values of before, unless somebody has changed them since. Twice is once.",
        )
        .fails_with(Error::Conflict, "It is not done yet, or has changed nothing.")
        .responds(StatusCode::ACCEPTED, "The bulk change that undoes it, without its objects.", ManageCampaign::undo_bulk_change)
}

impl ManageCampaign {
    async fn create_bulk_change(
        self,
        context: RequestContext<Session, AdAccountPath, BulkQuery, Json<BulkDocument>>,
    ) -> Result<BulkResponse, Error> {
        let RequestContext { caller: session, path: AdAccountPath { ad_account }, query, body, request } =
            context;
        let Json(document) = body;
        let (table, workspace) = (&self.connector.table, &session.workspace);
        let key = require_idempotency_key(&request, "bulk change")?;
        let account = table.require_account(workspace, &ad_account).await?;
        account.require_connection()?;
        let key_hash = hex::encode(Sha256::digest(key));
        let request_hash = hex::encode(Sha256::digest(request.body()));
        let began = match query.dry_run {
            true => None,
            false => table.bulk_change_of_key(workspace, &ad_account, &key_hash).await?,
        };
        let bulk = match began {
            Some((began, hash)) if hash == request_hash => began,
            Some(_) => {
                let why =
                    "this Idempotency-Key was used with another body; take a new key for a new bulk change";
                return Err(Error::KeyReused(why.to_owned()));
            }
            None => {
                let objects = self.objects_of(workspace, &account, &document).await?;
                let digest = digest_of(&objects)?;
                if query.dry_run {
                    return Ok(BulkResponse::Preview(Json(BulkPreview::new(
                        objects,
                        digest,
                        account.currency,
                    ))));
                }
                if query.preview.is_some_and(|preview| preview != digest) {
                    let why = "an object has been changed since the preview; look at a new one";
                    return Err(Error::Conflict(why.to_owned()));
                }
                let cause = BulkCause::Request { key_hash: &key_hash, request_hash: &request_hash };
                let begun = self.begin_bulk_change(&session, &ad_account, objects, cause).await?;
                begun.ok_or_else(|| {
                    Error::InProgress("this bulk change begins at this moment; ask again".to_owned())
                })?
            }
        };
        let location =
            format!("/v1/workspaces/{workspace}/ad-accounts/{ad_account}/bulk-changes/{}", bulk.change.id);
        let location =
            HeaderValue::from_str(&location).map_err(|error| Error::Internal(error.to_string()))?;
        let headers = HeaderMap::from_iter([(LOCATION, location)]);
        Ok(BulkResponse::Begun(headers, Json(Box::new(BulkView::listed(bulk, account.currency)))))
    }

    /// Returns the objects of a document with their values before and after, or every mistake.
    async fn objects_of(
        &self,
        workspace: &Tenant,
        account: &AdAccount,
        document: &BulkDocument,
    ) -> Result<Vec<BulkObject>, Error> {
        let (zone, now) = (account.time_zone()?, self.host.clock.now());
        let mut mistakes = document.check(account.currency, &zone);
        let mut known: BTreeMap<(Level, EntityId), Entity> = BTreeMap::new();
        for level in [Level::Campaign, Level::AdSet, Level::Ad] {
            let ids = document.ids(level);
            let stored = self.connector.table.entities_by_id(workspace, &account.id, level, &ids).await?;
            let entities = stored.into_iter().map(|stored| stored.entity);
            known.extend(entities.map(|entity| ((level, entity.id.clone()), entity)));
        }
        let to_read = [Level::AdSet, Level::Ad].map(|level| (level, document.ids_to_read(level)));
        if mistakes.is_empty() && to_read.iter().any(|(_, ids)| !ids.is_empty()) {
            for entity in self.read_now(workspace, account, to_read).await? {
                known.insert((entity.level, entity.id.clone()), entity);
            }
        }
        let found = |level, id: &EntityId| known.get(&(level, id.clone()));
        let objects = document.objects(found, (&zone, now), &mut mistakes);
        if mistakes.is_empty() { Ok(objects) } else { Err(Error::Invalid(mistakes)) }
    }

    /// Reads objects at the platform, as far as it shows them.
    async fn read_now(
        &self,
        workspace: &Tenant,
        account: &AdAccount,
        to_read: [(Level, Vec<EntityId>); 2],
    ) -> Result<Vec<Entity>, Error> {
        let client = self.connector.open(workspace, &account.id, Purpose::Action).await?;
        let mut found = Vec::new();
        let read = async {
            for (level, mut ids) in to_read {
                while !ids.is_empty() {
                    for (id, read) in client.read_entities(level, &ids).await? {
                        ids.retain(|one| *one != id);
                        match read {
                            EntityRead::Found(entity) => found.push(*entity),
                            EntityRead::NotFound => {}
                            EntityRead::Failed(error) => return Err(error),
                        }
                    }
                }
            }
            Ok(())
        };
        let read = read.await;
        client.close(read).await?;
        Ok(found)
    }

    /// Stores a bulk change and has it begun. `None` when another request has done so.
    async fn begin_bulk_change(
        &self,
        session: &Session,
        ad_account: &AdAccountId,
        objects: Vec<BulkObject>,
        cause: BulkCause<'_>,
    ) -> Result<Option<StoredBulkChange>, Error> {
        let (workspace, now) = (&session.workspace, self.host.clock.now());
        let random = random::id()?;
        let id = format!("{:012x}-{}", now.as_millisecond(), random.get(..8).unwrap_or(&random))
            .parse::<BulkChangeId>()?;
        let count = objects.len();
        let bulk = StoredBulkChange {
            change: BulkChange {
                id: id.clone(),
                ad_account: ad_account.clone(),
                state: BulkState::Running,
                objects,
            },
            requested_by: session.subject.clone(),
            requested_at: now,
            undo_of: match cause {
                BulkCause::Undo(undone) => Some(undone.change.id.clone()),
                BulkCause::Request { .. } => None,
            },
            undone_by: None,
            version: 0,
            // Free: the job takes it.
            lease_until: now - SignedDuration::from_secs(1),
        };
        let job = Job::ApplyBulkChange {
            workspace: workspace.clone(),
            ad_account: ad_account.clone(),
            bulk_change: id.clone(),
        };
        // The recovery job first, so that every stored bulk change has one.
        self.host.queues.send_delayed(&job, RECOVERY_DELAY).await?;
        let event = user_event(session, "bulk_change.requested", format!("bulk_change/{id}"))?;
        let after = json!({"objects": count, "undo_of": bulk.undo_of});
        let event = event.in_account(ad_account).with_change(Value::Null, after).done_at(now);
        match self.connector.table.create_bulk_change(workspace, &bulk, cause, &event).await {
            Err(StoreError::Conflict) => return Ok(None),
            created => created?,
        }
        self.host.queues.send(&[job]).await?;
        Ok(Some(bulk))
    }

    async fn list_bulk_changes(
        self,
        context: RequestContext<Session, AdAccountPath, BulkChangesQuery>,
    ) -> Result<Json<List<BulkView>>, Error> {
        let RequestContext { caller: session, path: AdAccountPath { ad_account }, query, .. } = context;
        let table = &self.connector.table;
        let currency = table.require_account(&session.workspace, &ad_account).await?.currency;
        let (limit, before) = (query.limit.rows(), query.after.as_ref().map(Cursor::position));
        let mut listed = table.bulk_changes(&session.workspace, &ad_account, before, limit + 1).await?;
        let more = listed.len() > limit;
        listed.truncate(limit);
        let last = listed.last().filter(|_| more).map(|bulk| bulk.change.id.to_string());
        let after = last.map(|position| encode_cursor(&context.request, &position));
        let data = listed.into_iter().map(|bulk| BulkView::listed(bulk, currency)).collect();
        Ok(Json(List { data, after }))
    }

    async fn get_bulk_change(
        self,
        context: RequestContext<Session, BulkPath>,
    ) -> Result<Json<BulkView>, Error> {
        let BulkPath { ad_account, bulk_change } = context.path;
        let workspace = &context.caller.workspace;
        let currency = self.connector.table.require_account(workspace, &ad_account).await?.currency;
        let bulk = self.bulk_change(workspace, &ad_account, &bulk_change).await?;
        Ok(Json(BulkView::new(bulk, currency)))
    }

    async fn bulk_change(
        &self,
        workspace: &Tenant,
        ad_account: &AdAccountId,
        id: &BulkChangeId,
    ) -> Result<StoredBulkChange, Error> {
        let bulk = self.connector.table.bulk_change(workspace, ad_account, id).await?;
        bulk.ok_or_else(|| Error::NotFound("this bulk change".to_owned()))
    }

    async fn undo_bulk_change(
        self,
        context: RequestContext<Session, BulkPath>,
    ) -> Result<Json<BulkView>, Error> {
        let RequestContext { caller: session, path: BulkPath { ad_account, bulk_change }, .. } = context;
        let workspace = &session.workspace;
        let account = self.connector.table.require_account(workspace, &ad_account).await?;
        account.require_connection()?;
        loop {
            let bulk = self.bulk_change(workspace, &ad_account, &bulk_change).await?;
            if bulk.change.state == BulkState::Running {
                return Err(Error::Conflict("it is not done yet; undo it when its state is done".to_owned()));
            }
            let earlier = match &bulk.undone_by {
                Some(undo) => Some(self.bulk_change(workspace, &ad_account, undo).await?),
                None => None,
            };
            let mut objects: Vec<_> =
                bulk.change.objects.iter().rev().filter_map(BulkObject::undone).collect();
            if let Some(earlier) = earlier {
                // What an undo could not do, another one may.
                let failed: Vec<_> =
                    earlier.change.objects.iter().filter(|object| object.has_failed()).collect();
                if earlier.change.state == BulkState::Running || failed.is_empty() {
                    return Ok(Json(BulkView::listed(earlier, account.currency)));
                }
                objects.retain(|object| {
                    failed.iter().any(|failed| (failed.level, &failed.id) == (object.level, &object.id))
                });
            }
            if objects.is_empty() {
                return Err(Error::Conflict("it has changed nothing that could be undone".to_owned()));
            }
            let cause = BulkCause::Undo(&bulk);
            // What another request has begun meanwhile is answered.
            if let Some(undo) = self.begin_bulk_change(&session, &ad_account, objects, cause).await? {
                return Ok(Json(BulkView::listed(undo, account.currency)));
            }
        }
    }
}

/// Returns what tells a preview from any other.
fn digest_of(objects: &[BulkObject]) -> Result<String, Error> {
    let objects = serde_json::to_vec(objects).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(hex::encode(&Sha256::digest(objects)[..16]))
}
