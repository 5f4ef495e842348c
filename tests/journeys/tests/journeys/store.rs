//! Guarantees of the table, on the embedded DynamoDB.

use auth_meta::rotation::{Rotation, RotationStatus};
use domain::entity::{Entity, Level};
use domain::job::WebhookChange;
use domain::metrics::{DayFacts, Measures};
use domain::platform::Platform;
use jiff::{SignedDuration, Timestamp};
use journeys::{Scenario, TODAY};
use local::cloud::Cloud;
use local::data::Data;
use local::tenant::tenant;
use runtime::Clock;
use runtime::env::Env;
use store::StoreError;
use store::chunk::{ChunkState, Lease, LeaseAttempt, RunTotals};
use store::entity::{StoredEntity, UpsertResult};
use store::fact::{FactChange, WeekFacts};
use store::inbox::Claim;

fn facts(week: domain::date::IsoWeek, impressions: u64) -> FactChange {
    let measures = Measures { impressions, ..Measures::default() };
    let day = DayFacts {
        day: week.range().since,
        measures,
        reach: None,
        frequency: None,
        attribution_setting: None,
    };
    FactChange::Put(WeekFacts {
        level: Level::Ad,
        id: "7".parse().unwrap(),
        campaign_id: None,
        adset_id: None,
        week,
        days: vec![day],
    })
}

async fn acquire_lease(scenario: &Scenario, now: Timestamp) -> LeaseAttempt {
    let (ws, act) = (tenant("demo").unwrap(), "act_9".parse().unwrap());
    let week = domain::date::IsoWeek::of(TODAY);
    let until = now + SignedDuration::from_mins(3);
    scenario.system.table.lease_chunk(&ws, &act, week, now, until).await.unwrap()
}

fn expect_lease(result: LeaseAttempt) -> Lease {
    match result {
        LeaseAttempt::Acquired(lease) => lease,
        other => panic!("not leased: {other:?}"),
    }
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_can_write_nothing() {
    let scenario = Scenario::start().await.unwrap();
    let table = &scenario.system.table;
    let (ws, act) = (tenant("demo").unwrap(), "act_9".parse().unwrap());
    let week = domain::date::IsoWeek::of(TODAY);
    let now = scenario.system.clock.now();
    assert!(matches!(acquire_lease(&scenario, now).await, LeaseAttempt::NotNeeded), "never planned");
    table.plan_chunk(&ws, &act, week).await.unwrap();

    let slow = expect_lease(acquire_lease(&scenario, now).await);
    assert!(matches!(acquire_lease(&scenario, now).await, LeaseAttempt::Held { .. }));
    let later = now + SignedDuration::from_mins(4);
    let quick = expect_lease(acquire_lease(&scenario, later).await);
    table.write_facts(&ws, &act, week, &quick, &[facts(week, 200)]).await.unwrap();
    assert_eq!(table.complete_chunk(&quick, &RunTotals::default(), later).await.unwrap(), ChunkState::Done);

    // The slow worker continues with what it fetched long ago.
    let stale = table.write_facts(&ws, &act, week, &slow, &[facts(week, 100)]).await;
    assert!(matches!(stale, Err(StoreError::Conflict)), "{stale:?}");
    assert!(matches!(table.record_chunk_progress(&slow, 1, later).await, Err(StoreError::Conflict)));
    let late = table.complete_chunk(&slow, &RunTotals { rows: 5, ..RunTotals::default() }, later).await;
    assert!(matches!(late, Err(StoreError::Conflict)));
    table.release_chunk(&slow).await.unwrap();
    let stored = table.facts(&ws, &act, Level::Ad, week.range()).await.unwrap();
    assert_eq!(stored[0].days[0].measures.impressions, 200);
    assert_eq!(table.chunks(&ws, &act).await.unwrap()[0].state, ChunkState::Done);
    assert!(
        matches!(acquire_lease(&scenario, later).await, LeaseAttempt::NotNeeded),
        "a late message finds it done"
    );
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_chunk_that_is_requested_again_during_a_run_is_planned_again_after_it() {
    let scenario = Scenario::start().await.unwrap();
    let table = &scenario.system.table;
    let (ws, act) = (tenant("demo").unwrap(), "act_9".parse().unwrap());
    let week = domain::date::IsoWeek::of(TODAY);
    let now = scenario.system.clock.now();
    table.plan_chunk(&ws, &act, week).await.unwrap();
    let lease = expect_lease(acquire_lease(&scenario, now).await);
    let planned = table.plan_chunk(&ws, &act, week).await.unwrap();
    assert_eq!((planned.state, planned.requested), (ChunkState::Running, 2));
    assert_eq!(table.complete_chunk(&lease, &RunTotals::default(), now).await.unwrap(), ChunkState::Planned);
    let second = expect_lease(acquire_lease(&scenario, now).await);
    assert_eq!(table.complete_chunk(&second, &RunTotals::default(), now).await.unwrap(), ChunkState::Done);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn more_changes_than_a_transaction_holds_are_all_written() {
    let scenario = Scenario::start().await.unwrap();
    let table = &scenario.system.table;
    let (ws, act) = (tenant("demo").unwrap(), "act_9".parse().unwrap());
    let week = domain::date::IsoWeek::of(TODAY);
    table.plan_chunk(&ws, &act, week).await.unwrap();
    let lease = expect_lease(acquire_lease(&scenario, scenario.system.clock.now()).await);
    let changes: Vec<_> = (0..250)
        .map(|n| match facts(week, n) {
            FactChange::Put(facts) => {
                FactChange::Put(WeekFacts { id: n.to_string().parse().unwrap(), ..facts })
            }
            vanished => vanished,
        })
        .collect();
    table.write_facts(&ws, &act, week, &lease, &changes).await.unwrap();
    assert_eq!(table.facts(&ws, &act, Level::Ad, week.range()).await.unwrap().len(), 250);
    let gone: Vec<_> =
        (0..250).map(|n: u64| FactChange::Delete(Level::Ad, n.to_string().parse().unwrap())).collect();
    table.write_facts(&ws, &act, week, &lease, &gone).await.unwrap();
    assert!(table.facts(&ws, &act, Level::Ad, week.range()).await.unwrap().is_empty());
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn an_object_shown_by_an_earlier_fetch_does_not_replace_a_later_one() {
    let scenario = Scenario::start().await.unwrap();
    let table = &scenario.system.table;
    let (ws, act) = (tenant("demo").unwrap(), "act_9".parse().unwrap());
    let (early, late) =
        (table.begin_fetch(&ws, &act).await.unwrap(), table.begin_fetch(&ws, &act).await.unwrap());
    let object = |name: &str, fetch_number| StoredEntity {
        entity: Entity {
            level: Level::Campaign,
            id: "5".parse().unwrap(),
            campaign_id: None,
            adset_id: None,
            name: Some(name.to_owned()),
            status: None,
            effective_status: None,
            objective: None,
            daily_budget: None,
            lifetime_budget: None,
            created_time: None,
            issues: Vec::new(),
            review_feedback: Vec::new(),
        },
        fetch_number,
        hidden: false,
    };
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
    let cloud = Cloud::start(&Data::Memory, &local, &clock, 30, None).await.unwrap();
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
