//! `filtering`: the objects and rows that an insights call requests.

use std::collections::HashMap;

use rust_decimal::Decimal;
use serde_json::Value;

use super::dimensions::Dimensions;
use super::query::Level;
use crate::error::{GraphError, invalid};
use crate::facts::AdRef;
use crate::fields;
use crate::filter::{Filter, filters};
use crate::params::Params;
use crate::world::World;

/// All entries of `filtering`.
#[derive(Clone, Debug, Default)]
pub(crate) struct InsightsFilter {
    /// Filters on objects, by level.
    objects: Vec<(Level, Filter)>,
    /// Filters on the rows' measures.
    rows: Vec<Filter>,
    /// Action types.
    pub(crate) actions: Option<Vec<String>>,
    given: bool,
}

impl InsightsFilter {
    /// Reads `filtering`.
    pub(crate) fn read(params: Params<'_>) -> Result<Self, GraphError> {
        let all = filters(params)?;
        let mut filter_set = Self { given: !all.is_empty(), ..Self::default() };
        for filter in all {
            filter_set.add(filter)?;
        }
        Ok(filter_set)
    }

    fn add(&mut self, mut filter: Filter) -> Result<(), GraphError> {
        let (level, name) = match filter.field.split_once('.') {
            Some(("campaign", name)) => (Level::Campaign, name),
            Some(("adset", name)) => (Level::AdSet, name),
            Some(("ad", name)) => (Level::Ad, name),
            _ => (Level::Account, filter.field.as_str()),
        };
        let of_object = ["id", "name", "effective_status", "configured_status", "objective", "buying_type"]
            .contains(&name)
            && level > Level::Account;
        if !filter.is_valid() || !(of_object || name == "action_type" || fields::exists_in_insights(name)) {
            return Err(invalid(format!(
                "Filtering field {} with operation {} is not supported",
                filter.field, filter.operator
            )));
        }
        filter.field = name.to_owned();
        match (of_object, filter.field.as_str()) {
            (true, _) => self.objects.push((level, filter)),
            (false, "action_type") => self.actions = Some(filter.values()?),
            _ => self.rows.push(filter),
        }
        Ok(())
    }

    /// Returns those of the ads whose numbers count.
    pub(crate) fn ads(&self, dimensions: &Dimensions<'_>, mut ads: Vec<usize>) -> Vec<usize> {
        let Dimensions { world, account, level } = *dimensions;
        let mut answers = HashMap::new();
        for (level, filter) in &self.objects {
            answers.clear();
            ads.retain(|ad| {
                let id = object(&account.facts.ads[*ad], *level);
                let holds = || filter.matches(text(world, id, &filter.field).as_ref());
                *answers.entry(id).or_insert_with(holds)
            });
        }
        // "With any filtering" Meta includes active objects only, unless the filter is on the status itself.
        let says_status = |(_, filter): &(Level, Filter)| filter.field == "effective_status";
        if self.given && !self.objects.iter().any(says_status) {
            let level = level.max(Level::Campaign);
            answers.clear();
            ads.retain(|ad| {
                let id = object(&account.facts.ads[*ad], level);
                let active = || text(world, id, "effective_status") == Some(Value::from("ACTIVE"));
                *answers.entry(id).or_insert_with(active)
            });
        }
        ads
    }

    /// Returns whether rows must be checked one by one.
    pub(crate) fn filters_measures(&self) -> bool {
        !self.rows.is_empty()
    }

    /// Returns whether a row with these measures passes the filters.
    pub(crate) fn wants(&self, measure: impl Fn(&str) -> Option<Decimal>) -> bool {
        self.rows.iter().all(|filter| {
            let found = measure(&filter.field).map(|number| Value::from(number.to_string()));
            found.is_some() && filter.matches(found.as_ref())
        })
    }
}

/// Returns the id of an ad, or of its ad set or campaign.
fn object(ad: &AdRef, level: Level) -> &str {
    match level {
        Level::Account => "",
        Level::Campaign => &ad.campaign,
        Level::AdSet => &ad.adset,
        Level::Ad => &ad.ad,
    }
}

fn text(world: &World, id: &str, field: &str) -> Option<Value> {
    match (world.nodes.get(id), field) {
        (_, "id") => Some(Value::from(id)),
        (Some(node), "effective_status") => Some(Value::from(world.effective_status(node))),
        (Some(node), "configured_status") => Some(Value::from(node.configured_status())),
        (Some(node), field) => node.fields.get(field).cloned(),
        (None, _) => None,
    }
}
