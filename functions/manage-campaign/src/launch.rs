//! A launch: one document becomes a campaign, an ad set and an ad, all PAUSED, or nothing.
//!
//! Before each call to Meta the step is written down as an intent, after it the id. A crash between leaves an
//! intent whose outcome is unknown; the next worker looks the object up by its name, which carries the
//! launch's id, before it creates anything. A step that fails for good undoes the ones before it in reverse.

use std::time::Duration;

use access::audit::{self, Act, Actor, Stage};
use access::{Reached, UseCase};
use ads::id::{AdAccountId, LaunchId, ObjectId};
use ads::job::Job;
use ads::launch::{Created, Launch, LaunchSpec, LaunchState, Step};
use ads::tenant::Tenant;
use ads::{Failure, Invalid};
use graph_api::GraphError;
use graph_api::launch::level_of;
use http::StatusCode;
use http::header::{HeaderValue, LOCATION};
use jiff::SignedDuration;
use runtime::route::Visit;
use runtime::{Reply, problem, reply};
use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use store::StoreError;
use store::launch::KeptLaunch;

use crate::advice::{advice, advised};
use crate::{Endpoint, ManageCampaign};

/// How long a worker may be silent. It saves before and after each call to Meta, and one call with its
/// retries takes less.
const WORKER_LASTS: SignedDuration = SignedDuration::from_mins(5);

/// When a launch is looked after in case its worker went away.
const LOOK_AFTER: Duration = Duration::from_secs(330);

/// A launch that is neither done nor undone after this long is left to a person.
const PATIENCE: SignedDuration = SignedDuration::from_hours(24);

/// Longest launch document, in bytes: it is kept as one item.
const LONGEST_DOCUMENT: usize = 64 * 1024;

#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct ShownLaunch<'a> {
    launch_id: &'a LaunchId,
    state: LaunchState,
    ad_account: &'a AdAccountId,
    #[serde(skip_serializing_if = "Option::is_none")]
    campaign_id: Option<&'a ObjectId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    adset_id: Option<&'a ObjectId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ad_id: Option<&'a ObjectId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a str>,
}

impl<'a> From<&'a Launch> for ShownLaunch<'a> {
    fn from(launch: &'a Launch) -> Self {
        Self {
            launch_id: &launch.id,
            state: launch.state,
            ad_account: &launch.ad_account,
            campaign_id: launch.id_of(Step::Campaign),
            adset_id: launch.id_of(Step::AdSet),
            ad_id: launch.id_of(Step::Ad),
            failure: launch.failure.as_deref(),
        }
    }
}

