//! Simulates IAM for the deployed roles: each may do what the template grants it, and nothing that it grants to others.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use hosts::deployment::{Deployment, FUNCTIONS};
use hosts::template::{SCHEDULE_ARN_PATTERN, Template};
use serde_json::{Value, json};

use crate::roles::logical_id;

const LEADING_KEYS: &str = "dynamodb:LeadingKeys";

/// Simulates every role with every action on every resource that any role may use.
pub(crate) async fn check_grants(stack: &Deployment) -> anyhow::Result<()> {
    let template = Template::read()?;
    let roles: Vec<String> = template.resources("AWS::IAM::Role").map(|(id, _)| id.to_owned()).collect();
    let (mut granted, mut resources) = (BTreeSet::new(), BTreeMap::<_, BTreeSet<_>>::new());
    for role in &roles {
        for grant in template.grants(role)? {
            resources.entry(grant.resource.clone()).or_default().insert(grant.action.clone());
            granted.insert((role.clone(), grant.action, grant.resource));
        }
    }
    let passed_to_the_scheduler = [("iam:PassedToService", "scheduler.amazonaws.com")];
    for (role, (resource, actions)) in
        roles.iter().flat_map(|role| resources.iter().map(move |entry| (role, entry)))
    {
        for (action, decision) in decisions(stack, role, actions, resource, &passed_to_the_scheduler).await? {
            let expected = if granted.contains(&(role.clone(), action.clone(), resource.clone())) {
                "allowed"
            } else {
                "implicitDeny"
            };
            ensure!(decision == expected, "{role} {action} on {resource}: {decision}, not {expected}");
        }
    }
    // Entries of an audit log may not be changed or deleted, in any workspace.
    let changes = ["dynamodb:DeleteItem", "dynamodb:UpdateItem"].map(str::to_owned).into();
    for function in FUNCTIONS {
        let role = format!("{}Role", logical_id(function));
        for partition in ["WS#demo#AUDIT", "WS#w-0123#AUDIT"] {
            let keys = [(LEADING_KEYS, partition)];
            for (action, decision) in decisions(stack, &role, &changes, "Table.Arn", &keys).await? {
                ensure!(decision == "explicitDeny", "{role} {action} in {partition}: {decision}");
            }
        }
    }
    Ok(())
}

/// Returns IAM's decisions on these actions of a role, with these context keys.
async fn decisions(
    stack: &Deployment,
    role: &str,
    actions: &BTreeSet<String>,
    resource: &str,
    assumed: &[(&str, &str)],
) -> anyhow::Result<Vec<(String, String)>> {
    let assumed: Vec<Value> = assumed
        .iter()
        .map(|(key, value)| {
            let kind = if *key == LEADING_KEYS { "stringList" } else { "string" };
            json!({"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": kind})
        })
        .collect();
    let simulate = json!({
        "PolicySourceArn": arn(stack, &format!("{role}.Arn")).await?, "ActionNames": actions,
        "ResourceArns": [arn(stack, resource).await?], "ContextEntries": assumed,
    });
    let said = stack.account.call("iam", "simulate_principal_policy", simulate).await?;
    let results = said["EvaluationResults"].as_array().context("no results")?;
    let text = |result: &Value, field: &str| result[field].as_str().unwrap_or_default().to_owned();
    let decided: Vec<_> =
        results.iter().map(|result| (text(result, "EvalActionName"), text(result, "EvalDecision"))).collect();
    ensure!(decided.len() == actions.len(), "{role} on {resource}: {said}");
    Ok(decided)
}

/// Returns the ARN of what the template calls `Table.Arn`.
async fn arn(stack: &Deployment, named: &str) -> anyhow::Result<String> {
    let of = |service: &str, rest: &str| {
        let region = if service == "iam" { "" } else { "us-east-1" };
        format!("arn:aws:{service}:{region}:{}:{rest}", stack.account.id)
    };
    if named == SCHEDULE_ARN_PATTERN {
        let group = stack.resource("Schedules")?;
        return Ok(of("scheduler", &format!("schedule/{group}/of-some-account")));
    }
    let id = named.split('.').next().unwrap_or(named);
    let physical = stack.resource(id)?;
    let last = physical.rsplit('/').next().unwrap_or(physical);
    if id.ends_with("Secret") {
        // A secret's ARN ends in random letters.
        let secret = json!({"SecretId": physical});
        let secret = stack.account.call("secretsmanager", "describe_secret", secret).await?;
        return Ok(secret["ARN"].as_str().context("a secret without a name")?.to_owned());
    }
    if named.ends_with("StreamArn") {
        let table = stack.account.call("dynamodb", "describe_table", json!({"TableName": physical})).await?;
        return Ok(table["Table"]["LatestStreamArn"]
            .as_str()
            .context("a table without a stream")?
            .to_owned());
    }
    Ok(match id {
        "Table" => of("dynamodb", &format!("table/{physical}")),
        _ if id.ends_with("Queue") || id.ends_with("DeadLetters") => of("sqs", last),
        _ if id.ends_with("LogGroup") => of("logs", &format!("log-group:{physical}:*")),
        _ if id.ends_with("Role") => of("iam", &format!("role/{physical}")),
        _ => of("lambda", &format!("function:{physical}")),
    })
}
