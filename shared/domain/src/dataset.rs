//! Datasets: what is measured, how finely, and for how long it is kept.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A kind of measurement. All of its facts have the same grain. Stored and sent as its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dataset {
    /// Its name in keys, jobs and the API.
    pub name: &'static str,
    /// What splits the row of an ad and a day.
    pub breakdowns: &'static [Breakdown],
    /// Days for which a day's facts are kept.
    pub kept_days: i32,
    /// The size in bytes up to which the rows of a day are one stored segment. DynamoDB accepts items of 400 KB; smaller
    /// ones make it cheaper to read one object of a large account.
    pub segment_bytes: usize,
    /// Whether the platform answers no rows unless the advertiser has opted in: no rows are unknown then, not zero.
    pub needs_opt_in: bool,
}

/// What splits a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Breakdown {
    /// Where on the platform: `facebook`, `instagram`.
    PublisherPlatform,
    /// Which placement there: `feed`, `instagram_reels`.
    PlatformPosition,
    /// The age of people: `25-34`.
    Age,
    /// The gender of people: `female`, `male`, `unknown`.
    Gender,
    /// The country of people: `SG`.
    Country,
    /// The market of people, in the United States.
    ComscoreMarket,
    /// What it was shown on: `mobile_app`, `mobile_web`, `desktop`.
    DevicePlatform,
    /// Which device: `iphone`. Needs the advertiser's opt-in.
    ImpressionDevice,
    /// The hour of the ad account's day: `00` to `23`.
    HourOfDay,
}

impl Breakdown {
    /// Every breakdown.
    pub const ALL: [Self; 9] = [
        Self::PublisherPlatform,
        Self::PlatformPosition,
        Self::Age,
        Self::Gender,
        Self::Country,
        Self::ComscoreMarket,
        Self::DevicePlatform,
        Self::ImpressionDevice,
        Self::HourOfDay,
    ];

    /// Returns the breakdown of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|breakdown| breakdown.as_str() == name)
    }

    /// Returns its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PublisherPlatform => "publisher_platform",
            Self::PlatformPosition => "platform_position",
            Self::Age => "age",
            Self::Gender => "gender",
            Self::Country => "country",
            Self::ComscoreMarket => "comscore_market",
            Self::DevicePlatform => "device_platform",
            Self::ImpressionDevice => "impression_device",
            Self::HourOfDay => "hour_of_day",
        }
    }
}

impl fmt::Display for Breakdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Days of 37 months, which the platform keeps.
const ALL_MONTHS: i32 = 37 * 31;

/// Days of 13 months, for which the platform keeps what is measured by hour.
const THIRTEEN_MONTHS: i32 = 13 * 31;

impl Dataset {
    /// One row per ad and day with delivery. Measured for every selected ad account.
    pub const AD_DAY: Self = Self {
        name: "ad_day",
        breakdowns: &[],
        kept_days: ALL_MONTHS,
        segment_bytes: 64 * 1024,
        needs_opt_in: false,
    };

    /// By publisher platform and placement.
    pub const PLACEMENT: Self = Self {
        name: "ad_day_placement",
        breakdowns: &[Breakdown::PublisherPlatform, Breakdown::PlatformPosition],
        ..Self::AD_DAY
    };

    /// By the age and gender of people.
    pub const AGE_GENDER: Self =
        Self { name: "ad_day_age_gender", breakdowns: &[Breakdown::Age, Breakdown::Gender], ..Self::AD_DAY };

    /// By the country of people.
    pub const COUNTRY: Self =
        Self { name: "ad_day_country", breakdowns: &[Breakdown::Country], ..Self::AD_DAY };

    /// By the market of people in the United States.
    pub const MARKET: Self =
        Self { name: "ad_day_market", breakdowns: &[Breakdown::ComscoreMarket], ..Self::AD_DAY };

    /// By what ads were shown on.
    pub const DEVICE: Self =
        Self { name: "ad_day_device", breakdowns: &[Breakdown::DevicePlatform], ..Self::AD_DAY };

    /// By publisher platform and the kind of device, after the advertiser's opt-in.
    pub const IMPRESSION_DEVICE: Self = Self {
        name: "ad_day_impression_device",
        breakdowns: &[Breakdown::PublisherPlatform, Breakdown::ImpressionDevice],
        needs_opt_in: true,
        ..Self::AD_DAY
    };

    /// By the hour of the ad account's day. Meta does not report conversions outside of its own apps by hour: they are
    /// unknown, not zero.
    pub const HOUR: Self = Self {
        name: "ad_hour",
        breakdowns: &[Breakdown::HourOfDay],
        kept_days: THIRTEEN_MONTHS,
        ..Self::AD_DAY
    };

    /// Every dataset: the coarsest first, and last what may not be switched on.
    pub const ALL: [Self; 8] = [
        Self::AD_DAY,
        Self::COUNTRY,
        Self::DEVICE,
        Self::MARKET,
        Self::HOUR,
        Self::AGE_GENDER,
        Self::PLACEMENT,
        Self::IMPRESSION_DEVICE,
    ];

    /// Returns the coarsest dataset that tells all of these apart, if one does.
    pub fn with(wanted: &BTreeSet<Breakdown>) -> Option<Self> {
        let has = |dataset: &Self| wanted.iter().all(|breakdown| dataset.breakdowns.contains(breakdown));
        Self::ALL.into_iter().find(has)
    }

    /// Returns the dataset of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dataset| dataset.name == name)
    }
}

impl Default for Dataset {
    fn default() -> Self {
        Self::AD_DAY
    }
}

impl Serialize for Dataset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

impl<'de> Deserialize<'de> for Dataset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::named(&name).ok_or_else(|| {
            D::Error::custom(format!("must be one of {}", Self::ALL.map(|dataset| dataset.name).join(", ")))
        })
    }
}

#[cfg(feature = "describe")]
impl schemars::JsonSchema for Dataset {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Dataset".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let names = Self::ALL.map(|dataset| dataset.name);
        schemars::json_schema!({"type": "string", "description": "A kind of measurement.", "enum": names})
    }
}
