//! The template, deployed as an operator deploys it.

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

use crate::aws::Account;
use crate::process::root;

/// Every deployable, by its folder in `functions/`.
pub const FUNCTIONS: [&str; 9] = [
    "auth-meta",
    "manage-campaign",
    "sync-entities",
    "sync-metrics-chunk",
    "evaluate-rules",
    "webhook-ingest",
    "query-insights",
    "workspaces",
    "live-updates",
];

/// Returns the bucket for CloudFormation's bundles. Bucket names are global, so each scenario has its own.
fn bucket(account: &Account) -> String {
    format!("bundles-{}", account.id)
}

/// The number of times that CloudFormation is asked whether it is done.
const STACK_POLLS: std::ops::Range<u32> = 0..300;

/// A deployed stack.
pub struct Deployment {
    /// Its AWS account.
    pub account: Account,
    /// Its name.
    pub stack: String,
    /// The API's URL, without a trailing slash.
    pub url: String,
    /// The outputs of the stack.
    pub outputs: BTreeMap<String, String>,
    /// Physical ids by logical ids.
    pub resources: BTreeMap<String, String>,
}

impl Deployment {
    /// Deploys a template with the bundles that `cargo xtask build` has built.
    pub async fn create(
        account: Account,
        stack: &str,
        template: &str,
        parameters: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let template = package(&account, template).await?;
        let parameters: Vec<Value> = parameters
            .iter()
            .map(|(name, value)| json!({"ParameterKey": name, "ParameterValue": value}))
            .collect();
        // Too large for the request itself.
        let bucket = bucket(&account);
        let put = json!({"Bucket": bucket, "Key": "template.yaml", "Body": template});
        account.call("s3", "put_object", put).await?;
        let create = json!({
            "StackName": stack, "TemplateURL": format!("{}/{bucket}/template.yaml", account.endpoint), "Parameters": parameters,
            "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        });
        account.call("cloudformation", "create_stack", create).await?;
        let outputs = wait_until_created(&account, stack).await?;
        let listed = json!({"StackName": stack});
        let listed = account.call("cloudformation", "describe_stack_resources", listed).await?;
        let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
        let resources: BTreeMap<String, String> = listed["StackResources"]
            .as_array()
            .context("no resources")?
            .iter()
            .map(|resource| (text(resource, "LogicalResourceId"), text(resource, "PhysicalResourceId")))
            .collect();
        let api = resources.get("Api").context("the stack has no Api")?;
        // The emulator serves all APIs at one address.
        let url = format!("{}/_aws/execute-api/{api}/$default", account.endpoint);
        Ok(Self { account, stack: stack.to_owned(), url, outputs, resources })
    }

    /// Returns an output.
    pub fn output(&self, name: &str) -> anyhow::Result<&str> {
        self.outputs.get(name).map(String::as_str).with_context(|| format!("the stack has no output {name}"))
    }

    /// Returns the physical id of a resource.
    pub fn resource(&self, name: &str) -> anyhow::Result<&str> {
        self.resources.get(name).map(String::as_str).with_context(|| format!("the stack has no {name}"))
    }

    /// Returns the name of a queue or function of this stack.
    pub fn name(&self, part: &str) -> String {
        format!("{}-{part}", self.stack)
    }

    /// Adds the app's secret to the generated document, as the operator does after deploying, and returns the verify
    /// token.
    pub async fn put_app_secret(&self, secret: &str) -> anyhow::Result<String> {
        let id = self.output("AppSecretName")?;
        let stored = self.account.call("secretsmanager", "get_secret_value", json!({"SecretId": id})).await?;
        let mut document: Value = serde_json::from_str(stored["SecretString"].as_str().unwrap_or_default())?;
        document["app_secret"] = secret.into();
        let put = json!({"SecretId": id, "SecretString": document.to_string()});
        self.account.call("secretsmanager", "put_secret_value", put).await?;
        Ok(document["verify_token"].as_str().context("no verify token was generated")?.to_owned())
    }

    /// Returns the queues of functions by name; each has a dead-letter queue.
    pub fn queues(&self) -> impl Iterator<Item = &'static str> {
        FUNCTIONS
            .into_iter()
            .filter(|function| !["query-insights", "workspaces", "live-updates"].contains(function))
    }

    /// Returns the complete schedules of a group.
    pub async fn schedules(&self, group: &str) -> anyhow::Result<Vec<Value>> {
        let list = json!({"GroupName": group, "MaxResults": 100});
        let listed = self.account.call("scheduler", "list_schedules", list).await?;
        let mut schedules = Vec::new();
        for schedule in listed["Schedules"].as_array().into_iter().flatten() {
            let get = json!({"GroupName": group, "Name": schedule["Name"]});
            match self.account.call("scheduler", "get_schedule", get).await {
                // Deleted since it was listed.
                Err(error) if error.to_string().contains("ResourceNotFoundException") => {}
                schedule => schedules.push(schedule?),
            }
        }
        Ok(schedules)
    }

    /// Returns a schedule of this stack.
    pub async fn schedule(&self, group: &str, part: &str) -> anyhow::Result<Value> {
        let get = json!({"GroupName": group, "Name": self.name(part)});
        self.account.call("scheduler", "get_schedule", get).await
    }

    /// Returns the lines that a function has logged.
    pub async fn lines(&self, function: &str) -> anyhow::Result<Vec<String>> {
        let filter = json!({"logGroupName": format!("/aws/lambda/{}", self.name(function))});
        let logged = self.account.call("logs", "filter_log_events", filter).await?;
        let messages = logged["events"].as_array().into_iter().flatten();
        let messages = messages.filter_map(|event| event["message"].as_str());
        Ok(messages.flat_map(str::lines).map(str::to_owned).collect())
    }

    /// Returns a function's canonical log lines, one for each unit of work.
    pub async fn units(&self, function: &str) -> anyhow::Result<Vec<Value>> {
        let lines = self.lines(function).await?.into_iter();
        let parsed = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
        Ok(parsed.filter(|line| line.get("_aws").is_some()).collect())
    }

    /// Returns the warnings and errors that the functions have logged.
    pub async fn warnings_and_errors(&self) -> anyhow::Result<String> {
        let mut warnings_and_errors = String::new();
        for function in FUNCTIONS {
            let is_warning_or_error =
                |line: &&String| line.contains("\"ERROR\"") || line.contains("\"WARN\"");
            for line in self.lines(function).await?.iter().filter(is_warning_or_error) {
                warnings_and_errors.push_str(&format!("{function}: {line}\n"));
            }
        }
        Ok(warnings_and_errors)
    }

    /// Returns the attributes of a queue.
    pub async fn queue(&self, name: &str) -> anyhow::Result<Value> {
        let url = self.queue_url(name).await?;
        let request = json!({"QueueUrl": url, "AttributeNames": ["All"]});
        Ok(self.account.call("sqs", "get_queue_attributes", request).await?["Attributes"].take())
    }

    /// Returns the URL of a queue.
    pub async fn queue_url(&self, name: &str) -> anyhow::Result<String> {
        let found = self.account.call("sqs", "get_queue_url", json!({"QueueName": self.name(name)})).await?;
        Ok(found["QueueUrl"].as_str().context("a queue without a URL")?.to_owned())
    }

    /// Returns the number of messages of a queue that are visible or in process. Delayed messages are not counted.
    pub async fn messages(&self, name: &str) -> anyhow::Result<u64> {
        let queue = self.queue(name).await?;
        let count = |kind: &str| queue[kind].as_str().and_then(|count| count.parse::<u64>().ok());
        let (waiting, taken) =
            (count("ApproximateNumberOfMessages"), count("ApproximateNumberOfMessagesNotVisible"));
        Ok(waiting.unwrap_or_default() + taken.unwrap_or_default())
    }
}

/// Uploads the bundles to a bucket and sets their URIs in the template, as `sam package` does, and changes nothing
/// else.
async fn package(account: &Account, template: &str) -> anyhow::Result<String> {
    let mut packaged = template.to_owned();
    let bucket = bucket(account);
    account.call("s3", "create_bucket", json!({"Bucket": bucket})).await?;
    for function in FUNCTIONS {
        let folder = format!("target/lambda/{function}");
        let bundle = root().join(&folder).join("bootstrap");
        ensure!(bundle.exists(), "{} is not there: run `cargo xtask build`", bundle.display());
        let put = json!({"Bucket": bucket, "Key": function, "Body": {"zip": bundle}});
        account.call("s3", "put_object", put).await?;
        let line = format!("CodeUri: {folder}\n");
        let named = packaged.matches(&line).count();
        ensure!(named == 1, "template.yaml says `{}` {named} times", line.trim());
        packaged = packaged.replace(&line, &format!("CodeUri: s3://{bucket}/{function}\n"));
    }
    ensure!(!packaged.contains("CodeUri: target/"), "template.yaml names a bundle that is no function's");
    Ok(packaged)
}

/// Waits for the stack and returns its outputs.
async fn wait_until_created(account: &Account, stack: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(100));
    for _ in STACK_POLLS {
        ticks.tick().await;
        let described =
            account.call("cloudformation", "describe_stacks", json!({"StackName": stack})).await?;
        let described = &described["Stacks"][0];
        match described["StackStatus"].as_str().unwrap_or_default() {
            "CREATE_IN_PROGRESS" => {}
            "CREATE_COMPLETE" => return Ok(outputs(described)),
            status => bail!("the stack is {status}: {}", failure_reasons(account, stack).await?),
        }
    }
    bail!("the stack is not created in time")
}

fn outputs(stack: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let outputs = stack["Outputs"].as_array().cloned().unwrap_or_default();
    outputs.iter().map(|output| (text(&output["OutputKey"]), text(&output["OutputValue"]))).collect()
}

/// Returns the failure reasons in the stack's events.
async fn failure_reasons(account: &Account, stack: &str) -> anyhow::Result<String> {
    let events = account.call("cloudformation", "describe_stack_events", json!({"StackName": stack})).await?;
    let reasons = events["StackEvents"].as_array().into_iter().flatten().filter_map(|event| {
        let reason = event["ResourceStatusReason"].as_str()?;
        Some(format!("{}: {reason}", event["LogicalResourceId"].as_str()?))
    });
    Ok(reasons.collect::<Vec<_>>().join("; "))
}
