//! The table: reads, conditional writes and queries of items.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    StreamSpecification, StreamViewType, TimeToLiveSpecification,
};
use domain::Error;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_item};

use crate::key::Key;

/// An item in DynamoDB's representation.
pub type Item = HashMap<String, AttributeValue>;

/// The failure of a table operation.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The condition of a write did not hold: another writer was first.
    #[error("somebody else changed this first")]
    Conflict,
    /// DynamoDB throttles or is unreachable; a retry can succeed.
    #[error("the table cannot be reached: {0}")]
    Unavailable(String),
    /// DynamoDB rejects the request, or an item cannot be deserialized: a defect in our code.
    #[error("the table refuses or an item is unreadable: {0}")]
    Internal(String),
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::Conflict(error.to_string()),
            StoreError::Unavailable(_) => Self::Unavailable(error.to_string()),
            StoreError::Internal(_) => Self::Internal(error.to_string()),
        }
    }
}

impl From<serde_dynamo::Error> for StoreError {
    fn from(error: serde_dynamo::Error) -> Self {
        Self::Internal(error.to_string())
    }
}

impl<E, R> From<SdkError<E, R>> for StoreError
where
    E: ProvideErrorMetadata,
{
    fn from(error: SdkError<E, R>) -> Self {
        let code = error.code().unwrap_or_default();
        let text = format!("{code} {}", error.message().unwrap_or("no answer"));
        match code {
            "ConditionalCheckFailedException" => Self::Conflict,
            // A transaction that conflicted with another one can be retried; one whose condition failed cannot.
            "TransactionCanceledException" if text.contains("ConditionalCheckFailed") => Self::Conflict,
            "ValidationException" | "ResourceNotFoundException" | "AccessDeniedException" => {
                Self::Internal(text)
            }
            _ => Self::Unavailable(text),
        }
    }
}

/// The table of a deployment. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Table {
    pub(crate) client: Client,
    pub(crate) name: Arc<str>,
    /// Whether reads see every write that was acknowledged before them.
    pub(crate) is_consistent: bool,
}

/// A condition of a write: an expression with its values.
#[derive(Debug, Default)]
pub(crate) struct ConditionExpression {
    pub(crate) expression: &'static str,
    pub(crate) values: Vec<(&'static str, AttributeValue)>,
}

/// The condition that the item does not exist yet.
pub(crate) const ITEM_NOT_EXISTS: ConditionExpression =
    ConditionExpression { expression: "attribute_not_exists(pk)", values: Vec::new() };

/// Holds when the item exists.
pub(crate) const ITEM_EXISTS: ConditionExpression =
    ConditionExpression { expression: "attribute_exists(pk)", values: Vec::new() };

/// Converts a number to an attribute.
pub(crate) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Returns a moment as an attribute that conditions compare: milliseconds since 1970. Text would compare `…:00Z` and
/// `…:00.5Z` the wrong way round.
pub(crate) fn millis(moment: Timestamp) -> AttributeValue {
    number(moment.as_millisecond())
}

/// Converts text to an attribute.
pub(crate) fn text(value: impl ToString) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

impl Key {
    pub(crate) fn attributes(&self) -> Item {
        HashMap::from([("pk".to_owned(), text(&self.pk)), ("sk".to_owned(), text(&self.sk))])
    }
}

/// Maps each `#name` in the expressions to the attribute of that name: several of our names (`state`, `rows`) are
/// reserved words of DynamoDB's expression language.
pub(crate) fn attribute_names(expressions: &[&str]) -> Option<HashMap<String, String>> {
    let words = expressions.iter().flat_map(|expression| expression.split('#').skip(1));
    let names: HashMap<_, _> = words
        .map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or(rest))
        .map(|word| (format!("#{word}"), word.to_owned()))
        .collect();
    (!names.is_empty()).then_some(names)
}

/// Serializes a value as an item with its key.
pub(crate) fn keyed_item<T: Serialize>(key: &Key, value: &T) -> Result<Item, StoreError> {
    let mut item: Item = to_item(value)?;
    item.extend(key.attributes());
    Ok(item)
}

impl Table {
    /// Creates a handle of the table `name`.
    pub fn new(client: Client, name: &str) -> Self {
        Self { client, name: name.into(), is_consistent: true }
    }

    /// Returns the table for reads that may lag behind writes by some hundred milliseconds, at half the price: lists and
    /// numbers for people. What decides a write reads consistently.
    #[must_use]
    pub fn eventually_consistent(&self) -> Self {
        Self { is_consistent: false, ..self.clone() }
    }

    /// Returns the table for reads that see every write that was acknowledged before them.
    #[must_use]
    pub(crate) fn consistent(&self) -> Self {
        Self { is_consistent: true, ..self.clone() }
    }

