//! Changes campaigns, ad sets and ads.

use std::collections::HashMap;

use domain::entity::{Changes, Entity, Level};
use domain::id::EntityId;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::batch::Item;
use crate::client::UserClient;
use crate::creative::{ATTACHED_FIELDS, Attached};
use crate::error::GraphError;
use crate::launch::{
    INVALID_ROAS, INVALID_URL_TAGS, STRATEGIES, are_url_tags, needs_bid, needs_roas, roas_floor,
};
use crate::targeting::{SECOND_NARROWING, with_values};

impl UserClient {
    /// Sets values of an object. Idempotent, because the values are targets.
    pub async fn change(&self, id: &EntityId, changes: &Changes) -> Result<(), GraphError> {
        let shown: Option<Current> = match shown_fields(changes) {
            Some(fields) => Some(self.get(id.as_str(), &[("fields", fields)]).await?),
            None => None,
        };
        let form = change_form(changes, shown);
        let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.update(id.as_str(), &form).await
    }

    /// [`Self::change`] of several objects, in batches, with a result for each in their order.
    pub async fn change_all(&self, changes: &[(EntityId, Changes)]) -> Vec<Result<(), GraphError>> {
        let mut shown = self.read_shown(changes).await;
        let (mut results, mut places, mut items) = (Vec::new(), Vec::new(), Vec::new());
        for (id, changes) in changes {
            let shown = shown.remove(id).transpose();
            results.push(shown.map(|shown| {
                places.push(results.len());
                items.push(Item::update(id.as_str(), change_form(changes, shown)));
            }));
        }
        for (place, answer) in places.into_iter().zip(self.batch::<IgnoredAny>(&items).await) {
            results[place] = answer.map(drop);
        }
        results
    }

    /// Reads what changes replace whole.
    async fn read_shown(
        &self,
        changes: &[(EntityId, Changes)],
    ) -> HashMap<EntityId, Result<Current, GraphError>> {
        let read = |(id, changes): &(EntityId, Changes)| {
            let fields = shown_fields(changes)?.to_owned();
            Some((id.clone(), Item::get(id.as_str(), vec![("fields", fields)])))
        };
        let (ids, items): (Vec<_>, Vec<_>) = changes.iter().filter_map(read).unzip();
        ids.into_iter().zip(self.batch(&items).await).collect()
    }
}

/// What a change replaces whole, as Meta shows it: the values that stay are given once more.
#[derive(Default, Deserialize)]
struct Current {
    creative: Option<Attached>,
    targeting: Option<Value>,
}

/// Returns the fields of what a change replaces whole.
fn shown_fields(changes: &Changes) -> Option<&'static str> {
    if changes.url_tags.is_some() {
        return Some(ATTACHED_FIELDS);
    }
    (!changes.targeting.is_empty()).then_some("targeting")
}

