//! Telemetry: log lines with fields, as JSON in the cloud and as text on a terminal, and one canonical line per unit of
//! work. Never payloads, tokens, query strings, or more of a path than its route.

mod canonical;
#[cfg(test)]
pub(crate) mod capture;
mod correlation;
mod current;
mod lines;
mod metric;
mod run;
mod unit;

use tracing::level_filters::LevelFilter;
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;

pub use self::correlation::{CORRELATION_ATTRIBUTE, CORRELATION_HEADER, CorrelationId};
pub use self::current::{
    correlation_id, count, record_job, record_operation, record_outcome, record_problem, record_workspace,
};
pub use self::metric::{METRIC_DIMENSION, METRIC_NAMESPACE, TelemetryMetric};
pub use self::unit::{MessageMetadata, Outcome, UnitOfWork, with_request_id};
use crate::clock::Clock;

/// Third-party crates that log payloads at lower levels. They are logged from warnings on, unless enabled by name.
const THIRD_PARTY_TARGETS: [&str; 8] =
    ["aws_", "h2", "hyper", "lambda_", "reqwest", "rustls", "tokio", "tower"];

/// Creates a subscriber that passes JSON lines down to `level`, such as `debug` or `info,graph_api=debug`, to `print`.
pub fn json_lines(
    level: &str,
    print: impl Fn(&str) + Send + Sync + 'static,
) -> impl Subscriber + Send + Sync {
    let filter = targets(level).with_target(unit::CANONICAL_TARGET, LevelFilter::INFO);
    // The canonical line already reports the unit's end.
    let filter = filter.with_target(unit::UNIT_TARGET, LevelFilter::ERROR);
    let lines = lines::JsonLines { print, clock: Clock::system() };
    tracing_subscriber::registry().with(filter).with(lines)
}

/// Parses which lines are written, each with the fields of its unit. An invalid level counts as `info`, so that a typo
/// does not disable logging.
fn targets(level: &str) -> Targets {
    let requested: Targets = level.parse().unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO));
    let default = requested.default_level().unwrap_or(LevelFilter::OFF);
    let third_party = THIRD_PARTY_TARGETS.map(|name| (name, default.min(LevelFilter::WARN)));
    let mut targets = Targets::new().with_targets(third_party).with_default(default);
    targets.extend(requested);
    if targets.would_enable(unit::UNIT_TARGET, &Level::ERROR) {
        targets
    } else {
        targets.with_target(unit::UNIT_TARGET, LevelFilter::ERROR)
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod start {
    use std::io::{IsTerminal, Write};

    use tracing::level_filters::LevelFilter;
    use tracing_subscriber::layer::SubscriberExt;

    use super::{json_lines, targets, unit};
    use crate::env::Env;

    /// Format of log lines.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Format {
        /// One JSON object per line on stdout, for Lambda.
        Json,
        /// Text for people, on stderr.
        Text,
    }

    /// Starts logging. `ADFLIGHT_LOG` sets the level, such as `debug` or `graph_api=debug`.
    pub fn init(format: Format, default: &str) {
        let level = Env::optional("ADFLIGHT_LOG").unwrap_or_else(|| default.to_owned());
        // Of two callers in one process, such as two tests, the first wins.
        let _already_set = match format {
            Format::Json => tracing::subscriber::set_global_default(json_lines(&level, |line| {
                // Nothing can be reported when stdout is closed.
                let _closed = writeln!(std::io::stdout(), "{line}");
            })),
            Format::Text => {
                let colours = std::io::stderr().is_terminal();
                let text = tracing_subscriber::fmt::layer().with_ansi(colours).with_target(false);
                let text = text.with_writer(std::io::stderr);
                let filter = targets(&level).with_target(unit::CANONICAL_TARGET, LevelFilter::OFF);
                tracing::subscriber::set_global_default(
                    tracing_subscriber::registry().with(filter).with(text),
                )
            }
        };
    }
}

#[cfg(not(target_arch = "wasm32"))]
pub use self::start::{Format, init};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn third_party_targets_log_from_warnings_on_unless_named_and_units_always() {
        let enabled = |level: &str, target: &str, at: Level| targets(level).would_enable(target, &at);
        assert!(enabled("debug", "graph_api::client", Level::DEBUG));
        assert!(
            !enabled("trace", "aws_smithy_runtime::client", Level::INFO),
            "what passes through them is payload"
        );
        assert!(enabled("trace", "hyper_util", Level::WARN));
        assert!(enabled("info,aws_smithy_runtime=debug", "aws_smithy_runtime::client", Level::DEBUG));
        assert!(!enabled("error", "aws_config", Level::WARN));
        assert!(!enabled("graph_api=debug", "access", Level::ERROR));
        assert!(enabled("graph_api=debug", "unit", Level::ERROR), "whose line it is");
        assert!(enabled("debug", "unit", Level::DEBUG), "the sentence at its end");
        assert!(enabled("a=b=c", "access", Level::INFO) && !enabled("a=b=c", "access", Level::DEBUG));
    }
}
