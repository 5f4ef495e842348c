//! The canonical line of a unit of work: one JSON object, which CloudWatch reads as metrics too.

use std::collections::BTreeMap;
#[cfg(not(target_arch = "wasm32"))]
use std::sync::LazyLock;

use ads::id::{AdAccountId, WorkspaceId};
use jiff::Timestamp;
use serde::Serialize;
use tracing::Level;

#[cfg(not(target_arch = "wasm32"))]
use crate::env::Env;
use crate::telemetry::correlation::Correlation;
use crate::telemetry::metric::{Embedded, Metric};
use crate::telemetry::unit::{Kind, Outcome, Unit};

/// The function's name on AWS, which holds the stack's: two deployments in one account have metrics of their own.
#[cfg(not(target_arch = "wasm32"))]
fn deployed_as() -> Option<&'static str> {
    static NAME: LazyLock<Option<String>> = LazyLock::new(|| Env::optional("AWS_LAMBDA_FUNCTION_NAME"));
    NAME.as_deref()
}

/// CloudWatch does not read what a Worker says.
#[cfg(target_arch = "wasm32")]
fn deployed_as() -> Option<&'static str> {
    None
}

/// The line of a unit that ends now.
pub(super) fn line(unit: &Unit) -> String {
    let learnt = unit.learnt();
    let outcome = learnt.outcome.unwrap_or(Outcome::Abandoned);
    let now = unit.clock.now();
    let duration_ms = unit.stopwatch.elapsed_ms();
    let mut metrics: BTreeMap<Metric, Amount> =
        learnt.counts.iter().map(|(metric, count)| (*metric, Amount::Count(*count))).collect();
    metrics.extend(outcome.metrics().iter().map(|metric| (*metric, Amount::Count(1))));
    metrics.insert(Metric::DurationMs, Amount::Measure(duration_ms));
    let line = Line {
        timestamp: now,
        level: Level::INFO.as_str(),
        message: "A unit of work has ended.",
        correlation: &unit.correlation,
        function: unit.function,
        kind: unit.kind,
        what: learnt.what.as_deref(),
        method: learnt.method,
        status: learnt.status,
        workspace: learnt.workspace.as_ref(),
        ad_account: learnt.ad_account.as_ref(),
        outcome,
        problem: learnt.problem,
        attempt: unit.attempt,
        duration_ms,
        remaining_ms: unit.ends.map(|end| end.duration_since(now).as_millis()),
        message_id: unit.message_id.as_deref(),
        request_id: unit.request_id.as_deref(),
        cold: unit.cold,
        dimension: deployed_as().unwrap_or(unit.function),
        embedded: Embedded::new(now, metrics.keys().copied()),
        metrics,
    };
    serde_json::to_string(&line).unwrap_or_default()
}

/// Its order is the reading order.
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
    dimension: &'a str,
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
