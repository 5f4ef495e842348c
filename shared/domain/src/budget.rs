//! The level of a campaign's budget: one of the campaign, or one of each of its ad sets.

use serde::Serialize;

use crate::entity::{Entity, Status};
use crate::id::EntityId;

/// A budget in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
        self.field() == other.field()
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

/// The budget of an ad set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AdSetBudget {
    /// The ad set.
    pub id: EntityId,
    /// Its budget.
    #[serde(flatten)]
    pub budget: Budget,
}

/// The level of a campaign's budget, and how much it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetLevel {
    /// The campaign's, which bids for its ad sets.
    Campaign {
        /// The budget.
        budget: Budget,
        /// The bid strategy, as far as it is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        bid_strategy: Option<String>,
    },
    /// The ad sets': each has its own.
    AdSets(Vec<AdSetBudget>),
}

impl BudgetLevel {
    /// Returns that of a campaign with these ad sets, in the order of their ids.
    pub fn of(campaign: &Entity, ad_sets: &[Entity]) -> Self {
        if let Some(budget) = Budget::of(campaign) {
            return Self::Campaign { budget, bid_strategy: campaign.bid_strategy.clone() };
        }
        let of_ad_set =
            |ad_set: &Entity| Some(AdSetBudget { id: ad_set.id.clone(), budget: Budget::of(ad_set)? });
        Self::AdSets(ad_sets.iter().filter_map(of_ad_set).collect()).sorted()
    }

    /// Returns it with a bid strategy where it has none: a campaign that holds its budget bids as before, and one that gets it
    /// as all its ad sets do. None where they differ, or one of them does not say.
    #[must_use]
    pub fn with_strategy_of(mut self, campaign: &Entity, ad_sets: &[Entity]) -> Self {
        let Self::Campaign { bid_strategy: bid_strategy @ None, .. } = &mut self else { return self };
        if Budget::of(campaign).is_some() {
            bid_strategy.clone_from(&campaign.bid_strategy);
            return self;
        }
        let strategies = editable(ad_sets).map(|ad_set| ad_set.bid_strategy.as_ref());
        let strategies: Option<Vec<&String>> = strategies.collect();
        if let Some([first, others @ ..]) = strategies.as_deref()
            && others.iter().all(|other| other == first)
        {
            *bid_strategy = Some((*first).clone());
        }
        self
    }

    /// Returns it with the ad sets in the order of their ids.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        if let Self::AdSets(budgets) = &mut self {
            budgets.sort_by(|one, other| one.id.cmp(&other.id));
        }
        self
    }

    /// Returns whether it is a whole answer to what was asked for, whatever the amounts: what lags shows the level of before,
    /// the budgets of some ad sets only, or a campaign without its bid strategy. Both are [sorted](Self::sorted).
    pub fn answers(&self, asked: &Self) -> bool {
        match (self, asked) {
            (Self::Campaign { bid_strategy, .. }, Self::Campaign { .. }) => bid_strategy.is_some(),
            (Self::AdSets(shown), Self::AdSets(asked)) => {
                shown.iter().map(|one| &one.id).eq(asked.iter().map(|one| &one.id))
            }
            _ => false,
        }
    }
}

/// Returns the ad sets that can still be changed: not the archived ones.
pub fn editable(ad_sets: &[Entity]) -> impl Iterator<Item = &Entity> {
    ad_sets.iter().filter(|ad_set| ad_set.status != Some(Status::Archived))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entity::Level;

    fn ad_set(id: &str, strategy: Option<&str>) -> Entity {
        let bid_strategy = strategy.map(str::to_owned);
        Entity { bid_strategy, ..Entity::new(Level::AdSet, id.parse().unwrap()) }
    }

    #[test]
    fn a_campaign_bids_as_all_its_ad_sets_do() {
        let campaign = Entity::new(Level::Campaign, "1".parse().unwrap());
        let strategy = |ad_sets: &[Entity]| {
            let asked = BudgetLevel::Campaign { budget: Budget::Daily(1), bid_strategy: None };
            match asked.with_strategy_of(&campaign, ad_sets) {
                BudgetLevel::Campaign { bid_strategy, .. } => bid_strategy,
                BudgetLevel::AdSets(_) => panic!("it is the campaign's"),
            }
        };
        let archived = Entity { status: Some(Status::Archived), ..ad_set("4", Some("COST_CAP")) };
        let same = [ad_set("2", Some("A")), ad_set("3", Some("A")), archived];
        assert_eq!(strategy(&same).as_deref(), Some("A"));
        assert_eq!(strategy(&[ad_set("2", Some("A")), ad_set("3", Some("B"))]), None);
        assert_eq!(strategy(&[ad_set("2", Some("A")), ad_set("3", None)]), None);
        assert_eq!(strategy(&[]), None);
    }
}
