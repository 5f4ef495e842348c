//! Who sees an ad set's ads, and where they appear.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::findings::Findings;
#[cfg(feature = "describe")]
use super::spec::MAX_LIST_ENTRIES;
use super::{AdSetSpec, LaunchSpec};
use crate::id::ObjectId;
use crate::targeting;

/// Special ad categories whose audiences may not be chosen by age, gender or postcode (Marketing API, "Special Ad
/// Category").
const PROTECTED_CATEGORIES: [&str; 4] = ["HOUSING", "EMPLOYMENT", "CREDIT", "FINANCIAL_PRODUCTS_SERVICES"];

/// Who sees the ads. Everybody in the ad set's countries when empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Audience {
    /// Meta's keys of regions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_LIST_ENTRIES)))]
    pub regions: Vec<ObjectId>,
    /// Cities, with what lies around them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_LIST_ENTRIES)))]
    pub cities: Vec<City>,
    /// Postcodes with their country, such as `US:94304`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_LIST_ENTRIES), inner(regex(pattern = "^[A-Z]{2}:[A-Za-z0-9 -]{1,16}$"))))]
    pub zips: Vec<String>,
    /// Countries in which it is not shown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_LIST_ENTRIES), inner(regex(pattern = "^[A-Z]{2}$"))))]
    pub excluded_countries: Vec<String>,
    /// Meta's keys of regions in which it is not shown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_LIST_ENTRIES)))]
    pub excluded_regions: Vec<ObjectId>,
    /// The youngest, 13 to 65.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(range(min = 13, max = 65)))]
    pub age_min: Option<u8>,
    /// The oldest, 13 to 65, which means 65 and more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(range(min = 13, max = 65)))]
    pub age_max: Option<u8>,
    /// Everybody when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gender: Option<Gender>,
    /// Meta's keys of languages, where they are not those that most people there speak.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_LIST_ENTRIES)))]
    pub locales: Vec<u32>,
    /// Meta's ids of interests, of which one is enough.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_LIST_ENTRIES)))]
    pub interests: Vec<ObjectId>,
    /// Meta's ids of behaviours, of which one is enough, or one of the interests.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_LIST_ENTRIES)))]
    pub behaviors: Vec<ObjectId>,
    /// Custom and lookalike audiences of the ad account, by id.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_LIST_ENTRIES)))]
    pub custom_audiences: Vec<ObjectId>,
    /// Those whose people do not see it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_LIST_ENTRIES)))]
    pub excluded_custom_audiences: Vec<ObjectId>,
}

/// A city.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct City {
    /// Meta's key.
    pub key: ObjectId,
    /// Kilometres around it, 17 to 80; the city alone when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "describe", schemars(range(min = 17, max = 80)))]
    pub radius_km: Option<u8>,
}

/// A gender that an audience is limited to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Gender {
    Male,
    Female,
}

pub(super) const COUNTRIES: &str = "geo_locations.countries";
pub(super) const ADVANTAGE_AUDIENCE: &str = "targeting_automation.advantage_audience";

impl Audience {
    /// Returns its values, each with its field here and its path in Meta's `targeting`.
    pub(super) fn values(&self) -> [(&'static str, &'static str, Value); 13] {
        let keys = |ids: &[ObjectId]| ids.iter().map(|key| json!({"key": key})).collect::<Value>();
        let ids = |ids: &[ObjectId]| ids.iter().map(|id| json!({"id": id})).collect::<Value>();
        let city = |city: &City| match city.radius_km {
            Some(km) => json!({"key": city.key, "radius": km, "distance_unit": "kilometer"}),
            None => json!({"key": city.key}),
        };
        let gender = self.gender.map(|gender| match gender {
            Gender::Male => [1],
            Gender::Female => [2],
        });
        [
            ("regions", "geo_locations.regions", keys(&self.regions)),
            ("cities", "geo_locations.cities", self.cities.iter().map(city).collect()),
            ("zips", "geo_locations.zips", self.zips.iter().map(|zip| json!({"key": zip})).collect()),
            ("excluded_countries", "excluded_geo_locations.countries", json!(self.excluded_countries)),
            ("excluded_regions", "excluded_geo_locations.regions", keys(&self.excluded_regions)),
            ("age_min", "age_min", json!(self.age_min)),
            ("age_max", "age_max", json!(self.age_max)),
            ("gender", "genders", json!(gender)),
            ("locales", "locales", json!(self.locales)),
            ("interests", "flexible_spec.0.interests", ids(&self.interests)),
            ("behaviors", "flexible_spec.0.behaviors", ids(&self.behaviors)),
            ("custom_audiences", "custom_audiences", ids(&self.custom_audiences)),
            ("excluded_custom_audiences", "excluded_custom_audiences", ids(&self.excluded_custom_audiences)),
        ]
    }

