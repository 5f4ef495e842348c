//! Sums that are computed row by row from what each ad has on each day: the reference for answers to queries.

use std::collections::{BTreeMap, HashMap};

use domain::date::DateRange;
use jiff::ToSpan;
use jiff::civil::Date;
use journeys::{Scenario, TODAY};
use rust_decimal::Decimal;
use serde_json::{Value, json};

/// Days that the rows here have.
pub(super) const DAYS: i32 = 60;

/// What an ad has on a day.
struct DayOfAd {
    day: Date,
    campaign: String,
    adset: String,
    ad: String,
    numbers: BTreeMap<&'static str, Decimal>,
}

/// The measures of which the others are computed.
const ADDITIVE: [&str; 9] = [
    "impressions",
    "clicks",
    "link_clicks",
    "spend",
    "purchases",
    "purchase_value",
    "leads",
    "add_to_cart",
    "thruplays",
];

pub(super) fn decimal(value: &Value) -> Option<Decimal> {
    match value {
        Value::Null => None,
        Value::String(text) => text.parse().ok(),
        number => number.to_string().parse().ok(),
    }
}

/// The account as its lists and its rows by ad and day show it.
pub(super) struct World {
    pub(super) account: String,
    rows: Vec<DayOfAd>,
    /// Campaigns, ad sets and ads by their ids.
    entities: HashMap<(&'static str, String), Value>,
}

impl World {
    pub(super) async fn read(scenario: &Scenario) -> Self {
        let account = scenario.account().unwrap();
        let api = scenario.api().unwrap();
        let since = TODAY.saturating_sub((DAYS - 1).days());
        let path =
            format!("ad-accounts/{account}/insights?level=ad&increment=day&since={since}&until={TODAY}");
        let text = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
        let rows = api.all(&path).await.unwrap();
        let rows = rows.iter().map(|row| DayOfAd {
            day: row["date_start"].as_str().unwrap().parse().unwrap(),
            campaign: text(row, "campaign_id"),
            adset: text(row, "adset_id"),
            ad: text(row, "id"),
            numbers: ADDITIVE
                .into_iter()
                .filter_map(|name| Some((name, decimal(&row["measures"][name])?)))
                .collect(),
        });
        let mut entities = HashMap::new();
        for (level, path) in [("campaign", "campaigns"), ("adset", "adsets"), ("ad", "ads")] {
            for entity in api.all(&format!("ad-accounts/{account}/{path}")).await.unwrap() {
                entities.insert((level, text(&entity, "id")), entity);
            }
        }
        Self { account, rows: rows.collect(), entities }
    }

    fn entity(&self, level: &'static str, id: &str) -> &Value {
        &self.entities[&(level, id.to_owned())]
    }

    /// The rows of a document, by what tells them apart, and their numbers.
    pub(super) fn expected(
        &self,
        document: &Value,
        range: DateRange,
    ) -> BTreeMap<String, BTreeMap<&'static str, Decimal>> {
        let level = document["level"].as_str().unwrap();
        let dimensions: Vec<_> = list(&document["dimensions"]);
        let mut rows = BTreeMap::<String, BTreeMap<&'static str, Decimal>>::new();
        let grain = dimensions.iter().find(|name| GRAINS.contains(name)).copied();
        // Without days, what has not delivered has a row of zeros.
        if grain.is_none() {
            let all = self
                .entities
                .iter()
                .filter(|((of, _), _)| *of == if level == "account" { "campaign" } else { level });
            for ((_, id), entity) in all {
                let path = |field: &str| entity[field].as_str().unwrap_or(id).to_owned();
                let (campaign, adset) = (path("campaign_id"), path("adset_id"));
                if level != "account" || !dimensions.is_empty() {
                    let place = Place { campaign: &campaign, adset: &adset, ad: id };
                    if self.passes(document, &place) {
                        rows.entry(self.key(level, &dimensions, &place, None)).or_default();
                    }
                }
            }
            if level == "account" && dimensions.is_empty() {
                rows.entry(self.key(level, &dimensions, &Place { campaign: "", adset: "", ad: "" }, None))
                    .or_default();
            }
        }
        for row in &self.rows {
            let place = Place { campaign: &row.campaign, adset: &row.adset, ad: &row.ad };
            if !range.contains(row.day) || !self.passes(document, &place) {
                continue;
            }
            let bucket = grain.map(|grain| bucket(grain, row.day));
            let sums = rows.entry(self.key(level, &dimensions, &place, bucket)).or_default();
            for (name, value) in &row.numbers {
                *sums.entry(name).or_default() += value;
            }
        }
        rows
    }

    fn key(&self, level: &str, dimensions: &[&str], place: &Place<'_>, bucket: Option<String>) -> String {
        let mut key = place.id(level).unwrap_or_default().to_owned();
        for dimension in dimensions {
            let value = match *dimension {
                "objective" => self.attribute("campaign", place.campaign, "objective"),
                name if GRAINS.contains(&name) => bucket.clone().unwrap(),
                name => match level {
                    "account" | "campaign" => self.attribute("campaign", place.campaign, name),
                    "adset" => self.attribute("adset", place.adset, name),
                    _ => self.attribute("ad", place.ad, name),
                },
            };
            key += &format!(" {dimension}={value}");
        }
        key
    }

    fn attribute(&self, level: &'static str, id: &str, name: &str) -> String {
        self.entity(level, id)[name].as_str().unwrap().to_owned()
    }

