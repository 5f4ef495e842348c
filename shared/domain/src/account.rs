//! Ad account details beside the name: access paths, launch defaults, beneficiaries and status.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::FieldError;
use crate::creative::CreativeSpec;
use crate::id::{ObjectId, PageId};
use crate::launch::LaunchSpec;
use crate::regulation::{Dsa, RegionalIdentities, check_identities};
use crate::text::{INVALID_DOMAIN_MESSAGE, is_domain};

const AWARENESS_OBJECTIVE: &str = "OUTCOME_AWARENESS";
const SALES_OBJECTIVE: &str = "OUTCOME_SALES";

/// Optimization goals of ad sets that promote a Page.
const PAGE_OPTIMIZATION_GOALS: [&str; 3] = ["LEAD_GENERATION", "QUALITY_LEAD", "PAGE_LIKES"];

/// Keys of `promoted_object` that name an event source. A product set uses the pixel of its catalog; an app reports its
/// own events.
const EVENT_SOURCE_KEYS: [&str; 5] = [
    "pixel_id",
    "custom_conversion_id",
    "application_id",
    "product_set_id",
    "offline_conversion_data_set_id",
];

/// The special ad category of ads for financial services (Marketing API, "Special Ad Category").
const FINANCIAL_SERVICES_CATEGORY: &str = "FINANCIAL_PRODUCTS_SERVICES";

/// A business at Meta.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Business {
    /// Its id.
    pub id: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A way to an ad account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", tag = "how")]
pub enum AccessPath {
    /// It is assigned to the person or system user.
    Assigned,
    /// A business of theirs owns it.
    Owned {
        /// Which.
        business: Business,
    },
    /// A partner shares it with a business of theirs.
    Client {
        /// Theirs, not the partner.
        business: Business,
    },
}

impl AccessPath {
    /// Returns the business of the person or system user through which the account is accessible; `None` for a direct
    /// assignment.
    pub fn business(&self) -> Option<&Business> {
        match self {
            Self::Assigned => None,
            Self::Owned { business } | Self::Client { business } => Some(business),
        }
    }
}

/// What launches in an account use where their document is silent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LaunchDefaults {
    /// The Page for which ads speak. A launch takes it for an ad that is made of its document, and for an ad set that
    /// promotes a Page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<PageId>,
    /// The pixel that conversions are measured with. A launch takes it where it names an event, and nothing else that
    /// measures it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixel: Option<ObjectId>,
    /// The Instagram account for which ads speak there. A launch takes it for an ad that is made of its document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instagram_user: Option<ObjectId>,
    /// The catalog that products come from. A launch for sales takes it when it promotes a product set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog: Option<ObjectId>,
    /// The domain where conversions happen, such as `example.com`: without a path, and, as Meta wants it, without
    /// subdomains. A launch takes it when it names a pixel or a custom conversion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(length(max = 253), regex(pattern = crate::text::DOMAIN_PATTERN)))]
    pub domain: Option<String>,
    /// Who stands behind ads in the European Economic Area.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dsa: Option<Dsa>,
    /// Who pays and who benefits where Meta demands identities that it has verified. A launch takes those of the
    /// countries that it is for, and of those about financial services only when it is in the special ad category
    /// `FINANCIAL_PRODUCTS_SERVICES`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "describe", schemars(transform = crate::regulation::describe))]
    pub regional_identities: RegionalIdentities,
}

impl LaunchDefaults {
    /// Returns every validation error, each with its field.
    pub fn check(&self) -> Vec<FieldError> {
        let mut found = Vec::new();
        if self.domain.as_deref().is_some_and(|domain| !is_domain(domain)) {
            found.push(FieldError::new("domain", INVALID_DOMAIN_MESSAGE));
        }
        found.extend(self.dsa.iter().flat_map(|dsa| dsa.check("dsa")));
        found.extend(check_identities(&self.regional_identities, "regional_identities"));
        found
    }

