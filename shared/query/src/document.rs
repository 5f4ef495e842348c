//! The document: what to measure, of what, over which days, and in which order.

use std::collections::BTreeSet;
use std::fmt;

use domain::FieldError;
use domain::dataset::{Breakdown, Dataset};
use domain::date::{DateRange, Day, Grain, Weekdays};
use domain::entity::Level;
use domain::id::AdAccountId;
use domain::metrics::{Detail, Details};
use jiff::{Span, ToSpan};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::currency::Convert;
use crate::filter::{Attribute, Filter};
use crate::measure::Measure;
use crate::order::{OrderBy, OrderKey, OrderOf};

/// Rows of an answer when the document does not say.
const DEFAULT_ROWS: u16 = 100;

/// Rows of an answer at most.
const MAX_ROWS: u16 = 500;

/// Ad accounts of a query at most: each costs reads of its own.
const MAX_AD_ACCOUNTS: usize = 100;

/// Measures of a query at most.
const MAX_MEASURES: usize = 30;

/// Dimensions, order keys and sparklines of a query at most.
const MAX_DIMENSIONS: usize = 3;

/// Filters of a query at most.
const MAX_FILTERS: usize = 20;

/// Ids of entities that all filters name together at most: each may cost a read in each ad account.
const MAX_IDS: usize = 1_000;

/// What to measure, of what, over which days, and in which order.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// The ad accounts; every selected one of the workspace when left out.
    #[cfg_attr(feature = "describe", schemars(length(min = 1, max = MAX_AD_ACCOUNTS)))]
    pub ad_accounts: Option<Vec<AdAccountId>>,
    /// What a row is about.
    pub level: Level,
    /// What to measure. Without measures, the answer lists entities.
    #[serde(default)]
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_MEASURES)))]
    pub measures: Vec<Measure>,
    /// How rows are told apart beside their level; one of them at most is about days. Breakdowns are told apart together
    /// where one dataset has them: placement, or age and gender.
    #[serde(default)]
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_DIMENSIONS)))]
    pub dimensions: Vec<Dimension>,
    /// The days, of each ad account's own time zone.
    pub range: Days,
    /// Only rows that pass all of these.
    #[serde(default)]
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_FILTERS)))]
    pub filters: Vec<Filter>,
    /// The order of rows. By default that of days and dimensions, and then the highest first measure first; with an empty
    /// list, and among equal ones, that of ids.
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_DIMENSIONS)))]
    pub order: Option<Vec<OrderBy>>,
    /// Rows of an answer; 100 by default.
    #[cfg_attr(feature = "describe", schemars(range(min = 1, max = MAX_ROWS)))]
    pub limit: Option<u16>,
    /// The days to compare with.
    pub compare: Option<Compare>,
    /// Whether entities and days without delivery have rows of zeros. By default entities have, and days have not.
    pub fill_zeros: Option<bool>,
    /// Values by action type and attribution window to add to each row.
    pub include: Option<Vec<Detail>>,
    /// Measures whose values of each day are added to each row, as lists.
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_DIMENSIONS)))]
    pub sparklines: Option<Vec<Measure>>,
    /// The currency of every amount. Needed where the ad accounts have several.
    pub convert: Option<Convert>,
    /// The `after` of the answer before.
    #[cfg_attr(feature = "describe", schemars(extend("format" = "cursor", "pattern" = "^[A-Za-z0-9_-]+$")))]
    pub after: Option<String>,
    /// Bytes of an answer as JSON, about: a page with fewer rows than `limit` goes on with `after` all the same.
    #[serde(skip)]
    pub max_bytes: Option<usize>,
}

/// Bytes of an answer of the API as JSON at most. Lambda returns 6 MB.
pub const MAX_ANSWER_BYTES: usize = 4_000_000;

/// Days from `since` to `until`, both included.
#[derive(Debug, Clone, Copy, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Days {
    /// First day.
    pub since: Day,
    /// Last day.
    pub until: Day,
}

impl Days {
    /// Returns the days as a range. `field` is the document's name of them.
    fn range(&self, field: &str) -> Result<DateRange, FieldError> {
        let range = DateRange::new(self.since.0, self.until.0);
        range.map_err(|error| FieldError::new(format!("{field}.{}", error.field), error.message))
    }
}

impl From<DateRange> for Days {
    fn from(range: DateRange) -> Self {
        Self { since: Day(range.since), until: Day(range.until) }
    }
}

/// How rows are told apart beside their level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// Each day.
    Day,
    /// Weeks from Monday to Sunday, as far as the range has their days.
    Week,
    /// Calendar months, as far as the range has their days.
    Month,
    /// All Mondays, all Tuesdays, and so on.
    Weekday,
    /// The campaigns' objective.
    Objective,
    /// What people set: of the entities, or at account level of the campaigns.
    Status,
    /// What the platform makes of it.
    EffectiveStatus,
    /// What splits the rows of ads themselves, as far as a dataset of that kind is measured.
    #[serde(untagged)]
    Breakdown(Breakdown),
}

