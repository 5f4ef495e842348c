//! A unit of work: one request, one message or one event. It has a span, so that every line written during it names it,
//! and at its end it writes one canonical line with everything recorded during it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::id::{AdAccountId, WorkspaceId};
use http::{HeaderMap, Method, StatusCode};
use jiff::Timestamp;
use serde::Serialize;
use tracing::Span;
use tracing::field::Empty;

use crate::clock::{Clock, Stopwatch};
use crate::deadline;
use crate::telemetry::correlation::{CORRELATION_HEADER, CorrelationId};
use crate::telemetry::metric::TelemetryMetric;

/// Target of the spans, and of the readable line at a unit's end.
pub(super) const UNIT_TARGET: &str = "unit";

/// Target of canonical lines, whose message is the whole line.
pub(super) const CANONICAL_TARGET: &str = "canonical";

tokio::task_local! {
    static REQUEST_ID: String;
}

/// True until the first unit of this process.
static COLD_START: AtomicBool = AtomicBool::new(true);

/// Kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum UnitKind {
    Request,
    Message,
    Event,
}

/// How a unit of work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Succeeded.
    Done,
    /// Deferred because of Meta's limits or another run.
    Deferred,
    /// Failed and will be retried automatically.
    WillRetry,
    /// Failed permanently; the message is in the dead-letter queue.
    DeadLettered,
    /// Dropped until a person reconnects to Meta.
    NeedsReconnect,
    /// Rejected: the request is not possible or not allowed.
    Rejected,
    /// Failed permanently.
    Failed,
    /// Stopped midway: a panic, or a caller that no longer waits.
    Abandoned,
}

impl Outcome {
    pub(super) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::TOO_MANY_REQUESTS => Self::Deferred,
            status if status.is_server_error() => Self::Failed,
            status if status.is_client_error() => Self::Rejected,
            _ => Self::Done,
        }
    }

    /// Returns the metrics that count this outcome.
    pub(super) fn metrics(self) -> &'static [TelemetryMetric] {
        match self {
            Self::Done | Self::NeedsReconnect | Self::Rejected => &[],
            Self::Deferred => &[TelemetryMetric::Deferred],
            Self::WillRetry | Self::Failed | Self::Abandoned => &[TelemetryMetric::Failures],
            Self::DeadLettered => &[TelemetryMetric::Failures, TelemetryMetric::DeadLettered],
        }
    }
}

/// A request, message or event in progress.
#[derive(Debug)]
pub struct UnitOfWork {
    pub(super) function: &'static str,
    pub(super) kind: UnitKind,
    pub(super) correlation: CorrelationId,
    pub(super) message_id: Option<String>,
    pub(super) attempt: Option<u32>,
    pub(super) request_id: Option<String>,
    pub(super) cold_start: bool,
    pub(super) deadline: Option<Timestamp>,
    pub(super) clock: Clock,
    pub(super) stopwatch: Stopwatch,
    pub(super) span: Span,
    state: Mutex<UnitState>,
}

/// State recorded during the work.
#[derive(Debug, Default)]
pub(super) struct UnitState {
    pub(super) operation: Option<Cow<'static, str>>,
    pub(super) method: Option<&'static str>,
    pub(super) status: Option<u16>,
    pub(super) workspace: Option<WorkspaceId>,
    pub(super) ad_account: Option<AdAccountId>,
    pub(super) problem: Option<&'static str>,
    pub(super) outcome: Option<Outcome>,
    pub(super) counts: BTreeMap<TelemetryMetric, u64>,
}

/// Metadata of a queued message.
#[derive(Debug, Clone, Default)]
pub struct MessageMetadata {
    /// Message id of the queue.
    pub message_id: String,
    /// Number of receives, this one included, where the queue reports it.
    pub attempt: Option<u32>,
    /// Correlation id of the sender's unit of work.
    pub correlation: Option<CorrelationId>,
}

/// Runs the work of an invocation with its request id at the host.
pub async fn with_request_id<F: Future>(request_id: String, work: F) -> F::Output {
    REQUEST_ID.scope(request_id, work).await
}

impl UnitOfWork {
    /// Creates the unit of an HTTP request. Adopts the caller's correlation id if it is safe.
    pub fn request(function: &'static str, clock: &Clock, method: &Method, headers: &HeaderMap) -> Self {
        let given = headers.get(CORRELATION_HEADER).and_then(|value| value.to_str().ok()?.parse().ok());
        let unit = Self::begin(function, clock, UnitKind::Request, given, MessageMetadata::default());
        unit.state().method = Some(known_method(method));
        unit
    }

    /// Creates the unit of a queue message. Without a correlation id, its message id becomes one.
    pub fn message(function: &'static str, clock: &Clock, metadata: MessageMetadata) -> Self {
        let given = metadata.correlation.clone().or_else(|| metadata.message_id.parse().ok());
        Self::begin(function, clock, UnitKind::Message, given, metadata)
    }

    /// Creates the unit of an event that is neither a request nor a message, such as a schedule.
    pub fn event(function: &'static str, clock: &Clock) -> Self {
        let given = REQUEST_ID.try_with(|id| id.parse().ok()).ok().flatten();
        Self::begin(function, clock, UnitKind::Event, given, MessageMetadata::default())
    }

    fn begin(
        function: &'static str,
        clock: &Clock,
        kind: UnitKind,
        correlation: Option<CorrelationId>,
        metadata: MessageMetadata,
    ) -> Self {
        let correlation = correlation.unwrap_or_else(CorrelationId::generate);
        let message_id = Some(metadata.message_id).filter(|id| !id.is_empty());
        let request_id = REQUEST_ID.try_with(Clone::clone).ok();
        // At error level, so that every written line names its unit.
        let span = tracing::error_span!(
            target: UNIT_TARGET,
            parent: None,
            "unit",
            %correlation,
            function,
            operation = Empty,
            workspace = Empty,
            ad_account = Empty,
            message_id,
            request_id
        );
        Self {
            function,
            kind,
            correlation,
            message_id,
            attempt: metadata.attempt,
            request_id,
            cold_start: COLD_START.swap(false, Ordering::Relaxed),
            deadline: deadline::invocation_deadline(),
            clock: clock.clone(),
            stopwatch: clock.stopwatch(),
            span,
            state: Mutex::default(),
        }
    }

    /// Returns the correlation id shared by this unit and everything it causes.
    pub fn correlation(&self) -> &CorrelationId {
        &self.correlation
    }

    pub(super) fn state(&self) -> MutexGuard<'_, UnitState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the name of a known method. Invented ones are logged as `other`.
pub(super) fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
