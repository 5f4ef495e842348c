//! What a list is asked for.

use domain::date::{DateRange, Day};
use domain::entity::{EffectiveStatus, Level};
use domain::id::EntityId;
use domain::metrics::{Detail, Metric};
use domain::text::searchable;
use query::{
    Attribute, Compare, Dimension, Direction, Filter, MAX_ANSWER_BYTES, Measure, OrderBy, OrderKey, OrderOf,
    Query,
};
use runtime::page::{Cursor, Limit};
use serde::Deserialize;

use crate::list::all_measures;

/// Which entities, over which days, in which order.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// First day; 30 days are shown when it is left out.
    pub(crate) since: Option<Day>,
    /// Last day, included; today when it is left out.
    pub(crate) until: Option<Day>,
    /// The period to compare with.
    compare: Option<ComparedPeriod>,
    /// What to sort by: a measure, `name`, `status`, `effective_status` or, of campaigns, `objective`. What is unknown comes
    /// last.
    #[serde(default = "by_spend")]
    sort: SortKey,
    /// Whether the highest or the lowest comes first.
    #[serde(default)]
    order: Direction,
    /// Only entities with this text in their names.
    q: Option<SearchText>,
    /// Only these entities.
    ids: Option<Vec<EntityId>>,
    /// Only entities in one of these states.
    effective_status: Option<Vec<KnownStatus>>,
    /// Only what is below a campaign with one of these objectives.
    objective: Option<Vec<String>>,
    /// Only what is below this campaign.
    pub(crate) campaign_id: Option<EntityId>,
    /// Only what is below this ad set.
    pub(crate) adset_id: Option<EntityId>,
    /// The measures of each entity; all of them when left out.
    fields: Option<Vec<Measure>>,
    /// What to add to the measures.
    include: Option<Vec<Detail>>,
    /// Measures whose values of each day are added, as lists.
    sparklines: Option<Vec<Measure>>,
    /// Objects of a page.
    #[serde(default)]
    limit: Limit<50, 500>,
    /// The `after` of the page before.
    pub(crate) after: Option<Cursor>,
}

/// Longest text to search for, in characters.
const MAX_SEARCH_CHARS: usize = 400;

/// A text to search for.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(try_from = "String")]
#[cfg_attr(feature = "describe", schemars(!try_from))]
struct SearchText(
    #[cfg_attr(feature = "describe", schemars(length(min = 1, max = MAX_SEARCH_CHARS)))] String,
);

impl TryFrom<String> for SearchText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if (1..=MAX_SEARCH_CHARS).contains(&text.chars().count()) {
            return Ok(Self(text));
        }
        Err(format!("must have 1 to {MAX_SEARCH_CHARS} characters"))
    }
}

/// The period to compare with.
#[derive(Debug, Clone, Copy, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum ComparedPeriod {
    /// As many days, right before.
    PreviousPeriod,
    /// The same dates a year before.
    PreviousYear,
}

/// What entities are sorted by.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
struct SortKey(OrderKey);

fn by_spend() -> SortKey {
    SortKey(OrderKey::Measure(Measure::Metric(Metric::Spend)))
}

/// What entities are sorted by that is no measure.
const SORT_ATTRIBUTES: [(&str, OrderKey); 4] = [
    ("name", OrderKey::Name),
    ("status", OrderKey::Dimension(Dimension::Status)),
    ("effective_status", OrderKey::Dimension(Dimension::EffectiveStatus)),
    ("objective", OrderKey::Dimension(Dimension::Objective)),
];

impl TryFrom<String> for SortKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let attribute = SORT_ATTRIBUTES.iter().find(|(name, _)| *name == text);
        let key = attribute.map(|(_, key)| Ok(key.clone()));
        let key = key.unwrap_or_else(|| text.parse().map(OrderKey::Measure));
        key.map(Self).map_err(|error: String| {
            format!("{error}; or {}", SORT_ATTRIBUTES.map(|(name, _)| name).join(", "))
        })
    }
}

/// A known effective status. A misspelled one would silently match nothing.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct KnownStatus(String);

impl TryFrom<String> for KnownStatus {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        let known = EffectiveStatus::KNOWN;
        if known.contains(&word.as_str()) {
            return Ok(Self(word));
        }
        Err(format!("must be one of {}", known.join(", ")))
    }
}

impl ListQuery {
    /// Returns the query for this list. Pages are of its parameters, so that it has no cursor of its own.
    pub(crate) fn into_query(self, level: Level, range: DateRange) -> Query {
        let of = |level, ids| Filter::Entities { level, ids, is_among: true };
        let among = |attribute, values| Filter::Attribute { attribute, values, is_among: true };
        let statuses =
            self.effective_status.map(|statuses| statuses.into_iter().map(|status| status.0).collect());
        let filters = [
            self.ids.map(|ids| of(level, ids)),
            self.q.map(|text| Filter::NameContains { text: searchable(&text.0), is_there: true }),
            self.campaign_id.map(|id| of(Level::Campaign, vec![id])),
            self.adset_id.map(|id| of(Level::AdSet, vec![id])),
            statuses.map(|statuses| among(Attribute::EffectiveStatus, statuses)),
            self.objective.map(|objectives| among(Attribute::Objective, objectives)),
        ];
        let compare = self.compare.map(|period| match period {
            ComparedPeriod::PreviousPeriod => Compare::PreviousPeriod,
            ComparedPeriod::PreviousYear => Compare::PreviousYear,
        });
        Query {
            measures: self.fields.unwrap_or_else(all_measures),
            max_bytes: Some(MAX_ANSWER_BYTES),
            filters: filters.into_iter().flatten().collect(),
            order: Some(vec![OrderBy { by: self.sort.0, direction: self.order, of: OrderOf::Value }]),
            limit: u16::try_from(self.limit.rows()).ok(),
            compare,
            include: self.include,
            sparklines: self.sparklines,
            ..Query::new(level, range)
        }
    }
}

#[cfg(feature = "describe")]
impl schemars::JsonSchema for KnownStatus {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "KnownStatus".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "enum": EffectiveStatus::KNOWN})
    }
}

#[cfg(feature = "describe")]
impl schemars::JsonSchema for SortKey {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SortKey".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let attributes = SORT_ATTRIBUTES.map(|(name, _)| name);
        schemars::json_schema!({
            "anyOf": [{"type": "string", "enum": attributes}, generator.subschema_for::<Measure>()],
        })
    }
}
