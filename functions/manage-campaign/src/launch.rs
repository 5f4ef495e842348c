//! A launch: one document becomes a campaign with its ad sets and ads, all PAUSED, or nothing.
//!
//! Each step is saved as an intent before its call to Meta, and with the entity's id after it. A crash in between
//! leaves an intent with an unknown outcome; the next worker searches for the entity by its name, which contains the
//! launch id, before it creates anything. A step that fails permanently undoes the previous ones in reverse order.

mod addition;
mod dry_run;
mod duplicate;
mod list;
mod saga;
mod view;

use bytes::Bytes;
use connector::{AccountClient, Purpose};
use domain::entity::Level;
use domain::id::{AdAccountId, LaunchId};
use domain::job::Job;
use domain::launch::{Existing, Launch, LaunchState, Step};
use domain::platform::PlatformData;
use domain::tenant::Tenant;
use domain::{Error, FieldError};
use graph_api::account::AccountDetails;
use graph_api::launch::{LaunchDefaults, LaunchSpec};
use http::header::{HeaderValue, LOCATION};
use http::{HeaderMap, Method, Request, StatusCode};
use jiff::SignedDuration;
use runtime::endpoint::{self, Endpoint};
use runtime::operation::Header;
use runtime::request::{AdAccountPath, Json, RequestContext, require_idempotency_key};
use runtime::session::{Role, Session};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::StoreError;
use store::account::AdAccount;
use store::audit::AuditEvent;
use store::launch::StoredLaunch;

pub(crate) use self::addition::{add_ad_sets, add_ads};
use self::dry_run::{DryRun, LaunchResponse};
pub(crate) use self::duplicate::duplicate;
pub(crate) use self::list::{get_launch, list_launches};
use self::saga::audit_event;
use self::view::LaunchView;
use crate::ManageCampaign;
use crate::background::{LEASE_TTL, RECOVERY_DELAY};
use crate::list::CAMPAIGNS;

/// A launch that is neither committed nor rolled back after this time needs a person's review.
const MAX_LAUNCH_AGE: SignedDuration = SignedDuration::from_hours(24);

/// Maximum size of a launch document: it is stored as one item.
const MAX_DOCUMENT_BYTES: usize = 64 * 1024;

/// Steps of a launch that is done within its request. A larger one goes on in the background.
const MAX_STEPS_IN_REQUEST: usize = 6;

/// Maximum size of a launch document with the ad account's defaults, in bytes. It is stored as one item with what it
/// creates, and an item has 400 KB at most.
const MAX_STORED_BYTES: usize = 256 * 1024;

/// How to launch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct LaunchQuery {
    /// Whether to check the document only. Nothing is created, and the `Idempotency-Key` stays free.
    #[serde(default)]
    dry_run: bool,
    /// Whether a dry run in which nothing is found asks Meta, too.
    #[serde(default = "yes")]
    ask_meta: bool,
}

fn yes() -> bool {
    true
}

pub(crate) fn launch() -> Endpoint<ManageCampaign> {
    endpoint::member(Method::POST, CAMPAIGNS, Role::Editor)
        .named("launch_campaign", "Launches a campaign")
        .description(
            "A campaign with its ad sets and ads, all of them paused, or nothing. Where the document is silent, it takes the \
             ad account's defaults. A large launch goes on after the response: its state is `running` until then. With \
             `dry_run` nothing is created: the response has every finding and the requests that would be sent.",
        )
        .requires_idempotency_key("Chosen by the client, one per launch. A repeated request with the same key launches once.")
        .handles_own_idempotency()
        .fails_with(Error::Conflict, "The launch needs review, or the ad account is imported.")
        .changes_platform()
        .responds(StatusCode::CREATED, "The launch.", ManageCampaign::launch)
        .or_responds::<DryRun>(StatusCode::OK, "application/json", "What a dry run found.")
        .with_header(
            Header::required("Location", "URL of the launch.").with_format("uri-reference"),
        )
}

