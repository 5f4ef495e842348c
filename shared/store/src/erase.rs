//! Erasing: everything that is kept of an ad account, and what remains of a person's wish to be forgotten.
//!
//! Each step erases a page of what it finds and is over when it finds nothing, so that whoever is broken off goes on by
//! beginning again. The row of the account goes last: as long as it is there, something may be left.

use ads::id::{AdAccountId, ConnectionId, MetaUserId, ObjectId, RuleId};
use ads::job::{WebhookChange, WebhookSubject};
use ads::object::Level;
use ads::rule::Rule;
use ads::tenant::Tenant;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::account::AdAccount;
use crate::connection::{Connection, ConnectionPlace};
use crate::key::{self, Key};
use crate::limit::LimitOf;
use crate::table::{ABSENT, Condition, StoreError, Table, text};

/// Items that are read before they are erased: with the two entries beside an object they fit into one transaction.
const PAGE: i32 = 30;

/// Whose facts there are.
const LEVELS: [Level; 4] = [Level::Account, Level::Campaign, Level::AdSet, Level::Ad];

/// After this time nobody asks any more what became of a wish.
const TOLD_FOR: SignedDuration = SignedDuration::from_hours(365 * 24);

/// A person's wish to have their data deleted. Once it is done, nothing in it says whose it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// Under which the person can ask what became of it.
    pub code: String,
    /// Whose, until it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<MetaUserId>,
    /// When Meta signed the wish: what was connected later is none of it.
    pub asked_at: Timestamp,
    /// When everything had been erased once. Work that had begun before may put something back, so it is looked at again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased_at: Option<Timestamp>,
    /// Where to look again, until it is done: the workspaces, and the ad accounts that were erased.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub touched: Vec<Touched>,
    /// When it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_at: Option<Timestamp>,
}

/// Where something was erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touched {
    /// The workspace.
    #[serde(with = "ads::tenant::kept")]
    pub workspace: Tenant,
    /// The ad account, where it was one and not the workspace's connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ad_account: Option<AdAccountId>,
}

/// Whether anything is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Another step is needed.
    More,
    /// All is gone.
    Nothing,
}

#[derive(Deserialize)]
struct Place {
    pk: String,
    sk: String,
}

#[derive(Deserialize)]
struct InboxPlace {
    sk: String,
    change: WebhookChange,
}

impl Table {
    /// Notes a wish, before anything is done about it.
    pub async fn begin_erasure(&self, erasure: &Erasure) -> Result<(), StoreError> {
        self.put(&key::erasure(&erasure.code), erasure, Some(ABSENT)).await
    }

    /// One wish.
    pub async fn erasure(&self, code: &str) -> Result<Option<Erasure>, StoreError> {
        self.get(&key::erasure(code)).await
    }

    /// Every wish that is still told of.
    pub async fn erasures(&self) -> Result<Vec<Erasure>, StoreError> {
        self.list_between(key::ERASURES, " ", "\u{7f}").await
    }

    /// Notes where something is about to be erased, so that it can be found again when its own rows are gone.
    pub async fn touches(&self, code: &str, touched: &Touched) -> Result<(), StoreError> {
        let one = serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value(touched)?;
        let none = AttributeValue::L(Vec::new());
        let values = vec![(":one", AttributeValue::L(vec![one])), (":none", none)];
        let expression = "SET touched = list_append(if_not_exists(touched, :none), :one)";
        let open = Some("attribute_exists(#user)");
        self.update::<Erasure>(&key::erasure(code), expression, open, values).await.map(drop)
    }

    /// Notes that everything was erased once.
    pub async fn erased_once(&self, code: &str, now: Timestamp) -> Result<(), StoreError> {
        let (expression, open) = ("SET erased_at = :at", Some("attribute_exists(#user)"));
        let values = vec![(":at", text(now))];
        self.update::<Erasure>(&key::erasure(code), expression, open, values).await.map(drop)
    }

    /// Notes that a wish is done, and forgets whose it was and where.
    pub async fn finish_erasure(&self, erasure: &Erasure, now: Timestamp) -> Result<(), StoreError> {
        let Erasure { code, asked_at, .. } = erasure.clone();
        let done =
            Erasure { code, user: None, asked_at, erased_at: None, touched: Vec::new(), done_at: Some(now) };
        self.put_expiring(&key::erasure(&done.code), &done, (now + TOLD_FOR).as_second(), None).await
    }

