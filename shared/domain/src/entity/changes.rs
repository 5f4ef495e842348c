//! Values to set on an entity.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::{Content, Entity, Status};

/// Values to set on an entity; absent values stay unchanged. Where `None` can be set, the value is taken away.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// The new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The new status: active, paused or archived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// The new daily budget in minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily_budget: Option<i64>,
    /// The new lifetime budget in minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime_budget: Option<i64>,
    /// What a campaign may spend in all from now on, in minor units.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub spend_cap: Option<Option<i64>>,
    /// The new bid strategy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bid_strategy: Option<String>,
    /// The new bid of an ad set, in minor units.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub bid_amount: Option<Option<i64>>,
    /// The new least return on ad spend of an ad set.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub min_roas: Option<Option<Decimal>>,
    /// The new start of an ad set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// The new end of an ad set.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub end: Option<Option<Timestamp>>,
    /// What an ad's links bring along from now on.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub url_tags: Option<Option<String>>,
    /// The platform's id of the creative that an ad shows from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creative_id: Option<String>,
    /// Whom an ad set reaches from now on and where, by the platform's names of it; null takes a value away.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub targeting: BTreeMap<String, Value>,
}

/// Deserializes a value that is there, which `null` is too.
pub fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl Changes {
    /// Returns what an entity has of the values that these set.
    pub fn values_of(&self, entity: &Entity) -> Self {
        let Content { creative_id, url_tags, targeting } = &entity.content;
        let shown = |name: &String| targeting.get(name).cloned().unwrap_or_default();
        Self {
            name: self.name.as_ref().and(entity.name.clone()),
            status: self.status.as_ref().and(entity.status.clone()),
            daily_budget: self.daily_budget.and(entity.daily_budget),
            lifetime_budget: self.lifetime_budget.and(entity.lifetime_budget),
            spend_cap: self.spend_cap.map(|_| entity.spend_cap),
            bid_strategy: self.bid_strategy.as_ref().and(entity.bid_strategy.clone()),
            bid_amount: self.bid_amount.map(|_| entity.bid_amount),
            min_roas: self.min_roas.map(|_| entity.min_roas),
            start: self.start.and(entity.start),
            end: self.end.map(|_| entity.end),
            url_tags: self.url_tags.as_ref().map(|_| url_tags.clone()),
            creative_id: self.creative_id.as_ref().and(creative_id.clone()),
            targeting: self.targeting.keys().map(|name| (name.clone(), shown(name))).collect(),
        }
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn set<T: fmt::Display>(what: &str, value: Option<T>) -> Option<String> {
            value.map(|value| format!("{what} {value}"))
        }
        fn set_or_not<T: fmt::Display>(what: &str, value: Option<Option<T>>) -> Option<String> {
            value.map(|value| value.map_or_else(|| format!("no {what}"), |value| format!("{what} {value}")))
        }
        let values = [
            set("name", self.name.as_ref()),
            set("status", self.status.as_ref().map(Status::as_str)),
            set("daily budget", self.daily_budget),
            set("lifetime budget", self.lifetime_budget),
            set_or_not("spend cap", self.spend_cap),
            set("bid strategy", self.bid_strategy.as_ref()),
            set_or_not("bid", self.bid_amount),
            set_or_not("least ROAS", self.min_roas),
            set("start", self.start),
            set_or_not("end", self.end),
            set_or_not("URL parameters", self.url_tags.as_ref().map(Option::as_ref)),
            set("creative", self.creative_id.as_ref()),
        ];
        let targeting = self.targeting.iter().map(|(name, value)| format!("{name} {value}"));
        let values: Vec<_> = values.into_iter().flatten().chain(targeting).collect();
        f.write_str(if values.is_empty() { "nothing" } else { "" })?;
        f.write_str(&values.join(", "))
    }
}
