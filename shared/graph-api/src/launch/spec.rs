//! The launch document of Meta's campaigns.

use domain::FieldError;
use domain::launch::{Launch, Step};
use domain::money::{Currency, Money};
use domain::text::{is_enum_constant, is_single_line};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::ad_set::AdSetSpec;
use super::budget_schedule::{self, BudgetSchedule};
use super::findings::Findings;
use super::{AdSpec, bid};
use crate::id::ObjectId;

/// Maximum length of a name, in characters. Meta allows 400 for ad sets; the rest is left for the launch's id.
pub(super) const MAX_NAME_CHARS: usize = 350;

/// Maximum entries of a list: more than there are countries.
pub(super) const MAX_LIST_ENTRIES: usize = 250;

/// Ad sets of a launch. Meta allows 200 in a campaign.
const MAX_AD_SETS: usize = 50;

/// Ads of an ad set. Meta allows 50 that are not archived.
const MAX_ADS: usize = 50;

/// Ads of a launch, so that it ends within minutes.
const MAX_LAUNCH_ADS: usize = 200;

/// Campaign objectives since Graph v17. Source: Marketing API, "Campaign".
const OBJECTIVES: [&str; 6] = [
    "OUTCOME_AWARENESS",
    "OUTCOME_TRAFFIC",
    "OUTCOME_ENGAGEMENT",
    "OUTCOME_LEADS",
    "OUTCOME_APP_PROMOTION",
    "OUTCOME_SALES",
];

/// What `POST campaigns` takes. Everything is created PAUSED.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "LaunchDocument", into = "LaunchDocument")]
pub struct LaunchSpec {
    /// The campaign's name; ad sets and ads take it over when they have none.
    pub name: String,
    /// Such as `OUTCOME_SALES`.
    pub objective: String,
    /// The campaign's budget per day.
    pub daily_budget: Option<Money>,
    /// Times for which it is higher.
    pub budget_schedules: Vec<BudgetSchedule>,
    /// The campaign's budget from start to end.
    pub lifetime_budget: Option<Money>,
    /// How to bid, such as `COST_CAP`.
    pub bid_strategy: Option<String>,
    /// What the campaign may spend in all.
    pub spend_cap: Option<Money>,
    /// Categories under special rules, such as `HOUSING`.
    pub special_ad_categories: Vec<String>,
    /// The countries whose special rules apply; empty for those of the audience.
    pub special_ad_category_countries: Vec<String>,
    /// The catalog whose products are sold.
    pub catalog: Option<ObjectId>,
    /// The ad sets, each with its ads.
    pub ad_sets: Vec<AdSetSpec>,
    /// Whether the one ad set is written as `ad_set`.
    is_single: bool,
}

/// A launch document: a campaign with its ad sets and ads, all of which are created PAUSED.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "describe", schemars(rename = "LaunchSpec"))]
#[serde(deny_unknown_fields)]
pub struct LaunchDocument {
    /// The campaign's name; ad sets and ads take it over when they have none.
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_NAME_CHARS), extend("pattern" = domain::text::SINGLE_LINE_PATTERN)))]
    name: String,
    /// Such as `OUTCOME_SALES`.
    #[cfg_attr(feature = "describe", schemars(extend("enum" = OBJECTIVES)))]
    objective: String,
    /// The campaign's budget per day. A launch has a daily or a lifetime budget, of the campaign or of each ad set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(with = "Option<domain::money::Budget>"))]
    daily_budget: Option<Money>,
    /// Times for which the campaign's daily budget is higher, such as Black Friday.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "describe", schemars(length(max = 50)))]
    budget_schedules: Vec<BudgetSchedule>,
    /// The campaign's budget from start to end. The ad sets have an end then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(with = "Option<domain::money::Budget>"))]
    lifetime_budget: Option<Money>,
    /// How to bid: `LOWEST_COST_WITHOUT_CAP`, the default, takes no amounts; `LOWEST_COST_WITH_BID_CAP` and `COST_CAP`
    /// take the `bid_amount` of each ad set, `LOWEST_COST_WITH_MIN_ROAS` its `min_roas`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(with = "Option<bid::BidStrategy>"))]
    bid_strategy: Option<String>,
    /// What the campaign may spend in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(with = "Option<domain::money::Budget>"))]
    spend_cap: Option<Money>,
    /// Categories under special rules, such as `HOUSING`; usually none.
    #[serde(default)]
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_LIST_ENTRIES), inner(regex(pattern = domain::text::ENUM_CONSTANT_PATTERN))))]
    special_ad_categories: Vec<String>,
    /// The countries whose special rules apply; those of the audience when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_LIST_ENTRIES), inner(regex(pattern = "^[A-Z]{2}$"))))]
    special_ad_category_countries: Vec<String>,
    /// The catalog whose products are sold; the ad account's default when an ad set promotes a product set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    catalog: Option<ObjectId>,
    /// One ad set: short for `ad_sets` with one entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ad_set: Option<AdSetSpec>,
    /// The ad of each ad set that has no `ads` of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ad: Option<AdSpec>,
    /// Several ad sets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_AD_SETS)))]
    ad_sets: Vec<AdSetSpec>,
}

