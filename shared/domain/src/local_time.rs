//! Local times of people, in a named time zone.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, Zoned};

/// Returns the moment of a local time in a zone: of a time that comes twice, when clocks are set back, the first, as
/// everywhere in AWS. `None` for one that does not exist, because clocks are set forward over it, or lies outside the years
/// that can be written.
pub fn resolve(at: DateTime, zone: &TimeZone) -> Option<Zoned> {
    let local = zone.to_ambiguous_zoned(at);
    if matches!(local.offset(), AmbiguousOffset::Gap { .. }) {
        return None;
    }
    local.compatible().ok()
}

/// Reads a local time of a zone, such as `2026-12-01T09:00:00`, or one with an offset, and returns it in the zone. `None` for
/// text of another shape, and for a local time that does not [exist](resolve).
pub fn read(text: &str, zone: &TimeZone) -> Option<Zoned> {
    // A day alone could mean its beginning or its end, and a zone that is named would be ignored.
    if !text.contains('T') || text.contains(['[', ' ']) {
        return None;
    }
    match text.parse::<Timestamp>() {
        Ok(moment) => Some(moment.to_zoned(zone.clone())),
        Err(_) => resolve(text.parse().ok()?, zone),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn zones() -> Vec<TimeZone> {
        jiff::tz::db().available().filter_map(|name| TimeZone::get(name.as_str()).ok()).collect()
    }

    /// Returns the moments at which the clocks of a zone say this.
    fn moments(at: DateTime, zone: &TimeZone) -> Vec<Timestamp> {
        let as_utc = at.to_zoned(TimeZone::UTC).unwrap().timestamp();
        // Offsets are less than 26 hours, and are set to minutes and, long ago, to seconds.
        let offsets: std::collections::BTreeSet<_> = (-26..=26)
            .map(|hours| zone.to_offset(as_utc + jiff::SignedDuration::from_hours(hours)).seconds())
            .collect();
        let candidates =
            offsets.into_iter().map(|offset| as_utc - jiff::SignedDuration::from_secs(offset.into()));
        let mut found: Vec<_> =
            candidates.filter(|moment| moment.to_zoned(zone.clone()).datetime() == at).collect();
        found.sort();
        found
    }

    #[test]
    fn a_local_time_is_the_first_moment_at_which_the_clocks_say_it() {
        let zones = zones();
        assert!(zones.len() > 400, "{} zones", zones.len());
        // In every zone around every change of its clocks in some years, and far from them.
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let (mut twice, mut never) = (0, 0);
        for zone in &zones {
            for change in zone.following(start).take(4) {
                for minutes in [-90, -60, -30, -1, 0, 1, 29, 59, 60, 90] {
                    let near = change.timestamp() + jiff::SignedDuration::from_mins(minutes);
                    for offset in [zone.to_offset(start), change.offset()] {
                        let at = offset.to_datetime(near);
                        let moments = moments(at, zone);
                        assert_eq!(
                            resolve(at, zone).map(|zoned| zoned.timestamp()),
                            moments.first().copied(),
                            "{at}"
                        );
                        twice += usize::from(moments.len() > 1);
                        never += usize::from(moments.is_empty());
                    }
                }
            }
        }
        assert!(twice > 100 && never > 100, "{twice} times come twice, {never} never");
    }

    proptest! {
        #[test]
        fn a_time_is_read_as_it_was_written(second in 1_700_000_000_i64..4_000_000_000, zone in 0_usize..10_000) {
            let zones = zones();
            let zone = &zones[zone % zones.len()];
            let moment = Timestamp::from_second(second).unwrap();
            let zoned = moment.to_zoned(zone.clone());
            let with_offset = zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
            prop_assert_eq!(read(&with_offset, zone).map(|zoned| zoned.timestamp()), Some(moment));
            let local = read(&zoned.datetime().to_string(), zone).unwrap();
            prop_assert_eq!(local.datetime(), zoned.datetime());
            prop_assert!(local.timestamp() <= moment);
        }
    }
}
