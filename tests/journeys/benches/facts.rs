//! What facts cost: written, stored and read, on the embedded table. `cargo xtask bench facts` runs this in release mode.
//! The reference is a loop of the SDK that writes one item per ad and week, as a plain program would.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::time::Instant;

use anyhow::{Context, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use domain::dataset::Dataset;
use domain::date::{DateRange, IsoWeek};
use domain::entity::{EffectiveStatus, Entity, Level};
use domain::id::{AdAccountId, EntityId};
use domain::metrics::{Conversions, DayFacts, InsightsRow, Measures};
use domain::tenant::Tenant;
use facts::{BlockLevel, Rows};
use jiff::civil::Date;
use jiff::{SignedDuration, ToSpan};
use journeys::{Scenario, TODAY, options};
use local::cloud::TABLE;
use local::data::Data;
use local::tenant::tenant;
use query::Query;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use store::Table;
use store::account::AdAccount;
use store::chunk::{DayGaps, LeaseAttempt, RunTotals};
use store::entity::StoredEntity;
use store::fact::MeasuredDay;

/// Ads of each account, all of which deliver on every day, and its days.
const ACCOUNTS: [(u64, i32); 3] = [(200, 90), (1_000, 90), (10_000, 90)];
/// Ads of the account that is only written, for its memory.
const LARGE_ACCOUNT: (u64, i32) = (50_000, 7);
/// How often each query is asked.
const QUERIES: usize = 60;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let data = Data::Folder(folder.path().to_owned());
    let scenario = Scenario::with_options(options(data)).await?;
    let mut out = std::io::stdout();
    let reference = reference(&scenario).await?;
    writeln!(out, "written, in units of 1 KB and bytes per ad-day; peak memory of the whole process so far")?;
    writeln!(
        out,
        "{:>10}{:>6}{:>12}{:>10}{:>10}{:>10}{:>14}{:>10}",
        "ads", "days", "ad-days/s", "units", "bytes", "segments", "x reference", "peak MB"
    )?;
    for (ads, days) in ACCOUNTS.into_iter().chain([LARGE_ACCOUNT]) {
        let bench = Bench::new(&scenario, ads, days)?;
        let seconds = bench.write().await?;
        let (units, bytes, segments) = bench.stored().await?;
        let row_count = ads as f64 * f64::from(days);
        writeln!(
            out,
            "{ads:>10}{days:>6}{:>12.0}{:>10.4}{:>10.1}{segments:>10}{:>14.1}{:>10}",
            row_count / seconds,
            units / row_count,
            bytes / row_count,
            reference / (units / row_count),
            peak_megabytes()?
        )?;
        let seconds_again = bench.write().await?;
        writeln!(out, "{:>28.2} of the time when nothing has changed", seconds_again / seconds)?;
    }
    writeln!(out, "\nread, in milliseconds")?;
    writeln!(out, "{:>10}  {:<44}{:>8}{:>8}", "ads", "query", "p50", "p99")?;
    for (ads, days) in ACCOUNTS {
        Bench::new(&scenario, ads, days)?.read(&mut out).await?;
    }
    scenario.finish().await
}

/// Returns the most memory that this process has had.
fn peak_megabytes() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM")).context("no peak")?;
    Ok(line.split_whitespace().nth(1).context("no number")?.parse::<u64>()? / 1024)
}

struct Bench<'a> {
    table: &'a Table,
    scenario: &'a Scenario,
    workspace: Tenant,
    account: AdAccountId,
    ads: u64,
    range: DateRange,
}

/// Mixes bits: equal inputs give equal numbers.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)
}

fn id(n: u64) -> anyhow::Result<EntityId> {
    Ok((120_210_000_000_000_017 + n * 10_000).to_string().parse()?)
}

/// A row like those of an account with a pixel: eighteen action types, seven of them with values, four windows.
fn row(ad: u64, day: Date) -> anyhow::Result<InsightsRow> {
    let random = mix(ad * 1_000 + day.day_of_year().unsigned_abs() as u64);
    let impressions = 200 + random % 20_000;
    let purchases = Decimal::from(random >> 20 & 7);
    let value = Decimal::new((random >> 24 & 0xffff) as i64, 2);
    let count = |n: u64| Decimal::from(1 + (random >> (n % 40)) % 50);
    let actions = (0..18).map(|n| (format!("offsite_conversion.custom.{n:02}"), count(n)));
    let values = (0..7).map(|n| (format!("offsite_conversion.custom.{n:02}"), value));
    let window = Conversions { purchases: Some(purchases), purchase_value: Some(value), leads: None };
    let windows =
        ["1d_click", "7d_click", "28d_click", "1d_view"].map(|name| (name.to_owned(), window.clone()));
    let measures = Measures {
        impressions,
        clicks: impressions / 40,
        link_clicks: Some(impressions / 60),
        spend: Decimal::new((random >> 8 & 0xffff) as i64, 2),
        purchases: Some(purchases),
        purchase_value: Some(value),
        leads: None,
        by_window: windows.into(),
        actions: actions.collect(),
        action_values: values.collect(),
        ..Measures::default()
    };
    let reach = Some(impressions * 4 / 5);
    let attribution_setting = Some("7d_click_1d_view".to_owned());
    let facts = DayFacts { day, measures, reach, frequency: None, attribution_setting };
    let (adset, campaign) = (id(1_000_000 + ad / 3)?, id(2_000_000 + ad / 12)?);
    Ok(InsightsRow {
        ad: id(ad)?,
        adset,
        campaign,
        names: Default::default(),
        breakdowns: BTreeMap::new(),
        facts,
    })
}

