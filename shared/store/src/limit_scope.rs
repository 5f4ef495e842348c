//! Scopes of limits.

use domain::dataset::Dataset;
use domain::id::{AdAccountId, EntityId};

/// The scope of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitScope<'a> {
    /// The calls of the app as a whole.
    App,
    /// The calls to an ad account.
    Account(&'a AdAccountId),
    /// Changes of the budget of an ad set.
    Budget(&'a EntityId),
    /// The amount of an account's insights of a dataset that Meta returns at a time.
    Insights(&'a AdAccountId, Dataset),
    /// The fields that a version of the platform's API no longer has.
    RemovedFields(&'a str),
}
