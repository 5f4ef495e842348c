//! What is added to a campaign or ad set that exists depends on it: on its objective, its budget, where its clicks lead.

use std::collections::BTreeMap;

use domain::entity::Level;
use domain::id::EntityId;
use domain::money::{Currency, Money};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{AdSetSpec, LaunchSpec};
use crate::client::UserClient;
use crate::entities::{GraphEntity, fields};
use crate::error::{Details, GraphError};
use crate::response::{decode, decode_partly};

/// What decides beside what is read of every campaign.
const CAMPAIGN_FIELDS: &str = "special_ad_categories,special_ad_category_country";
const AD_SET_FIELDS: &str = "optimization_goal,billing_event,destination_type,promoted_object";

#[derive(Deserialize)]
struct CampaignRow {
    #[serde(default)]
    special_ad_categories: Vec<String>,
    #[serde(default)]
    special_ad_category_country: Vec<String>,
}

#[derive(Deserialize)]
struct AdSetRow {
    optimization_goal: String,
    billing_event: String,
    destination_type: Option<String>,
    promoted_object: Option<BTreeMap<String, Value>>,
}

impl UserClient {
    /// Returns what a launch document would say of a campaign that exists, without ad sets.
    pub async fn describe_campaign(
        &self,
        id: &EntityId,
        currency: Currency,
    ) -> Result<LaunchSpec, GraphError> {
        let fields = format!("{},{CAMPAIGN_FIELDS}", fields(Level::Campaign));
        let body: Box<RawValue> = self.get(id.as_str(), &[("fields", &fields)]).await?;
        let shown: CampaignRow = decode(body.get().as_bytes())?;
        let entity = decode_partly::<GraphEntity>(body.get().as_bytes())?.into_entity(Level::Campaign);
        let money = |amount: Option<i64>| amount.map(|amount| Money { amount, currency });
        let (daily_budget, lifetime_budget) = (money(entity.daily_budget), money(entity.lifetime_budget));
        let holds_budget = daily_budget.is_some() || lifetime_budget.is_some();
        describe(json!({
            "name": entity.name.unwrap_or_else(|| id.to_string()),
            "objective": entity.objective,
            "daily_budget": daily_budget,
            "lifetime_budget": lifetime_budget,
            "bid_strategy": entity.bid_strategy.filter(|_| holds_budget),
            "special_ad_categories": shown.special_ad_categories,
            "special_ad_category_countries": shown.special_ad_category_country,
        }))
    }

    /// Returns what a launch document would say of an ad set that exists, as far as its ads depend on it.
    pub async fn describe_ad_set(&self, id: &EntityId) -> Result<AdSetSpec, GraphError> {
        let shown: AdSetRow = self.get(id.as_str(), &[("fields", AD_SET_FIELDS)]).await?;
        let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let promoted: Option<BTreeMap<_, _>> = shown
            .promoted_object
            .map(|object| object.into_iter().map(|(name, value)| (name, text(value))).collect());
        describe(json!({
            "optimization_goal": shown.optimization_goal,
            "billing_event": shown.billing_event,
            "destination_type": shown.destination_type.filter(|destination| destination != "UNDEFINED"),
            "promoted_object": promoted,
        }))
    }
}

fn describe<T: serde::de::DeserializeOwned>(shown: Value) -> Result<T, GraphError> {
    let unlike = |error: serde_json::Error| {
        GraphError::InvalidInput(Details::of(format!(
            "it is unlike what a launch document describes: {error}"
        )))
    };
    serde_json::from_value(shown).map_err(unlike)
}
