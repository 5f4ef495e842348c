//! What passes through the system, for whoever listens.

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use http::request::Parts;

/// Something that passes.
pub enum Observation<'a> {
    /// A call to the embedded AWS: what is written into the table, queues, schedules and secrets.
    Call {
        /// `dynamodb` and so on.
        service: &'a str,
        /// Where it went.
        uri: &'a str,
        /// What it said.
        body: &'a str,
    },
    /// A request to a function, before it is answered.
    Request(&'a Parts),
    /// What the function answered.
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

/// Who listens.
#[derive(Clone)]
pub struct Observer(pub Arc<dyn Fn(&Observation<'_>) + Send + Sync>);

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}
