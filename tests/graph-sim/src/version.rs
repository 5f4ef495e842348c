//! Versions of the Graph API: which exist, and which one serves a call.
//!
//! Versions end later for the Graph API than for the Marketing API. Nothing announces an end; afterwards the newest
//! version serves calls of the Marketing API and a header says so, and the oldest one calls of the Graph API, of which
//! only `facebook-api-version` tells.

use jiff::Timestamp;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;

use crate::call::GraphCall;
use crate::error::GraphError;

/// The version that serves calls which name none.
pub(crate) const DEFAULT_VERSION: &str = "v26.0";

/// The newest version.
const NEWEST: &str = "v27.0";

/// The header about calls of a version that has ended.
pub(crate) const WARNING: &str = "You are calling a deprecated version of the Ads API.";

struct Version {
    name: &'static str,
    marketing_end: Option<Date>,
    graph_end: Option<Date>,
}

const fn version(name: &'static str, marketing_end: Option<Date>, graph_end: Option<Date>) -> Version {
    Version { name, marketing_end, graph_end }
}

/// Meta's versions as of November 2026, the oldest first. All of them are served from the beginning, because a recorded
/// account may be older than the version that reads it.
const VERSIONS: [Version; 7] = [
    version("v21.0", Some(date(2025, 9, 9)), Some(date(2027, 1, 21))),
    version("v22.0", Some(date(2026, 2, 19)), Some(date(2027, 5, 20))),
    version("v23.0", Some(date(2026, 6, 9)), Some(date(2027, 10, 8))),
    version("v24.0", Some(date(2026, 11, 10)), Some(date(2028, 2, 18))),
    version("v25.0", Some(date(2027, 2, 23)), Some(date(2028, 7, 29))),
    version("v26.0", None, None),
    version(NEWEST, None, None),
];

/// Returns the version that serves a call at `now`, and whether the answer has the header about versions that have ended.
///
/// # Errors
/// 2635, for calls of the Marketing API: when the version does not exist, or has ended and `auto_upgrade` is off.
pub(crate) fn serving(
    call: &GraphCall,
    now: Timestamp,
    auto_upgrade: bool,
) -> Result<(&'static str, bool), GraphError> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let is_over = |end: Option<Date>| end.is_some_and(|end| end <= today);
    let known = VERSIONS.iter().find(|version| version.name == call.version);
    let ended = known.is_some_and(|version| is_over(version.marketing_end)) || has_been(&call.version);
    if is_graph(call) {
        let known = known.filter(|version| !is_over(version.graph_end));
        let oldest = VERSIONS.iter().find(|version| !is_over(version.graph_end));
        return Ok((known.or(oldest).map_or(NEWEST, |version| version.name), ended));
    }
    match known {
        Some(version) if !ended => Ok((version.name, false)),
        _ if ended && auto_upgrade => Ok((NEWEST, true)),
        _ => Err(GraphError::new(
            2635,
            format!(
                "(#2635) You are calling a deprecated version of the Ads API. Please update to the latest version: \
                 {NEWEST}."
            ),
        )),
    }
}

/// Returns whether a version existed before the first recorded one.
fn has_been(version: &str) -> bool {
    let oldest = VERSIONS.first().and_then(|oldest| numbers(oldest.name));
    numbers(version).is_some_and(|numbers| numbers >= (2, 0) && Some(numbers) < oldest)
}

/// Returns whether the call belongs to the Graph API rather than the Marketing API.
fn is_graph(call: &GraphCall) -> bool {
    match call.path().as_slice() {
        // The items of a batch are checked one by one.
        [] | ["oauth" | "debug_token", ..] | ["me"] => true,
        ["me", edge, ..] => !edge.ends_with("accounts") || *edge == "accounts",
        _ => false,
    }
}

/// Parses the numbers of a version: 26 and 0 of `v26.0`.
pub(crate) fn numbers(version: &str) -> Option<(u32, u32)> {
    let (major, minor) = version.strip_prefix('v')?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
