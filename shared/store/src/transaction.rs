//! Writes that happen together or not at all.

use aws_sdk_dynamodb::error::BuildError;
use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, Put, TransactWriteItem, Update};
use serde::Serialize;

use crate::key::Key;
use crate::table::{ConditionExpression, StoreError, Table, attribute_names, keyed_item};

/// So often a transaction is sent that meets others.
const MAX_TRANSACTION_ATTEMPTS: u32 = 5;

impl Table {
    /// Does these actions; [`StoreError::Conflict`] when a condition does not hold. One that meets another transaction
    /// on the same item has done nothing, and the other one is over by the time it is asked for again.
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

    /// Holds the transaction to the state of an item that it does not write.
    pub(crate) fn check_action(
        &self,
        key: &Key,
        condition: ConditionExpression,
    ) -> Result<TransactWriteItem, StoreError> {
        let mut check = ConditionCheck::builder()
            .table_name(&*self.name)
            .set_key(Some(key.attributes()))
            .condition_expression(condition.expression);
        for (name, value) in condition.values {
            check = check.expression_attribute_values(name, value);
        }
        Ok(TransactWriteItem::builder().condition_check(check.build()?).build())
    }

    pub(crate) fn put_action<T: Serialize>(
        &self,
        key: &Key,
        value: &T,
    ) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder().table_name(&*self.name).set_item(Some(keyed_item(key, value)?));
        Ok(TransactWriteItem::builder().put(put.build()?).build())
    }

    /// [`Self::put_action`] under a condition.
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

    /// [`Self::delete_action`] under a condition.
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

    /// Changes one item in place, as [`Self::update`] does.
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

/// An expression's values, as the SDK takes them: none at all rather than an empty map, which DynamoDB refuses.
fn attribute_values(values: Vec<(&str, AttributeValue)>) -> Option<HashMap<String, AttributeValue>> {
    let values: HashMap<_, _> = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    (!values.is_empty()).then_some(values)
}

/// A request of ours lacks a part.
impl From<BuildError> for StoreError {
    fn from(error: BuildError) -> Self {
        Self::Internal(error.to_string())
    }
}