    fn passes(&self, document: &Value, place: &Place<'_>) -> bool {
        let level = document["level"].as_str().unwrap();
        document["filters"].as_array().unwrap().iter().all(|filter| {
            let (op, values) = (filter["op"].as_str().unwrap(), list(&filter["value"]));
            let of_entity = |name: &str| match level {
                "account" | "campaign" => self.attribute("campaign", place.campaign, name),
                "adset" => self.attribute("adset", place.adset, name),
                _ => self.attribute("ad", place.ad, name),
            };
            let value = match filter["field"].as_str().unwrap() {
                "campaign" => place.campaign.to_owned(),
                "objective" => self.attribute("campaign", place.campaign, "objective"),
                "effective_status" => of_entity("effective_status"),
                "name" => {
                    let text = filter["value"].as_str().unwrap().to_lowercase();
                    return of_entity("name").to_lowercase().contains(&text) == (op == "contains");
                }
                _ => return true,
            };
            values.contains(&value.as_str()) == (op == "in")
        })
    }
}

/// Where a row is.
struct Place<'a> {
    campaign: &'a str,
    adset: &'a str,
    ad: &'a str,
}

impl Place<'_> {
    fn id(&self, level: &str) -> Option<&str> {
        match level {
            "campaign" => Some(self.campaign),
            "adset" => Some(self.adset),
            "ad" => Some(self.ad),
            _ => None,
        }
    }
}

const GRAINS: [&str; 4] = ["day", "week", "month", "weekday"];

pub(super) fn list(value: &Value) -> Vec<&str> {
    value.as_array().map(|values| values.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

fn bucket(grain: &str, day: Date) -> String {
    let monday = day.saturating_sub(i32::from(day.weekday().to_monday_zero_offset()).days());
    match grain {
        "day" => day.to_string(),
        "week" => monday.to_string(),
        "month" => day.first_of_month().to_string(),
        _ => day.strftime("%A").to_string().to_lowercase(),
    }
}

/// A measure of sums, as its definition says.
pub(super) fn measure(name: &str, sums: &BTreeMap<&'static str, Decimal>) -> Option<Decimal> {
    let of = |name: &str| {
        let always = ["impressions", "clicks", "spend"].contains(&name);
        sums.get(name).copied().or(always.then_some(Decimal::ZERO))
    };
    let ratio = |above: Option<Decimal>, below: &str, places| {
        Some(above?.checked_div(of(below)?)?.round_dp(places).normalize())
    };
    match name {
        "ctr" => ratio(of("clicks"), "impressions", 8),
        "cpm" => ratio(of("spend").map(|spend| spend * Decimal::ONE_THOUSAND), "impressions", 6),
        "cpc" => ratio(of("spend"), "clicks", 6),
        "roas" => ratio(of("purchase_value"), "spend", 6),
        "cost_per_purchase" => ratio(of("spend"), "purchases", 6),
        "conversion_rate" => ratio(of("purchases"), "link_clicks", 8),
        "profit" => Some(of("purchase_value")? - of("spend")?),
        name => of(name),
    }
}

const MEASURES: [&str; 13] = [
    "spend",
    "impressions",
    "purchases",
    "roas",
    "ctr",
    "cpm",
    "cpc",
    "profit",
    "leads",
    "conversion_rate",
    "cost_per_purchase",
    "add_to_cart",
    "thruplays",
];

/// The finisher of splitmix64: documents are the same in every run.
pub(super) fn mix(value: u64) -> u64 {
    let value = (value + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

/// Makes up a document, without a range.
pub(super) fn document(seed: u64, world: &World) -> Value {
    let draw = |n: u64, of: usize| (mix(seed * 31 + n) % of as u64) as usize;
    let level = ["account", "campaign", "adset", "ad"][draw(1, 4)];
    let measures: Vec<_> =
        (0..1 + draw(2, 4)).map(|n| MEASURES[draw(3 + n as u64, MEASURES.len())]).collect();
    let mut dimensions = Vec::new();
    if draw(10, 2) == 0 {
        dimensions.push(GRAINS[draw(11, 4)]);
    }
    if draw(12, 3) == 0 {
        dimensions.push(["objective", "effective_status"][draw(13, 2)]);
    }
    let mut campaigns: Vec<_> =
        world.entities.keys().filter(|(level, _)| *level == "campaign").map(|(_, id)| id.clone()).collect();
    campaigns.sort();
    let some: Vec<_> = campaigns.iter().skip(draw(14, 4)).step_by(1 + draw(15, 3)).collect();
    let mut filters = Vec::new();
    let among = ["in", "not_in"][draw(16, 2)];
    match draw(17, 5) {
        0 => filters.push(json!({"field": "campaign", "op": among, "value": some})),
        1 => filters.push(json!({"field": "objective", "op": among, "value": ["OUTCOME_SALES"]})),
        2 => filters.push(json!({"field": "effective_status", "op": among, "value": ["ACTIVE", "PAUSED"]})),
        3 => filters
            .push(json!({"field": "name", "op": (["contains", "not_contains"][draw(18, 2)]), "value": "a"})),
        _ => {}
    }
    if draw(19, 3) == 0 {
        let op = ["gt", "gte", "lt", "lte"][draw(20, 4)];
        filters.push(
            json!({"field": measures[0], "op": op, "value": (["0", "0.02", "3.5", "120"][draw(21, 4)])}),
        );
    }
    json!({
        "level": level, "measures": measures, "dimensions": dimensions, "filters": filters,
        "order": [{"by": measures[0], "direction": (["asc", "desc"][draw(22, 2)])}],
        "limit": 1 + draw(23, 60),
    })
}

pub(super) fn in_range(number: Decimal, filter: &Value) -> bool {
    let value: Decimal = filter["value"].as_str().unwrap().parse().unwrap();
    match filter["op"].as_str().unwrap() {
        "gt" => number > value,
        "gte" => number >= value,
        "lt" => number < value,
        _ => number <= value,
    }
}
