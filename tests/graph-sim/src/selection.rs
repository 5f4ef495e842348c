//! The `fields` parameter: the requested fields and edges of an object.

use std::collections::BTreeMap;
use std::fmt;

use crate::error::GraphError;

/// One name in `fields`: `name`, `name{inner,…}` or `edge.limit(5).after(x){inner,…}`.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) modifiers: BTreeMap<String, String>,
    pub(crate) inner: Option<Vec<Self>>,
}

/// Parses `a,b{c,d}`, or a JSON array of names, which some clients send.
pub(crate) fn parse(text: &str) -> Result<Vec<Field>, GraphError> {
    if let Some(names) = text.trim_start().starts_with('[').then(|| serde_json::from_str::<Vec<String>>(text))
    {
        return parse(&names.map_err(|_| syntax(text))?.join(","));
    }
    let mut rest = text;
    let fields = list(&mut rest)?;
    if rest.is_empty() { Ok(fields) } else { Err(syntax(text)) }
}

/// Writes a selection in the syntax it is parsed from, without blanks and empty names.
pub(crate) fn write(fields: &[Field]) -> String {
    fields.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        for (name, value) in &self.modifiers {
            write!(f, ".{name}({value})")?;
        }
        match &self.inner {
            Some(inner) => write!(f, "{{{}}}", write(inner)),
            None => Ok(()),
        }
    }
}

fn list(rest: &mut &str) -> Result<Vec<Field>, GraphError> {
    let mut fields = Vec::new();
    loop {
        let name = word(rest);
        let modifiers = modifiers(rest)?;
        let mut inner = None;
        if let Some(after) = rest.strip_prefix('{') {
            *rest = after;
            inner = Some(list(rest)?);
            *rest = rest.strip_prefix('}').ok_or_else(|| syntax(rest))?.trim_start();
        }
        if !name.is_empty() {
            fields.push(Field { name: name.to_owned(), modifiers, inner });
        } else if inner.is_some() || !modifiers.is_empty() {
            return Err(syntax(rest));
        }
        match rest.strip_prefix(',') {
            Some(after) => *rest = after,
            None => return Ok(fields),
        }
    }
}

fn word<'a>(rest: &mut &'a str) -> &'a str {
    let text = rest.trim_start();
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    let (word, after) = text.split_at(end);
    *rest = after.trim_start();
    word
}

/// Parses `.limit(5).filtering([{"field":"id",…}])`.
fn modifiers(rest: &mut &str) -> Result<BTreeMap<String, String>, GraphError> {
    let mut modifiers = BTreeMap::new();
    while let Some(after) = rest.strip_prefix('.') {
        *rest = after;
        let name = word(rest);
        let value = rest.strip_prefix('(').ok_or_else(|| syntax(rest))?;
        let end = closing(value).filter(|_| !name.is_empty()).ok_or_else(|| syntax(rest))?;
        modifiers.insert(name.to_owned(), value[..end].trim().to_owned());
        *rest = value[end + 1..].trim_start();
    }
    Ok(modifiers)
}

/// Returns the index of the bracket that closes one opened before the text; quoted brackets are skipped.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quoted, mut escaped) = (0_u32, false, false);
    for (index, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' => depth += 1,
            ')' if depth == 0 => return Some(index),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn syntax(text: &str) -> GraphError {
    GraphError::new(2500, format!("Syntax error in the field list near: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(name: &str) -> Field {
        Field { name: name.to_owned(), ..Field::default() }
    }

    #[test]
    fn names_nest_in_braces() {
        let nested = Field { inner: Some(vec![plain("id"), plain("name")]), ..plain("campaign") };
        assert_eq!(parse("id, campaign{id,name},status").unwrap(), [plain("id"), nested, plain("status")]);
        assert_eq!(parse("[\"id\",\"name\"]").unwrap(), [plain("id"), plain("name")]);
        assert_eq!(parse("").unwrap(), []);
        for wrong in ["a{b", "a}", "a.limit", "a.limit(5", "a.(5)", ".limit(5)", "{a}", "[1]"] {
            assert_eq!(parse(wrong).unwrap_err().code, 2500, "{wrong}");
        }
    }

    #[test]
    fn edges_carry_parameters() {
        let text = "id,ads.filtering([{\"field\":\"name\",\"value\":\":) (\"}]).limit(2){id,creative{id}}";
        let fields = parse(text).unwrap();
        assert_eq!(fields[1].modifiers["limit"], "2");
        assert_eq!(fields[1].modifiers["filtering"], "[{\"field\":\"name\",\"value\":\":) (\"}]");
        assert_eq!(write(&fields), text);
    }
}