    /// Creates the table, unless it exists: two string keys, on-demand billing, `expires` as time to live.
    pub async fn create(&self) -> Result<(), StoreError> {
        let attribute = |name| {
            AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build()
        };
        let element = |name, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
        let internal = |error: aws_sdk_dynamodb::error::BuildError| StoreError::Internal(error.to_string());
        let stream = StreamSpecification::builder()
            .stream_enabled(true)
            .stream_view_type(StreamViewType::KeysOnly)
            .build();
        let created = self
            .client
            .create_table()
            .table_name(&*self.name)
            .billing_mode(BillingMode::PayPerRequest)
            .stream_specification(stream.map_err(internal)?)
            .attribute_definitions(attribute("pk").map_err(internal)?)
            .attribute_definitions(attribute("sk").map_err(internal)?)
            .key_schema(element("pk", KeyType::Hash).map_err(internal)?)
            .key_schema(element("sk", KeyType::Range).map_err(internal)?)
            .send()
            .await;
        match created {
            Ok(_) => {}
            Err(error) if error.code() == Some("ResourceInUseException") => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let ttl = TimeToLiveSpecification::builder().enabled(true).attribute_name("expires").build();
        let update = self.client.update_time_to_live().table_name(&*self.name);
        update.time_to_live_specification(ttl.map_err(internal)?).send().await?;
        Ok(())
    }

    /// Reads one item.
    pub(crate) async fn get<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&*self.name)
            .set_key(Some(key.attributes()))
            .consistent_read(self.is_consistent)
            .send()
            .await?;
        Ok(answer.item.map(from_item).transpose()?)
    }

    /// Writes one item; [`StoreError::Conflict`] when the condition does not hold.
    pub(crate) async fn put<T: Serialize>(
        &self,
        key: &Key,
        value: &T,
        condition: Option<ConditionExpression>,
    ) -> Result<(), StoreError> {
        self.put_item(keyed_item(key, value)?, condition).await
    }

    /// Writes one item that DynamoDB may delete after `expires` (Unix seconds).
    pub(crate) async fn put_with_ttl<T: Serialize>(
        &self,
        key: &Key,
        value: &T,
        expires: i64,
        condition: Option<ConditionExpression>,
    ) -> Result<(), StoreError> {
        let mut item = keyed_item(key, value)?;
        item.insert("expires".to_owned(), number(expires));
        self.put_item(item, condition).await
    }

    pub(crate) async fn put_item(
        &self,
        item: Item,
        condition: Option<ConditionExpression>,
    ) -> Result<(), StoreError> {
        let mut put = self.client.put_item().table_name(&*self.name).set_item(Some(item));
        if let Some(condition) = condition {
            put = put
                .condition_expression(condition.expression)
                .set_expression_attribute_names(attribute_names(&[condition.expression]));
            for (name, value) in condition.values {
                put = put.expression_attribute_values(name, value);
            }
        }
        put.send().await?;
        Ok(())
    }

    /// Updates one item in place and returns its new state.
    pub(crate) async fn update<T: DeserializeOwned>(
        &self,
        key: &Key,
        expression: &str,
        condition: Option<&str>,
        values: Vec<(&str, AttributeValue)>,
    ) -> Result<T, StoreError> {
        let mut update = self
            .client
            .update_item()
            .table_name(&*self.name)
            .set_key(Some(key.attributes()))
            .update_expression(expression)
            .return_values(aws_sdk_dynamodb::types::ReturnValue::AllNew)
            .set_condition_expression(condition.map(str::to_owned))
            .set_expression_attribute_names(attribute_names(&[expression, condition.unwrap_or_default()]));
        for (name, value) in values {
            update = update.expression_attribute_values(name, value);
        }
        let item = update.send().await?.attributes.unwrap_or_default();
        Ok(from_item(item)?)
    }

    /// Deletes one item; [`StoreError::Conflict`] when the condition does not hold.
    pub(crate) async fn delete_if(
        &self,
        key: &Key,
        condition: &str,
        values: Vec<(&str, AttributeValue)>,
    ) -> Result<(), StoreError> {
        let mut delete = self
            .client
            .delete_item()
            .table_name(&*self.name)
            .set_key(Some(key.attributes()))
            .condition_expression(condition)
            .set_expression_attribute_names(attribute_names(&[condition]));
        for (name, value) in values {
            delete = delete.expression_attribute_values(name, value);
        }
        delete.send().await?;
        Ok(())
    }

    /// Deletes one item and returns its previous state.
    pub(crate) async fn delete_returning<T: DeserializeOwned>(
        &self,
        key: &Key,
    ) -> Result<Option<T>, StoreError> {
        let answer = self
            .client
            .delete_item()
            .table_name(&*self.name)
            .set_key(Some(key.attributes()))
            .return_values(aws_sdk_dynamodb::types::ReturnValue::AllOld)
            .send()
            .await?;
        Ok(answer.attributes.map(from_item).transpose()?)
    }

    /// Lists the items of a partition whose sort key starts with `prefix`, in order.
    pub(crate) async fn query_prefix<T: DeserializeOwned>(
        &self,
        pk: &str,
        prefix: &str,
    ) -> Result<Vec<T>, StoreError> {
        // '\u{7f}' sorts after every character of our keys.
        self.query_between(pk, prefix, &format!("{prefix}\u{7f}")).await
    }

    /// Lists the items of a partition with sort keys from `first` to `last`, both inclusive, in order.
    pub(crate) async fn query_between<T: DeserializeOwned>(
        &self,
        pk: &str,
        first: &str,
        last: &str,
    ) -> Result<Vec<T>, StoreError> {
        self.query_first(pk, first, last, usize::MAX, |_| true).await
    }

    /// Lists items of an index over all workspaces, whose sort keys are `WS#` and a position, after a position.
    pub(crate) async fn query_after<T: DeserializeOwned>(
        &self,
        pk: &str,
        after: Option<&str>,
        limit: usize,
        position: impl Fn(&T) -> String,
    ) -> Result<(Vec<T>, Option<String>), StoreError> {
        // '\u{1}' sorts before every character of an id, '\u{7f}' after.
        let first = after.map_or_else(|| "WS#".to_owned(), |after| format!("WS#{after}\u{1}"));
        let mut items = self.query_first(pk, &first, "WS#\u{7f}", limit + 1, |_| true).await?;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(position);
        Ok((items, next))
    }

    /// Lists the first items with sort keys from `first` to `last` that are wanted, up to `limit`, in order.
    pub(crate) async fn query_first<T: DeserializeOwned>(
        &self,
        pk: &str,
        first: &str,
        last: &str,
        limit: usize,
        is_wanted: impl Fn(&T) -> bool,
    ) -> Result<Vec<T>, StoreError> {
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let query = self.range_query(pk, first, last).set_exclusive_start_key(start);
            let answer = query.send().await?;
            for item in answer.items.unwrap_or_default() {
                let item = from_item(item)?;
                if is_wanted(&item) {
                    items.push(item);
                }
                if items.len() >= limit {
                    return Ok(items);
                }
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(items);
            }
        }
    }

    /// Lists up to `limit` items of a partition whose sort key starts with `prefix` and sorts before `before`, in
    /// descending order.
    pub(crate) async fn query_desc<T: DeserializeOwned>(
        &self,
        pk: &str,
        prefix: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<T>, StoreError> {
        let last = before.map_or_else(|| format!("{prefix}\u{7f}"), str::to_owned);
        let mut items = Vec::new();
        let mut start = None;
        loop {
            // BETWEEN includes `before` itself, which is skipped below: request one more item.
            let wanted = i32::try_from(limit + 1 - items.len()).unwrap_or(i32::MAX);
            let query = self.range_query(pk, prefix, &last).scan_index_forward(false).limit(wanted);
            let answer = query.set_exclusive_start_key(start).send().await?;
            for item in answer.items.unwrap_or_default() {
                let is_position = item.get("sk").and_then(|sk| sk.as_s().ok()).map(String::as_str) == before;
                if !is_position {
                    items.push(from_item(item)?);
                }
            }
            start = answer.last_evaluated_key;
            if start.is_none() || items.len() >= limit {
                items.truncate(limit);
                return Ok(items);
            }
        }
    }

    /// Returns up to `limit` items of a partition from sort key `first` to `last`, in order.
    pub(crate) async fn query_asc<T: DeserializeOwned>(
        &self,
        pk: &str,
        first: &str,
        last: &str,
        limit: usize,
    ) -> Result<Vec<T>, StoreError> {
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let wanted = i32::try_from(limit - items.len()).unwrap_or(i32::MAX);
            let query = self.range_query(pk, first, last).limit(wanted).set_exclusive_start_key(start);
            let answer = query.send().await?;
            for item in answer.items.unwrap_or_default() {
                items.push(from_item(item)?);
            }
            start = answer.last_evaluated_key;
            if start.is_none() || items.len() >= limit {
                return Ok(items);
            }
        }
    }

    pub(crate) fn range_query(&self, pk: &str, first: &str, last: &str) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&*self.name)
            .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
            .expression_attribute_values(":pk", text(pk))
            .expression_attribute_values(":first", text(first))
            .expression_attribute_values(":last", text(last))
            .consistent_read(self.is_consistent)
    }
}
