//! Tests of insights with breakdowns, filters and sorting.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Client;

const WEEK: &str = r#"{"since":"2026-11-09","until":"2026-11-15"}"#;
const HOURLY: &str = "hourly_stats_aggregated_by_advertiser_time_zone";

fn number(value: &Value) -> f64 {
    value.as_str().map_or(0.0, |text| text.parse().unwrap())
}

/// Returns the sum of an action type over all rows.
fn taken(rows: &[Value], action: &str, key: &str) -> f64 {
    let entries = rows.iter().filter_map(|row| row["actions"].as_array()).flatten();
    entries.filter(|entry| entry["action_type"] == action).map(|entry| number(&entry[key])).sum()
}

fn sum(rows: &[Value], field: &str) -> f64 {
    (rows.iter().map(|row| number(&row[field])).sum::<f64>() * 100.0).round() / 100.0
}

/// Returns all rows of the week with these parameters.
async fn week(client: &Client, params: &[(&str, &str)]) -> Vec<Value> {
    let common = [("time_range", WEEK), ("limit", "5000")];
    client.all(&client.act("insights"), &[&common[..], params].concat()).await.0
}

#[tokio::test]
async fn parts_of_a_breakdown_add_up_to_the_whole() {
    let client = Client::new().await;
    let fields = ("fields", "spend,impressions,clicks,reach,actions");
    for level in ["account", "campaign", "ad"] {
        let of_level = [("level", level), fields];
        let whole = week(&client, &of_level).await;
        for breakdowns in [
            "age,gender",
            "country",
            "publisher_platform,platform_position,impression_device",
            "device_platform",
        ] {
            let parts = week(&client, &[&of_level[..], &[("breakdowns", breakdowns)]].concat()).await;
            assert!(parts.len() > whole.len());
            assert!(parts.iter().all(|row| breakdowns.split(',').all(|key| row[key].is_string())));
            for field in ["spend", "impressions", "clicks"] {
                assert_eq!(sum(&parts, field), sum(&whole, field), "{field} by {breakdowns} of each {level}");
            }
            for action in ["link_click", "omni_purchase"] {
                assert_eq!(
                    taken(&parts, action, "value"),
                    taken(&whole, action, "value"),
                    "{action} by {breakdowns}"
                );
            }
            assert!(parts.iter().all(|row| number(&row["reach"]) <= number(&row["impressions"])));
        }
    }
}

#[tokio::test]
async fn hours_and_regions_know_nothing_of_what_happens_outside_of_meta() {
    let client = Client::new().await;
    let fields = ("fields", "impressions,reach,unique_clicks,actions,video_p50_watched_actions");
    let whole = week(&client, &[fields]).await;
    assert!(taken(&whole, "omni_purchase", "value") > 0.0);
    for (breakdown, values) in [(HOURLY, 24), ("region", 5)] {
        let rows = week(&client, &[fields, ("breakdowns", breakdown)]).await;
        assert_eq!(rows.len(), values);
        assert_eq!(sum(&rows, "impressions"), sum(&whole, "impressions"));
        assert_eq!(taken(&rows, "omni_purchase", "value"), 0.0);
        assert_eq!(taken(&rows, "link_click", "value"), taken(&whole, "link_click", "value"));
        let people = rows.iter().all(|row| row["reach"] == "0" && row["unique_clicks"] == "0");
        let watched = rows.iter().any(|row| row.get("video_p50_watched_actions").is_some());
        assert_eq!((people, watched), (breakdown == HOURLY, breakdown != HOURLY));
    }
    // With product breakdowns they are in a row without a product.
    let products = week(&client, &[fields, ("breakdowns", "product_id")]).await;
    let (with, without): (Vec<_>, Vec<_>) =
        products.into_iter().partition(|row| row.get("product_id").is_some());
    assert_eq!((with.len(), without.len()), (3, 1));
    assert_eq!(taken(&with, "omni_purchase", "value"), 0.0);
    assert_eq!(taken(&without, "omni_purchase", "value"), taken(&whole, "omni_purchase", "value"));
}

