//! Every tested permission is necessary: without it, its function fails, and the other functions are unaffected. Tested
//! are the permissions that a single request or message needs at once; `permissions` checks that no role has more than
//! its function needs, and `grants` simulates it with IAM.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, ensure};
use hosts::deployment::FUNCTIONS;
use hosts::ministack::IamMode;
use hosts::test_environment::{TestEnvironment, WORKSPACE};
use http::Method;
use journeys::launch_document;
use local::demo::ApiClient;
use serde_json::{Value, json};

use crate::grants;

/// A probe of a function.
#[derive(Debug)]
enum Probe {
    /// A call below the workspace.
    Call(Method, String, Value),
    /// A call that creates something, and one that deletes it.
    Pair((Method, String, Value), (Method, String)),
    /// A message, delivered as Lambda's poller does.
    Message(Value),
    /// A webhook as Meta delivers it.
    Webhook,
}

/// A permission, and the probe that needs it.
struct RequiredPermission {
    function: &'static str,
    action: &'static str,
    probe: Probe,
}

/// The deployed stack, with an account that is synced and measured.
struct Fixture {
    environment: TestEnvironment,
    api: ApiClient,
    campaign: String,
    /// Numbers the attempts, so that each is a different request.
    attempts: AtomicU32,
}

#[tokio::test]
#[ignore = "run by cargo xtask hosts"]
async fn removing_a_permission_breaks_only_its_function() {
    let fixture = Fixture::start().await.unwrap();
    let permissions = fixture.required_permissions().await.unwrap();
    for function in FUNCTIONS {
        assert!(
            permissions.iter().any(|permission| permission.function == function),
            "{function} is not tried"
        );
    }
    for permission in &permissions {
        let what = format!("{} without {}", permission.function, permission.action);
        fixture.check_permission(permission, &permissions).await.context(what).unwrap();
    }
    grants::check_grants(&fixture.environment.deployment).await.unwrap();
}

impl Fixture {
    async fn start() -> anyhow::Result<Self> {
        let environment = TestEnvironment::deploy(IamMode::Enforced, "roles").await?;
        let api = environment.api(WORKSPACE)?;
        environment.connect(&api).await?;
        environment.select(&api, true).await?;
        environment.wait_until_measured(&api).await?;
        environment.wait_until_idle().await?;
        let campaigns = api.all(&format!("{}campaigns", environment.ad_account())).await?;
        let campaign = campaigns[0]["id"].as_str().context("no campaign")?.to_owned();
        Ok(Self { environment, api, campaign, attempts: AtomicU32::new(0) })
    }

