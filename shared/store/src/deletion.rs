//! Deletion of everything that is stored for an ad account, and the record of a person's deletion request.
//!
//! Each step deletes a page of what it finds, and is complete when it finds nothing, so an interrupted deletion resumes
//! by starting again. The row of the account is deleted last: while it exists, something may be left.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::dataset::Dataset;
use domain::id::{AdAccountId, ConnectionId, EntityId, PlatformUserId, RuleId};
use domain::job::{WebhookChange, WebhookSubject};
use domain::platform::{Platform, PlatformData};
use domain::rule::Rule;
use domain::tenant::Tenant;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value;

use crate::account::AdAccount;
use crate::audit::EventRecord;
use crate::connection::{Connection, ConnectionRef};
use crate::key::{self, Key};
use crate::limit_scope::LimitScope;
use crate::table::{ConditionExpression, ITEM_NOT_EXISTS, StoreError, Table, text};

/// Items read per deletion step: with two more entries per object they fit into one transaction.
const MAX_PAGE_ITEMS: i32 = 30;

/// Time for which the status of a completed request can be queried.
const COMPLETED_REQUEST_TTL: SignedDuration = SignedDuration::from_hours(365 * 24);

/// A person's request to have their data deleted. Once it is completed, nothing in it identifies the person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletionRequest {
    /// Code with which the person can query the status.
    pub code: String,
    /// The person, until the request is completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<PlatformUserId>,
    /// When the platform signed the request: connections made later are not affected.
    pub requested_at: Timestamp,
    /// When everything was deleted once. Work that had begun before may write data back, so a second pass follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_pass_at: Option<Timestamp>,
    /// When the request was completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
}

/// A place where data was deleted and is deleted again in the second pass. Each is an item of its own: a person may reach
/// more ad accounts than one item holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletionScope {
    /// The workspace.
    #[serde(with = "domain::tenant::trusted")]
    pub workspace: Tenant,
    /// The ad account; absent for the workspace's connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ad_account: Option<AdAccountId>,
}

/// The progress of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeletionProgress {
    /// Another step is needed.
    Partial,
    /// Nothing is left.
    Complete,
}

#[derive(Deserialize)]
struct ItemKey {
    pk: String,
    sk: String,
}

#[derive(Deserialize)]
struct InboxRow {
    sk: String,
    change: WebhookChange,
}

impl Table {
    /// Stores a request, before anything is deleted.
    pub async fn create_deletion_request(&self, request: &DeletionRequest) -> Result<(), StoreError> {
        self.put(&key::deletion_request(&request.code), request, Some(ITEM_NOT_EXISTS)).await
    }

    /// Reads one request.
    pub async fn deletion_request(&self, code: &str) -> Result<Option<DeletionRequest>, StoreError> {
        self.get(&key::deletion_request(code)).await
    }

    /// Lists the requests whose status can still be queried.
    pub async fn deletion_requests(&self) -> Result<Vec<DeletionRequest>, StoreError> {
        self.query_between(key::DELETION_REQUESTS_PARTITION, " ", "\u{7f}").await
    }

    /// Records where data is about to be deleted, so that it can be found again when its own rows are gone.
    pub async fn add_deletion_scope(&self, code: &str, scope: &DeletionScope) -> Result<(), StoreError> {
        let DeletionScope { workspace, ad_account } = scope;
        self.put(&key::deletion_scope(code, workspace, ad_account.as_ref()), scope, None).await
    }

    /// Lists where data of a request was deleted and is not deleted again yet.
    pub async fn deletion_scopes(&self, code: &str) -> Result<Vec<DeletionScope>, StoreError> {
        self.query_prefix(&key::deletion_scopes_partition(code), "WS#").await
    }

    /// Removes a place in which nothing is left.
    pub async fn remove_deletion_scope(&self, code: &str, scope: &DeletionScope) -> Result<(), StoreError> {
        let DeletionScope { workspace, ad_account } = scope;
        self.delete_keys(vec![key::deletion_scope(code, workspace, ad_account.as_ref())]).await
    }

    /// Records that everything was deleted once.
    pub async fn record_first_pass(&self, code: &str, now: Timestamp) -> Result<(), StoreError> {
        let (expression, open) = ("SET first_pass_at = :at", Some("attribute_exists(#user)"));
        let values = vec![(":at", text(now))];
        self.update::<DeletionRequest>(&key::deletion_request(code), expression, open, values).await.map(drop)
    }

    /// Marks a request as completed and removes the person from it.
    pub async fn complete_deletion_request(
        &self,
        request: &DeletionRequest,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let DeletionRequest { code, requested_at, .. } = request.clone();
        let done =
            DeletionRequest { code, user: None, requested_at, first_pass_at: None, completed_at: Some(now) };
        self.put_with_ttl(
            &key::deletion_request(&done.code),
            &done,
            (now + COMPLETED_REQUEST_TTL).as_second(),
            None,
        )
        .await
    }

