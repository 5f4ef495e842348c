//! Metrics in CloudWatch's embedded metric format: the log line is the metric, without a call.

use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// CloudWatch namespace of the metrics.
pub const METRIC_NAMESPACE: &str = "Adflight";

/// The only dimension of every metric: the function's name, on AWS including the stack's.
pub const METRIC_DIMENSION: &str = "Function";

/// A counted or measured quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TelemetryMetric {
    /// Duration of the unit, in milliseconds.
    DurationMs,
    /// Failed units, whether or not they are retried.
    Failures,
    /// Jobs deferred because of Meta's limits or another run.
    Deferred,
    /// Messages sent to a dead-letter queue.
    DeadLettered,
    /// Webhooks with a missing or wrong signature.
    SignatureFailures,
    /// Segments of facts written.
    FactsWritten,
    /// HTTP calls to the Graph API, retries included.
    GraphCalls,
    /// Answers of the Graph API that another version than the requested one has given.
    OtherVersionAnswers,
    /// Things to mend about the version of the Graph API in use, counted each hour: it is not served, ends soon, or lacks
    /// fields.
    VersionProblems,
    /// Selected accounts that have not been synced for too long.
    StaleAccounts,
    /// Connections whose token expires soon.
    ExpiringTokens,
    /// Connections that a person must renew.
    NeedsReconnect,
}

impl TelemetryMetric {
    /// All metrics.
    pub const ALL: [Self; 12] = [
        Self::DurationMs,
        Self::Failures,
        Self::Deferred,
        Self::DeadLettered,
        Self::SignatureFailures,
        Self::FactsWritten,
        Self::GraphCalls,
        Self::OtherVersionAnswers,
        Self::VersionProblems,
        Self::StaleAccounts,
        Self::ExpiringTokens,
        Self::NeedsReconnect,
    ];

    /// Returns the name in CloudWatch.
    pub fn name(self) -> &'static str {
        match self {
            Self::DurationMs => "DurationMs",
            Self::Failures => "Failures",
            Self::Deferred => "Deferred",
            Self::DeadLettered => "DeadLettered",
            Self::SignatureFailures => "SignatureFailures",
            Self::FactsWritten => "FactsWritten",
            Self::GraphCalls => "GraphCalls",
            Self::OtherVersionAnswers => "OtherVersionAnswers",
            Self::VersionProblems => "VersionProblems",
            Self::StaleAccounts => "StaleAccounts",
            Self::ExpiringTokens => "ExpiringTokens",
            Self::NeedsReconnect => "NeedsReconnect",
        }
    }

    /// Returns the unit in CloudWatch.
    pub fn unit(self) -> &'static str {
        match self {
            Self::DurationMs => "Milliseconds",
            _ => "Count",
        }
    }
}

impl Serialize for TelemetryMetric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The member `_aws`, which declares which members of the line are metrics.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct EmfMetadata {
    timestamp: i64,
    cloud_watch_metrics: [Directive; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: &'static str,
    dimensions: [[&'static str; 1]; 1],
    metrics: Vec<Definition>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    name: TelemetryMetric,
    unit: &'static str,
}

impl EmfMetadata {
    pub(super) fn new(at: Timestamp, metrics: impl Iterator<Item = TelemetryMetric>) -> Self {
        let metrics = metrics.map(|name| Definition { name, unit: name.unit() }).collect();
        let directive = Directive { namespace: METRIC_NAMESPACE, dimensions: [[METRIC_DIMENSION]], metrics };
        Self { timestamp: at.as_millisecond(), cloud_watch_metrics: [directive] }
    }
}
