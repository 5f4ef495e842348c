//! Fault plans.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{ErrorResponse, FaultKind, RequestInfo, ThrottleKind};
use crate::generator::SeededRng;
use crate::start_error::StartError;

/// Rules for injecting faults. The first rule that applies to a call decides. As JSON:
///
/// ```json
/// {"seed": 7, "rules": [
///   {"what": "lost_response", "when": {"skip": 2, "times": 1}, "where": {"method": "POST", "path_contains": "/ads"}},
///   {"what": {"throttle": {"limit": "insights", "minutes": 2}}, "when": {"every": 10}},
///   {"what": {"error_response": {"code": 2, "status": 500}}, "when": {"per_mille": 50}, "where": {"area": "insights"}}
/// ]}
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultPlan {
    /// Seed of the random decisions of `per_mille` rules.
    pub seed: u64,
    /// In order of precedence.
    pub rules: Vec<FaultRule>,
}

/// One rule of a plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// Which of the matching calls get the fault.
    #[serde(default)]
    pub when: Trigger,
    /// Which calls match.
    #[serde(default, rename = "where")]
    pub matcher: RequestMatcher,
    /// The fault.
    pub what: FaultKind,
}

/// Selects which of the matching calls get a fault: by default all.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Trigger {
    /// Number of calls let through first.
    pub skip: u32,
    /// Of the remaining calls, select every n-th only, beginning with the first.
    pub every: u32,
    /// Of those, select this many per thousand, as decided by the plan's seed.
    pub per_mille: u32,
    /// Maximum number of faults; `None` means no maximum.
    pub times: Option<u32>,
}

impl Default for Trigger {
    fn default() -> Self {
        Self { skip: 0, every: 1, per_mille: 1_000, times: None }
    }
}

impl Trigger {
    /// Returns a trigger for the n-th matching call only, counted from 1.
    pub fn nth(n: u32) -> Self {
        Self { skip: n.saturating_sub(1), times: Some(1), ..Self::default() }
    }
}

/// Selects calls: by default all, including items of batches. Webhook deliveries match only by their area.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RequestMatcher {
    /// Only calls of this method.
    pub method: Option<String>,
    /// Only calls whose path and query contain this text: for an item of a batch, its `relative_url`; for a webhook
    /// delivery, its callback URL.
    pub path_contains: String,
    /// Only calls to this part of the API.
    pub area: Option<Area>,
}

impl RequestMatcher {
    /// Returns a matcher for reads of a part of the API.
    pub fn reads(area: Area) -> Self {
        Self { method: Some("GET".into()), path_contains: String::new(), area: Some(area) }
    }

    pub(super) fn matches(&self, request: RequestInfo<'_>) -> bool {
        let area = match self.area {
            Some(area) => area == request.area,
            None => request.area != Area::Webhook,
        };
        area && self.method.as_ref().is_none_or(|method| method.eq_ignore_ascii_case(request.method.as_str()))
            && request.path.contains(&self.path_contains)
    }
}

/// A part of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Area {
    /// The insights edges.
    Insights,
    /// Tokens and permissions: `oauth`, `debug_token`, `me/permissions`.
    Oauth,
    /// Whole batch calls.
    Batch,
    /// Everything else: objects, listings, writes, uploads.
    Structure,
    /// Items of batch calls, whatever they call.
    BatchItem,
    /// Webhook deliveries.
    Webhook,
}

impl Area {
    /// Returns the area of a call that is not a batch item.
    pub(crate) fn of_path(path_and_query: &str) -> Self {
        let path = path_and_query.split('?').next().unwrap_or_default();
        let segments = crate::call::split_path(path).1;
        match segments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            [] => Self::Batch,
            ["oauth", ..] | ["debug_token"] | ["me", "permissions", ..] => Self::Oauth,
            [_, "insights"] => Self::Insights,
            _ => Self::Structure,
        }
    }
}

impl FaultPlan {
    /// Returns a plan with one rule.
    pub fn single(when: Trigger, matcher: RequestMatcher, what: FaultKind) -> Self {
        Self { seed: 0, rules: vec![FaultRule { when, matcher, what }] }
    }

    /// Reads a plan from a JSON file.
    ///
    /// # Errors
    /// When the file cannot be read, or is not a plan.
    pub fn read(file: &Path) -> Result<Self, StartError> {
        let text =
            fs::read_to_string(file).map_err(|cause| StartError::File { file: file.to_owned(), cause })?;
        serde_json::from_str(&text).map_err(|error| StartError::Recording {
            file: file.display().to_string(),
            line: error.line(),
            column: error.column(),
            message: error.to_string(),
        })
    }