impl ManageCampaign {
    pub(crate) async fn launch(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let workspace = visit.workspace()?;
        let account = self.access.table.known_account(workspace, &visit.path("ad_account")?).await?;
        let key = visit.idempotency_key()?.ok_or_else(|| {
            let problem = "send this header, with 1 to 255 visible ASCII characters of your own per launch: a repeated request with the same text launches once";
            Invalid::new("Idempotency-Key", problem)
        })?;
        if visit.request.body().len() > LONGEST_DOCUMENT {
            return Err(Invalid::new("body", format!("may have {LONGEST_DOCUMENT} bytes at most")).into());
        }
        let mut spec: LaunchSpec = visit.json()?;
        account.details.defaults.fill(&mut spec);
        let mut findings = spec.check(account.currency);
        let connection = self.access.table.connection(workspace, &account.connection).await?;
        let (dsa, identities) = (spec.ad_set.dsa.as_ref(), &spec.ad_set.regional_identities);
        findings.extend(account.beneficiary_objections(connection.as_ref(), dsa, identities, "ad_set."));
        let wanted = self.draft(visit, &account.id, key, spec)?;
        let earlier = self.access.table.launch(workspace, &wanted.launch.id).await?;
        let earlier = earlier.filter(|earlier| earlier.request_hash == wanted.request_hash);
        // One that was written down goes on with the defaults of its time.
        if earlier.is_none() && !findings.is_empty() {
            return Err(Failure::Invalid(findings));
        }
        let kept = match earlier.filter(|earlier| is_settled(&earlier.launch)) {
            Some(settled) => settled,
            // Reached before it is written down: what cannot be launched leaves nothing to look after.
            None => {
                let reached = self.access.reach(workspace, &account.id, UseCase::AdsManagement).await?;
                let (act, now) = (launching(&wanted), self.host.clock.now());
                let intended = audit::leave(&self.access.table, workspace, &act, now).await;
                let kept = match intended {
                    Ok(()) => self.begin_and_work(&reached, wanted).await,
                    Err(failure) => Err(failure),
                };
                reached.done(kept).await?
            }
        };
        let launch = &kept.launch;
        let why = launch.failure.as_deref().unwrap_or("a step failed");
        match launch.state {
            LaunchState::Committed | LaunchState::Running | LaunchState::Undoing => {}
            LaunchState::Undone => {
                let why = format!("{why}; everything that was created has been deleted again");
                return Err(Failure::Refused(why));
            }
            LaunchState::Flagged => {
                let why =
                    format!("{why}; GET launches/{} shows what exists and must be looked at", launch.id);
                return Err(Failure::Conflict(why));
            }
        }
        let mut reply = reply::json(StatusCode::CREATED, &ShownLaunch::from(launch))?;
        let location = format!("/v1/workspaces/{workspace}/launches/{}", launch.id);
        let location =
            HeaderValue::from_str(&location).map_err(|error| Failure::Defect(error.to_string()))?;
        reply.headers_mut().insert(LOCATION, location);
        Ok(reply)
    }

    pub(crate) async fn show_launch(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let kept = self.access.table.launch(visit.workspace()?, &visit.path("launch")?).await?;
        let kept = kept.ok_or_else(|| Failure::NotFound("this launch".to_owned()))?;
        reply::ok(&ShownLaunch::from(&kept.launch))
    }

    /// Takes a launch up again whose worker may have gone away, until it is settled or a day has passed.
    pub(crate) async fn resume(&self, workspace: &Tenant, id: &LaunchId) -> Result<(), Failure> {
        let table = &self.access.table;
        match table.launch(workspace, id).await? {
            Some(kept) if !is_settled(&kept.launch) => {}
            _ => return Ok(()),
        }
        let now = self.host.clock.now();
        let again = |why: &str| Err(Failure::Wait { after: LOOK_AFTER, why: why.to_owned() });
        let mut kept = match table.take_launch(workspace, id, now, now + WORKER_LASTS).await {
            Ok(kept) => kept,
            Err(StoreError::Conflict) => return again("another worker is at it"),
            Err(error) => return Err(error.into()),
        };
        let ad_account = kept.launch.ad_account.clone();
        let worked = match self.access.reach(workspace, &ad_account, UseCase::AdsManagement).await {
            Ok(reached) => {
                let worked = self.work(&reached, &mut kept).await;
                reached.done(worked).await
            }
            Err(failure) => Err(failure),
        };
        let Err(failure) = worked else { return Ok(()) };
        if now.duration_since(kept.launch.started_at) < PATIENCE {
            return again(&failure.to_string());
        }
        tracing::error!(%workspace, launch = %id, %failure, "A launch is left to a person.");
        kept.launch.state = LaunchState::Flagged;
        kept.launch.failure = Some(problem::detail(&failure));
        self.settled(workspace, &kept).await?;
        Ok(table.save_launch(workspace, &mut kept, now).await?)
    }

    async fn begin_and_work(&self, reached: &Reached, wanted: KeptLaunch) -> Result<KeptLaunch, Failure> {
        let mut kept = self.begin(&reached.workspace, wanted).await?;
        if !is_settled(&kept.launch) {
            self.work(reached, &mut kept).await?;
        }
        Ok(kept)
    }