    /// Fills in the fields that a launch omits, each only where Meta accepts it.
    pub fn fill(&self, spec: &mut LaunchSpec) {
        if spec.ad_set.dsa.is_none() {
            spec.ad_set.dsa.clone_from(&self.dsa);
        }
        self.fill_identities(spec);
        if let CreativeSpec::Link(link) = &mut spec.ad.creative {
            link.page = link.page.take().or_else(|| self.page.clone());
            link.instagram_user = link.instagram_user.take().or_else(|| self.instagram_user.clone());
        }
        self.fill_promoted_object(spec);
        let promotes =
            |name: &str| spec.ad_set.promoted_object.iter().any(|object| object.contains_key(name));
        if spec.objective == SALES_OBJECTIVE && promotes("product_set_id") && spec.catalog.is_none() {
            spec.catalog.clone_from(&self.catalog);
        }
        if (promotes("pixel_id") || promotes("custom_conversion_id")) && spec.ad.conversion_domain.is_none() {
            spec.ad.conversion_domain.clone_from(&self.domain);
        }
    }

    /// Fills in the ad set's promoted object. Source: Marketing API, "Ad Set", `promoted_object` by objective and goal.
    fn fill_promoted_object(&self, spec: &mut LaunchSpec) {
        let promoted = &mut spec.ad_set.promoted_object;
        if let (Some(object), Some(pixel)) = (promoted.as_mut(), &self.pixel)
            && object.contains_key("custom_event_type")
            && !EVENT_SOURCE_KEYS.iter().any(|name| object.contains_key(*name))
        {
            object.insert("pixel_id".to_owned(), pixel.to_string());
        }
        let about_a_page = spec.objective == AWARENESS_OBJECTIVE
            || PAGE_OPTIMIZATION_GOALS.contains(&spec.ad_set.optimization_goal.as_str());
        // Meta rejects an ad of a Page other than the promoted one.
        if about_a_page && self.page.is_some() && spec.ad.creative.page() == self.page {
            let object = promoted.get_or_insert_default();
            if let Some(page) = self.page.as_ref().filter(|_| !object.contains_key("place_page_set_id")) {
                object.entry("page_id".to_owned()).or_insert_with(|| page.to_string());
            }
        }
    }

    /// Fills in the verified identities for the countries of the audience.
    fn fill_identities(&self, spec: &mut LaunchSpec) {
        let financial =
            spec.special_ad_categories.iter().any(|category| category == FINANCIAL_SERVICES_CATEGORY);
        for (regulation, identities) in &self.regional_identities {
            let shown_there = spec.ad_set.countries.iter().any(|country| country == regulation.country());
            if shown_there && (financial || !regulation.is_financial()) {
                let named = spec.ad_set.regional_identities.entry(*regulation);
                named.or_insert_with(|| identities.clone());
            }
        }
    }
}

/// Checks whether the launching system user may name these beneficiaries. A system user acts for its own business: it
/// can manage an account that a partner shares with it, but cannot name the partner's business as beneficiary. The
/// owner of a verified identity is unknown, unless the identity is the partner's business itself. Field paths are
/// prefixed with `field_prefix`, which ends with a dot.
pub fn check_beneficiaries(
    dsa: Option<&Dsa>,
    identities: &RegionalIdentities,
    owner: Option<&Business>,
    access_paths: &[AccessPath],
    field_prefix: &str,
) -> Vec<FieldError> {
    let own = access_paths.iter().filter_map(AccessPath::business).next();
    let (Some(own), Some(owner)) = (own, owner) else { return Vec::new() };
    if owner.id == own.id {
        return Vec::new();
    }
    let partner = owner.name.as_deref().unwrap_or(&owner.id);
    let own = own.name.as_deref().unwrap_or(&own.id);
    let message = format!(
        "names {partner}, a partner whose ad account is shared with {own}; a system user can only name its own \
         business, so name {own}, or launch through a connection of {partner}"
    );
    let known = owner.name.as_deref().map(str::trim);
    let is_partner = |name: &str| known.is_some_and(|known| known.eq_ignore_ascii_case(name.trim()));
    let by_name = dsa.filter(|dsa| is_partner(&dsa.beneficiary)).map(|_| "dsa.beneficiary".to_owned());
    let by_id = identities.iter().filter(|(_, named)| named.beneficiary.as_str() == owner.id);
    let by_id = by_id.map(|(regulation, _)| format!("regional_identities.{regulation}.beneficiary"));
    by_name
        .into_iter()
        .chain(by_id)
        .map(|field| FieldError::new(format!("{field_prefix}{field}"), message.as_str()))
        .collect()
}

