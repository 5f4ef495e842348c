//! Rules for targeting, and for the payers and beneficiaries that some countries require.

use serde_json::{Value, json};

use super::draft::Draft;
use crate::error::{GraphError, invalid, rule_violation, with_blame};
use crate::node::Kind;

/// Countries under the Digital Services Act: the European Economic Area.
const DSA_COUNTRIES: [&str; 30] = [
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS", "IT",
    "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
];
/// Countries whose ads need verified identities, with the required category and the error code without it.
const REGULATED_COUNTRIES: [(&str, &str, i64); 4] = [
    ("TW", "TAIWAN_UNIVERSAL", 3858495),
    ("SG", "SINGAPORE_UNIVERSAL", 3858550),
    ("TH", "THAILAND_UNIVERSAL", 3858634),
    ("BR", "BRAZIL_REGULATION", 3858636),
];
/// Categories, with the prefix of the names of their two identities.
const IDENTITY_PREFIXES: [(&str, &str); 7] = [
    ("TAIWAN_UNIVERSAL", "taiwan_universal"),
    ("TAIWAN_FINSERV", "taiwan_finserv"),
    ("SINGAPORE_UNIVERSAL", "singapore_universal"),
    ("THAILAND_UNIVERSAL", "universal"),
    ("BRAZIL_REGULATION", "universal"),
    ("AUSTRALIA_FINSERV", "australia_finserv"),
    ("INDIA_FINSERV", "india_finserv"),
];
/// Categories that forbid targeting by age, gender or postcode.
const PROTECTED_CATEGORIES: [&str; 3] = ["HOUSING", "EMPLOYMENT", "CREDIT"];

pub(super) fn check(draft: &Draft<'_>) -> Result<(), GraphError> {
    if !draft.touches(&["targeting"]) {
        return Ok(());
    }
    let targeting = targeting(draft);
    let geo = &targeting["geo_locations"];
    if !geo.is_object() {
        return Err(rule_violation(1885364, "The targeting needs geo_locations."));
    }
    if geo.get("location_types").is_some_and(|types| !types.as_array().is_some_and(Vec::is_empty)) {
        return Err(rule_violation(1870199, "Remove every value of targeting.geo_locations.location_types."));
    }
    check_audience(draft, targeting)?;
    for list in ["custom_audiences", "excluded_custom_audiences"] {
        let ids =
            targeting[list].as_array().into_iter().flatten().filter_map(|audience| audience["id"].as_str());
        let is_known = |id: &str| {
            let audience = draft.world.nodes.get(id).filter(|node| node.kind == Kind::CustomAudience);
            audience.is_some_and(|audience| audience.account == draft.account.digits)
        };
        // No subcode of this refusal is known.
        if let Some(unknown) = ids.into_iter().find(|id| !is_known(id)) {
            return Err(invalid(format!(
                "The audience {unknown} of {list} is not available to this ad account"
            )));
        }
    }
    for (list, position) in [("facebook_positions", "video_feeds"), ("instagram_positions", "explore")] {
        let positions = targeting[list].as_array().map(Vec::as_slice).unwrap_or_default();
        if positions.iter().any(|given| given == position) {
            return Err(invalid(format!("The placement {position} of {list} is no longer available")));
        }
    }
    Ok(())
}

/// Checks the audience. Since v23 a new ad set must say whether its audience may be widened; if so, ages are only
/// suggestions.
fn check_audience(draft: &Draft<'_>, targeting: &Value) -> Result<(), GraphError> {
    let advantage = targeting["targeting_automation"]["advantage_audience"].as_i64();
    if !matches!(advantage, Some(0 | 1)) && (draft.before.is_none() || is_protected(draft)) {
        return Err(with_blame(
            rule_violation(
                1870227,
                "Say in targeting.targeting_automation.advantage_audience whether the audience may be widened: 0 or 1.",
            ),
            &["targeting", "targeting_automation"],
        ));
    }
    let age = |name: &str| targeting[name].as_i64();
    if advantage == Some(1)
        && (age("age_min").is_some_and(|age| age > 25) || age("age_max").is_some_and(|age| age < 65))
    {
        return Err(rule_violation(
            1870249,
            "With advantage_audience age_min is at most 25 and age_max is 65.",
        ));
    }
    let youngest = age("age_min").unwrap_or(18);
    if !(13..=65).contains(&youngest)
        || age("age_max").is_some_and(|oldest| !(youngest..=65).contains(&oldest))
    {
        return Err(invalid("The ages of the targeting must lie between 13 and 65"));
    }
    Ok(())
}

fn is_protected(draft: &Draft<'_>) -> bool {
    let categories =
        draft.campaign().and_then(|campaign| campaign.fields.get("special_ad_categories")?.as_array());
    categories.is_some_and(|given| {
        given.iter().any(|name| PROTECTED_CATEGORIES.iter().any(|protected| name == protected))
    })
}

pub(super) fn check_special_categories(draft: &Draft<'_>) -> Result<(), GraphError> {
    if !draft.touches(&["targeting"]) || !is_protected(draft) {
        return Ok(());
    }
    let targeting = targeting(draft);
    let aged = targeting["age_min"].as_i64().is_some_and(|age| age > 18)
        || targeting["age_max"].as_i64().is_some_and(|age| age < 65);
    let gendered = targeting["genders"].as_array().is_some_and(|genders| genders.len() == 1);
    if aged || gendered || targeting["geo_locations"].get("zips").is_some() {
        return Err(invalid(
            "The campaign's special ad category does not allow to target by age, gender or postcode",
        ));
    }
    Ok(())
}

