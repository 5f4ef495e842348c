//! Responses of Graph: rows, objects, errors, usage headers, and login responses.

use std::time::Duration;

use domain::Error;
use domain::entity::Level;
use domain::metrics::{Details, Measures, Metric};
use graph_api::account::AccessibleAccount;
use graph_api::entities::GraphEntity;
use graph_api::insights::GraphRow;
use graph_api::limit::{AccountLimits, QuotaConsumption, QuotaShare};
use graph_api::oauth::{IssuedToken, TokenInfo};
use graph_api::usage::{Usage, UseCase};
use graph_api::{GraphError, fuzzing};
use jiff::{SignedDuration, Timestamp};
use query::{Measure, Numbers};

use crate::{Input, assert_accepted, assert_round_trips, document, iterations};

const INSIGHTS: [&str; 2] = [
    r#"{"data":[{"ad_id":"4","adset_id":"3","campaign_id":"2","date_start":"2026-11-19","date_stop":"2026-11-19","impressions":"8801","clicks":"120","inline_link_clicks":"7","spend":"42.17","reach":"7000","frequency":"1.257286","attribution_setting":"7d_click","actions":[{"action_type":"omni_purchase","value":"3","7d_click":"2","1d_view":"1"},{"action_type":"lead","value":"1"},{"action_type":"lead","value":"2"}],"action_values":[{"action_type":"omni_purchase","value":"289.9","7d_click":"200"}]},{"ad_id":"5","adset_id":"3","campaign_id":"2","date_start":"2026-11-19","date_stop":"2026-11-19"}],"paging":{"cursors":{"before":"a","after":"b"},"next":"https://graph.facebook.com/v26.0/act_1/insights?access_token=x"}}"#,
    r#"{"data":[{"ad_id":"4","adset_id":"3","campaign_id":"2","date_start":"2026-11-19","date_stop":"2026-11-19","impressions":1,"spend":1.5,"actions":[{"action_type":"purchase","value":1}]}]}"#,
];

/// An account's rows are added up, displayed and stored; the parser rejects numbers that no ad can have.
#[test]
fn insights() {
    let read = |body: &[u8]| fuzzing::rows::<GraphRow>(body, true).map(|(rows, _)| rows);
    assert_accepted(&INSIGHTS, |body| read(body).is_ok());
    bolero::check!().with_type::<Input>().with_iterations(iterations()).for_each(|input: &Input| {
        let Ok(days) = read(&document(&INSIGHTS, input)) else { return };
        let mut sum = Measures::default();
        for day in &days {
            assert_round_trips(&day.0.facts);
            sum += &day.0.facts.measures;
        }
        let measures: Vec<_> = Metric::ALL.iter().map(|metric| Measure::Metric(*metric)).collect();
        let numbers = Numbers { measures: Some(sum), ..Numbers::default() };
        serde_json::to_string(&numbers.values(&measures, Details::default())).unwrap();
    });
}

const OBJECTS: [&str; 1] = [
    r#"{"data":[{"id":"120","campaign_id":"7","adset_id":"8","name":"A","status":"PAUSED","configured_status":"PAUSED","effective_status":"CAMPAIGN_PAUSED","objective":"OUTCOME_SALES","daily_budget":"5000","lifetime_budget":"0","created_time":"2026-05-06T15:32:58+0200"},{"id":"121","daily_budget":5000}],"paging":{"cursors":{"after":"b"},"next":"x"}}"#,
];

#[test]
fn objects() {
    let read = |body: &[u8]| fuzzing::rows::<GraphEntity>(body, false).map(|(rows, _)| rows);
    assert_accepted(&OBJECTS, |body| read(body).is_ok());
    bolero::check!().with_type::<Input>().with_iterations(iterations()).for_each(|input: &Input| {
        for object in read(&document(&OBJECTS, input)).into_iter().flatten() {
            assert_round_trips(&object.into_entity(Level::AdSet));
        }
    });
}

const ERRORS: [&str; 3] = [
    r#"{"error":{"message":"m","type":"OAuthException","code":100,"error_subcode":33,"is_transient":false,"error_user_title":"t","error_user_msg":"u","fbtrace_id":"A","error_data":"{\"blame_field_specs\":[[\"targeting\",0,\"age\"]]}"}}"#,
    r#"{"error":{"message":"m","code":6000,"error_subcode":1363037,"error_data":{"start_offset":"52428800","end_offset":"9"}}}"#,
    r#"{"error":{"message":"m","code":80000,"error_subcode":2446079}}"#,
];

