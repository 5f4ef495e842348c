//! Calls to AWS, as an operator makes them.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tokio::sync::{Mutex, OnceCell};

use crate::ministack::PYTHON;
use crate::process::{ChildProgram, root};

const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// One boto3 process for all scenarios of this test process.
static BOTO_PROCESS: OnceCell<Mutex<ChildProgram>> = OnceCell::const_new();

/// An AWS account in an emulator. Accounts are isolated from each other.
#[derive(Debug, Clone)]
pub struct Account {
    /// The emulator's URL.
    pub endpoint: String,
    /// Twelve digits.
    pub id: String,
}

/// An access key id, its secret, and a session token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials(pub [String; 3]);

impl Account {
    /// Makes a call, with names and parameters as in boto3.
    pub async fn call(&self, service: &str, call: &str, parameters: Value) -> anyhow::Result<Value> {
        self.call_as(None, service, call, parameters).await
    }

    /// [`Self::call`] with other credentials than the account's root.
    pub async fn call_as(
        &self,
        credentials: Option<&Credentials>,
        service: &str,
        call: &str,
        parameters: Value,
    ) -> anyhow::Result<Value> {
        let process = BOTO_PROCESS.get_or_try_init(|| async {
            let mut command = Command::new(root().join(PYTHON));
            command.arg("-B").arg(root().join("tests/hosts/aws.py"));
            ChildProgram::start("aws.py", command).map(Mutex::new)
        });
        let request = json!({
            "endpoint": self.endpoint, "account": self.id, "service": service, "call": call, "parameters": parameters,
            "credentials": credentials.map(|Credentials(parts)| parts),
        });
        let response = process.await?.lock().await.request(&request, CALL_TIMEOUT).await;
        let mut response = response.with_context(|| format!("{service}.{call}"))?;
        if let Some(error) = response.get("error") {
            bail!("{service}.{call}: {}: {}", text(error, "code"), text(error, "message"));
        }
        Ok(response["response"].take())
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}