impl TryFrom<LaunchDocument> for LaunchSpec {
    type Error = &'static str;

    fn try_from(document: LaunchDocument) -> Result<Self, &'static str> {
        let mut ad_sets = document.ad_sets;
        let is_single = document.ad_set.is_some();
        if is_single && !ad_sets.is_empty() {
            return Err("ad_set is short for ad_sets: give one of them");
        }
        ad_sets.extend(document.ad_set);
        if let Some(ad) = document.ad {
            let mut without = ad_sets.iter_mut().filter(|ad_set| ad_set.ads.is_empty()).peekable();
            if without.peek().is_none() {
                return Err("ad is for ad sets without ads of their own, and there is none");
            }
            without.for_each(|ad_set| {
                ad_set.ads.push(ad.clone());
                ad_set.shares_ad = true;
            });
        }
        Ok(Self {
            name: document.name,
            objective: document.objective,
            daily_budget: document.daily_budget,
            budget_schedules: document.budget_schedules,
            lifetime_budget: document.lifetime_budget,
            bid_strategy: document.bid_strategy,
            spend_cap: document.spend_cap,
            special_ad_categories: document.special_ad_categories,
            special_ad_category_countries: document.special_ad_category_countries,
            catalog: document.catalog,
            ad_sets,
            is_single,
        })
    }
}

impl From<LaunchSpec> for LaunchDocument {
    fn from(mut spec: LaunchSpec) -> Self {
        // Defaults of the ad account may have made a shared ad another one in each ad set.
        let mut sharing = spec.ad_sets.iter_mut().filter(|ad_set| ad_set.shares_ad);
        let shared = sharing.next().and_then(|first| first.ads.first().cloned());
        let is_one = sharing.all(|ad_set| ad_set.ads.first() == shared.as_ref());
        let ad = shared.filter(|_| is_one);
        for ad_set in spec.ad_sets.iter_mut().filter(|ad_set| ad_set.shares_ad && ad.is_some()) {
            ad_set.ads.clear();
        }
        let ad_set = if spec.is_single { spec.ad_sets.pop() } else { None };
        Self {
            name: spec.name,
            objective: spec.objective,
            daily_budget: spec.daily_budget,
            budget_schedules: spec.budget_schedules,
            lifetime_budget: spec.lifetime_budget,
            bid_strategy: spec.bid_strategy,
            spend_cap: spec.spend_cap,
            special_ad_categories: spec.special_ad_categories,
            special_ad_category_countries: spec.special_ad_category_countries,
            catalog: spec.catalog,
            ad_set,
            ad,
            ad_sets: spec.ad_sets,
        }
    }
}

#[cfg(feature = "describe")]
impl schemars::JsonSchema for LaunchSpec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        LaunchDocument::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        LaunchDocument::json_schema(generator)
    }
}

impl LaunchSpec {
    /// Returns whether the document is about one ad set with one ad.
    fn has_one_of_each(&self) -> bool {
        matches!(self.ad_sets.as_slice(), [only] if only.ads.len() == 1)
    }

    /// Returns where the document describes what a step creates, as it is written: an ad set may be the only one, and an
    /// ad may be shared.
    pub fn path_of(&self, step: Step) -> String {
        match step {
            Step::AdSet(_) if self.is_single => "ad_set".to_owned(),
            Step::Ad(..) if self.ad_set(step).is_some_and(|ad_set| ad_set.shares_ad) => "ad".to_owned(),
            Step::Ad(ad_set, ad) if self.is_single => {
                format!("{}.ads[{ad}]", self.path_of(Step::AdSet(ad_set)))
            }
            step => step.to_string(),
        }
    }

    /// Returns what is to be created, in order.
    pub fn steps(&self) -> Vec<Step> {
        Step::of(self.ad_sets.iter().map(|ad_set| ad_set.ads.len()))
    }

