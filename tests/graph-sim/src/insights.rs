//! Insights: rows of metrics of an account or one of its objects.

mod action;
mod breakdown;
mod counts;
mod dimensions;
mod filtering;
mod limits;
mod measures;
mod period;
mod query;
mod restatement;
mod snapshot;
mod sum;
mod table;
mod writer;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Map, Value};

use crate::call::GraphCall;
use crate::error::GraphError;
use crate::facts::{AdRef, Fact};
use crate::node::{Account, Kind};
use crate::object::Object;
use crate::paging::{Link, page};
use crate::world::World;
use action::ActionOptions;
pub(crate) use action::CUSTOM_CONVERSION_ID;
use breakdown::Breakdown;
use dimensions::{DIMENSION_FIELDS, Dimensions};
pub use limits::InsightsLimits;
use measures::{Measures, STORED_FIELDS};
use period::DateRange;
use query::{Level, Query};
pub(crate) use restatement::AsOf;
use restatement::VisibleFact;
pub(crate) use snapshot::{ReportRequest, Snapshot};
use table::{Table, sample};
use writer::Writer;

/// The object whose insights are read.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// Ad account id without the `act_` prefix.
    pub(crate) account: String,
    pub(crate) kind: Kind,
    pub(crate) id: String,
}

impl Subject {
    /// Returns the subject for an account or one of its nodes; `None` for other objects.
    pub(crate) fn of(world: &World, object: &Object<'_>) -> Option<Self> {
        let (account, kind) = match object {
            Object::Account(account) => (*account, Kind::Account),
            Object::Node(node) => (world.owner(node), node.kind),
            Object::Plain(..) => return None,
        };
        let id = object.id();
        Some(Self { account: account.digits.clone(), kind, id })
    }
}

/// Handles `GET /{node}/insights`.
pub(crate) fn handle(
    world: &World,
    subject: &Subject,
    call: &GraphCall,
    as_of: AsOf,
    limits: InsightsLimits,
    link: &Link<'_>,
) -> Result<Value, GraphError> {
    let query = Query::read(call, subject.kind, as_of.today)?;
    let window = query::page_request(call)?;
    let table = Table::new(world, subject, &query, as_of);
    let place = |index: usize| index as i64;
    let range = window.range(table.len(), place);
    limits.check(&query, &table, range.len())?;
    let data = table.rows(range.clone()).collect();
    let mut response = page(data, range, table.len(), place, &window, link);
    if let Some(summary) = query.summary.as_ref().and_then(|fields| table.summary(fields)) {
        response["summary"] = summary;
    }
    Ok(response)
}

/// Returns every ad-day row of an account with all stored fields, as insights would return it.
pub(crate) fn ad_day_rows(
    world: &World,
    account: &Account,
    since: Date,
    until: Date,
    as_of: AsOf,
) -> Vec<Value> {
    let (action_options, breakdown) = (ActionOptions::default(), Breakdown::none());
    let writer = ad_day_writer(world, account, &action_options, &breakdown, as_of);
    let mut all = Vec::new();
    for ad in 0..account.facts.ads.len() {
        for (day, stored) in account.facts.of_ad(ad, since, until).take_while(|(day, _)| *day <= until) {
            let Some(fact) = writer.visible(ad, day, stored) else { continue };
            let fields: Vec<String> = match fact {
                VisibleFact::Counted(_) => {
                    DIMENSION_FIELDS.iter().chain(&STORED_FIELDS).map(|name| (*name).to_owned()).collect()
                }
                VisibleFact::EventRecord(row) => row.keys().cloned().collect(),
            };
            let measures = writer.day_measures(ad, day, fact);
            all.push(Value::Object(one_day(&writer, &fields, ad, day, &measures, sample(stored))));
        }
    }
    all
}

/// Changes an ad-day row, as Meta restates numbers. A null value removes the field; null instead of an object removes
/// the row.
pub(crate) fn restate(world: &mut World, ad_id: &str, day: Date, changes: &Value, now: Timestamp) {
    let node = world.nodes.get(ad_id);
    let digits = node.map_or(world.main(), |node| world.owner(node)).digits.clone();
    let of_node = |field: &str| node.and_then(|ad| ad.text(field)).unwrap_or_default().to_owned();
    let ad = AdRef { ad: ad_id.to_owned(), adset: of_node("adset_id"), campaign: of_node("campaign_id") };
    let Some(facts) = world.facts_of(&digits) else { return };
    let ad = facts.add_ad(ad);
    if changes.is_null() {
        facts.remove(ad, day);
        return;
    }
    let account = world.account_of(&digits);
    let as_of = AsOf::new(account, now);
    let (action_options, breakdown) = (ActionOptions::default(), Breakdown::none());
    let writer = ad_day_writer(world, account, &action_options, &breakdown, as_of);
    let dimension_fields: Vec<String> = DIMENSION_FIELDS.iter().map(|name| (*name).to_owned()).collect();
    let fact = account.facts.get(ad, day).and_then(|fact| writer.visible(ad, day, fact));
    let mut row = match fact {
        Some(VisibleFact::EventRecord(row)) => row.clone(),
        Some(fact) => {
            let fields: Vec<String> =
                dimension_fields.into_iter().chain(STORED_FIELDS.map(str::to_owned)).collect();
            one_day(&writer, &fields, ad, day, &writer.day_measures(ad, day, fact), None)
        }
        None => one_day(&writer, &dimension_fields, ad, day, &Measures::EventRecord(&Map::new()), None),
    };
    for (name, value) in changes.as_object().into_iter().flatten() {
        match value {
            Value::Null => drop(row.remove(name)),
            value => drop(row.insert(name.clone(), value.clone())),
        }
    }
    if let Some(facts) = world.facts_of(&digits) {
        facts.set(ad, day, Fact::EventRecord(row));
    }
}

fn ad_day_writer<'a>(
    world: &'a World,
    account: &'a Account,
    action_options: &'a ActionOptions,
    breakdown: &'a Breakdown,
    as_of: AsOf,
) -> Writer<'a> {
    let dimensions = Dimensions { world, account, level: Level::Ad };
    Writer { dimensions, action_options, breakdown, as_of }
}

fn one_day(
    writer: &Writer<'_>,
    fields: &[String],
    ad: usize,
    day: Date,
    measures: &Measures<'_>,
    sample: Option<&Map<String, Value>>,
) -> Map<String, Value> {
    writer.row(fields, ad, DateRange { since: day, until: day }, measures, sample)
}
