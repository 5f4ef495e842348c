//! A million facts, read under faults and restated meanwhile: they equal Meta's to the cent, each once.

use std::collections::HashMap;

use domain::dataset::Dataset;
use domain::date::{DateRange, Grain};
use domain::entity::Level;
use domain::job::Job;
use domain::tenant::Tenant;
use facts::{BlockLevel, Columns, Grouping, Selection, Sums};
use graph_sim::{
    Area, ErrorResponse, FaultKind, FaultPlan, FaultRule, Generator, Limits, PagingQuirks, RequestMatcher,
    ThrottleKind, Trigger,
};
use jiff::ToSpan;
use jiff::civil::Date;
use journeys::TODAY;
use local::tenant::tenant;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use store::fact_reader::FactSelection;

use crate::faults::Fixture;

/// How many of a thousand reads of numbers meet each fault.
fn faults() -> FaultPlan {
    let late = FaultKind::Delay { millis: 2_000 };
    let rule = |(per_mille, what)| {
        let when = Trigger { per_mille, ..Trigger::default() };
        FaultRule { when, matcher: RequestMatcher::reads(Area::Insights), what }
    };
    let kinds = [
        (50, FaultKind::ErrorResponse(ErrorResponse::new(2, None).status(500).transient(true))),
        (20, FaultKind::Throttle { limit: ThrottleKind::Insights, minutes: 1 }),
        (10, late),
        (10, FaultKind::Truncated),
        (10, FaultKind::RepeatedPage),
    ];
    FaultPlan { seed: 1, rules: kinds.into_iter().map(rule).collect() }
}

/// Spend, impressions and clicks of an ad on a day.
type Facts = (Decimal, u64, u64);

fn at_meta(fixture: &Fixture, day: Date) -> HashMap<String, Facts> {
    let facts = |row: &Value| {
        let text = |name: &str| row[name].as_str().unwrap();
        let facts = (
            text("spend").parse().unwrap(),
            text("impressions").parse().unwrap(),
            text("clicks").parse().unwrap(),
        );
        (text("ad_id").to_owned(), facts)
    };
    fixture.sim.insights_rows(day, day).iter().map(facts).collect()
}

/// Reads a day as queries do. A day that has an ad twice is refused by the count of its rows.
async fn stored(fixture: &Fixture, workspace: &Tenant, day: Date) -> HashMap<String, Facts> {
    let (table, dataset, range) =
        (&fixture.access.table, Dataset::AD_DAY, DateRange { since: day, until: day });
    let chunks = table.chunks_of(workspace, &fixture.account, dataset, range).await.unwrap();
    let objects = &Selection::default();
    let level = BlockLevel::Ad;
    let selection = FactSelection { dataset, range, level, with_detail: false, weekdays: None, objects };
    let mut reader = table.read_facts(workspace, &fixture.account, &chunks, selection);
    let grouping = Grouping { level: Level::Ad, grain: Grain::Day, breakdowns: Vec::new() };
    let mut sums = Sums::new(grouping, Columns::All);
    let mut rows = 0;
    while let Some(blocks) = reader.next().await.unwrap() {
        for block in blocks.decode().map(Result::unwrap) {
            rows += block.len();
            sums.add(day, &block, objects).unwrap();
        }
    }
    assert_eq!(rows, sums.groups().len(), "{day}: an ad is there twice");
    let facts = (0..rows).map(|number| {
        let measures = sums.measures(number).unwrap();
        let id = sums.groups()[number].id.clone().unwrap();
        (id.to_string(), (measures.spend, measures.impressions, measures.clicks))
    });
    facts.collect()
}

#[tokio::test]
#[ignore = "takes minutes: cargo xtask nightly faults"]
async fn a_million_facts_under_faults_equal_metas_to_the_cent() {
    let account = Generator {
        campaigns: 250,
        adsets: 2_000,
        ads: 11_200,
        days: 90,
        every_day: true,
        ..Generator::new(TODAY)
    };
    let fixture = Fixture::with(account, PagingQuirks::default(), Limits::default()).await;
    let workspace = tenant("million").unwrap();
    fixture.connect(&workspace).await;
    fixture.sim.set_plan(faults());
    for (number, job) in fixture.jobs(&workspace).into_iter().enumerate() {
        fixture.deliver(job).await.unwrap();
        if number == 7 {
            // Days that were read already, and days that were not.
            for (ad, back) in at_meta(&fixture, TODAY).into_keys().take(500).zip((0..88).cycle()) {
                fixture.sim.restate(&ad, TODAY - back.days(), json!({"spend": "7.77", "clicks": "3"}));
            }
        }
    }
    // All of it again, as every day of the last 28 is.
    let now = fixture.clock.now();
    let table = &fixture.access.table;
    for job in fixture.jobs(&workspace).into_iter().skip(1) {
        let Job::SyncChunk { week, .. } = &job else { continue };
        let chunk = (Dataset::AD_DAY, *week);
        table.plan_chunk(&workspace, &fixture.account, chunk, fixture.range, now).await.unwrap();
        fixture.deliver(job).await.unwrap();
    }
    fixture.sim.set_plan(FaultPlan::default());

    let mut facts = 0;
    for day in fixture.range.days_within(fixture.range) {
        let (ours, metas) = (stored(&fixture, &workspace, day).await, at_meta(&fixture, day));
        assert!(ours == metas, "{day}: {} of ours, {} of Meta's", ours.len(), metas.len());
        facts += ours.len();
    }
    let chunks = table.chunks(&workspace, &fixture.account).await.unwrap();
    let written = chunks.iter().map(|chunk| chunk.written).sum::<u64>();
    println!("{facts} facts, {} faults, {written} segments written again", fixture.sim.faults_injected());
    assert!(facts > 1_000_000, "{facts}");
    assert!(fixture.sim.faults_injected() > 100, "{} faults", fixture.sim.faults_injected());
}
