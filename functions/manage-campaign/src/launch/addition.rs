//! Additions: new ad sets of a campaign that exists, and new ads of an ad set, as a launch: all of them, paused, or none.

use bytes::Bytes;
use connector::Purpose;
use domain::entity::{EffectiveStatus, Entity, Level};
use domain::id::{AdAccountId, EntityId};
use domain::launch::{Existing, Step};
use domain::{Error, FieldError};
use graph_api::launch::{AdSetSpec, AdSpec};
use http::{Method, Request, StatusCode};
use runtime::endpoint::{self, Builder, Endpoint};
use runtime::operation::Header;
use runtime::request::{Json, RequestContext};
use runtime::session::{Role, Session};
use serde::Deserialize;

use super::dry_run::{DryRun, LaunchResponse};
use super::{LaunchQuery, is_settled, launch_id};
use crate::ManageCampaign;
use crate::change::EntityPath;

/// New ad sets, as a launch document has them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct NewAdSets {
    /// How they bid, where the campaign holds no budget; else as the campaign does.
    #[cfg_attr(feature = "describe", schemars(with = "Option<graph_api::launch::BidStrategy>"))]
    bid_strategy: Option<String>,
    /// The ad sets, each with its ads.
    #[cfg_attr(feature = "describe", schemars(length(min = 1, max = 50)))]
    ad_sets: Vec<AdSetSpec>,
}

/// New ads, as a launch document has them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct NewAds {
    /// The ads.
    #[cfg_attr(feature = "describe", schemars(length(min = 1, max = 50)))]
    ads: Vec<AdSpec>,
}

pub(crate) fn add_ad_sets() -> Endpoint<ManageCampaign> {
    let path = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/campaigns/{id}/adsets";
    addition(path, "add_ad_sets", "Adds ad sets to a campaign")
        .responds(StatusCode::CREATED, "The launch.", ManageCampaign::add_ad_sets)
        .or_responds::<DryRun>(StatusCode::OK, "application/json", "What a dry run found.")
        .with_header(Header::required("Location", "URL of the launch.").with_format("uri-reference"))
}

pub(crate) fn add_ads() -> Endpoint<ManageCampaign> {
    let path = "/v1/workspaces/{workspace}/ad-accounts/{ad_account}/adsets/{id}/ads";
    addition(path, "add_ads", "Adds ads to an ad set")
        .responds(StatusCode::CREATED, "The launch.", ManageCampaign::add_ads)
        .or_responds::<DryRun>(StatusCode::OK, "application/json", "What a dry run found.")
        .with_header(Header::required("Location", "URL of the launch.").with_format("uri-reference"))
}

fn addition(path: &'static str, id: &'static str, summary: &'static str) -> Builder<Session> {
    endpoint::member(Method::POST, path, Role::Editor)
        .named(id, summary)
        .description(
            "All of them, paused, or none; what exists is not touched. It is a launch: `GET launches/{launch}` says how it goes, and \
             a large one goes on after the response. `dry_run` only checks it.",
        )
        .requires_idempotency_key("Chosen by the client, one per addition. A repeated request with the same key adds once.")
        .handles_own_idempotency()
        .fails_with(Error::Conflict, "It is over, the launch needs review, or the ad account is imported.")
        .changes_platform()
}

impl ManageCampaign {
    async fn add_ad_sets(
        self,
        context: RequestContext<Session, EntityPath, LaunchQuery, Json<NewAdSets>>,
    ) -> Result<LaunchResponse, Error> {
        let RequestContext { caller: session, path: EntityPath { ad_account, id }, query, body, request } =
            context;
        let Json(NewAdSets { bid_strategy, ad_sets }) = body;
        let account = self.connector.table.require_account(&session.workspace, &ad_account).await?;
        account.require_connection()?;
        let campaign = self.entity(&session.workspace, &ad_account, Level::Campaign, &id).await?;
        require_alive(&campaign)?;
        self.require_launched(&session, (&ad_account, &id), &request).await?;
        let client = self.connector.open(&session.workspace, &ad_account, Purpose::Action).await?;
        let described = client.describe_campaign(&id).await;
        let mut spec = client.close(described).await?;
        if bid_strategy.is_some() {
            if spec.daily_budget.is_some() || spec.lifetime_budget.is_some() {
                let message = "must be absent: the campaign holds the budget, and its ad sets bid as it does";
                return Err(FieldError::new("bid_strategy", message).into());
            }
            spec.bid_strategy = bid_strategy;
        }
        spec.ad_sets = ad_sets;
        let existing = vec![Existing { step: Step::Campaign, id }];
        self.launch_document((&session, &request), &account, spec, existing, query).await
    }

    async fn add_ads(
        self,
        context: RequestContext<Session, EntityPath, LaunchQuery, Json<NewAds>>,
    ) -> Result<LaunchResponse, Error> {
        let RequestContext { caller: session, path: EntityPath { ad_account, id }, query, body, request } =
            context;
        let Json(NewAds { ads }) = body;
        let account = self.connector.table.require_account(&session.workspace, &ad_account).await?;
        account.require_connection()?;
        let ad_set = self.entity(&session.workspace, &ad_account, Level::AdSet, &id).await?;
        require_alive(&ad_set)?;
        let campaign =
            ad_set.campaign_id.ok_or_else(|| Error::NotFound(format!("the campaign of adset {id}")))?;
        self.require_launched(&session, (&ad_account, &campaign), &request).await?;
        let client = self.connector.open(&session.workspace, &ad_account, Purpose::Action).await?;
        let described =
            async { Ok((client.describe_campaign(&campaign).await?, client.describe_ad_set(&id).await?)) };
        let described = described.await;
        let (mut spec, mut ad_set) = client.close(described).await?;
        ad_set.ads = ads;
        spec.ad_sets = vec![ad_set];
        let existing =
            vec![Existing { step: Step::Campaign, id: campaign }, Existing { step: Step::AdSet(0), id }];
        self.launch_document((&session, &request), &account, spec, existing, query).await
    }
}

impl ManageCampaign {
    /// Refuses to add to a campaign whose launch is under way: when that is undone, the campaign goes with everything in it.
    /// An addition that is repeated goes on.
    async fn require_launched(
        &self,
        session: &Session,
        (ad_account, campaign): (&AdAccountId, &EntityId),
        request: &Request<Bytes>,
    ) -> Result<(), Error> {
        let own = launch_id(session, ad_account, request)?;
        let launches = self.recent_launches(&session.workspace, campaign).await?;
        match launches.iter().all(|launch| is_settled(launch) || launch.id == own) {
            true => Ok(()),
            false => Err(Error::Conflict(
                "the campaign is still being launched or added to; see GET launches".to_owned(),
            )),
        }
    }
}

/// Meta adds nothing to what is archived or deleted.
fn require_alive(entity: &Entity) -> Result<(), Error> {
    match entity.effective_status {
        Some(EffectiveStatus::Archived | EffectiveStatus::Deleted) => {
            Err(Error::Conflict(format!("{} {} is archived or deleted", entity.level, entity.id)))
        }
        _ => Ok(()),
    }
}