    /// Returns the ad sets with their steps.
    pub fn steps_of_ad_sets(&self) -> impl Iterator<Item = (Step, &AdSetSpec)> {
        (0..=u8::MAX).map(Step::AdSet).zip(&self.ad_sets)
    }

    /// Returns the ad set of a step, or of a step's ad.
    pub(crate) fn ad_set(&self, step: Step) -> Option<&AdSetSpec> {
        match step {
            Step::Campaign => None,
            Step::AdSet(ad_set) | Step::Ad(ad_set, _) => self.ad_sets.get(usize::from(ad_set)),
        }
    }

    /// Returns the countries whose rules for special ad categories apply.
    pub(crate) fn category_countries(&self) -> Vec<&str> {
        if !self.special_ad_category_countries.is_empty() {
            return self.special_ad_category_countries.iter().map(String::as_str).collect();
        }
        let mut countries = Vec::new();
        for country in self.ad_sets.iter().flat_map(AdSetSpec::shown_in) {
            if !countries.contains(&country) {
                countries.push(country);
            }
        }
        countries
    }

    /// Returns the ad of a step.
    pub(crate) fn ad(&self, step: Step) -> Option<&AdSpec> {
        let Step::Ad(_, ad) = step else { return None };
        self.ad_set(step)?.ads.get(usize::from(ad))
    }

    pub(super) fn ad_mut(&mut self, step: Step) -> Option<&mut AdSpec> {
        let Step::Ad(ad_set, ad) = step else { return None };
        self.ad_sets.get_mut(usize::from(ad_set))?.ads.get_mut(usize::from(ad))
    }

    /// Returns whether the budget is the campaign's.
    pub(crate) fn has_campaign_budget(&self) -> bool {
        self.daily_budget.is_some() || self.lifetime_budget.is_some()
    }

    /// Writes times with the offset of a time zone, and fills in the goal that an objective usually has.
    pub fn resolve(&mut self, zone: &TimeZone) {
        let objective = self.objective.clone();
        self.budget_schedules.iter_mut().for_each(|schedule| schedule.resolve(zone));
        for ad_set in &mut self.ad_sets {
            ad_set.resolve(&objective, zone);
        }
    }

    /// Checks what deserialization does not, and returns every finding at once. Times are [resolved](Self::resolve).
    pub fn check(&self, currency: Currency, now: Timestamp) -> Vec<FieldError> {
        let mut found = Findings::new(currency);
        require_name(Some(&self.name), "name", &mut found);
        let objectives = format!("must be one of {}", OBJECTIVES.join(", "));
        found.require(OBJECTIVES.contains(&self.objective.as_str()), "objective", objectives);
        found.require_budget(self.daily_budget, "daily_budget");
        found.require_budget(self.lifetime_budget, "lifetime_budget");
        found.require_budget(self.spend_cap, "spend_cap");
        budget_schedule::check(
            &self.budget_schedules,
            (self.daily_budget, None),
            "budget_schedules",
            now,
            &mut found,
        );
        for (entries, field) in [
            (&self.special_ad_categories, "special_ad_categories"),
            (&self.special_ad_category_countries, "special_ad_category_countries"),
        ] {
            found.require_short(entries.len(), field);
        }
        let categories = self.special_ad_categories.iter().all(|category| is_enum_constant(category));
        found.require(categories, "special_ad_categories", "must hold words of Meta's, such as HOUSING");
        found.require_countries(&self.special_ad_category_countries, "special_ad_category_countries");
        // Meta knows in which country a region or a city is.
        let needs_countries = self.special_ad_categories.iter().any(|category| category != "NONE")
            && self.special_ad_category_countries.is_empty()
            && self.ad_sets.iter().any(AdSetSpec::names_places_without_country);
        let message =
            "must be there: the categories hold in these countries, which regions and cities do not name";
        found.require(!needs_countries, "special_ad_category_countries", message);
        self.check_ad_sets("daily_budget", now, &mut found);
        found.into_errors()
    }

    /// [`Self::check`] of ad sets that are added to a campaign that exists, whose own values are not in question.
    pub fn check_added_ad_sets(&self, currency: Currency, now: Timestamp) -> Vec<FieldError> {
        let mut found = Findings::new(currency);
        self.check_ad_sets("ad_sets[0].daily_budget", now, &mut found);
        found.into_errors()
    }

