//! DynamoDB for the AWS SDK, served by the embedded engine in this process.

use std::pin::Pin;

use dynoxide::Database;
use dynoxide::actions::transact_write_items::TransactWriteItemsRequest;
use dynoxide::errors::DynoxideError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use winterbaume_core::{MockRequest, MockResponse, MockService};

/// The engine as a service of the embedded cloud.
#[derive(Clone)]
pub struct Dynamo {
    database: Database,
}

impl Dynamo {
    /// Serves this database.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Returns which operation a request asks for.
    pub fn operation(request: &MockRequest) -> &str {
        let target = request.headers.get("x-amz-target").and_then(|value| value.to_str().ok());
        target.and_then(|target| target.rsplit('.').next()).unwrap_or_default()
    }

    /// Answers a request. Blocks.
    pub fn answer(&self, request: &MockRequest) -> MockResponse {
        match answer(&self.database, Self::operation(request), &request.body) {
            Ok(body) => MockResponse::json(200, body),
            Err(error) => MockResponse::json(error.status_code(), error.to_json()),
        }
    }
}

impl MockService for Dynamo {
    fn service_name(&self) -> &str {
        "dynamodb"
    }

    fn url_patterns(&self) -> Vec<&str> {
        vec![r"https?://dynamodb\..*\.amazonaws\.com", r"https?://[0-9]+\.ddb\..*\.amazonaws\.com"]
    }

    fn handle(&self, request: MockRequest) -> Pin<Box<dyn Future<Output = MockResponse> + Send + '_>> {
        let engine = self.clone();
        Box::pin(async move {
            // SQLite blocks, so it must not run on a thread that polls.
            let answer = tokio::task::spawn_blocking(move || engine.answer(&request)).await;
            answer.unwrap_or_else(|panic| MockResponse::json(500, internal_error(&panic.to_string())))
        })
    }
}

fn internal_error(message: &str) -> String {
    serde_json::json!({"__type": "com.amazonaws.dynamodb.v20120810#InternalServerError", "message": message})
        .to_string()
}

fn answer(database: &Database, operation: &str, body: &[u8]) -> Result<String, DynoxideError> {
    match operation {
        "CreateTable" => write(&database.create_table(read(body)?)?),
        "DescribeTable" => write(&database.describe_table(read(body)?)?),
        "UpdateTimeToLive" => write(&database.update_time_to_live(read(body)?)?),
        "GetItem" => write(&database.get_item(read(body)?)?),
        "BatchGetItem" => write(&database.batch_get_item(read(body)?)?),
        "PutItem" => write(&database.put_item(read(body)?)?),
        "UpdateItem" => write(&database.update_item(read(body)?)?),
        "DeleteItem" => write(&database.delete_item(read(body)?)?),
        "Query" => write(&database.query(read(body)?)?),
        "Scan" => write(&database.scan(read(body)?)?),
        "TransactWriteItems" => {
            let mut request: TransactWriteItemsRequest = read(body)?;
            // At each transaction the engine searches the tokens of all those of ten minutes. Nothing is sent to an
            // engine in this process a second time, so that it need not know them.
            request.client_request_token = None;
            write(&database.transact_write_items(request)?)
        }
        other => {
            Err(DynoxideError::ValidationException(format!("{other} is not served by the embedded table")))
        }
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, DynoxideError> {
    serde_json::from_slice(body).map_err(|error| DynoxideError::SerializationException(error.to_string()))
}

fn write<T: Serialize>(answer: &T) -> Result<String, DynoxideError> {
    serde_json::to_string(answer).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}