    /// Returns the tested permissions with their probes. Reads of the secrets come last: they need a cold start.
    async fn required_permissions(&self) -> anyhow::Result<Vec<RequiredPermission>> {
        let account = self.environment.ad_account();
        let id = self.environment.sim.account().id;
        let connections = self.api.call(Method::GET, "connections", None).await?;
        let connection = format!("connections/{}", connections["data"][0]["id"].as_str().unwrap_or_default());
        let (campaigns, campaign) =
            (format!("{account}campaigns"), format!("{account}campaigns/{}", self.campaign));
        let today = self.environment.today()?;
        let insights = format!("{account}insights?level=campaign&since={today}&until={today}");
        let get = |path: &str| Probe::Call(Method::GET, path.to_owned(), Value::Null);
        let week = format!("{}-W{:02}", today.iso_week_date().year(), today.iso_week_date().week());
        let chunk = json!({"job": "sync_chunk", "workspace": WORKSPACE, "ad_account": id, "week": week});
        let sync =
            json!({"job": "sync_account", "workspace": WORKSPACE, "ad_account": id, "cause": "request"});
        let evaluate = json!({"job": "evaluate_rules", "workspace": WORKSPACE, "ad_account": id});
        let change = json!({"job": "webhook_changes", "changes": [{
            "digest": "0".repeat(64), "object": "ad_account", "field": "in_process_ad_objects", "time": 1,
            "subject": {"entity": {"id": self.campaign, "level": "campaign", "ad_account": null}},
        }]});
        let select = || Probe::Call(Method::PUT, format!("{account}selection"), json!({"selected": true}));
        let rule = json!({
            "name": "Tell me", "level": "campaign", "action": {"type": "notify"},
            "when": {"measure": "spend", "window": "last_7_days", "operator": "above", "value": "0"},
            "guard": {"min_impressions": 1},
        });
        let schedule = json!({"at": "2099-12-01T09:00:00", "timezone": "UTC"});
        let launch = launch_document(&self.environment.sim.account());
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
            (Method::PUT, format!("{campaign}/schedules/activate"), schedule.clone()),
            (Method::DELETE, format!("{campaign}/schedules/activate")),
        );
        let shop =
            json!({"name": "Shop", "source": "taboola", "currency": "EUR", "timezone": "Europe/Berlin"});
        self.api.call(Method::PUT, "ad-accounts/import_shop", Some(&shop)).await?;
        let row = json!({
            "day": today, "ad_id": "1", "adset_id": "1", "campaign_id": "1",
            "impressions": 1, "clicks": 1, "spend": "1",
        });
        let ingest = Probe::Call(
            Method::POST,
            "ad-accounts/import_shop/facts".to_owned(),
            json!({"rows": [row], "create_entities": true}),
        );
        // The sync of an account that no workspace has removes it from the due index.
        let of_unknown_account = json!({
            "job": "sync_account", "workspace": WORKSPACE, "ad_account": "act_1", "cause": "recurring",
        });
        let permissions = [
            ("auth-meta", "dynamodb:Query", get("connections")),
            ("auth-meta", "dynamodb:GetItem", get(&connection)),
            (
                "auth-meta",
                "dynamodb:PutItem",
                Probe::Call(Method::POST, "connections/meta/authorize".to_owned(), Value::Null),
            ),
            ("auth-meta", "dynamodb:UpdateItem", select()),
            ("auth-meta", "sqs:SendMessage", select()),
            ("workspaces", "dynamodb:Query", get("members")),
            ("workspaces", "dynamodb:DeleteItem", withdraw()),
            ("live-updates", "dynamodb:Query", get("events")),
            ("manage-campaign", "dynamodb:Query", get(&campaigns)),
            ("manage-campaign", "dynamodb:GetItem", get(&campaign)),
            (
                "manage-campaign",
                "scheduler:CreateSchedule",
                Probe::Call(Method::PUT, format!("{campaign}/schedules/activate"), schedule.clone()),
            ),
            ("manage-campaign", "scheduler:DeleteSchedule", unschedule),
            ("manage-campaign", "sqs:SendMessage", Probe::Call(Method::POST, campaigns, launch)),
            ("sync-entities", "dynamodb:Query", get(&format!("{account}sync"))),
            ("sync-entities", "dynamodb:UpdateItem", Probe::Message(sync.clone())),
            ("sync-entities", "sqs:SendMessage", Probe::Message(sync)),
            ("sync-entities", "dynamodb:DeleteItem", Probe::Message(of_unknown_account)),
            ("sync-metrics-chunk", "dynamodb:GetItem", Probe::Message(chunk.clone())),
            ("sync-metrics-chunk", "dynamodb:Query", Probe::Message(chunk.clone())),
            ("sync-metrics-chunk", "dynamodb:UpdateItem", Probe::Message(chunk.clone())),
            ("sync-metrics-chunk", "sqs:SendMessage", Probe::Message(chunk.clone())),
            ("sync-metrics-chunk", "dynamodb:PutItem", ingest),
            ("evaluate-rules", "dynamodb:Query", get("rules")),
            ("evaluate-rules", "dynamodb:PutItem", Probe::Call(Method::POST, "rules".to_owned(), rule)),
            ("evaluate-rules", "dynamodb:GetItem", Probe::Message(evaluate)),
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
        Ok(permissions.map(|(function, action, probe)| RequiredPermission { function, action, probe }).into())
    }