/// Every error response leads to a next action, and no wait is longer than Meta's longest.
#[test]
fn errors() {
    let input = bolero::check!().with_type::<(u16, bool, Input)>().with_iterations(iterations());
    input.for_each(|(status, creates, input): &(u16, bool, Input)| {
        let error = fuzzing::error(*status, &document(&ERRORS, input), *creates);
        if let GraphError::RateLimited { after, .. } = error {
            assert!(after <= Duration::from_secs(24 * 3600), "{after:?}");
        }
        assert!(!(*creates && error.is_retryable()), "{error}");
        assert!(!Error::from(error).to_string().is_empty());
    });
}

const HEADERS: [(&str, &str); 4] = [
    (
        "x-business-use-case-usage",
        r#"{"123":[{"type":"ads_insights","call_count":100,"total_cputime":20,"total_time":20,"estimated_time_to_regain_access":1,"ads_api_access_tier":"standard_access"},{"type":"ads_management","call_count":3}]}"#,
    ),
    (
        "x-ad-account-usage",
        r#"{"acc_id_util_pct":100,"reset_time_duration":90,"ads_api_access_tier":"standard_access"}"#,
    ),
    ("x-app-usage", r#"{"call_count":28,"total_cputime":25,"total_time":25}"#),
    (
        "x-fb-ads-insights-throttle",
        r#"{"app_id_util_pct":0.5,"acc_id_util_pct":10.2,"ads_api_access_tier":"standard_access"}"#,
    ),
];

/// Whatever the headers contain, quotas can be computed from them and stored.
#[test]
fn usage_headers() {
    let valid = HEADERS.map(|(_, value)| value);
    bolero::check!().with_type::<[Input; 4]>().with_iterations(iterations()).for_each(
        |inputs: &[Input; 4]| {
            let texts: Vec<_> = (0..4)
                .map(|place| {
                    String::from_utf8(document(&valid[place..=place], &inputs[place])).unwrap_or_default()
                })
                .collect();
            let usage = Usage::read(|name| {
                let place = HEADERS.iter().position(|(header, _)| *header == name)?;
                Some(texts[place].as_str())
            });
            assert!(usage.waits.iter().all(|(_, wait)| *wait <= Duration::from_secs(24 * 3600)), "{usage:?}");
            let (now, mut limits) = (Timestamp::UNIX_EPOCH, AccountLimits::default());
            let lease = limits.lease(UseCase::AdsInsights, QuotaShare::Whole, 1, 30, now).unwrap();
            limits.settle(&lease, &QuotaConsumption { points: 3, usage, ..QuotaConsumption::default() }, now);
            let written = serde_json::to_string(&limits).unwrap();
            let mut restored: AccountLimits = serde_json::from_str(&written).unwrap();
            let later = now + SignedDuration::from_secs(61);
            let lease = |limits: &mut AccountLimits| {
                limits.lease(UseCase::AdsInsights, QuotaShare::Whole, 1, 30, later)
            };
            assert_eq!(lease(&mut restored), lease(&mut limits), "{written}");
        },
    );
}

const LOGIN: [&str; 3] = [
    r#"{"access_token":"EAAB","token_type":"bearer","expires_in":5183944}"#,
    r#"{"app_id":"1","type":"USER","is_valid":true,"expires_at":1800000000,"data_access_expires_at":1800000000,"scopes":["ads_read"],"user_id":"7","granular_scopes":[{"scope":"ads_read"}]}"#,
    r#"{"id":"act_1","name":"n","account_status":1,"currency":"SGD","timezone_name":"Asia/Singapore"}"#,
];

/// Whatever the login responds, its token is never displayed.
#[test]
fn login() {
    assert_accepted(&LOGIN[..1], |body| serde_json::from_slice::<IssuedToken>(body).is_ok());
    assert_accepted(&LOGIN[1..2], |body| serde_json::from_slice::<TokenInfo>(body).is_ok());
    assert_accepted(&LOGIN[2..], |body| serde_json::from_slice::<AccessibleAccount>(body).is_ok());
    bolero::check!().with_type::<Input>().with_iterations(iterations()).for_each(|input: &Input| {
        let body = document(&LOGIN, input);
        if let Ok(token) = serde_json::from_slice::<IssuedToken>(&body) {
            assert!(!format!("{token:?}").contains("EAAB"));
        }
        drop(serde_json::from_slice::<TokenInfo>(&body));
        if let Ok(account) = serde_json::from_slice::<AccessibleAccount>(&body) {
            assert_round_trips(&account.id);
            assert_round_trips(&account.currency);
        }
    });
}
