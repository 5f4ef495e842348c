//! What to do about a refusal of Meta's that speaks of fields by other names than a launch document, or of none.

use domain::Error;
use domain::creative::CreativeSpec;
use domain::launch::LaunchSpec;
use domain::regulation::Regulation;
use graph_api::GraphError;

/// Where the document says what Meta misses, and where it can be said once for all launches.
pub(crate) fn error_hint(error: &GraphError, spec: &LaunchSpec) -> Option<String> {
    let GraphError::InvalidInput(details) = error else { return None };
    let is_link_creative = matches!(spec.ad.creative, CreativeSpec::Link(_));
    let subject = match details.subcode? {
        // Marketing API, "Ad Set": payor and beneficiary in the EU.
        3_858_079 | 3_858_081 => "who pays and who benefits in ad_set.dsa".to_owned(),
        // The same in Taiwan, Singapore, Thailand and Brazil.
        3_858_152 | 3_858_495 | 3_858_498 | 3_858_550 | 3_858_634 | 3_858_636 => {
            format!("who pays and who benefits in {}", missing_identities(spec))
        }
        // Ads on Instagram have no account there to speak for.
        1_772_103 if is_link_creative => {
            "the Instagram account in ad.creative.link.instagram_user".to_owned()
        }
        // The Page is not that of the ad set, or not this ad account's.
        1_885_029 if is_link_creative => "another Page in ad.creative.link.page".to_owned(),
        _ => return None,
    };
    let place = "for all launches in the ad account's defaults (PUT ad-accounts/{act}/defaults)";
    Some(format!("name {subject}, or {place}"))
}

/// A refusal together with the hint.
pub(crate) fn with_hint(error: Error, hint: Option<String>) -> Error {
    match (error, hint) {
        (Error::RejectedByPlatform(why), Some(hint)) => Error::RejectedByPlatform(format!("{why}; {hint}")),
        (error, _) => error,
    }
}

/// The fields for the countries of the audience that the document leaves out.
fn missing_identities(spec: &LaunchSpec) -> String {
    let (countries, named) = (&spec.ad_set.countries, &spec.ad_set.regional_identities);
    let missing = Regulation::ALL.into_iter().filter(|regulation| {
        let shown_there = countries.iter().any(|country| country == regulation.country());
        shown_there && !regulation.is_financial() && !named.contains_key(regulation)
    });
    let fields: Vec<_> = missing.map(|missing| format!("ad_set.regional_identities.{missing}")).collect();
    if fields.is_empty() { "ad_set.regional_identities".to_owned() } else { fields.join(" and ") }
}
