//! Transactions: writes that are applied together or not at all.

use aws_sdk_dynamodb::error::BuildError;
use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem, Update};
use serde::Serialize;

use crate::key::Key;
use crate::table::{ConditionExpression, StoreError, Table, attribute_names, keyed_item, number};

/// Maximum attempts of a transaction that conflicts with others.
const MAX_TRANSACTION_ATTEMPTS: u32 = 5;

impl Table {
    /// Executes the actions; [`StoreError::Conflict`] when a condition does not hold. A transaction that conflicts with
    /// another one on the same item has changed nothing and is retried at once: the other one is over by then.
    pub(crate) async fn transact(&self, actions: Vec<TransactWriteItem>) -> Result<(), StoreError> {
        let mut attempts_left = MAX_TRANSACTION_ATTEMPTS;
        loop {
            attempts_left -= 1;
            let sent =
                self.client.transact_write_items().set_transact_items(Some(actions.clone())).send().await;
            match sent.map_err(StoreError::from) {
                Err(StoreError::Unavailable(why))
                    if attempts_left > 0 && why.contains("TransactionConflict") => {}
                done => return done.map(drop),
            }
        }
    }

    pub(crate) fn put_action<T: Serialize>(
        &self,
        key: &Key,
        value: &T,
    ) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder().table_name(&*self.name).set_item(Some(keyed_item(key, value)?));
        Ok(TransactWriteItem::builder().put(put.build()?).build())
    }

    /// Puts an item that DynamoDB deletes after `expires`, in Unix seconds.
    pub(crate) fn put_action_with_ttl<T: Serialize>(
        &self,
        key: &Key,
        value: &T,
        expires: i64,
    ) -> Result<TransactWriteItem, StoreError> {
        let mut item = keyed_item(key, value)?;
        item.insert("expires".to_owned(), number(expires));
        let put = Put::builder().table_name(&*self.name).set_item(Some(item));
        Ok(TransactWriteItem::builder().put(put.build()?).build())
    }

    /// Builds a [`Self::put_action`] with a condition.
    pub(crate) fn put_action_if<T: Serialize>(
        &self,
        key: &Key,
        value: &T,
        condition: ConditionExpression,
    ) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder()
            .table_name(&*self.name)
            .set_item(Some(keyed_item(key, value)?))
            .condition_expression(condition.expression)
            .set_expression_attribute_names(attribute_names(&[condition.expression]))
            .set_expression_attribute_values(attribute_values(condition.values));
        Ok(TransactWriteItem::builder().put(put.build()?).build())
    }

    /// Builds a [`Self::delete_action`] with a condition.
    pub(crate) fn delete_action_if(
        &self,
        key: &Key,
        condition: ConditionExpression,
    ) -> Result<TransactWriteItem, StoreError> {
        let delete = Delete::builder()
            .table_name(&*self.name)
            .set_key(Some(key.attributes()))
            .condition_expression(condition.expression)
            .set_expression_attribute_names(attribute_names(&[condition.expression]))
            .set_expression_attribute_values(attribute_values(condition.values));
        Ok(TransactWriteItem::builder().delete(delete.build()?).build())
    }

    /// Builds an update of one item in place, as [`Self::update`] does it.
    pub(crate) fn update_action(
        &self,
        key: &Key,
        expression: &str,
        condition: Option<&str>,
        given: Vec<(&str, AttributeValue)>,
    ) -> Result<TransactWriteItem, StoreError> {
        let update = Update::builder()
            .table_name(&*self.name)
            .set_key(Some(key.attributes()))
            .update_expression(expression)
            .set_condition_expression(condition.map(str::to_owned))
            .set_expression_attribute_names(attribute_names(&[expression, condition.unwrap_or_default()]))
            .set_expression_attribute_values(attribute_values(given));
        Ok(TransactWriteItem::builder().update(update.build()?).build())
    }

    pub(crate) fn delete_action(&self, key: &Key) -> Result<TransactWriteItem, StoreError> {
        let delete = Delete::builder().table_name(&*self.name).set_key(Some(key.attributes()));
        Ok(TransactWriteItem::builder().delete(delete.build()?).build())
    }
}

/// Converts an expression's values for the SDK: `None` instead of an empty map, which DynamoDB rejects.
fn attribute_values(values: Vec<(&str, AttributeValue)>) -> Option<HashMap<String, AttributeValue>> {
    let values: HashMap<_, _> = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    (!values.is_empty()).then_some(values)
}

/// Treats a request that lacks a required part as a defect in our code.
impl From<BuildError> for StoreError {
    fn from(error: BuildError) -> Self {
        Self::Internal(error.to_string())
    }
}
