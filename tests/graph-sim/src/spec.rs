//! Meta's specification of the Marketing API v26.0, as far as it is simulated: the fields and edges of classes, and the
//! types of parameters.
//!
//! It is read from `spec/v26.txt`, which `spec/derive.py` writes from Meta's official SDK. Each line has one of these
//! forms:
//!
//! ```text
//! enum NAME VALUE…
//! class NAME
//! field TYPE NAME…                readable fields of the class above
//! METHOD EDGE CLASS PARAMETER…    a call to an object of the class above, answered with objects of CLASS; EDGE is `-`
//!                                 for the object itself, PARAMETER is `name:type`, or `name*:type` when required
//! ```
//!
//! The specification is incomplete: rules between parameters, limits of values and many required parameters are not in
//! it.

mod check;
mod kind;

use std::collections::BTreeMap;
use std::sync::LazyLock;

pub(crate) use check::check_fields;
pub use check::validate;
use kind::Type;

/// One class of objects.
#[derive(Default)]
struct Class {
    fields: BTreeMap<&'static str, &'static str>,
    /// By method and edge.
    calls: BTreeMap<&'static str, BTreeMap<&'static str, Call>>,
}

/// One call to objects of a class.
pub(crate) struct Call {
    /// The class of the returned objects.
    pub(crate) returned: &'static str,
    params: BTreeMap<&'static str, Param>,
}

struct Param {
    required: bool,
    kind: Type,
}

#[derive(Default)]
struct Spec {
    enums: BTreeMap<&'static str, Vec<&'static str>>,
    classes: BTreeMap<&'static str, Class>,
}

static SPEC: LazyLock<Spec> = LazyLock::new(|| Spec::read(include_str!("../spec/v26.txt")));

impl Spec {
    fn read(text: &'static str) -> Self {
        let mut spec = Self::default();
        let mut class = "";
        for line in text.lines() {
            let words: Vec<&'static str> = line.split(' ').collect();
            match words.as_slice() {
                ["enum", name, values @ ..] => drop(spec.enums.insert(name, values.to_vec())),
                ["class", name] => {
                    class = name;
                    spec.classes.insert(name, Class::default());
                }
                ["field", kind, names @ ..] => {
                    let fields = &mut spec.classes.entry(class).or_default().fields;
                    fields.extend(names.iter().map(|name| (*name, *kind)));
                }
                [method @ ("GET" | "POST" | "DELETE"), edge, returned, params @ ..] => {
                    let params =
                        params.iter().filter_map(|param| param.split_once(':')).map(read_param).collect();
                    let calls = &mut spec.classes.entry(class).or_default().calls;
                    calls.entry(method).or_default().insert(edge, Call { returned, params });
                }
                _ => {}
            }
        }
        spec
    }
}

fn read_param((name, kind): (&'static str, &'static str)) -> (&'static str, Param) {
    let (name, required) = name.strip_suffix('*').map_or((name, false), |name| (name, true));
    (name, Param { required, kind: Type::read(kind) })
}

/// Returns the call to objects of a class; an empty edge means the object itself.
pub(crate) fn call(class: &str, method: &str, edge: &str) -> Option<&'static Call> {
    SPEC.classes.get(class)?.calls.get(method)?.get(if edge.is_empty() { "-" } else { edge })
}

/// Returns whether objects of a class have a readable field of this name.
pub(crate) fn has_field(class: &str, field: &str) -> bool {
    field == "id" || SPEC.classes.get(class).is_some_and(|class| class.fields.contains_key(field))
}

/// Returns the class of the object or objects in a field, if the specification has it.
pub(crate) fn field_class(class: &str, field: &str) -> Option<&'static str> {
    let held = SPEC.classes.get(class)?.fields.get(field)?;
    let held = held.strip_prefix("list<").and_then(|held| held.strip_suffix('>')).unwrap_or(held);
    SPEC.classes.contains_key(held).then_some(held)
}

fn has_class(class: &str) -> bool {
    SPEC.classes.contains_key(class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_understood_and_every_name_means_something() {
        let text = include_str!("../spec/v26.txt");
        let starts = ["enum ", "class ", "field ", "GET ", "POST ", "DELETE "];
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            assert!(starts.iter().any(|start| line.starts_with(start)), "{line}");
        }
        for (name, class) in &SPEC.classes {
            assert!(!class.fields.is_empty(), "{name}");
            for call in class.calls.values().flat_map(BTreeMap::values) {
                for (param, Param { kind, .. }) in &call.params {
                    let named = kind.enum_name().is_none_or(|name| SPEC.enums.contains_key(name));
                    assert!(named, "{name} {param}: {kind:?}");
                }
            }
        }
    }

    #[test]
    fn classes_have_their_fields_and_edges() {
        assert!(has_field("Campaign", "daily_budget") && has_field("AdsInsights", "purchase_roas"));
        assert!(!has_field("Campaign", "daily") && !has_field("Campaign", "targeting"));
        assert!(!has_field("Campaign", "execution_options"), "what can only be written is no field");
        assert_eq!(call("AdAccount", "GET", "campaigns").unwrap().returned, "Campaign");
        assert!(call("AdAccount", "GET", "").is_some() && call("AdAccount", "GET", "likes").is_none());
        assert_eq!(field_class("Ad", "adlabels"), Some("AdLabel"));
        assert_eq!(field_class("Ad", "name"), None);
    }
}
