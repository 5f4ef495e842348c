//! A unit of work: one request, one message or one event. It has a span, so that every line written meanwhile
//! names it, and at its end it leaves one canonical line with everything that was learnt on the way.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ads::id::{AdAccountId, WorkspaceId};
use ads::job::Job;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use jiff::Timestamp;
use serde::Serialize;
use tracing::field::{Empty, display};
use tracing::{Instrument, Level, Span};

use crate::clock::{Clock, Stopwatch};
use crate::deadline;
use crate::reply::Reply;
use crate::telemetry::correlation::{Correlation, HEADER};
use crate::telemetry::metric::{Embedded, Metric};

/// The target of the spans, and of the sentence for people at a unit's end.
pub(super) const TARGET: &str = "unit";

/// The target of canonical lines, whose message is the whole line.
pub(super) const CANONICAL: &str = "canonical";

tokio::task_local! {
    static AT_HAND: Arc<Unit>;
    static REQUEST_ID: String;
}

/// Nothing was done yet in this process.
static COLD: AtomicBool = AtomicBool::new(true);

/// What kind of work it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Request,
    Message,
    Event,
}

/// How a unit of work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Well.
    Done,
    /// It is done later, as Meta or another run demands.
    Waits,
    /// It failed, and comes again by itself.
    Again,
    /// Another try cannot help: the message was put beside its queue.
    DeadLettered,
    /// It was dropped until a person has connected to Meta again.
    NeedsReconnect,
    /// What was asked for is not possible or not allowed.
    Refused,
    /// It failed for good.
    Failed,
    /// It stopped in the middle: a panic, or nobody waits for it any more.
    Abandoned,
}

impl Outcome {
    fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::TOO_MANY_REQUESTS => Self::Waits,
            status if status.is_server_error() => Self::Failed,
            status if status.is_client_error() => Self::Refused,
            _ => Self::Done,
        }
    }

    /// The metric that counts such ends.
    fn metrics(self) -> &'static [Metric] {
        match self {
            Self::Done | Self::NeedsReconnect | Self::Refused => &[],
            Self::Waits => &[Metric::Waits],
            Self::Again | Self::Failed | Self::Abandoned => &[Metric::Failures],
            Self::DeadLettered => &[Metric::Failures, Metric::DeadLettered],
        }
    }
}

/// One request, message or event, while it is worked on.
#[derive(Debug)]
pub struct Unit {
    function: &'static str,
    kind: Kind,
    correlation: Correlation,
    message_id: Option<String>,
    attempt: Option<u32>,
    request_id: Option<String>,
    cold: bool,
    ends: Option<Timestamp>,
    clock: Clock,
    stopwatch: Stopwatch,
    span: Span,
    learnt: Mutex<Learnt>,
}

/// What is known only on the way.
#[derive(Debug, Default)]
struct Learnt {
    what: Option<Cow<'static, str>>,
    method: Option<&'static str>,
    status: Option<u16>,
    workspace: Option<WorkspaceId>,
    ad_account: Option<AdAccountId>,
    problem: Option<&'static str>,
    outcome: Option<Outcome>,
    counts: BTreeMap<Metric, u64>,
}

/// A message, as far as its unit of work is about it.
#[derive(Debug, Clone, Default)]
pub struct Envelope {
    /// The queue's id of the message.
    pub message_id: String,
    /// How often it has been received, this time included, where the queue says so.
    pub attempt: Option<u32>,
    /// What the sender's unit of work was part of.
    pub correlation: Option<Correlation>,
}

/// Does the work of an invocation that the host knows by this id.
pub async fn invoked<F: Future>(request_id: String, work: F) -> F::Output {
    REQUEST_ID.scope(request_id, work).await
}

impl Unit {
    /// An HTTP request. It goes on with the caller's correlation id if that is safe.
    pub fn request(function: &'static str, clock: &Clock, method: &Method, headers: &HeaderMap) -> Self {
        let given = headers.get(HEADER).and_then(|value| value.to_str().ok()?.parse().ok());
        let unit = Self::begin(function, clock, Kind::Request, given, Envelope::default());
        unit.learnt().method = Some(known_method(method));
        unit
    }

