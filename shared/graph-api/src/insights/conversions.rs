//! Which of Meta's overlapping action types count as purchases, leads and other conversions.

use domain::metrics::{ByActionType, Measures};
use rust_decimal::Decimal;

/// Action types under which Meta reports one purchase, best first.
///
/// Meta's list of actions nests and overlaps: the same purchase appears under several types, so they are alternatives
/// and must never be added up. Source: Marketing API, "Action types" and recorded accounts.
pub const PURCHASE_KEYS: [&str; 3] = ["omni_purchase", "purchase", "offsite_conversion.fb_pixel_purchase"];

/// Action types under which Meta reports one lead, best first.
const LEAD_KEYS: [&str; 3] = ["lead", "onsite_conversion.lead_grouped", "offsite_conversion.fb_pixel_lead"];

/// Action types under which Meta reports one addition to a cart, best first.
const ADD_TO_CART_KEYS: [&str; 3] =
    ["omni_add_to_cart", "add_to_cart", "offsite_conversion.fb_pixel_add_to_cart"];

/// Action types under which Meta reports one checkout that was begun, best first.
const INITIATE_CHECKOUT_KEYS: [&str; 3] =
    ["omni_initiated_checkout", "initiate_checkout", "offsite_conversion.fb_pixel_initiate_checkout"];

/// Action types under which Meta reports one installation of an app, best first.
const APP_INSTALL_KEYS: [&str; 3] = ["omni_app_install", "mobile_app_install", "app_install"];

/// Action types under which Meta reports one landing page that was loaded, best first.
const LANDING_PAGE_VIEW_KEYS: [&str; 2] = ["landing_page_view", "omni_landing_page_view"];

/// The action type of a video that was watched for three seconds, and that of each list of video measures.
pub(super) const VIDEO_VIEW: &str = "video_view";

/// Action values by attribution window: action type, window such as `7d_click`, value.
pub(super) type WindowedValues<'a> = Vec<(&'a str, &'a str, Decimal)>;

/// Selects the conversions from the row's actions. The selection is made per ad and day, before anything is summed,
/// because ads of one account may report under different keys.
pub(super) fn choose_conversions(
    measures: &mut Measures,
    actions: &WindowedValues<'_>,
    values: &WindowedValues<'_>,
) {
    let chosen = |keys: [&'static str; 3]| {
        let under_windows = |key: &&str| actions.iter().any(|(action, ..)| action == key);
        let is_counted = |key: &&str| measures.actions.contains_key(*key);
        // A count whose value stands under another key would make up a return of nothing.
        let has_value = |key: &&str| measures.action_values.get(*key).is_some_and(|value| !value.is_zero());
        let valued = keys.into_iter().find(|key| is_counted(key) && has_value(key));
        let counted = valued.or_else(|| keys.into_iter().find(is_counted));
        // A value without a count is known all the same: rows that are split by people may have one.
        let known = counted.or_else(|| keys.into_iter().find(has_value));
        known.or_else(|| keys.into_iter().find(under_windows))
    };
    let (purchase, lead) = (chosen(PURCHASE_KEYS), chosen(LEAD_KEYS));
    let total = |sums: &ByActionType, key: Option<&str>| sums.get(key?).copied();
    measures.purchases = total(&measures.actions, purchase);
    measures.purchase_value = total(&measures.action_values, purchase);
    measures.leads = total(&measures.actions, lead);
    let counted = |keys: &[&str]| keys.iter().find_map(|key| total(&measures.actions, Some(key)));
    measures.landing_page_views = counted(&LANDING_PAGE_VIEW_KEYS);
    measures.add_to_cart = counted(&ADD_TO_CART_KEYS);
    measures.initiate_checkout = counted(&INITIATE_CHECKOUT_KEYS);
    measures.app_installs = counted(&APP_INSTALL_KEYS);
    measures.video_views = counted(&[VIDEO_VIEW]);
    for (action, window, value) in actions {
        if ![purchase, lead].contains(&Some(*action)) {
            continue;
        }
        let conversions = measures.by_window.entry((*window).to_owned()).or_default();
        let count =
            if Some(*action) == purchase { &mut conversions.purchases } else { &mut conversions.leads };
        add(count, *value);
    }
    for (_, window, value) in values.iter().filter(|(action, ..)| Some(*action) == purchase) {
        add(&mut measures.by_window.entry((*window).to_owned()).or_default().purchase_value, *value);
    }
}

fn add(sum: &mut Option<Decimal>, value: Decimal) {
    *sum = Some(sum.unwrap_or_default() + value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_actions(actions: &[(&str, i64)]) -> Measures {
        let mut measures = Measures {
            actions: actions.iter().map(|(k, v)| ((*k).to_owned(), Decimal::from(*v))).collect(),
            ..Measures::default()
        };
        choose_conversions(&mut measures, &Vec::new(), &Vec::new());
        measures
    }

    #[test]
    fn a_purchase_that_meta_reports_four_times_counts_once() {
        let day = with_actions(&[
            ("offsite_conversion.fb_pixel_purchase", 3),
            ("omni_purchase", 3),
            ("onsite_web_purchase", 3),
            ("purchase", 3),
        ]);
        assert_eq!(day.purchases, Some(Decimal::from(3)));
    }

    #[test]
    fn ads_that_report_under_different_keys_add_up_right() {
        let mut sum = with_actions(&[("omni_purchase", 3), ("purchase", 3)]);
        sum += &with_actions(&[("purchase", 2)]);
        assert_eq!(sum.purchases, Some(Decimal::from(5)));
        assert_eq!(sum.actions["omni_purchase"], Decimal::from(3));
    }

    #[test]
    fn purchases_and_their_value_are_of_the_first_key_that_has_a_value() {
        let day = |values: &[(&str, i64)]| {
            let decimals = |list: &[(&str, i64)]| {
                list.iter().map(|(key, value)| ((*key).to_owned(), Decimal::from(*value))).collect()
            };
            let mut measures = Measures {
                actions: decimals(&[("omni_purchase", 4), ("purchase", 3)]),
                action_values: decimals(values),
                ..Measures::default()
            };
            choose_conversions(&mut measures, &Vec::new(), &Vec::new());
            (measures.purchases.unwrap(), measures.purchase_value)
        };
        assert_eq!(day(&[("omni_purchase", 400), ("purchase", 300)]), (4.into(), Some(400.into())));
        assert_eq!(day(&[("omni_purchase", 0), ("purchase", 300)]), (3.into(), Some(300.into())));
        assert_eq!(day(&[("purchase", 300)]), (3.into(), Some(300.into())));
        assert_eq!(
            day(&[("omni_purchase", 0)]),
            (4.into(), Some(0.into())),
            "Meta says that they were worth nothing"
        );
        assert_eq!(day(&[]), (4.into(), None), "unknown, which is not zero");
    }

    #[test]
    fn other_actions_are_no_purchases() {
        assert_eq!(with_actions(&[("link_click", 2)]).purchases, None);
    }
}