/// Returns whether ads can run in an account of this status: active, pending settlement or in grace period (Marketing
/// API, "Ad account").
pub fn can_run(account_status: i64) -> bool {
    matches!(account_status, 1 | 8 | 9)
}

/// Describes why an account is disabled (Marketing API, "Ad account"); `None` when it is not.
pub fn disabled_because(disable_reason: i64) -> Option<&'static str> {
    Some(match disable_reason {
        0 => return None,
        1 => "its ads broke Meta's policies",
        2 => "Meta reviews its intellectual property",
        3 => "Meta saw a risk in its payments",
        4 => "Meta shut the account down as one of a hidden owner",
        5 => "Meta reviews the account",
        6 => "Meta doubts the integrity of the business",
        7 => "it was closed for good",
        8 | 9 => "it was not used",
        10 => "it is an umbrella account",
        11 => "its business portfolio broke Meta's policies",
        12 => "it misrepresents who advertises",
        13 => "its legal entity was taken away",
        14 => "Meta reviews its conversations",
        15 => "somebody else may have got hold of it",
        _ => "Meta gives a reason that is not known here",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regulation::Regulation;

    fn launch() -> LaunchSpec {
        serde_json::from_str(
            r#"{"name":"Winter","objective":"OUTCOME_SALES","daily_budget":{"amount":5000,"currency":"SGD"},
                "ad_set":{"optimization_goal":"OFFSITE_CONVERSIONS","countries":["SG"],
                          "promoted_object":{"custom_event_type":"PURCHASE"}},
                "ad":{"creative":{"post_id":"1_2"}}}"#,
        )
        .unwrap()
    }

    fn defaults(json: &str) -> LaunchDefaults {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn each_default_goes_where_meta_takes_it() {
        let defaults =
            defaults(r#"{"page":"1","pixel":"2","instagram_user":"3","catalog":"4","domain":"example.com"}"#);
        let filled = |objective: &str, goal: &str, promoted: Option<&str>| {
            let mut spec = launch();
            (spec.objective, spec.ad_set.optimization_goal) = (objective.to_owned(), goal.to_owned());
            spec.ad_set.promoted_object = promoted.map(|json| serde_json::from_str(json).unwrap());
            defaults.fill(&mut spec);
            let object = serde_json::to_string(&spec.ad_set.promoted_object).unwrap();
            (object, spec.catalog.is_some(), spec.ad.conversion_domain.is_some())
        };
        let sales = |promoted| filled("OUTCOME_SALES", "OFFSITE_CONVERSIONS", Some(promoted));
        let is = |object: &str, catalog, domain| (object.to_owned(), catalog, domain);
        let event = r#"{"custom_event_type":"PURCHASE"}"#;
        assert_eq!(sales(event), is(r#"{"custom_event_type":"PURCHASE","pixel_id":"2"}"#, false, true));
        let other = r#"{"custom_event_type":"PURCHASE","pixel_id":"9"}"#;
        assert_eq!(sales(other), is(other, false, true), "what the document says goes before");
        let custom = r#"{"custom_conversion_id":"9"}"#;
        assert_eq!(sales(custom), is(custom, false, true));
        let products = r#"{"custom_event_type":"PURCHASE","product_set_id":"9"}"#;
        assert_eq!(sales(products), is(products, true, false));
        let app = r#"{"application_id":"9","custom_event_type":"PURCHASE","object_store_url":"https://x"}"#;
        assert_eq!(filled("OUTCOME_APP_PROMOTION", "OFFSITE_CONVERSIONS", Some(app)), is(app, false, false));
        assert_eq!(filled("OUTCOME_TRAFFIC", "LINK_CLICKS", None), is("null", false, false));
        assert_eq!(filled("OUTCOME_AWARENESS", "REACH", None), is(r#"{"page_id":"1"}"#, false, false));
        let places = r#"{"place_page_set_id":"9"}"#;
        assert_eq!(filled("OUTCOME_AWARENESS", "REACH", Some(places)), is(places, false, false));
    }

    #[test]
    fn a_page_is_promoted_only_together_with_its_own_ads() {
        let defaults = defaults(r#"{"page":"1","instagram_user":"3"}"#);
        let filled = |creative: &str| {
            let mut spec = launch();
            spec.ad_set.promoted_object = None;
            spec.ad_set.optimization_goal = "PAGE_LIKES".to_owned();
            spec.ad.creative = serde_json::from_str(creative).unwrap();
            defaults.fill(&mut spec);
            (spec.ad_set.promoted_object.is_some(), serde_json::to_string(&spec.ad.creative).unwrap())
        };
        for (creative, promoted) in [
            (r#"{"post_id":"1_2"}"#, true),
            (r#"{"post_id":"7_2"}"#, false),
            (r#"{"creative_id":"7"}"#, false),
        ] {
            assert_eq!(filled(creative), (promoted, creative.to_owned()));
        }
        let link = |page, user| {
            format!(
                r#"{{"link":{{"page":"{page}","instagram_user":"{user}","link":"https://x","message":"m"}}}}"#
            )
        };
        assert_eq!(filled(r#"{"link":{"link":"https://x","message":"m"}}"#), (true, link(1, 3)));
        assert_eq!(filled(&link(7, 8)), (false, link(7, 8)));
    }

    #[test]
    fn identities_are_taken_for_the_countries_of_the_audience() {
        let same = |id| format!(r#"{{"payer":"{id}","beneficiary":"{id}"}}"#);
        let all = Regulation::ALL.iter().zip(1..).map(|(name, id)| format!(r#""{name}":{}"#, same(id)));
        let all = all.collect::<Vec<_>>().join(",");
        let defaults = defaults(&format!(r#"{{"regional_identities":{{{all}}}}}"#));
        let named = |countries: &[&str], categories: &[&str]| {
            let mut spec = launch();
            spec.ad_set.countries = countries.iter().map(|code| (*code).to_owned()).collect();
            spec.special_ad_categories = categories.iter().map(|name| (*name).to_owned()).collect();
            defaults.fill(&mut spec);
            spec.ad_set.regional_identities.into_keys().map(Regulation::name).collect::<Vec<_>>()
        };
        assert_eq!(named(&["DE", "MY"], &[FINANCIAL_SERVICES_CATEGORY]), [""; 0]);
        assert_eq!(named(&["SG", "AU"], &[]), ["SINGAPORE_UNIVERSAL"]);
        assert_eq!(named(&["AU", "IN"], &["HOUSING"]), [""; 0]);
        assert_eq!(
            named(&["TW", "AU"], &[FINANCIAL_SERVICES_CATEGORY]),
            ["TAIWAN_UNIVERSAL", "TAIWAN_FINSERV", "AUSTRALIA_FINSERV"]
        );
    }

    #[test]
    fn the_partners_business_is_no_beneficiary_of_a_system_user() {
        let business = |id: &str, name: &str| Business { id: id.to_owned(), name: Some(name.to_owned()) };
        let (agency, client) = (business("7", "Agency"), business("8", "The client"));
        let access_paths = [AccessPath::Assigned, AccessPath::Client { business: agency.clone() }];
        let named = defaults(
            r#"{"dsa":{"payor":"Agency","beneficiary":" the Client "},
                "regional_identities":{"SINGAPORE_UNIVERSAL":{"payer":"8","beneficiary":"8"},
                                       "TAIWAN_UNIVERSAL":{"payer":"8","beneficiary":"9"}}}"#,
        );
        let fields = |owner: Option<&Business>| {
            let (dsa, identities) = (named.dsa.as_ref(), &named.regional_identities);
            let found = check_beneficiaries(dsa, identities, owner, &access_paths, "ad_set.");
            found.into_iter().map(|found| found.field).collect::<Vec<_>>()
        };
        let of_client =
            ["ad_set.dsa.beneficiary", "ad_set.regional_identities.SINGAPORE_UNIVERSAL.beneficiary"];
        assert_eq!(fields(Some(&client)), of_client);
        assert_eq!(fields(Some(&agency)), [""; 0], "its own");
        assert_eq!(fields(None), [""; 0], "a person's");
    }
}
