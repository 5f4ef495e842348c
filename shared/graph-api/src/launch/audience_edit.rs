//! New values of who sees the ads of an ad set that exists, and where.

use std::collections::{BTreeMap, BTreeSet};

use domain::FieldError;
use domain::money::Currency;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::audience::{ADVANTAGE_AUDIENCE, Audience, COUNTRIES, Placements};
use super::findings::Findings;
use crate::targeting::canonical;

/// An [`Audience`] of which only what is named counts: an empty list, or `null`, takes a value away.
#[derive(Debug, Clone)]
pub struct AudienceEdit {
    audience: Audience,
    named: BTreeSet<String>,
}

impl<'de> Deserialize<'de> for AudienceEdit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = Map::deserialize(deserializer)?;
        let named = fields.keys().cloned().collect();
        let audience =
            serde_path_to_error::deserialize(Value::from(fields)).map_err(serde::de::Error::custom)?;
        Ok(Self { audience, named })
    }
}

/// New values of the targeting of an ad set; what is absent stays.
#[derive(Debug, Clone, Copy)]
pub struct TargetingEdit<'a> {
    /// Two-letter codes.
    pub countries: Option<&'a [String]>,
    /// Who sees the ads there.
    pub audience: Option<&'a AudienceEdit>,
    /// Whether Meta may look beyond the audience.
    pub advantage_audience: Option<bool>,
    /// Where the ads appear; wherever Meta expects most when it is taken away.
    pub placements: Option<Option<&'a Placements>>,
}

impl TargetingEdit<'_> {
    /// Returns whether anything is to be changed.
    pub fn is_empty(&self) -> bool {
        let Self { countries, audience, advantage_audience, placements } = self;
        countries.is_none() && audience.is_none() && advantage_audience.is_none() && placements.is_none()
    }

    /// Returns every mistake that can be found without the ad set.
    pub fn check(&self, currency: Currency) -> Vec<FieldError> {
        let mut found = Findings::new(currency);
        if let Some(countries) = self.countries {
            found.require_countries(countries, "countries");
            found.require_short(countries.len(), "countries");
        }
        if let Some(AudienceEdit { audience, named }) = self.audience {
            found.require(!named.is_empty(), "audience", "must name what is to be changed");
            audience.check_values("audience", &mut found);
        }
        if let Some(placements) = self.placements.flatten() {
            placements.check("placements", &mut found);
        }
        found.into_errors()
    }

    /// Returns the values to set, by their paths in Meta's `targeting`.
    pub fn values(&self) -> BTreeMap<String, Value> {
        let countries = self.countries.map(|countries| (COUNTRIES, json!(countries)));
        let advantage = self.advantage_audience.map(|is_on| (ADVANTAGE_AUDIENCE, json!(u8::from(is_on))));
        let audience = self.audience.iter().flat_map(|AudienceEdit { audience, named }| {
            let named = audience.values().into_iter().filter(|(field, ..)| named.contains(*field));
            named.map(|(_, path, value)| (path, value))
        });
        let everywhere = Placements::default();
        let placed =
            self.placements.map(|placements| placements.unwrap_or(&everywhere).values().collect::<Vec<_>>());
        let values =
            countries.into_iter().chain(advantage).chain(audience).chain(placed.into_iter().flatten());
        values.map(|(path, value)| (path.to_owned(), canonical(path, &value))).collect()
    }
}
