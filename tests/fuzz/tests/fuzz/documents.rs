//! What people send to our own API: launches, rules, money, days.

use ads::account::LaunchDefaults;
use ads::date::{DateRange, IsoWeek};
use ads::launch::LaunchSpec;
use ads::metrics::Measures;
use ads::money::Money;
use ads::rule::RuleSpec;
use jiff::civil::{Date, date};
use serde::de::DeserializeOwned;

use crate::{Input, are_accepted, document, is_stable, iterations};

const LAUNCHES: [&str; 3] = [
    r#"{"name":"Autumn","objective":"OUTCOME_SALES","daily_budget":{"amount":5000,"currency":"SGD"},"special_ad_categories":[],"ad_set":{"optimization_goal":"OFFSITE_CONVERSIONS","countries":["SG"],"advantage_audience":true,"promoted_object":{"pixel_id":"1","custom_event_type":"PURCHASE"}},"ad":{"creative":{"creative_id":"9"}}}"#,
    r#"{"name":"Autumn","objective":"OUTCOME_LEADS","daily_budget":{"amount":1,"currency":"JPY"},"ad_set":{"name":"S","optimization_goal":"LINK_CLICKS","billing_event":"IMPRESSIONS","countries":["JP","TW","TH"],"regional_identities":{"TAIWAN_UNIVERSAL":{"payer":"1","beneficiary":"2"},"TAIWAN_FINSERV":{"payer":"3","beneficiary":"3"},"THAILAND_UNIVERSAL":{"payer":"4","beneficiary":"4"}}},"ad":{"name":"A","creative":{"post_id":"1_2"}}}"#,
    r#"{"name":"Products","objective":"OUTCOME_SALES","daily_budget":{"amount":5000,"currency":"SGD"},"catalog":"7","ad_set":{"optimization_goal":"OFFSITE_CONVERSIONS","countries":["SG"],"promoted_object":{"product_set_id":"8"}},"ad":{"conversion_domain":"example.com","creative":{"link":{"page":"1","instagram_user":"2","link":"https://example.com/","message":"New:\nall of it","headline":"h","description":"d","image":"a1","product_set":"8","call_to_action":"SHOP_NOW"}}}}"#,
];

fn read<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}

#[test]
fn launches() {
    are_accepted(&LAUNCHES, |body| read::<LaunchSpec>(body).is_some());
    bolero::check!().with_type::<Input>().with_iterations(iterations()).for_each(|input: &Input| {
        let Some(spec) = read::<LaunchSpec>(&document(&LAUNCHES, input)) else { return };
        drop(spec.check(spec.daily_budget.currency));
        is_stable(&spec);
    });
}

const DEFAULTS: [&str; 1] = [
    r#"{"page":"1","pixel":"2","instagram_user":"3","catalog":"4","domain":"example.com","dsa":{"payor":"A","beneficiary":"B"},"regional_identities":{"SINGAPORE_UNIVERSAL":{"payer":"5","beneficiary":"6"}}}"#,
];

#[test]
fn defaults() {
    are_accepted(&DEFAULTS, |body| read::<LaunchDefaults>(body).is_some());
    bolero::check!().with_type::<Input>().with_iterations(iterations()).for_each(|input: &Input| {
        let Some(defaults) = read::<LaunchDefaults>(&document(&DEFAULTS, input)) else { return };
        drop(defaults.check());
        let mut spec = read(LAUNCHES[2].as_bytes()).unwrap();
        defaults.fill(&mut spec);
        is_stable(&spec);
        is_stable(&defaults);
    });
}

const RULES: [&str; 2] = [
    r#"{"name":"Stop","ad_account":"act_1","level":"ad","when":{"metric":"cost_per_purchase","window":"last_7_days","is":"above","value":"25.5","missing":"zero"},"guard":{"min_spend":"10","min_impressions":800},"action":{"do":"pause"}}"#,
    r#"{"name":"More","state":"disabled","level":"campaign","when":{"metric":"roas","window":"today","is":"at_least","value":"2"},"action":{"do":"set_budget","daily_budget":{"amount":9000,"currency":"SGD"}}}"#,
];

#[test]
fn rules() {
    are_accepted(&RULES, |body| read::<RuleSpec>(body).is_some());
    bolero::check!().with_type::<Input>().with_iterations(iterations()).for_each(|input: &Input| {
        let Some(spec) = read::<RuleSpec>(&document(&RULES, input)) else { return };
        drop(spec.check());
        drop(spec.guard.objection(&Measures::default()));
        let _ = spec.when.verdict(&Measures::default());
        assert!(spec.when.window.days(date(2026, 11, 20)).days() <= 30);
        is_stable(&spec);
    });
}

const MONEY: [&str; 2] = [r#"{"amount":5000,"currency":"SGD"}"#, r#"{"amount":-1,"currency":"JPY"}"#];

#[test]
fn money() {
    are_accepted(&MONEY, |body| read::<Money>(body).is_some());
    bolero::check!().with_type::<Input>().with_iterations(iterations()).for_each(|input: &Input| {
        let Some(money) = read::<Money>(&document(&MONEY, input)) else { return };
        assert!([1, 100].contains(&money.currency.minor_units()));
        is_stable(&money);
    });
}

const RANGES: [&str; 1] = [r#"{"since":"2026-11-08","until":"2026-11-19"}"#];

/// A range that the door lets in is covered by its weeks; one that only has the right shape does no harm.
#[test]
fn ranges_and_weeks() {
    are_accepted(&RANGES, |body| read::<DateRange>(body).is_some());
    bolero::check!().with_type::<(Input, Input)>().with_iterations(iterations()).for_each(
        |(range, week): &(Input, Input)| {
            if let Some(range) = read::<DateRange>(&document(&RANGES, range)) {
                is_stable(&range);
                let _ = (range.days(), range.contains(Date::MAX), IsoWeek::of(range.since));
                if let Ok(range) = DateRange::new(range.since, range.until) {
                    assert!(range.weeks().count() <= 162 && range.days() >= 1);
                }
            }
            let text = document(&["2026-W53"], week);
            if let Ok(week) = String::from_utf8_lossy(&text).parse::<IsoWeek>() {
                assert_eq!(week.to_string().parse::<IsoWeek>().ok(), Some(week));
                let _ = (week.next(), week.range());
            }
        },
    );
}
