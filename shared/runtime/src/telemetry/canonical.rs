//! Canonical line of a unit of work: one JSON object, which CloudWatch also reads as metrics.

use std::collections::BTreeMap;
#[cfg(not(target_arch = "wasm32"))]
use std::sync::LazyLock;

use domain::id::{AdAccountId, WorkspaceId};
use jiff::Timestamp;
use serde::Serialize;
use tracing::Level;

#[cfg(not(target_arch = "wasm32"))]
use crate::env::Env;
use crate::telemetry::correlation::CorrelationId;
use crate::telemetry::metric::{EmfMetadata, TelemetryMetric};
use crate::telemetry::unit::{Outcome, UnitKind, UnitOfWork};

/// Returns the function's name on AWS. It contains the stack's name, so that two deployments in one account have
/// separate metrics.
#[cfg(not(target_arch = "wasm32"))]
fn deployed_function_name() -> Option<&'static str> {
    static NAME: LazyLock<Option<String>> = LazyLock::new(|| Env::optional("AWS_LAMBDA_FUNCTION_NAME"));
    NAME.as_deref()
}

/// Returns none: CloudWatch does not read a Worker's log.
#[cfg(target_arch = "wasm32")]
fn deployed_function_name() -> Option<&'static str> {
    None
}

/// Builds the line of a unit that ends now.
pub(super) fn line(unit: &UnitOfWork) -> String {
    let state = unit.state();
    let outcome = state.outcome.unwrap_or(Outcome::Abandoned);
    let now = unit.clock.now();
    let duration_ms = unit.stopwatch.elapsed_ms();
    let mut metrics: BTreeMap<TelemetryMetric, MetricValue> =
        state.counts.iter().map(|(metric, count)| (*metric, MetricValue::Count(*count))).collect();
    metrics.extend(outcome.metrics().iter().map(|metric| (*metric, MetricValue::Count(1))));
    metrics.insert(TelemetryMetric::DurationMs, MetricValue::Measure(duration_ms));
    let line = CanonicalLine {
        timestamp: now,
        level: Level::INFO.as_str(),
        message: "A unit of work has ended.",
        correlation: &unit.correlation,
        function: unit.function,
        kind: unit.kind,
        operation: state.operation.as_deref(),
        method: state.method,
        status: state.status,
        workspace: state.workspace.as_ref(),
        ad_account: state.ad_account.as_ref(),
        outcome,
        problem: state.problem,
        attempt: unit.attempt,
        duration_ms,
        remaining_ms: unit.deadline.map(|deadline| deadline.duration_since(now).as_millis()),
        message_id: unit.message_id.as_deref(),
        request_id: unit.request_id.as_deref(),
        cold_start: unit.cold_start,
        dimension: deployed_function_name().unwrap_or(unit.function),
        emf: EmfMetadata::new(now, metrics.keys().copied()),
        metrics,
    };
    serde_json::to_string(&line).unwrap_or_default()
}

/// Fields in reading order.
#[derive(Serialize)]
struct CanonicalLine<'a> {
    timestamp: Timestamp,
    level: &'static str,
    message: &'static str,
    correlation: &'a CorrelationId,
    function: &'static str,
    kind: UnitKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'a str>,
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
    cold_start: bool,
    #[serde(rename = "Function")]
    dimension: &'a str,
    #[serde(flatten)]
    metrics: BTreeMap<TelemetryMetric, MetricValue>,
    #[serde(rename = "_aws")]
    emf: EmfMetadata,
}

/// Value of a metric.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(untagged)]
enum MetricValue {
    Count(u64),
    Measure(f64),
}
