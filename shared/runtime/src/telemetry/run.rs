//! Runs a unit of work, and writes its lines at its end.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use tracing::{Instrument, Level};

use crate::telemetry::correlation::CORRELATION_HEADER;
use crate::telemetry::unit::{CANONICAL_TARGET, Outcome, UNIT_TARGET, UnitOfWork};
use crate::telemetry::{canonical, current};

impl UnitOfWork {
    /// Runs the work as this unit and writes the canonical line at its end, also after a panic or a drop. Box large
    /// futures: they pass through several layers.
    pub async fn run<F: Future>(self, work: F) -> F::Output {
        let unit = Arc::new(self);
        let _emit = EmitOnDrop(unit.clone());
        let span = unit.span.clone();
        current::scope(unit, work).instrument(span).await
    }

    /// Runs a request's work as this unit and returns its response.
    pub async fn respond(self, work: impl Future<Output = http::Response<Bytes>>) -> http::Response<Bytes> {
        let correlation = HeaderValue::from_str(self.correlation.as_str());
        let work = async {
            let response = work.await;
            current::record_status(response.status());
            response
        };
        let mut response = self.run(Box::pin(work)).await;
        if let Ok(correlation) = correlation {
            response.headers_mut().insert(CORRELATION_HEADER, correlation);
        }
        response
    }

    fn emit(&self) {
        if tracing::enabled!(target: CANONICAL_TARGET, Level::INFO) {
            tracing::info!(target: CANONICAL_TARGET, parent: &self.span, "{}", canonical::line(self));
        }
        let state = self.state();
        tracing::debug!(
            target: UNIT_TARGET,
            parent: &self.span,
            outcome = ?state.outcome.unwrap_or(Outcome::Abandoned),
            duration_ms = self.stopwatch.elapsed_ms(),
            method = state.method,
            status = state.status,
            problem = state.problem,
            attempt = self.attempt,
            counts = ?state.counts,
            "A unit of work has ended."
        );
    }
}

/// Writes a unit's line when it is dropped.
struct EmitOnDrop(Arc<UnitOfWork>);

impl Drop for EmitOnDrop {
    fn drop(&mut self) {
        self.0.emit();
    }
}

#[cfg(test)]
mod tests {
    use domain::job::Job;
    use http::{HeaderMap, Method};
    use serde_json::{Value, json};

    use super::*;
    use crate::clock::Clock;
    use crate::telemetry::capture::LogCapture;
    use crate::telemetry::metric::TelemetryMetric;
    use crate::telemetry::unit::{MessageMetadata, known_method, with_request_id};
    use crate::telemetry::{
        METRIC_DIMENSION, count, record_job, record_operation, record_outcome, record_workspace,
    };

    const FUNCTION: &str = "sync-entities";

    /// Returns the lines that work writes, as in the cloud.
    async fn lines_of<F: Future>(level: &str, work: impl FnOnce() -> F) -> Vec<Value> {
        let capture = LogCapture::start(level);
        work().await;
        capture.lines()
    }

    fn metadata(correlation: Option<&str>) -> MessageMetadata {
        let correlation = correlation.map(|text| text.parse().unwrap());
        MessageMetadata {
            message_id: "b8f7c1de-0000-4000-8000-000000000001".to_owned(),
            attempt: Some(2),
            correlation,
        }
    }

    fn message() -> UnitOfWork {
        UnitOfWork::message(FUNCTION, &Clock::system(), metadata(Some("story-0001")))
    }

