//! Secrets Manager for the AWS SDK: an emulator in this process, with two corrections. AWS refuses to move a label away
//! from a version that does not have it, or to a version that does not exist; the emulator does not. And the emulator
//! loses everything when the process ends, so the keyring is saved on disk.

use std::pin::Pin;

use http::HeaderValue;
use runtime::keyring::KeyringDocument;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use winterbaume_core::{MockRequest, MockResponse, MockService};
use winterbaume_secretsmanager::SecretsManagerService;

use crate::data::Data;

/// Secrets Manager as a service of the embedded cloud.
pub(crate) struct Secrets {
    service: SecretsManagerService,
    data: Data,
    /// Held while labels are checked and moved.
    move_lock: Mutex<()>,
}

impl Secrets {
    /// Serves secrets, and saves every new keyring in `data`.
    pub(crate) fn new(data: Data) -> Self {
        Self { service: SecretsManagerService::new(), data, move_lock: Mutex::default() }
    }

    async fn move_label(&self, request: MockRequest) -> MockResponse {
        let _moving = self.move_lock.lock().await;
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let secret = &body["SecretId"];
        let labelled = json!({"SecretId": secret, "VersionStage": body["VersionStage"]});
        let labelled = self.read(&request, &labelled).await;
        if labelled["VersionId"] != body["RemoveFromVersionId"] {
            return error_response(
                400,
                "InvalidParameterException",
                "The label is attached to another version.",
            );
        }
        let next = json!({"SecretId": secret, "VersionId": body["MoveToVersionId"]});
        let next = self.read(&request, &next).await["SecretString"].take();
        let Some(text) = next.as_str() else {
            return error_response(400, "ResourceNotFoundException", "There is no such version.");
        };
        if let Err(error) = self.save(&text.to_owned().into()) {
            tracing::error!(%error, "The keyring cannot be kept.");
            return error_response(500, "InternalServiceError", "It cannot be kept.");
        }
        self.service.handle(request).await
    }

    /// Saves the keyring on disk before anything can be sealed with it.
    fn save(&self, text: &SecretString) -> anyhow::Result<()> {
        self.data.save_keyring(KeyringDocument::parse(text)?)
    }

    async fn read(&self, like: &MockRequest, body: &Value) -> Value {
        let mut request = like.clone();
        let operation = HeaderValue::from_static("secretsmanager.GetSecretValue");
        request.headers.insert("x-amz-target", operation);
        request.body = body.to_string().into();
        serde_json::from_slice(&self.service.handle(request).await.body).unwrap_or_default()
    }
}

fn error_response(status: u16, kind: &str, message: &str) -> MockResponse {
    MockResponse::json(status, json!({"__type": kind, "message": message}).to_string())
}

impl MockService for Secrets {
    fn service_name(&self) -> &str {
        self.service.service_name()
    }

    fn url_patterns(&self) -> Vec<&str> {
        self.service.url_patterns()
    }

    fn handle(&self, request: MockRequest) -> Pin<Box<dyn Future<Output = MockResponse> + Send + '_>> {
        let target = request.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
        if target.is_some_and(|target| target.ends_with(".UpdateSecretVersionStage")) {
            Box::pin(self.move_label(request))
        } else {
            self.service.handle(request)
        }
    }
}