    /// Forgets a connection's token and leaves the rest. [`StoreError::Conflict`] when the token is another one by now.
    pub async fn forget_token(&self, ws: &Tenant, seen: &Connection, reason: &str) -> Result<(), StoreError> {
        let values = vec![
            (":s", text("needs_reconnect")),
            (":r", text(reason)),
            (":none", text("")),
            (":t", text(&seen.sealed_token)),
        ];
        let expression = "SET #state = :s, reason = :r, sealed_token = :none";
        let key = key::connection(ws, &seen.id);
        self.update::<Connection>(&key, expression, Some("sealed_token = :t"), values).await.map(drop)
    }

    /// Forgets a connection of which nothing else is left, and where it was. [`StoreError::Conflict`] when it has a token
    /// again, for then its person has connected anew.
    pub async fn forget_erased(&self, place: &ConnectionPlace) -> Result<(), StoreError> {
        let ConnectionPlace { workspace, connection } = place;
        let empty = Condition {
            expression: "attribute_not_exists(pk) OR sealed_token = :none",
            values: vec![(":none", text(""))],
        };
        let row = self.delete_action_if(&key::connection(workspace, connection), empty)?;
        let entry = self.delete_action(&key::listed_connection(workspace, connection))?;
        let holding = self.delete_action(&key::holding(workspace, connection))?;
        self.transact(vec![row, entry, holding]).await
    }

    /// Hands an account to another connection that reaches it.
    pub async fn hand_over(
        &self,
        ws: &Tenant,
        id: &AdAccountId,
        from: &ConnectionId,
        to: &ConnectionId,
    ) -> Result<(), StoreError> {
        let values = vec![
            (":to", text(to)),
            (":none", AttributeValue::L(Vec::new())),
            (":from", AttributeValue::Ss(vec![from.to_string()])),
        ];
        let expression = "SET #connection = :to, reached = :none DELETE reached_by :from";
        let condition = Some("attribute_exists(pk)");
        self.update::<AdAccount>(&key::account(ws, id), expression, condition, values).await.map(drop)
    }

