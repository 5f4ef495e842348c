//! Records the calls that each function makes to AWS: appends them to the file named by the environment, for comparison
//! with the permissions of the function's role, and passes every call to the observer.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::future::Future;
use std::io::Write;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use runtime::env::Env;
use serde_json::Value;
use winterbaume_core::{MockRequest, MockResponse, MockService};

use crate::meter::Meter;
use crate::observer::{Observation, Observer};

tokio::task_local! {
    static CALLER: &'static str;
}

/// Runs the work of a function and attributes its calls to that function.
pub(crate) async fn attributed_to<F: Future>(function: &'static str, work: F) -> F::Output {
    CALLER.scope(function, work).await
}

/// Who is told of calls, besides the file.
#[derive(Debug, Clone, Default)]
pub struct Recorders {
    /// Is passed every call.
    pub observer: Option<Observer>,
    /// Counts what calls consume.
    pub meter: Option<Meter>,
}

/// Records calls.
#[derive(Clone)]
pub(crate) struct CallRecorder {
    observer: Option<Observer>,
    meter: Option<Meter>,
    path: Option<PathBuf>,
    recorded: Arc<Mutex<BTreeSet<String>>>,
}

impl CallRecorder {
    /// Creates a recorder that appends each kind of call once, as `function action resource`, to the file `AWS_CALLS`.
    pub(crate) fn new(Recorders { observer, meter }: Recorders) -> Self {
        Self {
            observer,
            meter,
            path: Env::optional("AWS_CALLS").map(PathBuf::from),
            recorded: Arc::default(),
        }
    }

    /// Wraps a service whose calls are recorded.
    pub(crate) fn recording<S>(&self, service: S) -> RecordedService<S> {
        RecordedService { service, recorder: self.clone() }
    }

    fn record(&self, service: &str, request: &MockRequest) {
        let Some(path) = &self.path else { return };
        let Ok(function) = CALLER.try_with(|function| *function) else { return };
        for (action, resource) in permissions(service, request) {
            let line = format!("{function} {service}:{action} {resource}\n");
            let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
            if !recorded.insert(line.clone()) {
                continue;
            }
            // One write per line, so that lines of several processes do not mix.
            let file = OpenOptions::new().create(true).append(true).open(path);
            if let Err(error) = file.and_then(|mut file| file.write_all(line.as_bytes())) {
                tracing::error!(%error, "A call could not be noted.");
            }
        }
    }
}

/// Returns the actions that a role must allow for a call, each with our resource.
fn permissions(service: &str, request: &MockRequest) -> Vec<(String, String)> {
    let target = request.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let operation = target.and_then(|target| target.rsplit('.').next()).unwrap_or_default();
    let body = || serde_json::from_slice::<Value>(&request.body).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match (service, operation) {
        // A transaction is allowed when its parts are.
        ("dynamodb", "TransactWriteItems") => {
            let body = body();
            let parts = body["TransactItems"].as_array().into_iter().flatten().filter_map(Value::as_object);
            let parts = parts.flat_map(|part| part.iter());
            parts.map(|(part, item)| (format!("{part}Item"), text(&item["TableName"]))).collect()
        }
        ("dynamodb", "BatchGetItem") => {
            let body = body();
            let tables = body["RequestItems"].as_object().into_iter().flat_map(|tables| tables.keys());
            tables.map(|table| (operation.to_owned(), table.clone())).collect()
        }
        ("dynamodb", operation) => vec![(operation.to_owned(), text(&body()["TableName"]))],
        ("sqs", operation) => {
            let url = text(&body()["QueueUrl"]);
            let queue = url.rsplit('/').next().unwrap_or_default().to_owned();
            vec![(operation.trim_end_matches("Batch").to_owned(), queue)]
        }
        ("scheduler", _) => {
            let action = match request.method.as_str() {
                "POST" => "CreateSchedule",
                "PUT" => "UpdateSchedule",
                "DELETE" => "DeleteSchedule",
                _ => "GetSchedule",
            };
            vec![(action.to_owned(), "schedules".to_owned())]
        }
        // Secrets are identified by the last part of their names.
        ("secretsmanager", operation) => {
            let id = text(&body()["SecretId"]);
            vec![(operation.to_owned(), id.rsplit('/').next().unwrap_or_default().to_owned())]
        }
        (_, operation) => vec![(operation.to_owned(), String::new())],
    }
}

/// A service of the embedded cloud whose calls are recorded.
pub(crate) struct RecordedService<S> {
    service: S,
    recorder: CallRecorder,
}

impl<S: MockService> MockService for RecordedService<S> {
    fn service_name(&self) -> &str {
        self.service.service_name()
    }

    fn url_patterns(&self) -> Vec<&str> {
        self.service.url_patterns()
    }

    fn handle(&self, mut request: MockRequest) -> Pin<Box<dyn Future<Output = MockResponse> + Send + '_>> {
        if let Some(Observer(observe)) = &self.recorder.observer {
            let body = String::from_utf8_lossy(&request.body);
            observe(&Observation::Call { service: self.service_name(), uri: &request.uri, body: &body });
        }
        self.recorder.record(self.service_name(), &request);
        Box::pin(async move {
            // Yields as a network call would: other tasks run, and the caller can be dropped before the request is
            // handled or before its response arrives.
            tokio::task::yield_now().await;
            let answer = match &self.recorder.meter {
                None => self.service.handle(request).await,
                Some(meter) => {
                    Meter::request_capacity(self.service_name(), &mut request);
                    let answer = self.service.handle(request.clone()).await;
                    let function = CALLER.try_with(|function| *function).unwrap_or("-");
                    meter.count(function, self.service_name(), &request, &answer);
                    answer
                }
            };
            tokio::task::yield_now().await;
            answer
        })
    }
}
