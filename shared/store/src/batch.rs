//! Reads many items at once.

use aws_sdk_dynamodb::types::KeysAndAttributes;

use crate::table::{Item, StoreError, Table};

/// DynamoDB's limit of keys per batch.
pub(crate) const MAX_BATCH_KEYS: usize = 100;

/// Requests for the keys of one batch at most: an answer may leave keys for the next one, when it would become too large.
const MAX_REQUESTS: usize = 100;

/// Answers without any item after which the table counts as busy: whoever waits asks again later.
const MAX_EMPTY_ANSWERS: usize = 3;

impl Table {
    /// Reads items by their keys, in any order. Those that do not exist are left out.
    pub(crate) async fn batch_get(&self, keys: Vec<Item>) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::with_capacity(keys.len());
        for keys in keys.chunks(MAX_BATCH_KEYS) {
            let (mut left, mut empty_answers) = (keys.to_vec(), 0);
            for _ in 0..MAX_REQUESTS {
                let request = KeysAndAttributes::builder()
                    .set_keys(Some(left))
                    .consistent_read(self.is_consistent)
                    .build()
                    .map_err(|error| StoreError::Internal(error.to_string()))?;
                let answer = self.client.batch_get_item().request_items(&*self.name, request).send().await?;
                let before = items.len();
                items.extend(answer.responses.into_iter().flatten().flat_map(|(_, items)| items));
                let unprocessed = answer.unprocessed_keys.unwrap_or_default().remove(&*self.name);
                left = unprocessed.map(|unprocessed| unprocessed.keys).unwrap_or_default();
                empty_answers += usize::from(items.len() == before);
                if left.is_empty() || empty_answers == MAX_EMPTY_ANSWERS {
                    break;
                }
            }
            if !left.is_empty() {
                return Err(StoreError::Unavailable("the table does not answer a batch".to_owned()));
            }
        }
        Ok(items)
    }
}
