//! Guarantees of the table, on the embedded DynamoDB.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use auth_meta::rotation::{Rotation, RotationStatus};
use domain::dataset::Dataset;
use domain::date::{DateRange, Grain, IsoWeek};
use domain::decision::Decision;
use domain::entity::{Entity, Level};
use domain::id::EntityId;
use domain::job::{Job, WebhookChange};
use domain::metrics::{DayFacts, InsightsRow, Measures};
use domain::platform::Platform;
use facts::{BlockLevel, Columns, Grouping, Rows, Selection};
use jiff::{SignedDuration, Timestamp};
use journeys::{Scenario, TODAY};
use local::calls::Recorders;
use local::cloud::Cloud;
use local::data::Data;
use local::tenant::tenant;
use query::{FactQuery, sum_facts};
use runtime::Clock;
use runtime::env::Env;
use rust_decimal::Decimal;
use store::StoreError;
use store::chunk::{Chunk, ChunkState, DayGaps, Lease, LeaseAttempt, RunTotals};
use store::decision::DecisionClaim;
use store::entity::{StoredEntity, UpsertResult};
use store::fact::{MeasuredDay, PublishedDay};
use store::fact_reader::FactSelection;
use store::inbox::Claim;

use crate::crash::{restore_table, table_items};
use crate::query_oracle::mix;

/// A day's rows: these ads, each with so many impressions.
fn rows(ads: Range<u64>, impressions: u64) -> Rows {
    let mut rows = Rows::new(BlockLevel::Ad);
    for ad in ads {
        let id = |n: u64| n.to_string().parse().unwrap();
        let measures = Measures {
            impressions,
            actions: [("lead".to_owned(), (impressions * ad).into())].into(),
            ..Measures::default()
        };
        let facts =
            DayFacts { day: TODAY, measures, reach: None, frequency: None, attribution_setting: None };
        rows.push(&InsightsRow {
            names: Default::default(),
            breakdowns: BTreeMap::new(),
            ad: id(ad),
            adset: id(50_000 + ad / 3),
            campaign: id(60_000 + ad / 12),
            facts,
        });
    }
    rows
}

async fn publish(scenario: &Scenario, lease: &mut Lease, rows: &Rows) -> Result<PublishedDay, StoreError> {
    let (ws, act) = (tenant("demo").unwrap(), "act_9".parse().unwrap());
    let measured_at = scenario.system.clock.now();
    let day = MeasuredDay { day: TODAY, measured_at, rows, gaps: DayGaps::default() };
    scenario.system.table.publish_day(&ws, &act, lease, day).await
}

/// Returns what is stored of today: the rows of ads, and the impressions of all campaigns.
async fn stored(scenario: &Scenario, objects: &Selection) -> (Vec<InsightsRow>, u64) {
    let (ws, act) = (tenant("demo").unwrap(), "act_9".parse().unwrap());
    let range = DateRange { since: TODAY, until: TODAY };
    let (dataset, level) = (Dataset::AD_DAY, BlockLevel::Ad);
    let table = &scenario.system.table;
    let chunks = table.chunks_of(&ws, &act, dataset, range).await.unwrap();
    let selection = FactSelection { dataset, range, weekdays: None, level, with_detail: true, objects };
    let mut reader = table.read_facts(&ws, &act, &chunks, selection);
    let mut rows = Vec::new();
    while let Some(blocks) = reader.next().await.unwrap() {
        for block in blocks.decode() {
            rows.extend(block.unwrap().to_rows(blocks.day).unwrap());
        }
    }
    let query = FactQuery {
        dataset,
        range,
        weekdays: None,
        grouping: Grouping { level: Level::Account, grain: Grain::All, breakdowns: Vec::new() },
        objects: Selection::default(),
        columns: Columns::Only(["impressions".to_owned()].into()),
    };
    let sums = sum_facts(table, &ws, &act, &chunks, query).await.unwrap();
    let account = sums.find(None, None).map(|group| sums.measures(group).unwrap());
    (rows, account.map_or(0, |account| account.impressions))
}

async fn plan(scenario: &Scenario) -> Chunk {
    let (ws, act) = (tenant("demo").unwrap(), "act_9".parse().unwrap());
    let today = DateRange { since: TODAY, until: TODAY };
    let chunk = (Dataset::AD_DAY, IsoWeek::of(TODAY));
    scenario.system.table.plan_chunk(&ws, &act, chunk, today, scenario.system.clock.now()).await.unwrap()
}

