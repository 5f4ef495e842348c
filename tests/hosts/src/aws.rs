//! AWS as an operator speaks to it.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tokio::sync::{Mutex, OnceCell};

use crate::ministack::PYTHON;
use crate::process::{Helper, root};

const PATIENCE: Duration = Duration::from_secs(60);

/// One speaker for all stories of the process.
static SPEAKER: OnceCell<Mutex<Helper>> = OnceCell::const_new();

/// An AWS account at an emulator. Accounts do not see each other.
#[derive(Debug, Clone)]
pub struct Account {
    /// Where the emulator answers.
    pub endpoint: String,
    /// Twelve digits.
    pub id: String,
}

/// An access key, its secret, and a session's token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials(pub [String; 3]);

impl Account {
    /// Makes a call, named and filled as in boto3.
    pub async fn call(&self, service: &str, call: &str, with: Value) -> anyhow::Result<Value> {
        self.call_as(None, service, call, with).await
    }

    /// [`Self::call`] as somebody else than the account's root.
    pub async fn call_as(
        &self,
        somebody: Option<&Credentials>,
        service: &str,
        call: &str,
        with: Value,
    ) -> anyhow::Result<Value> {
        let speaker = SPEAKER.get_or_try_init(|| async {
            let mut command = Command::new(root().join(PYTHON));
            command.arg("-B").arg(root().join("tests/hosts/aws.py"));
            Helper::start("aws.py", command).map(Mutex::new)
        });
        let asked = json!({
            "endpoint": self.endpoint, "account": self.id, "service": service, "call": call, "with": with,
            "as": somebody.map(|Credentials(parts)| parts),
        });
        let answered = speaker.await?.lock().await.ask(&asked, PATIENCE).await;
        let mut answered = answered.with_context(|| format!("{service}.{call}"))?;
        if let Some(error) = answered.get("error") {
            bail!("{service}.{call}: {}: {}", text(error, "code"), text(error, "message"));
        }
        Ok(answered["answer"].take())
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}
