//! Insights: rows of numbers about an account or one of its objects.

mod about;
mod action;
mod breakdown;
mod counts;
mod frozen;
mod heaviest;
mod measures;
mod narrow;
mod period;
mod query;
mod ripening;
mod sum;
mod table;
mod writer;

use jiff::civil::Date;
use serde_json::{Map, Value};

use crate::call::GraphCall;
use crate::error::GraphError;
use crate::facts::{AdRef, Fact};
use crate::node::Kind;
use crate::object::Object;
use crate::paging::{Link, page};
use crate::world::World;
use about::{ABOUT, About};
use action::Shape;
use breakdown::Breakdown;
pub(crate) use frozen::{Frozen, Order};
pub use heaviest::Heaviest;
use measures::{Measures, STORED};
use period::Range;
use query::{Level, Query};
use ripening::Known;
pub(crate) use ripening::Moment;
use table::{Table, sample};
use writer::Writer;

/// Whose insights are read.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// Digits of the ad account.
    pub(crate) account: String,
    pub(crate) kind: Kind,
    pub(crate) id: String,
}

impl Subject {
    /// The insights of an account or of one of its advertising objects.
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

/// Answers `GET /{node}/insights`.
pub(crate) fn answer(
    world: &World,
    subject: &Subject,
    call: &GraphCall,
    moment: Moment,
    heaviest: Heaviest,
    link: &Link<'_>,
) -> Result<Value, GraphError> {
    let query = Query::read(call, subject.kind, moment.today)?;
    let window = query::window(call)?;
    let table = Table::new(world, subject, &query, moment);
    let place = |index: usize| index as i64;
    let range = window.cut(table.len(), place);
    heaviest.check(&query, &table, range.len())?;
    let data = table.rows(range.clone()).collect();
    let mut answer = page(data, range, table.len(), place, &window, link);
    if let Some(summary) = query.summary.as_ref().and_then(|fields| table.summary(fields)) {
        answer["summary"] = summary;
    }
    Ok(answer)
}

/// Every ad-day row of the main account with all that is stored, as insights would give it.
pub(crate) fn ad_day_rows(world: &World, since: Date, until: Date, moment: Moment) -> Vec<Value> {
    let (shape, breakdown) = (Shape::default(), Breakdown::none());
    let writer = ad_days(world, &shape, &breakdown, moment);
    let mut all = Vec::new();
    for ad in 0..world.facts.ads.len() {
        for (day, fact) in world.facts.of_ad(ad, since, until).take_while(|(day, _)| *day <= until) {
            let Some(known) = writer.known(ad, day, fact) else { continue };
            let fields: Vec<String> = match known {
                Known::Counted(_) => ABOUT.iter().chain(&STORED).map(|name| (*name).to_owned()).collect(),
                Known::Written(row) => row.keys().cloned().collect(),
            };
            let measures = writer.whole(ad, day, known);
            all.push(Value::Object(one_day(&writer, &fields, ad, day, &measures, sample(fact))));
        }
    }
    all
}

/// Changes an ad-day row, as Meta restates numbers; null takes a field away, and null for all of it the row.
pub(crate) fn restate(world: &mut World, ad_id: &str, day: Date, changes: &Value, moment: Moment) {
    let of_node =
        |field: &str| world.nodes.get(ad_id).and_then(|ad| ad.text(field)).unwrap_or_default().to_owned();
    let ad = AdRef { ad: ad_id.to_owned(), adset: of_node("adset_id"), campaign: of_node("campaign_id") };
    let ad = world.facts.add_ad(ad);
    if changes.is_null() {
        world.facts.remove(ad, day);
        return;
    }
    let (shape, breakdown) = (Shape::default(), Breakdown::none());
    let writer = ad_days(world, &shape, &breakdown, moment);
    let about: Vec<String> = ABOUT.iter().map(|name| (*name).to_owned()).collect();
    let known = world.facts.get(ad, day).and_then(|fact| writer.known(ad, day, fact));
    let mut row = match known {
        Some(Known::Written(row)) => row.clone(),
        Some(known) => {
            let fields: Vec<String> = about.into_iter().chain(STORED.map(str::to_owned)).collect();
            one_day(&writer, &fields, ad, day, &writer.whole(ad, day, known), None)
        }
        None => one_day(&writer, &about, ad, day, &Measures::Written(&Map::new()), None),
    };
    for (name, value) in changes.as_object().into_iter().flatten() {
        match value {
            Value::Null => drop(row.remove(name)),
            value => drop(row.insert(name.clone(), value.clone())),
        }
    }
    world.facts.set(ad, day, Fact::Written(row));
}

fn ad_days<'a>(world: &'a World, shape: &'a Shape, breakdown: &'a Breakdown, moment: Moment) -> Writer<'a> {
    let about = About { world, account: world.main(), level: Level::Ad };
    Writer { about, shape, breakdown, moment }
}

fn one_day(
    writer: &Writer<'_>,
    fields: &[String],
    ad: usize,
    day: Date,
    measures: &Measures<'_>,
    sample: Option<&Map<String, Value>>,
) -> Map<String, Value> {
    writer.row(fields, ad, Range { since: day, until: day }, measures, sample)
}