impl ManageCampaign {
    async fn launch(
        self,
        context: RequestContext<Session, AdAccountPath, LaunchQuery, Json<LaunchSpec>>,
    ) -> Result<LaunchResponse, Error> {
        let RequestContext { caller: session, path, query, body: Json(spec), request } = context;
        let account = self.connector.table.require_account(&session.workspace, &path.ad_account).await?;
        self.launch_document((&session, &request), &account, spec, Vec::new(), query).await
    }

    /// Launches what a document describes, or checks it only. What exists already is not created.
    async fn launch_document(
        &self,
        (session, request): (&Session, &Request<Bytes>),
        account: &AdAccount,
        mut spec: LaunchSpec,
        existing: Vec<Existing>,
        query: LaunchQuery,
    ) -> Result<LaunchResponse, Error> {
        let workspace = &session.workspace;
        if request.body().len() > MAX_DOCUMENT_BYTES {
            return Err(
                FieldError::new("body", format!("may have {MAX_DOCUMENT_BYTES} bytes at most")).into()
            );
        }
        spec.resolve(&account.time_zone()?);
        let defaults: LaunchDefaults = account.launch_defaults.read()?;
        defaults.fill(&mut spec);
        let now = self.host.clock.now();
        let added_to = existing.last().map(|existing| existing.step.level());
        let mut field_errors = match added_to {
            None => spec.check(account.currency, now),
            Some(Level::Campaign) => spec.check_added_ad_sets(account.currency, now),
            Some(_) => spec.check_added_ads(account.currency),
        };
        let connection = account.require_connection()?;
        let connection = self.connector.table.connection(workspace, connection).await?;
        let details: AccountDetails = account.details.read()?;
        let is_system_user =
            account.accessible && connection.is_some_and(|connection| connection.is_system_user());
        for (step, ad_set) in spec.steps_of_ad_sets().filter(|_| added_to != Some(Level::AdSet)) {
            let (dsa, identities) = (ad_set.dsa.as_ref(), &ad_set.regional_identities);
            let prefix = format!("{}.", spec.path_of(step));
            field_errors.extend(details.check_beneficiaries(is_system_user, dsa, identities, &prefix));
        }
        if serde_json::to_vec(&spec).map_or(0, |stored| stored.len()) > MAX_STORED_BYTES {
            let message = format!("may have {MAX_STORED_BYTES} bytes with the defaults at most");
            field_errors.push(FieldError::new("body", message));
        }
        let mut steps = spec.steps();
        steps.retain(|step| !existing.iter().any(|existing| existing.step == *step));
        let plan = (PlatformData::new(&spec)?, steps);
        let mut requested = self.draft(session, request, &account.id, plan)?;
        requested.launch.existing = existing;
        let launch = &requested.launch;
        if query.dry_run {
            let dry_run = self.dry_run(workspace, launch, (&spec, field_errors), query.ask_meta).await?;
            return Ok(LaunchResponse::DryRun(Json(dry_run)));
        }
        let count = |level| launch.steps.iter().filter(|step| step.level() == level).count();
        let after = json!({
            "name": spec.name,
            "objective": spec.objective,
            "daily_budget": spec.daily_budget,
            "lifetime_budget": spec.lifetime_budget,
            "ad_sets": count(Level::AdSet),
            "ads": count(Level::Ad),
            "added_to": launch.existing.last().map(|existing| &existing.id),
        });
        self.start_launch(session, requested, after, field_errors).await
    }

