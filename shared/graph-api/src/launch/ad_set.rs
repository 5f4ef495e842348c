//! The ad sets of a launch document.

use std::collections::BTreeMap;

use domain::FieldError;
use domain::local_time;
use domain::money::Money;
use domain::text::{is_enum_constant, is_single_line};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::audience::{Audience, Placements};
use super::budget_schedule::{self, BudgetSchedule};
use super::day_part::{self, DayPart};
use super::findings::Findings;
use super::goal::{self, Attribution};
#[cfg(feature = "describe")]
use super::spec::{MAX_LIST_ENTRIES, MAX_NAME_CHARS};
use super::{AdSpec, LaunchSpec};
use crate::regulation::{Dsa, RegionalIdentities, check_identities, check_shared_identities};

/// Maximum length of a value in `promoted_object`, in characters.
const MAX_PROMOTED_VALUE_CHARS: usize = 512;

/// An ad set of a launch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AdSetSpec {
    /// Its name; the campaign's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_NAME_CHARS), extend("pattern" = domain::text::SINGLE_LINE_PATTERN)))]
    pub name: Option<String>,
    /// Its budget per day, where the campaign has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(with = "Option<domain::money::Budget>"))]
    pub daily_budget: Option<Money>,
    /// Times for which its daily budget is higher, such as Black Friday.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "describe", schemars(length(max = 50)))]
    pub budget_schedules: Vec<BudgetSchedule>,
    /// Its budget from start to end, where the campaign has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(with = "Option<domain::money::Budget>"))]
    pub lifetime_budget: Option<Money>,
    /// The bid, or the cost per result, that is aimed at or not exceeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(with = "Option<domain::money::Budget>"))]
    pub bid_amount: Option<Money>,
    /// The least return on ad spend, such as `"1.5"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(regex(pattern = domain::text::NON_NEGATIVE_DECIMAL_PATTERN)))]
    pub min_roas: Option<String>,
    /// When it starts: a local time of the ad account, `2026-12-01T09:00:00`, or one with an offset; when it is
    /// activated when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(regex(pattern = TIME_PATTERN)))]
    pub start: Option<String>,
    /// When it ends; required with a lifetime budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(regex(pattern = TIME_PATTERN)))]
    pub end: Option<String>,
    /// The hours of the week, in the ad account's time zone, in which it delivers; all of them when absent. Requires a
    /// lifetime budget.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_LIST_ENTRIES)))]
    pub day_parts: Vec<DayPart>,
    /// Where a click leads to, in Meta's words, such as `WEBSITE`, `ON_AD` (lead form), `MESSENGER` or `WHATSAPP`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(regex(pattern = domain::text::ENUM_CONSTANT_PATTERN)))]
    pub destination_type: Option<String>,
    /// What Meta optimises for, such as `LINK_CLICKS` or `OFFSITE_CONVERSIONS`; what the objective usually has when
    /// absent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[cfg_attr(feature = "describe", schemars(extend("pattern" = domain::text::ENUM_CONSTANT_PATTERN)))]
    pub optimization_goal: String,
    /// What is paid for.
    #[serde(default = "default_billing_event")]
    #[cfg_attr(feature = "describe", schemars(extend("pattern" = domain::text::ENUM_CONSTANT_PATTERN)))]
    pub billing_event: String,
    /// How long after a click or a view a conversion counts; Meta's default for the goal when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribution: Option<Attribution>,
    /// Two-letter country codes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_LIST_ENTRIES), inner(regex(pattern = "^[A-Z]{2}$"))))]
    pub countries: Vec<String>,
    /// Who sees the ads there, and in which places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<Audience>,
    /// Whether Meta may look beyond the audience. Meta demands an explicit answer (v23 and later).
    #[serde(default)]
    pub advantage_audience: bool,
    /// Where the ads appear; wherever Meta expects most when absent (Advantage+ placements).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placements: Option<Placements>,
    /// What is promoted, in Meta's shape, such as `{"pixel_id":"1","custom_event_type":"PURCHASE"}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(extend(
        "maxProperties" = MAX_LIST_ENTRIES,
        "propertyNames" = serde_json::json!({"pattern": "^[a-z_]{1,64}$"}),
        "additionalProperties" = serde_json::json!({
            "type": "string", "maxLength": MAX_PROMOTED_VALUE_CHARS, "pattern": domain::text::SINGLE_LINE_PATTERN,
        }),
    )))]
    pub promoted_object: Option<BTreeMap<String, String>>,
    /// Who stands behind the ads. Meta demands it for audiences in the EU, unless the account has defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dsa: Option<Dsa>,
    /// Who pays and who benefits where Meta demands identities that it has verified: `TAIWAN_UNIVERSAL`,
    /// `SINGAPORE_UNIVERSAL`, `THAILAND_UNIVERSAL` and `BRAZIL_REGULATION` for any ad shown there, `TAIWAN_FINSERV`,
    /// `AUSTRALIA_FINSERV` and `INDIA_FINSERV` for ads for financial services.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "describe", schemars(transform = crate::regulation::describe))]
    pub regional_identities: RegionalIdentities,
    /// Its ads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "describe", schemars(length(max = 50)))]
    pub ads: Vec<AdSpec>,
    /// Whether its ad is the one that the document gives to every ad set without ads.
    #[serde(skip)]
    pub(super) shares_ad: bool,
}

/// A local time, or one with an offset.
#[cfg(feature = "describe")]
pub const TIME_PATTERN: &str = "^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?(Z|[+-][0-9]{2}:?[0-9]{2})?$";

fn default_billing_event() -> String {
    "IMPRESSIONS".to_owned()
}

