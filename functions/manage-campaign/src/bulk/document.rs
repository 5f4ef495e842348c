//! What a bulk change is asked to do.

use std::collections::HashSet;

use domain::FieldError;
use domain::bulk::{BulkObject, BulkObjectState};
use domain::entity::{Changes, EffectiveStatus, Entity, Level};
use domain::id::EntityId;
use domain::money::{Currency, Money};
use domain::text::is_single_line;
use serde::Deserialize;

use super::MAX_OBJECTS;
use crate::change::{MAX_NAME_CHARS, NewStatus};

/// By how much a budget may be changed, in percent.
const MIN_PERCENT: i64 = -99;
const MAX_PERCENT: i64 = 1_000;

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
    set: BulkValues,
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

/// New values; what is absent stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "describe", schemars(extend("minProperties" = 1)))]
struct BulkValues {
    /// A status.
    status: Option<NewStatus>,
    /// A name.
    name: Option<NewName>,
    /// A daily budget, where an object holds one.
    daily_budget: Option<NewBudget>,
    /// A lifetime budget, where an object holds one.
    lifetime_budget: Option<NewBudget>,
}

/// A new name.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
enum NewName {
    /// This name, the same for all.
    To(
        #[cfg_attr(feature = "describe", schemars(length(max = MAX_NAME_CHARS), extend("pattern" = domain::text::SINGLE_LINE_PATTERN)))]
         String,
    ),
    /// Its own, with one text replaced by another wherever it is.
    Replace(Replacement),
    /// Its own, with a text before it.
    Prefix(#[cfg_attr(feature = "describe", schemars(length(min = 1, max = MAX_NAME_CHARS)))] String),
    /// Its own, with a text after it.
    Suffix(#[cfg_attr(feature = "describe", schemars(length(min = 1, max = MAX_NAME_CHARS)))] String),
}

/// One text for another.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
struct Replacement {
    /// The text to look for.
    #[cfg_attr(feature = "describe", schemars(length(min = 1, max = MAX_NAME_CHARS)))]
    find: String,
    /// What to put in its place.
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_NAME_CHARS)))]
    with: String,
}

