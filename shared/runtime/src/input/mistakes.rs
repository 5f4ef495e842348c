//! Finds every mistake of an input, where serde ends at the first.
//!
//! After a mistake the value is mended at that place and read again: what is wrong is left out, or, where something must
//! be there, replaced by an empty value. What is said of a mended place, or of what holds one, would be about the
//! mending, and ends the search.

use domain::FieldError;
use serde::de::DeserializeOwned;

use super::value::{InputError, Value};

/// Mistakes that are reported at once, at most.
const MAX_MISTAKES: usize = 50;

/// Deserializes a value. `whole` is the name of a mistake that belongs to no field.
pub(super) fn deserialize<T: DeserializeOwned>(mut value: Value, whole: &str) -> Result<T, Vec<FieldError>> {
    let first = match T::deserialize(value.clone()) {
        Ok(read) => return Ok(read),
        Err(error) => error,
    };
    let mut mistakes: Vec<InputError> = Vec::new();
    // Objects and lists that were given up: what is said of them is about the mending.
    let mut closed: Vec<String> = Vec::new();
    let mut next = Some(first);
    while let Some(error) = next.take().filter(|_| mistakes.len() < MAX_MISTAKES) {
        let place = error.field.clone();
        let known = mistakes.iter().map(|known| &known.field).chain(&closed);
        let is_new = known.into_iter().all(|known| !overlap(known, &place));
        if is_new {
            mistakes.push(error);
        }
        if !mend(&mut value, &place, is_new) {
            let Some(outer) = give_up(&mut value, &place) else { break };
            closed.push(outer);
        }
        next = T::deserialize(value.clone()).err();
    }
    Err(mistakes.into_iter().map(|error| error.into_field_error(whole)).collect())
}

/// Leaves out what is wrong at a place, or puts an empty value where something must be. Returns whether that could be
/// done.
fn mend(value: &mut Value, place: &str, is_new: bool) -> bool {
    match value.at(place) {
        Some(absent @ Value::Absent) => *absent = Value::Any,
        Some(wrong) if is_new && !place.is_empty() => *wrong = Value::Absent,
        _ => return false,
    }
    true
}

/// Leaves out the innermost object or list around a place that cannot be mended, so that the rest is looked at. Returns
/// where it is.
fn give_up(value: &mut Value, place: &str) -> Option<String> {
    let mut outer = place;
    loop {
        outer = outer.get(..outer.rfind(['.', '['])?)?;
        if let Some(whole @ (Value::Object(_) | Value::List(_))) = value.at(outer) {
            *whole = Value::Absent;
            return Some(outer.to_owned());
        }
    }
}

/// Whether one place is the other, or lies within it.
fn overlap(a: &str, b: &str) -> bool {
    let within = |outer: &str, inner: &str| {
        inner
            .strip_prefix(outer)
            .is_some_and(|rest| rest.is_empty() || outer.is_empty() || rest.starts_with(['.', '[']))
    };
    within(a, b) || within(b, a)
}
