//! Verifies that every resource exists after a deployment: the emulator calls a stack complete whatever it has left
//! out.

use std::collections::BTreeSet;
use std::process::Stdio;

use anyhow::{Context, ensure};
use domain::job::Queue;
use hosts::deployment::{Deployment, FUNCTIONS};
use hosts::edge::node_binary;
use hosts::ministack::IamMode;
use hosts::process::root;
use hosts::template::Template;
use hosts::test_environment::{ORIGINS, TestEnvironment};
use http::Method;
use runtime::keyring::KeyringDocument;
use runtime::queue::dead_letter_queue_name;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// The packages of tests/hosts/browser, which `cargo xtask` installs.
const BROWSER_PACKAGES: &str = "target/browser/node";

#[tokio::test]
#[ignore = "run by cargo xtask hosts"]
async fn every_resource_of_the_template_exists() {
    let environment = TestEnvironment::deploy(IamMode::Ignored, "deployed").await.unwrap();
    let stack = &environment.deployment;
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
    check_sessions_and_cors(&environment).await.unwrap();
    log_in_from_another_site(&environment).await.unwrap();
    environment.finish().await.unwrap();
    let error = leak(&environment).await.and(environment.finish().await).unwrap_err().to_string();
    for channel in ["LogLine", "Queue", "Table", "GraphUrl"] {
        assert!(error.contains(&format!("a token in {channel}")), "{channel}: {error}");
    }
}

/// Leaks a token into every channel that the scanner reads.
async fn leak(environment: &TestEnvironment) -> anyhow::Result<()> {
    let token = environment.sim.issue_token("1", &["ads_read"]);
    let http = reqwest::Client::new();
    http.get(format!("{}/v26.0/me?access_token={token}", environment.sim.base_url())).send().await?;
    // Every line of a request carries the correlation id from its header.
    let begins: String = token.chars().filter(|c| c.is_ascii_alphanumeric()).take(30).collect();
    let url = format!("{}/v1/workspaces/demo/connections", environment.deployment.url);
    http.get(url).header("x-correlation-id", begins).send().await?;
    let url = environment.deployment.queue_url("evaluate-rules-dead").await?;
    let account = &environment.deployment.account;
    account.call("sqs", "send_message", json!({"QueueUrl": url, "MessageBody": token})).await?;
    let item = json!({"pk": {"S": "WS#demo"}, "sk": {"S": "PLANTED"}, "text": {"S": token}});
    let put = json!({"TableName": environment.deployment.output("TableName")?, "Item": item});
    account.call("dynamodb", "put_item", put).await.map(drop)
}

/// Checks that every route of the code leads to its function, and that there is no other.
async fn routes(stack: &Deployment) -> anyhow::Result<()> {
    let expected: BTreeSet<String> = openapi::routes()
        .iter()
        .flat_map(|route| {
            let (path, function) = (route.path, route.function);
            route.methods().into_iter().map(move |method| format!("{method} {path} -> {function}"))
        })
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
    // The emulator ignores these limits, and SAM copies them to the API, so the template is checked.
    let template = Template::read()?;
    let limits = &template.resource("Api")["Properties"]["DefaultRouteSettings"];
    let per_second = json!({"Ref": "RequestsPerSecond"});
    ensure!(
        *limits == json!({"ThrottlingRateLimit": per_second, "ThrottlingBurstLimit": per_second}),
        "{limits}"
    );
    Ok(())
}

