//! Writes that happen together or not at all.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{ConditionCheck, Delete, Put, TransactWriteItem};
use serde::Serialize;

use crate::key::Key;
use crate::table::{Condition, StoreError, Table, item};

impl Table {
    /// Does these actions; [`StoreError::Conflict`] when a condition does not hold.
    pub(crate) async fn transact(&self, actions: Vec<TransactWriteItem>) -> Result<(), StoreError> {
        self.client.transact_write_items().set_transact_items(Some(actions)).send().await?;
        Ok(())
    }

    /// Holds the transaction to the state of an item that it does not write.
    pub(crate) fn check_action(
        &self,
        key: &Key,
        condition: Condition,
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
        let put = Put::builder().table_name(&*self.name).set_item(Some(item(key, value)?));
        Ok(TransactWriteItem::builder().put(put.build()?).build())
    }

    pub(crate) fn delete_action(&self, key: &Key) -> Result<TransactWriteItem, StoreError> {
        let delete = Delete::builder().table_name(&*self.name).set_key(Some(key.attributes()));
        Ok(TransactWriteItem::builder().delete(delete.build()?).build())
    }
}

/// A request of ours lacks a part.
impl From<BuildError> for StoreError {
    fn from(error: BuildError) -> Self {
        Self::Defect(error.to_string())
    }
}
