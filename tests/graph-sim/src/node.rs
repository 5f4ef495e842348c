//! Nodes of the graph: ad accounts and the objects in them.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use crate::facts::Facts;
use crate::processing::ProcessingState;

/// Node types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Account,
    Campaign,
    AdSet,
    Ad,
    Creative,
    /// An image of the account; its id combines the account's id and the image's hash.
    Image,
    Video,
    /// The reference calls it a high demand period.
    BudgetSchedule,
    CustomAudience,
}

impl Kind {
    /// Returns whether the kind has an effective status that depends on its parents and the review: campaigns, ad sets
    /// and ads.
    pub(crate) fn delivers(self) -> bool {
        matches!(self, Self::Campaign | Self::AdSet | Self::Ad)
    }
}

/// One object of an ad account: a campaign, ad set, ad, creative, image, video, budget schedule or custom audience.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// Ad account id without the `act_` prefix.
    pub(crate) account: String,
    /// Sort key in listings, ascending; new objects have negative positions and come first.
    pub(crate) position: i64,
    /// All stored fields. `effective_status` is stored only while a recorded value is still valid.
    pub(crate) fields: Map<String, Value>,
    pub(crate) processing: ProcessingState,
}

impl Node {
    pub(crate) fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field)?.as_str()
    }

    /// Returns the status a user chose. Some recordings contain it under only one of its two names.
    pub(crate) fn configured_status(&self) -> &str {
        self.text("status").or_else(|| self.text("configured_status")).unwrap_or("ACTIVE")
    }

    /// Returns the id of the parent: the ad set of an ad, the campaign of an ad set.
    pub(crate) fn parent_id(&self) -> Option<&str> {
        match self.kind {
            Kind::AdSet => self.text("campaign_id"),
            Kind::Ad => self.text("adset_id"),
            _ => None,
        }
    }

    /// Sets the chosen status under both of its names and removes the recorded effective status, which is no longer
    /// valid.
    pub(crate) fn set_status(&mut self, status: &str) {
        self.fields.insert("status".into(), json!(status));
        self.fields.insert("configured_status".into(), json!(status));
        self.fields.remove("effective_status");
    }

    pub(crate) fn touch(&mut self, at: Timestamp, zone: &TimeZone) {
        self.fields.insert("updated_time".into(), json!(graph_time(at, zone)));
    }
}

/// An ad account.
#[derive(Clone)]
pub(crate) struct Account {
    /// The account's id without the `act_` prefix.
    pub(crate) digits: String,
    pub(crate) currency: String,
    pub(crate) zone: TimeZone,
    pub(crate) zone_name: String,
    /// The page that the account's ads belong to.
    pub(crate) page_id: String,
    pub(crate) facts: Facts,
    pub(crate) fields: Map<String, Value>,
}

/// Formats a time as Graph does: local time with an offset without a colon.
pub(crate) fn graph_time(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%z").to_string()
}

/// Parses a time in one of the formats Graph accepts: Unix seconds, ISO 8601, or a date, which means its midnight in
/// UTC.
pub(crate) fn parse_time(text: &str) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Timestamp::from_second(seconds).ok();
    }
    if text.len() == 10 {
        return text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok().map(|midnight| midnight.timestamp());
    }
    Timestamp::strptime("%Y-%m-%dT%H:%M:%S%z", text).ok().or_else(|| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_carry_an_offset_without_colon() {
        let zone = TimeZone::get("Asia/Singapore").unwrap();
        let at: Timestamp = "2026-11-20T02:00:00Z".parse().unwrap();
        assert_eq!(graph_time(at, &zone), "2026-11-20T10:00:00+0800");
        assert_eq!(parse_time("2026-11-20T10:00:00+0800"), Some(at));
        assert_eq!(parse_time("2026-11-20T10:00:00+08:00"), Some(at));
        assert_eq!(parse_time(&at.as_second().to_string()), Some(at));
        assert_eq!(parse_time("2026-11-20"), "2026-11-20T00:00:00Z".parse().ok());
        assert_eq!(parse_time("soon"), None);
    }
}
