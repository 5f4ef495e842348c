//! `POST /act_X`.

use serde_json::{Value, json};

use super::Write;
use super::draft::set;
use super::operation::Operation;
use crate::error::{GraphError, invalid};
use crate::fields;
use crate::money;
use crate::node::Kind;
use crate::params::{Params, stored};
use crate::world::World;

/// Fields that a caller cannot set.
const READ_ONLY_FIELDS: [&str; 10] = [
    "account_id",
    "account_status",
    "amount_spent",
    "balance",
    "created_time",
    "currency",
    "disable_reason",
    "id",
    "min_daily_budget",
    "timezone_name",
];

pub(super) fn check(world: &World, operation: &Operation, write: &Write) -> Result<(), GraphError> {
    let params = Params(&write.params);
    params.one_of("spend_cap_action", &["reset", "delete"])?;
    let account = operation.owner(world);
    if params.text("spend_cap").is_some_and(|text| money::minor(text, &account.currency).is_none()) {
        return Err(invalid("Param spend_cap must be an amount in the account's currency, not in cents"));
    }
    let will_have = |name: &str| {
        let stored_text = || account.fields.get(name).and_then(Value::as_str);
        params.text(name).or_else(stored_text).is_some_and(|text| !text.is_empty())
    };
    if will_have("default_dsa_payor") != will_have("default_dsa_beneficiary") {
        return Err(invalid("Set both default_dsa_payor and default_dsa_beneficiary, or none"));
    }
    Ok(())
}

/// Executes the write. The spending limit is written in major units, but read in minor units.
pub(super) fn execute(world: &mut World, operation: &Operation, write: &Write) -> Result<Value, GraphError> {
    let params = Params(&write.params);
    let Some(account) = world.accounts.iter_mut().find(|account| account.digits == operation.account) else {
        return Ok(json!({ "success": false }));
    };
    for (name, text) in &write.params {
        let value = match name.as_str() {
            "spend_cap" => json!(money::minor(text, &account.currency).unwrap_or_default().to_string()),
            name if READ_ONLY_FIELDS.contains(&name) || !fields::exists(Kind::Account, name) => continue,
            _ if text.is_empty() => Value::Null,
            name => stored(name, text, &account.zone)?,
        };
        set(&mut account.fields, name.clone(), value);
    }
    match params.text("spend_cap_action") {
        Some("reset") => set(&mut account.fields, "amount_spent".into(), json!("0")),
        Some(_) => set(&mut account.fields, "spend_cap".into(), json!("0")),
        None => {}
    }
    Ok(json!({ "success": true }))
}
