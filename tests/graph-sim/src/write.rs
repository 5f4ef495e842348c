//! Writes: what a caller changes in an ad account. Applying one needs the world and the write only, so that the
//! journal can be replayed.

mod ad;
mod ad_set;
mod budget;
mod campaign;
mod update;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::{GraphError, unsupported};
use crate::fields;
use crate::node::{Account, Kind, graph_time};
use crate::params::{Params, stored};
use crate::world::World;

/// A write, as the journal keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Write {
    pub(crate) method: String,
    /// Without version: `act_1/campaigns`.
    pub(crate) path: String,
    pub(crate) params: BTreeMap<String, String>,
    pub(crate) time: Timestamp,
    /// Whose permissions are withdrawn; other writes do not depend on the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
}

/// What a write did.
pub(crate) struct Done {
    pub(crate) answer: Value,
    /// False when it was only checked.
    pub(crate) effect: bool,
}

/// Carries a write out, or says why Graph would not.
pub(crate) fn apply(world: &mut World, write: &Write) -> Result<Done, GraphError> {
    let segments: Vec<&str> = write.path.split('/').collect();
    match (write.method.as_str(), segments.as_slice()) {
        ("POST", [account, edge]) => {
            let digits = account.strip_prefix("act_").unwrap_or_default().to_owned();
            let Some(account) = world.account(&digits).cloned() else {
                return Err(unsupported("post", account));
            };
            match *edge {
                "campaigns" => campaign::create(world, &account, write),
                "adsets" => ad_set::create(world, &account, write),
                "adcreatives" => ad::create_creative(world, &account, write),
                "ads" => ad::create(world, &account, write),
                _ => Err(unsupported("post", segments[0])),
            }
        }
        ("POST", [id]) => update::update(world, id, write),
        ("DELETE", [id]) => update::delete(world, id),
        (method, _) => Err(unsupported(method, segments[0])),
    }
}

/// Fields that are written by the simulator itself, whatever a caller sends.
const DERIVED: [&str; 12] = [
    "id",
    "account_id",
    "created_time",
    "updated_time",
    "effective_status",
    "configured_status",
    "status",
    "campaign",
    "adset",
    "creative",
    "budget_remaining",
    "issues_info",
];

/// A new object's fields: what was sent, and what every object has.
fn new_fields(kind: Kind, account: &Account, write: &Write) -> Result<Map<String, Value>, GraphError> {
    let mut fields = Map::new();
    for (name, text) in &write.params {
        if fields::exists(kind, name) && !DERIVED.contains(&name.as_str()) {
            fields.insert(name.clone(), stored(name, text, &account.zone)?);
        }
    }
    let params = Params(&write.params);
    let status = params.one_of("status", &["ACTIVE", "PAUSED"])?.unwrap_or("ACTIVE");
    fields.insert("account_id".into(), json!(account.digits));
    fields.insert("status".into(), json!(status));
    if kind != Kind::Creative {
        let now = graph_time(write.time, &account.zone);
        fields.insert("configured_status".into(), json!(status));
        fields.insert("created_time".into(), json!(now));
        fields.insert("updated_time".into(), json!(now));
    }
    Ok(fields)
}

/// Makes the object unless the call was only to be checked.
fn finish(
    world: &mut World,
    kind: Kind,
    account: &Account,
    write: &Write,
    fields: Map<String, Value>,
) -> Result<Done, GraphError> {
    if Params(&write.params).validate_only()? {
        return Ok(Done { answer: json!({ "success": true }), effect: false });
    }
    let id = world.create(kind, &account.digits, fields);
    let answer =
        if kind == Kind::Campaign { json!({ "id": id, "success": true }) } else { json!({ "id": id }) };
    Ok(Done { answer, effect: true })
}
