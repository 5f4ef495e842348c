//! A permission of a role is there for something: without it, its function fails at that, and no other function
//! notices. Tried are those that a request or a message shows at once; that no role has more than its function needs
//! is held for all of them in `permissions`, and asked of IAM itself in `grants`.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, ensure};
use hosts::deployment::FUNCTIONS;
use hosts::ministack::Roles;
use hosts::stage::{Stage, WORKSPACE};
use http::Method;
use journeys::launch_document;
use local::main_job::Api;
use serde_json::{Value, json};

use crate::grants;

/// What to try a function with.
#[derive(Debug)]
enum Probe {
    /// A call below the workspace.
    Call(Method, String, Value),
    /// One call that makes something, and one that takes it away.
    Pair((Method, String, Value), (Method, String)),
    /// A message, handed over as Lambda's poller does.
    Message(Value),
    /// A webhook as Meta delivers it.
    Webhook,
}

/// One permission, and what cannot be done without it.
struct Need {
    function: &'static str,
    action: &'static str,
    probe: Probe,
}

/// The deployed stack, with an account that is mirrored and measured.
struct Scene {
    stage: Stage,
    api: Api,
    campaign: String,
    /// Every try is another request.
    tries: AtomicU32,
}

#[tokio::test]
#[ignore = "run by cargo xtask hosts"]
async fn a_permission_that_is_taken_away_breaks_exactly_its_function() {
    let scene = Scene::begin().await.unwrap();
    let needs = scene.needs().await.unwrap();
    for function in FUNCTIONS {
        assert!(needs.iter().any(|need| need.function == function), "{function} is not tried");
    }
    for need in &needs {
        let what = format!("{} without {}", need.function, need.action);
        scene.matters(need, &needs).await.context(what).unwrap();
    }
    grants::hold(&scene.stage.deployment).await.unwrap();
}

impl Scene {
    async fn begin() -> anyhow::Result<Self> {
        let stage = Stage::deploy(Roles::Enforced, "roles").await?;
        let api = stage.api(WORKSPACE)?;
        stage.connect(&api).await?;
        stage.select(&api, true).await?;
        stage.measured(&api).await?;
        stage.idle().await?;
        let campaigns = api.all(&format!("{}campaigns", stage.ad_account())).await?;
        let campaign = campaigns[0]["id"].as_str().context("no campaign")?.to_owned();
        Ok(Self { stage, api, campaign, tries: AtomicU32::new(0) })
    }

