//! Sub-queries: the parts into which an insights query is split.

use domain::dataset::Breakdown;
use domain::date::DateRange;
use domain::entity::Level;
use domain::id::EntityId;
use jiff::ToSpan;
use jiff::civil::Date;
use serde_json::json;

use crate::entities::listable_statuses;

/// The attribution windows that Meta still fills, besides `value`, which follows each ad set's own setting. `1d_ev` has what
/// followed a like, a share or an engaged view, which have not counted as clicks since March 2026.
const ATTRIBUTION_WINDOWS: &str = r#"["1d_click","7d_click","28d_click","1d_view","1d_ev"]"#;

/// The fields of counts. `action_breakdowns` are not used: they multiply rows and change totals.
pub(super) const COUNT_FIELDS: &str = "campaign_id,adset_id,ad_id,impressions,clicks,inline_link_clicks,spend,reach,frequency,\
                      attribution_setting";
/// The fields of names: objects that were deleted before the first sync are known only from their numbers.
pub(super) const NAME_FIELDS: &str = "campaign_name,adset_name,ad_name";
pub(super) const ACTION_FIELDS: &str =
    "campaign_id,adset_id,ad_id,actions,action_values,video_thruplay_watched_actions";

/// A part of an insights query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SubQuery {
    pub(super) range: DateRange,
    /// The campaign to filter by, if any.
    pub(super) campaign: Option<EntityId>,
    /// Whether a report run is used.
    pub(super) as_report: bool,
}

/// The maximum number of days of a query, longer than Meta's retention.
const MAX_QUERY_DAYS: u32 = 10_000;

/// Splits a sub-query into sub-queries of at most this many days, the oldest first.
pub(super) fn split_by_days(sub_query: &SubQuery, days: u32) -> Vec<SubQuery> {
    let days = i32::try_from(days.clamp(1, MAX_QUERY_DAYS)).unwrap_or(1);
    let next = |since: &Date| since.checked_add(i64::from(days).days()).ok();
    let starts = std::iter::successors(Some(sub_query.range.since), next)
        .take_while(|day| *day <= sub_query.range.until);
    let window = |since: Date| {
        let until = since.saturating_add(i64::from(days - 1).days()).min(sub_query.range.until);
        SubQuery { range: DateRange { since, until }, ..sub_query.clone() }
    };
    starts.map(window).collect()
}

pub(super) fn time_range(range: DateRange) -> String {
    json!({"since": range.since, "until": range.until}).to_string()
}

/// Returns Meta's name of a breakdown.
fn breakdown_name(breakdown: Breakdown) -> &'static str {
    match breakdown {
        Breakdown::HourOfDay => "hourly_stats_aggregated_by_advertiser_time_zone",
        other => other.as_str(),
    }
}

/// Returns the parameters of a sub-query.
pub(super) fn query(
    sub_query: &SubQuery,
    fields: &str,
    breakdowns: &[Breakdown],
) -> Vec<(&'static str, String)> {
    let mut query = vec![
        ("level", "ad".to_owned()),
        ("time_increment", "1".to_owned()),
        ("time_range", time_range(sub_query.range)),
        ("action_attribution_windows", ATTRIBUTION_WINDOWS.to_owned()),
        ("fields", fields.to_owned()),
    ];
    if !breakdowns.is_empty() {
        let names: Vec<_> = breakdowns.iter().map(|breakdown| breakdown_name(*breakdown)).collect();
        query.push(("breakdowns", names.join(",")));
    }
    if let Some(campaign) = &sub_query.campaign {
        let mut statuses = listable_statuses(Level::Ad).to_vec();
        statuses.push("DELETED");
        let filter = json!([
            {"field": "campaign.id", "operator": "IN", "value": [campaign]},
            {"field": "ad.effective_status", "operator": "IN", "value": statuses},
        ]);
        query.push(("filtering", filter.to_string()));
    }
    query
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sub_queries_cover_each_day_once(length in 0i64..400, days in 1u32..500) {
            let since = jiff::civil::date(2026, 1, 30);
            let range = DateRange { since, until: since + length.days() };
            let whole = SubQuery { range, campaign: None, as_report: false };
            let windows = split_by_days(&whole, days);
            let mut next = since;
            for window in &windows {
                prop_assert_eq!(window.range.since, next);
                prop_assert!(window.range.days().unsigned_abs() <= days);
                next = window.range.until.tomorrow().unwrap();
            }
            prop_assert_eq!(next, range.until.tomorrow().unwrap());
        }
    }
}
