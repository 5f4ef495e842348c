//! The `fields` parameter: which fields of a node are answered.

use serde_json::{Map, Value, json};

use crate::error::{GraphError, nonexisting_field, type_name};
use crate::fields;
use crate::node::{Account, Kind, Node};
use crate::world::World;

/// One name in `fields`, perhaps with names in braces after it.
#[derive(Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) inner: Option<Vec<Self>>,
}

/// Reads `a,b{c,d}`.
pub(crate) fn parse(text: &str) -> Result<Vec<Field>, GraphError> {
    let mut rest = text;
    let fields = list(&mut rest)?;
    if rest.is_empty() { Ok(fields) } else { Err(syntax(text)) }
}

fn list(rest: &mut &str) -> Result<Vec<Field>, GraphError> {
    let mut fields = Vec::new();
    loop {
        *rest = rest.trim_start();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        *rest = after.trim_start();
        let mut inner = None;
        if let Some(after) = rest.strip_prefix('{') {
            *rest = after;
            inner = Some(list(rest)?);
            *rest = rest.strip_prefix('}').ok_or_else(|| syntax(rest))?.trim_start();
        }
        if !name.is_empty() {
            fields.push(Field { name: name.to_owned(), inner });
        } else if inner.is_some() {
            return Err(syntax(rest));
        }
        match rest.strip_prefix(',') {
            Some(after) => *rest = after,
            None => return Ok(fields),
        }
    }
}

fn syntax(text: &str) -> GraphError {
    GraphError::new(2500, format!("Syntax error in the field list near: {text}"))
}

/// Refuses names which nodes of this kind do not have.
pub(crate) fn check(kind: Kind, wanted: &[Field]) -> Result<(), GraphError> {
    for field in wanted {
        if !fields::exists(kind, &field.name) {
            return Err(nonexisting_field(&field.name, type_name(kind)));
        }
        if let (Some(target), Some(inner)) = (target(kind, &field.name), &field.inner) {
            check(target, inner)?;
        }
    }
    Ok(())
}

/// The kind of node a field points to.
fn target(kind: Kind, field: &str) -> Option<Kind> {
    match (kind, field) {
        (Kind::AdSet | Kind::Ad, "campaign") => Some(Kind::Campaign),
        (Kind::Ad, "adset") => Some(Kind::AdSet),
        (Kind::Ad, "creative") => Some(Kind::Creative),
        _ => None,
    }
}

/// The wanted fields of a node; `id` comes always, fields without a value not at all.
pub(crate) fn node(world: &World, node: &Node, wanted: &[Field]) -> Value {
    let mut answer = Map::new();
    for field in wanted {
        let value = match (target(node.kind, &field.name), field.name.as_str()) {
            (Some(_), _) => linked(world, node, field),
            (None, "effective_status") if node.kind != Kind::Creative => {
                Some(json!(world.effective_status(node)))
            }
            (None, name) => node.fields.get(name).map(|value| pick(value, field.inner.as_deref())),
        };
        if let Some(value) = value {
            answer.insert(field.name.clone(), value);
        }
    }
    answer.entry("id").or_insert_with(|| node.fields.get("id").cloned().unwrap_or_default());
    Value::Object(answer)
}

fn linked(world: &World, from: &Node, field: &Field) -> Option<Value> {
    let id = match field.name.as_str() {
        "creative" => from.fields.get("creative")?.get("id")?.as_str()?,
        name => from.text(&format!("{name}_id"))?,
    };
    let to = world.nodes.get(id)?;
    Some(node(world, to, field.inner.as_deref().unwrap_or_default()))
}

/// The wanted fields of an ad account.
pub(crate) fn account(account: &Account, wanted: &[Field]) -> Value {
    let mut answer = Map::new();
    for field in wanted {
        if let Some(value) = account.fields.get(&field.name) {
            answer.insert(field.name.clone(), pick(value, field.inner.as_deref()));
        }
    }
    answer.insert("id".into(), json!(format!("act_{}", account.digits)));
    Value::Object(answer)
}

/// The wanted parts of a structured value.
fn pick(value: &Value, inner: Option<&[Field]>) -> Value {
    match (value, inner) {
        (Value::Object(fields), Some(inner)) => inner
            .iter()
            .filter_map(|field| {
                fields.get(&field.name).map(|value| (field.name.clone(), pick(value, field.inner.as_deref())))
            })
            .collect(),
        (Value::Array(items), Some(_)) => items.iter().map(|item| pick(item, inner)).collect(),
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(name: &str) -> Field {
        Field { name: name.to_owned(), inner: None }
    }

    #[test]
    fn names_nest_in_braces() {
        let nested = Field { name: "campaign".into(), inner: Some(vec![plain("id"), plain("name")]) };
        assert_eq!(parse("id, campaign{id,name},status").unwrap(), [plain("id"), nested, plain("status")]);
        assert_eq!(parse("").unwrap(), []);
        assert_eq!(parse("a{b").unwrap_err().code, 2500);
        assert_eq!(parse("a}").unwrap_err().code, 2500);
        assert_eq!(parse("adsets.limit(5){id}").unwrap_err().code, 2500);
    }

    #[test]
    fn a_wrong_name_is_reported_on_the_type_that_lacks_it() {
        let error = check(Kind::Ad, &parse("id,adset{foo}").unwrap()).unwrap_err();
        assert_eq!(error.message, "(#100) Tried accessing nonexisting field (foo) on node type (AdSet)");
    }
}
