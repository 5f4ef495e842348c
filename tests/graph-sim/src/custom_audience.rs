//! Custom audiences: each ad account has three, made elsewhere.

use serde_json::{Value, json};

use crate::node::{Kind, Node};
use crate::processing::ProcessingState;
use crate::world::World;

/// A name, Meta's kind of audience, and how many people; those of an audience that is too small are not counted.
const AUDIENCES: [(&str, &str, Option<u64>); 3] = [
    ("Customers of last year", "CUSTOM", Some(12_400)),
    ("Like the customers of last year", "LOOKALIKE", Some(210_000)),
    ("Visitors of the last 30 days", "WEBSITE", None),
];

/// Adds the custom audiences of every ad account.
pub(crate) fn add_to(world: &mut World) {
    let accounts: Vec<String> = world.accounts.iter().map(|account| account.digits.clone()).collect();
    for account in accounts {
        for (number, (name, subtype, people)) in (1_i64..).zip(AUDIENCES) {
            let (code, description) = match people {
                Some(_) => (200, "This audience is ready for use."),
                None => (300, "This audience is too small."),
            };
            let id = format!("23{account}{number}");
            let bound = |percent: u64| people.map_or(json!(-1), |people| json!(people * percent / 100));
            let fields = json!({
                "id": id, "account_id": account, "name": name, "subtype": subtype,
                "approximate_count_lower_bound": bound(90),
                "approximate_count_upper_bound": bound(110),
                "delivery_status": {"code": code, "description": description},
                "operation_status": {"code": 200, "description": "Normal"},
            });
            let Value::Object(fields) = fields else { continue };
            let processing = ProcessingState::Idle;
            let node = Node {
                kind: Kind::CustomAudience,
                account: account.clone(),
                position: number,
                fields,
                processing,
            };
            world.nodes.insert(id, node);
        }
    }
}