    /// Checks a line against CloudWatch's "Specification: Embedded metric format".
    fn assert_valid_emf(line: &Value) {
        let units = ["Milliseconds", "Count"];
        let aws = &line["_aws"];
        assert!(aws["Timestamp"].as_i64().unwrap() > 1_600_000_000_000, "milliseconds: {aws}");
        assert_eq!(aws.as_object().unwrap().len(), 2, "no other members: {aws}");
        let directives = aws["CloudWatchMetrics"].as_array().unwrap();
        assert!(!directives.is_empty());
        for directive in directives {
            assert_eq!(directive.as_object().unwrap().len(), 3, "no other members: {directive}");
            let namespace = directive["Namespace"].as_str().unwrap();
            assert!((1..=1024).contains(&namespace.len()) && !namespace.starts_with("AWS/"));
            for set in directive["Dimensions"].as_array().unwrap() {
                let set = set.as_array().unwrap();
                assert!(set.len() <= 30);
                for name in set {
                    let value = line[name.as_str().unwrap()].as_str().unwrap();
                    assert!((1..=1024).contains(&value.len()), "a dimension is a text at the top: {line}");
                }
            }
            let metrics = directive["Metrics"].as_array().unwrap();
            assert!((1..=100).contains(&metrics.len()));
            let mut names = std::collections::BTreeSet::new();
            for metric in metrics {
                assert_eq!(metric.as_object().unwrap().len(), 2, "name and unit: {metric}");
                let name = metric["Name"].as_str().unwrap();
                assert!((1..=1024).contains(&name.len()) && names.insert(name), "{metric}");
                assert!(units.contains(&metric["Unit"].as_str().unwrap()), "{metric}");
                assert!(line[name].is_number(), "a metric is a number at the top: {line}");
            }
        }
        assert!(line.to_string().len() < 256 * 1024);
    }

    #[tokio::test]
    async fn a_unit_leaves_one_line_that_is_its_metrics_too() {
        let lines = lines_of("info", || async {
            let work = async {
                let job = json!({"job": "evaluate_rules", "workspace": "demo", "ad_account": "act_1"});
                record_job(&serde_json::from_value::<Job>(job).unwrap());
                count(TelemetryMetric::GraphCalls, 2);
                count(TelemetryMetric::GraphCalls, 1);
                count(TelemetryMetric::FactsWritten, 0);
                record_outcome(Outcome::Done);
            };
            message().run(work).await;
        });
        let [line] = &lines.await[..] else { panic!("one line") };
        assert_valid_emf(line);
        let mut line = line.clone();
        let members = line.as_object_mut().unwrap();
        for (name, is_number) in [("timestamp", false), ("duration_ms", true), ("DurationMs", true)] {
            assert_eq!(members.remove(name).unwrap().is_number(), is_number, "{name}");
        }
        assert!(members.remove("cold_start").unwrap().is_boolean());
        let aws = members.remove("_aws").unwrap();
        assert_eq!(
            aws["CloudWatchMetrics"],
            json!([{"Namespace": "Adflight", "Dimensions": [["Function"]], "Metrics": [
                {"Name": "DurationMs", "Unit": "Milliseconds"},
                {"Name": "FactsWritten", "Unit": "Count"},
                {"Name": "GraphCalls", "Unit": "Count"}
            ]}])
        );
        assert_eq!(
            line,
            json!({
                "level": "INFO", "message": "A unit of work has ended.", "correlation": "story-0001",
                "function": FUNCTION, "kind": "message", "operation": "evaluate_rules", "workspace": "demo",
                "ad_account": "act_1", "outcome": "done", "attempt": 2,
                "message_id": "b8f7c1de-0000-4000-8000-000000000001",
                "Function": FUNCTION, "FactsWritten": 0, "GraphCalls": 3
            })
        );
    }

