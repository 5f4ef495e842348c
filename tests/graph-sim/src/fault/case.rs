//! All single faults, with the outcome that a correct client must reach.

use serde_json::json;

use super::{Area, ErrorData, ErrorResponse, FaultKind, FaultPlan, RequestMatcher, ThrottleKind, Trigger};

/// How a correct client ends when it meets a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectedOutcome {
    /// With complete data.
    Complete,
    /// By asking the user to connect again.
    Reconnect,
    /// By telling the user what is not allowed.
    Permission,
    /// By telling its developers that this version is no longer served.
    Version,
}

/// A single fault with its expected outcome.
#[derive(Clone, Debug)]
pub struct FaultCase {
    /// Name in a test's output.
    pub name: &'static str,
    /// The fault: transient faults affect the second read of an ad account, permanent ones every read.
    pub plan: FaultPlan,
    /// How a correct client ends.
    pub expected: ExpectedOutcome,
}

impl FaultPlan {
    /// Returns every single fault once, each as a plan of its own; [`FaultPlan::with_matcher`] applies it to other
    /// requests. Faults of batches and of webhook deliveries do not affect a client that uses neither.
    pub fn all_cases() -> Vec<FaultCase> {
        let mut cases: Vec<FaultCase> =
            transient_cases().into_iter().map(|(name, what)| once(name, what)).collect();
        cases.extend(permanent_cases().into_iter().map(|(name, error_response, expected)| {
            let matcher = ad_account();
            FaultCase {
                name,
                plan: Self::single(Trigger::default(), matcher, FaultKind::ErrorResponse(error_response)),
                expected,
            }
        }));
        cases.push(in_area("batch item without a response", Area::BatchItem, FaultKind::LostResponse));
        let busy = FaultKind::ErrorResponse(ErrorResponse::new(2, None).status(500).transient(true));
        cases.push(in_area("batch item refused for a moment", Area::BatchItem, busy));
        cases.push(in_area("webhook delivered twice", Area::Webhook, FaultKind::Duplicate));
        cases.push(in_area("webhooks in another order", Area::Webhook, FaultKind::OutOfOrder));
        cases.push(in_area("webhook not delivered at first", Area::Webhook, FaultKind::LostRequest));
        cases
    }
}

fn ad_account() -> RequestMatcher {
    RequestMatcher { method: Some("GET".into()), path_contains: "/act_".into(), area: None }
}

fn once(name: &'static str, what: FaultKind) -> FaultCase {
    // A repeated page needs a page before it, which the fault's own condition ensures.
    let n = if matches!(what, FaultKind::RepeatedPage) { 1 } else { 2 };
    FaultCase {
        name,
        plan: FaultPlan::single(Trigger::nth(n), ad_account(), what),
        expected: ExpectedOutcome::Complete,
    }
}

fn in_area(name: &'static str, area: Area, what: FaultKind) -> FaultCase {
    let matcher = RequestMatcher { area: Some(area), ..RequestMatcher::default() };
    FaultCase {
        name,
        plan: FaultPlan::single(Trigger::nth(1), matcher, what),
        expected: ExpectedOutcome::Complete,
    }
}

fn transient_cases() -> Vec<(&'static str, FaultKind)> {
    let error_response = |code, subcode| ErrorResponse::new(code, subcode);
    let throttle = |limit| FaultKind::Throttle { limit, minutes: 1 };
    let data = json!({ "blame_field_specs": [["fields"]] });
    let with_data = |data| ErrorResponse {
        error_data: Some(data),
        ..error_response(2, None).status(500).transient(true)
    };
    vec![
        ("unknown error", FaultKind::ErrorResponse(error_response(1, None).status(500))),
        ("service error", FaultKind::ErrorResponse(error_response(2, None).status(500).transient(true))),
        (
            "passing error of another code",
            FaultKind::ErrorResponse(error_response(100, None).transient(true)),
        ),
        ("passing insights error", FaultKind::ErrorResponse(error_response(2, Some(1_504_044)).status(500))),
        ("error data as text", FaultKind::ErrorResponse(with_data(ErrorData::Text(data.clone())))),
        ("error data as object", FaultKind::ErrorResponse(with_data(ErrorData::Object(data)))),
        ("error in a success", FaultKind::ErrorResponse(error_response(2, None).status(200).transient(true))),
        ("plain words in a success", FaultKind::PlainUnavailable),
        ("page with 502", FaultKind::Html),
        ("page with 503", FaultKind::HtmlUnavailable),
        ("empty 413", FaultKind::TooLarge),
        ("truncated response", FaultKind::Truncated),
        ("lost response", FaultKind::LostResponse),
        ("lost request", FaultKind::LostRequest),
        ("late response", FaultKind::Delay { millis: 200 }),
        ("no response", FaultKind::Hang),
        ("repeated page", FaultKind::RepeatedPage),
        ("too much data, by words", FaultKind::ErrorResponse(ErrorResponse::too_much_data())),
        ("too much data, by subcode", FaultKind::ErrorResponse(error_response(100, Some(1_487_534)))),
        (
            "too much data, timed out",
            FaultKind::ErrorResponse(error_response(2, Some(1_504_038)).status(500)),
        ),
        ("too many rows", FaultKind::ErrorResponse(error_response(100, Some(1_504_018)))),
        ("app throttled", throttle(ThrottleKind::App)),
        ("account throttled", throttle(ThrottleKind::Account)),
        ("account throttled for a burst", throttle(ThrottleKind::Burst)),
        ("insights throttled", throttle(ThrottleKind::Insights)),
        ("management throttled", throttle(ThrottleKind::Management)),
    ]
}

fn permanent_cases() -> Vec<(&'static str, ErrorResponse, ExpectedOutcome)> {
    use ExpectedOutcome::{Permission, Reconnect, Version};
    vec![
        ("app removed", ErrorResponse::token(458), Reconnect),
        // The user fixes these two at facebook.com, and the token stays valid.
        ("person checkpointed", ErrorResponse::token(459), Permission),
        ("password changed", ErrorResponse::token(460), Reconnect),
        ("token expired", ErrorResponse::token(463), Reconnect),
        ("person not confirmed", ErrorResponse::token(464), Permission),
        ("logged out", ErrorResponse::token(467), Reconnect),
        ("session ended", ErrorResponse::new(102, None), Reconnect),
        ("permission missing", ErrorResponse::new(10, None).status(403), Permission),
        ("access to the account withdrawn", ErrorResponse::new(200, None).status(403), Permission),
        ("ads_management missing", ErrorResponse::new(294, None).status(403), Permission),
        ("version ended", ErrorResponse::new(2635, None), Version),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_case_has_its_own_name() {
        let cases = FaultPlan::all_cases();
        let names: BTreeSet<&str> = cases.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), cases.len());
    }
}