impl Dimension {
    /// Returns how days are put together for it; `None` where it is not about days.
    pub(crate) fn grain(self) -> Option<Grain> {
        match self {
            Self::Day => Some(Grain::Day),
            Self::Week => Some(Grain::Week),
            Self::Month => Some(Grain::Month),
            Self::Weekday => Some(Grain::Weekday),
            Self::Objective | Self::Status | Self::EffectiveStatus | Self::Breakdown(_) => None,
        }
    }

    /// Returns the attribute of entities that it is.
    pub(crate) fn attribute(self) -> Option<Attribute> {
        match self {
            Self::Objective => Some(Attribute::Objective),
            Self::Status => Some(Attribute::Status),
            Self::EffectiveStatus => Some(Attribute::EffectiveStatus),
            Self::Day | Self::Week | Self::Month | Self::Weekday | Self::Breakdown(_) => None,
        }
    }
}

/// The days to compare with.
#[derive(Debug, Clone, Copy)]
pub enum Compare {
    /// As many days, right before.
    PreviousPeriod,
    /// The same dates a year before.
    PreviousYear,
    /// These.
    Days(Days),
}

const PREVIOUS_PERIOD: &str = "previous_period";
const PREVIOUS_YEAR: &str = "previous_year";

impl<'de> Deserialize<'de> for Compare {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CompareVisitor;
        impl<'de> Visitor<'de> for CompareVisitor {
            type Value = Compare;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{PREVIOUS_PERIOD}, {PREVIOUS_YEAR}, or an object with since and until")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Compare, E> {
                match text {
                    PREVIOUS_PERIOD => Ok(Compare::PreviousPeriod),
                    PREVIOUS_YEAR => Ok(Compare::PreviousYear),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Compare, A::Error> {
                Days::deserialize(MapAccessDeserializer::new(map)).map(Compare::Days)
            }
        }
        deserializer.deserialize_any(CompareVisitor)
    }
}

impl Query {
    /// Creates a query of all entities of a level, with no measures.
    pub fn new(level: Level, range: DateRange) -> Self {
        Self {
            ad_accounts: None,
            level,
            measures: Vec::new(),
            dimensions: Vec::new(),
            range: range.into(),
            filters: Vec::new(),
            order: None,
            limit: None,
            compare: None,
            fill_zeros: None,
            include: None,
            sparklines: None,
            convert: None,
            after: None,
            max_bytes: None,
        }
    }

    /// Returns the days.
    pub fn range(&self) -> Result<DateRange, FieldError> {
        self.range.range("range")
    }

    /// Returns the days to compare with, if any.
    pub(crate) fn compared(&self) -> Result<Option<DateRange>, FieldError> {
        let range = self.range()?;
        let back = |span: Span| DateRange {
            since: range.since.saturating_sub(span),
            until: range.until.saturating_sub(span),
        };
        self.compare
            .map(|compare| match compare {
                Compare::PreviousPeriod => Ok(back(range.days().days())),
                Compare::PreviousYear => Ok(back(1.year())),
                Compare::Days(days) => days.range("compare"),
            })
            .transpose()
    }

    /// Returns a text that is the same for all pages of an answer, and for no other query.
    pub fn identity(&self) -> String {
        format!("{:?}", Self { limit: None, after: None, max_bytes: None, ..self.clone() })
    }

    /// Returns how days are put together.
    pub(crate) fn grain(&self) -> Grain {
        self.dimensions.iter().find_map(|dimension| dimension.grain()).unwrap_or_default()
    }

    /// Returns the details to add to each row.
    pub fn details(&self) -> Details {
        self.include.clone().into()
    }

    /// Returns the rows of an answer.
    pub fn rows(&self) -> usize {
        self.limit.unwrap_or(DEFAULT_ROWS).into()
    }

    /// Returns the breakdowns by which rows are told apart.
    pub(crate) fn breakdowns(&self) -> Vec<Breakdown> {
        let breakdown = |dimension: &Dimension| match dimension {
            Dimension::Breakdown(breakdown) => Some(*breakdown),
            _ => None,
        };
        self.dimensions.iter().filter_map(breakdown).collect()
    }

    /// Returns the dataset that tells apart what the dimensions and filters do.
    pub fn dataset(&self) -> Result<Dataset, FieldError> {
        let filtered = self.filters.iter().filter_map(Filter::breakdown);
        let wanted: BTreeSet<Breakdown> = self.breakdowns().into_iter().chain(filtered).collect();
        Dataset::with(&wanted).ok_or_else(|| {
            let known: Vec<_> = Dataset::ALL
                .iter()
                .filter(|dataset| !dataset.breakdowns.is_empty())
                .map(|dataset| {
                    dataset.breakdowns.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
                })
                .collect();
            let message = format!("are not measured together; what is: {}", known.join(", "));
            FieldError::new("dimensions", message)
        })
    }

    /// Returns the days of the week that the filters leave; `None` without such a filter.
    pub(crate) fn weekdays(&self) -> Option<Weekdays> {
        let weekdays = self.filters.iter().filter_map(|filter| match filter {
            Filter::Weekdays(days) => Some(*days),
            _ => None,
        });
        weekdays.reduce(Weekdays::and)
    }

