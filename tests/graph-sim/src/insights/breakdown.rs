//! Breakdowns: rows split by audience, placement and time.

use serde_json::{Map, Value};

use super::measures::Unique;
use crate::error::{GraphError, invalid};
use crate::generator::SeededRng;
use crate::params::Params;

/// The values of a breakdown with their usual weights.
type Values = &'static [(&'static str, u64)];

const AGES: Values = &[("18-24", 14), ("25-34", 31), ("35-44", 26), ("45-54", 16), ("55-64", 9), ("65+", 4)];
const GENDERS: Values = &[("female", 55), ("male", 43), ("unknown", 2)];
const COUNTRIES: Values = &[("SG", 62), ("MY", 21), ("ID", 9), ("AU", 5), ("US", 3)];
const REGIONS: Values =
    &[("Central Singapore", 41), ("North East", 24), ("South West", 19), ("Selangor", 11), ("Unknown", 5)];
const MARKETS: Values =
    &[("New York", 38), ("Los Angeles", 27), ("Chicago", 15), ("Dallas-Ft. Worth", 12), ("Unknown", 8)];
const DEVICES: Values = &[
    ("iphone", 41),
    ("android_smartphone", 39),
    ("desktop", 11),
    ("ipad", 4),
    ("android_tablet", 3),
    ("other", 2),
];
const DEVICE_PLATFORMS: Values = &[("mobile_app", 86), ("desktop", 10), ("mobile_web", 4)];
const PRODUCTS: Values =
    &[("SKU-1001, Espresso machine", 5), ("SKU-1002, Grinder", 3), ("SKU-1003, Travel mug", 2)];
const PLATFORMS: [(&str, Values); 4] = [
    (
        "facebook",
        &[("feed", 31), ("facebook_reels", 9), ("facebook_stories", 5), ("marketplace", 4), ("search", 1)],
    ),
    (
        "instagram",
        &[("feed", 18), ("instagram_reels", 13), ("instagram_stories", 11), ("instagram_explore", 3)],
    ),
    ("audience_network", &[("an_classic", 3), ("rewarded_video", 1)]),
    ("messenger", &[("messenger_stories", 1)]),
];
const HOUR_BREAKDOWNS: [&str; 2] =
    ["hourly_stats_aggregated_by_advertiser_time_zone", "hourly_stats_aggregated_by_audience_time_zone"];
const HOURS: [&str; 24] = [
    "00:00:00 - 00:59:59",
    "01:00:00 - 01:59:59",
    "02:00:00 - 02:59:59",
    "03:00:00 - 03:59:59",
    "04:00:00 - 04:59:59",
    "05:00:00 - 05:59:59",
    "06:00:00 - 06:59:59",
    "07:00:00 - 07:59:59",
    "08:00:00 - 08:59:59",
    "09:00:00 - 09:59:59",
    "10:00:00 - 10:59:59",
    "11:00:00 - 11:59:59",
    "12:00:00 - 12:59:59",
    "13:00:00 - 13:59:59",
    "14:00:00 - 14:59:59",
    "15:00:00 - 15:59:59",
    "16:00:00 - 16:59:59",
    "17:00:00 - 17:59:59",
    "18:00:00 - 18:59:59",
    "19:00:00 - 19:59:59",
    "20:00:00 - 20:59:59",
    "21:00:00 - 21:59:59",
    "22:00:00 - 22:59:59",
    "23:00:00 - 23:59:59",
];
/// Relative activity of people by hour, midnight first.
const HOUR_WEIGHTS: [u64; 24] =
    [12, 7, 4, 3, 3, 5, 14, 27, 38, 42, 44, 47, 52, 50, 46, 45, 47, 52, 60, 68, 72, 66, 47, 26];

/// Allowed combinations of breakdowns, from Meta's page "Combining breakdowns"; `device_platform`, the successor of
/// `dma` and their pairs are not on that page, but work.
const ALLOWED_COMBINATIONS: [&str; 18] = [
    "age",
    "gender",
    "age,gender",
    "country",
    "region",
    "dma",
    "comscore_market",
    "publisher_platform",
    "impression_device,publisher_platform",
    "platform_position,publisher_platform",
    "impression_device,platform_position,publisher_platform",
    "device_platform",
    "device_platform,publisher_platform",
    "device_platform,platform_position,publisher_platform",
    "product_id",
    HOUR_BREAKDOWNS[0],
    HOUR_BREAKDOWNS[1],
    "",
];
/// Action breakdowns that can be combined with nearly every breakdown.
const COMMON_ACTION_BREAKDOWNS: [&str; 4] =
    ["action_type", "action_target_id", "action_destination", "conversion_destination"];

