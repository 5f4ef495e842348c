//! Duplicates: a campaign is copied with its ad sets and ads, object by object, as a launch: all of them, paused, or
//! nothing.

use connector::Purpose;
use domain::entity::{EffectiveStatus, Entity, Level};
use domain::id::EntityId;
use domain::money::Money;
use domain::platform::PlatformData;
use domain::text::is_single_line;
use domain::{Error, FieldError};
use graph_api::launch::{DuplicateAd, DuplicateAdSet, DuplicateSpec};
use http::{Method, StatusCode};
use runtime::endpoint::{self, Endpoint};
use runtime::operation::Header;
use runtime::request::{Json, NoQuery, RequestContext};
use runtime::session::{Role, Session};
use serde::Deserialize;
use serde_json::json;

use super::dry_run::LaunchResponse;
use crate::ManageCampaign;
use crate::change::EntityPath;

/// Maximum length of a copy's name, in characters: until it is done, the names have a mark that fits into Meta's 400.
const MAX_CHARS: usize = 350;

/// Ad sets of a copy, and ads of each, at most; and of all of them.
const MAX_AD_SETS: usize = 50;
const MAX_ADS_OF_AD_SET: usize = 50;
const MAX_ADS: usize = 200;

/// What the copy has other than its source.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct Duplicate {
    /// The name of the copy; ad sets and ads keep theirs.
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_CHARS), extend("pattern" = domain::text::SINGLE_LINE_PATTERN)))]
    name: String,
    /// Another daily budget, where the campaign holds one.
    #[cfg_attr(feature = "describe", schemars(with = "Option<domain::money::Budget>"))]
    daily_budget: Option<Money>,
    /// The ad sets to copy; all that are not archived when absent.
    #[cfg_attr(feature = "describe", schemars(length(min = 1, max = MAX_AD_SETS)))]
    ad_sets: Option<Vec<EntityId>>,
}

pub(crate) fn duplicate() -> Endpoint<ManageCampaign> {
    let path = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/campaigns/{id}/duplicate";
    endpoint::member(Method::POST, path, Role::Editor)
        .named("duplicate_campaign", "Duplicates a campaign")
        .description(
            "With its ad sets and ads, without archived ones: all of them, paused, or nothing. It is a launch: `GET launches/{launch}` \
             says how it goes, and a large one goes on after the response.",
        )
        .requires_idempotency_key("Chosen by the client, one per copy. A repeated request with the same key copies once.")
        .handles_own_idempotency()
        .fails_with(Error::Conflict, "The launch needs review, or the ad account is imported.")
        .fails_with(Error::NoBudget, "The campaign holds no daily budget that could be another.")
        .changes_platform()
        .responds(StatusCode::CREATED, "The launch.", ManageCampaign::duplicate)
        .with_header(
            Header::required("Location", "URL of the launch.").with_format("uri-reference"),
        )
}

fn is_copied(entity: &Entity) -> bool {
    !matches!(entity.effective_status, Some(EffectiveStatus::Archived | EffectiveStatus::Deleted))
}

fn name_of(entity: &Entity) -> String {
    entity.name.clone().unwrap_or_else(|| entity.id.to_string())
}