    /// Returns a mix of faults from which a correct client recovers with complete data; the same seed gives the same
    /// mix. Each fault affects a share of the reads. Writes are only throttled or delayed, because after any other
    /// fault a client must check the result before it retries. Throttled clients must wait a minute by their own clock;
    /// remove those rules from `rules` where that is too long.
    pub fn from_seed(seed: u64) -> Self {
        let rng = SeededRng::new(seed);
        let faults = transient_faults();
        let mut rules = Vec::new();
        for (number, (area, what)) in (0_u64..).zip(&faults) {
            let rng = rng.derive(number);
            // Each seed includes about 60 percent of the faults.
            if !rng.derive(1).percent(60) {
                continue;
            }
            let when = Trigger {
                skip: small(rng.derive(2).between(0, 6)),
                every: 1,
                per_mille: small(rng.derive(3).between(30, 150)),
                times: Some(small(rng.derive(4).between(1, 3))),
            };
            rules.push(FaultRule { when, matcher: area.clone(), what: what.clone() });
        }
        Self { seed, rules }
    }

    /// Applies the same faults to other requests.
    pub fn with_matcher(mut self, matcher: &RequestMatcher) -> Self {
        for rule in &mut self.rules {
            rule.matcher = matcher.clone();
        }
        self
    }
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Returns transient faults with the requests they apply to.
fn transient_faults() -> Vec<(RequestMatcher, FaultKind)> {
    let transient = ErrorResponse::new(2, None).status(500).transient(true);
    let hidden = ErrorResponse::new(2, None).status(200).transient(true);
    let each = [
        FaultKind::ErrorResponse(transient),
        FaultKind::ErrorResponse(hidden),
        FaultKind::PlainUnavailable,
        FaultKind::Html,
        FaultKind::HtmlUnavailable,
        FaultKind::Truncated,
        FaultKind::LostResponse,
        FaultKind::LostRequest,
        FaultKind::Delay { millis: 40 },
        FaultKind::RepeatedPage,
    ];
    let mut all = Vec::new();
    for area in [Area::Insights, Area::Structure] {
        all.extend(each.iter().map(|what| (RequestMatcher::reads(area), what.clone())));
    }
    let items = RequestMatcher::reads(Area::BatchItem);
    all.push((items.clone(), FaultKind::LostResponse));
    all.push((items, each[0].clone()));
    let insights = RequestMatcher::reads(Area::Insights);
    all.push((insights.clone(), FaultKind::ErrorResponse(ErrorResponse::too_much_data())));
    all.push((insights.clone(), FaultKind::TooLarge));
    all.push((insights, FaultKind::Throttle { limit: ThrottleKind::Insights, minutes: 1 }));
    all.push((
        RequestMatcher::reads(Area::Structure),
        FaultKind::Throttle { limit: ThrottleKind::Management, minutes: 1 },
    ));
    let writes = RequestMatcher {
        method: Some("POST".into()),
        area: Some(Area::Structure),
        ..RequestMatcher::default()
    };
    all.push((writes.clone(), FaultKind::Throttle { limit: ThrottleKind::Account, minutes: 1 }));
    all.push((writes, FaultKind::Delay { millis: 40 }));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_give_different_plans_and_the_same_again() {
        let plan = |seed| serde_json::to_string(&FaultPlan::from_seed(seed)).unwrap();
        assert_eq!(plan(1), plan(1));
        assert_ne!(plan(1), plan(2));
        assert!((0..50).all(|seed| FaultPlan::from_seed(seed).rules.len() > 3));
    }

    #[test]
    fn a_plan_is_written_in_few_words() {
        let plan: FaultPlan = serde_json::from_str(
            r#"{"rules": [
                {"what": "html"},
                {"when": {"every": 3}, "where": {"area": "insights"}, "what": {"throttle": {"limit": "insights", "minutes": 2}}},
                {"when": {"per_mille": 10}, "what": {"error_response": {"code": 2, "status": 500, "error_data": {"text": {"a": 1}}}}}
            ]}"#,
        )
        .unwrap();
        assert_eq!((plan.rules.len(), plan.rules[1].when.every, plan.rules[1].when.per_mille), (3, 3, 1_000));
        assert!(serde_json::from_str::<FaultPlan>(r#"{"rules": [{"what": "html", "wen": {}}]}"#).is_err());
    }

    #[test]
    fn a_path_says_which_part_of_the_api_it_is() {
        assert_eq!(Area::of_path("/v26.0/act_1/insights?level=ad"), Area::Insights);
        assert_eq!(Area::of_path("/v26.0/oauth/access_token?x=/insights"), Area::Oauth);
        assert_eq!(Area::of_path("/v26.0/"), Area::Batch);
        assert_eq!(Area::of_path("/v26.0/act_1/ads"), Area::Structure);
    }
}
