//! The table's promises, on the embedded DynamoDB.

use ads::job::WebhookChange;
use ads::metrics::{DayFacts, Measures};
use ads::object::{AdObject, Level};
use jiff::{SignedDuration, Timestamp};
use journeys::{Story, TODAY};
use local::system::tenant;
use store::StoreError;
use store::chunk::{ChunkState, Lease, LeaseAnswer, RunTotals};
use store::fact::{FactChange, WeekFacts};
use store::inbox::Taking;
use store::object::{Kept, KeptObject};

fn facts(week: ads::date::IsoWeek, impressions: u64) -> FactChange {
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

async fn take(story: &Story, now: Timestamp) -> LeaseAnswer {
    let (ws, act) = (tenant("demo").unwrap(), "act_9".parse().unwrap());
    let week = ads::date::IsoWeek::of(TODAY);
    let until = now + SignedDuration::from_mins(3);
    story.system.table.lease_chunk(&ws, &act, week, now, until).await.unwrap()
}

fn taken(answer: LeaseAnswer) -> Lease {
    match answer {
        LeaseAnswer::Taken(lease) => lease,
        other => panic!("not taken: {other:?}"),
    }
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_can_write_nothing() {
    let story = Story::begin().await.unwrap();
    let table = &story.system.table;
    let (ws, act) = (tenant("demo").unwrap(), "act_9".parse().unwrap());
    let week = ads::date::IsoWeek::of(TODAY);
    let now = story.system.clock.now();
    assert!(matches!(take(&story, now).await, LeaseAnswer::NothingToDo), "never planned");
    table.plan_chunk(&ws, &act, week).await.unwrap();

    let slow = taken(take(&story, now).await);
    assert!(matches!(take(&story, now).await, LeaseAnswer::Held { .. }));
    let later = now + SignedDuration::from_mins(4);
    let quick = taken(take(&story, later).await);
    table.write_facts(&ws, &act, week, &quick, &[facts(week, 200)]).await.unwrap();
    assert_eq!(table.complete_chunk(&quick, RunTotals::default(), later).await.unwrap(), ChunkState::Done);

    // The slow one wakes up with what it fetched long ago.
    let stale = table.write_facts(&ws, &act, week, &slow, &[facts(week, 100)]).await;
    assert!(matches!(stale, Err(StoreError::Conflict)), "{stale:?}");
    assert!(matches!(table.chunk_progress(&slow, 1, later).await, Err(StoreError::Conflict)));
    let late = table.complete_chunk(&slow, RunTotals { rows: 5, ..RunTotals::default() }, later).await;
    assert!(matches!(late, Err(StoreError::Conflict)));
    table.release_chunk(&slow, Some("late")).await.unwrap();
    let kept = table.facts(&ws, &act, Level::Ad, week.range()).await.unwrap();
    assert_eq!(kept[0].days[0].measures.impressions, 200);
    assert_eq!(table.chunks(&ws, &act).await.unwrap()[0].state, ChunkState::Done);
    assert!(matches!(take(&story, later).await, LeaseAnswer::NothingToDo), "a late message finds it done");
    story.end().await.unwrap();
}

#[tokio::test]
async fn a_week_that_is_wanted_again_during_a_run_is_planned_again_after_it() {
    let story = Story::begin().await.unwrap();
    let table = &story.system.table;
    let (ws, act) = (tenant("demo").unwrap(), "act_9".parse().unwrap());
    let week = ads::date::IsoWeek::of(TODAY);
    let now = story.system.clock.now();
    table.plan_chunk(&ws, &act, week).await.unwrap();
    let lease = taken(take(&story, now).await);
    let planned = table.plan_chunk(&ws, &act, week).await.unwrap();
    assert_eq!((planned.state, planned.requested), (ChunkState::Running, 2));
    assert_eq!(table.complete_chunk(&lease, RunTotals::default(), now).await.unwrap(), ChunkState::Planned);
    let second = taken(take(&story, now).await);
    assert_eq!(table.complete_chunk(&second, RunTotals::default(), now).await.unwrap(), ChunkState::Done);
    story.end().await.unwrap();
}

#[tokio::test]
async fn more_changes_than_a_transaction_holds_are_all_written() {
    let story = Story::begin().await.unwrap();
    let table = &story.system.table;
    let (ws, act) = (tenant("demo").unwrap(), "act_9".parse().unwrap());
    let week = ads::date::IsoWeek::of(TODAY);
    table.plan_chunk(&ws, &act, week).await.unwrap();
    let lease = taken(take(&story, story.system.clock.now()).await);
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
        (0..250).map(|n: u64| FactChange::Vanished(Level::Ad, n.to_string().parse().unwrap())).collect();
    table.write_facts(&ws, &act, week, &lease, &gone).await.unwrap();
    assert!(table.facts(&ws, &act, Level::Ad, week.range()).await.unwrap().is_empty());
    story.end().await.unwrap();
}

#[tokio::test]
async fn an_object_shown_by_an_earlier_fetch_does_not_replace_a_later_one() {
    let story = Story::begin().await.unwrap();
    let table = &story.system.table;
    let (ws, act) = (tenant("demo").unwrap(), "act_9".parse().unwrap());
    let (early, late) =
        (table.begin_fetch(&ws, &act).await.unwrap(), table.begin_fetch(&ws, &act).await.unwrap());
    let object = |name: &str, as_of| KeptObject {
        object: AdObject {
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
        },
        as_of,
        hidden: false,
    };
    assert_eq!(table.keep_object(&ws, &act, &object("new", late)).await.unwrap(), Kept::Written);
    assert_eq!(table.keep_object(&ws, &act, &object("old", early)).await.unwrap(), Kept::Outdated);
    let kept = table.object(&ws, &act, Level::Campaign, &"5".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(kept.object.name.as_deref(), Some("new"));
    let holders = table.holders("5").await.unwrap();
    assert_eq!(holders[0].ad_account, act);
    story.end().await.unwrap();
}

#[tokio::test]
async fn of_deliveries_in_the_same_instant_one_takes_a_change_and_one_that_broke_off_is_taken_over() {
    let story = Story::begin().await.unwrap();
    let table = &story.system.table;
    let ws = tenant("demo").unwrap();
    let change = WebhookChange {
        digest: "d".to_owned(),
        object: "ad_account".to_owned(),
        field: "in_process_ad_objects".to_owned(),
        time: 1,
        subject: None,
    };
    let take = async |now| table.take_change(&ws, &change, now).await.unwrap();
    let now = story.system.clock.now();
    let taken = tokio::join!(take(now), take(now), take(now));
    let ours = [taken.0, taken.1, taken.2].into_iter().filter(|taking| *taking == Taking::Ours).count();
    assert_eq!(ours, 1, "{taken:?}");
    let Taking::Elsewhere { until } = take(now).await else { panic!("it is in hand") };
    assert!(until > now);

    // It broke off: nothing says that its effect is under way.
    let taken = tokio::join!(take(until), take(until));
    let ours = [taken.0, taken.1].into_iter().filter(|taking| *taking == Taking::Ours).count();
    assert_eq!(ours, 1, "{taken:?}");

    table.change_is_done(&ws, &change.digest).await.unwrap();
    assert_eq!(take(until + SignedDuration::from_hours(1)).await, Taking::Done);
    story.end().await.unwrap();
}
