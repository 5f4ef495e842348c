//! Asynchronous events of an account's objects, which webhooks deliver.

use jiff::Timestamp;

use crate::node::Kind;

/// An event of an ad account's object that happens after the response to the call that caused it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AccountEvent {
    /// Ad account id without the `act_` prefix.
    pub(crate) account: String,
    pub(crate) id: String,
    pub(crate) level: &'static str,
    pub(crate) kind: AccountEventKind,
    pub(crate) at: Timestamp,
}

/// The kind of an event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum AccountEventKind {
    /// The object is no longer IN_PROCESS; contains its new effective status.
    Processed { status: String },
    /// The object has become WITH_ISSUES.
    IssueAdded(Issue),
}

/// A problem that keeps an object from delivering, as Meta describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// Meta's error code of the problem.
    pub code: i64,
    /// A short summary.
    pub summary: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Returns the name of a level in Meta's webhooks and issues; `None` for kinds without a delivery status.
pub(crate) fn level(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Campaign => Some("CAMPAIGN"),
        Kind::AdSet => Some("AD_SET"),
        Kind::Ad => Some("AD"),
        Kind::Creative => Some("CREATIVE"),
        Kind::Account | Kind::Image | Kind::Video | Kind::BudgetSchedule | Kind::CustomAudience => None,
    }
}