impl<'a> Bench<'a> {
    fn new(scenario: &'a Scenario, ads: u64, days: i32) -> anyhow::Result<Self> {
        Ok(Self {
            table: &scenario.system.table,
            scenario,
            workspace: tenant("demo")?,
            account: format!("act_{ads}").parse()?,
            ads,
            range: DateRange::ending(TODAY, days),
        })
    }

    /// Measures every day, and returns the seconds that the store took for it: not those for making up rows.
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
    async fn write(&self) -> anyhow::Result<f64> {
        let (ws, act) = (&self.workspace, &self.account);
        let mut seconds = 0.0;
        for week in self.range.weeks() {
            let (chunk, now) = ((Dataset::AD_DAY, week), self.scenario.system.clock.now());
            self.table.plan_chunk(ws, act, chunk, self.range, now).await?;
            let until = now + SignedDuration::from_mins(3);
            let LeaseAttempt::Acquired(mut lease) =
                self.table.lease_chunk(ws, act, chunk, now, until).await?
            else {
                anyhow::bail!("{week} is not planned");
            };
            for day in week.range().days_within(self.range) {
                let mut rows = Rows::new(BlockLevel::Ad);
                for ad in 0..self.ads {
                    let row = row(ad, day)?;
                    let began = Instant::now();
                    rows.push(&row);
                    seconds += began.elapsed().as_secs_f64();
                }
                let began = Instant::now();
                let measured = MeasuredDay { day, measured_at: now, rows: &rows, gaps: DayGaps::default() };
                self.table.publish_day(ws, act, &mut lease, measured).await?;
                seconds += began.elapsed().as_secs_f64();
            }
            self.table.complete_chunk(&lease, &RunTotals::default(), now).await?;
        }
        Ok(seconds)
    }

    /// Stores the ads, ad sets and campaigns, as a first sync does.
    async fn write_entities(&self) -> anyhow::Result<()> {
        let entity = |level, n: u64, name: &str| -> anyhow::Result<StoredEntity> {
            let entity = Entity {
                name: Some(format!("{name} {n}")),
                effective_status: Some(EffectiveStatus::Active),
                ..Entity::new(level, id(n)?)
            };
            Ok(StoredEntity { entity, fetch_number: 1, hidden: false })
        };
        for (level, first, per_ad, name) in [
            (Level::Ad, 0, 1, "Video"),
            (Level::AdSet, 1_000_000, 3, "Broad"),
            (Level::Campaign, 2_000_000, 12, "Sales"),
        ] {
            let all = (0..self.ads.div_ceil(per_ad)).map(|n| entity(level, first + n, name));
            let all = all.collect::<anyhow::Result<Vec<_>>>()?;
            self.table.upsert_entities(&self.workspace, &self.account, level, all).await?;
        }
        Ok(())
    }

    /// Returns the write units of one measurement, and the bytes and segments that are stored of it.
    async fn stored(&self) -> anyhow::Result<(f64, f64, usize)> {
        let (mut units, mut bytes, mut segments) = (0, 0, 0);
        for week in self.range.weeks() {
            let pk = format!("WS#demo#{}#FACTS#ad_day#{week}", self.account);
            let query = self.scenario.system.cloud.dynamodb.query().table_name(TABLE);
            let query = query.key_condition_expression("pk = :pk");
            let query = query.expression_attribute_values(":pk", AttributeValue::S(pk));
            let items: Vec<_> = query.into_paginator().items().send().collect::<Result<_, _>>().await?;
            for item in &items {
                units += size(item).div_ceil(1024);
                bytes += size(item);
            }
            segments += items.len();
            // Planned, leased and completed; and a publication for each day.
            units += 3 + week.range().days_within(self.range).count();
        }
        Ok((units as f64, bytes as f64, segments))
    }

