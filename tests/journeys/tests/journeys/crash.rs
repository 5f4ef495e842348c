//! A process that crashes at a given call to the table, and a table that is restored for the next attempt.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use auth_meta::{AuthMeta, Settings};
use aws_sdk_dynamodb::config::interceptors::{
    BeforeDeserializationInterceptorContextMut, BeforeTransmitInterceptorContextMut,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem};
use connector::Connector;
use journeys::Scenario;
use local::cloud::TABLE;
use manage_campaign::ManageCampaign;
use runtime::env::Env;
use runtime::origins::AllowedOrigins;
use store::Table;

pub(super) type Item = HashMap<String, AttributeValue>;

/// Returns how many points lie between two that are tried: so many in the check, none at night.
pub(super) fn stride(in_check: usize) -> usize {
    Env::optional("CRASH_STRIDE").map_or(in_check, |stride| stride.parse().unwrap())
}

/// Returns the calls at which a process dies, of so many: every third in the check, all of them at night.
pub(super) fn points(last: i64) -> impl Iterator<Item = i64> {
    (1..=last).step_by(stride(3))
}

pub(super) async fn table_items(scenario: &Scenario) -> Vec<Item> {
    let mut items = Vec::new();
    let mut start = None;
    loop {
        let scan = scenario.system.cloud.dynamodb.scan().table_name(TABLE).set_exclusive_start_key(start);
        let page = scan.send().await.unwrap();
        items.extend(page.items.unwrap_or_default());
        start = page.last_evaluated_key;
        if start.is_none() {
            return items;
        }
    }
}

/// Returns whether an item is a digest of an audit log, its head, a live event, or an entry of a change log: consumers of
/// the table's stream write them beside every scenario, whenever they come to it.
pub(super) fn is_published(item: &Item) -> bool {
    let sk = item["sk"].as_s().unwrap();
    sk.starts_with("DIGEST#") || sk == "HEAD" || sk.starts_with("LIVE#") || sk.starts_with("CHANGE#")
}

/// Restores the table: writes what has changed, and deletes what is new.
pub(super) async fn restore_table(scenario: &Scenario, items_before: &[Item]) {
    let key = |item: &Item| (item["pk"].clone(), item["sk"].clone());
    let place = |item: &Item| (item["pk"].as_s().unwrap().clone(), item["sk"].as_s().unwrap().clone());
    let mut now: HashMap<_, _> =
        table_items(scenario).await.into_iter().map(|item| (place(&item), item)).collect();
    let mut actions = Vec::new();
    for item in items_before {
        if now.remove(&place(item)).as_ref() != Some(item) {
            let put = Put::builder().table_name(TABLE).set_item(Some(item.clone())).build().unwrap();
            actions.push(TransactWriteItem::builder().put(put).build());
        }
    }
    for (pk, sk) in now.values().map(key) {
        let delete = Delete::builder().table_name(TABLE).key("pk", pk).key("sk", sk).build().unwrap();
        actions.push(TransactWriteItem::builder().delete(delete).build());
    }
    for some in actions.chunks(100) {
        let client = &scenario.system.cloud.dynamodb;
        client.transact_write_items().set_transact_items(Some(some.to_vec())).send().await.unwrap();
    }
}

/// Fails the calls in a range, so that all earlier calls have taken effect.
#[derive(Debug, Clone)]
pub(super) struct CrashInterceptor {
    pub(super) calls: Arc<AtomicI64>,
    pub(super) crash_at: RangeInclusive<i64>,
    /// Whether the first of them has its effect, of which the process does not learn.
    pub(super) with_effect: bool,
}

impl Intercept for CrashInterceptor {
    fn name(&self) -> &'static str {
        "CrashInterceptor"
    }

    fn modify_before_transmit(
        &self,
        _: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let has_effect = self.with_effect && call == *self.crash_at.start();
        if self.crash_at.contains(&call) && !has_effect { Err("the process died".into()) } else { Ok(()) }
    }

    fn modify_before_deserialization(
        &self,
        _: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let is_lost = self.with_effect && self.crash_at.contains(&self.calls.load(Ordering::SeqCst));
        if is_lost { Err("the process died".into()) } else { Ok(()) }
    }
}

/// Returns a connector whose calls to the table fail in this range, and its count of calls.
pub(super) fn crashing_connector(
    scenario: &Scenario,
    crash_at: RangeInclusive<i64>,
) -> (Connector, Arc<AtomicI64>) {
    let calls = Arc::new(AtomicI64::new(0));
    let dying = CrashInterceptor { calls: calls.clone(), crash_at, with_effect: false };
    (dying_connector(scenario, dying), calls)
}

/// Returns a connector whose calls to the table fail as this says.
pub(super) fn dying_connector(scenario: &Scenario, interceptor: CrashInterceptor) -> Connector {
    let config = scenario.system.cloud.dynamodb.config().to_builder().interceptor(interceptor).build();
    let table = Table::new(aws_sdk_dynamodb::Client::from_conf(config), TABLE);
    let (graph, keyring) = (scenario.system.graph.clone(), scenario.system.cloud.keyring.clone());
    Connector::new(table, graph, keyring)
}

/// Returns the manage-campaign function whose calls to the table fail in this range, before or after their effect, and its
/// count of calls.
pub(super) fn dying_manage_campaign(
    scenario: &Scenario,
    crash_at: RangeInclusive<i64>,
    with_effect: bool,
) -> (ManageCampaign, Arc<AtomicI64>) {
    let calls = Arc::new(AtomicI64::new(0));
    let dying = CrashInterceptor { calls: calls.clone(), crash_at, with_effect };
    (ManageCampaign::new(dying_connector(scenario, dying), scenario.system.host.clone()), calls)
}

/// No call.
pub(super) const NEVER: RangeInclusive<i64> = i64::MAX..=i64::MAX;

/// Returns the auth-meta function whose calls to the table fail in this range, and its count of calls.
pub(super) fn crashing_auth_meta(
    scenario: &Scenario,
    crash_at: RangeInclusive<i64>,
) -> (AuthMeta, Arc<AtomicI64>) {
    let (connector, calls) = crashing_connector(scenario, crash_at);
    let settings = Settings {
        secrets: scenario.system.secrets.clone(),
        login: None,
        allowed_origins: AllowedOrigins::default(),
    };
    (AuthMeta::new(connector, scenario.system.host.clone(), settings), calls)
}
