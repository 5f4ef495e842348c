//! Defaults of an ad account for what its launch documents leave out.

use std::collections::BTreeMap;

use domain::FieldError;
use domain::text::{INVALID_DOMAIN_MESSAGE, is_domain};
use serde::{Deserialize, Serialize};

use super::{AdSetSpec, LaunchSpec};
use crate::creative::CreativeSpec;
use crate::id::{ObjectId, PageId};
use crate::regulation::{Dsa, RegionalIdentities, check_identities};

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
    #[cfg_attr(feature = "describe", schemars(length(max = 253), regex(pattern = domain::text::DOMAIN_PATTERN)))]
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
        let financial =
            spec.special_ad_categories.iter().any(|category| category == FINANCIAL_SERVICES_CATEGORY);
        for ad_set in &mut spec.ad_sets {
            if ad_set.dsa.is_none() {
                ad_set.dsa.clone_from(&self.dsa);
            }
            self.fill_identities(ad_set, financial);
            for ad in &mut ad_set.ads {
                self.fill_creative(&mut ad.creative);
            }
            self.fill_promoted_object(ad_set, &spec.objective);
            let promotes = |name: &str| ad_set.promoted_object.iter().any(|object| object.contains_key(name));
            if spec.objective == SALES_OBJECTIVE && promotes("product_set_id") && spec.catalog.is_none() {
                spec.catalog.clone_from(&self.catalog);
            }
            if promotes("pixel_id") || promotes("custom_conversion_id") {
                for ad in ad_set.ads.iter_mut().filter(|ad| ad.conversion_domain.is_none()) {
                    ad.conversion_domain.clone_from(&self.domain);
                }
            }
        }
    }

    /// Fills in who speaks in a creative that does not say it.
    pub fn fill_creative(&self, creative: &mut CreativeSpec) {
        let (page, instagram_user) = match creative {
            CreativeSpec::CreativeId(_) | CreativeSpec::PostId(_) => return,
            CreativeSpec::InstagramPost(post) => (&mut post.page, &mut post.instagram_user),
            CreativeSpec::Link(link) => (&mut link.page, &mut link.instagram_user),
        };
        *page = page.take().or_else(|| self.page.clone());
        *instagram_user = instagram_user.take().or_else(|| self.instagram_user.clone());
    }

    /// Fills in the ad set's promoted object. Source: Marketing API, "Ad Set", `promoted_object` by objective and goal.
    fn fill_promoted_object(&self, ad_set: &mut AdSetSpec, objective: &str) {
        let promoted = &mut ad_set.promoted_object;
        if let (Some(object), Some(pixel)) = (promoted.as_mut(), &self.pixel)
            && object.contains_key("custom_event_type")
            && !EVENT_SOURCE_KEYS.iter().any(|name| object.contains_key(*name))
        {
            object.insert("pixel_id".to_owned(), pixel.to_string());
        }
        let about_a_page = objective == AWARENESS_OBJECTIVE
            || PAGE_OPTIMIZATION_GOALS.contains(&ad_set.optimization_goal.as_str());
        // Meta rejects an ad of a Page other than the promoted one.
        let speaks = ad_set.ads.iter().all(|ad| ad.creative.page() == self.page);
        if about_a_page && self.page.is_some() && speaks {
            let object = promoted.get_or_insert_default();
            if let Some(page) = self.page.as_ref().filter(|_| !object.contains_key("place_page_set_id")) {
                object.entry("page_id".to_owned()).or_insert_with(|| page.to_string());
            }
        }
    }

    /// Fills in the verified identities for the countries of the audience.
    fn fill_identities(&self, ad_set: &mut AdSetSpec, financial: bool) {
        for (regulation, identities) in &self.regional_identities {
            let shown_there = ad_set.shown_in().any(|country| country == regulation.country());
            if shown_there && (financial || !regulation.is_financial()) {
                let named = ad_set.regional_identities.entry(*regulation);
                named.or_insert_with(|| identities.clone());
            }
        }
    }
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
            (spec.objective, spec.ad_sets[0].optimization_goal) = (objective.to_owned(), goal.to_owned());
            spec.ad_sets[0].promoted_object = promoted.map(|json| serde_json::from_str(json).unwrap());
            defaults.fill(&mut spec);
            let object = serde_json::to_string(&spec.ad_sets[0].promoted_object).unwrap();
            (object, spec.catalog.is_some(), spec.ad_sets[0].ads[0].conversion_domain.is_some())
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
            spec.ad_sets[0].promoted_object = None;
            spec.ad_sets[0].optimization_goal = "PAGE_LIKES".to_owned();
            spec.ad_sets[0].ads[0].creative = serde_json::from_str(creative).unwrap();
            defaults.fill(&mut spec);
            (
                spec.ad_sets[0].promoted_object.is_some(),
                serde_json::to_string(&spec.ad_sets[0].ads[0].creative).unwrap(),
            )
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
            spec.ad_sets[0].countries = countries.iter().map(|code| (*code).to_owned()).collect();
            spec.special_ad_categories = categories.iter().map(|name| (*name).to_owned()).collect();
            defaults.fill(&mut spec);
            spec.ad_sets.remove(0).regional_identities.into_keys().map(Regulation::name).collect::<Vec<_>>()
        };
        assert_eq!(named(&["DE", "MY"], &[FINANCIAL_SERVICES_CATEGORY]), [""; 0]);
        assert_eq!(named(&["SG", "AU"], &[]), ["SINGAPORE_UNIVERSAL"]);
        assert_eq!(named(&["AU", "IN"], &["HOUSING"]), [""; 0]);
        assert_eq!(
            named(&["TW", "AU"], &[FINANCIAL_SERVICES_CATEGORY]),
            ["TAIWAN_UNIVERSAL", "TAIWAN_FINSERV", "AUSTRALIA_FINSERV"]
        );
    }
}