    async fn read(&self, out: &mut impl Write) -> anyhow::Result<()> {
        self.write_entities().await?;
        let ad = id(self.ads / 2)?;
        let all =
            ["spend", "impressions", "clicks", "ctr", "cpm", "purchases", "purchase_value", "roas", "leads"];
        let days = |count: i32| DateRange::ending(TODAY, count);
        let document = |mut document: Value, days: DateRange| -> anyhow::Result<Query> {
            document["range"] = json!({"since": days.since, "until": days.until});
            Ok(serde_json::from_value(document)?)
        };
        let queries = [
            (
                "account by day, 90 days",
                document(json!({"level": "account", "measures": all, "dimensions": ["day"]}), days(90))?,
            ),
            (
                "campaigns, 30 days, with the 30 before",
                document(
                    json!({"level": "campaign", "measures": all, "compare": "previous_period"}),
                    days(30),
                )?,
            ),
            (
                "one ad by day, 90 days",
                document(
                    json!({"level": "ad", "measures": all, "dimensions": ["day"], "filters": [{"field": "ad", "op": "in", "value": [ad]}]}),
                    days(90),
                )?,
            ),
            (
                "page of ads, 30 days",
                document(json!({"level": "ad", "measures": all, "limit": 50}), days(30))?,
            ),
            (
                "page of ads, searched and sorted by name",
                document(
                    json!({"level": "ad", "measures": all, "limit": 50, "order": [{"by": "name", "direction": "asc"}], "filters": [{"field": "name", "op": "contains", "value": "7"}]}),
                    days(30),
                )?,
            ),
            (
                "page of ads with sparklines",
                document(
                    json!({"level": "ad", "measures": all, "limit": 50, "sparklines": ["spend"]}),
                    days(30),
                )?,
            ),
            (
                "page of ads with every action type",
                document(
                    json!({"level": "ad", "measures": all, "limit": 50, "include": ["actions"]}),
                    days(30),
                )?,
            ),
        ];
        for (name, query) in queries {
            let mut times = Vec::new();
            for _ in 0..if self.ads > 5_000 { QUERIES / 3 } else { QUERIES } {
                times.push(self.time(&query).await?);
            }
            times.sort_by(f64::total_cmp);
            let (p50, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
            writeln!(out, "{:>10}  {name:<44}{p50:>8.1}{p99:>8.1}", self.ads)?;
        }
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
    async fn time(&self, query: &Query) -> anyhow::Result<f64> {
        let table = self.table.eventually_consistent();
        let account = ad_account(&self.account)?;
        let began = Instant::now();
        let answer =
            query::execute(&table, &self.workspace, std::slice::from_ref(&account), query, None).await?;
        ensure!(!answer.rows.is_empty(), "nothing was read");
        let shown: Vec<_> =
            answer.rows.iter().map(|row| row.numbers.values(&query.measures, query.details())).collect();
        ensure!(!serde_json::to_vec(&shown)?.is_empty(), "nothing is shown");
        Ok(began.elapsed().as_secs_f64() * 1000.0)
    }
}

/// The ad account as the table has it.
fn ad_account(id: &AdAccountId) -> anyhow::Result<AdAccount> {
    Ok(serde_json::from_value(json!({
        "id": id, "connection": "c", "currency": "SGD", "timezone": "Asia/Singapore", "accessible": true, "selected": true,
    }))?)
}

/// Returns the size of an item as DynamoDB counts it, nearly.
fn size(item: &HashMap<String, AttributeValue>) -> usize {
    fn of(value: &AttributeValue) -> usize {
        match value {
            AttributeValue::S(text) => text.len(),
            AttributeValue::N(digits) => digits.len() / 2 + 1,
            AttributeValue::B(bytes) => bytes.as_ref().len(),
            AttributeValue::L(list) => 3 + list.iter().map(|value| 1 + of(value)).sum::<usize>(),
            AttributeValue::M(map) => {
                3 + map.iter().map(|(name, value)| 1 + name.len() + of(value)).sum::<usize>()
            }
            _ => 1,
        }
    }
    item.iter().map(|(name, value)| name.len() + of(value)).sum()
}

/// Writes one item per ad and week, and returns its write units per ad-day.
async fn reference(scenario: &Scenario) -> anyhow::Result<f64> {
    let week = IsoWeek::of(TODAY.saturating_sub(14.days()));
    let (mut units, mut row_count) = (0, 0);
    for ad in 0..200 {
        let mut days = BTreeMap::new();
        for day in week.range().days_within(week.range()) {
            days.insert(day.to_string(), row(ad, day)?.facts);
            row_count += 1;
        }
        let mut item: HashMap<String, AttributeValue> = serde_dynamo::aws_sdk_dynamodb_1::to_item(&days)?;
        item.insert("pk".to_owned(), AttributeValue::S("REFERENCE".to_owned()));
        item.insert("sk".to_owned(), AttributeValue::S(format!("{week}#{}", id(ad)?)));
        units += size(&item).div_ceil(1024);
        let client = &scenario.system.cloud.dynamodb;
        client.put_item().table_name(TABLE).set_item(Some(item)).send().await?;
    }
    Ok(f64::from(u32::try_from(units)?) / f64::from(row_count))
}