async fn acquire_lease(scenario: &Scenario, now: Timestamp) -> LeaseAttempt {
    let (ws, act) = (tenant("demo").unwrap(), "act_9".parse().unwrap());
    let until = now + SignedDuration::from_mins(3);
    let chunk = (Dataset::AD_DAY, IsoWeek::of(TODAY));
    scenario.system.table.lease_chunk(&ws, &act, chunk, now, until).await.unwrap()
}

fn expect_lease(result: LeaseAttempt) -> Lease {
    match result {
        LeaseAttempt::Acquired(lease) => *lease,
        other => panic!("not leased: {other:?}"),
    }
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_can_publish_nothing() {
    let scenario = Scenario::start().await.unwrap();
    let table = &scenario.system.table;
    let (ws, act) = (tenant("demo").unwrap(), "act_9".parse().unwrap());
    let now = scenario.system.clock.now();
    assert!(matches!(acquire_lease(&scenario, now).await, LeaseAttempt::NotNeeded), "never planned");
    plan(&scenario).await;

    let mut slow = expect_lease(acquire_lease(&scenario, now).await);
    assert!(matches!(acquire_lease(&scenario, now).await, LeaseAttempt::Held { .. }));
    let later = now + SignedDuration::from_mins(4);
    let mut quick = expect_lease(acquire_lease(&scenario, later).await);
    publish(&scenario, &mut quick, &rows(7..8, 200)).await.unwrap();
    assert_eq!(table.complete_chunk(&quick, &RunTotals::default(), later).await.unwrap(), ChunkState::Done);

    // The slow worker continues with what it fetched long ago.
    let stale = publish(&scenario, &mut slow, &rows(7..8, 100)).await;
    assert!(matches!(stale, Err(StoreError::Conflict)), "{stale:?}");
    assert!(matches!(table.record_chunk_progress(&slow, 1, later).await, Err(StoreError::Conflict)));
    let late = table.complete_chunk(&slow, &RunTotals { pages: 5, ..RunTotals::default() }, later).await;
    assert!(matches!(late, Err(StoreError::Conflict)));
    table.release_chunk(&slow).await.unwrap();
    let (rows, of_campaigns) = stored(&scenario, &Selection::default()).await;
    assert_eq!((rows[0].facts.measures.impressions, of_campaigns), (200, 200));
    assert_eq!(table.chunks(&ws, &act).await.unwrap()[0].state, ChunkState::Done);
    assert!(
        matches!(acquire_lease(&scenario, later).await, LeaseAttempt::NotNeeded),
        "a late message finds it done"
    );
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_day_that_is_requested_again_during_a_run_is_measured_again_after_it() {
    let scenario = Scenario::start().await.unwrap();
    let table = &scenario.system.table;
    let now = scenario.system.clock.now();
    plan(&scenario).await;
    let mut lease = expect_lease(acquire_lease(&scenario, now).await);
    let planned = plan(&scenario).await;
    assert_eq!((planned.state, planned.requested), (ChunkState::Running, 2));
    publish(&scenario, &mut lease, &rows(0..1, 1)).await.unwrap();
    assert_eq!(table.complete_chunk(&lease, &RunTotals::default(), now).await.unwrap(), ChunkState::Planned);
    let mut second = expect_lease(acquire_lease(&scenario, now).await);
    assert!(second.chunk.is_due(TODAY), "what was measured answers the first request only");
    assert!(!second.chunk.is_due(TODAY.yesterday().unwrap()), "nobody asked for it");
    publish(&scenario, &mut second, &rows(0..1, 1)).await.unwrap();
    assert!(!second.chunk.is_due(TODAY));
    assert_eq!(table.complete_chunk(&second, &RunTotals::default(), now).await.unwrap(), ChunkState::Done);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn what_a_run_left_of_a_deleted_account_is_deleted_by_its_message() {
    let scenario = Scenario::start().await.unwrap();
    plan(&scenario).await;
    let mut lease = expect_lease(acquire_lease(&scenario, scenario.system.clock.now()).await);
    publish(&scenario, &mut lease, &rows(0..3, 3)).await.unwrap();
    let facts = async || {
        let items = table_items(&scenario).await;
        items.iter().filter(|item| item["pk"].as_s().unwrap().contains("#FACTS#")).count()
    };
    assert_eq!(facts().await, 3);
    let (workspace, week) = (tenant("demo").unwrap(), IsoWeek::of(TODAY));
    // Seen before the account was connected again, and its week planned.
    let (account, before) =
        ("act_9".parse().unwrap(), scenario.system.clock.now() - SignedDuration::from_secs(9));
    let (table, chunk) = (&scenario.system.table, (Dataset::AD_DAY, week));
    table
        .delete_orphaned_facts(&workspace, &account, chunk, before.as_millisecond().unsigned_abs())
        .await
        .unwrap();
    assert_eq!(facts().await, 3, "they belong to the new account");

    // A later job finds no account.
    scenario.system.clock.advance(SignedDuration::from_secs(9));
    let job = Job::SyncChunk { workspace, ad_account: account, dataset: chunk.0, week };
    scenario.system.host.queues.send(&[job]).await.unwrap();
    scenario.system.runner.settle().await.unwrap();
    assert_eq!(facts().await, 0);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_day_of_more_rows_than_a_segment_holds_is_stored_in_shards_that_are_read_one_by_one() {
    let scenario = Scenario::start().await.unwrap();
    let table = &scenario.system.table;
    let (ws, act) = (tenant("demo").unwrap(), "act_9".parse().unwrap());
    plan(&scenario).await;
    let now = scenario.system.clock.now();
    let small = Dataset { segment_bytes: 2_000, ..Dataset::AD_DAY };
    let chunk = (small, IsoWeek::of(TODAY));
    let lease = table.lease_chunk(&ws, &act, chunk, now, now + SignedDuration::from_mins(3)).await.unwrap();
    let mut lease = expect_lease(lease);
    let first = publish(&scenario, &mut lease, &rows(0..3_000, 3)).await.unwrap();
    assert!(first.written > 8, "{first:?}");
    let unchanged = publish(&scenario, &mut lease, &rows(0..3_000, 3)).await.unwrap();
    assert_eq!(unchanged, PublishedDay { written: 0, unchanged: first.written });
    let (all, of_campaigns) = stored(&scenario, &Selection::default()).await;
    assert_eq!((all.len(), of_campaigns), (3_000, 9_000));
    assert_eq!(
        all.iter().map(|row| row.facts.measures.actions["lead"]).sum::<Decimal>(),
        (3 * 2_999 * 1_500).into()
    );
    let one = Selection::only(Level::Ad, [&"17".parse().unwrap()]);
    let (shard, _) = stored(&scenario, &one).await;
    assert!(shard.len() < 1_500 && shard.iter().any(|row| row.ad.as_str() == "17"), "{}", shard.len());

    // Rows vanish at the platform, then all of them.
    publish(&scenario, &mut lease, &rows(0..10, 3)).await.unwrap();
    assert_eq!(stored(&scenario, &Selection::default()).await.0.len(), 10);
    publish(&scenario, &mut lease, &rows(0..0, 3)).await.unwrap();
    assert_eq!(stored(&scenario, &Selection::default()).await, (Vec::new(), 0));
    scenario.finish().await.unwrap();
}

fn campaign(id: u64, name: &str, fetch_number: u64) -> StoredEntity {
    let id = id.to_string().parse().unwrap();
    let entity = Entity { name: Some(name.to_owned()), ..Entity::new(Level::Campaign, id) };
    StoredEntity { entity, fetch_number, hidden: false }
}

#[tokio::test]
async fn the_index_has_every_entity_as_it_is_stored_whoever_writes_and_folds_at_the_same_time() {
    let scenario = Scenario::start().await.unwrap();
    let table = &scenario.system.table;
    let (ws, act) = (tenant("demo").unwrap(), "act_9".parse().unwrap());
    let level = Level::Campaign;
    // Names that hardly compress, so that a few thousand entities are many blocks.
    let name = |id: u64, fetch: u64| {
        (0..8).map(|n| format!("{:016x}", mix(id * 977 + fetch * 31 + n))).collect::<String>()
    };
    let many =
        |ids: Range<u64>, fetch| ids.map(|id| campaign(id, &name(id, fetch), fetch)).collect::<Vec<_>>();
    let assert_equal = async |count: usize| {
        let mut listed = table.entities(&ws, &act, level).await.unwrap();
        listed.sort_by(|a, b| a.entity.id.cmp(&b.entity.id));
        let ids: Vec<EntityId> = listed.iter().map(|stored| stored.entity.id.clone()).collect();
        let mut stored = table.entities_by_id(&ws, &act, level, &ids).await.unwrap();
        stored.sort_by(|a, b| a.entity.id.cmp(&b.entity.id));
        assert_eq!((listed.len(), listed == stored), (count, true));
    };
    let blocks = async || {
        let items = table_items(&scenario).await.into_iter();
        let items = items.map(|item| (item["sk"].as_s().unwrap().clone(), item));
        let of_index = items.filter(|(key, _)| key.starts_with("INDEX#campaign#"));
        of_index.partition::<BTreeMap<_, _>, _>(|(key, _)| !key.contains('!'))
    };

    // A new account: few entities are changes, many are blocks.
    table.upsert_entities(&ws, &act, level, many(0..20, 1)).await.unwrap();
    assert_eq!((blocks().await.0.len(), blocks().await.1.len()), (0, 20));
    table.upsert_entities(&ws, &act, level, many(0..800, 2)).await.unwrap();
    let (few, changes) = blocks().await;
    assert!(few.len() >= 2 && changes.is_empty(), "{} blocks, {} changes", few.len(), changes.len());
    assert_equal(800).await;

    // Single writers and two syncs at the same time, all in any order.
    let single = async |n: u64| {
        let (id, fetch) = (mix(n) % 820, 3 + mix(n + 1_000) % 40);
        table.upsert_entity(&ws, &act, &campaign(id, &name(id, fetch), fetch)).await.unwrap();
    };
    let sync = |fetch| table.upsert_entities(&ws, &act, level, many(0..810, fetch));
    let singles = futures_util::future::join_all((0..300).map(single));
    let (_, first, second) = futures_util::join!(singles, sync(20), sync(21));
    assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
    let count = table.entities(&ws, &act, level).await.unwrap().len();
    assert_equal(count).await;

    // It grows into more blocks, and leaves no old ones.
    table.upsert_entities(&ws, &act, level, many(800..3_000, 50)).await.unwrap();
    let (grown, changes) = blocks().await;
    let bits = |key: &str| key.rsplit('#').next().unwrap()[..2].to_owned();
    let all: BTreeSet<_> = grown.keys().map(|key| bits(key)).collect();
    assert!(grown.len() > few.len() && all.len() == 1 && changes.is_empty(), "{all:?}");
    assert_equal(3_000).await;

    // What is found again as it was is not written again.
    table.fold_entities(&ws, &act, level, &many(0..100, 0)).await.unwrap();
    assert_eq!(blocks().await.0, grown);

    // The writer of a later state stopped before the index had it: whoever finds the entities again mends the index.
    for found in [2_990..3_000, 0..3_000] {
        let mut items = table_items(&scenario).await;
        items.retain(|item| !item["sk"].as_s().unwrap().starts_with("INDEX#campaign#"));
        restore_table(&scenario, &items).await;
        let count = found.clone().count();
        assert_eq!(table.upsert_entities(&ws, &act, level, many(found, 0)).await.unwrap(), 0);
        assert_equal(count).await;
    }
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn an_object_shown_by_an_earlier_fetch_does_not_replace_a_later_one() {
    let scenario = Scenario::start().await.unwrap();
    let table = &scenario.system.table;
    let (ws, act) = (tenant("demo").unwrap(), "act_9".parse().unwrap());
    let (early, late) =
        (table.begin_fetch(&ws, &act).await.unwrap(), table.begin_fetch(&ws, &act).await.unwrap());
    let object = |name: &str, fetch_number| campaign(5, name, fetch_number);
    assert_eq!(table.upsert_entity(&ws, &act, &object("new", late)).await.unwrap(), UpsertResult::Written);
    assert_eq!(table.upsert_entity(&ws, &act, &object("old", early)).await.unwrap(), UpsertResult::Stale);
    let stored = table.entity(&ws, &act, Level::Campaign, &"5".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(stored.entity.name.as_deref(), Some("new"));
    let accounts = table.account_refs(Platform::Meta, &"5".parse().unwrap()).await.unwrap();
    assert_eq!(accounts[0].ad_account, act);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn of_concurrent_deliveries_one_claims_a_change_and_an_abandoned_claim_is_taken_over() {
    let scenario = Scenario::start().await.unwrap();
    let table = &scenario.system.table;
    let ws = tenant("demo").unwrap();
    let change = WebhookChange {
        digest: "d".to_owned(),
        object: "ad_account".to_owned(),
        field: "in_process_ad_objects".to_owned(),
        time: 1,
        subject: None,
        unreadable: None,
    };
    let claim = async |now| table.claim(&ws, &change, now).await.unwrap();
    let now = scenario.system.clock.now();
    let claims = tokio::join!(claim(now), claim(now), claim(now));
    let ours = [claims.0, claims.1, claims.2].into_iter().filter(|claim| *claim == Claim::Acquired).count();
    assert_eq!(ours, 1, "{claims:?}");
    let Claim::InProgress { until } = claim(now).await else { panic!("it is in progress") };
    assert!(until > now);

    // The claim's worker died: its lease has expired.
    let claims = tokio::join!(claim(until), claim(until));
    let ours = [claims.0, claims.1].into_iter().filter(|claim| *claim == Claim::Acquired).count();
    assert_eq!(ours, 1, "{claims:?}");

    table.mark_processed(&ws, &change.digest).await.unwrap();
    assert_eq!(claim(until + SignedDuration::from_hours(1)).await, Claim::Processed);
    scenario.finish().await.unwrap();
}

/// With as many connections as `CONNECTIONS` says; the embedded table takes six minutes to write 100,000.
#[tokio::test]
async fn work_over_all_connections_goes_on_where_it_ended() {
    let (clock, local) = (Clock::system(), Data::Memory.secrets().unwrap());
    // Without a runner, which would do the queued work.
    let cloud = Cloud::start(&Data::Memory, &local, &clock, 30, Recorders::default()).await.unwrap();
    let table = &cloud.table;
    let text = |text: String| aws_sdk_dynamodb::types::AttributeValue::S(text);
    let count: usize = Env::optional("CONNECTIONS").map_or(4_000, |count| count.parse().unwrap());
    let requests: Vec<_> = (0..count)
        .map(|n| {
            let (workspace, connection) = (format!("w-{:05}", n / 3), format!("meta-{n}"));
            let put = aws_sdk_dynamodb::types::Put::builder().table_name("adflight");
            let put = put
                .item("pk", text("CONNECTIONS".to_owned()))
                .item("sk", text(format!("WS#{workspace}#{connection}")))
                .item("workspace", text(workspace))
                .item("connection", text(connection));
            aws_sdk_dynamodb::types::TransactWriteItem::builder().put(put.build().unwrap()).build()
        })
        .collect();
    for some in requests.chunks(100) {
        cloud.dynamodb.transact_write_items().set_transact_items(Some(some.to_vec())).send().await.unwrap();
    }
    let (mut seen, mut after, mut runs) = (std::collections::BTreeSet::new(), None, 0);
    loop {
        let (page, next) = table.connections_after(after.as_deref(), 500).await.unwrap();
        assert!(page.len() <= 500);
        seen.extend(page.iter().map(|one| format!("{}#{}", one.workspace, one.connection)));
        runs += 1;
        after = next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((seen.len(), runs), (count, count.div_ceil(500)), "each once, and none twice");

    // A rotation of the keys goes through all of them, too, in invocations of bounded work.
    let rotation = Rotation::new(table.clone(), cloud.keyring.clone(), cloud.queues.clone(), clock.clone());
    rotation.begin().await.unwrap();
    clock.advance(SignedDuration::from_mins(11));
    let (mut pass, mut runs) = (None, 0);
    while let RotationStatus::Resealing { next, .. } = rotation.advance(pass).await.unwrap() {
        pass = next;
        runs += 1;
        assert!(pass.is_some(), "nothing holds the old key");
    }
    assert_eq!(runs + 1, count.div_ceil(2_000));
}

#[tokio::test]
async fn of_two_evaluations_at_the_same_moment_one_decides() {
    let scenario = Scenario::start().await.unwrap();
    let (table, now) = (&scenario.system.table, scenario.system.clock.now());
    let workspace = tenant("demo").unwrap();
    let decision = |outcome: &str| -> Decision {
        let json = serde_json::json!({
            "rule": "r", "rule_name": "Stop", "ad_account": "act_1", "level": "campaign", "entity": "1", "day": "2026-11-20",
            "window": {"since": "2026-11-13", "until": "2026-11-19"}, "value": "2", "impressions": 1, "spend": "2",
            "condition": {"measure": "spend", "window": "last_7_days", "operator": "above", "value": "1"},
            "action": {"type": "pause"}, "outcome": outcome, "at": now,
        });
        serde_json::from_value(json).unwrap()
    };
    let record = async |outcome| table.record_decision(&workspace, &decision(outcome), now).await.unwrap();
    assert_eq!(record("insufficient_data").await, DecisionClaim::Acquired);
    assert_eq!(record("pending").await, DecisionClaim::Acquired, "there were too few data before");
    assert_eq!(record("pending").await, DecisionClaim::AlreadyDecided);
    scenario.finish().await.unwrap();
}