    /// Runs a launch, or goes on with the one that the same key has begun, and returns how far it is. `after` is what the
    /// audit log says of it.
    async fn start_launch(
        &self,
        session: &Session,
        requested: StoredLaunch,
        after: Value,
        field_errors: Vec<FieldError>,
    ) -> Result<LaunchResponse, Error> {
        let (workspace, ad_account) = (&session.workspace, requested.launch.ad_account.clone());
        let earlier = self.connector.table.launch(workspace, &requested.launch.id).await?;
        // After a launch that was rolled back the key is free: what was wrong may be mended by now.
        let earlier = earlier.filter(|earlier| {
            earlier.request_hash == requested.request_hash && earlier.launch.state != LaunchState::RolledBack
        });
        // A launch that already exists continues with the defaults of its time.
        if earlier.is_none() && !field_errors.is_empty() {
            return Err(Error::Invalid(field_errors));
        }
        let is_new = earlier.is_none();
        let stored = match earlier.filter(|earlier| is_settled(&earlier.launch)) {
            Some(settled) => settled,
            // The account is opened before the launch is stored: a launch that cannot start leaves nothing to recover.
            None => {
                // One that is under way decides by itself whether it goes on.
                if is_new {
                    self.connector.check_launch().await?;
                }
                let client = self.connector.open(workspace, &ad_account, Purpose::Action).await?;
                let stored = self.create_and_run(&client, requested, after).await;
                client.close(stored).await?
            }
        };
        let launch = &stored.launch;
        let why = launch.failure.as_deref().unwrap_or("a step failed");
        match launch.state {
            LaunchState::Committed | LaunchState::Running | LaunchState::RollingBack => {}
            LaunchState::RolledBack => {
                let why = format!("{why}; everything that was created has been deleted again");
                return Err(Error::RejectedByPlatform(why));
            }
            LaunchState::NeedsReview => {
                let why =
                    format!("{why}; GET launches/{} shows what exists and must be looked at", launch.id);
                return Err(Error::Conflict(why));
            }
        }
        let location = format!("/v1/workspaces/{workspace}/launches/{}", launch.id);
        let location =
            HeaderValue::from_str(&location).map_err(|error| Error::Internal(error.to_string()))?;
        let headers = HeaderMap::from_iter([(LOCATION, location)]);
        Ok(LaunchResponse::Launched(headers, Json(Box::new(LaunchView::from(stored)))))
    }

    /// Resumes a launch whose worker may have crashed, until it is settled or a day has passed.
    pub(crate) async fn resume(&self, workspace: &Tenant, id: &LaunchId) -> Result<(), Error> {
        let table = &self.connector.table;
        match table.launch(workspace, id).await? {
            Some(stored) if !is_settled(&stored.launch) => {}
            _ => return Ok(()),
        }
        let now = self.host.clock.now();
        let mut stored = match table.claim_launch(workspace, id, now, now + LEASE_TTL).await {
            Ok(stored) => stored,
            // Another worker holds the lease.
            Err(StoreError::Conflict) => {
                return self.process_after(RECOVERY_DELAY, &job_of(workspace, id)).await;
            }
            Err(error) => return Err(error.into()),
        };
        let ad_account = stored.launch.ad_account.clone();
        let result = match self.connector.open(workspace, &ad_account, Purpose::Action).await {
            Ok(client) => {
                let result = self.run(&client, &mut stored).await;
                client.close(result).await
            }
            Err(error) => Err(error),
        };
        let Err(error) = result else {
            return match is_settled(&stored.launch) {
                true => Ok(()),
                // The invocation ends; the next one goes on.
                false => self.host.queues.send(&[job_of(workspace, id)]).await,
            };
        };
        if now.duration_since(stored.launch.started_at) < MAX_LAUNCH_AGE {
            let after = match error {
                Error::RateLimited { retry_after, .. } => retry_after,
                _ => RECOVERY_DELAY,
            };
            tracing::info!(%workspace, launch = %id, %error, after_secs = after.as_secs(), "A launch waits.");
            return self.process_after(after, &job_of(workspace, id)).await;
        }
        tracing::error!(%workspace, launch = %id, %error, "A launch needs a person.");
        stored.launch.failure = Some(error.public_detail());
        stored.audit_reason = Some(error.audit_detail());
        self.finish(workspace, &mut stored, LaunchState::NeedsReview).await
    }

    async fn create_and_run(
        &self,
        client: &AccountClient,
        requested: StoredLaunch,
        after: Value,
    ) -> Result<StoredLaunch, Error> {
        let mut stored = self.create_or_load(&client.workspace, requested, after).await?;
        if is_settled(&stored.launch) {
            return Ok(stored);
        }
        if stored.launch.steps.len() > MAX_STEPS_IN_REQUEST {
            self.release(&client.workspace, &mut stored).await?;
            self.host.queues.send(&[job_of(&client.workspace, &stored.launch.id)]).await?;
        } else {
            self.run(client, &mut stored).await?;
        }
        Ok(stored)
    }

