//! Minimum budgets, and budgets that move.

use domain::budget::{AdSetBudget, Budget, BudgetLevel};
use domain::entity::{Entity, Level};
use graph_api::budget::check_move;

use crate::support::Meta;

#[tokio::test]
async fn the_least_budget_is_that_of_the_account_s_own_currency() {
    let meta = Meta::start().await;
    let least = |currency: &str| {
        let (caller, account, currency) = (meta.caller(), meta.account(), currency.parse().unwrap());
        async move { caller.minimum_budget(&account, currency).await.unwrap() }
    };
    let (singapore, japan) = (least("SGD").await.unwrap(), least("JPY").await.unwrap());
    assert_eq!((singapore.currency.code(), singapore.impressions), ("SGD", 100));
    assert!(
        singapore.low_frequency > singapore.high_frequency
            && singapore.high_frequency > singapore.impressions
    );
    assert_eq!(japan.impressions, 100);
    assert!(least("XXX").await.is_none());
}

#[tokio::test]
async fn a_campaign_s_budget_moves_to_its_ad_sets() {
    let meta = Meta::start().await;
    let (caller, account) = (meta.caller(), meta.account());
    let all = |level| {
        let pages = caller.entities(&account, level);
        async move {
            pages.all().await.unwrap().into_iter().map(move |row| row.into_entity(level)).collect::<Vec<_>>()
        }
    };
    let campaigns = all(Level::Campaign).await;
    let campaign = campaigns.iter().find(|campaign| campaign.daily_budget.is_some()).unwrap();
    let is_below = |ad_set: &Entity| ad_set.campaign_id.as_ref() == Some(&campaign.id);
    let ad_sets: Vec<Entity> = all(Level::AdSet).await.into_iter().filter(is_below).collect();
    let to = BudgetLevel::AdSets(
        ad_sets
            .iter()
            .map(|ad_set| AdSetBudget { id: ad_set.id.clone(), budget: Budget::Daily(2_000) })
            .collect(),
    );
    assert_eq!(check_move(campaign, &ad_sets, &to), []);
    caller.move_budget(&campaign.id, &to).await.unwrap();
    let campaign = caller.entity(Level::Campaign, &campaign.id).await.unwrap();
    let ad_sets: Vec<Entity> = all(Level::AdSet).await.into_iter().filter(is_below).collect();
    assert_eq!(BudgetLevel::of(&campaign, &ad_sets), to.sorted());
}