    /// Records that a connection has nothing to do with an account, which another one holds.
    pub async fn let_go(
        &self,
        ws: &Tenant,
        id: &AdAccountId,
        connection: &ConnectionId,
    ) -> Result<(), StoreError> {
        let values = vec![(":from", AttributeValue::Ss(vec![connection.to_string()]))];
        let condition = Some("attribute_exists(pk)");
        let key = key::account(ws, id);
        match self.update::<AdAccount>(&key, "DELETE reached_by :from", condition, values).await {
            Ok(_) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Erases the webhook changes about an account. To be done while its objects are still there: a change may name
    /// nothing but one of them.
    pub async fn erase_inbox(&self, ws: &Tenant, account: &AdAccountId) -> Result<(), StoreError> {
        let inbox: Vec<InboxPlace> = self.list(&key::workspace(ws), "INBOX#").await?;
        for InboxPlace { sk, change } in inbox {
            let concerned = match &change.subject {
                None => false,
                Some(WebhookSubject::Account(id)) => id == account,
                Some(WebhookSubject::Object { ad_account: Some(id), .. }) => id == account,
                Some(WebhookSubject::Object { id, level, ad_account: None }) => {
                    self.object(ws, account, *level, id).await?.is_some()
                }
            };
            if concerned {
                self.erase(vec![Key { pk: key::workspace(ws), sk }]).await?;
            }
        }
        Ok(())
    }

    /// Erases a page of what is kept of an account, and its row when nothing else is left.
    pub async fn erase_account(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        app: &str,
    ) -> Result<Left, StoreError> {
        for level in LEVELS {
            let facts = self.places(&key::fact_partition(ws, account, level), "", None).await?;
            if !facts.is_empty() {
                self.erase(facts).await?;
                return Ok(Left::More);
            }
        }
        let rows = self.places(&key::account_partition(ws, account), "", None).await?;
        if !rows.is_empty() {
            self.erase_rows(ws, account, app, rows).await?;
            return Ok(Left::More);
        }
        for rule in self.rule_ids(ws).await? {
            let pk = key::decision_partition(ws, &rule);
            let decisions = self.places(&pk, "DECISION#", Some(account)).await?;
            if !decisions.is_empty() {
                self.erase(decisions).await?;
                return Ok(Left::More);
            }
        }
        let launches = self.places(&key::workspace(ws), "LAUNCH#", Some(account)).await?;
        if !launches.is_empty() {
            self.erase(launches).await?;
            return Ok(Left::More);
        }
        // Rules of this account alone have nothing to judge any more, and name it.
        let rules = self.rules(ws).await?;
        let own = rules.into_iter().filter(|rule: &Rule| rule.spec.ad_account.as_ref() == Some(account));
        self.erase(own.map(|rule| key::rule(ws, &rule.id)).collect()).await?;
        self.erase_last(ws, account, app).await?;
        Ok(Left::Nothing)
    }

    /// Objects have an entry in the index of Meta's ids, and ad sets one among the quotas.
    async fn erase_rows(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        app: &str,
        rows: Vec<Key>,
    ) -> Result<(), StoreError> {
        let mut keys = Vec::with_capacity(rows.len() * 3);
        for row in rows {
            if let Some(object) = row.sk.strip_prefix("OBJECT#").and_then(|rest| rest.split('#').nth(1)) {
                keys.push(key::meta_index(object, ws, account));
                keys.extend(object.parse::<ObjectId>().ok().map(|id| key::limit(app, LimitOf::Budget(&id))));
            }
            keys.push(row);
        }
        self.erase(keys).await
    }

    /// The row itself, with what names the account outside of the workspace. Quotas are kept when another workspace
    /// holds the account too.
    async fn erase_last(&self, ws: &Tenant, account: &AdAccountId, app: &str) -> Result<(), StoreError> {
        let mut keys = vec![
            key::account(ws, account),
            key::selected(ws, account),
            key::meta_index(account.digits(), ws, account),
        ];
        let holders = self.holders(account.digits()).await?;
        if holders.iter().all(|holder| holder.workspace == *ws) {
            keys.push(key::limit(app, LimitOf::Account(account)));
            keys.push(key::limit(app, LimitOf::Insights(account)));
        }
        self.erase(keys).await
    }

    /// Every rule that has ever decided, those that were removed included.
    async fn rule_ids(&self, ws: &Tenant) -> Result<Vec<RuleId>, StoreError> {
        let mut ids = Vec::new();
        for prefix in ["RULE#", key::REMOVED_RULE] {
            let rows = self.list::<Place>(&key::workspace(ws), prefix).await?;
            ids.extend(rows.iter().filter_map(|row| row.sk.strip_prefix(prefix)?.parse().ok()));
        }
        Ok(ids)
    }

    /// The first keys of a partition, of items about an account where one is named.
    async fn places(
        &self,
        pk: &str,
        prefix: &str,
        about: Option<&AdAccountId>,
    ) -> Result<Vec<Key>, StoreError> {
        let mut keys = Vec::new();
        let mut start = None;
        loop {
            let mut query = self.between(pk, first(prefix), &format!("{prefix}\u{7f}")).limit(PAGE);
            query = query.projection_expression("pk, sk").set_exclusive_start_key(start);
            if let Some(account) = about {
                query = query
                    .filter_expression("ad_account = :account")
                    .expression_attribute_values(":account", text(account));
            }
            let answer = query.send().await?;
            for item in answer.items.unwrap_or_default() {
                let Place { pk, sk } = serde_dynamo::aws_sdk_dynamodb_1::from_item(item)?;
                keys.push(Key { pk, sk });
            }
            start = answer.last_evaluated_key;
            if !keys.is_empty() || start.is_none() {
                return Ok(keys);
            }
        }
    }

    async fn erase(&self, keys: Vec<Key>) -> Result<(), StoreError> {
        for some in keys.chunks(100) {
            let actions: Result<Vec<_>, _> = some.iter().map(|key| self.delete_action(key)).collect();
            self.transact(actions?).await?;
        }
        Ok(())
    }
}

/// A sort key cannot be empty, not even to begin with.
fn first(prefix: &str) -> &str {
    if prefix.is_empty() { " " } else { prefix }
}
