//! What a bulk change is asked to do.

use std::collections::HashSet;

use domain::FieldError;
use domain::bulk::{BulkObject, BulkObjectState};
use domain::entity::{Changes, EffectiveStatus, Entity, Level};
use domain::id::EntityId;
use domain::money::Currency;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::MAX_OBJECTS;
use crate::change::NewValues;

/// A bulk change.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct BulkDocument {
    /// What to change of which objects: 500 at most, each once.
    #[cfg_attr(feature = "describe", schemars(length(min = 1, max = MAX_OBJECTS)))]
    changes: Vec<ChangeOfMany>,
}

/// The same change of several objects of a level.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
struct ChangeOfMany {
    /// Campaigns, ad sets or ads.
    level: BulkLevel,
    /// Which ones.
    #[cfg_attr(feature = "describe", schemars(length(min = 1, max = MAX_OBJECTS)))]
    ids: Vec<EntityId>,
    /// What to set.
    set: NewValues,
}

/// A level that has something to change.
#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
enum BulkLevel {
    Campaign,
    AdSet,
    Ad,
}

impl From<BulkLevel> for Level {
    fn from(level: BulkLevel) -> Self {
        match level {
            BulkLevel::Campaign => Self::Campaign,
            BulkLevel::AdSet => Self::AdSet,
            BulkLevel::Ad => Self::Ad,
        }
    }
}

impl BulkDocument {
    /// Returns every mistake that can be found without the objects.
    pub(super) fn check(&self, currency: Currency, zone: &TimeZone) -> Vec<FieldError> {
        let mut mistakes = Vec::new();
        let count: usize = self.changes.iter().map(|change| change.ids.len()).sum();
        if !(1..=MAX_OBJECTS).contains(&count) {
            mistakes.push(FieldError::new(
                "changes",
                format!("must name 1 to {MAX_OBJECTS} objects, not {count}"),
            ));
        }
        let mut seen = HashSet::new();
        for (number, ChangeOfMany { level, ids, set }) in self.changes.iter().enumerate() {
            for (place, id) in ids.iter().enumerate() {
                if !seen.insert((Level::from(*level), id)) {
                    let field = format!("changes[{number}].ids[{place}]");
                    mistakes.push(FieldError::new(field, "is named twice"));
                }
            }
            for FieldError { field, message } in set.check(currency, zone) {
                let field = if field.is_empty() { field } else { format!(".{field}") };
                mistakes.push(FieldError::new(format!("changes[{number}].set{field}"), message));
            }
        }
        mistakes
    }

    /// Returns the ids of a level.
    pub(super) fn ids(&self, level: Level) -> Vec<EntityId> {
        let of_level = self.changes.iter().filter(|change| Level::from(change.level) == level);
        of_level.flat_map(|change| change.ids.iter().cloned()).take(MAX_OBJECTS).collect()
    }

    /// Returns the objects of a level of which something is set that the table does not have.
    pub(super) fn ids_to_read(&self, level: Level) -> Vec<EntityId> {
        let of_level = self.changes.iter().filter(|change| Level::from(change.level) == level);
        let read = of_level.filter(|change| change.set.sets_content());
        read.flat_map(|change| change.ids.iter().cloned()).take(MAX_OBJECTS).collect()
    }

    /// Returns the objects with their values before and after, and adds what is wrong with any.
    pub(super) fn objects<'a>(
        &self,
        known: impl Fn(Level, &EntityId) -> Option<&'a Entity>,
        (zone, now): (&TimeZone, Timestamp),
        mistakes: &mut Vec<FieldError>,
    ) -> Vec<BulkObject> {
        let mut objects = Vec::new();
        for (number, ChangeOfMany { level, ids, set }) in self.changes.iter().enumerate() {
            let level = Level::from(*level);
            // Values that are wrong by themselves say nothing about an object.
            let set_field = format!("changes[{number}].set");
            let is_wrong = mistakes.iter().any(|mistake| mistake.field.starts_with(&set_field));
            for (place, id) in ids.iter().enumerate().take(MAX_OBJECTS) {
                let field = format!("changes[{number}].ids[{place}]");
                let Some(entity) = known(level, id) else {
                    let message = format!("{level} {id} is not known in this ad account");
                    mistakes.push(FieldError::new(field, message));
                    continue;
                };
                if is_wrong {
                    continue;
                }
                match set.changes(entity, zone, now) {
                    Ok(after) if is_refused(entity, &after) => {
                        let message = format!("{level} {id} is archived: only its name can be changed");
                        mistakes.push(FieldError::new(field, message));
                    }
                    Ok(after) => objects.push(BulkObject {
                        level,
                        id: id.clone(),
                        name: entity.name.clone(),
                        before: after.values_of(entity),
                        after,
                        state: BulkObjectState::Pending,
                        held_up: false,
                        reason: None,
                    }),
                    Err(found) => {
                        let at = |(of, message): (&str, String)| {
                            FieldError::new(field.clone(), format!("{of} of {level} {id} {message}"))
                        };
                        mistakes.extend(found.into_iter().map(at));
                    }
                }
            }
        }
        objects
    }
}

/// Returns whether something is to be set that an archived object keeps. Source: Marketing API, "Manage Your Ad Object's
/// Status".
fn is_refused(entity: &Entity, after: &Changes) -> bool {
    let Changes { name, status, .. } = after.clone();
    entity.effective_status == Some(EffectiveStatus::Archived)
        && *after != Changes { name, status, ..Changes::default() }
}
