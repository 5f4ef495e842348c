//! Rows that cannot be read: what was stored of them before stays, and nothing else changes because of them.

use std::collections::HashSet;

use domain::gap::Gap;
use domain::id::EntityId;
use domain::metrics::InsightsRow;
use jiff::civil::Date;
use store::fact::WeekFacts;

/// Adds the stored days of ads whose fresh rows could not be read. A row whose ad or day could not be read either may
/// be any: then every stored day that was not read again stays.
pub(crate) fn keep_stored(unread: &[Gap], stored: &[WeekFacts], days: &mut Vec<InsightsRow>) {
    let unread: HashSet<(Option<&str>, Option<&str>)> =
        unread.iter().map(|gap| (gap.id.as_deref(), gap.day.as_deref())).collect();
    let read: HashSet<(EntityId, Date)> = days.iter().map(|row| (row.ad.clone(), row.facts.day)).collect();
    for ad in stored {
        let (Some(campaign), Some(adset)) = (&ad.campaign_id, &ad.adset_id) else { continue };
        for facts in &ad.days {
            let (id, day) = (ad.id.as_str(), facts.day.to_string());
            let candidates = [(Some(id), Some(&*day)), (Some(id), None), (None, Some(&*day)), (None, None)];
            let is_unread = candidates.iter().any(|candidate| unread.contains(candidate));
            if is_unread && !read.contains(&(ad.id.clone(), facts.day)) {
                let (campaign, adset) = (campaign.clone(), adset.clone());
                days.push(InsightsRow { ad: ad.id.clone(), adset, campaign, facts: facts.clone() });
            }
        }
    }
}
