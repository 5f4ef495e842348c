//! Which of Meta's overlapping action types count as purchases and leads.

use domain::metrics::{ByActionType, Measures};
use rust_decimal::Decimal;

/// Action types under which Meta reports one purchase, best first.
///
/// Meta's list of actions nests and overlaps: the same purchase appears under several types, so they are alternatives
/// and must never be added up. Source: Marketing API, "Action types" and recorded accounts.
pub const PURCHASE_KEYS: [&str; 3] = ["omni_purchase", "purchase", "offsite_conversion.fb_pixel_purchase"];

/// Action types under which Meta reports one lead, best first.
const LEAD_KEYS: [&str; 3] = ["lead", "onsite_conversion.lead_grouped", "offsite_conversion.fb_pixel_lead"];

/// Action values by attribution window: action type, window such as `7d_click`, value.
pub(super) type WindowedValues<'a> = Vec<(&'a str, &'a str, Decimal)>;

/// Selects the purchases and leads from the row's actions. The selection is made per ad and day, before anything is summed,
/// because ads of one account may report under different keys.
pub(super) fn choose_conversions(
    measures: &mut Measures,
    actions: &WindowedValues<'_>,
    values: &WindowedValues<'_>,
) {
    let chosen = |keys: [&'static str; 3]| {
        let under_windows = |key: &&str| actions.iter().any(|(action, ..)| action == key);
        let counted = keys.into_iter().find(|key| measures.actions.contains_key(*key));
        counted.or_else(|| keys.into_iter().find(under_windows))
    };
    let (purchase, lead) = (chosen(PURCHASE_KEYS), chosen(LEAD_KEYS));
    let total = |sums: &ByActionType, key: Option<&str>| sums.get(key?).copied();
    measures.purchases = total(&measures.actions, purchase);
    measures.purchase_value = total(&measures.action_values, purchase);
    measures.leads = total(&measures.actions, lead);
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
    fn other_actions_are_no_purchases() {
        assert_eq!(with_actions(&[("link_click", 2)]).purchases, None);
    }
}
