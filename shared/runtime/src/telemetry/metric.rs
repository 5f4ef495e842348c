//! What is measured, in CloudWatch's embedded metric format: the log line is the metric, no call is made.

use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// Where CloudWatch keeps the metrics.
pub const METRIC_NAMESPACE: &str = "Adflight";

/// The one dimension of every metric: the function's name, on AWS with its stack's.
pub const METRIC_DIMENSION: &str = "Function";

/// Something that is counted or measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// How long the unit took.
    DurationMs,
    /// Units that failed, for now or for good.
    Failures,
    /// Jobs that wait, as Meta or another run demands.
    Deferred,
    /// Messages put beside their queue.
    DeadLettered,
    /// Webhooks whose signature was missing or wrong.
    SignatureFailures,
    /// Items of facts written.
    FactsWritten,
    /// HTTP calls to the Graph API, retries included.
    GraphCalls,
    /// Selected accounts that have not been synced for too long.
    StaleAccounts,
    /// Connections whose token ends soon.
    ExpiringTokens,
    /// Connections that only a person can mend.
    NeedsReconnect,
}

impl Metric {
    /// Every metric.
    pub const ALL: [Self; 10] = [
        Self::DurationMs,
        Self::Failures,
        Self::Deferred,
        Self::DeadLettered,
        Self::SignatureFailures,
        Self::FactsWritten,
        Self::GraphCalls,
        Self::StaleAccounts,
        Self::ExpiringTokens,
        Self::NeedsReconnect,
    ];

    /// Its name in CloudWatch.
    pub fn name(self) -> &'static str {
        match self {
            Self::DurationMs => "DurationMs",
            Self::Failures => "Failures",
            Self::Deferred => "Deferred",
            Self::DeadLettered => "DeadLettered",
            Self::SignatureFailures => "SignatureFailures",
            Self::FactsWritten => "FactsWritten",
            Self::GraphCalls => "GraphCalls",
            Self::StaleAccounts => "StaleAccounts",
            Self::ExpiringTokens => "ExpiringTokens",
            Self::NeedsReconnect => "NeedsReconnect",
        }
    }

    /// Its unit in CloudWatch.
    pub fn unit(self) -> &'static str {
        match self {
            Self::DurationMs => "Milliseconds",
            _ => "Count",
        }
    }
}

impl Serialize for Metric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The member `_aws`: which members of the line are metrics.
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
    name: Metric,
    unit: &'static str,
}

impl EmfMetadata {
    pub(super) fn new(at: Timestamp, metrics: impl Iterator<Item = Metric>) -> Self {
        let metrics = metrics.map(|name| Definition { name, unit: name.unit() }).collect();
        let directive = Directive { namespace: METRIC_NAMESPACE, dimensions: [[METRIC_DIMENSION]], metrics };
        Self { timestamp: at.as_millisecond(), cloud_watch_metrics: [directive] }
    }
}