    /// Checks the ad sets with their ads. A budget that neither they nor the campaign have is missing in this field.
    fn check_ad_sets(&self, budget_field: &str, now: Timestamp, found: &mut Findings) {
        self.check_numbers(found);
        self.check_budget_level(budget_field, found);
        bid::check_strategy(self, found);
        for (number, ad_set) in (0..=u8::MAX).zip(&self.ad_sets) {
            let path = self.path_of(Step::AdSet(number));
            require_name(ad_set.name.as_deref(), &format!("{path}.name"), found);
            ad_set.check(self, &path, now, found);
            for (ad_number, ad) in (0..=u8::MAX).zip(&ad_set.ads) {
                check_ad(ad, ad_set, &self.path_of(Step::Ad(number, ad_number)), found);
            }
        }
    }

    /// [`Self::check`] of what is added to an ad set that exists, the only one of the document. Paths begin with `ads`.
    pub fn check_added_ads(&self, currency: Currency) -> Vec<FieldError> {
        let mut found = Findings::new(currency);
        for ad_set in &self.ad_sets {
            let message = format!("must have 1 to {MAX_ADS} entries");
            found.require((1..=MAX_ADS).contains(&ad_set.ads.len()), "ads", message);
            for (number, ad) in ad_set.ads.iter().enumerate() {
                check_ad(ad, ad_set, &format!("ads[{number}]"), &mut found);
            }
        }
        found.into_errors()
    }

    /// Checks what an ad shows, and nothing else.
    pub fn check_creative(&self, step: Step) -> Vec<FieldError> {
        let (Some(ad_set), Some(ad)) = (self.ad_set(step), self.ad(step)) else {
            return vec![FieldError::new("ad", format!("{step} is no ad of the document"))];
        };
        ad.creative.check(&format!("{}.creative", self.path_of(step)), ad_set.destination_type.as_deref())
    }

    fn check_numbers(&self, found: &mut Findings) {
        let sets = self.ad_sets.len();
        found.require(sets > 0, "ad_set", "must be there: a launch has one ad set or several ad_sets");
        let message = format!("may have {MAX_AD_SETS} entries at most");
        found.require(sets <= MAX_AD_SETS, "ad_sets", message);
        for (step, ad_set) in self.steps_of_ad_sets() {
            let field = format!("{}.ads", self.path_of(step));
            found.require(
                !ad_set.ads.is_empty(),
                &field,
                "must be there: an ad set has an ad or several ads",
            );
            let message = format!("may have {MAX_ADS} entries at most");
            found.require(ad_set.ads.len() <= MAX_ADS, &field, message);
        }
        let ads: usize = self.ad_sets.iter().map(|ad_set| ad_set.ads.len()).sum();
        let message = format!("may have {MAX_LAUNCH_ADS} ads in all at most");
        found.require(ads <= MAX_LAUNCH_ADS, "ad_sets", message);
    }

    /// Checks that there is one budget: a daily or a lifetime one, of the campaign or of every ad set.
    fn check_budget_level(&self, missing_field: &str, found: &mut Findings) {
        let one = "give one budget: daily_budget or lifetime_budget, of the campaign or of each ad set";
        let both = self.daily_budget.is_some() && self.lifetime_budget.is_some();
        found.require(!both, "lifetime_budget", one);
        let of_sets = self.ad_sets.iter().any(AdSetSpec::has_budget);
        found.require(self.has_campaign_budget() || of_sets, missing_field, one);
        for (step, ad_set) in self.steps_of_ad_sets() {
            let given = if ad_set.lifetime_budget.is_some() { "lifetime_budget" } else { "daily_budget" };
            let field = format!("{}.{given}", self.path_of(step));
            if self.has_campaign_budget() {
                let message = "must be absent, because the campaign has a budget";
                found.require(!ad_set.has_budget(), &field, message);
            } else if of_sets {
                found.require(ad_set.has_budget(), &field, "must be there, as in the other ad sets");
                let both = ad_set.daily_budget.is_some() && ad_set.lifetime_budget.is_some();
                found.require(!both, &field, one);
            }
        }
    }

    /// Returns the name that the document gives to the object of a step.
    pub fn name_of(&self, step: Step) -> &str {
        let name = match step {
            Step::Campaign => None,
            Step::AdSet(_) => self.ad_set(step).and_then(|ad_set| ad_set.name.as_deref()),
            Step::Ad(..) => self.ad(step).and_then(|ad| ad.name.as_deref()),
        };
        name.unwrap_or(&self.name)
    }

