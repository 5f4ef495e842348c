//! Error hints for rejections by Meta that name fields differently than a launch document does, or name none.

use domain::entity::Level;
use domain::launch::Step;

use super::{AdSetSpec, LaunchSpec};
use crate::creative::CreativeSpec;
use crate::error::GraphError;
use crate::regulation::Regulation;

/// Returns where the document, or the ad account's defaults, can set what Meta requires.
pub fn error_hint(error: &GraphError, spec: &LaunchSpec, step: Step) -> Option<String> {
    let GraphError::InvalidInput(details) = error else { return None };
    let path = spec.path_of(step);
    // Meta may miss what the ad set says only once there is an ad.
    let ad_set = spec.path_of(step.parent().filter(|parent| parent.level() == Level::AdSet).unwrap_or(step));
    let is_link_creative = spec.ad(step).is_some_and(|ad| matches!(ad.creative, CreativeSpec::Link(_)));
    let subject = match details.subcode? {
        // Marketing API, "Ad Set": payor and beneficiary in the EU.
        3_858_079 | 3_858_081 => format!("who pays and who benefits in {ad_set}.dsa"),
        // The same in Taiwan, Singapore, Thailand and Brazil.
        3_858_152 | 3_858_495 | 3_858_498 | 3_858_550 | 3_858_634 | 3_858_636 => {
            format!("who pays and who benefits in {}", missing_identities(spec.ad_set(step)?, &ad_set))
        }
        // Ads on Instagram lack an Instagram account.
        1_772_103 if is_link_creative => {
            format!("the Instagram account in {path}.creative.link.instagram_user")
        }
        // The Page is not the ad set's, or not available to this ad account.
        1_885_029 if is_link_creative => format!("another Page in {path}.creative.link.page"),
        _ => return None,
    };
    let place = "for all launches in the ad account's defaults (PUT ad-accounts/{act}/defaults)";
    Some(format!("name {subject}, or {place}"))
}

/// Returns the identity fields that the targeted countries require and the document leaves out.
fn missing_identities(ad_set: &AdSetSpec, path: &str) -> String {
    let missing = Regulation::ALL.into_iter().filter(|regulation| {
        let shown_there = ad_set.shown_in().any(|country| country == regulation.country());
        shown_there && !regulation.is_financial() && !ad_set.regional_identities.contains_key(regulation)
    });
    let fields: Vec<_> = missing.map(|missing| format!("{path}.regional_identities.{missing}")).collect();
    if fields.is_empty() { format!("{path}.regional_identities") } else { fields.join(" and ") }
}
