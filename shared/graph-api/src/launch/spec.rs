//! The launch document of Meta's campaigns.

use std::collections::BTreeMap;

use domain::FieldError;
use domain::launch::{Launch, Step};
use domain::money::{Currency, Money};
use domain::text::{INVALID_DOMAIN_MESSAGE, is_domain, is_enum_constant, is_single_line};
use serde::{Deserialize, Serialize};

use crate::creative::CreativeSpec;
use crate::id::ObjectId;
use crate::regulation::{Dsa, RegionalIdentities, check_identities, check_shared_identities};

/// Maximum length of a name, in characters. Meta allows 400 for ad sets; the rest is left for the launch's id.
const MAX_NAME_CHARS: usize = 350;

/// Maximum length of a value in `promoted_object`, in characters.
const MAX_PROMOTED_VALUE_CHARS: usize = 512;

/// Maximum entries of a list: more than there are countries.
const MAX_LIST_ENTRIES: usize = 250;

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
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LaunchSpec {
    /// The campaign's name; ad set and ad take it over when they have none.
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_NAME_CHARS), extend("pattern" = domain::text::SINGLE_LINE_PATTERN)))]
    pub name: String,
    /// Such as `OUTCOME_SALES`.
    #[cfg_attr(feature = "describe", schemars(extend("enum" = OBJECTIVES)))]
    pub objective: String,
    /// The campaign's budget per day.
    #[cfg_attr(feature = "describe", schemars(with = "domain::money::Budget"))]
    pub daily_budget: Money,
    /// Categories under special rules, such as `HOUSING`; usually none.
    #[serde(default)]
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_LIST_ENTRIES), inner(regex(pattern = domain::text::ENUM_CONSTANT_PATTERN))))]
    pub special_ad_categories: Vec<String>,
    /// The catalog whose products are sold; the ad account's default when the ad set promotes a product set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog: Option<ObjectId>,
    /// The one ad set.
    pub ad_set: AdSetSpec,
    /// The one ad.
    pub ad: AdSpec,
}

/// The ad set of a launch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AdSetSpec {
    /// Its name; the campaign's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_NAME_CHARS), extend("pattern" = domain::text::SINGLE_LINE_PATTERN)))]
    pub name: Option<String>,
    /// What Meta optimises for, such as `LINK_CLICKS` or `OFFSITE_CONVERSIONS`.
    #[cfg_attr(feature = "describe", schemars(extend("pattern" = domain::text::ENUM_CONSTANT_PATTERN)))]
    pub optimization_goal: String,
    /// What is paid for.
    #[serde(default = "default_billing_event")]
    #[cfg_attr(feature = "describe", schemars(extend("pattern" = domain::text::ENUM_CONSTANT_PATTERN)))]
    pub billing_event: String,
    /// Two-letter country codes.
    #[cfg_attr(feature = "describe", schemars(length(min = 1, max = MAX_LIST_ENTRIES), inner(regex(pattern = "^[A-Z]{2}$"))))]
    pub countries: Vec<String>,
    /// Whether Meta may look beyond the audience. Meta demands an explicit answer (v23 and later).
    #[serde(default)]
    pub advantage_audience: bool,
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
}

fn default_billing_event() -> String {
    "IMPRESSIONS".to_owned()
}

/// The ad of a launch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AdSpec {
    /// Its name; the campaign's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_NAME_CHARS), extend("pattern" = domain::text::SINGLE_LINE_PATTERN)))]
    pub name: Option<String>,
    /// What is shown.
    pub creative: CreativeSpec,
    /// The domain where conversions happen, such as `example.com`: without a path, and, as Meta wants it, without
    /// subdomains. The ad account's default when the ad set names a pixel or a custom conversion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(length(max = 253), regex(pattern = domain::text::DOMAIN_PATTERN)))]
    pub conversion_domain: Option<String>,
}

