//! `POST query` against sums that are computed row by row from what each ad has on each day.

use std::collections::BTreeMap;

use domain::date::DateRange;
use graph_sim::AccountArgs;
use http::Method;
use jiff::ToSpan;
use journeys::{Response, Scenario, TODAY};
use runtime::session::Role;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::query_oracle::{World, decimal, document, in_range, list, measure, mix};

/// Documents that are made up and compared.
const DOCUMENTS: u64 = 150;

pub(super) async fn ask(scenario: &Scenario, document: &Value) -> Response {
    let token = scenario.system.token("demo", Role::Viewer).unwrap();
    let path = "/v1/workspaces/demo/query";
    scenario.send(Method::POST, path, Some(&token), &[], Some(document.to_string())).await.unwrap()
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
async fn a_large_answer_comes_in_pages_that_fit_into_a_response() {
    let args = AccountArgs { campaigns: 4, adsets: 12, ads: 70, days: 45, ..AccountArgs::default() };
    let scenario = Scenario::of_account(args).await.unwrap();
    let since = TODAY.saturating_sub(44.days());
    let path = format!(
        "insights?level=ad&increment=day&since={since}&until={TODAY}&include=actions,action_values,by_window"
    );
    let page =
        async |more: &str| scenario.call_as_owner(Method::GET, &format!("{path}{more}"), None).await.unwrap();
    let (mut rows, mut pages, mut after) = (Vec::new(), 0, String::new());
    loop {
        let answer = page(&format!("&limit=5000{after}")).await;
        assert!(answer.text.len() < 6_000_000, "{} bytes", answer.text.len());
        let mut answer = answer.json();
        let Value::Array(data) = answer["data"].take() else { panic!("no rows") };
        (rows, pages) = ([rows, data].concat(), pages + 1);
        let Some(next) = answer["after"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert!(pages > 1, "{pages} pages of {} rows", rows.len());
    let small = page("&limit=200").await.json();
    assert_eq!(small["data"].as_array().unwrap()[..], rows[..200]);
    let whole = format!("ad-accounts/{}/{path}", scenario.account().unwrap());
    assert_eq!(scenario.api().unwrap().all(&whole).await.unwrap(), rows);
    scenario.finish().await.unwrap();
}

/// The count of an action type in a row as Meta answers it.
fn action(row: &Value, name: &str) -> Decimal {
    let actions = row["actions"].as_array().into_iter().flatten();
    let counts = actions.filter(|action| action["action_type"] == name);
    counts.filter_map(|action| decimal(&action["value"])).sum()
}

#[tokio::test]
async fn results_are_what_each_ad_sets_goal_asks_for() {
    let scenario = Scenario::synced().await.unwrap();
    let sim = scenario.sim().unwrap();
    let range = DateRange::ending(TODAY.saturating_sub(1.day()), 20);
    let mut expected = BTreeMap::<String, (&str, Decimal, Decimal)>::new();
    for row in sim.insights_rows(range.since, range.until) {
        let id = row["adset_id"].as_str().unwrap();
        let adset = sim.node(id).unwrap();
        let event = adset["promoted_object"]["custom_event_type"].as_str().unwrap_or_default();
        let (kind, count) = match (adset["optimization_goal"].as_str().unwrap(), event) {
            ("LINK_CLICKS", _) => ("link_clicks", decimal(&row["inline_link_clicks"]).unwrap_or_default()),
            (_, "LEAD") => ("leads", action(&row, "lead")),
            (_, "PURCHASE") => ("purchases", action(&row, "omni_purchase")),
            other => panic!("{other:?}"),
        };
        let sum = expected.entry(id.to_owned()).or_insert((kind, Decimal::ZERO, Decimal::ZERO));
        *sum = (kind, sum.1 + count, sum.2 + decimal(&row["spend"]).unwrap());
    }
    let document = |more: Value| {
        let mut document = json!({
            "level": "adset", "measures": ["results", "cost_per_result", "spend"], "fill_zeros": false,
            "range": {"since": range.since, "until": range.until},
        });
        document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        document
    };
    let (rows, last) = answers(&scenario, &document(json!({}))).await;
    assert_eq!(rows.len(), expected.len());
    let mut kinds = BTreeMap::<&str, usize>::new();
    for row in &rows {
        let (kind, count, spend) = expected[row["id"].as_str().unwrap()];
        *kinds.entry(kind).or_default() += 1;
        assert_eq!(
            (&row["result_type"], decimal(&row["measures"]["results"])),
            (&kind.into(), Some(count)),
            "{row}"
        );
        let cost = spend.checked_div(count).map(|cost| cost.round_dp(6));
        assert_eq!(decimal(&row["measures"]["cost_per_result"]), cost, "{row}");
    }
    assert!(kinds.len() == 3 && rows.len() > 20, "{kinds:?}");
    // Purchases and clicks are not added.
    for absent in [&last["totals"]["result_type"], &last["totals"]["measures"]["results"]] {
        assert_eq!(*absent, Value::Null);
    }
    let sales = json!({
        "level": "account", "filters": [{"field": "objective", "op": "in", "value": ["OUTCOME_SALES"]}],
    });
    let (rows, _) = answers(&scenario, &document(sales)).await;
    let of_sales = expected.values().filter(|(kind, ..)| *kind == "purchases");
    assert_eq!(rows[0]["result_type"], "purchases");
    assert_eq!(decimal(&rows[0]["measures"]["results"]), Some(of_sales.map(|(_, count, _)| *count).sum()));
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

#[tokio::test]
async fn a_custom_conversion_is_a_measure_with_a_name() {
    let scenario = Scenario::synced().await.unwrap();
    let list = scenario.call_as_owner(Method::GET, "custom-conversions", None).await.unwrap().json();
    let conversion = &list["data"][0];
    assert_eq!(conversion["name"], "Booked a demo");
    let (counted, leads) =
        (conversion["measure"].as_str().unwrap(), "actions.offsite_conversion.fb_pixel_lead");
    let document = json!({
        "level": "campaign", "measures": [counted, leads], "range": {"since": "2026-11-02", "until": "2026-11-15"},
        "order": [{"by": counted, "direction": "desc"}],
    });
    let answer = ask(&scenario, &document).await.json();
    // The simulated Meta counts leads on the web by it.
    let measures = &answer["data"][0]["measures"];
    assert!(measures[counted].as_u64() > Some(0), "{answer}");
    assert_eq!(measures[counted], measures[leads]);
    scenario.finish().await.unwrap();
}
