//! What happens to an account's objects by itself, for those who are told of it.

use jiff::Timestamp;

use crate::node::Kind;

/// Something that happened to an object of an ad account after the call that caused it was answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AccountEvent {
    /// Digits of the ad account.
    pub(crate) account: String,
    pub(crate) id: String,
    pub(crate) level: &'static str,
    pub(crate) kind: AccountEventKind,
    pub(crate) at: Timestamp,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum AccountEventKind {
    /// It is no longer IN_PROCESS; this is its effective status now.
    Processed { status: String },
    /// It has become WITH_ISSUES.
    IssueAdded(Issue),
}

/// A problem that keeps an object from delivering, as Meta explains it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// Meta's number of the problem.
    pub code: i64,
    /// A few words.
    pub summary: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// The name of a level in Meta's webhooks and issues; none for what has no status.
pub(crate) fn level(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Campaign => Some("CAMPAIGN"),
        Kind::AdSet => Some("AD_SET"),
        Kind::Ad => Some("AD"),
        Kind::Creative => Some("CREATIVE"),
        Kind::Account | Kind::Image | Kind::Video | Kind::BudgetSchedule => None,
    }
}
