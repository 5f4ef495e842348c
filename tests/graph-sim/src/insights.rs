//! Insights: rows of numbers about an account or one of its objects.

mod measures;
mod query;
mod sum;

use std::collections::{BTreeMap, HashMap};

use jiff::civil::Date;
use serde_json::{Map, Value, json};

use crate::call::GraphCall;
use crate::error::GraphError;
use crate::facts::{AdRef, Fact};
use crate::generator::Chance;
use crate::node::{Account, Kind};
use crate::numbers::STORED;
use crate::paging::{Link, page};
use crate::world::World;
use measures::Measures;
use query::{Increment, Level, Query};
use sum::Sum;

/// The fields that say what a row is about.
const ABOUT: [&str; 10] = [
    "account_id",
    "account_name",
    "account_currency",
    "attribution_setting",
    "campaign_id",
    "campaign_name",
    "adset_id",
    "adset_name",
    "ad_id",
    "ad_name",
];

/// Answers `GET /{node}/insights`.
pub(crate) fn answer(
    world: &World,
    account: &str,
    kind: Kind,
    id: &str,
    call: &GraphCall,
    today: Date,
    link: &Link<'_>,
) -> Result<Value, GraphError> {
    let query = Query::read(call, kind, today)?;
    let rows = Rows { world, account: world.main(), level: query.level };
    let ads = if account == world.main().digits { ads(world, kind, id, &query) } else { Vec::new() };
    let place = |index: usize| index as i64;
    let window = &query.window;

    if query.level == Level::Ad && query.increment == Increment::Days(1) {
        let facts: Vec<(usize, Date, &Fact)> = ads
            .into_iter()
            .flat_map(|ad| {
                world.facts.of_ad(ad, query.since, query.until).map(move |(day, fact)| (ad, day, fact))
            })
            .collect();
        let range = window.cut(facts.len(), place);
        let data = facts[range.clone()]
            .iter()
            .map(|(ad, day, fact)| {
                rows.row(&query.fields, *ad, (*day, *day), &Measures::of(fact), sample(fact))
            })
            .collect();
        return Ok(page(data, range, facts.len(), place, window.limit, link));
    }

    let sums = sums(world, &ads, &query);
    let count = sums.len();
    let range = window.cut(count, place);
    let mut data = Vec::with_capacity(range.len());
    for (bucket, ad, sum) in sums.into_iter().skip(range.start).take(range.len()) {
        let bounds = query.bounds(bucket);
        let sample = sum.sample;
        let measures = sum.finish(&rows.account.currency, rows.estimate(ad, bounds));
        data.push(rows.row(&query.fields, ad, bounds, &measures, sample));
    }
    Ok(page(data, range, count, place, window.limit, link))
}

/// Every ad-day row of the main account with all that is stored, as insights would give it.
pub(crate) fn ad_day_rows(world: &World, since: Date, until: Date) -> Vec<Value> {
    let rows = Rows { world, account: world.main(), level: Level::Ad };
    let mut all = Vec::new();
    for ad in 0..world.facts.ads.len() {
        for (day, fact) in world.facts.of_ad(ad, since, until).take_while(|(day, _)| *day <= until) {
            let fields: Vec<String> = match fact {
                Fact::Counted(_) => ABOUT.iter().chain(&STORED).map(|name| (*name).to_owned()).collect(),
                Fact::Written(row) => row.keys().cloned().collect(),
            };
            all.push(rows.row(&fields, ad, (day, day), &Measures::of(fact), sample(fact)));
        }
    }
    all
}

/// Changes an ad-day row, as Meta restates numbers; null takes a field away, and null for all of it the row.
pub(crate) fn restate(world: &mut World, ad_id: &str, day: Date, changes: &Value) {
    let of_node =
        |field: &str| world.nodes.get(ad_id).and_then(|ad| ad.text(field)).unwrap_or_default().to_owned();
    let ad = AdRef { ad: ad_id.to_owned(), adset: of_node("adset_id"), campaign: of_node("campaign_id") };
    let ad = world.facts.add_ad(ad);
    if changes.is_null() {
        world.facts.remove(ad, day);
        return;
    }
    let rows = Rows { world, account: world.main(), level: Level::Ad };
    let about: Vec<String> = ABOUT.iter().map(|name| (*name).to_owned()).collect();
    let mut row = match world.facts.get(ad, day) {
        Some(Fact::Written(row)) => row.clone(),
        Some(Fact::Counted(numbers)) => {
            let fields: Vec<String> = about.into_iter().chain(STORED.map(str::to_owned)).collect();
            rows.fields(&fields, ad, (day, day), &Measures::Counted(*numbers), None)
        }
        None => rows.fields(&about, ad, (day, day), &Measures::Written(&Map::new()), None),
    };
    for (name, value) in changes.as_object().into_iter().flatten() {
        match value {
            Value::Null => drop(row.remove(name)),
            value => drop(row.insert(name.clone(), value.clone())),
        }
    }
    world.facts.set(ad, day, Fact::Written(row));
}

/// The ads below a node that the call does not leave out.
fn ads(world: &World, kind: Kind, id: &str, query: &Query) -> Vec<usize> {
    let among =
        |wanted: &Option<Vec<String>>, id: &String| wanted.as_ref().is_none_or(|ids| ids.contains(id));
    let below = |ad: &AdRef| match kind {
        Kind::Account => true,
        Kind::Campaign => ad.campaign == id,
        Kind::AdSet => ad.adset == id,
        Kind::Ad => ad.ad == id,
        Kind::Creative => false,
    };
    let ads = world.facts.ads.iter().enumerate().filter(|(_, ad)| {
        below(ad)
            && among(&query.only.campaigns, &ad.campaign)
            && among(&query.only.adsets, &ad.adset)
            && among(&query.only.ads, &ad.ad)
    });
    ads.map(|(index, _)| index).collect()
}

