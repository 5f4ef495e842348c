//! `POST query` against sums that are computed here, row by row, from what each ad has on each day.

use std::collections::{BTreeMap, HashMap};

use domain::date::DateRange;
use http::Method;
use jiff::ToSpan;
use jiff::civil::Date;
use journeys::{Response, Scenario, TODAY};
use runtime::session::Role;
use rust_decimal::Decimal;
use serde_json::{Value, json};

/// Documents that are made up and compared.
const DOCUMENTS: u64 = 150;

/// Days that the rows here have.
const DAYS: i32 = 60;

pub(super) async fn ask(scenario: &Scenario, document: &Value) -> Response {
    let token = scenario.system.token("demo", Role::Viewer).unwrap();
    let path = "/v1/workspaces/demo/query";
    scenario.send(Method::POST, path, Some(&token), &[], Some(document.to_string())).await.unwrap()
}

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

fn decimal(value: &Value) -> Option<Decimal> {
    match value {
        Value::Null => None,
        Value::String(text) => text.parse().ok(),
        number => number.to_string().parse().ok(),
    }
}

/// The account as its lists and its rows by ad and day show it.
struct World {
    account: String,
    rows: Vec<DayOfAd>,
    /// Campaigns, ad sets and ads by their ids.
    entities: HashMap<(&'static str, String), Value>,
}

impl World {
    async fn read(scenario: &Scenario) -> Self {
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
    fn expected(
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

fn list(value: &Value) -> Vec<&str> {
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
fn measure(name: &str, sums: &BTreeMap<&'static str, Decimal>) -> Option<Decimal> {
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
fn document(seed: u64, world: &World) -> Value {
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

fn in_range(number: Decimal, filter: &Value) -> bool {
    let value: Decimal = filter["value"].as_str().unwrap().parse().unwrap();
    match filter["op"].as_str().unwrap() {
        "gt" => number > value,
        "gte" => number >= value,
        "lt" => number < value,
        _ => number <= value,
    }
}

/// Reads all pages of a document.
async fn answers(scenario: &Scenario, document: &Value) -> (Vec<Value>, Value) {
    let (mut rows, mut document) = (Vec::new(), document.clone());
    loop {
        let response = ask(scenario, &document).await;
        assert_eq!(response.status, 200, "{document}: {}", response.text);
        let mut page = response.json();
        let Value::Array(data) = page["data"].take() else { panic!("no rows") };
        assert!(data.len() as u64 <= document["limit"].as_u64().unwrap_or(100));
        rows.extend(data);
        match page["after"].as_str() {
            Some(after) => document["after"] = after.into(),
            None => return (rows, page),
        }
    }
}

#[tokio::test]
async fn any_document_is_answered_to_the_cent() {
    let scenario = Scenario::synced().await.unwrap();
    let world = World::read(&scenario).await;
    let (mut compared, mut filtered) = (0, 0);
    for seed in 0..DOCUMENTS {
        let mut document = document(seed, &world);
        let until = TODAY.saturating_sub((mix(seed) % 20).cast_signed().days());
        let range = DateRange::ending(until, 1 + (mix(seed + 1) % 38) as i32);
        document["range"] = json!({"since": range.since, "until": range.until});
        let (rows, last) = answers(&scenario, &document).await;

        let mut expected = world.expected(&document, range);
        let all = expected.len();
        let mut unknown = 0;
        for filter in
            document["filters"].as_array().unwrap().iter().filter(|filter| filter["value"].is_string())
        {
            let Some(name) = filter["field"].as_str().filter(|name| *name != "name") else { continue };
            expected.retain(|_, sums| match measure(name, sums) {
                Some(number) => in_range(number, filter),
                None => {
                    unknown += 1;
                    false
                }
            });
        }
        filtered += all - expected.len();
        let dimensions = list(&document["dimensions"]);
        let measures = list(&document["measures"]);
        let mut found = BTreeMap::new();
        for row in &rows {
            assert_eq!(row["ad_account"], world.account.as_str());
            let mut key = row["id"].as_str().unwrap_or_default().to_owned();
            for dimension in &dimensions {
                key += &format!(" {dimension}={}", row["dimensions"][*dimension].as_str().unwrap());
            }
            assert!(found.insert(key, row).is_none(), "{document}: a row twice");
        }
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            expected.keys().collect::<Vec<_>>(),
            "{document}: other rows"
        );
        for (key, sums) in &expected {
            for name in &measures {
                let shown = decimal(&found[key]["measures"][*name]);
                assert_eq!(shown, measure(name, sums), "{document}: {name} of {key}");
                compared += 1;
            }
        }
        // Ordered by the first measure, unknown ones last.
        let numbers: Vec<_> = rows.iter().map(|row| decimal(&row["measures"][measures[0]])).collect();
        let known: Vec<_> = numbers.iter().flatten().copied().collect();
        assert!(
            numbers.iter().skip_while(|number| number.is_some()).all(Option::is_none),
            "{document}: {numbers:?}"
        );
        let is_sorted = match document["order"][0]["direction"].as_str() {
            Some("asc") => known.is_sorted(),
            _ => known.is_sorted_by(|a, b| a >= b),
        };
        assert!(is_sorted, "{document}: {known:?}");
        // Totals are those of all pages.
        let mut sums = BTreeMap::<&'static str, Decimal>::new();
        for (name, value) in expected.values().flatten() {
            *sums.entry(name).or_default() += value;
        }
        assert_eq!(last["totals"]["rows"], expected.len(), "{document}");
        assert_eq!(last["unknown_rows"], unknown, "{document}");
        for name in measures.iter().filter(|_| !expected.is_empty()) {
            assert_eq!(
                decimal(&last["totals"]["measures"][*name]),
                measure(name, &sums),
                "{document}: total {name}"
            );
        }
    }
    assert!(compared > 2_000 && filtered > 200, "{compared} numbers, {filtered} filtered rows");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn several_ad_accounts_are_asked_at_once_and_their_currencies_never_added() {
    let scenario = Scenario::synced().await.unwrap();
    let api = scenario.api().unwrap();
    let accounts = api.call(Method::GET, "ad-accounts", None).await.unwrap();
    let yen =
        accounts["data"].as_array().unwrap().iter().find(|account| account["currency"] == "JPY").unwrap();
    let (sgd, yen) = (scenario.account().unwrap(), yen["id"].as_str().unwrap().to_owned());
    let selection = format!("ad-accounts/{yen}/selection");
    api.call(Method::PUT, &selection, Some(&json!({"selected": true}))).await.unwrap();
    scenario.system.runner.settle().await.unwrap();

    let document = json!({
        "level": "account", "measures": ["spend", "impressions", "cpm"],
        "range": {"since": "2026-11-06", "until": "2026-11-19"}, "compare": "previous_period",
    });
    let with = |name: &str, value: Value| {
        let mut document = document.clone();
        document[name] = value;
        document
    };
    // All accounts that are selected: dollars and yen.
    let problem = ask(&scenario, &document).await;
    assert_eq!(
        (problem.status.as_u16(), problem.json()["errors"][0]["field"].as_str()),
        (400, Some("convert"))
    );
    for (document, field) in [
        (with("ad_accounts", json!(["act_404"])), "ad_accounts"),
        (with("convert", json!({"to": "USD", "rates": {"SGD": "0.75"}})), "convert.rates"),
        (with("convert", json!({"to": "USD", "rates": {"SGD": "0"}})), "convert.rates.SGD"),
    ] {
        let problem = ask(&scenario, &document).await;
        assert_eq!(
            (problem.status.as_u16(), problem.json()["errors"][0]["field"].as_str()),
            (400, Some(field))
        );
    }
    let alone = async |account: &str| {
        let answer = ask(&scenario, &with("ad_accounts", json!([account]))).await.json();
        assert_eq!(answer["data"].as_array().unwrap().len(), 1, "{answer}");
        answer
    };
    let (first, second) = (alone(&sgd).await, alone(&yen).await);
    assert_eq!((first["currency"].as_str(), second["currency"].as_str()), (Some("SGD"), Some("JPY")));

    let rates = json!({"to": "USD", "rates": {"SGD": "0.75", "JPY": "0.0066"}});
    let answer = ask(&scenario, &with("convert", rates.clone())).await.json();
    assert_eq!((&answer["convert"], answer["currency"].as_str()), (&rates, Some("USD")));
    let spend = |answer: &Value| decimal(&answer["totals"]["measures"]["spend"]).unwrap();
    let converted =
        |answer: &Value, rate: &str| (spend(answer) * rate.parse::<Decimal>().unwrap()).normalize();
    assert_eq!(spend(&answer), converted(&first, "0.75") + converted(&second, "0.0066"));
    let sum = |name: &str| {
        let of = |answer: &Value| answer["totals"]["measures"][name].as_u64().unwrap();
        (of(&answer), of(&first) + of(&second))
    };
    assert_eq!(sum("impressions").0, sum("impressions").1);
    assert_eq!(answer["totals"]["rows"], 2);
    assert!(answer["ad_accounts"].as_array().unwrap().iter().all(|account| account["as_of"].is_string()));

    // Against the fourteen days before.
    assert_eq!(answer["compared"], json!({"since": "2026-10-23", "until": "2026-11-05"}));
    let mut earlier = with("convert", rates);
    earlier["range"] = answer["compared"].clone();
    earlier.as_object_mut().unwrap().remove("compare");
    let before = ask(&scenario, &earlier).await.json();
    assert_eq!(answer["totals"]["previous"], before["totals"]["measures"]);
    assert_eq!(
        decimal(&answer["totals"]["change"]["spend"]["absolute"]).unwrap(),
        spend(&answer) - spend(&before)
    );
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_list_is_searched_sorted_compared_and_totalled() {
    let scenario = Scenario::synced().await.unwrap();
    let list = async |parameters: &str| {
        let path = format!("campaigns?since=2026-11-06&until=2026-11-19&{parameters}");
        scenario.call_as_owner(Method::GET, &path, None).await.unwrap().json()
    };
    let all = list("sort=name&order=asc&limit=500").await;
    let names = |list: &Value| {
        let rows = list["data"].as_array().unwrap().iter();
        rows.map(|row| row["name"].as_str().unwrap().to_lowercase()).collect::<Vec<_>>()
    };
    assert!(names(&all).is_sorted() && names(&all).len() == 12, "{:?}", names(&all));
    let word = names(&all)[3].split_whitespace().last().unwrap().to_owned();
    let found = list(&format!("q={}&limit=500", word.to_uppercase())).await;
    assert_eq!(names(&found).len(), names(&all).iter().filter(|name| name.contains(&word)).count());

    // Totals are of all pages, and come to the account.
    let page = list("limit=1&compare=previous_period&sparklines=spend&fields=spend,roas,daily_budget").await;
    let account = "insights?level=account&since=2026-11-06&until=2026-11-19";
    let account = scenario.call_as_owner(Method::GET, account, None).await.unwrap().json();
    assert_eq!(page["totals"]["measures"]["spend"], account["data"][0]["measures"]["spend"]);
    assert_eq!(page["totals"]["rows"], 12);
    let row = &page["data"][0];
    assert!(row["previous"]["spend"].is_string() && row["change"]["spend"]["relative"].is_string(), "{row}");
    assert!(row["measures"].get("clicks").is_none(), "only the fields that are asked for: {row}");
    let sparkline = row["sparklines"]["spend"].as_array().unwrap();
    let sum: Decimal = sparkline.iter().map(|day| decimal(day).unwrap()).sum();
    assert_eq!((sparkline.len(), Some(sum)), (14, decimal(&row["measures"]["spend"])));

    // A day that a filter leaves out has no zeros.
    let mondays = json!({
        "level": "account", "measures": ["spend"], "dimensions": ["day"], "fill_zeros": true,
        "range": {"since": "2026-11-02", "until": "2026-11-15"},
        "filters": [{"field": "weekday", "op": "in", "value": ["monday"]}],
    });
    let mondays = ask(&scenario, &mondays).await.json();
    let days =
        mondays["data"].as_array().unwrap().iter().map(|row| row["dimensions"]["day"].as_str().unwrap());
    assert_eq!(days.collect::<Vec<_>>(), ["2026-11-02", "2026-11-09"]);

    // A day that is not measured is unknown, and not zero.
    let ahead = "campaigns?since=2026-11-20&until=2026-11-22&sparklines=spend&limit=1";
    let ahead = scenario.call_as_owner(Method::GET, ahead, None).await.unwrap().json();
    let days = ahead["data"][0]["sparklines"]["spend"].as_array().unwrap();
    assert!(days[0].is_string() && days[1].is_null() && days[2].is_null(), "{days:?}");
    let never = "campaigns?since=2027-01-01&until=2027-01-02&limit=1";
    let never = scenario.call_as_owner(Method::GET, never, None).await.unwrap().json();
    assert_eq!(never["data"][0]["measures"], json!({}), "nothing is known of days that are to come");
    scenario.finish().await.unwrap();
}