/// How a breakdown treats actions that happen outside of Meta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OffMeta {
    Included,
    /// Meta does not report them by region and hour (type 1).
    Excluded,
    /// They are in a row without the breakdown's value (type 2).
    Separate,
}

/// One combination of values.
#[derive(Clone, Debug)]
struct Cell {
    labels: Vec<(&'static str, &'static str)>,
    weight: u64,
}

/// How a call splits its rows.
#[derive(Clone, Debug)]
pub(crate) struct Breakdown {
    /// A single cell without labels when nothing is split.
    cells: Vec<Cell>,
    off_meta: OffMeta,
    hourly: bool,
}

impl Breakdown {
    /// Reads `breakdowns` and rejects combinations, with each other or with these action breakdowns, that Meta does not
    /// allow.
    pub(crate) fn read(params: Params<'_>, action_breakdowns: &[String]) -> Result<Self, GraphError> {
        let mut names = params.names("breakdowns")?.unwrap_or_default();
        names.sort();
        names.dedup();
        let combined = names.join(",");
        if !names.iter().all(|name| is_known(name)) {
            return Err(invalid(format!("Param breakdowns: the simulator does not have {combined}")));
        }
        if !ALLOWED_COMBINATIONS.contains(&combined.as_str()) || !can_combine(&combined, action_breakdowns) {
            return Err(GraphError::new(
                2,
                format!(
                    "(#100) Current combination of data breakdown columns ({}) is invalid",
                    [names, action_breakdowns.to_vec()].concat().join(", ")
                ),
            )
            .subcode(1_504_041));
        }
        let hourly = HOUR_BREAKDOWNS.contains(&combined.as_str());
        let off_meta = match combined.as_str() {
            "region" | "dma" | "comscore_market" => OffMeta::Excluded,
            "product_id" => OffMeta::Separate,
            _ if hourly => OffMeta::Excluded,
            _ => OffMeta::Included,
        };
        Ok(Self { cells: cells(&names), off_meta, hourly })
    }

    /// Returns the breakdown that does not split rows.
    pub(crate) fn none() -> Self {
        Self { cells: cells(&[]), off_meta: OffMeta::Included, hourly: false }
    }

    /// Returns whether rows are split at all.
    pub(crate) fn divides(&self) -> bool {
        self.cells.iter().any(|cell| !cell.labels.is_empty())
    }

    pub(crate) fn hourly(&self) -> bool {
        self.hourly
    }

    pub(crate) fn drops_off_meta(&self) -> bool {
        self.off_meta != OffMeta::Included
    }

    /// Returns whether actions outside of Meta are in a row of their own, without labels.
    pub(crate) fn separates_off_meta(&self) -> bool {
        self.off_meta == OffMeta::Separate
    }

    /// Returns the cumulative impressions at the end of each cell: a cell's impressions are those between its entry and
    /// the one before.
    pub(crate) fn cumulative_impressions(
        &self,
        impressions: u64,
        ad_rng: SeededRng,
        day_rng: SeededRng,
    ) -> Vec<u64> {
        // Each ad has its own audience.
        let weights = self
            .cells
            .iter()
            .enumerate()
            .map(|(index, cell)| cell.weight * ad_rng.derive(index as u64).between(60, 140));
        let ends: Vec<u64> = weights
            .scan(0, |sum, weight| {
                *sum += weight;
                Some(*sum)
            })
            .collect();
        let all = ends.last().copied().unwrap_or(1).max(1);
        // Always rounding down would give all remainders to the last cell.
        let shift = day_rng.between(0, all - 1);
        ends.into_iter().map(|end| (impressions * end + shift) / all).collect()
    }

    /// Adds a cell's breakdown values to a row.
    pub(crate) fn label(&self, cell: usize, row: &mut Map<String, Value>) {
        for (name, value) in self.cells.get(cell).into_iter().flat_map(|cell| &cell.labels) {
            row.insert((*name).to_owned(), Value::String((*value).to_owned()));
        }
    }

    /// Returns the index of rows without labels, which come after all cells.
    pub(crate) fn unlabelled(&self) -> usize {
        self.cells.len()
    }

    /// Returns which counts of unique people Meta reports in a row; `in_detail` says whether the row begins within the
    /// detail retention period.
    pub(crate) fn unique(&self, in_detail: bool) -> Unique {
        match (self.hourly, in_detail || !self.divides()) {
            (true, _) => Unique::Zero,
            (false, true) => Unique::Known,
            (false, false) => Unique::Expired,
        }
    }
}

fn is_known(name: &str) -> bool {
    ALLOWED_COMBINATIONS.iter().any(|together| together.split(',').any(|known| known == name))
}

