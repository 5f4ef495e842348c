//! Moves a campaign's budget to its ad sets, and back.

use connector::Purpose;
use domain::budget::{AdSetBudget, Budget, BudgetLevel};
use domain::entity::Level;
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
pub(crate) struct NewBudgetLevel {
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
    /// The budget of each ad set of the campaign that is not deleted. They bid as the campaign did, and do not share it.
    #[serde(default)]
    #[cfg_attr(feature = "describe", schemars(length(min = 1, max = 70)))]
    ad_sets: Option<Vec<NewAdSetBudget>>,
}

/// The budget of an ad set, of the kind that the campaign has.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
struct NewAdSetBudget {
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
        .description("Daily budgets stay daily ones, and lifetime budgets lifetime ones. Nothing is sent when it is as asked already. `If-Match` guards the campaign, not its ad sets.")
        .checks_version()
        .fails_with(Error::Conflict, "Its ad account is imported.")
        .changes_platform()
        .responds(StatusCode::OK, "The campaign as Meta returns it after the move.", ManageCampaign::move_budget)
}

impl ManageCampaign {
    async fn move_budget(
        self,
        context: RequestContext<Session, EntityPath, NoQuery, Json<NewBudgetLevel>>,
    ) -> Result<(HeaderMap, Json<EntityReport>), Error> {
        let RequestContext { caller: session, path, body: Json(wanted), request, .. } = context;
        let (workspace, EntityPath { ad_account, id }) = (&session.workspace, path);
        let account = self.connector.table.require_account(workspace, &ad_account).await?;
        let entity = self.entity(workspace, &account.id, Level::Campaign, &id).await?;
        let wanted = wanted.read(account.currency).map_err(Error::Invalid)?;
        let client = self.connector.open(workspace, &account.id, Purpose::Action).await?;
        let moved = async {
            let campaign = shown(&client, &request, &entity, account.currency).await?;
            let ad_sets = client.refresh_below((Level::Campaign, &id), Level::AdSet).await?;
            let asked = wanted.with_strategy_of(&campaign, &ad_sets);
            // Mistakes are named where they are in the request.
            let mistakes = check_move(&campaign, &ad_sets, &asked);
            let (before, asked) = (BudgetLevel::of(&campaign, &ad_sets), asked.sorted());
            if before == asked {
                return Ok(campaign);
            }
            if !mistakes.is_empty() {
                return Err(Error::Invalid(mistakes));
            }
            let event = user_event(&session, "campaign.budget_moved", format!("campaign/{id}"))?;
            let event = event.in_account(&account.id).with_change(json!(before), json!(asked));
            let event = self.connector.table.record_intent(workspace, event, self.host.clock.now()).await?;
            let moved = client.move_budget(&id, &asked).await;
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
            let read = async {
                let Some(campaign) = client.refresh(Level::Campaign, &id).await? else { return Ok(None) };
                let ad_sets = client.refresh_below((Level::Campaign, &id), Level::AdSet).await?;
                Ok(Some((BudgetLevel::of(&campaign, &ad_sets), campaign)))
            };
            match read.await {
                Ok(Some((shown, campaign))) if shown == asked => Ok(campaign),
                Ok(Some((shown, _))) if shown != before && shown.answers(&asked) => Err(
                    Error::RejectedByPlatform(format!("Meta confirmed the move, and shows {}", json!(shown))),
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

impl NewBudgetLevel {
    /// Returns the level that is asked for, or every mistake that can be found without Meta.
    fn read(self, currency: Currency) -> Result<BudgetLevel, Vec<FieldError>> {
        let Self { daily_budget, lifetime_budget, bid_strategy, ad_sets } = self;
        let Some(ad_sets) = ad_sets else {
            let budget = budget("", daily_budget, lifetime_budget, currency);
            return budget
                .map(|budget| BudgetLevel::Campaign { budget, bid_strategy })
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
        for (number, NewAdSetBudget { id, daily_budget, lifetime_budget }) in ad_sets.into_iter().enumerate()
        {
            match budget(&format!("ad_sets[{number}]."), daily_budget, lifetime_budget, currency) {
                Ok(budget) => budgets.push(AdSetBudget { id, budget }),
                Err(mistake) => mistakes.push(mistake),
            }
        }
        if mistakes.is_empty() { Ok(BudgetLevel::AdSets(budgets)) } else { Err(mistakes) }
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
