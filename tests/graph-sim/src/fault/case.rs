//! Every single fault, and what a correct client must end with.

use serde_json::json;

use super::{Area, ErrorData, FaultKind, FaultPlan, Place, Refusal, ThrottleKind, When};

/// How a correct client ends that meets a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With everything it came for.
    Complete,
    /// By asking a person to connect again.
    Reconnect,
    /// By telling a person what is not allowed.
    Permission,
    /// By telling its developers that this version is no longer served.
    Version,
}

/// One fault by itself.
#[derive(Clone, Debug)]
pub struct FaultCase {
    /// What it is called in a test's output.
    pub name: &'static str,
    /// The fault: once on the second read of an ad account if it passes, on all of them if it stays.
    pub plan: FaultPlan,
    /// How a correct client ends.
    pub ending: Ending,
}

impl FaultPlan {
    /// Every single fault once, each as a plan of its own; [`FaultPlan::at`] moves it elsewhere. Faults of batches
    /// and of webhook deliveries strike nothing in a client that uses neither.
    pub fn each() -> Vec<FaultCase> {
        let mut cases: Vec<FaultCase> = passing().into_iter().map(|(name, what)| once(name, what)).collect();
        cases.extend(staying().into_iter().map(|(name, refusal, ending)| {
            let place = ad_account();
            FaultCase { name, plan: Self::of(When::default(), place, FaultKind::Refusal(refusal)), ending }
        }));
        cases.push(in_area("batch item without an answer", Area::BatchItem, FaultKind::LostAnswer));
        let busy = FaultKind::Refusal(Refusal::new(2, None).status(500).transient(true));
        cases.push(in_area("batch item refused for a moment", Area::BatchItem, busy));
        cases.push(in_area("webhook delivered twice", Area::Webhook, FaultKind::Duplicate));
        cases.push(in_area("webhooks in another order", Area::Webhook, FaultKind::Overtaken));
        cases.push(in_area("webhook not delivered at first", Area::Webhook, FaultKind::LostCall));
        cases
    }
}

fn ad_account() -> Place {
    Place { method: Some("GET".into()), path_contains: "/act_".into(), area: None }
}

fn once(name: &'static str, what: FaultKind) -> FaultCase {
    // Where a page is repeated there must be one before it, which the fault itself sees to.
    let n = if matches!(what, FaultKind::RepeatedPage) { 1 } else { 2 };
    FaultCase { name, plan: FaultPlan::of(When::nth(n), ad_account(), what), ending: Ending::Complete }
}

fn in_area(name: &'static str, area: Area, what: FaultKind) -> FaultCase {
    let place = Place { area: Some(area), ..Place::default() };
    FaultCase { name, plan: FaultPlan::of(When::nth(1), place, what), ending: Ending::Complete }
}

fn passing() -> Vec<(&'static str, FaultKind)> {
    let refusal = |code, subcode| Refusal::new(code, subcode);
    let throttle = |limit| FaultKind::Throttle { limit, minutes: 1 };
    let data = json!({ "blame_field_specs": [["fields"]] });
    let with_data = |data| Refusal { error_data: Some(data), ..refusal(2, None).status(500).transient(true) };
    vec![
        ("unknown error", FaultKind::Refusal(refusal(1, None).status(500))),
        ("service error", FaultKind::Refusal(refusal(2, None).status(500).transient(true))),
        ("passing error of another code", FaultKind::Refusal(refusal(100, None).transient(true))),
        ("passing insights error", FaultKind::Refusal(refusal(2, Some(1_504_044)).status(500))),
        ("error data as text", FaultKind::Refusal(with_data(ErrorData::Text(data.clone())))),
        ("error data as object", FaultKind::Refusal(with_data(ErrorData::Object(data)))),
        ("error in a success", FaultKind::Refusal(refusal(2, None).status(200).transient(true))),
        ("plain words in a success", FaultKind::PlainUnavailable),
        ("page with 502", FaultKind::Html),
        ("page with 503", FaultKind::HtmlUnavailable),
        ("empty 413", FaultKind::TooLarge),
        ("half an answer", FaultKind::Truncated),
        ("lost answer", FaultKind::LostAnswer),
        ("lost call", FaultKind::LostCall),
        ("late answer", FaultKind::Delay { millis: 200 }),
        ("no answer ever", FaultKind::Hang),
        ("repeated page", FaultKind::RepeatedPage),
        ("too much data, by words", FaultKind::Refusal(Refusal::reduce_the_amount())),
        ("too much data, by subcode", FaultKind::Refusal(refusal(100, Some(1_487_534)))),
        ("too much data, timed out", FaultKind::Refusal(refusal(2, Some(1_504_038)).status(500))),
        ("too many rows", FaultKind::Refusal(refusal(100, Some(1_504_018)))),
        ("app throttled", throttle(ThrottleKind::App)),
        ("account throttled", throttle(ThrottleKind::Account)),
        ("account throttled for a burst", throttle(ThrottleKind::Burst)),
        ("insights throttled", throttle(ThrottleKind::Insights)),
        ("management throttled", throttle(ThrottleKind::Management)),
    ]
}

fn staying() -> Vec<(&'static str, Refusal, Ending)> {
    use Ending::{Permission, Reconnect, Version};
    vec![
        ("app removed", Refusal::token(458), Reconnect),
        // The person mends these two at facebook.com, and the token goes on.
        ("person checkpointed", Refusal::token(459), Permission),
        ("password changed", Refusal::token(460), Reconnect),
        ("token expired", Refusal::token(463), Reconnect),
        ("person not confirmed", Refusal::token(464), Permission),
        ("logged out", Refusal::token(467), Reconnect),
        ("session ended", Refusal::new(102, None), Reconnect),
        ("permission missing", Refusal::new(10, None).status(403), Permission),
        ("access to the account withdrawn", Refusal::new(200, None).status(403), Permission),
        ("ads_management missing", Refusal::new(294, None).status(403), Permission),
        ("version ended", Refusal::new(2635, None), Version),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_case_has_its_own_name() {
        let cases = FaultPlan::each();
        let names: BTreeSet<&str> = cases.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), cases.len());
    }
}
