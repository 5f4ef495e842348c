//! Effective statuses, derived from an object's own status and its parent's.

use crate::node::Kind;

/// Returns the effective status of an object from its own status and its parent's effective status.
pub(crate) fn effective(own: &str, parent: Option<(Kind, &str)>) -> &'static str {
    let above = parent.map(|(_, status)| status);
    if own == "DELETED" || above == Some("DELETED") {
        return "DELETED";
    }
    if own == "ARCHIVED" || above == Some("ARCHIVED") {
        return "ARCHIVED";
    }
    if own == "PAUSED" {
        return "PAUSED";
    }
    match parent {
        Some((Kind::Campaign, "PAUSED")) | Some((_, "CAMPAIGN_PAUSED")) => "CAMPAIGN_PAUSED",
        Some((Kind::AdSet, "PAUSED")) => "ADSET_PAUSED",
        _ => "ACTIVE",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_overrules_what_is_running() {
        assert_eq!(effective("ACTIVE", None), "ACTIVE");
        assert_eq!(effective("ACTIVE", Some((Kind::Campaign, "PAUSED"))), "CAMPAIGN_PAUSED");
        assert_eq!(effective("ACTIVE", Some((Kind::AdSet, "CAMPAIGN_PAUSED"))), "CAMPAIGN_PAUSED");
        assert_eq!(effective("ACTIVE", Some((Kind::AdSet, "PAUSED"))), "ADSET_PAUSED");
        assert_eq!(effective("ACTIVE", Some((Kind::AdSet, "WITH_ISSUES"))), "ACTIVE");
    }

    #[test]
    fn an_own_pause_stands_before_a_parents_pause_but_not_before_its_end() {
        assert_eq!(effective("PAUSED", Some((Kind::Campaign, "PAUSED"))), "PAUSED");
        assert_eq!(effective("PAUSED", Some((Kind::Campaign, "ARCHIVED"))), "ARCHIVED");
        assert_eq!(effective("ARCHIVED", Some((Kind::Campaign, "DELETED"))), "DELETED");
    }
}