    /// Deletes a connection's token and leaves the rest. [`StoreError::Conflict`] when the token has changed since it
    /// was `seen`.
    pub async fn delete_token(
        &self,
        ws: &Tenant,
        seen: &Connection,
        reason: &str,
        event: Option<&EventRecord>,
    ) -> Result<(), StoreError> {
        let values = vec![
            (":s", text("needs_reconnect")),
            (":r", text(reason)),
            (":none", text("")),
            (":t", text(&seen.sealed_token)),
        ];
        let expression = "SET #state = :s, reason = :r, sealed_token = :none";
        let key = key::connection(ws, &seen.id);
        let update = self.update_action(&key, expression, Some("sealed_token = :t"), values)?;
        self.transact_recorded(ws, vec![update], event).await
    }

    /// Deletes a connection of which nothing else is left, with its index entries, and records the event if it is not
    /// recorded yet. [`StoreError::Conflict`] when it has a token again, because its person has reconnected.
    pub async fn delete_connection_if_empty(
        &self,
        connection_ref: &ConnectionRef,
        event: &EventRecord,
    ) -> Result<(), StoreError> {
        let ConnectionRef { workspace, connection } = connection_ref;
        let empty = ConditionExpression {
            expression: "attribute_not_exists(pk) OR sealed_token = :none",
            values: vec![(":none", text(""))],
        };
        let row = self.delete_action_if(&key::connection(workspace, connection), empty)?;
        let entry = self.delete_action(&key::connection_listing(workspace, connection))?;
        let index = self.delete_action(&key::connection_index(workspace, connection))?;
        let actions = vec![row, entry, index];
        match self.transact_recorded(workspace, actions.clone(), [event]).await {
            Err(StoreError::Conflict) => self.transact(actions).await,
            done => done,
        }
    }

    /// Transfers an account to another connection that can access it. Nothing stays of what names people.
    pub async fn transfer_account(
        &self,
        ws: &Tenant,
        id: &AdAccountId,
        from: &ConnectionId,
        to: &ConnectionId,
    ) -> Result<(), StoreError> {
        self.forget_people_in_changes(ws, id).await?;
        let values = vec![
            (":to", text(to)),
            (":no", AttributeValue::Bool(false)),
            // They name the businesses of the person before.
            (":details", to_attribute_value(PlatformData::default())?),
            (":from", AttributeValue::Ss(vec![from.to_string()])),
        ];
        let expression = "SET #connection = :to, accessible = :no, details = :details REMOVE sync_problem DELETE connections :from";
        let condition = Some("attribute_exists(pk)");
        self.update::<AdAccount>(&key::account(ws, id), expression, condition, values).await.map(drop)
    }

    /// Deletes the webhook changes that concern an account. Must run while the account's objects still exist, because a
    /// change may name only one of them.
    pub async fn delete_inbox_items(&self, ws: &Tenant, account: &AdAccountId) -> Result<(), StoreError> {
        if account.platform() != Platform::Meta {
            return Ok(());
        }
        let inbox: Vec<InboxRow> = self.query_prefix(&key::workspace(ws), "INBOX#").await?;
        for InboxRow { sk, change } in inbox {
            let concerned = match &change.subject {
                None | Some(WebhookSubject::User(_)) => false,
                Some(WebhookSubject::Account(id)) => id == account,
                Some(WebhookSubject::Entity { ad_account: Some(id), .. }) => id == account,
                Some(WebhookSubject::Entity { id, level, ad_account: None }) => {
                    self.entity(ws, account, *level, id).await?.is_some()
                }
            };
            if concerned {
                self.delete_keys(vec![Key { pk: key::workspace(ws), sk }]).await?;
            }
        }
        Ok(())
    }

    /// Deletes the webhook changes that concern a person.
    pub async fn delete_inbox_items_of_user(
        &self,
        ws: &Tenant,
        user: &PlatformUserId,
    ) -> Result<(), StoreError> {
        let mut inbox: Vec<InboxRow> = self.query_prefix(&key::workspace(ws), "INBOX#").await?;
        inbox.retain(|row| row.change.subject.as_ref() == Some(&WebhookSubject::User(user.clone())));
        self.delete_keys(inbox.into_iter().map(|row| Key { pk: key::workspace(ws), sk: row.sk }).collect())
            .await
    }

