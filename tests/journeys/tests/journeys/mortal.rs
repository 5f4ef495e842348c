//! A process that dies in the middle, and a table that is put back to try it again.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use access::Access;
use auth_meta::{AuthMeta, Settings};
use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem};
use journeys::Story;
use local::cloud::TABLE;
use store::Table;

pub(super) type Item = HashMap<String, AttributeValue>;

pub(super) async fn items(story: &Story) -> Vec<Item> {
    let mut items = Vec::new();
    let mut start = None;
    loop {
        let scan = story.system.cloud.dynamodb.scan().table_name(TABLE).set_exclusive_start_key(start);
        let page = scan.send().await.unwrap();
        items.extend(page.items.unwrap_or_default());
        start = page.last_evaluated_key;
        if start.is_none() {
            return items;
        }
    }
}

/// Puts the table back as it was.
pub(super) async fn restore(story: &Story, kept: &[Item]) {
    let key = |item: &Item| (item["pk"].clone(), item["sk"].clone());
    let known: Vec<_> = kept.iter().map(key).collect();
    let new = items(story).await.into_iter().map(|item| key(&item)).filter(|key| !known.contains(key));
    let deletes = new.map(|(pk, sk)| {
        let delete = Delete::builder().table_name(TABLE).key("pk", pk).key("sk", sk).build().unwrap();
        TransactWriteItem::builder().delete(delete).build()
    });
    let puts = kept.iter().map(|item| {
        let put = Put::builder().table_name(TABLE).set_item(Some(item.clone())).build().unwrap();
        TransactWriteItem::builder().put(put).build()
    });
    for some in deletes.chain(puts).collect::<Vec<_>>().chunks(100) {
        let client = &story.system.cloud.dynamodb;
        client.transact_write_items().set_transact_items(Some(some.to_vec())).send().await.unwrap();
    }
}

/// Dies before one call to the table, which is after the effect of the one before it and all that came of that.
#[derive(Debug, Clone)]
pub(super) struct Breaks {
    pub(super) calls: Arc<AtomicI64>,
    pub(super) lost: RangeInclusive<i64>,
}

impl Intercept for Breaks {
    fn name(&self) -> &'static str {
        "Breaks"
    }

    fn modify_before_transmit(
        &self,
        _: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        if self.lost.contains(&call) { Err("the process died".into()) } else { Ok(()) }
    }
}

/// The function, as a process whose calls to the table from one to another are lost.
pub(super) fn mortal(story: &Story, lost: RangeInclusive<i64>) -> (AuthMeta, Arc<AtomicI64>) {
    let calls = Arc::new(AtomicI64::new(0));
    let breaks = Breaks { calls: calls.clone(), lost };
    let config = story.system.cloud.dynamodb.config().to_builder().interceptor(breaks).build();
    let table = Table::new(aws_sdk_dynamodb::Client::from_conf(config), TABLE);
    let access = Access::new(table, story.system.graph.clone(), story.system.cloud.keyring.clone());
    let settings = Settings { secrets: story.system.secrets.clone(), login: None };
    (AuthMeta::new(access, story.system.host.clone(), settings), calls)
}
