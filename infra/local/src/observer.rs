//! Passes the system's calls, requests and responses to an observer.

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use http::request::Parts;

/// An observed call, request or response.
pub enum Observation<'a> {
    /// A call to the embedded AWS: reads and writes of the table, queues, schedules and secrets.
    Call {
        /// The service, such as `dynamodb`.
        service: &'a str,
        /// The request's URI.
        uri: &'a str,
        /// The request's body.
        body: &'a str,
    },
    /// A request to a function, before it is handled.
    Request(&'a Parts),
    /// A function's response.
    Response {
        /// The request.
        request: &'a Parts,
        /// The status.
        status: http::StatusCode,
        /// The headers.
        headers: &'a HeaderMap,
        /// The body.
        body: &'a [u8],
    },
}

/// A callback that receives every observation.
#[derive(Clone)]
pub struct Observer(pub Arc<dyn Fn(&Observation<'_>) + Send + Sync>);

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}
