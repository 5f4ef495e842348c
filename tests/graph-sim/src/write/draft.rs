//! An object as a write would leave it, for rules that involve more than one parameter.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{DERIVED_FIELDS, Write};
use crate::error::{GraphError, type_name};
use crate::fields;
use crate::node::{Account, Kind, Node, parse_time};
use crate::params::{Params, stored};
use crate::spec;
use crate::world::World;

/// An object as a write would leave it.
pub(super) struct Draft<'a> {
    pub(super) world: &'a World,
    pub(super) account: &'a Account,
    pub(super) kind: Kind,
    /// The existing object, for a change.
    pub(super) before: Option<&'a Node>,
    pub(super) fields: Map<String, Value>,
    pub(super) params: Params<'a>,
    pub(super) now: Timestamp,
}

/// A rule that involves more than one parameter.
pub(super) type ValidationRule = fn(&Draft<'_>) -> Result<(), GraphError>;

impl<'a> Draft<'a> {
    pub(super) fn new(
        world: &'a World,
        account: &'a Account,
        kind: Kind,
        write: &'a Write,
    ) -> Result<Self, GraphError> {
        let fields = given_fields(kind, account, write)?.into_iter().collect();
        let params = Params(&write.params);
        Ok(Self { world, account, kind, before: None, fields, params, now: write.time })
    }

    pub(super) fn change(world: &'a World, node: &'a Node, write: &'a Write) -> Result<Self, GraphError> {
        let account = world.owner(node);
        let mut fields = node.fields.clone();
        for (name, value) in given_fields(node.kind, account, write)? {
            set(&mut fields, name, value);
        }
        let params = Params(&write.params);
        Ok(Self { world, account, kind: node.kind, before: Some(node), fields, params, now: write.time })
    }

    /// Checks the rules in order and returns the first error.
    pub(super) fn check_rules(&self, rules: &[ValidationRule]) -> Result<(), GraphError> {
        rules.iter().try_for_each(|rule| rule(self))
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name)?.as_str()
    }

    pub(super) fn amount(&self, name: &str) -> Option<u64> {
        amount(self.fields.get(name)?)
    }

    pub(super) fn time(&self, name: &str) -> Option<Timestamp> {
        self.text(name).and_then(parse_time)
    }

    /// Returns whether the object is new, or one of these parameters is given.
    pub(super) fn touches(&self, names: &[&str]) -> bool {
        self.before.is_none() || names.iter().any(|name| self.params.text(name).is_some())
    }

    /// Returns the campaign of an ad set.
    pub(super) fn campaign(&self) -> Option<&'a Node> {
        self.text("campaign_id").and_then(|id| self.world.nodes.get(id))
    }
}

/// Parses an amount that is stored as a number or as text.
pub(super) fn amount(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Returns the fields a call sets, in the form they are read back; null removes a field.
pub(super) fn given_fields(
    kind: Kind,
    account: &Account,
    write: &Write,
) -> Result<Vec<(String, Value)>, GraphError> {
    let call = match write.path.split_once('/') {
        Some((_, edge)) => spec::call("AdAccount", "POST", edge),
        None => spec::call(type_name(kind), "POST", ""),
    };
    let is_set = |name: &str| {
        fields::exists(kind, name)
            && !DERIVED_FIELDS.contains(&name)
            && call.is_none_or(|call| call.has_param(name))
    };
    let mut given = Vec::new();
    for (name, text) in write.params.iter().filter(|(name, _)| is_set(name)) {
        let value = match (name.as_str(), text.as_str()) {
            // An end time of 0 means no end.
            ("end_time" | "stop_time", "0") => Value::Null,
            ("special_ad_categories", _) => {
                let names = Params(&write.params).names(name)?.unwrap_or_default();
                json!(names.into_iter().filter(|name| name != "NONE").collect::<Vec<_>>())
            }
            // The largest number means no cap.
            ("spend_cap", "922337203685478") => Value::Null,
            _ => stored(name, text, &account.zone)?,
        };
        given.push((name.clone(), value));
    }
    Ok(given)
}

/// Sets a field; null removes it.
pub(super) fn set(fields: &mut Map<String, Value>, name: String, value: Value) {
    match value {
        Value::Null => drop(fields.remove(&name)),
        value => drop(fields.insert(name, value)),
    }
}