/// Returns whether the breakdowns can be combined with the action breakdowns.
fn can_combine(combined: &str, action_breakdowns: &[String]) -> bool {
    action_breakdowns.iter().all(|action_breakdown| match action_breakdown.as_str() {
        joined if COMMON_ACTION_BREAKDOWNS.contains(&joined) => true,
        "action_device" => combined
            .split(',')
            .all(|name| ["", "impression_device", "publisher_platform", "platform_position"].contains(&name)),
        "action_carousel_card_id" | "action_carousel_card_name" => {
            ["", "impression_device", "country", "age", "gender", "age,gender"].contains(&combined)
        }
        _ => combined.is_empty(),
    })
}

fn cells(names: &[String]) -> Vec<Cell> {
    let has = |name: &str| names.iter().any(|given| given == name);
    let mut cells = vec![Cell { labels: Vec::new(), weight: 1 }];
    if has("publisher_platform") {
        cells = placements(has("platform_position"));
    }
    for (name, values) in [
        ("age", AGES),
        ("gender", GENDERS),
        ("country", COUNTRIES),
        ("region", REGIONS),
        ("dma", MARKETS),
        ("comscore_market", MARKETS),
        ("impression_device", DEVICES),
        ("device_platform", DEVICE_PLATFORMS),
        ("product_id", PRODUCTS),
    ] {
        if has(name) {
            cells = join(&cells, name, values.iter().copied());
        }
    }
    for name in HOUR_BREAKDOWNS {
        if has(name) {
            cells = join(&cells, name, HOURS.into_iter().zip(HOUR_WEIGHTS));
        }
    }
    cells
}

fn join(
    cells: &[Cell],
    name: &'static str,
    values: impl Iterator<Item = (&'static str, u64)> + Clone,
) -> Vec<Cell> {
    let joined = cells.iter().flat_map(|cell| {
        values.clone().map(|(value, weight)| Cell {
            labels: [&cell.labels[..], &[(name, value)]].concat(),
            weight: cell.weight * weight,
        })
    });
    joined.collect()
}

/// Returns the cells of platforms, each optionally split by its own positions.
fn placements(positions: bool) -> Vec<Cell> {
    let platforms = PLATFORMS.into_iter().flat_map(|(platform, values)| {
        let all = [Cell {
            labels: vec![("publisher_platform", platform)],
            weight: values.iter().map(|(_, weight)| weight).sum(),
        }];
        if positions {
            let [only] = &all;
            let cell = Cell { labels: only.labels.clone(), weight: 1 };
            join(&[cell], "platform_position", values.iter().copied())
        } else {
            Vec::from(all)
        }
    });
    platforms.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn read(breakdowns: &str, action_breakdowns: &[&str]) -> Result<Breakdown, GraphError> {
        let params = BTreeMap::from([("breakdowns".to_owned(), breakdowns.to_owned())]);
        let joined: Vec<String> = action_breakdowns.iter().map(|name| (*name).to_owned()).collect();
        Breakdown::read(Params(&params), &joined)
    }

    #[test]
    fn only_what_goes_together_is_taken() {
        let invalid = |breakdowns: &str, joined: &[&str]| {
            read(breakdowns, joined).err().map(|error| (error.code, error.subcode))
        };
        assert_eq!(invalid("gender,age", &["action_target_id", "action_destination"]), None);
        assert_eq!(
            invalid(r#"["publisher_platform","platform_position","impression_device"]"#, &["action_device"]),
            None
        );
        assert_eq!(invalid("", &["action_reaction"]), None);
        for (breakdowns, joined) in [
            ("age,country", &[][..]),
            ("platform_position", &[]),
            ("age", &["action_device"]),
            ("country", &["action_reaction"]),
        ] {
            assert_eq!(invalid(breakdowns, joined), Some((2, Some(1_504_041))), "{breakdowns} {joined:?}");
        }
        assert_eq!(invalid("image_asset", &[]), Some((100, None)));
    }

    #[test]
    fn every_impression_is_in_one_cell() {
        let hours = read(HOUR_BREAKDOWNS[0], &[]).unwrap();
        for day in 0..50 {
            let ends = hours.cumulative_impressions(day * 7, SeededRng::new(1), SeededRng::new(day));
            assert_eq!((ends.len(), ends[23]), (24, day * 7));
            assert!(ends.is_sorted());
        }
        let placements = read("publisher_platform,platform_position", &[]).unwrap();
        let mut row = Map::new();
        placements.label(5, &mut row);
        assert_eq!(
            Value::Object(row),
            serde_json::json!({"publisher_platform": "instagram", "platform_position": "feed"})
        );
    }
}
