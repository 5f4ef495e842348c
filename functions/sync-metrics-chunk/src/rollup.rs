//! Rolls a week's rows up into items: one per ad, and the sums per ad set, campaign and account.

use std::collections::BTreeMap;

use domain::Error;
use domain::date::IsoWeek;
use domain::entity::Level;
use domain::id::{AdAccountId, EntityId};
use domain::metrics::{DayFacts, InsightsRow, Measures};
use jiff::civil::Date;
use store::fact::WeekFacts;

/// Returns every item of a week. Of a row that Meta repeats on two pages, the later one counts.
pub(crate) fn rollup(
    account: &AdAccountId,
    week: IsoWeek,
    rows: Vec<InsightsRow>,
) -> Result<Vec<WeekFacts>, Error> {
    let account = EntityId::from(account);
    let rows: BTreeMap<(EntityId, Date), InsightsRow> =
        rows.into_iter().map(|row| ((row.ad.clone(), row.facts.day), row)).collect();
    let mut weeks: BTreeMap<(Level, EntityId), WeekFacts> = BTreeMap::new();
    for row in rows.into_values() {
        let parents = [
            (Level::Account, &account, None),
            (Level::Campaign, &row.campaign, None),
            (Level::AdSet, &row.adset, Some(&row.campaign)),
        ];
        for (level, id, campaign) in parents {
            let sums = weeks
                .entry((level, id.clone()))
                .or_insert_with(|| empty(level, id.clone(), campaign.cloned(), None, week));
            add(sums, row.facts.day, &row.facts.measures);
        }
        weeks
            .entry((Level::Ad, row.ad.clone()))
            .or_insert_with(|| empty(Level::Ad, row.ad, Some(row.campaign), Some(row.adset), week))
            .days
            .push(row.facts);
    }
    for facts in weeks.values_mut() {
        facts.days.sort_by_key(|day| day.day);
    }
    Ok(weeks.into_values().collect())
}

fn empty(
    level: Level,
    id: EntityId,
    campaign_id: Option<EntityId>,
    adset_id: Option<EntityId>,
    week: IsoWeek,
) -> WeekFacts {
    WeekFacts { level, id, campaign_id, adset_id, week, days: Vec::new() }
}

/// Adds the additive measures. Reach and frequency are left out: Meta was not asked for them at this level.
fn add(sums: &mut WeekFacts, day: Date, measures: &Measures) {
    match sums.days.iter_mut().find(|facts| facts.day == day) {
        Some(facts) => facts.measures += measures,
        None => sums.days.push(DayFacts {
            day,
            measures: measures.clone(),
            reach: None,
            frequency: None,
            attribution_setting: None,
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    use super::*;

    fn row(ad: u8, day: i8, cents: i64) -> InsightsRow {
        let id = |n: u8| n.to_string().parse::<EntityId>().unwrap();
        InsightsRow {
            ad: id(100 + ad),
            adset: id(50 + ad / 2),
            campaign: id(10 + ad / 4),
            facts: DayFacts {
                day: jiff::civil::date(2026, 11, 16 + day),
                measures: Measures { impressions: 7, spend: Decimal::new(cents, 2), ..Measures::default() },
                reach: Some(5),
                frequency: None,
                attribution_setting: None,
            },
        }
    }

    fn of_level(weeks: &[WeekFacts], level: Level) -> Decimal {
        let days = weeks.iter().filter(|facts| facts.level == level).flat_map(|facts| &facts.days);
        days.map(|day| day.measures.spend).sum()
    }

    proptest! {
        #[test]
        fn every_level_sums_to_the_same_cent(rows in proptest::collection::vec((0u8..16, 0i8..7, 0i64..100_000), 0..60)) {
            let rows: Vec<_> = rows.into_iter().map(|(ad, day, cents)| row(ad, day, cents)).collect();
            let account = "act_1".parse().unwrap();
            let week = "2026-W47".parse().unwrap();
            let weeks = rollup(&account, week, rows.clone()).unwrap();
            let repeated = rollup(&account, week, [rows.clone(), rows].concat()).unwrap();
            prop_assert_eq!(&weeks, &repeated);
            let total = of_level(&weeks, Level::Ad);
            for level in [Level::AdSet, Level::Campaign, Level::Account] {
                prop_assert_eq!(of_level(&weeks, level), total);
            }
            for facts in &weeks {
                prop_assert!(facts.days.windows(2).all(|pair| pair[0].day < pair[1].day));
                prop_assert!(facts.level == Level::Ad || facts.days.iter().all(|day| day.reach.is_none()));
            }
        }
    }
}
