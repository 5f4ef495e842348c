//! The parameters of an insights call.

use jiff::civil::Date;

use super::action::ActionOptions;
use super::breakdown::Breakdown;
use super::filtering::InsightsFilter;
use super::period::Period;
use crate::call::GraphCall;
use crate::error::{GraphError, invalid, nonexisting_field};
use crate::fields;
use crate::node::Kind;
use crate::paging::PageRequest;
use crate::params::Params;
use crate::selection;

const MAX_PAGE_ROWS: usize = 5_000;
/// The fields of a summary that names none.
const DEFAULT_SUMMARY_FIELDS: [&str; 2] = ["impressions", "spend"];

/// The level of rows, from the widest to the narrowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Account,
    Campaign,
    AdSet,
    Ad,
}

impl Level {
    /// Returns the level of an object's own rows.
    fn of(kind: Kind) -> Self {
        match kind {
            Kind::Campaign => Self::Campaign,
            Kind::AdSet => Self::AdSet,
            Kind::Ad => Self::Ad,
            _ => Self::Account,
        }
    }
}

/// One sort key of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SortOrder {
    /// A measure, or `actions:` and an action type.
    pub(crate) field: String,
    pub(crate) descending: bool,
}

/// The parameters of an insights call.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) level: Level,
    pub(crate) period: Period,
    pub(crate) fields: Vec<String>,
    pub(crate) filter: InsightsFilter,
    pub(crate) breakdown: Breakdown,
    pub(crate) action_options: ActionOptions,
    pub(crate) order: Vec<SortOrder>,
    /// Fields of the row that sums up all others, if it is requested.
    pub(crate) summary: Option<Vec<String>>,
}

impl Query {
    /// Reads a call to the insights of a node.
    pub(crate) fn read(call: &GraphCall, kind: Kind, today: Date) -> Result<Self, GraphError> {
        let params = Params(&call.params);
        let own = Level::of(kind);
        let level = match params.one_of("level", &["account", "campaign", "adset", "ad"])? {
            None => own,
            Some("account") => Level::Account,
            Some("campaign") => Level::Campaign,
            Some("adset") => Level::AdSet,
            Some(_) => Level::Ad,
        };
        if level < own {
            return Err(invalid("Param level must not be above the object whose insights are read"));
        }
        let filter = InsightsFilter::read(params)?;
        let mut action_options = ActionOptions::read(params)?;
        action_options.only.clone_from(&filter.actions);
        Ok(Self {
            level,
            period: Period::read(params, today)?,
            fields: requested_fields(params, level)?,
            breakdown: Breakdown::read(params, action_options.breakdowns())?,
            filter,
            action_options,
            order: order(params)?,
            summary: summary(params)?,
        })
    }
}

/// Reads the requested page.
pub(crate) fn page_request(call: &GraphCall) -> Result<PageRequest, GraphError> {
    PageRequest::read(call, MAX_PAGE_ROWS)
}

/// Returns the fields of the summary, if one is requested. The official SDKs send `summary=true` with every read, to
/// which Graph returns no summary.
pub(crate) fn summary(params: Params<'_>) -> Result<Option<Vec<String>>, GraphError> {
    let names = match params.names("summary")?.unwrap_or_default() {
        names if names.iter().all(|name| ["true", "false", "1", "0"].contains(&name.as_str())) => Vec::new(),
        names => names,
    };
    if let Some(unknown) = names.iter().find(|name| !fields::exists_in_insights(name)) {
        return Err(nonexisting_field(unknown, "AdsInsights"));
    }
    match (names.is_empty(), params.text("default_summary")) {
        (false, _) => Ok(Some(names)),
        (true, Some("true" | "1")) => Ok(Some(DEFAULT_SUMMARY_FIELDS.map(str::to_owned).into())),
        (true, _) => Ok(None),
    }
}

fn requested_fields(params: Params<'_>, level: Level) -> Result<Vec<String>, GraphError> {
    let Some(text) = params.text("fields").filter(|text| !["", "[]"].contains(text)) else {
        let ids = ["account_id", "campaign_id", "adset_id", "ad_id"];
        let of_level = ids.into_iter().take(level as usize + 1);
        return Ok(of_level.chain(["impressions", "spend"]).map(str::to_owned).collect());
    };
    let names: Vec<String> = selection::parse(text)?.into_iter().map(|field| field.name).collect();
    match names.iter().find(|name| !fields::exists_in_insights(name)) {
        Some(unknown) => Err(nonexisting_field(unknown, "AdsInsights")),
        None => Ok(names),
    }
}

fn order(params: Params<'_>) -> Result<Vec<SortOrder>, GraphError> {
    let orders = params.names("sort")?.unwrap_or_default();
    let read = |text: &String| {
        let (field, descending) = text
            .strip_suffix("_descending")
            .map(|field| (field, true))
            .or_else(|| text.strip_suffix("_ascending").map(|field| (field, false)))?;
        let known = match field.split_once(':') {
            Some((list, _)) => list == "actions",
            None => fields::exists_in_insights(field),
        };
        known.then(|| SortOrder { field: field.to_owned(), descending })
    };
    let invalid_sort = |text: &String| invalid(format!("Param sort does not take \"{text}\""));
    orders.iter().map(|text| read(text).ok_or_else(|| invalid_sort(text))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn params(name: &str, value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn a_summary_is_made_of_what_was_named() {
        let summary = |name: &str, value: &str| summary(Params(&params(name, value)));
        assert_eq!(summary("summary", r#"["spend"]"#).unwrap(), Some(vec!["spend".to_owned()]));
        assert_eq!(summary("summary", "true").unwrap(), None);
        assert_eq!(summary("default_summary", "true").unwrap().unwrap(), DEFAULT_SUMMARY_FIELDS);
        assert_eq!(summary("summary", "foo").unwrap_err().code, 100);
    }

    #[test]
    fn sorting_names_a_measure_and_a_direction() {
        let sort = |value: &str| order(Params(&params("sort", value)));
        let by_spend = SortOrder { field: "spend".into(), descending: true };
        assert_eq!(sort(r#"["spend_descending"]"#).unwrap(), [by_spend]);
        assert!(sort("actions:link_click_ascending").is_ok());
        assert_eq!(sort("spend").unwrap_err().code, 100);
        assert_eq!(sort("foo_descending").unwrap_err().code, 100);
    }
}