    /// Checks that the probe works with the permission and fails without it, and that the other functions still work.
    async fn check_permission(
        &self,
        permission: &RequiredPermission,
        all: &[RequiredPermission],
    ) -> anyhow::Result<()> {
        let role =
            self.environment.deployment.resource(&format!("{}Role", logical_id(permission.function)))?;
        let named = json!({"RoleName": role, "PolicyName": permission.function});
        let iam = async |call, with| self.environment.deployment.account.call("iam", call, with).await;
        let whole = iam("get_role_policy", named.clone()).await?["PolicyDocument"].take();
        let put = |document: &Value| {
            let mut put = named.clone();
            put["PolicyDocument"] = document.to_string().into();
            put
        };
        self.run_probe(permission).await.context("it does not work with it either")?;
        iam("put_role_policy", put(&without(&whole, permission.action)?)).await?;
        self.restart_processes(permission)?;
        let broken = self.run_probe(permission).await.is_err();
        let mut others = Vec::new();
        for other in all.iter().filter(|other| other.function != permission.function) {
            // One probe for each function, and only reads, which leave no trace.
            let reads = matches!(&other.probe, Probe::Call(Method::GET, ..));
            if reads && !others.contains(&other.function) {
                others.push(other.function);
                self.run_probe(other).await.with_context(|| format!("{} notices", other.function))?;
            }
        }
        iam("put_role_policy", put(&whole)).await?;
        ensure!(broken, "it works without");
        self.run_probe(permission).await.context("it does not work again")
    }

    /// Kills the function's processes if the permission is used at the start only.
    fn restart_processes(&self, permission: &RequiredPermission) -> anyhow::Result<()> {
        if permission.action.starts_with("secretsmanager:") {
            let name = self.environment.deployment.name(permission.function);
            for process in self.environment.ministack.lambda_processes()? {
                if process.function == name {
                    process.kill()?;
                }
            }
        }
        Ok(())
    }

    async fn run_probe(&self, permission: &RequiredPermission) -> anyhow::Result<()> {
        match &permission.probe {
            Probe::Call(method, path, body) => {
                let body = Some(body).filter(|body| !body.is_null());
                let key = format!("try-{}", self.attempts.fetch_add(1, Ordering::Relaxed));
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
                    "FunctionName": self.environment.deployment.name(permission.function),
                    "Payload": json!({"Records": [record]}).to_string(),
                });
                let stack = &self.environment.deployment;
                let dead = format!("{}-dead", permission.function);
                let before = stack.messages(&dead).await?;
                let response = stack.account.call("lambda", "invoke", invoke).await?;
                ensure!(response.get("FunctionError").is_none(), "{response}");
                let payload: Value = serde_json::from_str(response["Payload"].as_str().unwrap_or_default())?;
                ensure!(payload["batchItemFailures"] == json!([]), "{payload}");
                // A message that no retry can help is dead-lettered at once, and counts as processed.
                ensure!(stack.messages(&dead).await? == before, "it was given up");
                Ok(())
            }
            Probe::Webhook => {
                self.api
                    .receive_webhook(&self.environment.sim, &json!(self.campaign), self.environment.now())
                    .await
            }
        }
    }
}

/// Returns the same policy without one action.
fn without(policy: &Value, action: &str) -> anyhow::Result<Value> {
    let mut changed = policy.clone();
    let statements = changed["Statement"].as_array_mut().context("a policy without statements")?;
    for statement in statements.iter_mut() {
        let actions = match statement["Action"].take() {
            Value::Array(listed) => listed.into_iter().filter(|known| known != action).collect(),
            known if known == action => Vec::new(),
            known => vec![known],
        };
        statement["Action"] = actions.into();
    }
    statements.retain(|statement| statement["Action"] != json!([]));
    ensure!(changed != *policy, "the role does not have it");
    Ok(changed)
}

/// Returns the logical id of a function: `sync-entities` is `SyncEntities` in the template.
pub(crate) fn logical_id(function: &str) -> String {
    function.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}