    /// Returns the name of the object of a step until the launch is committed. It ends with the launch's id and the
    /// step's number, so that an object whose creation got no response can be found again: the Graph API has no
    /// idempotency key.
    pub(crate) fn marked_name(&self, launch: &Launch, step: Step) -> String {
        let (name, id) = (self.name_of(step), &launch.id);
        match step {
            Step::Ad(ad_set, ad) if !self.has_one_of_each() => format!("{name} [{id} {ad_set}.{ad}]"),
            Step::AdSet(ad_set) if !self.has_one_of_each() => format!("{name} [{id} {ad_set}]"),
            _ => format!("{name} [{id}]"),
        }
    }
}

fn require_name(name: Option<&str>, field: &str, found: &mut Findings) {
    let message = format!("must have 1 to {MAX_NAME_CHARS} characters, and no control characters");
    found.require(name.is_none_or(|name| is_single_line(name, MAX_NAME_CHARS)), field, message);
}

fn check_ad(ad: &AdSpec, ad_set: &AdSetSpec, path: &str, found: &mut Findings) {
    require_name(ad.name.as_deref(), &format!("{path}.name"), found);
    ad.check(ad_set.destination_type.as_deref(), path, found);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(json: &str) -> Vec<String> {
        let mut spec: LaunchSpec = serde_json::from_str(json).unwrap();
        spec.resolve(&TimeZone::UTC);
        let now = "2026-11-20T00:00:00Z".parse().unwrap();
        spec.check("SGD".parse().unwrap(), now).into_iter().map(|found| found.field).collect()
    }

    #[test]
    fn every_error_is_reported_at_once_with_its_field() {
        let found = fields(
            r#"{"name":" ","objective":"SALES","daily_budget":{"amount":0,"currency":"USD"},
                "ad_set":{"optimization_goal":"LINK_CLICKS","countries":["sg"]},
                "ad":{"creative":{"post_id":"12"}}}"#,
        );
        let expected = [
            "name",
            "objective",
            "daily_budget.amount",
            "daily_budget.currency",
            "ad_set.countries",
            "ad.creative.post_id",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn errors_of_lists_have_their_place() {
        let found = fields(
            r#"{"name":"n","objective":"OUTCOME_TRAFFIC",
                "ad":{"creative":{"creative_id":"1"}},
                "ad_sets":[
                  {"countries":["SG"],"daily_budget":{"amount":500,"currency":"SGD"}},
                  {"countries":["SG"],"ads":[{"creative":{"creative_id":"1"}},{"name":" ","creative":{"creative_id":"1"}}]}]}"#,
        );
        assert_eq!(found, ["ad_sets[1].daily_budget", "ad_sets[1].ads[1].name"]);
    }

    #[test]
    fn a_document_is_written_as_it_was_read_and_errors_have_its_paths() {
        let ad = r#"{"creative":{"post_id":"12"}}"#;
        let start =
            r#""name":"n","objective":"OUTCOME_TRAFFIC","daily_budget":{"amount":500,"currency":"SGD"}"#;
        let set = |ads: &str| format!(r#"{{"countries":["SG"]{ads}}}"#);
        let own = set(&format!(r#","ads":[{ad}]"#));
        for (document, paths) in [
            (format!(r#"{{{start},"ad_set":{},"ad":{ad}}}"#, set("")), ["ad.creative.post_id"].as_slice()),
            (format!(r#"{{{start},"ad_set":{own}}}"#), &["ad_set.ads[0].creative.post_id"]),
            (format!(r#"{{{start},"ad_sets":[{own}]}}"#), &["ad_sets[0].ads[0].creative.post_id"]),
            (
                format!(r#"{{{start},"ad":{ad},"ad_sets":[{},{own},{}]}}"#, set(""), set("")),
                &["ad.creative.post_id", "ad_sets[1].ads[0].creative.post_id"],
            ),
        ] {
            assert_eq!(fields(&document), paths, "{document}");
            let spec: LaunchSpec = serde_json::from_str(&document).unwrap();
            let written = serde_json::to_value(&spec).unwrap();
            let given: serde_json::Value = serde_json::from_str(&document).unwrap();
            for part in ["ad", "ad_set", "ad_sets"] {
                assert_eq!(written.get(part).is_some(), given.get(part).is_some(), "{part} of {document}");
            }
            assert_eq!(serde_json::from_value::<LaunchSpec>(written).unwrap(), spec);
        }
        for wrong in [
            format!(r#"{{{start},"ad_set":{own},"ad_sets":[{own}]}}"#),
            format!(r#"{{{start},"ad":{ad},"ad_set":{own}}}"#),
        ] {
            assert!(serde_json::from_str::<LaunchSpec>(&wrong).is_err(), "{wrong}");
        }
    }
}