    /// The launch that a request asks for. The same key always means the same launch.
    fn draft(
        &self,
        visit: &Visit<Endpoint>,
        ad_account: &AdAccountId,
        key: &str,
        spec: LaunchSpec,
    ) -> Result<KeptLaunch, Failure> {
        let (session, now) = (visit.session()?, self.host.clock.now());
        let digest = Sha256::digest(format!("{}|{ad_account}|{key}", session.workspace));
        let id: LaunchId = hex::encode(&digest[..8]).parse()?;
        Ok(KeptLaunch {
            launch: Launch {
                id,
                ad_account: ad_account.clone(),
                spec,
                state: LaunchState::Running,
                created: Vec::new(),
                intent: None,
                failure: None,
                started_at: now,
            },
            request_hash: hex::encode(Sha256::digest(visit.request.body())),
            asked_by: Some(session.subject.clone()),
            version: 0,
            worker_until: now + WORKER_LASTS,
        })
    }

    /// Writes the launch down, or finds the one that the same key began.
    async fn begin(&self, workspace: &Tenant, kept: KeptLaunch) -> Result<KeptLaunch, Failure> {
        let table = &self.access.table;
        let (id, now) = (kept.launch.id.clone(), self.host.clock.now());
        // The look-after message goes first: a launch that exists is always looked after.
        let job = Job::ResumeLaunch { workspace: workspace.clone(), launch: id.clone() };
        self.host.queues.send_later(&job, LOOK_AFTER).await?;
        match table.begin_launch(workspace, &kept).await {
            Ok(()) => return Ok(kept),
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
        let earlier = table.launch(workspace, &id).await?;
        let earlier = earlier.ok_or_else(|| Failure::Defect(format!("launch {id} came and went")))?;
        if earlier.request_hash != kept.request_hash {
            let why = "this Idempotency-Key was used with another body; take a new key for a new launch";
            return Err(Failure::Conflict(why.to_owned()));
        }
        if is_settled(&earlier.launch) {
            return Ok(earlier);
        }
        table.take_launch(workspace, &id, now, now + WORKER_LASTS).await.map_err(|error| match error {
            StoreError::Conflict => {
                Failure::Conflict("this launch is under way; ask again in a moment".to_owned())
            }
            error => error.into(),
        })
    }

    /// Works until the launch is committed or undone, or an error stops it; then others may take over.
    async fn work(&self, reached: &Reached, kept: &mut KeptLaunch) -> Result<(), Failure> {
        let outcome = self.take_steps(reached, kept).await;
        if outcome.is_err() {
            // A second in the past, so that the next request need not wait for this one's end.
            let free = self.host.clock.now() - SignedDuration::from_secs(1);
            self.access.table.save_launch(&reached.workspace, kept, free).await?;
        }
        outcome
    }

    async fn take_steps(&self, reached: &Reached, kept: &mut KeptLaunch) -> Result<(), Failure> {
        while kept.launch.state == LaunchState::Running {
            let Some(step) = kept.launch.next_step() else {
                for created in &kept.launch.created {
                    reached.refresh(level_of(created.step), &created.id).await?;
                }
                kept.launch.state = LaunchState::Committed;
                self.settled(&reached.workspace, kept).await?;
                self.save(reached, kept).await?;
                break;
            };
            match self.take_step(reached, kept, step).await {
                Ok(id) => self.created(reached, kept, step, id).await?,
                Err(failure) if failure.may_pass() => return Err(failure),
                Err(failure) => {
                    kept.launch.state = LaunchState::Undoing;
                    kept.launch.failure = Some(format!("{}: {}", level_of(step), problem::detail(&failure)));
                    self.save(reached, kept).await?;
                }
            }
        }
        if kept.launch.state == LaunchState::Undoing {
            self.undo(reached, kept).await?;
        }
        Ok(())
    }

    async fn take_step(
        &self,
        reached: &Reached,
        kept: &mut KeptLaunch,
        step: Step,
    ) -> Result<ObjectId, Failure> {
        if kept.launch.intent == Some(step)
            && let Some(id) = find(reached, kept, step).await?
        {
            return Ok(id);
        }
        kept.launch.intent = Some(step);
        self.save(reached, kept).await?;
        match reached.caller.take_step(&kept.launch, step).await {
            // The answer was lost. The object may be there; if it is not, a later look decides.
            Err(GraphError::UnknownOutcome(details)) => {
                self.save(reached, kept).await?;
                let found = find(reached, kept, step).await?;
                found.ok_or_else(|| GraphError::UnknownOutcome(details).into())
            }
            answer => {
                // Meta has spoken: nothing is unknown about this step any more.
                kept.launch.intent = None;
                let advice = answer.as_ref().err().and_then(|error| advice(error, &kept.launch.spec));
                reached.heed(answer).await.map_err(|failure| advised(failure, advice))
            }
        }
    }

    async fn created(
        &self,
        reached: &Reached,
        kept: &mut KeptLaunch,
        step: Step,
        id: ObjectId,
    ) -> Result<(), Failure> {
        kept.launch.created.push(Created { step, id });
        kept.launch.intent = None;
        self.save(reached, kept).await
    }

    /// The last first, and before it whatever a lost answer may have left. Already gone is success.
    async fn undo(&self, reached: &Reached, kept: &mut KeptLaunch) -> Result<(), Failure> {
        if let Some(step) = kept.launch.intent {
            match find(reached, kept, step).await? {
                Some(id) => self.created(reached, kept, step, id).await?,
                None => kept.launch.intent = None,
            }
        }
        while let Some(created) = kept.launch.created.last().cloned() {
            reached.heed(reached.caller.remove(&created.id).await).await?;
            kept.launch.created.pop();
            self.save(reached, kept).await?;
        }
        kept.launch.state = LaunchState::Undone;
        self.settled(&reached.workspace, kept).await?;
        self.save(reached, kept).await
    }

    /// Leaves in the audit log how a launch ended, before the launch says so itself: a worker that comes later says
    /// the same again, which adds nothing.
    async fn settled(&self, workspace: &Tenant, kept: &KeptLaunch) -> Result<(), Failure> {
        let launch = &kept.launch;
        let created =
            launch.created.iter().map(|created| (level_of(created.step).to_string(), json!(created.id)));
        let created: Map<String, Value> = created.collect();
        let act = launching(kept);
        let act = Act {
            stage: match launch.state {
                LaunchState::Committed => Stage::Done,
                LaunchState::Undone => Stage::Failed,
                LaunchState::Running | LaunchState::Undoing | LaunchState::Flagged => Stage::Unknown,
            },
            meta: launch.id_of(Step::Campaign).map(ToString::to_string),
            reason: launch.failure.clone(),
            after: created.into(),
            ..act
        };
        audit::leave(&self.access.table, workspace, &act, self.host.clock.now()).await
    }

    /// Saves, and holds the launch for another while.
    async fn save(&self, reached: &Reached, kept: &mut KeptLaunch) -> Result<(), Failure> {
        let until = self.host.clock.now() + WORKER_LASTS;
        Ok(self.access.table.save_launch(&reached.workspace, kept, until).await?)
    }
}

/// A launch in the audit log: one act of whoever asked for it, however many workers it takes.
fn launching(kept: &KeptLaunch) -> Act {
    let (launch, spec) = (&kept.launch, &kept.launch.spec);
    let who = kept.asked_by.clone().map_or(Actor::Operator, |subject| Actor::Person { subject });
    let after = json!({"name": spec.name, "objective": spec.objective, "daily_budget": spec.daily_budget});
    let act =
        Act::new(format!("launch/{}", launch.id), who, "campaign.launched", format!("launch/{}", launch.id));
    act.in_account(&launch.ad_account).changing(Value::Null, after)
}

/// The object that a step whose answer was lost has created, if it has.
async fn find(reached: &Reached, kept: &KeptLaunch, step: Step) -> Result<Option<ObjectId>, Failure> {
    reached.heed(reached.caller.find_step(&kept.launch, step).await).await
}

fn is_settled(launch: &Launch) -> bool {
    matches!(launch.state, LaunchState::Committed | LaunchState::Undone | LaunchState::Flagged)
}