/// Sums by object and part of the range, in a stable order, each with its part and one of its ads.
fn sums<'a>(world: &'a World, ads: &[usize], query: &Query) -> Vec<(i32, usize, Sum<'a>)> {
    let mut groups: HashMap<&str, usize> = HashMap::new();
    let mut sums: BTreeMap<(usize, i32), (usize, Sum<'_>)> = BTreeMap::new();
    for ad in ads {
        let of = &world.facts.ads[*ad];
        let object = match query.level {
            Level::Account => "",
            Level::Campaign => of.campaign.as_str(),
            Level::AdSet => of.adset.as_str(),
            Level::Ad => of.ad.as_str(),
        };
        let next = groups.len();
        let group = *groups.entry(object).or_insert(next);
        for (day, fact) in world.facts.of_ad(*ad, query.since, query.until) {
            sums.entry((group, query.bucket(day))).or_insert_with(|| (*ad, Sum::default())).1.add(fact);
        }
    }
    sums.into_iter().map(|((_, bucket), (ad, sum))| (bucket, ad, sum)).collect()
}

fn sample(fact: &Fact) -> Option<&Map<String, Value>> {
    match fact {
        Fact::Counted(_) => None,
        Fact::Written(row) => Some(row),
    }
}

/// Writes rows of one level.
struct Rows<'a> {
    world: &'a World,
    account: &'a Account,
    level: Level,
}

impl Rows<'_> {
    fn row(
        &self,
        fields: &[String],
        ad: usize,
        bounds: (Date, Date),
        measures: &Measures<'_>,
        sample: Option<&Map<String, Value>>,
    ) -> Value {
        Value::Object(self.fields(fields, ad, bounds, measures, sample))
    }

    /// The wanted fields; `sample` is a written row of the object, which knows names best.
    fn fields(
        &self,
        fields: &[String],
        ad: usize,
        (since, until): (Date, Date),
        measures: &Measures<'_>,
        sample: Option<&Map<String, Value>>,
    ) -> Map<String, Value> {
        let currency = &self.account.currency;
        let mut row = measures.fields(currency, |name| fields.iter().any(|field| field == name));
        for field in fields {
            if row.contains_key(field) {
                continue;
            }
            let value = match subject(field) {
                Some(level) if level > self.level => None,
                Some(_) => sample
                    .and_then(|sample| sample.get(field).cloned())
                    .or_else(|| self.about(field, &self.world.facts.ads[ad])),
                None => measures.derived(field, currency),
            };
            if let Some(value) = value {
                row.insert(field.clone(), value);
            }
        }
        row.insert("date_start".into(), json!(since.to_string()));
        row.insert("date_stop".into(), json!(until.to_string()));
        row
    }

    /// What the row is about, from the nodes as they are now.
    fn about(&self, field: &str, ad: &AdRef) -> Option<Value> {
        let node = |id: &str, field: &str| self.world.nodes.get(id)?.fields.get(field).cloned();
        match field {
            "account_id" => Some(json!(self.account.digits)),
            "account_name" => self.account.fields.get("name").cloned(),
            "account_currency" => Some(json!(self.account.currency)),
            "campaign_id" => Some(json!(ad.campaign)),
            "campaign_name" => node(&ad.campaign, "name"),
            "objective" | "buying_type" => node(&ad.campaign, field),
            "adset_id" => Some(json!(ad.adset)),
            "adset_name" => node(&ad.adset, "name"),
            "optimization_goal" => node(&ad.adset, field),
            "ad_id" => Some(json!(ad.ad)),
            "ad_name" => node(&ad.ad, "name"),
            "attribution_setting" => self.attribution(ad),
            _ => None,
        }
    }

    /// The ad set's attribution, for recordings from what its learning stage was measured with. Above ad sets it
    /// is only given where all ad sets have the same.
    fn attribution(&self, ad: &AdRef) -> Option<Value> {
        if self.world.facts.is_generated() {
            return Some(json!("7d_click_1d_view"));
        }
        if self.level < Level::AdSet {
            return None;
        }
        let learning = self.world.nodes.get(&ad.adset)?.fields.get("learning_stage_info")?;
        let windows: Vec<&str> =
            learning.get("attribution_windows")?.as_array()?.iter().filter_map(Value::as_str).collect();
        Some(json!(windows.join("_")))
    }

    /// Where the reach of a sum comes from: nowhere for a recording, which cannot know it.
    fn estimate(&self, ad: usize, (since, until): (Date, Date)) -> Option<Chance> {
        if !self.world.facts.is_generated() {
            return None;
        }
        let of = &self.world.facts.ads[ad];
        let object = match self.level {
            Level::Account => &self.account.digits,
            Level::Campaign => &of.campaign,
            Level::AdSet => &of.adset,
            Level::Ad => &of.ad,
        };
        let number = object.parse().unwrap_or_default();
        let day = |day: Date| (i64::from(day.year()) * 1_000 + i64::from(day.day_of_year())).unsigned_abs();
        Some(Chance::new(number).of(day(since)).of(day(until)))
    }
}

/// The level a field belongs to, if it says what the row is about.
fn subject(field: &str) -> Option<Level> {
    Some(match field {
        "account_id" | "account_name" | "account_currency" | "attribution_setting" => Level::Account,
        "campaign_id" | "campaign_name" | "objective" | "buying_type" => Level::Campaign,
        "adset_id" | "adset_name" | "optimization_goal" => Level::AdSet,
        "ad_id" | "ad_name" => Level::Ad,
        _ => return None,
    })
}
