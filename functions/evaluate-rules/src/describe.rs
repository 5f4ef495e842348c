//! What the routes take and give.

use domain::Error;
use domain::rule::{Decision, Rule, RuleSpec};
use http::StatusCode;
use runtime::describe::Operation;
use runtime::response::List;

use crate::Endpoint;
use crate::rules::DecisionsQuery;

/// What a route takes and gives.
pub fn describe(endpoint: Endpoint) -> Operation {
    match endpoint {
        Endpoint::Rules => Operation::new("list_rules", "Lists rules")
            .gives::<List<Rule>>(StatusCode::OK, "Every rule of the workspace."),
        Endpoint::Add => Operation::new("add_rule", "Adds a rule")
            .body::<RuleSpec>()
            .gives::<Rule>(StatusCode::CREATED, "The rule with its id.")
            .may(Error::Conflict, "The workspace is full, or the key was used for another rule."),
        Endpoint::Replace => Operation::new("replace_rule", "Replaces a rule")
            .body::<RuleSpec>()
            .gives::<Rule>(StatusCode::OK, "The rule as it is now."),
        Endpoint::Remove => Operation::new("remove_rule", "Removes a rule")
            .about("What it decided stays.")
            .gives_nothing(StatusCode::NO_CONTENT, "It is removed."),
        Endpoint::Decisions => Operation::new("list_decisions", "Lists what a rule decided")
            .query::<DecisionsQuery>()
            .gives::<List<Decision>>(StatusCode::OK, "The decisions, newest day first."),
    }
}
