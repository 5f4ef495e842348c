//! Fields of insights that rows can do without, because Meta removes fields for everybody at any time.

use domain::gap::Gap;
use serde::{Deserialize, Serialize};

use crate::error::Details;

/// A field whose absence leaves a measure unknown and no other number wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptionalField {
    /// Link clicks.
    InlineLinkClicks,
    /// Reach.
    Reach,
    /// Frequency.
    Frequency,
    /// The attribution setting.
    AttributionSetting,
    /// Counts of conversions.
    Actions,
    /// Values of conversions.
    ActionValues,
    /// Videos watched to their end or for 15 seconds.
    Thruplays,
}

/// A set of optional fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<OptionalField>", into = "Vec<OptionalField>")]
pub struct OptionalFields(u8);

impl OptionalField {
    const ALL: [Self; 7] = [
        Self::InlineLinkClicks,
        Self::Reach,
        Self::Frequency,
        Self::AttributionSetting,
        Self::Actions,
        Self::ActionValues,
        Self::Thruplays,
    ];

    /// Returns Meta's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::InlineLinkClicks => "inline_link_clicks",
            Self::Reach => "reach",
            Self::Frequency => "frequency",
            Self::AttributionSetting => "attribution_setting",
            Self::Actions => "actions",
            Self::ActionValues => "action_values",
            Self::Thruplays => "video_thruplay_watched_actions",
        }
    }

    /// Returns the field that an error names: "(#100) Tried accessing nonexisting field (reach) on node type …".
    pub(crate) fn named_by(details: &Details) -> Option<Self> {
        if details.code != 100 {
            return None;
        }
        let (_, named) = details.message.split_once("nonexisting field (")?;
        let (named, _) = named.split_once(')')?;
        Self::ALL.into_iter().find(|field| field.name() == named)
    }

    /// Returns the gap that it leaves.
    pub fn gap(self) -> Gap {
        let reason =
            "Meta no longer has this field; what it measures is unknown, and everything else is complete";
        Gap { field: Some(self.name().to_owned()), ..Gap::new(reason) }
    }

    fn bit(self) -> u8 {
        1 << (self as u8)
    }
}

impl OptionalFields {
    /// Adds a field. Returns whether it is new.
    pub fn insert(&mut self, field: OptionalField) -> bool {
        let is_new = self.0 & field.bit() == 0;
        self.0 |= field.bit();
        is_new
    }

    /// Returns the fields that the other set does not have.
    #[must_use]
    pub fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Iterates over the fields.
    pub fn iter(self) -> impl Iterator<Item = OptionalField> {
        OptionalField::ALL.into_iter().filter(move |field| self.0 & field.bit() != 0)
    }
}

impl From<Vec<OptionalField>> for OptionalFields {
    fn from(fields: Vec<OptionalField>) -> Self {
        let mut all = Self::default();
        for field in fields {
            all.insert(field);
        }
        all
    }
}

impl From<OptionalFields> for Vec<OptionalField> {
    fn from(fields: OptionalFields) -> Self {
        fields.iter().collect()
    }
}