    /// Returns whether it names places that need no country.
    pub(super) fn has_places(&self) -> bool {
        !self.regions.is_empty() || !self.cities.is_empty() || !self.zips.is_empty()
    }

    /// Returns the countries of its postcodes. Those of regions and cities are Meta's to know.
    pub(super) fn countries(&self) -> impl Iterator<Item = &str> {
        self.zips.iter().filter_map(|zip| Some(zip.split_once(':')?.0))
    }

    /// Checks each value by itself.
    pub(super) fn check_values(&self, path: &str, found: &mut Findings) {
        let at = |field: &str| format!("{path}.{field}");
        for (entries, field) in [
            (self.regions.len(), "regions"),
            (self.cities.len(), "cities"),
            (self.zips.len(), "zips"),
            (self.excluded_countries.len(), "excluded_countries"),
            (self.excluded_regions.len(), "excluded_regions"),
            (self.locales.len(), "locales"),
            (self.interests.len(), "interests"),
            (self.behaviors.len(), "behaviors"),
            (self.custom_audiences.len(), "custom_audiences"),
            (self.excluded_custom_audiences.len(), "excluded_custom_audiences"),
        ] {
            found.require_short(entries, &at(field));
        }
        found.require_countries(&self.excluded_countries, &at("excluded_countries"));
        let is_zip = |zip: &String| {
            zip.split_once(':').is_some_and(|(country, code)| {
                let code_fits = (1..=16).contains(&code.len())
                    && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" -".contains(&byte));
                country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase()) && code_fits
            })
        };
        found.require(
            self.zips.iter().all(is_zip),
            &at("zips"),
            "must hold postcodes with their country, such as US:94304",
        );
        let near = self.cities.iter().all(|city| city.radius_km.is_none_or(|km| (17..=80).contains(&km)));
        found.require(near, &at("cities"), "may reach 17 to 80 km around a city");
        for (field, age) in [("age_min", self.age_min), ("age_max", self.age_max)] {
            let is_age = age.is_none_or(|age| (13..=65).contains(&age));
            found.require(is_age, &at(field), "must be 13 to 65");
        }
        let twice = self.custom_audiences.iter().any(|id| self.excluded_custom_audiences.contains(id));
        let message = "excludes an audience that custom_audiences includes";
        found.require(!twice, &at("excluded_custom_audiences"), message);
    }

    pub(super) fn check(&self, ad_set: &AdSetSpec, spec: &LaunchSpec, path: &str, found: &mut Findings) {
        self.check_values(path, found);
        let at = |field: &str| format!("{path}.{field}");
        let (youngest, oldest) = (self.age_min.unwrap_or(18), self.age_max.unwrap_or(65));
        found.require(
            (youngest..=65).contains(&oldest),
            &at("age_max"),
            "must be at least age_min, and 65 at most",
        );
        if ad_set.advantage_audience {
            let message = "is a suggestion with advantage_audience, and Meta takes 25 at most";
            found.require(youngest <= 25, &at("age_min"), message);
            let message = "must be 65 or absent with advantage_audience: Meta looks beyond it";
            found.require(oldest == 65, &at("age_max"), message);
        }
        let categories = &spec.special_ad_categories;
        if let Some(category) =
            PROTECTED_CATEGORIES.iter().find(|category| categories.iter().any(|named| named == *category))
        {
            let message = format!("must be absent: Meta does not allow it for {category}");
            found.require(self.age_min.is_none_or(|age| age <= 18), &at("age_min"), message.as_str());
            found.require(oldest == 65, &at("age_max"), message.as_str());
            found.require(self.gender.is_none(), &at("gender"), message.as_str());
            found.require(self.zips.is_empty(), &at("zips"), message.as_str());
        }
    }
}

