//! `POST /act_X/campaigns`.

use super::{Done, Write, budget, finish, new_fields};
use crate::error::{GraphError, refused, required};
use crate::node::{Account, Kind};
use crate::params::Params;
use crate::world::World;

const OBJECTIVES: [&str; 6] = [
    "OUTCOME_AWARENESS",
    "OUTCOME_TRAFFIC",
    "OUTCOME_ENGAGEMENT",
    "OUTCOME_LEADS",
    "OUTCOME_APP_PROMOTION",
    "OUTCOME_SALES",
];
const CATEGORIES: [&str; 7] = [
    "NONE",
    "EMPLOYMENT",
    "HOUSING",
    "CREDIT",
    "ISSUES_ELECTIONS_POLITICS",
    "ONLINE_GAMBLING_AND_GAMING",
    "FINANCIAL_PRODUCTS_SERVICES",
];
pub(super) const BID_STRATEGIES: [&str; 4] =
    ["LOWEST_COST_WITHOUT_CAP", "LOWEST_COST_WITH_BID_CAP", "COST_CAP", "LOWEST_COST_WITH_MIN_ROAS"];

pub(super) fn create(world: &mut World, account: &Account, write: &Write) -> Result<Done, GraphError> {
    let params = Params(&write.params);
    params.required("name")?;
    params.required("objective")?;
    let categories =
        params.names("special_ad_categories")?.ok_or_else(|| required("special_ad_categories"))?;
    params.one_of("objective", &OBJECTIVES)?;
    params.one_of("buying_type", &["AUCTION", "RESERVED"])?;
    params.one_of("bid_strategy", &BID_STRATEGIES)?;
    if let Some(unknown) = categories.iter().find(|category| !CATEGORIES.contains(&category.as_str())) {
        return Err(crate::error::invalid(format!(
            "Param special_ad_categories[0] must be one of {{{}}} - got \"{unknown}\".",
            CATEGORIES.join(", ")
        )));
    }
    if budget::given(params)?.is_none() && params.text("is_adset_budget_sharing_enabled").is_none() {
        return Err(refused(
            4834011,
            "Say in is_adset_budget_sharing_enabled whether ad sets may share budgets, as the campaign has none.",
        ));
    }
    let mut fields = new_fields(Kind::Campaign, account, write)?;
    fields.insert("special_ad_categories".into(), serde_json::json!(categories));
    fields.entry("buying_type").or_insert_with(|| "AUCTION".into());
    finish(world, Kind::Campaign, account, write, fields)
}
