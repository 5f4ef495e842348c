//! Minimum daily budgets, and a campaign's budget that moves to its ad sets and back.

use std::collections::BTreeMap;

use domain::FieldError;
use domain::budget::{AdSetBudget, Budget, BudgetLevel, editable};
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
pub fn check_move(campaign: &Entity, ad_sets: &[Entity], to: &BudgetLevel) -> Vec<FieldError> {
    let stays = |field: &str, whose: &str| {
        vec![FieldError::new(field, format!("must be absent: it is {whose} already, and PATCH changes it"))]
    };
    match (Budget::of(campaign), to) {
        (None, BudgetLevel::Campaign { budget, bid_strategy }) => {
            check_up(ad_sets, *budget, bid_strategy.as_deref())
        }
        (Some(before), BudgetLevel::AdSets(budgets)) => check_down(ad_sets, before, budgets),
        (Some(_), BudgetLevel::Campaign { budget, .. }) => stays(budget.field(), "the campaign's"),
        (None, BudgetLevel::AdSets(_)) => stays("ad_sets", "the ad sets'"),
    }
}

fn keeps_kind(has: Budget, who: &str) -> String {
    format!("must be a {}, as {who} has: Meta keeps the kind of a budget", has.field())
}

/// Checks a move from the ad sets to the campaign.
fn check_up(ad_sets: &[Entity], budget: Budget, bid_strategy: Option<&str>) -> Vec<FieldError> {
    let mut found = Vec::new();
    let budgets = || editable(ad_sets).filter_map(|ad_set| Some((&ad_set.id, Budget::of(ad_set)?)));
    let like = budgets().find(|(_, other)| other.is_like(budget));
    match (like, budgets().find(|(_, other)| !other.is_like(budget))) {
        (Some((one, _)), Some((other, _))) => {
            let message = format!("must be absent: ad sets {one} and {other} have budgets of both kinds");
            found.push(FieldError::new(budget.field(), message));
        }
        (None, Some((id, other))) => {
            found.push(FieldError::new(budget.field(), keeps_kind(other, &format!("ad set {id}"))));
        }
        (_, None) => {}
    }
    let Some(strategy) = bid_strategy else {
        let message = "must be there: no bid strategy is that of all its ad sets";
        found.push(FieldError::new("bid_strategy", message));
        return found;
    };
    if !STRATEGIES.contains(&strategy) {
        let message = format!("must be one of {}", STRATEGIES.join(", "));
        found.push(FieldError::new("bid_strategy", message));
    }
    let bids_otherwise = |ad_set: &&Entity| {
        needs_bid(strategy) != ad_set.bid_amount.is_some()
            || needs_roas(strategy) != ad_set.min_roas.is_some()
    };
    if let Some(ad_set) = editable(ad_sets).find(bids_otherwise) {
        let message = format!("must take the amounts that ad set {} bids with", ad_set.id);
        found.push(FieldError::new("bid_strategy", message));
    }
    found
}