#[tokio::test]
async fn what_does_not_go_together_is_refused() {
    let client = Client::new().await;
    let refused = (400, 2, Some(1_504_041));
    for params in [
        &[("breakdowns", "age,country")][..],
        &[("breakdowns", "platform_position")],
        &[("breakdowns", "country"), ("action_breakdowns", "action_reaction")],
    ] {
        assert_eq!(client.error(Method::GET, &client.act("insights"), params).await, refused, "{params:?}");
    }
}

#[tokio::test]
async fn windows_are_keys_beside_the_value() {
    let client = Client::new().await;
    let windows = r#"["1d_click","7d_click","28d_click","1d_view","7d_view","28d_view"]"#;
    let params = [("fields", "actions,action_values"), ("action_attribution_windows", windows)];
    let rows = week(&client, &params).await;
    let bought = |key| taken(&rows, "purchase", key);
    assert_eq!(bought("7d_click") + bought("1d_view"), bought("value"));
    assert!(bought("1d_view") > 0.0 && bought("1d_click") < bought("7d_click"));
    assert!(bought("28d_click") > bought("7d_click"));
    // These windows have silently returned nothing since 2026-01-12.
    assert_eq!((bought("7d_view"), bought("28d_view")), (0.0, 0.0));
    let by_ad = week(&client, &[&params[..], &[("level", "ad"), ("time_increment", "1")]].concat()).await;
    assert_eq!(taken(&by_ad, "purchase", "28d_click"), bought("28d_click"));
    let unknown = [("action_attribution_windows", "2d_click")];
    assert_eq!(client.error(Method::GET, &client.act("insights"), &unknown).await, (400, 100, None));
}

