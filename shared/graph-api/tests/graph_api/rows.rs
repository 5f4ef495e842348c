//! Flattens rows of insights, as Graph writes them and as the client decodes them, to compare them exactly.

use std::collections::BTreeMap;

use domain::metrics::InsightsRow;
use rust_decimal::Decimal;
use serde_json::Value;

/// A flat row: names such as `spend` or `actions.link_click`, with their number or text.
pub(crate) type Row = BTreeMap<String, String>;

/// Flattens everything that the client decodes of a row of Graph.
pub(crate) fn flatten_graph_row(row: &Value) -> Row {
    let mut flat = Row::new();
    for name in ["ad_id", "adset_id", "campaign_id", "date_start", "attribution_setting"] {
        flat.extend(row[name].as_str().map(|text| (name.to_owned(), text.to_owned())));
    }
    for name in ["impressions", "clicks", "spend"] {
        flat.insert(name.to_owned(), "0".to_owned());
    }
    for name in ["impressions", "clicks", "spend", "inline_link_clicks", "reach", "frequency"] {
        flat.extend(row.get(name).map(|number| (name.to_owned(), exact(decimal(number)))));
    }
    for list in ["actions", "action_values"] {
        let mut sums = BTreeMap::<String, Decimal>::new();
        for item in row[list].as_array().into_iter().flatten().filter(|item| item["value"].is_string()) {
            let action = format!("{list}.{}", item["action_type"].as_str().unwrap());
            *sums.entry(action).or_default() += decimal(&item["value"]);
        }
        flat.extend(sums.into_iter().map(|(action, sum)| (action, exact(sum))));
    }
    flat
}

/// Flattens a decoded row.
pub(crate) fn flatten_decoded_row(day: &InsightsRow) -> Row {
    let (facts, measures) = (&day.facts, &day.facts.measures);
    let count = |number: Option<u64>| number.map(|number| number.to_string());
    let each = [
        ("ad_id", Some(day.ad.to_string())),
        ("adset_id", Some(day.adset.to_string())),
        ("campaign_id", Some(day.campaign.to_string())),
        ("date_start", Some(facts.day.to_string())),
        ("attribution_setting", facts.attribution_setting.clone()),
        ("impressions", count(Some(measures.impressions))),
        ("clicks", count(Some(measures.clicks))),
        ("inline_link_clicks", count(measures.link_clicks)),
        ("reach", count(facts.reach)),
        ("spend", Some(exact(measures.spend))),
        ("frequency", facts.frequency.map(exact)),
    ];
    let mut flat: Row =
        each.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    for (list, sums) in [("actions", &measures.actions), ("action_values", &measures.action_values)] {
        flat.extend(sums.iter().map(|(action, sum)| (format!("{list}.{action}"), exact(*sum))));
    }
    flat
}

fn decimal(value: &Value) -> Decimal {
    value.as_str().unwrap().parse().unwrap()
}

fn exact(number: Decimal) -> String {
    number.normalize().to_string()
}