/// Checks that the function runs our program with its own role and its own log group, which has a retention.
async fn program(stack: &Deployment, function: &str) -> anyhow::Result<()> {
    let name = stack.name(function);
    let found =
        stack.account.call("lambda", "get_function_configuration", json!({"FunctionName": name})).await?;
    ensure!(found["Runtime"] == "provided.al2023" && found["Handler"] == "bootstrap", "{found}");
    ensure!(found["CodeSize"].as_u64().is_some_and(|size| size > 1_000_000), "no program: {found}");
    let role = stack.resource(&format!("{}Role", logical_id(function)))?;
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

/// Checks that the queue reports failures by message, waits six timeouts before a retry, and has a dead-letter queue.
async fn consumer(stack: &Deployment, queue: Queue) -> anyhow::Result<()> {
    let (attributes, dead) =
        (stack.queue(queue.name()).await?, stack.queue(&dead_letter_queue_name(queue)).await?);
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

/// Checks that the group for run-time schedules exists and is empty, and that the recurring jobs are scheduled.
async fn schedules(stack: &Deployment) -> anyhow::Result<()> {
    let group = json!({"Name": stack.resource("Schedules")?});
    let group = stack.account.call("scheduler", "get_schedule_group", group).await?;
    ensure!(group["State"] == "ACTIVE", "{group}");
    ensure!(stack.schedules(text(&group, "Name")?).await?.is_empty(), "something is planned already");
    let expected = [
        ("take-due", "rate(1 minute)", "OFF", "sync-entities", json!({"job": "take_due"})),
        ("watch-accounts", "rate(1 hour)", "FLEXIBLE", "sync-entities", json!({"job": "watch_accounts"})),
        ("check-connections", "rate(1 day)", "FLEXIBLE", "auth-meta", json!({"job": "check_connections"})),
    ];
    for (name, rate, window, function, job) in expected {
        let schedule = stack.schedule("default", name).await?;
        ensure!(schedule["ScheduleExpression"] == rate && schedule["State"] == "ENABLED", "{schedule}");
        ensure!(schedule["FlexibleTimeWindow"]["Mode"] == window, "{schedule}");
        let target = &schedule["Target"];
        ensure!(text(target, "Arn")?.ends_with(&format!(":function:{}", stack.name(function))), "{schedule}");
        ensure!(text(target, "RoleArn")?.ends_with(stack.resource("RecurringJobsRole")?), "{schedule}");
        ensure!(serde_json::from_str::<Value>(text(target, "Input")?)? == job, "{schedule}");
        // Events that fail for hours are dead-lettered, where an alarm counts them.
        let dead = stack.queue(&format!("{function}-dead")).await?;
        ensure!(target["DeadLetterConfig"]["Arn"] == dead["QueueArn"], "{schedule}");
    }
    Ok(())
}

/// Checks that every alarm notifies the one topic, and that the dashboard exists.
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
        expected.insert(format!("ApproximateNumberOfMessagesVisible {}", dead_letter_queue_name(queue)));
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

/// Checks the table; properties that the emulator does not support are checked in the template.
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

/// Checks that our programs can parse the generated keyring.
async fn secrets(stack: &Deployment) -> anyhow::Result<()> {
    let id = json!({"SecretId": stack.output("KeyringSecretName")?});
    let keyring = stack.account.call("secretsmanager", "get_secret_value", id).await?;
    let keyring = KeyringDocument::parse(&text(&keyring, "SecretString")?.to_owned().into())?;
    ensure!(keyring.current() == "k1" && keyring.has_single_key(), "it is no keyring with one key");
    Ok(())
}

/// Checks that only the origins of the parameter may call the API, and that a call without a session gets 401.
async fn check_sessions_and_cors(environment: &TestEnvironment) -> anyhow::Result<()> {
    let http = reqwest::Client::new();
    let url = format!("{}/v1/workspaces/demo/connections", environment.deployment.url);
    let preflight = async |origin: &str| {
        let ask = http.request(Method::OPTIONS, &url).header("origin", origin);
        ask.header("access-control-request-method", "GET").send().await
    };
    for origin in ORIGINS {
        let response = preflight(origin).await?;
        ensure!(response.status() == 204, "{origin}: {}", response.status());
        ensure!(response.headers()["access-control-allow-origin"] == origin, "{:?}", response.headers());
    }
    let stranger = preflight("https://evil.example.com").await?;
    ensure!(!stranger.headers().contains_key("access-control-allow-origin"), "{:?}", stranger.headers());

    let nobody = http.get(&url).header("origin", ORIGINS[0]).send().await?;
    ensure!(nobody.status() == 401, "{}", nobody.status());
    ensure!(nobody.headers()["content-type"] == "application/problem+json", "{:?}", nobody.headers());
    ensure!(nobody.headers()["access-control-allow-origin"] == ORIGINS[0], "{:?}", nobody.headers());
    let nowhere = http.get(format!("{}/v1/nothing", environment.deployment.url)).send().await?;
    ensure!(nowhere.status() == 404, "{}", nowhere.status());
    Ok(())
}

/// Has a front end of an allowed origin log in at the address that AWS gives the API, over HTTPS, in Chromium: two
/// sites, and cookies of a host.
async fn log_in_from_another_site(environment: &TestEnvironment) -> anyhow::Result<()> {
    let api = environment.api("browser")?;
    let system = json!({
        "url": environment.deployment.output("ApiUrl")?,
        "at": environment.deployment.url,
        "front_end": ORIGINS[0],
        "workspace": "browser",
        "token": api.token(),
        "ad_account": environment.sim.account().id,
        "campaigns": false,
    });
    let mut script = Command::new(node_binary());
    script.arg(root().join("tests/hosts/browser/login.mjs")).arg(root().join(BROWSER_PACKAGES));
    script.env("TMPDIR", root().join(BROWSER_PACKAGES).with_file_name("tmp")).kill_on_drop(true);
    let mut process = script.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    let mut input = process.stdin.take().context("the script has no input")?;
    input.write_all(system.to_string().as_bytes()).await?;
    drop(input);
    let status = process.wait().await?;
    ensure!(status.success(), "the login in Chromium failed ({status})");
    Ok(())
}

/// Returns the logical id of a function: `sync-entities` is `SyncEntities` in the template.
fn logical_id(function: &str) -> String {
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
