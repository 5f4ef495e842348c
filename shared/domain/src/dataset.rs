//! Datasets: what is measured, how finely, and for how long it is kept.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A kind of measurement. All of its facts have the same grain. Stored and sent as its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dataset {
    /// Its name in keys, jobs and the API.
    pub name: &'static str,
    /// Days for which a day's facts are kept.
    pub kept_days: i32,
    /// The size in bytes up to which the rows of a day are one stored segment. DynamoDB accepts items of 400 KB; smaller
    /// ones make it cheaper to read one object of a large account.
    pub segment_bytes: usize,
}

impl Dataset {
    /// One row per ad and day with delivery.
    pub const AD_DAY: Self = Self { name: "ad_day", kept_days: 37 * 31, segment_bytes: 64 * 1024 };

    /// Every dataset.
    pub const ALL: [Self; 1] = [Self::AD_DAY];
}

impl Serialize for Dataset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

impl<'de> Deserialize<'de> for Dataset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let known = Self::ALL.into_iter().find(|dataset| dataset.name == name);
        known.ok_or_else(|| D::Error::custom("no dataset has this name"))
    }
}
