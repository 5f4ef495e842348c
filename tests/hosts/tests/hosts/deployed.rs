//! What exists after a deployment: the emulator calls a stack complete whatever it has left out.

use std::collections::BTreeSet;

use ads::job::Queue;
use anyhow::{Context, ensure};
use hosts::deployment::{Deployment, FUNCTIONS};
use hosts::ministack::Roles;
use hosts::stage::{ORIGINS, Stage};
use hosts::template::Template;
use http::Method;
use runtime::keyring::KeyringDocument;
use runtime::queue::dead_letters;
use runtime::route::Route;
use serde_json::{Value, json};

#[tokio::test]
#[ignore = "run by cargo xtask hosts"]
async fn everything_that_the_template_names_is_there() {
    let stage = Stage::deploy(Roles::Ignored, "deployed").await.unwrap();
    let stack = &stage.deployment;
    routes(stack).await.unwrap();
    for function in FUNCTIONS {
        program(stack, function).await.with_context(|| function.to_owned()).unwrap();
    }
    for queue in Queue::ALL {
        consumer(stack, queue).await.with_context(|| queue.name().to_owned()).unwrap();
    }
    schedules(stack).await.unwrap();
    alarms(stack).await.unwrap();
    table(stack).await.unwrap();
    secrets(stack).await.unwrap();
    door(&stage).await.unwrap();
    stage.end().await.unwrap();
    let told = leak(&stage).await.and(stage.end().await).unwrap_err().to_string();
    for place in ["Line", "Queue", "Table", "GraphUrl"] {
        assert!(told.contains(&format!("a token in {place}")), "{place}: {told}");
    }
}

/// Lets a token out wherever the canaries look.
async fn leak(stage: &Stage) -> anyhow::Result<()> {
    let token = stage.sim.issue_token("1", &["ads_read"]);
    let http = reqwest::Client::new();
    http.get(format!("{}/v26.0/me?access_token={token}", stage.sim.base_url())).send().await?;
    // Every line of a request carries the correlation id that it came with.
    let begins: String = token.chars().filter(|c| c.is_ascii_alphanumeric()).take(30).collect();
    let url = format!("{}/v1/workspaces/demo/connections", stage.deployment.url);
    http.get(url).header("x-correlation-id", begins).send().await?;
    let url = stage.deployment.queue_url("evaluate-rules-dead").await?;
    let account = &stage.deployment.account;
    account.call("sqs", "send_message", json!({"QueueUrl": url, "MessageBody": token})).await?;
    let item = json!({"pk": {"S": "WS#demo"}, "sk": {"S": "PLANTED"}, "text": {"S": token}});
    let put = json!({"TableName": stage.deployment.output("TableName")?, "Item": item});
    account.call("dynamodb", "put_item", put).await.map(drop)
}

/// Every route of the code leads to its function, and there is no other.
async fn routes(stack: &Deployment) -> anyhow::Result<()> {
    fn of<E>(function: &'static str, routes: &'static [Route<E>]) -> impl Iterator<Item = String> {
        routes.iter().map(move |route| format!("{} {} -> {function}", route.method, route.path))
    }
    let expected: BTreeSet<String> = of("auth-meta", auth_meta::ROUTES)
        .chain(of("manage-campaign", manage_campaign::ROUTES))
        .chain(of("sync-entities", sync_entities::ROUTES))
        .chain(of("sync-metrics-chunk", sync_metrics_chunk::ROUTES))
        .chain(of("evaluate-rules", evaluate_rules::ROUTES))
        .chain(of("webhook-ingest", webhook_ingest::ROUTES))
        .chain(of("query-insights", query_insights::ROUTES))
        .collect();
    let api = json!({"ApiId": stack.resource("Api")?});
    let integrations = stack.account.call("apigatewayv2", "get_integrations", api.clone()).await?;
    let target = |route: &Value| {
        let id = text(route, "Target")?.rsplit_once('/').context("a target without an id")?.1;
        let found = items(&integrations["Items"]).find(|integration| integration["IntegrationId"] == id);
        let uri = text(found.context("a route to nothing")?, "IntegrationUri")?;
        let function = uri.split("function:").nth(1).and_then(|rest| rest.split('/').next());
        anyhow::Ok(function.context("a route to no function")?.replace(&stack.name(""), ""))
    };
    let found = stack.account.call("apigatewayv2", "get_routes", api).await?;
    let found: anyhow::Result<BTreeSet<String>> = items(&found["Items"])
        .map(|route| Ok(format!("{} -> {}", text(route, "RouteKey")?, target(route)?)))
        .collect();
    let found = found?;
    ensure!(found == expected, "{:#?}", found.symmetric_difference(&expected).collect::<Vec<_>>());
    // The emulator takes no limits: SAM hands these on to the stage.
    let template = Template::read()?;
    let limits = &template.resource("Api")["Properties"]["DefaultRouteSettings"];
    let per_second = json!({"Ref": "RequestsPerSecond"});
    ensure!(
        *limits == json!({"ThrottlingRateLimit": per_second, "ThrottlingBurstLimit": per_second}),
        "{limits}"
    );
    Ok(())
}