    /// The permissions that are tried, and by what. Reads of the secrets come last: they need a cold start.
    async fn needs(&self) -> anyhow::Result<Vec<Need>> {
        let account = self.stage.ad_account();
        let id = self.stage.sim.account().id;
        let connections = self.api.call(Method::GET, "connections", None).await?;
        let connection = format!("connections/{}", connections["data"][0]["id"].as_str().unwrap_or_default());
        let (campaigns, campaign) =
            (format!("{account}campaigns"), format!("{account}campaigns/{}", self.campaign));
        let today = self.stage.today()?;
        let insights = format!("{account}insights?level=campaign&since={today}&until={today}");
        let get = |path: &str| Probe::Call(Method::GET, path.to_owned(), Value::Null);
        let week = format!("{}-W{:02}", today.iso_week_date().year(), today.iso_week_date().week());
        let chunk = json!({"job": "sync_chunk", "workspace": WORKSPACE, "ad_account": id, "week": week});
        let sync =
            json!({"job": "sync_account", "workspace": WORKSPACE, "ad_account": id, "cause": "request"});
        let evaluate = json!({"job": "evaluate_rules", "workspace": WORKSPACE, "ad_account": id});
        let change = json!({
            "job": "webhook_change", "digest": "0".repeat(64), "object": "ad_account",
            "field": "in_process_ad_objects", "time": 1,
            "subject": {"object": {"id": self.campaign, "level": "campaign", "ad_account": null}},
        });
        let select = || Probe::Call(Method::PUT, format!("{account}selection"), json!({"selected": true}));
        let rule = json!({
            "name": "Tell me", "level": "campaign", "action": {"do": "notify"},
            "when": {"metric": "spend", "window": "last_7_days", "is": "above", "value": "0"},
            "guard": {"min_impressions": 1},
        });
        let schedule = json!({"activate_at": "2099-12-01T09:00:00", "timezone": "UTC"});
        let launch = launch_document(&self.stage.sim.account());
        let secret = "secretsmanager:GetSecretValue";
        let invitation = json!({"email": "bob@example.com", "role": "viewer"});
        let invited = self.api.call(Method::POST, "invitations", Some(&invitation)).await?;
        let invited = format!("invitations/{}", invited["id"].as_str().context("no invitation")?);
        let withdraw = || {
            Probe::Pair(
                (Method::POST, "invitations".to_owned(), invitation.clone()),
                (Method::DELETE, invited.clone()),
            )
        };
        let unschedule = Probe::Pair(
            (Method::PUT, format!("{campaign}/schedule"), schedule.clone()),
            (Method::DELETE, format!("{campaign}/schedule")),
        );
        // What nobody holds any more loses its place in an index, or its rhythm.
        let no_connection =
            json!({"job": "check_connection", "workspace": WORKSPACE, "connection": "meta-1"});
        let of_nobody = |job: &str, cause: Value| {
            let mut job = json!({"job": job, "workspace": WORKSPACE, "ad_account": "act_1"});
            if !cause.is_null() {
                job["cause"] = cause;
            }
            Probe::Message(job)
        };
        let needs = [
            ("auth-meta", "dynamodb:Query", get("connections")),
            ("auth-meta", "dynamodb:GetItem", get(&connection)),
            (
                "auth-meta",
                "dynamodb:PutItem",
                Probe::Call(Method::POST, "connections/meta/authorize".to_owned(), Value::Null),
            ),
            ("auth-meta", "dynamodb:UpdateItem", select()),
            ("auth-meta", "scheduler:CreateSchedule", select()),
            ("auth-meta", "sqs:SendMessage", select()),
            ("auth-meta", "dynamodb:DeleteItem", withdraw()),
            ("auth-meta", "dynamodb:ConditionCheckItem", Probe::Message(no_connection)),
            ("manage-campaign", "dynamodb:Query", get(&campaigns)),
            ("manage-campaign", "dynamodb:GetItem", get(&campaign)),
            (
                "manage-campaign",
                "scheduler:CreateSchedule",
                Probe::Call(Method::PUT, format!("{campaign}/schedule"), schedule.clone()),
            ),
            ("manage-campaign", "scheduler:DeleteSchedule", unschedule),
            ("manage-campaign", "sqs:SendMessage", Probe::Call(Method::POST, campaigns, launch)),
            ("sync-entities", "dynamodb:Query", get(&format!("{account}sync"))),
            ("sync-entities", "dynamodb:UpdateItem", Probe::Message(sync.clone())),
            ("sync-entities", "sqs:SendMessage", Probe::Message(sync)),
            ("sync-entities", "scheduler:DeleteSchedule", of_nobody("sync_account", json!("schedule"))),
            ("sync-metrics-chunk", "dynamodb:GetItem", Probe::Message(chunk.clone())),
            ("sync-metrics-chunk", "dynamodb:Query", Probe::Message(chunk.clone())),
            ("sync-metrics-chunk", "dynamodb:UpdateItem", Probe::Message(chunk.clone())),
            ("sync-metrics-chunk", "sqs:SendMessage", Probe::Message(chunk.clone())),
            ("evaluate-rules", "dynamodb:Query", get("rules")),
            ("evaluate-rules", "dynamodb:PutItem", Probe::Call(Method::POST, "rules".to_owned(), rule)),
            ("evaluate-rules", "dynamodb:GetItem", Probe::Message(evaluate)),
            ("evaluate-rules", "scheduler:DeleteSchedule", of_nobody("evaluate_rules", Value::Null)),
            ("webhook-ingest", "sqs:SendMessage", Probe::Webhook),
            ("webhook-ingest", "dynamodb:PutItem", Probe::Message(change)),
            ("query-insights", "dynamodb:Query", get(&insights)),
            ("auth-meta", secret, get("connections")),
            ("manage-campaign", secret, get(&campaign)),
            ("sync-entities", secret, get(&format!("{account}sync"))),
            ("sync-metrics-chunk", secret, Probe::Message(chunk)),
            ("evaluate-rules", secret, get("rules")),
            ("webhook-ingest", secret, Probe::Webhook),
        ];
        Ok(needs.map(|(function, action, probe)| Need { function, action, probe }).into())
    }