    /// Builds the launch of a request. The same key always gives the same launch id.
    fn draft(
        &self,
        session: &Session,
        request: &Request<Bytes>,
        ad_account: &AdAccountId,
        (document, steps): (PlatformData, Vec<Step>),
    ) -> Result<StoredLaunch, Error> {
        let id = launch_id(session, ad_account, request)?;
        let now = self.host.clock.now();
        Ok(StoredLaunch {
            launch: Launch {
                id,
                ad_account: ad_account.clone(),
                document,
                steps,
                state: LaunchState::Running,
                created: Vec::new(),
                intent: None,
                intent_at: None,
                resent: false,
                existing: Vec::new(),
                differences: Vec::new(),
                failure: None,
                started_at: now,
            },
            // A key of one campaign's copy is not that of another's.
            request_hash: hex::encode(
                Sha256::new().chain_update(request.uri().path()).chain_update(request.body()).finalize(),
            ),
            requested_by: Some(session.subject.clone()),
            audit_reason: None,
            version: 0,
            lease_until: now + LEASE_TTL,
        })
    }

    /// Stores the launch, or loads the one that the same key created and that was not rolled back.
    async fn create_or_load(
        &self,
        workspace: &Tenant,
        stored: StoredLaunch,
        after: Value,
    ) -> Result<StoredLaunch, Error> {
        let table = &self.connector.table;
        let (id, now) = (stored.launch.id.clone(), self.host.clock.now());
        // The recovery job first, so that every stored launch has one.
        self.host.queues.send_delayed(&job_of(workspace, &id), RECOVERY_DELAY).await?;
        let event = AuditEvent { after, ..audit_event(&stored) }.at(now);
        match table.create_launch(workspace, &stored, &event).await {
            Ok(()) => return Ok(stored),
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
        let earlier = table.launch(workspace, &id).await?;
        let earlier = earlier
            .ok_or_else(|| Error::Internal(format!("launch {id} disappeared while it was created")))?;
        if earlier.launch.state == LaunchState::RolledBack {
            let stored = StoredLaunch { version: earlier.version + 1, ..stored };
            return match table.restart_launch(workspace, &earlier, &stored, &event).await {
                Ok(()) => Ok(stored),
                Err(StoreError::Conflict) => Err(in_progress()),
                Err(error) => Err(error.into()),
            };
        }
        if earlier.request_hash != stored.request_hash {
            let why = "this Idempotency-Key was used with another body; take a new key for a new launch";
            return Err(Error::KeyReused(why.to_owned()));
        }
        if is_settled(&earlier.launch) {
            return Ok(earlier);
        }
        table.claim_launch(workspace, &id, now, now + LEASE_TTL).await.map_err(|error| match error {
            StoreError::Conflict => in_progress(),
            error => error.into(),
        })
    }
}

/// Returns the id of a request's launch: the same key always gives the same.
fn launch_id(
    session: &Session,
    ad_account: &AdAccountId,
    request: &Request<Bytes>,
) -> Result<LaunchId, Error> {
    let key = require_idempotency_key(request, "launch")?;
    let digest = Sha256::digest(format!("{}|{ad_account}|{key}", session.workspace));
    Ok(hex::encode(&digest[..8]).parse()?)
}

fn job_of(workspace: &Tenant, launch: &LaunchId) -> Job {
    Job::ResumeLaunch { workspace: workspace.clone(), launch: launch.clone() }
}

fn in_progress() -> Error {
    Error::InProgress("this launch is in progress; ask again in a moment".to_owned())
}

/// Returns whether a launch is committed, or over.
pub(crate) fn is_settled(launch: &Launch) -> bool {
    matches!(launch.state, LaunchState::Committed | LaunchState::RolledBack | LaunchState::NeedsReview)
}
