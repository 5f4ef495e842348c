//! Plans of faults.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{FaultKind, Refusal, Sight, ThrottleKind};
use crate::generator::Chance;
use crate::start_error::StartError;

/// Rules by which calls go wrong. The first rule that strikes a call decides. As JSON:
///
/// ```json
/// {"seed": 7, "rules": [
///   {"what": "lost_answer", "when": {"skip": 2, "times": 1}, "where": {"method": "POST", "path_contains": "/ads"}},
///   {"what": {"throttle": {"limit": "insights", "minutes": 2}}, "when": {"every": 10}},
///   {"what": {"refusal": {"code": 2, "status": 500}}, "when": {"per_mille": 50}, "where": {"area": "insights"}}
/// ]}
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultPlan {
    /// Decides the rules that strike at a rate.
    pub seed: u64,
    /// In the order in which they are asked.
    pub rules: Vec<Rule>,
}

/// One way in which calls go wrong.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Which of the matching calls.
    #[serde(default)]
    pub when: When,
    /// Which calls match.
    #[serde(default, rename = "where")]
    pub place: Place,
    /// What goes wrong.
    pub what: FaultKind,
}

/// Which of the matching calls go wrong: by default all.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// So many are let through first.
    pub skip: u32,
    /// Of the others only every so-manieth, the first included.
    pub every: u32,
    /// And of these so many of a thousand, as the plan's seed decides.
    pub per_mille: u32,
    /// At most so many in all; without end when absent.
    pub times: Option<u32>,
}

impl Default for When {
    fn default() -> Self {
        Self { skip: 0, every: 1, per_mille: 1_000, times: None }
    }
}

impl When {
    /// Only the n-th matching call, counted from 1.
    pub fn nth(n: u32) -> Self {
        Self { skip: n.saturating_sub(1), times: Some(1), ..Self::default() }
    }
}

/// Which calls match: by default all, items of batches included, but webhook deliveries only by their area.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Place {
    /// Only calls of this method.
    pub method: Option<String>,
    /// Only calls whose path and query contain this. An item of a batch has those of its `relative_url`, and a
    /// webhook delivery its callback URL.
    pub path_contains: String,
    /// Only calls of this part of the API.
    pub area: Option<Area>,
}

impl Place {
    /// Reads of a part of the API.
    pub fn reads(area: Area) -> Self {
        Self { method: Some("GET".into()), path_contains: String::new(), area: Some(area) }
    }

    pub(super) fn holds(&self, sight: Sight<'_>) -> bool {
        let area = match self.area {
            Some(area) => area == sight.area,
            None => sight.area != Area::Webhook,
        };
        area && self.method.as_ref().is_none_or(|method| method.eq_ignore_ascii_case(sight.method.as_str()))
            && sight.path.contains(&self.path_contains)
    }
}

/// A part of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Area {
    /// The insights edges.
    Insights,
    /// Tokens and what they may do: `oauth`, `debug_token`, `me/permissions`.
    Oauth,
    /// Whole batch calls.
    Batch,
    /// Everything else: objects, listings, writes, uploads.
    Structure,
    /// Items of batch calls, whatever they are for.
    BatchItem,
    /// Deliveries of webhooks.
    Webhook,
}

impl Area {
    /// The area of a call of its own.
    pub(crate) fn of_path(path_and_query: &str) -> Self {
        let path = path_and_query.split('?').next().unwrap_or_default();
        let segments = crate::call::split(path).1;
        match segments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            [] => Self::Batch,
            ["oauth", ..] | ["debug_token"] | ["me", "permissions", ..] => Self::Oauth,
            [_, "insights"] => Self::Insights,
            _ => Self::Structure,
        }
    }
}

impl FaultPlan {
    /// A plan of one rule.
    pub fn of(when: When, place: Place, what: FaultKind) -> Self {
        Self { seed: 0, rules: vec![Rule { when, place, what }] }
    }

    /// The plan in a JSON file.
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

    /// A mix of faults after which a correct client still ends complete, the same for the same seed: each strikes a
    /// share of the reads. Writes are only throttled or answered late, since after anything else a client must look
    /// before it repeats. Clients must wait a minute of their own clock when they are throttled; take those rules out
    /// of `rules` where that is too long.
    pub fn from_seed(seed: u64) -> Self {
        let chance = Chance::new(seed);
        let faults = passing();
        let mut rules = Vec::new();
        for (number, (area, what)) in (0_u64..).zip(&faults) {
            let chance = chance.of(number);
            // Not every seed has every fault.
            if !chance.of(1).percent(60) {
                continue;
            }
            let when = When {
                skip: small(chance.of(2).between(0, 6)),
                every: 1,
                per_mille: small(chance.of(3).between(30, 150)),
                times: Some(small(chance.of(4).between(1, 3))),
            };
            rules.push(Rule { when, place: area.clone(), what: what.clone() });
        }
        Self { seed, rules }
    }

    /// The same faults in another place.
    pub fn at(mut self, place: &Place) -> Self {
        for rule in &mut self.rules {
            rule.place = place.clone();
        }
        self
    }
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Faults that pass, and where.
fn passing() -> Vec<(Place, FaultKind)> {
    let transient = Refusal::new(2, None).status(500).transient(true);
    let hidden = Refusal::new(2, None).status(200).transient(true);
    let each = [
        FaultKind::Refusal(transient),
        FaultKind::Refusal(hidden),
        FaultKind::PlainUnavailable,
        FaultKind::Html,
        FaultKind::HtmlUnavailable,
        FaultKind::Truncated,
        FaultKind::LostAnswer,
        FaultKind::LostCall,
        FaultKind::Delay { millis: 40 },
        FaultKind::RepeatedPage,
    ];
    let mut all = Vec::new();
    for area in [Area::Insights, Area::Structure] {
        all.extend(each.iter().map(|what| (Place::reads(area), what.clone())));
    }
    let items = Place::reads(Area::BatchItem);
    all.push((items.clone(), FaultKind::LostAnswer));
    all.push((items, each[0].clone()));
    let insights = Place::reads(Area::Insights);
    all.push((insights.clone(), FaultKind::Refusal(Refusal::reduce_the_amount())));
    all.push((insights.clone(), FaultKind::TooLarge));
    all.push((insights, FaultKind::Throttle { limit: ThrottleKind::Insights, minutes: 1 }));
    all.push((
        Place::reads(Area::Structure),
        FaultKind::Throttle { limit: ThrottleKind::Management, minutes: 1 },
    ));
    let writes = Place { method: Some("POST".into()), area: Some(Area::Structure), ..Place::default() };
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
                {"when": {"per_mille": 10}, "what": {"refusal": {"code": 2, "status": 500, "error_data": {"text": {"a": 1}}}}}
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
