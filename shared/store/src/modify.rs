//! Compare-and-set: a value is read, updated, and written unless another process has changed it since.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::key::Key;
use crate::table::{ConditionExpression, ITEM_NOT_EXISTS, StoreError, Table, number};

/// Attempts while other processes update the same value; in each round at least one of them succeeds.
const MAX_MODIFY_ATTEMPTS: u32 = 50;

/// A value with the number of its changes. Version 0 is not stored yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Versioned<T> {
    pub(crate) version: u64,
    pub(crate) value: T,
}

impl Table {
    /// Updates the value of an item that DynamoDB may delete after `expires` (Unix seconds), and returns what the update
    /// returns. The update is called again with the new value when another process was first.
    pub(crate) async fn modify<T: DeserializeOwned + Serialize + Default, R>(
        &self,
        key: &Key,
        expires: i64,
        mut update: impl FnMut(&mut T) -> R,
    ) -> Result<R, StoreError> {
        for _ in 0..MAX_MODIFY_ATTEMPTS {
            let Versioned { version, mut value } = self.get::<Versioned<T>>(key).await?.unwrap_or_default();
            let result = update(&mut value);
            let unchanged = ConditionExpression {
                expression: "#version = :version",
                values: vec![(":version", number(version))],
            };
            let condition = if version == 0 { ITEM_NOT_EXISTS } else { unchanged };
            let next = Versioned { version: version + 1, value };
            match self.put_with_ttl(key, &next, expires, Some(condition)).await {
                Ok(()) => return Ok(result),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Unavailable("too many processes change one value at this moment".to_owned()))
    }
}