    /// A message of a queue. One that nobody gave a correlation id begins a story of its own: its own id.
    pub fn message(function: &'static str, clock: &Clock, envelope: Envelope) -> Self {
        let given = envelope.correlation.clone().or_else(|| envelope.message_id.parse().ok());
        Self::begin(function, clock, Kind::Message, given, envelope)
    }

    /// What the host starts without a request and without a message, such as a schedule.
    pub fn event(function: &'static str, clock: &Clock) -> Self {
        let given = REQUEST_ID.try_with(|id| id.parse().ok()).ok().flatten();
        Self::begin(function, clock, Kind::Event, given, Envelope::default())
    }

    fn begin(
        function: &'static str,
        clock: &Clock,
        kind: Kind,
        correlation: Option<Correlation>,
        envelope: Envelope,
    ) -> Self {
        let correlation = correlation.unwrap_or_else(Correlation::fresh);
        let message_id = Some(envelope.message_id).filter(|id| !id.is_empty());
        let request_id = REQUEST_ID.try_with(Clone::clone).ok();
        // At the level of errors: where any line is written at all, it says to what it belongs.
        let span = tracing::error_span!(
            target: TARGET,
            parent: None,
            "unit",
            %correlation,
            function,
            what = Empty,
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
            attempt: envelope.attempt,
            request_id,
            cold: COLD.swap(false, Ordering::Relaxed),
            ends: deadline::end_of_this_invocation(),
            clock: clock.clone(),
            stopwatch: clock.stopwatch(),
            span,
            learnt: Mutex::default(),
        }
    }

    /// What this unit and all that it causes have in common.
    pub fn correlation(&self) -> &Correlation {
        &self.correlation
    }

    /// Does the work as this unit. When it has ended, also by a panic or by being dropped, the canonical line is
    /// written.
    pub async fn run<F: Future>(self, work: F) -> F::Output {
        let unit = Arc::new(self);
        let _end = End(unit.clone());
        let span = unit.span.clone();
        AT_HAND.scope(unit, work).instrument(span).await
    }

    /// Answers a request as this unit.
    pub(crate) async fn answer(self, work: impl Future<Output = Reply>) -> Reply {
        let correlation = HeaderValue::from_str(self.correlation.as_str());
        let work = async {
            let reply = work.await;
            answers(reply.status());
            reply
        };
        let mut reply = self.run(work).await;
        if let Ok(correlation) = correlation {
            reply.headers_mut().insert(HEADER, correlation);
        }
        reply
    }

    fn learnt(&self) -> MutexGuard<'_, Learnt> {
        self.learnt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The canonical line: one JSON object, which CloudWatch reads as metrics too.
    pub fn line(&self) -> String {
        let learnt = self.learnt();
        let outcome = learnt.outcome.unwrap_or(Outcome::Abandoned);
        let now = self.clock.now();
        let duration_ms = self.stopwatch.elapsed_ms();
        let mut metrics: BTreeMap<Metric, Amount> =
            learnt.counts.iter().map(|(metric, count)| (*metric, Amount::Count(*count))).collect();
        metrics.extend(outcome.metrics().iter().map(|metric| (*metric, Amount::Count(1))));
        metrics.insert(Metric::DurationMs, Amount::Measure(duration_ms));
        let line = Line {
            timestamp: now,
            level: Level::INFO.as_str(),
            message: "A unit of work has ended.",
            correlation: &self.correlation,
            function: self.function,
            kind: self.kind,
            what: learnt.what.as_deref(),
            method: learnt.method,
            status: learnt.status,
            workspace: learnt.workspace.as_ref(),
            ad_account: learnt.ad_account.as_ref(),
            outcome,
            problem: learnt.problem,
            attempt: self.attempt,
            duration_ms,
            remaining_ms: self.ends.map(|end| end.duration_since(now).as_millis()),
            message_id: self.message_id.as_deref(),
            request_id: self.request_id.as_deref(),
            cold: self.cold,
            dimension: self.function,
            embedded: Embedded::new(now, metrics.keys().copied()),
            metrics,
        };
        serde_json::to_string(&line).unwrap_or_default()
    }