/// Checks that ads for the European Economic Area name a payer and a beneficiary.
pub(super) fn check_dsa(draft: &Draft<'_>) -> Result<(), GraphError> {
    if !draft.touches(&["targeting", "dsa_payor", "dsa_beneficiary"]) || !needs_dsa(draft) {
        return Ok(());
    }
    // An ad set from before the rule keeps running; changing its targeting makes the rule apply.
    for (field, default, subcode) in
        [("dsa_payor", "default_dsa_payor", 3858079), ("dsa_beneficiary", "default_dsa_beneficiary", 3858081)]
    {
        let named =
            |value: Option<&Value>| value.and_then(Value::as_str).is_some_and(|name| !name.trim().is_empty());
        if !named(draft.fields.get(field)) && !named(draft.account.fields.get(default)) {
            let text = "Ads for the European Union must name who pays for them and who benefits from them.";
            return Err(with_blame(rule_violation(subcode, text).kind("FacebookApiException"), &[field]));
        }
    }
    Ok(())
}

/// Checks that each named category has a payer and a beneficiary, and that each identity has its category.
pub(super) fn check_identities(draft: &Draft<'_>) -> Result<(), GraphError> {
    if !draft.touches(&["regional_regulated_categories", "regional_regulation_identities"]) {
        return Ok(());
    }
    let named = categories(draft);
    let wrong = |what: String| {
        // Documented as "lacks beneficiary or payer information"; no code is known for superfluous identities.
        Err(with_blame(invalid(what).subcode(3858152), &["regional_regulation_identities"]))
    };
    let identities = draft.fields.get("regional_regulation_identities").and_then(Value::as_object);
    for (category, start) in IDENTITY_PREFIXES.into_iter().filter(|(category, _)| named.contains(category)) {
        for part in ["payer", "beneficiary"] {
            let id = identities.and_then(|identities| identities.get(&format!("{start}_{part}"))?.as_str());
            if id.is_none_or(|id| id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit())) {
                return wrong(format!("{category} needs {start}_{part}, the id of a verified identity."));
            }
        }
    }
    let known = |name: &str| {
        IDENTITY_PREFIXES.into_iter().any(|(category, start)| {
            let part = name.strip_prefix(start).and_then(|rest| rest.strip_prefix('_'));
            named.contains(&category) && matches!(part, Some("payer" | "beneficiary"))
        })
    };
    match identities.and_then(|identities| identities.keys().find(|name| !known(name))) {
        Some(name) => wrong(format!("{name} does not belong to the regional_regulated_categories.")),
        None => Ok(()),
    }
}

/// Checks that ads for some countries of Asia and South America name their category, if the simulator is configured to
/// require it.
pub(super) fn check_regional(draft: &Draft<'_>) -> Result<(), GraphError> {
    if !draft.world.writing.require_regional_identities
        || !draft.touches(&["targeting", "regional_regulated_categories"])
    {
        return Ok(());
    }
    let places = countries(targeting(draft));
    let named = categories(draft);
    for (country, category, subcode) in REGULATED_COUNTRIES {
        let concerns = places.iter().any(|place| place == country)
            || (matches!(country, "TW" | "SG") && places.iter().any(|place| place == "worldwide"));
        if concerns && !named.contains(&category) {
            return Err(rule_violation(
                subcode,
                "Ads for this country must name their regulated category and verified identities.",
            ));
        }
    }
    Ok(())
}

fn categories<'a>(draft: &'a Draft<'_>) -> Vec<&'a str> {
    let named = draft.fields.get("regional_regulated_categories").and_then(Value::as_array);
    named.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Sets payor and beneficiary from the account's defaults. They are stored for ads in the European Economic Area only.
pub(super) fn complete(draft: &mut Draft<'_>) {
    let needed = needs_dsa(draft);
    for (field, default) in
        [("dsa_payor", "default_dsa_payor"), ("dsa_beneficiary", "default_dsa_beneficiary")]
    {
        if !needed {
            draft.fields.remove(field);
        } else if let Some(name) = draft.account.fields.get(default) {
            draft.fields.entry(field).or_insert_with(|| name.clone());
        }
    }
}

fn targeting<'a>(draft: &'a Draft<'_>) -> &'a Value {
    draft.fields.get("targeting").unwrap_or(&Value::Null)
}

fn needs_dsa(draft: &Draft<'_>) -> bool {
    countries(targeting(draft)).iter().any(|place| {
        DSA_COUNTRIES.contains(&place.as_str()) || matches!(place.as_str(), "worldwide" | "europe" | "eea")
    })
}

/// Returns the countries and country groups of a targeting.
fn countries(targeting: &Value) -> Vec<String> {
    let Some(places) = targeting["geo_locations"].as_object() else { return Vec::new() };
    let all = places.values().filter_map(Value::as_array).flatten();
    all.filter_map(|place| place.as_str().or_else(|| place.get("country")?.as_str()))
        .map(str::to_owned)
        .collect()
}

/// Returns the rows of `GET /act_X/dsa_recommendations`: names that might be meant.
pub(crate) fn dsa_recommendations(account: &crate::node::Account) -> Vec<Value> {
    let name = |field: &str| account.fields.get(field).and_then(Value::as_str);
    let names: Vec<&str> =
        ["default_dsa_beneficiary", "business_name", "name"].into_iter().filter_map(name).collect();
    vec![json!({ "recommendations": names })]
}