impl AdSetSpec {
    /// Returns whether it has a budget of its own.
    pub(super) fn has_budget(&self) -> bool {
        self.daily_budget.is_some() || self.lifetime_budget.is_some()
    }

    /// Writes times with the offset of a time zone, and fills in the goal.
    pub(super) fn resolve(&mut self, objective: &str, zone: &TimeZone) {
        self.budget_schedules.iter_mut().for_each(|schedule| schedule.resolve(zone));
        for time in [&mut self.start, &mut self.end].into_iter().flatten() {
            // What is no moment stays as it is written, for the check to find.
            if let Some(resolved) = with_offset(time, zone) {
                *time = resolved;
            }
        }
        if self.optimization_goal.is_empty() {
            self.optimization_goal = goal::usual(objective, self.destination_type.as_deref()).to_owned();
        }
    }

    /// Returns whether it is shown in places whose country only Meta knows.
    pub(super) fn names_places_without_country(&self) -> bool {
        self.audience
            .as_ref()
            .is_some_and(|audience| !audience.regions.is_empty() || !audience.cities.is_empty())
    }

    /// Returns the countries in which it is shown, as far as the document names them.
    pub(crate) fn shown_in(&self) -> impl Iterator<Item = &str> {
        let places = self.audience.iter().flat_map(Audience::countries);
        self.countries.iter().map(String::as_str).chain(places)
    }

    pub(super) fn check(&self, spec: &LaunchSpec, path: &str, now: Timestamp, found: &mut Findings) {
        let at = |field: &str| format!("{path}.{field}");
        found.require_budget(self.daily_budget, &at("daily_budget"));
        found.require_budget(self.lifetime_budget, &at("lifetime_budget"));
        found.require_short(self.countries.len(), &at("countries"));
        found.require_short(self.promoted_object.as_ref().map_or(0, BTreeMap::len), &at("promoted_object"));
        found.require_countries(&self.countries, &at("countries"));
        let somewhere =
            !self.countries.is_empty() || self.audience.as_ref().is_some_and(Audience::has_places);
        let message =
            "must hold at least one two-letter country code, such as SG, unless the audience names places";
        found.require(somewhere, &at("countries"), message);
        let word = "must be one of Meta's words, such as LINK_CLICKS";
        found.require(is_enum_constant(&self.optimization_goal), &at("optimization_goal"), word);
        found.require(is_enum_constant(&self.billing_event), &at("billing_event"), word);
        let destination = self.destination_type.as_deref();
        found.require(
            destination.is_none_or(is_enum_constant),
            &at("destination_type"),
            "must be one of Meta's words, such as WEBSITE",
        );
        for (key, value) in self.promoted_object.iter().flatten() {
            let known =
                (1..=64).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            let field = at(&format!("promoted_object.{key}"));
            found.require(known, &field, "must have a name in Meta's shape, such as pixel_id");
            let rule =
                format!("must have 1 to {MAX_PROMOTED_VALUE_CHARS} characters, and no control characters");
            found.require(is_single_line(value, MAX_PROMOTED_VALUE_CHARS), &field, rule);
        }
        self.check_times(spec, path, now, found);
        if let Some(audience) = &self.audience {
            audience.check(self, spec, &at("audience"), found);
        }
        if let Some(placements) = &self.placements {
            placements.check(&at("placements"), found);
        }
        goal::check(self, &spec.objective, path, found);
        found.extend(self.check_disclosures(path));
    }

    fn check_disclosures(&self, path: &str) -> Vec<FieldError> {
        let dsa = self.dsa.iter().flat_map(|dsa| dsa.check(&format!("{path}.dsa")));
        let (identities, field) = (&self.regional_identities, format!("{path}.regional_identities"));
        let identities = check_identities(identities, &field)
            .into_iter()
            .chain(check_shared_identities(identities, &field));
        dsa.chain(identities).collect()
    }

    fn check_times(&self, spec: &LaunchSpec, path: &str, now: Timestamp, found: &mut Findings) {
        let read = |time: &Option<String>| time.as_ref().map(|time| moment(time));
        let (start, end) = (read(&self.start), read(&self.end));
        let shape = "must be a time of the ad account that exists there, such as 2026-12-01T09:00:00, or one with an offset";
        found.require(start != Some(None), &format!("{path}.start"), shape);
        found.require(end != Some(None), &format!("{path}.end"), shape);
        let (start, end) = (start.flatten(), end.flatten());
        let field = format!("{path}.end");
        found.require(
            end.is_none_or(|end| end > now.max(start.unwrap_or(now))),
            &field,
            "must be after now and after the start",
        );
        let is_lifetime = spec.lifetime_budget.is_some() || self.lifetime_budget.is_some();
        found.require(
            !is_lifetime || self.end.is_some(),
            &field,
            "must be there: a lifetime budget is spent until then",
        );
        let message = "must be absent: Meta keeps to hours only with a lifetime budget";
        found.require(is_lifetime || self.day_parts.is_empty(), &format!("{path}.day_parts"), message);
        day_part::check(&self.day_parts, path, found);
        let field = format!("{path}.budget_schedules");
        budget_schedule::check(&self.budget_schedules, (self.daily_budget, end), &field, now, found);
    }
}

/// Reads a time that has an offset.
pub(super) fn moment(time: &str) -> Option<Timestamp> {
    time.parse().ok().filter(|_| !time.contains(['[', ' ']))
}

/// Returns a time with its offset in a zone; `None` for text of another shape, and for a local time that does not exist
/// there.
pub(super) fn with_offset(time: &str, zone: &TimeZone) -> Option<String> {
    local_time::read(time, zone).map(|zoned| zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string())
}