    fn tell(&self) {
        if tracing::enabled!(target: CANONICAL, Level::INFO) {
            tracing::info!(target: CANONICAL, parent: &self.span, "{}", self.line());
        }
        let learnt = self.learnt();
        tracing::debug!(
            target: TARGET,
            parent: &self.span,
            outcome = ?learnt.outcome.unwrap_or(Outcome::Abandoned),
            duration_ms = self.stopwatch.elapsed_ms(),
            method = learnt.method,
            status = learnt.status,
            problem = learnt.problem,
            attempt = self.attempt,
            counts = ?learnt.counts,
            "A unit of work has ended."
        );
    }
}

/// Writes the line of a unit when it goes.
struct End(Arc<Unit>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.tell();
    }
}

/// The canonical line. Its order is the reading order.
#[derive(Serialize)]
struct Line<'a> {
    timestamp: Timestamp,
    level: &'static str,
    message: &'static str,
    correlation: &'a Correlation,
    function: &'static str,
    kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    what: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace: Option<&'a WorkspaceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ad_account: Option<&'a AdAccountId>,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    duration_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining_ms: Option<i128>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    cold: bool,
    #[serde(rename = "Function")]
    dimension: &'static str,
    #[serde(flatten)]
    metrics: BTreeMap<Metric, Amount>,
    #[serde(rename = "_aws")]
    embedded: Embedded,
}

/// The value of a metric.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(untagged)]
enum Amount {
    Count(u64),
    Measure(f64),
}

/// Adds to a count of the unit at hand. Nothing outside of one.
pub fn count(metric: Metric, by: u64) {
    at_hand(|unit| *unit.learnt().counts.entry(metric).or_default() += by);
}

/// What the unit at hand is part of, to be given to what it causes.
pub fn correlation() -> Option<Correlation> {
    AT_HAND.try_with(|unit| unit.correlation.clone()).ok()
}

/// Says whose work the unit at hand is. For names that are certain: a path can say anything before the session is
/// checked.
pub fn concerns(workspace: &WorkspaceId, ad_account: Option<&AdAccountId>) {
    at_hand(|unit| {
        let mut learnt = unit.learnt();
        unit.span.record("workspace", display(workspace));
        learnt.workspace = Some(workspace.clone());
        if let Some(ad_account) = ad_account {
            unit.span.record("ad_account", display(ad_account));
            learnt.ad_account = Some(ad_account.clone());
        }
    });
}

/// Says which job the unit at hand does.
pub fn does(job: &Job) {
    let about = job.about();
    names(about.name);
    if let Some(workspace) = about.workspace {
        concerns(workspace, about.ad_account);
    }
}

/// Names what the unit at hand does: the pattern of a route, or a job.
pub fn names(what: impl Into<Cow<'static, str>>) {
    at_hand(|unit| {
        let what = what.into();
        unit.span.record("what", &*what);
        unit.learnt().what = Some(what);
    });
}

/// Says how the unit at hand ends.
pub fn ends(outcome: Outcome) {
    at_hand(|unit| unit.learnt().outcome = Some(outcome));
}

/// Says what stood in the way of the unit at hand, by the stable last part of a problem's type.
pub fn meets(problem: &'static str) {
    at_hand(|unit| unit.learnt().problem = Some(problem));
}

/// Says what the unit at hand answers.
pub fn answers(status: StatusCode) {
    at_hand(|unit| {
        let mut learnt = unit.learnt();
        learnt.status = Some(status.as_u16());
        learnt.outcome = Some(Outcome::of_status(status));
    });
}

fn at_hand(tell: impl FnOnce(&Unit)) {
    // Outside of a unit there is nobody to tell.
    let _outside = AT_HAND.try_with(|unit| tell(unit));
}

/// A stranger may invent methods; they are not repeated.
fn known_method(method: &Method) -> &'static str {
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
