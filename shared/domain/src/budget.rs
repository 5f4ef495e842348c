//! Where a campaign's budget is: on the campaign, or on each of its ad sets.

use serde::{Deserialize, Serialize};

use crate::entity::{Entity, Level, Status};
use crate::id::EntityId;

/// A budget in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// Of a day.
    #[serde(rename = "daily_budget")]
    Daily(i64),
    /// Until the end.
    #[serde(rename = "lifetime_budget")]
    Lifetime(i64),
}

impl Budget {
    /// Returns the budget that an entity holds itself.
    pub fn of(entity: &Entity) -> Option<Self> {
        entity.daily_budget.map(Self::Daily).or(entity.lifetime_budget.map(Self::Lifetime))
    }

    /// Returns whether two are of the same kind.
    pub fn is_like(self, other: Self) -> bool {
        matches!((self, other), (Self::Daily(_), Self::Daily(_)) | (Self::Lifetime(_), Self::Lifetime(_)))
    }

    /// Returns its field's name.
    pub fn field(self) -> &'static str {
        match self {
            Self::Daily(_) => "daily_budget",
            Self::Lifetime(_) => "lifetime_budget",
        }
    }

    /// Returns its amount in minor units.
    pub fn amount(self) -> i64 {
        match self {
            Self::Daily(amount) | Self::Lifetime(amount) => amount,
        }
    }
}

/// Where a campaign's budget is, and how much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetPlace {
    /// On the campaign, which bids for its ad sets.
    Campaign {
        /// The budget.
        budget: Budget,
        /// The bid strategy.
        bid_strategy: String,
    },
    /// On the ad sets: each with its own.
    AdSets(Vec<(EntityId, Budget)>),
}

impl BudgetPlace {
    /// Returns where the budget of a campaign is that has these ad sets.
    pub fn of(campaign: &Entity, ad_sets: &[Entity]) -> Self {
        match Budget::of(campaign) {
            Some(budget) => {
                Self::Campaign { budget, bid_strategy: campaign.bid_strategy.clone().unwrap_or_default() }
            }
            None => {
                let budgets =
                    alive(ad_sets).filter_map(|ad_set| Some((ad_set.id.clone(), Budget::of(ad_set)?)));
                Self::AdSets(budgets.collect()).sorted()
            }
        }
    }

    /// Returns whether the same campaign or ad sets hold the budget, whatever it is. Both are [sorted](Self::sorted).
    pub fn has_holders_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Campaign { .. }, Self::Campaign { .. }) => true,
            (Self::AdSets(ours), Self::AdSets(others)) => {
                ours.iter().map(|(id, _)| id).eq(others.iter().map(|(id, _)| id))
            }
            _ => false,
        }
    }

    /// Returns it with the ad sets in the order of their ids.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        if let Self::AdSets(budgets) = &mut self {
            budgets.sort_by(|(one, _), (other, _)| one.cmp(other));
        }
        self
    }
}

/// Returns the ad sets among these entities that are not deleted.
pub fn alive(entities: &[Entity]) -> impl Iterator<Item = &Entity> {
    entities.iter().filter(|entity| entity.level == Level::AdSet && entity.status != Some(Status::Deleted))
}