/// A new budget.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
enum NewBudget {
    /// This amount.
    To(#[cfg_attr(feature = "describe", schemars(with = "domain::money::Budget"))] Money),
    /// Its own, changed by so many percent: 20 is a fifth more, -50 half of it. Rounded to the minor unit.
    ByPercent(#[cfg_attr(feature = "describe", schemars(range(min = MIN_PERCENT, max = MAX_PERCENT)))] i64),
}

impl NewBudget {
    fn check(&self, currency: Currency) -> Option<(&'static str, String)> {
        match self {
            Self::To(budget) if budget.currency != currency => {
                Some(("to.currency", format!("must be {currency}, the ad account's currency")))
            }
            Self::To(budget) if !budget.is_budget() => Some(("to.amount", Money::invalid_budget_message())),
            Self::ByPercent(percent) if *percent == 0 || !(MIN_PERCENT..=MAX_PERCENT).contains(percent) => {
                Some(("by_percent", format!("must be {MIN_PERCENT} to {MAX_PERCENT}, and not 0")))
            }
            _ => None,
        }
    }

    /// Returns the new amount in minor units.
    fn of(&self, before: i64) -> Option<i64> {
        match self {
            Self::To(budget) => Some(budget.amount),
            // Half a minor unit is rounded up.
            Self::ByPercent(percent) => {
                let hundredfold = before.checked_mul(percent.checked_add(100)?)?.checked_add(50)?;
                Some(hundredfold.div_euclid(100))
            }
        }
    }
}

impl NewName {
    /// The texts of it, each with its field and whether it may be empty.
    fn texts(&self) -> Vec<(&'static str, &str, bool)> {
        match self {
            Self::To(name) => vec![("to", name, false)],
            Self::Replace(Replacement { find, with }) => {
                vec![("replace.find", find, false), ("replace.with", with, true)]
            }
            Self::Prefix(text) => vec![("prefix", text, false)],
            Self::Suffix(text) => vec![("suffix", text, false)],
        }
    }

    fn of(&self, before: &str) -> String {
        match self {
            Self::To(name) => name.clone(),
            Self::Replace(Replacement { find, with }) => before.replace(find, with),
            Self::Prefix(text) => format!("{text}{before}"),
            Self::Suffix(text) => format!("{before}{text}"),
        }
    }
}

impl BulkDocument {
    /// Returns every mistake that can be found without the objects.
    pub(super) fn check(&self, currency: Currency) -> Vec<FieldError> {
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
            let BulkValues { status, name, daily_budget, lifetime_budget } = set;
            if status.is_none() && name.is_none() && daily_budget.is_none() && lifetime_budget.is_none() {
                let message = "must set status, name, daily_budget or lifetime_budget";
                mistakes.push(FieldError::new(format!("changes[{number}].set"), message));
            }
            for (part, text, may_be_empty) in name.iter().flat_map(NewName::texts) {
                let length = text.chars().count();
                if length > MAX_NAME_CHARS || (length == 0 && !may_be_empty) {
                    let field = format!("changes[{number}].set.name.{part}");
                    mistakes
                        .push(FieldError::new(field, format!("must have 1 to {MAX_NAME_CHARS} characters")));
                }
            }
            for (field, budget) in [("daily_budget", daily_budget), ("lifetime_budget", lifetime_budget)] {
                let found = budget.as_ref().and_then(|budget| budget.check(currency));
                let at = |(part, message)| {
                    FieldError::new(format!("changes[{number}].set.{field}.{part}"), message)
                };
                mistakes.extend(found.map(at));
            }
        }
        mistakes
    }

    /// Returns the ids of a level.
    pub(super) fn ids(&self, level: Level) -> Vec<EntityId> {
        let of_level = self.changes.iter().filter(|change| Level::from(change.level) == level);
        of_level.flat_map(|change| change.ids.iter().cloned()).take(MAX_OBJECTS).collect()
    }

    /// Returns the objects with their values before and after, and adds what is wrong with any.
    pub(super) fn objects<'a>(
        &self,
        known: impl Fn(Level, &EntityId) -> Option<&'a Entity>,
        mistakes: &mut Vec<FieldError>,
    ) -> Vec<BulkObject> {
        let mut objects = Vec::new();
        for (number, ChangeOfMany { level, ids, set }) in self.changes.iter().enumerate() {
            // A text without measure is not put into five hundred names.
            if set
                .name
                .iter()
                .flat_map(NewName::texts)
                .any(|(_, text, _)| text.chars().count() > MAX_NAME_CHARS)
            {
                continue;
            }
            let level = Level::from(*level);
            for (place, id) in ids.iter().enumerate().take(MAX_OBJECTS) {
                let field = || format!("changes[{number}].ids[{place}]");
                match known(level, id)
                    .ok_or_else(|| format!("{level} {id} is not known in this ad account"))
                    .and_then(|entity| set.object(entity))
                {
                    Ok(object) => objects.push(object),
                    Err(message) => mistakes.push(FieldError::new(field(), message)),
                }
            }
        }
        objects
    }
}

impl BulkValues {
    fn object(&self, entity: &Entity) -> Result<BulkObject, String> {
        let Entity { level, id, .. } = entity;
        let sets_budget = self.daily_budget.is_some() || self.lifetime_budget.is_some();
        // Source: Marketing API, "Manage Your Ad Object's Status": what is archived, or below that, keeps all but its name.
        if sets_budget && entity.effective_status == Some(EffectiveStatus::Archived) {
            return Err(format!("{level} {id} is archived and keeps its budget"));
        }
        let budget = |new: Option<&NewBudget>, before: Option<i64>, kind: &str| {
            let Some(new) = new else { return Ok(None) };
            let before =
                before.ok_or_else(|| format!("{level} {id} holds no {kind} budget that could be changed"))?;
            let changed = new.of(before).filter(|amount| *amount >= 1);
            changed
                .map(Some)
                .ok_or_else(|| format!("the {kind} budget of {level} {id} would be less than one minor unit"))
        };
        let name = self.name.as_ref().map(|name| name.of(entity.name.as_deref().unwrap_or_default()));
        if name.as_ref().is_some_and(|name| !is_single_line(name, MAX_NAME_CHARS)) {
            return Err(format!(
                "the name of {level} {id} would not have 1 to {MAX_NAME_CHARS} characters without control characters"
            ));
        }
        let after = Changes {
            name,
            status: self.status.map(Into::into),
            daily_budget: budget(self.daily_budget.as_ref(), entity.daily_budget, "daily")?,
            lifetime_budget: budget(self.lifetime_budget.as_ref(), entity.lifetime_budget, "lifetime")?,
        };
        Ok(BulkObject {
            level: *level,
            id: id.clone(),
            name: entity.name.clone(),
            before: after.values_of(entity),
            after,
            state: BulkObjectState::Pending,
            reason: None,
        })
    }
}