#[tokio::test]
async fn actions_divide_by_device_where_they_happen_on_meta() {
    let client = Client::new().await;
    let fields = ("fields", "actions");
    let whole = week(&client, &[fields]).await;
    for (breakdowns, divided) in
        [("[]", false), ("action_type", false), (r#"["action_type","action_device"]"#, true)]
    {
        let rows = week(&client, &[fields, ("action_breakdowns", breakdowns)]).await;
        let entries = rows[0]["actions"].as_array().unwrap();
        let with_device = |action: &str| {
            entries.iter().any(|entry| entry["action_type"] == action && entry.get("action_device").is_some())
        };
        assert_eq!((with_device("link_click"), with_device("omni_purchase")), (divided, false));
        assert_eq!(taken(&rows, "link_click", "value"), taken(&whole, "link_click", "value"));
    }
}

#[tokio::test]
async fn any_filter_leaves_out_what_is_not_active() {
    let client = Client::new().await;
    let of_campaigns = [("level", "campaign"), ("fields", "campaign_id,campaign_name,impressions")];
    let filtered = async |filtering: Value| {
        let rows =
            week(&client, &[&of_campaigns[..], &[("filtering", &filtering.to_string())]].concat()).await;
        rows.into_iter().map(|row| row["campaign_id"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    let all = week(&client, &of_campaigns).await;
    let status = |id: &str| client.sim.campaign(id).unwrap()["effective_status"].clone();
    let ids = |keep: &dyn Fn(&Value) -> bool| {
        let rows = all.iter().filter(|row| keep(row));
        rows.map(|row| row["campaign_id"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    let active = ids(&|row| status(row["campaign_id"].as_str().unwrap()) == "ACTIVE");
    assert!(active.len() < all.len());
    let some = json!({"field": "campaign.impressions", "operator": "GREATER_THAN", "value": 0});
    assert_eq!(filtered(json!([some])).await, active);
    let any_status = json!({"field": "campaign.effective_status", "operator": "IN", "value": ["ACTIVE", "PAUSED", "ARCHIVED"]});
    assert_eq!(filtered(json!([any_status])).await, ids(&|_| true));
    let many = json!({"field": "impressions", "operator": "GREATER_THAN", "value": 50_000});
    assert_eq!(filtered(json!([any_status, many])).await, ids(&|row| number(&row["impressions"]) > 50_000.0));
    let sales = json!({"field": "campaign.name", "operator": "CONTAIN", "value": "sales"});
    assert_eq!(
        filtered(json!([any_status, sales])).await,
        ids(&|row| row["campaign_name"].as_str().unwrap().starts_with("Sales"))
    );
    let one = all[0]["campaign_id"].as_str().unwrap();
    let this = json!({"field": "campaign.id", "operator": "IN", "value": [one]});
    assert_eq!(filtered(json!([any_status, this])).await, BTreeSet::from([one.to_owned()]));
}

#[tokio::test]
async fn only_the_kinds_of_action_that_were_asked_for_are_listed() {
    let client = Client::new().await;
    let filtering = r#"[{"field":"action_type","operator":"IN","value":["link_click"]},
        {"field":"campaign.effective_status","operator":"IN","value":["ACTIVE","PAUSED","ARCHIVED"]}]"#;
    let fields = ("fields", "impressions,actions,action_values");
    let (all, few) =
        (week(&client, &[fields]).await, week(&client, &[fields, ("filtering", filtering)]).await);
    assert_eq!(few[0]["impressions"], all[0]["impressions"]);
    assert_eq!(few[0]["actions"].as_array().unwrap().len(), 1);
    assert_eq!(few[0].get("action_values"), None);
}

#[tokio::test]
async fn rows_come_in_the_order_that_was_asked_for() {
    let client = Client::new().await;
    let params = [("level", "ad"), ("fields", "ad_id,spend,actions")];
    let mut spends = Vec::new();
    for sort in [r#"["spend_descending"]"#, "spend_ascending"] {
        let rows = week(&client, &[&params[..], &[("sort", sort)]].concat()).await;
        spends.push(rows.iter().map(|row| number(&row["spend"])).collect::<Vec<_>>());
    }
    assert!(spends[0].is_sorted_by(|more, less| more >= less) && spends[1].is_sorted());
    let by_clicks =
        week(&client, &[&params[..], &[("sort", "actions:link_click_descending")]].concat()).await;
    let clicks = by_clicks.iter().map(|row| taken(std::slice::from_ref(row), "link_click", "value"));
    assert!(clicks.is_sorted_by(|more, less| more >= less));
}

#[tokio::test]
async fn each_of_several_ranges_is_a_row() {
    let client = Client::new().await;
    let ranges =
        r#"[{"since":"2026-11-01","until":"2026-11-01"},{"since":"2026-11-09","until":"2026-11-15"}]"#;
    let params =
        [("time_ranges", ranges), ("time_increment", "1"), ("time_range", WEEK), ("fields", "spend")];
    let rows = client.get(&client.act("insights"), &params).await["data"].clone();
    let bounds = |row: &Value| (row["date_start"].clone(), row["date_stop"].clone());
    assert_eq!(
        rows.as_array().unwrap().iter().map(bounds).collect::<Vec<_>>(),
        [(json!("2026-11-01"), json!("2026-11-01")), (json!("2026-11-09"), json!("2026-11-15"))]
    );
    assert_eq!(rows[1]["spend"], week(&client, &[("fields", "spend")]).await[0]["spend"]);
}

#[tokio::test]
async fn a_summary_stands_beside_the_page() {
    let client = Client::new().await;
    let params = [("level", "campaign"), ("time_range", WEEK), ("fields", "spend"), ("limit", "2")];
    let page = client.get(&client.act("insights"), &[&params[..], &[("summary", "spend")]].concat()).await;
    let rows = week(&client, &params[..3]).await;
    assert_eq!(
        (page["data"].as_array().unwrap().len(), number(&page["summary"]["spend"])),
        (2, sum(&rows, "spend"))
    );
    assert_eq!(page["summary"]["date_stop"], "2026-11-15");
    let plain = client.get(&client.act("insights"), &[&params[..], &[("summary", "true")]].concat()).await;
    assert_eq!(plain.get("summary"), None);
}

#[tokio::test]
async fn people_in_parts_are_forgotten_after_thirteen_months() {
    let client = Client::new().await;
    let row = json!({"impressions": "10", "reach": "8", "spend": "1", "clicks": "2"});
    let ad =
        client.sim.insights_rows("2026-11-10".parse().unwrap(), "2026-11-10".parse().unwrap())[0]["ad_id"]
            .clone();
    let old = "2025-10-01";
    client.sim.restate(ad.as_str().unwrap(), old.parse().unwrap(), row);
    let range = json!({"since": old, "until": old}).to_string();
    let fields = ("fields", "impressions,reach,frequency,clicks");
    let rows = async |more: &[(&str, &str)]| {
        let params = [&[("time_range", range.as_str()), fields][..], more].concat();
        client.all(&client.act("insights"), &params).await.0
    };
    assert_eq!(rows(&[]).await[0]["reach"], "8");
    let by_age = rows(&[("breakdowns", "age")]).await;
    assert_eq!(sum(&by_age, "impressions"), 10.0);
    assert!(by_age.iter().all(|row| row.get("reach").is_none() && row.get("frequency").is_none()));
    assert_eq!(rows(&[("breakdowns", HOURLY)]).await, [Value::Null; 0]);
}

/// The fields that Airbyte's default streams and Singer's tap request for each ad and day.
const WIDE: &str = "account_currency,account_id,account_name,action_values,actions,ad_id,ad_name,adset_id,adset_name,\
    attribution_setting,buying_type,campaign_id,campaign_name,canvas_avg_view_percent,clicks,conversion_rate_ranking,\
    conversions,cost_per_action_type,cost_per_inline_link_click,cost_per_inline_post_engagement,\
    cost_per_outbound_click,cost_per_thruplay,cost_per_unique_action_type,cost_per_unique_click,\
    cost_per_unique_inline_link_click,cpc,cpm,cpp,created_time,ctr,frequency,impressions,inline_link_click_ctr,\
    inline_link_clicks,inline_post_engagement,objective,optimization_goal,outbound_clicks,outbound_clicks_ctr,\
    purchase_roas,quality_ranking,reach,social_spend,spend,unique_actions,unique_clicks,unique_ctr,\
    unique_inline_link_clicks,unique_link_clicks_ctr,unique_outbound_clicks,updated_time,\
    video_30_sec_watched_actions,video_p100_watched_actions,video_p25_watched_actions,video_play_actions,\
    video_play_curve_actions,website_ctr,website_purchase_roas,results,cost_per_result";

#[tokio::test]
async fn a_wide_row_agrees_with_itself() {
    let client = Client::new().await;
    let names: Vec<&str> = WIDE.split(',').map(str::trim).collect();
    let fields = serde_json::to_string(&names).unwrap();
    let rows = week(&client, &[("level", "ad"), ("time_increment", "1"), ("fields", &fields)]).await;
    let mut seen = BTreeMap::new();
    for row in &rows {
        for (name, value) in row.as_object().unwrap() {
            assert!(value.is_string() || value.is_array(), "{name}: {value}");
            seen.insert(name.as_str(), value);
        }
        let close = |one: f64, other: f64| (one - other).abs() <= 1e-5 * one.abs().max(1.0);
        let of = |name: &str| number(&row[name]);
        assert!(close(of("spend"), of("cpm") * of("impressions") / 1000.0), "{row}");
        assert!(close(of("impressions"), of("frequency") * of("reach")), "{row}");
        assert!(of("unique_clicks") <= of("clicks") && of("unique_clicks") <= of("reach"), "{row}");
        assert_eq!(taken(std::slice::from_ref(row), "link_click", "value"), of("inline_link_clicks"));
        assert_eq!(row["results"][0]["indicator"].as_str().unwrap().split(':').next(), Some("actions"));
    }
    let missing: Vec<_> = names.into_iter().filter(|name| !seen.contains_key(name)).collect();
    assert_eq!(missing, ["conversions"], "of {} rows", rows.len());
}