    /// Returns the attributes by which rows are told apart.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = Attribute> + use<'_> {
        self.dimensions.iter().filter_map(|dimension| dimension.attribute())
    }

    /// Returns the order of rows: as it is said, or else of days and dimensions and then by the first measure.
    pub(crate) fn order(&self) -> Vec<OrderBy> {
        if let Some(order) = &self.order {
            return order.clone();
        }
        let dimensions =
            self.dimensions.iter().map(|dimension| OrderBy::ascending(OrderKey::Dimension(*dimension)));
        let measure =
            self.measures.first().map(|measure| OrderBy::descending(OrderKey::Measure(measure.clone())));
        let name = measure.is_none().then(|| OrderBy::ascending(OrderKey::Name));
        dimensions.chain(measure).chain(name).collect()
    }

    /// Returns every measure that the answer, its filters or its order need.
    pub(crate) fn needed_measures(&self) -> Vec<Measure> {
        let filtered = self.filters.iter().filter_map(Filter::measure);
        let order = self.order();
        let ordered = order.iter().filter_map(|order| match &order.by {
            OrderKey::Measure(measure) => Some(measure),
            _ => None,
        });
        let mut all: Vec<_> = self.measures.iter().chain(filtered).chain(ordered).cloned().collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Checks what deserialization does not. Returns every mistake.
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut at_most = |field: &str, count: usize, max: usize| {
            if count > max {
                errors.push(FieldError::new(field, format!("must have {max} entries at most")));
            }
        };
        at_most("measures", self.measures.len(), MAX_MEASURES);
        at_most("dimensions", self.dimensions.len(), MAX_DIMENSIONS);
        at_most("filters", self.filters.len(), MAX_FILTERS);
        at_most("order", self.order.as_ref().map_or(0, Vec::len), MAX_DIMENSIONS);
        at_most("sparklines", self.sparklines.as_ref().map_or(0, Vec::len), MAX_DIMENSIONS);
        at_most("ad_accounts", self.ad_accounts.as_ref().map_or(0, Vec::len), MAX_AD_ACCOUNTS);
        let ids: usize = self.filters.iter().map(Filter::ids).sum();
        if ids > MAX_IDS {
            let message =
                format!("name {ids} campaigns, ad sets and ads together; {MAX_IDS} at most are possible");
            errors.push(FieldError::new("filters", message));
        }
        if self.ad_accounts.as_ref().is_some_and(Vec::is_empty) {
            errors.push(FieldError::new(
                "ad_accounts",
                "must name an ad account, or be left out for all of them",
            ));
        }
        if self.dimensions.iter().filter(|dimension| dimension.grain().is_some()).count() > 1 {
            let message = "must have one of day, week, month and weekday at most";
            errors.push(FieldError::new("dimensions", message));
        }
        if self.limit.is_some_and(|rows| !(1..=MAX_ROWS).contains(&rows)) {
            errors.push(FieldError::new("limit", format!("must be 1 to {MAX_ROWS}")));
        }
        for (number, order) in self.order.iter().flatten().enumerate() {
            if order.of == OrderOf::Change && self.compare.is_none() {
                let message = "needs `compare`: without it nothing has changed";
                errors.push(FieldError::new(format!("order[{number}].of"), message));
            }
            // An entity has its own attributes, whether or not they are dimensions.
            let has = |dimension: Dimension| {
                let of_entity = self.level > Level::Account && dimension.attribute().is_some();
                self.dimensions.contains(&dimension) || of_entity
            };
            if let OrderKey::Dimension(dimension) = order.by
                && !has(dimension)
            {
                let message = "must be one of this query's dimensions, a measure, or what the entities have";
                errors.push(FieldError::new(format!("order[{number}].by"), message));
            }
        }
        for (number, measure) in
            self.measures.iter().enumerate().filter(|(_, measure)| measure.is_of_entities())
        {
            if self.grain() != Grain::All || !self.breakdowns().is_empty() {
                let message = "is not known by days or breakdowns; leave those out, or the measure";
                errors.push(FieldError::new(format!("measures[{number}]"), message));
            } else if self.level == Level::Account && *measure != Measure::Count {
                let message = "is of campaigns and ad sets; choose their level";
                errors.push(FieldError::new(format!("measures[{number}]"), message));
            }
        }
        let has_parts = self.grain() != Grain::All
            || !self.breakdowns().is_empty()
            || self.level == Level::Account && !self.dimensions.is_empty();
        if self.sparklines.as_ref().is_some_and(|measures| !measures.is_empty()) && has_parts {
            let message = "needs rows of entities or accounts over the whole range: leave out `dimensions`";
            errors.push(FieldError::new("sparklines", message));
        }
        errors.extend(self.range().and_then(|_| self.compared()).err());
        errors.extend(self.dataset().err());
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

#[cfg(feature = "describe")]
impl schemars::JsonSchema for Compare {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Compare".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "The days to compare with: as many days right before, the same dates a year before, or others.",
            "anyOf": [
                {"type": "string", "enum": [PREVIOUS_PERIOD, PREVIOUS_YEAR]},
                generator.subschema_for::<Days>(),
            ],
        })
    }
}
