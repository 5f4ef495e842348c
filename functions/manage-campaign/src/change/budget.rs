//! Moves a campaign's budget to its ad sets, and back.

use connector::Purpose;
use domain::budget::{Budget, BudgetPlace, alive};
use domain::entity::{Entity, Level};
use domain::id::EntityId;
use domain::money::{Currency, Money};
use domain::{Error, FieldError};
use graph_api::budget::check_move;
use http::{HeaderMap, Method, StatusCode};
use middleware::user_event;
use runtime::endpoint::{self, Endpoint};
use runtime::request::{Json, NoQuery, RequestContext};
use runtime::session::{Role, Session};
use serde::Deserialize;
use serde_json::json;
use store::changed_entities::whole_account;

use super::values::check_money;
use super::{EntityPath, shown};
use crate::ManageCampaign;
use crate::list::EntityReport;

/// A campaign's budget: one of the campaign, or one of each of its ad sets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct NewBudgetPlace {
    /// The campaign's budget, where its ad sets have daily ones.
    #[serde(default)]
    #[cfg_attr(feature = "describe", schemars(with = "Option<domain::money::Budget>"))]
    daily_budget: Option<Money>,
    /// The campaign's budget, where its ad sets have lifetime ones.
    #[serde(default)]
    #[cfg_attr(feature = "describe", schemars(with = "Option<domain::money::Budget>"))]
    lifetime_budget: Option<Money>,
    /// How the campaign bids from then on: as its ad sets do when absent.
    #[serde(default)]
    #[cfg_attr(feature = "describe", schemars(with = "Option<graph_api::launch::BidStrategy>"))]
    bid_strategy: Option<String>,
    /// The budget of each ad set of the campaign, deleted ones left out. They bid as the campaign does.
    #[serde(default)]
    #[cfg_attr(feature = "describe", schemars(length(min = 1, max = 70)))]
    ad_sets: Option<Vec<AdSetBudget>>,
}

/// The budget of an ad set, of the kind that the campaign has.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
struct AdSetBudget {
    /// The ad set.
    id: EntityId,
    /// What it may spend in a day.
    #[serde(default)]
    #[cfg_attr(feature = "describe", schemars(with = "Option<domain::money::Budget>"))]
    daily_budget: Option<Money>,
    /// What it may spend until its end.
    #[serde(default)]
    #[cfg_attr(feature = "describe", schemars(with = "Option<domain::money::Budget>"))]
    lifetime_budget: Option<Money>,
}

pub(crate) fn move_budget() -> Endpoint<ManageCampaign> {
    let path = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/campaigns/{id}/budget";
    endpoint::member(Method::PUT, path, Role::Editor)
        .named("move_budget", "Moves a campaign's budget to its ad sets, or back")
        .description("Daily budgets stay daily ones, and lifetime budgets lifetime ones. Nothing is sent when it is as asked already.")
        .checks_version()
        .fails_with(Error::Conflict, "Its ad account is imported.")
        .changes_platform()
        .responds(StatusCode::OK, "The campaign as Meta returns it after the move.", ManageCampaign::move_budget)
}

impl ManageCampaign {
    async fn move_budget(
        self,
        context: RequestContext<Session, EntityPath, NoQuery, Json<NewBudgetPlace>>,
    ) -> Result<(HeaderMap, Json<EntityReport>), Error> {
        let RequestContext { caller: session, path, body: Json(wanted), request, .. } = context;
        let (workspace, EntityPath { ad_account, id }) = (&session.workspace, path);
        let account = self.connector.table.require_account(workspace, &ad_account).await?;
        let entity = self.entity(workspace, &account.id, Level::Campaign, &id).await?;
        let budgets = wanted.budgets(account.currency).map_err(Error::Invalid)?;
        let client = self.connector.open(workspace, &account.id, Purpose::Action).await?;
        let moved = async {
            let campaign = shown(&client, &request, &entity, account.currency).await?;
            let ad_sets = client.refresh_below((Level::Campaign, &id), Level::AdSet).await?;
            let to = budgets.place(&campaign, &ad_sets).map_err(|mistake| Error::Invalid(vec![mistake]))?;
            // Mistakes are named where they are in the request.
            let mistakes = check_move(&campaign, &ad_sets, &to);
            let (before, to) = (BudgetPlace::of(&campaign, &ad_sets), to.sorted());
            if before == to {
                return Ok(campaign);
            }
            if !mistakes.is_empty() {
                return Err(Error::Invalid(mistakes));
            }
            let event = user_event(&session, "campaign.budget_moved", format!("campaign/{id}"))?;
            let event = event.in_account(&account.id).with_change(json!(before), json!(to));
            let event = self.connector.table.record_intent(workspace, event, self.host.clock.now()).await?;
            let read = async || {
                let campaign = client.refresh(Level::Campaign, &id).await?;
                let ad_sets = client.refresh_below((Level::Campaign, &id), Level::AdSet).await?;
                Ok::<_, Error>(campaign.map(|campaign| (BudgetPlace::of(&campaign, &ad_sets), campaign)))
            };
            let moved = match client.move_budget(&id, &to).await {
                // The answer to it was lost, and Meta refuses what has been done already.
                Err(error @ Error::RejectedByPlatform(_)) => match read().await {
                    Ok(Some((place, _))) if place == to => Ok(()),
                    _ => Err(error),
                },
                moved => moved,
            };
            let later = async |what: &str| {
                self.read_later(workspace, &account.id, whole_account(&account.id)).await?;
                let why =
                    format!("the move {what}; the ad account is read, and then shows where the budget is");
                Err(Error::Indeterminate(why))
            };
            match event.complete(moved, client.request_id(), self.host.clock.now()).await {
                Ok(()) => {}
                Err(Error::Indeterminate(_) | Error::Unavailable(_)) => {
                    return later("may have been made").await;
                }
                Err(error) => return Err(error),
            }
            match read().await {
                Ok(Some((place, campaign))) if place == to => Ok(campaign),
                // What lags shows what was before, or the budgets of some ad sets only.
                Ok(Some((place, _))) if place != before && place.has_holders_of(&to) => Err(
                    Error::RejectedByPlatform(format!("Meta confirmed the move, and shows {}", json!(place))),
                ),
                Ok(_) | Err(Error::Unavailable(_) | Error::RateLimited { .. }) => later("was made").await,
                Err(error) => Err(error),
            }
        };
        let moved = moved.await;
        let campaign = client.close(moved).await?;
        let range = self.range(None, None, &account)?;
        self.report(workspace, &account, campaign, range, None).await
    }
}