/// Checks a move from the campaign to the ad sets.
fn check_down(ad_sets: &[Entity], before: Budget, budgets: &[AdSetBudget]) -> Vec<FieldError> {
    let mut found = Vec::new();
    if ad_sets.len() > MAX_AD_SETS {
        let message =
            format!("must be absent: Meta moves no budget of a campaign with over {MAX_AD_SETS} ad sets");
        return vec![FieldError::new("ad_sets", message)];
    }
    let mut left: BTreeMap<&EntityId, &Entity> = ad_sets.iter().map(|ad_set| (&ad_set.id, ad_set)).collect();
    for (number, AdSetBudget { id, budget }) in budgets.iter().enumerate() {
        let at = |field: &str| format!("ad_sets[{number}].{field}");
        let ad_set = left.remove(id);
        if ad_set.is_none() {
            found.push(FieldError::new(at("id"), "must be an ad set of the campaign, once"));
        }
        if !budget.is_like(before) {
            found.push(FieldError::new(at(budget.field()), keeps_kind(before, "the campaign")));
        } else if matches!(budget, Budget::Lifetime(_)) && ad_set.is_some_and(|ad_set| ad_set.end.is_none()) {
            let message = format!("needs an end of ad set {id}: PATCH its end before");
            found.push(FieldError::new(at(budget.field()), message));
        }
    }
    if !left.is_empty() {
        let left: Vec<&str> = left.into_keys().map(EntityId::as_str).collect();
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

    /// Moves the budget of a campaign. It names targets, but Meta may refuse a repetition of what it has done.
    pub async fn move_budget(&self, campaign: &EntityId, to: &BudgetLevel) -> Result<(), GraphError> {
        let (amount, budgets);
        let form: Vec<(&str, &str)> = match to {
            BudgetLevel::Campaign { budget, bid_strategy } => {
                amount = budget.amount().to_string();
                let strategy = bid_strategy.iter().map(|strategy| ("bid_strategy", strategy.as_str()));
                [(budget.field(), amount.as_str())].into_iter().chain(strategy).collect()
            }
            BudgetLevel::AdSets(ad_sets) => {
                let of_ad_set = |AdSetBudget { id, budget }: &AdSetBudget| json!({"adset_id": id, budget.field(): budget.amount()});
                budgets = ad_sets.iter().map(of_ad_set).collect::<Value>().to_string();
                // Otherwise they might lend each other up to a fifth.
                vec![("adset_budgets", budgets.as_str()), ("is_adset_budget_sharing_enabled", "false")]
            }
        };
        self.update(campaign.as_str(), &form).await
    }
}

#[cfg(test)]
mod tests {
    use std::slice;

    use domain::entity::{Level, Status};

    use super::*;

    fn entity(level: Level, id: &str, daily: Option<i64>) -> Entity {
        Entity { daily_budget: daily, ..Entity::new(level, id.parse().unwrap()) }
    }

    fn ad_set(id: &str, daily: Option<i64>) -> Entity {
        entity(Level::AdSet, id, daily)
    }

    fn fields(found: Vec<FieldError>) -> Vec<String> {
        found.into_iter().map(|error| error.field).collect()
    }

    #[test]
    fn a_campaign_takes_over_what_its_ad_sets_have_in_common() {
        let campaign = entity(Level::Campaign, "1", None);
        let up = |ad_sets: &[Entity], strategy: Option<&str>| {
            let bid_strategy = strategy.map(str::to_owned);
            let to = BudgetLevel::Campaign { budget: Budget::Daily(900), bid_strategy };
            fields(check_move(&campaign, ad_sets, &to))
        };
        let none = Some("LOWEST_COST_WITHOUT_CAP");
        let lifetime = Entity { lifetime_budget: Some(5), ..ad_set("4", None) };
        let capped = Entity { bid_amount: Some(5), ..ad_set("5", Some(1)) };
        let archived = Entity { status: Some(Status::Archived), ..capped.clone() };
        let one = ad_set("2", Some(1));
        assert!(up(&[one.clone(), archived], none).is_empty());
        assert_eq!(up(&[one.clone(), lifetime], none), ["daily_budget"]);
        assert_eq!(up(&[one.clone(), capped.clone()], none), ["bid_strategy"]);
        assert!(up(&[capped], Some("COST_CAP")).is_empty());
        assert_eq!(up(slice::from_ref(&one), None), ["bid_strategy"]);
        assert_eq!(up(slice::from_ref(&one), Some("CHEAP")), ["bid_strategy"]);
        let stays = BudgetLevel::AdSets(vec![AdSetBudget { id: one.id.clone(), budget: Budget::Daily(9) }]);
        assert_eq!(fields(check_move(&campaign, &[one], &stays)), ["ad_sets"]);
    }

    #[test]
    fn every_ad_set_gets_a_budget_of_the_kind_that_the_campaign_has() {
        let down = |campaign: &Entity, ad_sets: &[Entity], budgets: &[(&str, Budget)]| {
            let budgets =
                budgets.iter().map(|(id, budget)| AdSetBudget { id: id.parse().unwrap(), budget: *budget });
            fields(check_move(campaign, ad_sets, &BudgetLevel::AdSets(budgets.collect())))
        };
        let daily = entity(Level::Campaign, "1", Some(900));
        let ad_sets = [ad_set("2", None), ad_set("3", None)];
        let budget = Budget::Daily(500);
        assert!(down(&daily, &ad_sets, &[("3", budget), ("2", budget)]).is_empty());
        assert_eq!(down(&daily, &ad_sets, &[("2", budget)]), ["ad_sets"]);
        assert_eq!(down(&daily, &ad_sets, &[("2", budget), ("3", budget), ("3", budget)]), ["ad_sets[2].id"]);
        let other = Budget::Lifetime(500);
        assert_eq!(down(&daily, &ad_sets[..1], &[("2", other)]), ["ad_sets[0].lifetime_budget"]);
        let lifetime = Entity { lifetime_budget: Some(900), ..entity(Level::Campaign, "1", None) };
        assert_eq!(down(&lifetime, &ad_sets[..1], &[("2", other)]), ["ad_sets[0].lifetime_budget"]);
        let ends = Entity { end: Some(jiff::Timestamp::MAX), ..ad_set("2", None) };
        assert!(down(&lifetime, &[ends], &[("2", other)]).is_empty());
        let many: Vec<Entity> = (0..=MAX_AD_SETS).map(|number| ad_set(&number.to_string(), None)).collect();
        assert_eq!(down(&daily, &many, &[]), ["ad_sets"]);
        let stays = BudgetLevel::Campaign { budget: Budget::Daily(800), bid_strategy: None };
        assert_eq!(fields(check_move(&daily, &ad_sets, &stays)), ["daily_budget"]);
    }
}
