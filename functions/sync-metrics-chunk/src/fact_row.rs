//! Rows as a workspace sends them.

use std::collections::BTreeMap;
use std::fmt;

use domain::date::Day;
use domain::metrics::{DayFacts, InsightsRow, Measures, Names};
use domain::text::{Line, is_single_line};
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};

use crate::places::Place;

/// Characters of an id or a name at most.
const MAX_CHARS: usize = 400;

/// Action types of a row at most.
const MAX_ACTION_TYPES: usize = 100;

/// The largest number, far above what any ad has in a day.
const MAX_NUMBER: i64 = 1_000_000_000_000;

/// Decimal places that are kept.
const PLACES: u32 = 6;

/// The numbers of an ad on a day. What is left out is unknown, which is not zero.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct FactRow {
    /// The day, in the time zone of the ad account.
    day: Day,
    /// The ad: its id here, or whatever its source calls it.
    pub(crate) ad_id: SourceText,
    /// Its ad set; needed of an ad that is not known yet. A source without ad sets repeats the campaign.
    pub(crate) adset_id: Option<SourceText>,
    /// Its campaign; needed of an ad set that is not known yet.
    pub(crate) campaign_id: Option<SourceText>,
    /// The name of the ad; what its source calls it where no name was ever sent.
    pub(crate) ad_name: Option<SourceText>,
    /// The name of the ad set.
    pub(crate) adset_name: Option<SourceText>,
    /// The name of the campaign.
    pub(crate) campaign_name: Option<SourceText>,
    /// Times on screen.
    impressions: Count,
    /// All clicks.
    clicks: Count,
    /// Amount spent, in major units of the account's currency.
    spend: Number,
    /// Clicks on links.
    link_clicks: Option<Count>,
    /// Purchases.
    purchases: Option<Number>,
    /// Their value, in major units.
    purchase_value: Option<Number>,
    /// Leads.
    leads: Option<Number>,
    /// Landing pages that were loaded after a click.
    landing_page_views: Option<Number>,
    /// Additions to a cart.
    add_to_cart: Option<Number>,
    /// Checkouts that were begun.
    initiate_checkout: Option<Number>,
    /// Installations of an app.
    app_installs: Option<Number>,
    /// Videos watched for three seconds, or to their end.
    video_views: Option<Number>,
    /// Videos watched for 15 seconds, or to their end.
    thruplays: Option<Number>,
    /// Counts by action type, of whatever else the source counts.
    #[serde(default)]
    actions: ByActionType,
    /// Values by action type, in major units.
    #[serde(default)]
    action_values: ByActionType,
}

impl FactRow {
    pub(crate) fn day(&self) -> Date {
        self.day.0
    }

    /// Returns the row as it is stored, about an ad at this place.
    pub(crate) fn into_facts(self, place: Place) -> InsightsRow {
        let number = |number: Option<Number>| number.map(|Number(number)| number);
        let measures = Measures {
            impressions: self.impressions.0,
            clicks: self.clicks.0,
            link_clicks: self.link_clicks.map(|Count(count)| count),
            spend: self.spend.0,
            purchases: number(self.purchases),
            purchase_value: number(self.purchase_value),
            leads: number(self.leads),
            landing_page_views: number(self.landing_page_views),
            add_to_cart: number(self.add_to_cart),
            initiate_checkout: number(self.initiate_checkout),
            app_installs: number(self.app_installs),
            video_views: number(self.video_views),
            thruplays: number(self.thruplays),
            actions: self.actions.0,
            action_values: self.action_values.0,
            ..Measures::default()
        };
        let Place { ad, adset, campaign } = place;
        let day = self.day.0;
        InsightsRow {
            ad,
            adset,
            campaign,
            names: Names::default(),
            breakdowns: BTreeMap::new(),
            facts: DayFacts { day, measures, reach: None, frequency: None, attribution_setting: None },
        }
    }
}

/// An id or a name at the source.
pub(crate) type SourceText = Line<MAX_CHARS>;

/// A whole number that is not negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "describe", schemars(!try_from, inline, extend("minimum" = 0, "maximum" = MAX_NUMBER)))]
struct Count(u64);

impl TryFrom<u64> for Count {
    type Error = String;

    fn try_from(count: u64) -> Result<Self, String> {
        match count <= MAX_NUMBER.unsigned_abs() {
            true => Ok(Self(count)),
            false => Err(format!("must be {MAX_NUMBER} at most")),
        }
    }
}

/// A number that is not negative, exact where it is sent as text. Six decimal places are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Number(Decimal);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberVisitor;
        impl Visitor<'_> for NumberVisitor {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a number from 0 to {MAX_NUMBER}, or a decimal such as \"12.50\"")
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Number, E> {
                self.visit_str(&value.to_string())
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Number, E> {
                // The shortest digits that are this float: what its sender wrote.
                self.visit_str(&value.to_string())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
                let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
                let number = is_plain.then(|| text.parse::<Decimal>().ok()).flatten();
                let number = number.filter(|number| *number <= Decimal::from(MAX_NUMBER));
                let number = number.map(|number| Number(number.round_dp(PLACES).normalize()));
                number.ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(NumberVisitor)
    }
}

#[cfg(feature = "describe")]
impl schemars::JsonSchema for Number {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Number".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"anyOf": [
            {"type": "number", "minimum": 0, "maximum": MAX_NUMBER},
            {"type": "string", "pattern": domain::text::NON_NEGATIVE_DECIMAL_PATTERN},
        ]})
    }
}

/// Numbers by action type.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(try_from = "BTreeMap<String, Number>")]
struct ByActionType(BTreeMap<String, Decimal>);

impl TryFrom<BTreeMap<String, Number>> for ByActionType {
    type Error = String;

    fn try_from(numbers: BTreeMap<String, Number>) -> Result<Self, String> {
        if numbers.len() > MAX_ACTION_TYPES || !numbers.keys().all(|action| is_single_line(action, MAX_CHARS))
        {
            return Err(format!(
                "must have {MAX_ACTION_TYPES} action types at most, each a line of 1 to {MAX_CHARS} characters"
            ));
        }
        Ok(Self(numbers.into_iter().map(|(action, Number(number))| (action, number)).collect()))
    }
}

#[cfg(feature = "describe")]
impl schemars::JsonSchema for ByActionType {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ByActionType".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "object",
            "propertyNames": {"maxLength": MAX_CHARS, "pattern": domain::text::SINGLE_LINE_PATTERN},
            "additionalProperties": generator.subschema_for::<Number>(),
            "maxProperties": MAX_ACTION_TYPES,
        })
    }
}
