//! Bodies and queries of our own API: launches, rules, money, days.

use domain::date::{DateRange, IsoWeek};
use domain::metrics::Measures;
use domain::money::Money;
use domain::platform::Platform;
use domain::rule::RuleSpec;
use graph_api::launch::LaunchDefaults;
use graph_api::launch::LaunchSpec;
use jiff::Timestamp;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use serde::de::DeserializeOwned;

use crate::{Input, assert_accepted, assert_round_trips, document, iterations};

const LAUNCHES: [&str; 4] = [
    r#"{"name":"Autumn","objective":"OUTCOME_SALES","daily_budget":{"amount":5000,"currency":"SGD"},"special_ad_categories":[],"ad_set":{"optimization_goal":"OFFSITE_CONVERSIONS","countries":["SG"],"advantage_audience":true,"promoted_object":{"pixel_id":"1","custom_event_type":"PURCHASE"}},"ad":{"creative":{"creative_id":"9"}}}"#,
    r#"{"name":"Autumn","objective":"OUTCOME_LEADS","daily_budget":{"amount":1,"currency":"JPY"},"ad_set":{"name":"S","optimization_goal":"LINK_CLICKS","billing_event":"IMPRESSIONS","countries":["JP","TW","TH"],"regional_identities":{"TAIWAN_UNIVERSAL":{"payer":"1","beneficiary":"2"},"TAIWAN_FINSERV":{"payer":"3","beneficiary":"3"},"THAILAND_UNIVERSAL":{"payer":"4","beneficiary":"4"}}},"ad":{"name":"A","creative":{"post_id":"1_2"}}}"#,
    r#"{"name":"Products","objective":"OUTCOME_SALES","daily_budget":{"amount":5000,"currency":"SGD"},"catalog":"7","ad_set":{"optimization_goal":"OFFSITE_CONVERSIONS","countries":["SG"],"promoted_object":{"product_set_id":"8"}},"ad":{"conversion_domain":"example.com","creative":{"link":{"page":"1","instagram_user":"2","link":"https://example.com/","message":"New:\nall of it","headline":"h","description":"d","image":"a1","product_set":"8","call_to_action":"SHOP_NOW"}}}}"#,
    r#"{"name":"Many","objective":"OUTCOME_SALES","lifetime_budget":{"amount":500000,"currency":"SGD"},"bid_strategy":"COST_CAP","spend_cap":{"amount":900000,"currency":"SGD"},"ad_sets":[{"bid_amount":{"amount":100,"currency":"SGD"},"start":"2026-12-01T09:00:00","end":"2026-12-31T09:00:00+08:00","day_parts":[{"days":["monday","friday"],"from_hour":9,"until_hour":18}],"destination_type":"WEBSITE","attribution":{"click_days":7,"view_days":1},"countries":["SG"],"audience":{"regions":["4"],"cities":[{"key":"1","radius_km":20}],"zips":["US:94304"],"age_min":20,"age_max":40,"gender":"female","locales":[6],"interests":["7"],"custom_audiences":["8"],"excluded_custom_audiences":["9"]},"placements":{"publisher_platforms":["instagram"],"instagram_positions":["reels"],"user_os":["iOS"]},"ads":[{"url_tags":"utm_source=meta","creative_features":["image_animation"],"shop_destination":true,"creative":{"link":{"page":"1","link":"https://example.com/","message":"m","cards":[{"image":"a1"},{"video":"3","headline":"h","link":"https://example.com/2"}]}}},{"creative":{"link":{"page":"1","message":"m","lead_form":"5","video":"6","thumbnail_url":"https://example.com/c.jpg"}}},{"creative":{"instagram_post":{"media":"1","link":"https://example.com/"}}}]}]}"#,
];

fn read<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_slice(body).ok()
}

#[test]
fn launches() {
    assert_accepted(&LAUNCHES, |body| read::<LaunchSpec>(body).is_some());
    bolero::check!().with_type::<Input>().with_iterations(iterations()).for_each(|input: &Input| {
        let Some(mut spec) = read::<LaunchSpec>(&document(&LAUNCHES, input)) else { return };
        spec.resolve(&TimeZone::UTC);
        drop(spec.check("SGD".parse().unwrap(), Timestamp::UNIX_EPOCH));
        assert_round_trips(&spec);
    });
}

const DEFAULTS: [&str; 1] = [
    r#"{"page":"1","pixel":"2","instagram_user":"3","catalog":"4","domain":"example.com","dsa":{"payor":"A","beneficiary":"B"},"regional_identities":{"SINGAPORE_UNIVERSAL":{"payer":"5","beneficiary":"6"}}}"#,
];

#[test]
fn defaults() {
    assert_accepted(&DEFAULTS, |body| read::<LaunchDefaults>(body).is_some());
    bolero::check!().with_type::<Input>().with_iterations(iterations()).for_each(|input: &Input| {
        let Some(defaults) = read::<LaunchDefaults>(&document(&DEFAULTS, input)) else { return };
        drop(defaults.check());
        let mut spec = read(LAUNCHES[2].as_bytes()).unwrap();
        defaults.fill(&mut spec);
        assert_round_trips(&spec);
        assert_round_trips(&defaults);
    });
}

const RULES: [&str; 2] = [
    r#"{"name":"Stop","ad_account":"act_1","level":"ad","when":{"measure":"cost_per_purchase","window":"last_7_days","operator":"above","value":"25.5","missing":"zero"},"guard":{"min_spend":"10","min_impressions":800},"action":{"type":"pause"}}"#,
    r#"{"name":"More","state":"disabled","level":"campaign","when":{"measure":"roas","window":"today","operator":"at_least","value":"2"},"action":{"type":"set_budget","daily_budget":{"amount":9000,"currency":"SGD"}}}"#,
];

#[test]
fn rules() {
    assert_accepted(&RULES, |body| read::<RuleSpec>(body).is_some());
    bolero::check!().with_type::<Input>().with_iterations(iterations()).for_each(|input: &Input| {
        let Some(spec) = read::<RuleSpec>(&document(&RULES, input)) else { return };
        drop(spec.check());
        drop(spec.guard.insufficient_data(&Measures::default()));
        let _ = spec.when.evaluate(&Measures::default());
        assert!(spec.when.window.days(date(2026, 11, 20)).days() <= 30);
        assert_round_trips(&spec);
    });
}

const MONEY: [&str; 2] = [r#"{"amount":5000,"currency":"SGD"}"#, r#"{"amount":-1,"currency":"JPY"}"#];

#[test]
fn money() {
    assert_accepted(&MONEY, |body| read::<Money>(body).is_some());
    bolero::check!().with_type::<Input>().with_iterations(iterations()).for_each(|input: &Input| {
        let Some(money) = read::<Money>(&document(&MONEY, input)) else { return };
        assert!([1, 100].contains(&Platform::Meta.minor_units(money.currency)));
        assert_round_trips(&money);
    });
}

const RANGES: [&str; 1] = [r#"{"since":"2026-11-08","until":"2026-11-19"}"#];

/// An accepted range is covered by its weeks; an invalid one of the right shape does no harm.
#[test]
fn ranges_and_weeks() {
    assert_accepted(&RANGES, |body| read::<DateRange>(body).is_some());
    bolero::check!().with_type::<(Input, Input)>().with_iterations(iterations()).for_each(
        |(range, week): &(Input, Input)| {
            if let Some(range) = read::<DateRange>(&document(&RANGES, range)) {
                assert_round_trips(&range);
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
