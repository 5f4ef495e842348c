//! Versions of the Graph API: when they end, and whether Meta serves the one that is asked for.
//!
//! Nothing on the wire announces an end, so the dates are data. Once a version has ended, Meta serves calls of the
//! Marketing API by the newest one, whose defaults may differ, and says so in headers only (observed in 2026).

use std::sync::{Mutex, PoisonError};

use jiff::civil::{Date, date};
use jiff::{SignedDuration, Timestamp};

/// The version that an installation asks for unless it is told another one.
pub const DEFAULT_VERSION: &str = "v26.0";

/// Days before the end of a version from which on it is warned about.
const DAYS_OF_WARNING: i32 = 60;

/// The versions with the day on which the Marketing API no longer serves them, as far as Meta has announced it
/// (Marketing API, "Versions", November 2026).
pub const VERSIONS: [(&str, Option<Date>); 7] = [
    ("v21.0", Some(date(2025, 9, 9))),
    ("v22.0", Some(date(2026, 2, 19))),
    ("v23.0", Some(date(2026, 6, 9))),
    ("v24.0", Some(date(2026, 11, 10))),
    ("v25.0", Some(date(2027, 2, 23))),
    ("v26.0", None),
    ("v27.0", None),
];

/// How long a version is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// For at least sixty days more, as far as it is known.
    Served,
    /// Until this day.
    EndsOn(Date),
    /// It has not been served since this day.
    EndedOn(Date),
    /// It is none of the versions that are known here: misspelt, or newer than this program.
    Unknown,
}

/// Returns how long a version is served, seen on a day.
pub fn support(version: &str, today: Date) -> Support {
    let Some((_, end)) = VERSIONS.iter().find(|(name, _)| *name == version) else { return Support::Unknown };
    match end {
        Some(end) if *end <= today => Support::EndedOn(*end),
        Some(end) if (*end - today).get_days() <= DAYS_OF_WARNING => Support::EndsOn(*end),
        _ => Support::Served,
    }
}

/// What Meta's answers say about the version that was asked for, where that is not the one that serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionNotice {
    /// The version that served the call, where it is another one.
    pub served: Option<String>,
    /// Meta's words: that the version has ended.
    pub warning: Option<String>,
}

impl VersionNotice {
    /// Reads the headers of an answer; `header` looks one up by its lower-case name.
    pub(crate) fn read<'a>(requested: &str, header: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        let served = header("facebook-api-version").filter(|served| *served != requested);
        let warning = header("x-ad-api-version-warning");
        (served.is_some() || warning.is_some())
            .then(|| Self { served: served.map(str::to_owned), warning: warning.map(str::to_owned) })
    }
}

/// Time between two reports of what Meta says about the version in use.
const REPORT_INTERVAL: SignedDuration = SignedDuration::from_hours(1);

/// Time for which a notice counts: every hour that its cause lasts, some function sees it again.
pub const NOTICE_TTL: SignedDuration = SignedDuration::from_hours(3);

/// The last notice of this process, and whether others know of it.
#[derive(Debug, Default)]
pub(crate) struct VersionWatch(Mutex<Watched>);

#[derive(Debug, Default)]
struct Watched {
    notice: Option<(VersionNotice, Timestamp)>,
    is_new: bool,
    reported_at: Option<Timestamp>,
}

impl VersionWatch {
    /// Keeps a notice. Returns whether it is the first one. One that names no serving version, as on calls that only warn,
    /// leaves the one that is known.
    pub(crate) fn record(&self, mut notice: VersionNotice, now: Timestamp) -> bool {
        let mut watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        watched.is_new = true;
        let known = watched.notice.take();
        let served =
            known.as_ref().filter(|(_, at)| counts(*at, now)).and_then(|(known, _)| known.served.clone());
        notice.served = notice.served.or(served);
        watched.notice = Some((notice, now));
        known.is_none()
    }

    /// Returns the last notice of the last three hours.
    pub(crate) fn notice(&self, now: Timestamp) -> Option<VersionNotice> {
        let watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (notice, at) = watched.notice.as_ref()?;
        counts(*at, now).then(|| notice.clone())
    }

    /// Returns the last notice, with the time at which it came, if one came since the last report; at most once an hour.
    pub(crate) fn take(&self, now: Timestamp) -> Option<(VersionNotice, Timestamp)> {
        let mut watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rests = |at: Timestamp| now.duration_since(at) < REPORT_INTERVAL;
        if !watched.is_new || watched.reported_at.is_some_and(rests) {
            return None;
        }
        (watched.is_new, watched.reported_at) = (false, Some(now));
        watched.notice.clone().filter(|(_, at)| counts(*at, now))
    }
}

fn counts(at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(at) < NOTICE_TTL
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_does_not_hide_which_version_serves_and_no_notice_lasts() {
        let (watch, start) = (VersionWatch::default(), Timestamp::UNIX_EPOCH);
        let notice = |served: Option<&str>| VersionNotice {
            served: served.map(str::to_owned),
            warning: Some("deprecated".to_owned()),
        };
        assert!(watch.record(notice(Some("v27.0")), start));
        assert!(!watch.record(notice(None), start));
        assert_eq!(watch.notice(start), Some(notice(Some("v27.0"))));
        let later = start + NOTICE_TTL;
        assert_eq!(watch.notice(later), None);
        assert!(!watch.record(notice(None), later));
        assert_eq!(watch.notice(later), Some(notice(None)));
    }

    #[test]
    fn the_end_of_a_version_is_known_sixty_days_ahead() {
        assert_eq!(support("v26.0", date(2026, 11, 28)), Support::Served);
        assert_eq!(support("v25.0", date(2026, 12, 24)), Support::Served);
        assert_eq!(support("v25.0", date(2026, 12, 25)), Support::EndsOn(date(2027, 2, 23)));
        assert_eq!(support("v25.0", date(2027, 2, 22)), Support::EndsOn(date(2027, 2, 23)));
        assert_eq!(support("v25.0", date(2027, 2, 23)), Support::EndedOn(date(2027, 2, 23)));
        assert_eq!(support("v99.0", date(2026, 11, 28)), Support::Unknown);
    }

    /// Compares the dates with the collected ones, where that file exists.
    #[test]
    fn every_collected_version_has_its_end() {
        let path = "../../../shared/meta/spec/data/versions.json";
        let Ok(text) = std::fs::read_to_string(path) else { return };
        let collected: serde_json::Value = serde_json::from_str(&text).unwrap();
        let end = |row: &serde_json::Value| row["marketing_expired"].as_str().map(|day| day.parse().unwrap());
        let collected: Vec<(&str, Option<Date>)> = collected["versions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| (row["v"].as_str().unwrap(), end(row)))
            .collect();
        assert_eq!(collected, VERSIONS);
    }
}