impl LaunchSpec {
    /// Checks what deserialization does not, and returns every error at once.
    pub fn check(&self, currency: Currency) -> Vec<FieldError> {
        let mut found = Vec::new();
        let mut require = |holds: bool, field: &str, message: &str| {
            if !holds {
                found.push(FieldError::new(field, message));
            }
        };
        let named = |name: &str| is_single_line(name, MAX_NAME_CHARS);
        let name_message = format!("must have 1 to {MAX_NAME_CHARS} characters, and no control characters");
        require(named(&self.name), "name", &name_message);
        require(self.ad_set.name.as_deref().is_none_or(named), "ad_set.name", &name_message);
        require(self.ad.name.as_deref().is_none_or(named), "ad.name", &name_message);
        require(
            OBJECTIVES.contains(&self.objective.as_str()),
            "objective",
            &format!("must be one of {}", OBJECTIVES.join(", ")),
        );
        require(self.daily_budget.is_budget(), "daily_budget.amount", &Money::invalid_budget_message());
        require(
            self.daily_budget.currency == currency,
            "daily_budget.currency",
            &format!("must be {currency}, the ad account's currency"),
        );
        let short = |list: usize, field: &str| (list <= MAX_LIST_ENTRIES, field.to_owned());
        for (holds, field) in [
            short(self.special_ad_categories.len(), "special_ad_categories"),
            short(self.ad_set.countries.len(), "ad_set.countries"),
            short(self.ad_set.promoted_object.as_ref().map_or(0, BTreeMap::len), "ad_set.promoted_object"),
        ] {
            require(holds, &field, &format!("may have {MAX_LIST_ENTRIES} entries at most"));
        }
        let country = |code: &String| code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase());
        require(
            !self.ad_set.countries.is_empty() && self.ad_set.countries.iter().all(country),
            "ad_set.countries",
            "must hold at least one two-letter country code, such as SG",
        );
        let word = "must be one of Meta's words, such as LINK_CLICKS";
        require(is_enum_constant(&self.ad_set.optimization_goal), "ad_set.optimization_goal", word);
        require(is_enum_constant(&self.ad_set.billing_event), "ad_set.billing_event", word);
        let categories = self.special_ad_categories.iter().all(|category| is_enum_constant(category));
        require(categories, "special_ad_categories", "must hold words of Meta's, such as HOUSING");
        for (key, value) in self.ad_set.promoted_object.iter().flatten() {
            let known =
                (1..=64).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            let field = format!("ad_set.promoted_object.{key}");
            require(known, &field, "must have a name in Meta's shape, such as pixel_id");
            let rule =
                format!("must have 1 to {MAX_PROMOTED_VALUE_CHARS} characters, and no control characters");
            require(is_single_line(value, MAX_PROMOTED_VALUE_CHARS), &field, &rule);
        }
        let domain = self.ad.conversion_domain.as_deref();
        require(domain.is_none_or(is_domain), "ad.conversion_domain", INVALID_DOMAIN_MESSAGE);
        found.extend(self.ad.creative.check("ad.creative"));
        found.extend(self.ad_set.dsa.iter().flat_map(|dsa| dsa.check("ad_set.dsa")));
        let (identities, field) = (&self.ad_set.regional_identities, "ad_set.regional_identities");
        found.extend(check_identities(identities, field));
        found.extend(check_shared_identities(identities, field));
        found
    }

    /// Returns the name that the document gives to the object of a step.
    pub fn name_of(&self, step: Step) -> &str {
        let name = match step {
            Step::Campaign => None,
            Step::AdSet => self.ad_set.name.as_deref(),
            Step::Ad => self.ad.name.as_deref(),
        };
        name.unwrap_or(&self.name)
    }

    /// Returns the name of the object of a step until the launch is committed. It ends with the launch's id, so that an
    /// object whose creation got no response can be found again: the Graph API has no idempotency key.
    pub(crate) fn marked_name(&self, launch: &Launch, step: Step) -> String {
        format!("{} [{}]", self.name_of(step), launch.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_is_reported_at_once_with_its_field() {
        let spec: LaunchSpec = serde_json::from_str(
            r#"{"name":" ","objective":"SALES","daily_budget":{"amount":0,"currency":"USD"},
                "ad_set":{"optimization_goal":"LINK_CLICKS","countries":["sg"]},
                "ad":{"creative":{"post_id":"12"}}}"#,
        )
        .unwrap();
        let fields: Vec<_> =
            spec.check("SGD".parse().unwrap()).into_iter().map(|found| found.field).collect();
        assert_eq!(
            fields,
            [
                "name",
                "objective",
                "daily_budget.amount",
                "daily_budget.currency",
                "ad_set.countries",
                "ad.creative.post_id"
            ]
        );
    }
}
