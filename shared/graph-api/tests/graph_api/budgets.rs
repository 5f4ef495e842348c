//! Minimum budgets, and periods with a higher budget.

use domain::budget::{Budget, BudgetPlace};
use domain::entity::{Entity, Level};
use graph_api::GraphError;
use graph_api::budget::{BudgetIncrease, BudgetPeriod};
use graph_api::budget_place::check_move;
use jiff::SignedDuration;

use crate::support::Meta;

async fn with_budget(meta: &Meta) -> Entity {
    for level in [Level::Campaign, Level::AdSet] {
        let objects = meta.caller().entities(&meta.account(), level).all().await.unwrap();
        let mut objects = objects.into_iter().map(|object| object.into_entity(level));
        if let Some(object) = objects.find(|object| object.daily_budget.is_some()) {
            return object;
        }
    }
    panic!("nothing has a daily budget");
}

fn tomorrow(meta: &Meta, raise: BudgetIncrease) -> BudgetPeriod {
    let from = meta.clock.now() + SignedDuration::from_hours(24);
    BudgetPeriod { from, until: from + SignedDuration::from_hours(6), raise }
}

#[tokio::test]
async fn a_budget_is_higher_for_some_hours() {
    let meta = Meta::start().await;
    let caller = meta.caller();
    let owner = with_budget(&meta).await;
    let twice = tomorrow(&meta, BudgetIncrease::Multiplier(2));
    let more = tomorrow(&meta, BudgetIncrease::Amount(owner.daily_budget.unwrap()));
    let first = caller.add_budget_period(&owner, &twice).await.unwrap();
    let second = caller.add_budget_period(&owner, &more).await.unwrap();
    let periods = caller.budget_periods(&owner.id).await.unwrap();
    let period = |id| periods.iter().find(|stored| stored.id == id).unwrap().period;
    assert_eq!((period(first.clone()), period(second)), (twice, more));
    caller.remove(&first).await.unwrap();
    assert_eq!(caller.budget_periods(&owner.id).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_meta_is_known_to_refuse_is_not_asked_for() {
    let meta = Meta::start().await;
    let owner = with_budget(&meta).await;
    let before = meta.graph.calls();
    let much = tomorrow(&meta, BudgetIncrease::Multiplier(9));
    let error = meta.caller().add_budget_period(&owner, &much).await.unwrap_err();
    let GraphError::InvalidInput(details) = error else { panic!("{error:?}") };
    assert_eq!(details.blamed_fields, ["raise"]);
    assert_eq!(meta.graph.calls(), before);
}

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
    let to =
        BudgetPlace::AdSets(ad_sets.iter().map(|ad_set| (ad_set.id.clone(), Budget::Daily(2_000))).collect());
    assert_eq!(check_move(campaign, &ad_sets, &to), []);
    caller.move_budget(&campaign.id, &to).await.unwrap();
    let campaign = caller.entity(Level::Campaign, &campaign.id).await.unwrap();
    let ad_sets: Vec<Entity> = all(Level::AdSet).await.into_iter().filter(is_below).collect();
    assert_eq!(BudgetPlace::of(&campaign, &ad_sets), to.sorted());
}
