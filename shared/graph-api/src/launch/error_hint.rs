//! Error hints for rejections by Meta that name fields differently than a launch document does, or name none.

use super::LaunchSpec;
use crate::creative::CreativeSpec;
use crate::error::GraphError;
use crate::regulation::Regulation;

/// Returns where the document, or the ad account's defaults, can set what Meta requires.
pub fn error_hint(error: &GraphError, spec: &LaunchSpec) -> Option<String> {
    let GraphError::InvalidInput(details) = error else { return None };
    let is_link_creative = matches!(spec.ad.creative, CreativeSpec::Link(_));
    let subject = match details.subcode? {
        // Marketing API, "Ad Set": payor and beneficiary in the EU.
        3_858_079 | 3_858_081 => "who pays and who benefits in ad_set.dsa".to_owned(),
        // The same in Taiwan, Singapore, Thailand and Brazil.
        3_858_152 | 3_858_495 | 3_858_498 | 3_858_550 | 3_858_634 | 3_858_636 => {
            format!("who pays and who benefits in {}", missing_identities(spec))
        }
        // Ads on Instagram lack an Instagram account.
        1_772_103 if is_link_creative => {
            "the Instagram account in ad.creative.link.instagram_user".to_owned()
        }
        // The Page is not the ad set's, or not available to this ad account.
        1_885_029 if is_link_creative => "another Page in ad.creative.link.page".to_owned(),
        _ => return None,
    };
    let place = "for all launches in the ad account's defaults (PUT ad-accounts/{act}/defaults)";
    Some(format!("name {subject}, or {place}"))
}

/// Returns the identity fields that the targeted countries require and the document leaves out.
fn missing_identities(spec: &LaunchSpec) -> String {
    let (countries, named) = (&spec.ad_set.countries, &spec.ad_set.regional_identities);
    let missing = Regulation::ALL.into_iter().filter(|regulation| {
        let shown_there = countries.iter().any(|country| country == regulation.country());
        shown_there && !regulation.is_financial() && !named.contains_key(regulation)
    });
    let fields: Vec<_> = missing.map(|missing| format!("ad_set.regional_identities.{missing}")).collect();
    if fields.is_empty() { "ad_set.regional_identities".to_owned() } else { fields.join(" and ") }
}