/// A field, and what is wrong with its value.
type Mistake = (&'static str, String);

/// Checks a change against what Meta demands of an object, and adds what follows from it: a strategy without an amount takes
/// the amount away. Returns each mistake with its field.
pub fn complete_change(entity: &Entity, changes: &mut Changes, now: Timestamp) -> Vec<Mistake> {
    take_bids_away(entity, changes);
    let mut mistakes = level_mistakes(entity, changes);
    mistakes.extend(bid_mistakes(entity, changes));
    mistakes.extend(time_mistakes(entity, changes, now));
    mistakes.extend(content_mistakes(entity, changes));
    mistakes
}

/// The amounts of an ad set's strategy go with it.
fn take_bids_away(entity: &Entity, changes: &mut Changes) {
    let Some(strategy) = changes.bid_strategy.as_deref().filter(|_| entity.level == Level::AdSet) else {
        return;
    };
    if !needs_bid(strategy) && changes.bid_amount.is_none() && entity.bid_amount.is_some() {
        changes.bid_amount = Some(None);
    }
    if !needs_roas(strategy) && changes.min_roas.is_none() && entity.min_roas.is_some() {
        changes.min_roas = Some(None);
    }
}

/// Names what objects of the level do not have.
fn level_mistakes(Entity { level, id, .. }: &Entity, changes: &Changes) -> Vec<Mistake> {
    let foreign = [
        ("spend_cap", changes.spend_cap.is_some(), Level::Campaign),
        ("bid_amount", changes.bid_amount.is_some(), Level::AdSet),
        ("min_roas", changes.min_roas.is_some(), Level::AdSet),
        ("start", changes.start.is_some(), Level::AdSet),
        ("end", changes.end.is_some(), Level::AdSet),
        ("url_tags", changes.url_tags.is_some(), Level::Ad),
        ("creative_id", changes.creative_id.is_some(), Level::Ad),
        ("audience", !changes.targeting.is_empty(), Level::AdSet),
    ];
    let foreign = foreign.into_iter().filter(|(_, is_set, of)| *is_set && level != of);
    foreign.map(|(field, ..)| (field, format!("must be absent: {level} {id} has none"))).collect()
}

fn bid_mistakes(entity: &Entity, changes: &Changes) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let Entity { level, id, .. } = entity;
    if let Some(strategy) = changes.bid_strategy.as_deref() {
        if entity.daily_budget.is_none() && entity.lifetime_budget.is_none() {
            let message = format!("must be absent: {level} {id} holds no budget, and bids as what holds it");
            mistakes.push(("bid_strategy", message));
        }
        if !STRATEGIES.contains(&strategy) {
            mistakes.push(("bid_strategy", format!("must be one of {}", STRATEGIES.join(", "))));
        }
        // The bids of a campaign's ad sets would go, and an undo would not bring them back.
        let amounts = |strategy| (needs_bid(strategy), needs_roas(strategy));
        let before = entity.bid_strategy.as_deref().filter(|_| *level == Level::Campaign);
        if let Some(before) = before.filter(|before| amounts(before) != amounts(strategy)) {
            let message = format!(
                "must take the same amounts as {before}: the bids of the ad sets of {level} {id} change with it, in Ads Manager"
            );
            mistakes.push(("bid_strategy", message));
        }
    }
    // An ad set below a campaign's budget may not say how it bids.
    let strategy = changes.bid_strategy.as_deref().or(entity.bid_strategy.as_deref());
    if let Some(strategy) = strategy.filter(|_| *level == Level::AdSet) {
        let bid = changes.bid_amount.map(|bid| bid.is_some());
        let roas = changes.min_roas.map(|roas| roas.is_some());
        for (field, needs, before, after) in [
            ("bid_amount", needs_bid(strategy), entity.bid_amount.is_some(), bid),
            ("min_roas", needs_roas(strategy), entity.min_roas.is_some(), roas),
        ] {
            let has = after.unwrap_or(before);
            if has == needs || (after.is_none() && changes.bid_strategy.is_none()) {
                continue;
            }
            let message = match needs {
                true => format!("must be there: {strategy} needs it"),
                false => format!("must be absent: {strategy} takes none"),
            };
            mistakes.push((field, message));
        }
    }
    if changes.min_roas.flatten().is_some_and(|roas| roas_floor(roas).is_none()) {
        mistakes.push(("min_roas", INVALID_ROAS.to_owned()));
    }
    mistakes
}

fn time_mistakes(entity: &Entity, changes: &Changes, now: Timestamp) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let Entity { level, id, .. } = entity;
    if let Some(start) = changes.start {
        if entity.start.is_some_and(|start| start <= now) {
            mistakes.push(("start", format!("must be absent: {level} {id} has begun already")));
        }
        if start <= now {
            mistakes.push(("start", "must be after now".to_owned()));
        }
    }
    if changes.start.is_some() || changes.end.is_some() {
        let (start, end) = (changes.start.or(entity.start), changes.end.unwrap_or(entity.end));
        if end.is_some_and(|end| end <= now || start.is_some_and(|start| end <= start)) {
            mistakes.push(("end", "must be after now and after the start".to_owned()));
        }
    }
    if changes.end == Some(None) && entity.lifetime_budget.is_some() {
        mistakes.push(("end", "must be there: a lifetime budget is spent until then".to_owned()));
    }
    mistakes
}