/// The function runs our program, as its own role, and writes into its own log, which is kept for a while.
async fn program(stack: &Deployment, function: &str) -> anyhow::Result<()> {
    let name = stack.name(function);
    let found =
        stack.account.call("lambda", "get_function_configuration", json!({"FunctionName": name})).await?;
    ensure!(found["Runtime"] == "provided.al2023" && found["Handler"] == "bootstrap", "{found}");
    ensure!(found["CodeSize"].as_u64().is_some_and(|size| size > 1_000_000), "no program: {found}");
    let role = stack.resource(&format!("{}Role", logical(function)))?;
    ensure!(text(&found, "Role")?.ends_with(&format!("/{role}")), "{found}");
    let policies = stack.account.call("iam", "list_role_policies", json!({"RoleName": role})).await?;
    ensure!(policies["PolicyNames"] == json!([function]), "{policies}");
    let managed = stack.account.call("iam", "list_attached_role_policies", json!({"RoleName": role})).await?;
    ensure!(managed["AttachedPolicies"] == json!([]), "{managed}");
    let prefix = json!({"logGroupNamePrefix": format!("/aws/lambda/{name}")});
    let group = stack.account.call("logs", "describe_log_groups", prefix).await?;
    ensure!(group["logGroups"][0]["retentionInDays"] == 30, "{group}");
    Ok(())
}

/// The queue is consumed message by message, patiently, and gives up into its dead letters.
async fn consumer(stack: &Deployment, queue: Queue) -> anyhow::Result<()> {
    let (attributes, dead) = (stack.queue(queue.name()).await?, stack.queue(&dead_letters(queue)).await?);
    let name = stack.name(queue.name());
    let function =
        stack.account.call("lambda", "get_function_configuration", json!({"FunctionName": name})).await?;
    let timeout = function["Timeout"].as_u64().context("no timeout")?;
    let six_timeouts = (6 * timeout).to_string();
    ensure!(attributes["VisibilityTimeout"] == six_timeouts, "{attributes}");
    let redrive: Value = serde_json::from_str(text(&attributes, "RedrivePolicy")?)?;
    ensure!(redrive == json!({"deadLetterTargetArn": dead["QueueArn"], "maxReceiveCount": 5}), "{redrive}");
    for queue in [&attributes, &dead] {
        let fortnight = (14 * 24 * 3600).to_string();
        ensure!(queue["MessageRetentionPeriod"] == fortnight, "{queue}");
        ensure!(queue["SqsManagedSseEnabled"] == "true", "{queue}");
    }
    let mappings = json!({"FunctionName": name});
    let mappings = stack.account.call("lambda", "list_event_source_mappings", mappings).await?;
    let mappings: Vec<&Value> = items(&mappings["EventSourceMappings"]).collect();
    let [mapping] = mappings[..] else { anyhow::bail!("{} mappings", mappings.len()) };
    ensure!(mapping["EventSourceArn"] == attributes["QueueArn"], "{mapping}");
    ensure!(mapping["FunctionResponseTypes"] == json!(["ReportBatchItemFailures"]), "{mapping}");
    ensure!(mapping["ScalingConfig"]["MaximumConcurrency"].as_u64() >= Some(2), "{mapping}");
    ensure!(mapping["State"] == "Enabled", "{mapping}");
    Ok(())
}

/// The group for what functions plan is there and empty; what looks by itself is planned.
async fn schedules(stack: &Deployment) -> anyhow::Result<()> {
    let group = json!({"Name": stack.resource("Schedules")?});
    let group = stack.account.call("scheduler", "get_schedule_group", group).await?;
    ensure!(group["State"] == "ACTIVE", "{group}");
    ensure!(stack.schedules(text(&group, "Name")?).await?.is_empty(), "something is planned already");
    let looks = [
        ("watch-accounts", "rate(1 hour)", "sync-entities", json!({"job": "watch_accounts"})),
        ("check-connections", "rate(1 day)", "auth-meta", json!({"job": "check_connections"})),
    ];
    for (name, rate, function, job) in looks {
        let look = stack.schedule("default", name).await?;
        ensure!(look["ScheduleExpression"] == rate && look["State"] == "ENABLED", "{look}");
        ensure!(look["FlexibleTimeWindow"]["Mode"] == "FLEXIBLE", "{look}");
        let target = &look["Target"];
        ensure!(text(target, "Arn")?.ends_with(&format!(":function:{}", stack.name(function))), "{look}");
        ensure!(text(target, "RoleArn")?.ends_with(stack.resource("WatchRole")?), "{look}");
        ensure!(serde_json::from_str::<Value>(text(target, "Input")?)? == job, "{look}");
        // What could not be done in vain for hours lies where an alarm looks.
        let dead = stack.queue(&format!("{function}-dead")).await?;
        ensure!(target["DeadLetterConfig"]["Arn"] == dead["QueueArn"], "{look}");
    }
    Ok(())
}

