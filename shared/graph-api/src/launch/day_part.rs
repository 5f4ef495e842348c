//! The hours of the week in which an ad set delivers.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::findings::Findings;

/// Hours of some days of the week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DayPart {
    /// The days.
    #[cfg_attr(feature = "describe", schemars(length(min = 1, max = 7)))]
    pub days: Vec<Day>,
    /// The full hour from which it delivers, 0 to 23.
    #[cfg_attr(feature = "describe", schemars(range(max = 23)))]
    pub from_hour: u8,
    /// The full hour until which it delivers, 1 to 24.
    #[cfg_attr(feature = "describe", schemars(range(min = 1, max = 24)))]
    pub until_hour: u8,
}

/// A day of the week. The order is Meta's, which counts from Sunday.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Day {
    Sunday,
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
}

pub(super) fn check(parts: &[DayPart], path: &str, found: &mut Findings) {
    found.require_short(parts.len(), &format!("{path}.day_parts"));
    for (number, part) in parts.iter().enumerate() {
        let field = format!("{path}.day_parts[{number}]");
        found.require(!part.days.is_empty(), &format!("{field}.days"), "must name a day");
        let ordered = part.from_hour < part.until_hour && part.until_hour <= 24;
        found.require(
            ordered,
            &format!("{field}.until_hour"),
            "must be a full hour after from_hour, at most 24",
        );
    }
}

/// Returns `adset_schedule`. Meta's default zone is the viewer's.
pub(super) fn schedule(parts: &[DayPart]) -> Value {
    let part = |part: &DayPart| {
        let days: Vec<_> = part.days.iter().map(|day| *day as u8).collect();
        json!({
            "start_minute": u32::from(part.from_hour) * 60,
            "end_minute": u32::from(part.until_hour) * 60,
            "days": days,
            "timezone_type": "ADVERTISER",
        })
    };
    parts.iter().map(part).collect()
}
