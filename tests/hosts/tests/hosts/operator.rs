//! An operator's tasks: rotating the keys, and verifying an audit log.

use std::process::{Command, Output};

use anyhow::{Context, bail, ensure};
use hosts::aws::Credentials;
use hosts::deployment::FUNCTIONS;
use hosts::ministack::IamMode;
use hosts::process::root;
use hosts::test_environment::{TestEnvironment, WORKSPACE};
use serde_json::{Value, json};

#[tokio::test]
#[ignore = "run by cargo xtask hosts"]
async fn an_operator_rotates_the_keys_and_detects_a_modified_audit_log() {
    let environment = TestEnvironment::deploy(IamMode::Enforced, "operator").await.unwrap();
    let api = environment.api(WORKSPACE).unwrap();
    environment.connect(&api).await.unwrap();
    rotate_the_keys(&environment).await.unwrap();
    // Meta answers, so the tokens can still be opened.
    environment.select(&api, true).await.unwrap();
    environment.wait_until_measured(&api).await.unwrap();
    environment.wait_until_idle().await.unwrap();
    audit_entries_cannot_be_changed(&environment).await.unwrap();
    verify_the_audit_log(&environment).await.unwrap();
    environment.finish().await.unwrap();
}

/// Checks that a rotation that stops between the new version and its label is resumed by the next call.
async fn rotate_the_keys(environment: &TestEnvironment) -> anyhow::Result<()> {
    let stack = &environment.deployment;
    let role = json!({"RoleName": stack.resource("AuthMetaRole")?, "PolicyName": "auth-meta"});
    let whole = stack.account.call("iam", "get_role_policy", role.clone()).await?["PolicyDocument"].take();
    let allow = async |document: String| {
        let mut put = role.clone();
        put["PolicyDocument"] = document.into();
        stack.account.call("iam", "put_role_policy", put).await
    };
    let (before, labels) = keyring(environment).await?;
    ensure!(labels.len() == 1, "{labels:?}");
    for missing in ["secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"] {
        allow(whole.to_string().replace(missing, "secretsmanager:DescribeSecret")).await?;
        ensure!(rotate(environment).await.is_err(), "it goes on without {missing}");
        ensure!(keyring(environment).await?.0 == before, "the keyring has changed without {missing}");
    }
    let (_, labels) = keyring(environment).await?;
    ensure!(
        labels.iter().any(|label| label == "adflight-next"),
        "it did not come as far as that: {labels:?}"
    );
    allow(whole.to_string()).await?;
    rotate(environment).await?;
    environment
        .until("every token is sealed anew", async || {
            let (keys, _) = keyring(environment).await?;
            Ok(if keys["current"] == before["current"] { Err(keys["current"].clone()) } else { Ok(()) })
        })
        .await?;
    environment.wait_until_idle().await?;
    let (after, labels) = keyring(environment).await?;
    let old = before["current"].as_str().context("no key")?;
    ensure!(after[old] == before[old], "the old key stays for ten minutes");
    let current: Vec<_> = labels.iter().filter(|label| *label == "AWSCURRENT").collect();
    ensure!(current.len() == 1, "{labels:?}");
    // A second call does not begin a new rotation.
    rotate(environment).await?;
    ensure!(keyring(environment).await?.0 == after, "a second one began");
    Ok(())
}

/// Returns the keyring, and the labels of its versions.
async fn keyring(environment: &TestEnvironment) -> anyhow::Result<(Value, Vec<String>)> {
    let account = &environment.deployment.account;
    let id = json!({"SecretId": environment.deployment.output("KeyringSecretName")?});
    let text = account.call("secretsmanager", "get_secret_value", id.clone()).await?["SecretString"].take();
    environment.scanner.add_keyring(text.as_str().context("no keyring")?);
    let versions = account.call("secretsmanager", "describe_secret", id).await?["VersionIdsToStages"].take();
    let labels =
        versions.as_object().into_iter().flatten().flat_map(|(_, labels)| labels.as_array().cloned());
    let labels = labels.flatten().filter_map(|label| label.as_str().map(str::to_owned)).collect();
    Ok((serde_json::from_str(text.as_str().unwrap_or_default())?, labels))
}

/// Rotates the keyring as the README describes.
async fn rotate(environment: &TestEnvironment) -> anyhow::Result<()> {
    let payload = json!({"job": "rotate_keyring"}).to_string();
    let invoke = json!({"FunctionName": environment.deployment.name("auth-meta"), "Payload": payload});
    let response = environment.deployment.account.call("lambda", "invoke", invoke).await?;
    ensure!(response.get("FunctionError").is_none(), "{response}");
    Ok(())
}

/// Checks that no function's credentials can change audit entries.
async fn audit_entries_cannot_be_changed(environment: &TestEnvironment) -> anyhow::Result<()> {
    let (account, table) = (&environment.deployment.account, environment.deployment.output("TableName")?);
    let first = sort_key(&entries(environment).await?[0])?.to_owned();
    let mut tried = 0;
    for process in environment.ministack.lambda_processes()? {
        let known =
            FUNCTIONS.iter().find(|function| environment.deployment.name(function) == process.function);
        let (Some(function), Some(credentials)) = (known, process.credentials()) else { continue };
        let entry = key("WS#demo#AUDIT", &first);
        for (call, more) in changes() {
            let refused = change(environment, &credentials, call, &entry, &more).await;
            let why = refused.err().with_context(|| format!("{function} may {call} an entry"))?.to_string();
            ensure!(why.contains("AccessDenied"), "{function} {call}: {why}");
        }
        if *function == "auth-meta" {
            // The credentials are valid: the function may change other rows.
            let row = key("PROBE", "PROBE");
            let [update, delete] = changes();
            change(environment, &credentials, update.0, &row, &update.1).await?;
            change(environment, &credentials, delete.0, &row, &delete.1).await?;
        }
        tried += 1;
    }
    ensure!(tried >= 5, "{tried} functions were tried");
    let get = json!({"TableName": table, "Key": key("WS#demo#AUDIT", &first)});
    ensure!(account.call("dynamodb", "get_item", get).await?["Item"]["body"].is_object(), "it is gone");
    Ok(())
}