/// What an operator must hear of rings, all of it at one place.
async fn alarms(stack: &Deployment) -> anyhow::Result<()> {
    let found = stack.account.call("cloudwatch", "describe_alarms", json!({"MaxRecords": 100})).await?;
    let topic = stack.output("AlarmTopic")?;
    let mut watched = BTreeSet::new();
    for alarm in items(&found["MetricAlarms"]) {
        ensure!(alarm["AlarmActions"] == json!([topic]) && alarm["OKActions"] == json!([topic]), "{alarm}");
        let what = alarm["Dimensions"][0]["Value"].as_str().unwrap_or_default();
        watched.insert(format!("{} {}", text(alarm, "MetricName")?, what.replace(&stack.name(""), "")));
    }
    let mut expected: BTreeSet<String> = [
        "StaleAccounts sync-entities",
        "ExpiringTokens sync-entities",
        "SignatureFailures webhook-ingest",
        &format!("5xx {}", stack.resource("Api")?),
    ]
    .map(str::to_owned)
    .into();
    for function in FUNCTIONS {
        expected.extend([format!("Errors {function}"), format!("Throttles {function}")]);
    }
    for queue in Queue::ALL {
        expected.insert(format!("ApproximateNumberOfMessagesVisible {}", dead_letters(queue)));
        expected.insert(format!("ApproximateAgeOfOldestMessage {}", queue.name()));
    }
    let missing: Vec<_> = expected.difference(&watched).collect();
    ensure!(missing.is_empty(), "nobody watches {missing:?}; watched: {watched:?}");
    let dashboard = json!({"DashboardName": stack.resource("Dashboard")?});
    let dashboard = stack.account.call("cloudwatch", "get_dashboard", dashboard).await?;
    let body: Value = serde_json::from_str(text(&dashboard, "DashboardBody")?)?;
    ensure!(items(&body["widgets"]).count() > 5, "{body}");
    Ok(())
}

/// What the emulator does not take from the template is looked up there.
async fn table(stack: &Deployment) -> anyhow::Result<()> {
    let name = json!({"TableName": stack.output("TableName")?});
    let table = stack.account.call("dynamodb", "describe_table", name).await?["Table"].take();
    let keys =
        json!([{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]);
    ensure!(table["KeySchema"] == keys, "{table}");
    ensure!(table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST", "{table}");
    let template = Template::read()?;
    let written = &template.resource("Table")["Properties"];
    for (property, on) in [
        ("TimeToLiveSpecification", json!({"AttributeName": "expires", "Enabled": true})),
        ("PointInTimeRecoverySpecification", json!({"PointInTimeRecoveryEnabled": true})),
        ("SSESpecification", json!({"SSEEnabled": true})),
    ] {
        ensure!(written[property] == on, "{property} is {}", written[property]);
    }
    Ok(())
}

/// The generated keyring is one that our programs read.
async fn secrets(stack: &Deployment) -> anyhow::Result<()> {
    let id = json!({"SecretId": stack.output("KeyringSecretName")?});
    let keyring = stack.account.call("secretsmanager", "get_secret_value", id).await?;
    let keyring = KeyringDocument::parse(&text(&keyring, "SecretString")?.to_owned().into())?;
    ensure!(keyring.current() == "k1" && keyring.is_at_rest(), "it is no keyring with one key");
    Ok(())
}

/// The door itself: front ends of the parameter may come in, others not, and nobody without a session.
async fn door(stage: &Stage) -> anyhow::Result<()> {
    let http = reqwest::Client::new();
    let url = format!("{}/v1/workspaces/demo/connections", stage.deployment.url);
    let preflight = async |origin: &str| {
        let ask = http.request(Method::OPTIONS, &url).header("origin", origin);
        ask.header("access-control-request-method", "GET").send().await
    };
    for origin in ORIGINS {
        let answer = preflight(origin).await?;
        ensure!(answer.status() == 204, "{origin}: {}", answer.status());
        ensure!(answer.headers()["access-control-allow-origin"] == origin, "{:?}", answer.headers());
        ensure!(answer.headers()["access-control-allow-credentials"] == "true", "{:?}", answer.headers());
    }
    let stranger = preflight("https://evil.example.com").await?;
    ensure!(!stranger.headers().contains_key("access-control-allow-origin"), "{:?}", stranger.headers());

    let nobody = http.get(&url).header("origin", ORIGINS[0]).send().await?;
    ensure!(nobody.status() == 401, "{}", nobody.status());
    ensure!(nobody.headers()["content-type"] == "application/problem+json", "{:?}", nobody.headers());
    ensure!(nobody.headers()["access-control-allow-origin"] == ORIGINS[0], "{:?}", nobody.headers());
    let nowhere = http.get(format!("{}/v1/nothing", stage.deployment.url)).send().await?;
    ensure!(nowhere.status() == 404, "{}", nowhere.status());
    Ok(())
}

/// `sync-entities` is `SyncEntities` in the template.
fn logical(function: &str) -> String {
    let capitalized = |word: &str| {
        word.chars().take(1).map(|first| first.to_ascii_uppercase()).collect::<String>()
            + word.get(1..).unwrap_or_default()
    };
    function.split('-').map(capitalized).collect()
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn text<'a>(value: &'a Value, field: &str) -> anyhow::Result<&'a str> {
    value[field].as_str().with_context(|| format!("{field} in {value}"))
}