fn content_mistakes(entity: &Entity, changes: &Changes) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let Entity { level, id, content, .. } = entity;
    if changes.url_tags.iter().flatten().any(|tags| !are_url_tags(tags)) {
        mistakes.push(("url_tags", INVALID_URL_TAGS.to_owned()));
    }
    if changes.creative_id.is_some() && changes.url_tags.is_some() {
        let message = "must be absent: they belong to the creative, which creative_id replaces";
        mistakes.push(("url_tags", message.to_owned()));
    }
    let sets = |part: &str| changes.targeting.keys().any(|path| path.starts_with(part));
    if sets("flexible_spec.") && content.targeting.contains_key(SECOND_NARROWING) {
        let message = format!(
            "{level} {id} narrows its audience in more than one step, which only Ads Manager changes"
        );
        mistakes.push(("audience", message));
    }
    let mut targeting = content.targeting.clone();
    targeting.extend(changes.targeting.clone());
    let is_place = |(path, value): (&String, &Value)| path.starts_with(PLACES) && !value.is_null();
    if sets(PLACES) && !targeting.iter().any(is_place) {
        mistakes.push(("countries", "must leave a country, region, city or postcode".to_owned()));
    }
    mistakes
}

/// Where an ad set is seen, in its targeting.
const PLACES: &str = "geo_locations.";

/// Spend caps are taken away by the largest one (Marketing API, "Campaign").
pub(crate) const NO_SPEND_CAP: i64 = 922_337_203_685_478;

/// An end is taken away by this (Marketing API, "Ad Set").
const NO_END: &str = "0";

/// Returns the parameters of a change. A bid that is taken away goes with its strategy: Meta takes none as a value.
fn change_form(changes: &Changes, shown: Option<Current>) -> Vec<(&'static str, String)> {
    let Changes { name, status, daily_budget, lifetime_budget, spend_cap, bid_strategy, bid_amount, .. } =
        changes;
    let Changes { min_roas, start, end, url_tags, .. } = changes;
    let time = |at: &Timestamp| at.strftime("%Y-%m-%dT%H:%M:%S+0000").to_string();
    let floor = min_roas.flatten().and_then(roas_floor);
    let Current { creative: attached, targeting } = shown.unwrap_or_default();
    let retagged = attached.zip(url_tags.as_ref());
    let retagged = retagged.map(|(creative, tags)| creative.with_url_tags(tags.as_deref()));
    let creative = changes.creative_id.as_ref().map(|id| json!({"creative_id": id})).or(retagged);
    let targeting = targeting.map(|targeting| with_values(targeting, &changes.targeting));
    let form = [
        ("name", name.clone()),
        ("status", status.as_ref().map(|status| status.as_str().to_owned())),
        ("daily_budget", daily_budget.map(|amount| amount.to_string())),
        ("lifetime_budget", lifetime_budget.map(|amount| amount.to_string())),
        ("spend_cap", spend_cap.map(|cap| cap.unwrap_or(NO_SPEND_CAP).to_string())),
        ("bid_strategy", bid_strategy.clone()),
        ("bid_amount", bid_amount.flatten().map(|amount| amount.to_string())),
        ("bid_constraints", floor.map(|floor| json!({"roas_average_floor": floor}).to_string())),
        ("start_time", start.as_ref().map(time)),
        ("end_time", end.as_ref().map(|end| end.as_ref().map_or_else(|| NO_END.to_owned(), time))),
        ("creative", creative.map(|creative| creative.to_string())),
        ("targeting", targeting.map(|targeting| targeting.to_string())),
    ];
    form.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}
