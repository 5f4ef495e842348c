//! Minimum daily budgets, and a campaign's budget that moves to its ad sets and back.

use std::collections::BTreeSet;

use domain::FieldError;
use domain::budget::{Budget, BudgetPlace, alive};
use domain::entity::Entity;
use domain::id::{AdAccountId, EntityId};
use domain::money::Currency;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::UserClient;
use crate::error::GraphError;
use crate::launch::{STRATEGIES, needs_bid, needs_roas};
use crate::page::Pages;

/// Rows per page: minimum budgets have one row per currency.
const PAGE_ROWS: u32 = 100;

const MINIMUM_BUDGET_FIELDS: &str = "currency,min_daily_budget_imp,min_daily_budget_high_freq,min_daily_budget_low_freq,\
                       min_daily_budget_video_views";

/// With more ad sets a campaign keeps its budget. Source: Marketing API, "Campaign".
const MAX_AD_SETS: usize = 70;

/// The minimum daily budgets in a currency, in minor units. They follow exchange rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct MinimumBudget {
    /// The currency.
    pub currency: Currency,
    /// The minimum when impressions are billed.
    #[serde(rename = "min_daily_budget_imp")]
    pub impressions: i64,
    /// The minimum when clicks, likes and the like are billed.
    #[serde(rename = "min_daily_budget_high_freq")]
    pub high_frequency: i64,
    /// The minimum when offers, installs and the like are billed.
    #[serde(rename = "min_daily_budget_low_freq")]
    pub low_frequency: i64,
    /// The minimum when video views are billed.
    #[serde(rename = "min_daily_budget_video_views")]
    pub video_views: i64,
}

/// Returns what Meta has against a budget's move, by what it shows of the campaign and its ad sets.
pub fn check_move(campaign: &Entity, ad_sets: &[Entity], to: &BudgetPlace) -> Vec<FieldError> {
    match (Budget::of(campaign), to) {
        (None, BudgetPlace::Campaign { budget, bid_strategy }) => check_up(ad_sets, *budget, bid_strategy),
        (Some(before), BudgetPlace::AdSets(budgets)) => check_down(ad_sets, before, budgets),
        (Some(before), BudgetPlace::Campaign { budget, bid_strategy }) => {
            let mut found = Vec::new();
            if !budget.is_like(before) {
                found.push(FieldError::new(budget.field(), keeps_kind(before, "the campaign")));
            }
            if campaign.bid_strategy.as_ref() != Some(bid_strategy) {
                let message =
                    "must be absent: the campaign holds its budget already, and PATCH changes how it bids";
                found.push(FieldError::new("bid_strategy", message));
            }
            found
        }
        (None, BudgetPlace::AdSets(_)) => {
            let message = "must be absent: the ad sets hold their budgets already, which PATCH changes";
            vec![FieldError::new("ad_sets", message)]
        }
    }
}

fn keeps_kind(has: Budget, who: &str) -> String {
    format!("must be a {}, as {who} has: Meta keeps the kind of a budget", has.field())
}

/// Checks a move from the ad sets to the campaign.
fn check_up(ad_sets: &[Entity], budget: Budget, bid_strategy: &str) -> Vec<FieldError> {
    let mut found = Vec::new();
    if let Some(other) = alive(ad_sets).filter_map(Budget::of).find(|other| !other.is_like(budget)) {
        found.push(FieldError::new(budget.field(), keeps_kind(other, "an ad set")));
    }
    if !STRATEGIES.contains(&bid_strategy) {
        let message = format!("must be one of {}", STRATEGIES.join(", "));
        found.push(FieldError::new("bid_strategy", message));
    }
    let bids_otherwise = |ad_set: &&Entity| {
        needs_bid(bid_strategy) != ad_set.bid_amount.is_some()
            || needs_roas(bid_strategy) != ad_set.min_roas.is_some()
    };
    if let Some(ad_set) = alive(ad_sets).find(bids_otherwise) {
        let message = format!("must take the amounts that ad set {} bids with", ad_set.id);
        found.push(FieldError::new("bid_strategy", message));
    }
    found
}

/// Checks a move from the campaign to the ad sets.
fn check_down(ad_sets: &[Entity], before: Budget, budgets: &[(EntityId, Budget)]) -> Vec<FieldError> {
    let mut found = Vec::new();
    let mut left: BTreeSet<&EntityId> = alive(ad_sets).map(|ad_set| &ad_set.id).collect();
    if left.len() > MAX_AD_SETS {
        let message =
            format!("must be absent: Meta moves no budget of a campaign with over {MAX_AD_SETS} ad sets");
        return vec![FieldError::new("ad_sets", message)];
    }
    for (number, (id, budget)) in budgets.iter().enumerate() {
        let at = |field: &str| format!("ad_sets[{number}].{field}");
        if !left.remove(id) {
            found.push(FieldError::new(at("id"), "must be an ad set of the campaign, once"));
        }
        if !budget.is_like(before) {
            found.push(FieldError::new(at(budget.field()), keeps_kind(before, "the campaign")));
        }
    }
    if !left.is_empty() {
        let left: Vec<&str> = left.into_iter().map(EntityId::as_str).collect();
        let message = format!("must have every ad set of the campaign, {} too", left.join(", "));
        found.push(FieldError::new("ad_sets", message));
    }
    found
}

impl UserClient {
    /// Reads the minimum daily budgets of an ad account in a currency. Meta lists every currency; `None` when this one
    /// is missing.
    pub async fn minimum_budget(
        &self,
        account: &AdAccountId,
        currency: Currency,
    ) -> Result<Option<MinimumBudget>, GraphError> {
        let query = vec![("fields", MINIMUM_BUDGET_FIELDS.to_owned())];
        let rows =
            Pages::<MinimumBudget>::new(self.clone(), format!("{account}/minimum_budgets"), query, PAGE_ROWS);
        Ok(rows.all().await?.into_iter().find(|row| row.currency == currency))
    }

    /// Moves the budget of a campaign. Idempotent, because it names targets.
    pub async fn move_budget(&self, campaign: &EntityId, to: &BudgetPlace) -> Result<(), GraphError> {
        let (amount, budgets);
        let form = match to {
            BudgetPlace::Campaign { budget, bid_strategy } => {
                amount = budget.amount().to_string();
                vec![(budget.field(), amount.as_str()), ("bid_strategy", bid_strategy.as_str())]
            }
            BudgetPlace::AdSets(ad_sets) => {
                let of_ad_set = |(id, budget): &(EntityId, Budget)| json!({"adset_id": id, budget.field(): budget.amount()});
                budgets = ad_sets.iter().map(of_ad_set).collect::<Value>().to_string();
                // Otherwise they might lend each other up to a fifth.
                vec![("adset_budgets", budgets.as_str()), ("is_adset_budget_sharing_enabled", "false")]
            }
        };
        self.update(campaign.as_str(), &form).await
    }
}