/// Budgets that are right by themselves.
enum Budgets {
    OfCampaign { budget: Budget, bid_strategy: Option<String> },
    OfAdSets(Vec<(EntityId, Budget)>),
}

impl NewBudgetPlace {
    fn budgets(self, currency: Currency) -> Result<Budgets, Vec<FieldError>> {
        let Self { daily_budget, lifetime_budget, bid_strategy, ad_sets } = self;
        let Some(ad_sets) = ad_sets else {
            let budget = budget("", daily_budget, lifetime_budget, currency);
            return budget
                .map(|budget| Budgets::OfCampaign { budget, bid_strategy })
                .map_err(|error| vec![error]);
        };
        let mut mistakes = Vec::new();
        for (field, is_set) in [
            ("daily_budget", daily_budget.is_some()),
            ("lifetime_budget", lifetime_budget.is_some()),
            ("bid_strategy", bid_strategy.is_some()),
        ] {
            if is_set {
                mistakes.push(FieldError::new(field, "must be absent: the ad sets get the budget"));
            }
        }
        if ad_sets.is_empty() {
            mistakes.push(FieldError::new("ad_sets", "must have the ad sets of the campaign"));
        }
        let mut budgets = Vec::new();
        for (number, AdSetBudget { id, daily_budget, lifetime_budget }) in ad_sets.into_iter().enumerate() {
            match budget(&format!("ad_sets[{number}]."), daily_budget, lifetime_budget, currency) {
                Ok(budget) => budgets.push((id, budget)),
                Err(mistake) => mistakes.push(mistake),
            }
        }
        if mistakes.is_empty() { Ok(Budgets::OfAdSets(budgets)) } else { Err(mistakes) }
    }
}

fn budget(
    at: &str,
    daily: Option<Money>,
    lifetime: Option<Money>,
    currency: Currency,
) -> Result<Budget, FieldError> {
    let (budget, money) = match (daily, lifetime) {
        (Some(money), None) => (Budget::Daily(money.amount), money),
        (None, Some(money)) => (Budget::Lifetime(money.amount), money),
        (None, None) => {
            let message = match at {
                "" => "must be there, or a lifetime_budget, or ad_sets with the budget of each",
                _ => "must be there, or a lifetime_budget",
            };
            return Err(FieldError::new(format!("{at}daily_budget"), message));
        }
        (Some(_), Some(_)) => {
            return Err(FieldError::new(
                format!("{at}lifetime_budget"),
                "must be absent beside daily_budget",
            ));
        }
    };
    match check_money(&money, currency) {
        Some((part, message)) => Err(FieldError::new(format!("{at}{}.{part}", budget.field()), message)),
        None => Ok(budget),
    }
}

impl Budgets {
    /// Returns the place of these budgets. A campaign that is not told how to bid bids as it does, or as all its ad sets do.
    fn place(self, campaign: &Entity, ad_sets: &[Entity]) -> Result<BudgetPlace, FieldError> {
        let (budget, bid_strategy) = match self {
            Self::OfAdSets(budgets) => return Ok(BudgetPlace::AdSets(budgets)),
            Self::OfCampaign { budget, bid_strategy } => (budget, bid_strategy),
        };
        let mut of_ad_sets: Vec<&str> =
            alive(ad_sets).filter_map(|ad_set| ad_set.bid_strategy.as_deref()).collect();
        of_ad_sets.dedup();
        let all = if let [all] = of_ad_sets[..] { Some(all.to_owned()) } else { None };
        let own = campaign.bid_strategy.clone().filter(|_| Budget::of(campaign).is_some());
        let bid_strategy = bid_strategy.or(own).or(all).ok_or_else(|| {
            FieldError::new("bid_strategy", "must be there: no bid strategy is that of all its ad sets")
        })?;
        Ok(BudgetPlace::Campaign { budget, bid_strategy })
    }
}