    /// Deletes a page of what is stored for an account, and the account's row when nothing else is left.
    pub async fn delete_account_data(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        app: &str,
    ) -> Result<DeletionProgress, StoreError> {
        // Every fact lies in a week that has a chunk, which therefore goes last.
        let chunks = self.list_keys(&key::account_partition(ws, account), key::CHUNK_PREFIX, None).await?;
        for chunk in &chunks {
            let Some(week) = key::parse_chunk(&chunk.sk) else { continue };
            if self.delete_facts(ws, account, week, None).await? {
                return Ok(DeletionProgress::Partial);
            }
        }
        if !chunks.is_empty() {
            self.delete_keys(chunks).await?;
            return Ok(DeletionProgress::Partial);
        }
        let rows = self.list_keys(&key::account_partition(ws, account), "", None).await?;
        if !rows.is_empty() {
            self.delete_rows(ws, account, app, rows).await?;
            return Ok(DeletionProgress::Partial);
        }
        for rule in self.rule_ids(ws).await? {
            let pk = key::decision_partition(ws, &rule);
            let decisions = self.list_keys(&pk, "DECISION#", Some(account)).await?;
            if !decisions.is_empty() {
                self.delete_keys(decisions).await?;
                return Ok(DeletionProgress::Partial);
            }
        }
        for prefix in ["LAUNCH#", key::LAUNCH_LISTING_PREFIX] {
            let launches = self.list_keys(&key::workspace(ws), prefix, Some(account)).await?;
            if !launches.is_empty() {
                self.delete_keys(launches).await?;
                return Ok(DeletionProgress::Partial);
            }
        }
        // Rules for this account alone have nothing left to evaluate, and contain its id.
        let rules = self.rules(ws).await?;
        let own = rules.into_iter().filter(|rule: &Rule| rule.spec.ad_account.as_ref() == Some(account));
        self.delete_keys(own.map(|rule| key::rule(ws, &rule.id)).collect()).await?;
        self.delete_account_row(ws, account, app).await?;
        // Without the row, nothing new names the account.
        self.forget_in_live_events(ws, account).await?;
        Ok(DeletionProgress::Complete)
    }

    /// Deletes rows together with the entities' entries in the index over all workspaces and the ad sets' quota items.
    async fn delete_rows(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        app: &str,
        rows: Vec<Key>,
    ) -> Result<(), StoreError> {
        let mut keys = Vec::with_capacity(rows.len() * 3);
        // Ids of imported entities are chosen freely: quotas of their names are not theirs.
        let is_at_meta = account.platform() == Platform::Meta;
        for row in rows {
            let entity = row.sk.strip_prefix("ENTITY#").and_then(|rest| rest.split('#').nth(1));
            if let Some(id) = entity.and_then(|id| id.parse::<EntityId>().ok()) {
                keys.push(key::entity_index(&id, ws, account));
                keys.extend(is_at_meta.then(|| key::limit(app, LimitScope::Budget(&id))));
            }
            keys.push(row);
        }
        // Entities of several levels may have one id: a transaction names an item once.
        keys.sort_unstable();
        keys.dedup();
        self.delete_keys(keys).await
    }

    /// Deletes the account's row and the items outside of the workspace that name the account. Quota items stay when
    /// another workspace holds the account too.
    async fn delete_account_row(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        app: &str,
    ) -> Result<(), StoreError> {
        let mut keys = vec![
            key::account(ws, account),
            key::due(ws, account),
            key::entity_index(&account.into(), ws, account),
        ];
        let account_refs = self.account_refs(account.platform(), &account.into()).await?;
        if account_refs.iter().all(|account_ref| account_ref.workspace == *ws) {
            keys.push(key::limit(app, LimitScope::Account(account)));
            let insights = |dataset| key::limit(app, LimitScope::Insights(account, dataset));
            keys.extend(Dataset::ALL.map(insights));
        }
        self.delete_keys(keys).await
    }

    /// Lists every rule that may have decisions, including removed rules.
    pub(crate) async fn rule_ids(&self, ws: &Tenant) -> Result<Vec<RuleId>, StoreError> {
        let mut ids = Vec::new();
        for prefix in ["RULE#", key::REMOVED_RULE_PREFIX] {
            let rows = self.query_prefix::<ItemKey>(&key::workspace(ws), prefix).await?;
            ids.extend(rows.iter().filter_map(|row| row.sk.strip_prefix(prefix)?.parse().ok()));
        }
        Ok(ids)
    }

    /// Lists the first keys of a partition, only of items about an account where one is given.
    pub(crate) async fn list_keys(
        &self,
        pk: &str,
        prefix: &str,
        about: Option<&AdAccountId>,
    ) -> Result<Vec<Key>, StoreError> {
        let mut keys = Vec::new();
        let mut start = None;
        loop {
            let mut query = self
                .range_query(pk, first_sort_key(prefix), &format!("{prefix}\u{7f}"))
                .limit(MAX_PAGE_ITEMS);
            query = query.projection_expression("pk, sk").set_exclusive_start_key(start);
            if let Some(account) = about {
                query = query
                    .filter_expression("ad_account = :account")
                    .expression_attribute_values(":account", text(account));
            }
            let answer = query.send().await?;
            for item in answer.items.unwrap_or_default() {
                let ItemKey { pk, sk } = serde_dynamo::aws_sdk_dynamodb_1::from_item(item)?;
                keys.push(Key { pk, sk });
            }
            start = answer.last_evaluated_key;
            if !keys.is_empty() || start.is_none() {
                return Ok(keys);
            }
        }
    }

    pub(crate) async fn delete_keys(&self, keys: Vec<Key>) -> Result<(), StoreError> {
        for some in keys.chunks(100) {
            let actions: Result<Vec<_>, _> = some.iter().map(|key| self.delete_action(key)).collect();
            self.transact(actions?).await?;
        }
        Ok(())
    }
}

/// Returns a lower bound for the sort keys: DynamoDB rejects an empty string, even as a bound.
fn first_sort_key(prefix: &str) -> &str {
    if prefix.is_empty() { " " } else { prefix }
}