impl ManageCampaign {
    async fn duplicate(
        self,
        context: RequestContext<Session, EntityPath, NoQuery, Json<Duplicate>>,
    ) -> Result<LaunchResponse, Error> {
        let RequestContext { caller: session, path: EntityPath { ad_account, id }, body, request, .. } =
            context;
        let Json(Duplicate { name, daily_budget, ad_sets: wanted }) = body;
        let (table, workspace) = (&self.connector.table, &session.workspace);
        let account = table.require_account(workspace, &ad_account).await?;
        account.require_connection()?;
        let campaign = self.entity(workspace, &ad_account, Level::Campaign, &id).await?;
        let mut mistakes = Vec::new();
        if !is_single_line(&name, MAX_CHARS) {
            let message = format!("must have 1 to {MAX_CHARS} characters, and no control characters");
            mistakes.push(FieldError::new("name", message));
        }
        if let Some(budget) = &daily_budget {
            if budget.currency != account.currency {
                let message = format!("must be {}, the ad account's currency", account.currency);
                mistakes.push(FieldError::new("daily_budget.currency", message));
            } else if !budget.is_budget() {
                mistakes.push(FieldError::new("daily_budget.amount", Money::invalid_budget_message()));
            }
        }
        // As Meta has it now: the last sync of a quiet account may be hours old.
        let client = self.connector.open(workspace, &ad_account, Purpose::Action).await?;
        let refreshed = client.refresh_descendants(Level::Campaign, &id).await;
        let (ads, mut ad_sets): (Vec<Entity>, Vec<Entity>) = client
            .close(refreshed)
            .await?
            .into_iter()
            .filter(is_copied)
            .partition(|entity| entity.level == Level::Ad);
        if let Some(wanted) = &wanted {
            if wanted.is_empty() {
                mistakes.push(FieldError::new("ad_sets", "must name some, or be absent for all"));
            }
            for (number, id) in wanted.iter().enumerate() {
                if !ad_sets.iter().any(|ad_set| ad_set.id == *id) {
                    let message = "must be an ad set of the campaign that is not archived";
                    mistakes.push(FieldError::new(format!("ad_sets[{number}]"), message));
                }
            }
            ad_sets.retain(|ad_set| wanted.contains(&ad_set.id));
        }
        let ads_of = |ad_set: &Entity| {
            let of_it = ads.iter().filter(|ad| ad.adset_id.as_ref() == Some(&ad_set.id));
            of_it.map(|ad| DuplicateAd { copy_of: ad.id.clone(), name: name_of(ad) }).collect::<Vec<_>>()
        };
        let ad_sets: Vec<_> = ad_sets
            .iter()
            .map(|ad_set| DuplicateAdSet {
                copy_of: ad_set.id.clone(),
                name: name_of(ad_set),
                ads: ads_of(ad_set),
            })
            .collect();
        let ads: usize = ad_sets.iter().map(|ad_set| ad_set.ads.len()).sum();
        let is_too_much = ad_sets.len() > MAX_AD_SETS
            || ads > MAX_ADS
            || ad_sets.iter().any(|ad_set| ad_set.ads.len() > MAX_ADS_OF_AD_SET);
        if is_too_much {
            let message = format!(
                "name some of them: a copy has {MAX_AD_SETS} ad sets, {MAX_ADS_OF_AD_SET} ads in each and {MAX_ADS} ads at most"
            );
            mistakes.push(FieldError::new("ad_sets", message));
        }
        let too_long = ad_sets.iter().flat_map(|ad_set| {
            std::iter::once((&ad_set.copy_of, &ad_set.name))
                .chain(ad_set.ads.iter().map(|ad| (&ad.copy_of, &ad.name)))
        });
        if let Some((id, _)) = too_long.into_iter().find(|(_, name)| name.chars().count() > MAX_CHARS) {
            let message = format!("the name of {id} has more than {MAX_CHARS} characters: shorten it first");
            mistakes.push(FieldError::new("ad_sets", message));
        }
        if mistakes.is_empty() && daily_budget.is_some() && campaign.daily_budget.is_none() {
            return Err(Error::NoBudget(format!("campaign {id} holds no daily budget")));
        }
        let duplicate = DuplicateSpec {
            copy_of: id.clone(),
            name,
            daily_budget: daily_budget.map(|budget| budget.amount),
            ad_sets,
        };
        let (document, steps) = (PlatformData::new(&duplicate)?, duplicate.steps());
        let after = json!({
            "name": duplicate.name,
            "copy_of": id,
            "daily_budget": daily_budget,
            "ad_sets": duplicate.ad_sets.len(),
            "ads": ads,
        });
        let requested = self.draft(&session, &request, &ad_account, (document, steps))?;
        self.start_launch(&session, requested, after, mistakes).await
    }
}