/// Where the ads appear, in Meta's words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Placements {
    /// Such as `facebook`, `instagram`, `audience_network`, `messenger`, `threads`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "describe", schemars(length(max = 20), inner(regex(pattern = WORD_PATTERN))))]
    pub publisher_platforms: Vec<String>,
    /// Such as `feed`, `story`, `facebook_reels`, `marketplace`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "describe", schemars(length(max = 20), inner(regex(pattern = WORD_PATTERN))))]
    pub facebook_positions: Vec<String>,
    /// Such as `stream`, `story`, `reels`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "describe", schemars(length(max = 20), inner(regex(pattern = WORD_PATTERN))))]
    pub instagram_positions: Vec<String>,
    /// Such as `classic`, `rewarded_video`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "describe", schemars(length(max = 20), inner(regex(pattern = WORD_PATTERN))))]
    pub audience_network_positions: Vec<String>,
    /// Such as `sponsored_messages`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "describe", schemars(length(max = 20), inner(regex(pattern = WORD_PATTERN))))]
    pub messenger_positions: Vec<String>,
    /// Such as `threads_stream`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "describe", schemars(length(max = 20), inner(regex(pattern = WORD_PATTERN))))]
    pub threads_positions: Vec<String>,
    /// Such as `status`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "describe", schemars(length(max = 20), inner(regex(pattern = WORD_PATTERN))))]
    pub whatsapp_positions: Vec<String>,
    /// `mobile`, `desktop`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "describe", schemars(length(max = 20), inner(regex(pattern = WORD_PATTERN))))]
    pub device_platforms: Vec<String>,
    /// Such as `iOS`, `Android_ver_14.0_and_above`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "describe", schemars(length(max = 20), inner(regex(pattern = DEVICE_PATTERN))))]
    pub user_os: Vec<String>,
    /// Such as `iPhone`, `iPad`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "describe", schemars(length(max = 20), inner(regex(pattern = DEVICE_PATTERN))))]
    pub user_device: Vec<String>,
}

#[cfg(feature = "describe")]
const WORD_PATTERN: &str = "^[a-z_]{1,64}$";
#[cfg(feature = "describe")]
const DEVICE_PATTERN: &str = "^[A-Za-z0-9_. ]{1,64}$";

/// Positions that Meta has given up: an error, or dropped without a word (v26).
const GONE_POSITIONS: [(&str, &str); 3] = [
    ("facebook_positions", "video_feeds"),
    ("instagram_positions", "explore"),
    ("messenger_positions", "story"),
];

impl Placements {
    fn lists(&self) -> [(&'static str, &[String]); 10] {
        [
            ("publisher_platforms", &self.publisher_platforms),
            ("facebook_positions", &self.facebook_positions),
            ("instagram_positions", &self.instagram_positions),
            ("audience_network_positions", &self.audience_network_positions),
            ("messenger_positions", &self.messenger_positions),
            ("threads_positions", &self.threads_positions),
            ("whatsapp_positions", &self.whatsapp_positions),
            ("device_platforms", &self.device_platforms),
            ("user_os", &self.user_os),
            ("user_device", &self.user_device),
        ]
    }

    pub(super) fn check(&self, path: &str, found: &mut Findings) {
        for (name, entries) in self.lists() {
            let is_device = name.starts_with("user_");
            let word = |word: &String| {
                (1..=64).contains(&word.len())
                    && word.bytes().all(|byte| match is_device {
                        true => byte.is_ascii_alphanumeric() || b"_. ".contains(&byte),
                        false => byte.is_ascii_lowercase() || byte == b'_',
                    })
            };
            let field = format!("{path}.{name}");
            let message = "must hold words of Meta's, 20 at most";
            found.require(entries.len() <= 20 && entries.iter().all(word), &field, message);
            for (_, gone) in GONE_POSITIONS.iter().filter(|(list, _)| *list == name) {
                let message = format!("must be without {gone}, which Meta no longer has");
                found.require(!entries.iter().any(|entry| entry == gone), &field, message);
            }
            let platform = name.strip_suffix("_positions");
            let without_platform = platform.filter(|platform| {
                !entries.is_empty() && !self.publisher_platforms.iter().any(|named| named == platform)
            });
            if let Some(platform) = without_platform {
                let message = format!("needs {platform} in publisher_platforms");
                found.require(false, &field, message);
            }
        }
    }

    /// Returns its values by their paths in Meta's `targeting`.
    pub(super) fn values(&self) -> impl Iterator<Item = (&'static str, Value)> {
        // From February 2027 on Meta looks beyond the devices and systems that are named, unless it is told not to.
        let setting = if self.names_devices() { json!(0) } else { Value::Null };
        let lists = self.lists().map(|(name, list)| (name, json!(list)));
        lists.into_iter().chain([("targeting_automation.individual_setting.device", setting)])
    }

    /// Returns whether it names devices or systems.
    fn names_devices(&self) -> bool {
        !self.user_os.is_empty() || !self.user_device.is_empty()
    }
}

/// Returns the `targeting` of an ad set.
pub(super) fn targeting(ad_set: &AdSetSpec) -> Value {
    let audience = ad_set.audience.iter().flat_map(Audience::values).map(|(_, path, value)| (path, value));
    let placed = ad_set.placements.iter().flat_map(Placements::values);
    let values = [
        (COUNTRIES, json!(ad_set.countries)),
        (ADVANTAGE_AUDIENCE, json!(u8::from(ad_set.advantage_audience))),
    ];
    let mut targeting = json!({"geo_locations": {}});
    for (path, value) in values.into_iter().chain(audience).chain(placed) {
        if !(value.is_null() || value == json!([])) {
            targeting::set(&mut targeting, path, value);
        }
    }
    targeting
}