    #[tokio::test]
    async fn all_metrics_at_once_and_every_outcome_are_valid_emf() {
        let all = [
            (Outcome::Done, None),
            (Outcome::Deferred, Some("Deferred")),
            (Outcome::WillRetry, Some("Failures")),
            (Outcome::DeadLettered, Some("DeadLettered")),
            (Outcome::NeedsReconnect, None),
            (Outcome::Rejected, None),
            (Outcome::Failed, Some("Failures")),
            (Outcome::Abandoned, Some("Failures")),
        ];
        for (outcome, counted) in all {
            let work = async {
                record_outcome(outcome);
                TelemetryMetric::ALL.into_iter().for_each(|metric| count(metric, 1));
            };
            let lines = lines_of("info", || message().run(work)).await;
            assert_valid_emf(&lines[0]);
            assert_eq!(
                lines[0]["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap().len(),
                TelemetryMetric::ALL.len()
            );

            let lines = lines_of("info", || message().run(async { record_outcome(outcome) })).await;
            assert_valid_emf(&lines[0]);
            for name in ["Deferred", "Failures", "DeadLettered"] {
                let also = outcome == Outcome::DeadLettered && name == "Failures";
                assert_eq!(lines[0].get(name).is_some(), counted == Some(name) || also, "{outcome:?} {name}");
            }
        }
        assert_eq!(METRIC_DIMENSION, "Function", "the member of the line has that name");
    }

    #[tokio::test]
    async fn what_is_said_meanwhile_names_the_unit_whatever_the_level() {
        let lines = lines_of("warn", || async {
            tracing::warn!("Nobody's.");
            let work = async {
                tracing::info!("Not heard.");
                tracing::warn!(message = "m1", rows_written = 3, level = "ad", why = %"a \"quoted\"\nreason", "Before.");
                let (workspace, ad_account) = ("demo".parse().unwrap(), "act_1".parse().unwrap());
                record_workspace(&workspace, Some(&ad_account));
                tokio::task::yield_now().await;
                tracing::error!(ad_account = "act_2", "After.");
                record_outcome(Outcome::Done);
            };
            message().run(work).await;
            count(TelemetryMetric::GraphCalls, 1);
        });
        let lines = lines.await;
        let [nobodys, before, after, canonical] = &lines[..] else { panic!("{lines:?}") };
        assert!(nobodys.get("correlation").is_none());
        assert_eq!(before["correlation"], "story-0001");
        assert_eq!(before["function"], FUNCTION);
        assert_eq!((&before["level"], &before["field_level"]), (&json!("WARN"), &json!("ad")));
        assert_eq!((&before["rows_written"], &before["why"]), (&json!(3), &json!("a \"quoted\"\nreason")));
        assert_eq!((&before["message"], &before["field_message"]), (&json!("Before."), &json!("m1")));
        assert!(before.get("workspace").is_none());
        assert_eq!((&after["workspace"], &after["ad_account"]), (&json!("demo"), &json!("act_2")));
        assert_eq!(canonical["ad_account"], "act_1");
        assert!(canonical.get("GraphCalls").is_none(), "what happens outside is not counted");
    }

    #[tokio::test]
    async fn work_that_stops_in_the_middle_leaves_its_line() {
        let lines = lines_of("info", || async {
            let mut work = Box::pin(message().run(async {
                record_operation("a long job");
                std::future::pending::<()>().await;
            }));
            assert!(poll_once(work.as_mut()).await);
            drop(work);
            let panics = message().run(async {
                record_operation("a broken job");
                panic!("a defect");
            });
            assert!(tokio::spawn(panics).await.is_err(), "on this very thread");
        });
        let lines = lines.await;
        let emitted: Vec<_> =
            lines.iter().map(|line| (line["operation"].as_str(), line["outcome"].as_str())).collect();
        let stopped = |operation| (Some(operation), Some("abandoned"));
        assert_eq!(emitted, [stopped("a long job"), stopped("a broken job")]);
    }

    /// Polls a future once. Returns whether it is pending.
    async fn poll_once(mut work: std::pin::Pin<&mut impl Future>) -> bool {
        std::future::poll_fn(|context| std::task::Poll::Ready(work.as_mut().poll(context).is_pending())).await
    }

    #[tokio::test]
    async fn a_correlation_id_is_generated_where_no_safe_one_is_given() {
        let clock = Clock::system();
        let request = |given: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            given.map(|given| headers.insert(CORRELATION_HEADER, http::HeaderValue::from_static(given)));
            UnitOfWork::request("query-insights", &clock, &Method::GET, &headers).correlation().clone()
        };
        assert_eq!(request(Some("front-end-42")).as_str(), "front-end-42");
        for unsafe_or_none in [None, Some("short"), Some("two words"), Some("a,b;c=\"d\"")] {
            assert_eq!(request(unsafe_or_none).as_str().len(), 24, "{unsafe_or_none:?}");
        }
        let of = |correlation| {
            UnitOfWork::message(FUNCTION, &clock, metadata(correlation)).correlation().to_string()
        };
        assert_eq!(of(Some("story-0001")), "story-0001");
        assert_eq!(of(None), "b8f7c1de-0000-4000-8000-000000000001");
        let event =
            with_request_id("8476a536-e9f4".to_owned(), async { UnitOfWork::event(FUNCTION, &clock) }).await;
        assert_eq!(event.correlation().as_str(), "8476a536-e9f4");
    }

    #[test]
    fn methods_of_strangers_are_not_repeated() {
        assert_eq!(known_method(&Method::from_bytes(b"SECRET-TOKEN").unwrap()), "other");
        assert_eq!(known_method(&Method::PATCH), "PATCH");
    }
}