fn changes() -> [(&'static str, Value); 2] {
    let set = json!({
        "UpdateExpression": "SET body = :body",
        "ExpressionAttributeValues": {":body": {"S": "another"}},
    });
    [("update_item", set), ("delete_item", json!({}))]
}

async fn change(
    environment: &TestEnvironment,
    who: &Credentials,
    call: &str,
    key: &Value,
    more: &Value,
) -> anyhow::Result<Value> {
    let mut with = more.clone();
    with["TableName"] = environment.deployment.output("TableName")?.into();
    with["Key"] = key.clone();
    environment.deployment.account.call_as(Some(who), "dynamodb", call, with).await
}

/// Runs `adflight audit verify` with an operator's environment.
async fn verify_the_audit_log(environment: &TestEnvironment) -> anyhow::Result<()> {
    let (account, table) = (&environment.deployment.account, environment.deployment.output("TableName")?);
    // The table's stream has every entry sealed.
    let sealed = async || {
        let (is_valid, said) = verify(environment)?;
        ensure!(is_valid && said.contains("holds: "), "{said}");
        Ok(if said.contains(" 0 not sealed yet") { Ok(said) } else { Err(said.into()) })
    };
    environment.until("the audit log is sealed", sealed).await?;
    let entries = entries(environment).await?;
    ensure!(entries.len() >= 3, "{} entries", entries.len());
    let is_done = |item: &&Value| item["body"]["S"].as_str().is_some_and(|body| body.contains("\"done\""));
    let item = entries.iter().find(is_done).context("nothing was done")?.clone();
    let put = async |item: &Value| {
        account.call("dynamodb", "put_item", json!({"TableName": table, "Item": item})).await
    };
    let mut forged = item.clone();
    let body = item["body"]["S"].as_str().context("no body")?;
    forged["body"]["S"] = body.replace("\"done\"", "\"failed\"").into();
    ensure!(forged != item, "{body}");
    put(&forged).await?;
    let (is_valid, said) = verify(environment)?;
    ensure!(!is_valid && said.contains(sort_key(&item)?), "{said}");
    put(&item).await?;
    let (is_valid, said) = verify(environment)?;
    ensure!(is_valid, "{said}");
    // The stack has a bucket to keep the root in. The emulator does not lock what is in it.
    environment.deployment.output("AuditRootsBucket")?;
    let (_, root) = said.rsplit_once("Root: ").context("no root")?;
    let (is_valid, said) = verify_with(environment, &["--root", root])?;
    ensure!(is_valid, "{said}");
    let other = format!("1:{}", "0".repeat(64));
    let (is_valid, said) = verify_with(environment, &["--root", root, "--root", &other])?;
    ensure!(!is_valid && said.contains("root names"), "{said}");
    Ok(())
}

fn verify(environment: &TestEnvironment) -> anyhow::Result<(bool, String)> {
    verify_with(environment, &[])
}

fn verify_with(environment: &TestEnvironment, arguments: &[&str]) -> anyhow::Result<(bool, String)> {
    let mut command = Command::new(root().join("target/debug/adflight"));
    command.args(["audit", "verify"]).args(arguments);
    command.args(["--workspace", WORKSPACE, "--table", environment.deployment.output("TableName")?]);
    command.env("AWS_ENDPOINT_URL", &environment.deployment.account.endpoint).env("AWS_REGION", "us-east-1");
    command.env("AWS_ACCESS_KEY_ID", &environment.deployment.account.id).env("AWS_SECRET_ACCESS_KEY", "test");
    let Output { status, stdout, stderr } = command.current_dir(root()).output()?;
    let said = String::from_utf8_lossy(&stdout).trim().to_owned();
    if said.is_empty() {
        bail!("{status}: {}", String::from_utf8_lossy(&stderr));
    }
    Ok((status.success(), said))
}

fn key(pk: &str, sk: &str) -> Value {
    json!({"pk": {"S": pk}, "sk": {"S": sk}})
}

fn sort_key(item: &Value) -> anyhow::Result<&str> {
    item["sk"]["S"].as_str().context("an item without a key")
}

/// Returns the entries of the audit log, oldest first.
async fn entries(environment: &TestEnvironment) -> anyhow::Result<Vec<Value>> {
    let query = json!({
        "TableName": environment.deployment.output("TableName")?,
        "KeyConditionExpression": "pk = :pk AND begins_with(sk, :entry)",
        "ExpressionAttributeValues": {":pk": {"S": "WS#demo#AUDIT"}, ":entry": {"S": "ENTRY#"}},
    });
    let found = environment.deployment.account.call("dynamodb", "query", query).await?;
    Ok(found["Items"].as_array().cloned().unwrap_or_default())
}