    /// With the permission it works, without it does not, and the other functions do not notice.
    async fn matters(&self, need: &Need, all: &[Need]) -> anyhow::Result<()> {
        let role = self.stage.deployment.resource(&format!("{}Role", logical(need.function)))?;
        let named = json!({"RoleName": role, "PolicyName": need.function});
        let iam = async |call, with| self.stage.deployment.account.call("iam", call, with).await;
        let whole = iam("get_role_policy", named.clone()).await?["PolicyDocument"].take();
        let put = |document: &Value| {
            let mut put = named.clone();
            put["PolicyDocument"] = document.to_string().into();
            put
        };
        self.try_with(need).await.context("it does not work with it either")?;
        iam("put_role_policy", put(&without(&whole, need.action)?)).await?;
        self.start_anew(need)?;
        let broken = self.try_with(need).await.is_err();
        let mut others = Vec::new();
        for other in all.iter().filter(|other| other.function != need.function) {
            // One thing each, and nothing that leaves a trace.
            let reads = matches!(&other.probe, Probe::Call(Method::GET, ..));
            if reads && !others.contains(&other.function) {
                others.push(other.function);
                self.try_with(other).await.with_context(|| format!("{} notices", other.function))?;
            }
        }
        iam("put_role_policy", put(&whole)).await?;
        ensure!(broken, "it works without");
        self.try_with(need).await.context("it does not work again")
    }

    /// What is read at the start only is missed by a process that starts.
    fn start_anew(&self, need: &Need) -> anyhow::Result<()> {
        if need.action.starts_with("secretsmanager:") {
            let name = self.stage.deployment.name(need.function);
            for process in self.stage.ministack.lambda_processes()? {
                if process.function == name {
                    process.kill()?;
                }
            }
        }
        Ok(())
    }

    async fn try_with(&self, need: &Need) -> anyhow::Result<()> {
        match &need.probe {
            Probe::Call(method, path, body) => {
                let body = Some(body).filter(|body| !body.is_null());
                let key = format!("try-{}", self.tries.fetch_add(1, Ordering::Relaxed));
                self.api.call_with(method.clone(), path, body, &[("idempotency-key", &key)]).await.map(drop)
            }
            Probe::Pair((method, path, body), (then, gone)) => {
                self.api.call(method.clone(), path, Some(body)).await?;
                self.api.call(then.clone(), gone, None).await.map(drop)
            }
            Probe::Message(job) => {
                let record = json!({
                    "messageId": "probe", "body": job.to_string(), "eventSource": "aws:sqs",
                    "attributes": {"ApproximateReceiveCount": "1"}, "messageAttributes": {},
                });
                let invoke = json!({
                    "FunctionName": self.stage.deployment.name(need.function),
                    "Payload": json!({"Records": [record]}).to_string(),
                });
                let stack = &self.stage.deployment;
                let dead = format!("{}-dead", need.function);
                let before = stack.messages(&dead).await?;
                let answer = stack.account.call("lambda", "invoke", invoke).await?;
                ensure!(answer.get("FunctionError").is_none(), "{answer}");
                let payload: Value = serde_json::from_str(answer["Payload"].as_str().unwrap_or_default())?;
                ensure!(payload["batchItemFailures"] == json!([]), "{payload}");
                // What no other try can mend is put aside at once, and counts as taken.
                ensure!(stack.messages(&dead).await? == before, "it was given up");
                Ok(())
            }
            Probe::Webhook => {
                self.api.deliver_change(&self.stage.sim, &json!(self.campaign), self.stage.now()).await
            }
        }
    }
}

/// A policy that says the same but for one action.
fn without(policy: &Value, action: &str) -> anyhow::Result<Value> {
    let mut changed = policy.clone();
    let statements = changed["Statement"].as_array_mut().context("a policy without statements")?;
    for statement in statements.iter_mut() {
        let kept = match statement["Action"].take() {
            Value::Array(actions) => actions.into_iter().filter(|known| known != action).collect(),
            known if known == action => Vec::new(),
            known => vec![known],
        };
        statement["Action"] = kept.into();
    }
    statements.retain(|statement| statement["Action"] != json!([]));
    ensure!(changed != *policy, "the role does not have it");
    Ok(changed)
}

/// `sync-entities` is `SyncEntities` in the template.
pub(crate) fn logical(function: &str) -> String {
    function.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}
