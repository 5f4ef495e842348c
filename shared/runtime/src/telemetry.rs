//! What the system tells: sentences that carry fields, as JSON in the cloud and as text on a terminal, and one
//! canonical line per unit of work. Never payloads, tokens, query strings, or more of a path than its route.

mod at_hand;
mod canonical;
mod correlation;
#[cfg(test)]
pub(crate) mod heard;
mod lines;
mod metric;
mod unit;

use tracing::level_filters::LevelFilter;
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;

pub use self::at_hand::{concerns, correlation, count, does, ends, meets, names};
pub use self::correlation::{ATTRIBUTE, Correlation, HEADER};
pub use self::metric::{DIMENSION, Metric, NAMESPACE};
pub use self::unit::{Envelope, Outcome, Unit, invoked};
use crate::clock::Clock;

/// Crates of others say at their lower levels what passes through them. They are heard from warnings on, unless
/// asked for by name.
const FOREIGN: [&str; 8] = ["aws_", "h2", "hyper", "lambda_", "reqwest", "rustls", "tokio", "tower"];

/// JSON lines down to `level`, such as `debug` or `info,graph_api=debug`, each given to `print`.
pub fn json_lines(
    level: &str,
    print: impl Fn(&str) + Send + Sync + 'static,
) -> impl Subscriber + Send + Sync {
    let filter = targets(level).with_target(unit::CANONICAL, LevelFilter::INFO);
    // Its end is told once.
    let filter = filter.with_target(unit::TARGET, LevelFilter::ERROR);
    let lines = lines::JsonLines { print, clock: Clock::system() };
    tracing_subscriber::registry().with(filter).with(lines)
}

/// Which lines are written, each of them with the fields of its unit. What cannot be understood counts as `info`:
/// nobody shall be left without lines for a slip of the pen.
fn targets(level: &str) -> Targets {
    let asked: Targets = level.parse().unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO));
    let default = asked.default_level().unwrap_or(LevelFilter::OFF);
    let foreign = FOREIGN.map(|name| (name, default.min(LevelFilter::WARN)));
    let mut targets = Targets::new().with_targets(foreign).with_default(default);
    targets.extend(asked);
    if targets.would_enable(unit::TARGET, &Level::ERROR) {
        targets
    } else {
        targets.with_target(unit::TARGET, LevelFilter::ERROR)
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod start {
    use std::io::{IsTerminal, Write};

    use tracing::level_filters::LevelFilter;
    use tracing_subscriber::layer::SubscriberExt;

    use super::{json_lines, targets, unit};
    use crate::env::Env;

    /// How log lines look.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Format {
        /// One JSON object a line, on stdout, where Lambda takes them from.
        Json,
        /// For people, on stderr.
        Text,
    }

    /// Starts logging. `ADFLIGHT_LOG` sets the level, such as `debug` or `graph_api=debug`.
    pub fn init(format: Format, default: &str) {
        let level = Env::optional("ADFLIGHT_LOG").unwrap_or_else(|| default.to_owned());
        // Of two callers in one process, such as two tests, the first has its way.
        let _already_set = match format {
            Format::Json => tracing::subscriber::set_global_default(json_lines(&level, |line| {
                // Nobody is left to tell when stdout is closed.
                let _closed = writeln!(std::io::stdout(), "{line}");
            })),
            Format::Text => {
                let colours = std::io::stderr().is_terminal();
                let text = tracing_subscriber::fmt::layer().with_ansi(colours).with_target(false);
                let text = text.with_writer(std::io::stderr);
                let filter = targets(&level).with_target(unit::CANONICAL, LevelFilter::OFF);
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
    fn others_are_heard_from_warnings_on_unless_asked_for_and_units_always() {
        let heard = |level: &str, target: &str, at: Level| targets(level).would_enable(target, &at);
        assert!(heard("debug", "graph_api::client", Level::DEBUG));
        assert!(
            !heard("trace", "aws_smithy_runtime::client", Level::INFO),
            "what passes through them is payload"
        );
        assert!(heard("trace", "hyper_util", Level::WARN));
        assert!(heard("info,aws_smithy_runtime=debug", "aws_smithy_runtime::client", Level::DEBUG));
        assert!(!heard("error", "aws_config", Level::WARN));
        assert!(!heard("graph_api=debug", "access", Level::ERROR));
        assert!(heard("graph_api=debug", "unit", Level::ERROR), "whose line it is");
        assert!(heard("debug", "unit", Level::DEBUG), "the sentence at its end");
        assert!(heard("a=b=c", "access", Level::INFO) && !heard("a=b=c", "access", Level::DEBUG));
    }
}
