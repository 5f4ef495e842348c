//! The requests that create what a launch document describes.

use domain::launch::{Launch, Step};
use domain::money::Money;
use serde_json::{Map, Value, json};

use super::{AdSetSpec, AdSpec, LaunchSpec, audience, bid, budget_schedule, day_part};
use crate::creative::ad_creative;
use crate::entities::edge;
use crate::regulation::{RegionalIdentities, Regulation};

pub(super) type Form = Vec<(&'static str, String)>;

pub(super) fn path(launch: &Launch, step: Step) -> String {
    format!("{}/{}", launch.ad_account, edge(step.level()))
}

/// Returns the parameters of a step.
pub(super) fn form(launch: &Launch, spec: &LaunchSpec, step: Step) -> Form {
    let mut form = vec![("name", spec.marked_name(launch, step)), ("status", "PAUSED".to_owned())];
    match (step, spec.ad_set(step), spec.ad(step)) {
        (_, Some(ad_set), Some(ad)) => add_ad(&mut form, launch, spec, step, ad_set, ad),
        (_, Some(ad_set), None) => add_ad_set(&mut form, launch, spec, step, ad_set),
        (_, None, _) => add_campaign(&mut form, spec),
    }
    form
}

fn amount(name: &'static str, money: Option<Money>) -> Option<(&'static str, String)> {
    Some((name, money?.amount.to_string()))
}

fn add_campaign(form: &mut Form, spec: &LaunchSpec) {
    form.extend([
        ("objective", spec.objective.clone()),
        ("buying_type", "AUCTION".to_owned()),
        ("special_ad_categories", json!(spec.special_ad_categories).to_string()),
    ]);
    form.extend(amount("daily_budget", spec.daily_budget));
    form.extend(amount("lifetime_budget", spec.lifetime_budget));
    form.extend(amount("spend_cap", spec.spend_cap));
    form.extend(budget_schedule::form(&spec.budget_schedules));
    if spec.has_campaign_budget() {
        form.push(("bid_strategy", bid::strategy(spec).to_owned()));
    } else {
        // Required since v24. Ad sets that share lend each other up to a fifth of their budgets.
        form.push(("is_adset_budget_sharing_enabled", "false".to_owned()));
    }
    // Special ad categories require the countries in which they apply (Marketing API, "Special Ad Categories").
    if spec.special_ad_categories.iter().any(|category| category != "NONE") {
        form.push(("special_ad_category_country", json!(spec.category_countries()).to_string()));
    }
    let promoted = spec.catalog.as_ref().map(|catalog| json!({"product_catalog_id": catalog}));
    form.extend(promoted.map(|promoted| ("promoted_object", promoted.to_string())));
}

fn add_ad_set(form: &mut Form, launch: &Launch, spec: &LaunchSpec, step: Step, ad_set: &AdSetSpec) {
    form.extend([
        ("campaign_id", parent_id(launch, step)),
        ("optimization_goal", ad_set.optimization_goal.clone()),
        ("billing_event", ad_set.billing_event.clone()),
        ("targeting", audience::targeting(ad_set).to_string()),
    ]);
    form.extend(amount("daily_budget", ad_set.daily_budget));
    form.extend(amount("lifetime_budget", ad_set.lifetime_budget));
    form.extend(budget_schedule::form(&ad_set.budget_schedules));
    if !spec.has_campaign_budget() {
        form.push(("bid_strategy", bid::strategy(spec).to_owned()));
    }
    form.extend(amount("bid_amount", ad_set.bid_amount));
    let floor = ad_set.min_roas.as_deref().and_then(bid::read_roas);
    form.extend(floor.map(|floor| ("bid_constraints", json!({"roas_average_floor": floor}).to_string())));
    form.extend(ad_set.start.clone().map(|start| ("start_time", start)));
    form.extend(ad_set.end.clone().map(|end| ("end_time", end)));
    if !ad_set.day_parts.is_empty() {
        form.push(("adset_schedule", day_part::schedule(&ad_set.day_parts).to_string()));
        form.push(("pacing_type", json!(["day_parting"]).to_string()));
    }
    form.extend(ad_set.destination_type.clone().map(|destination| ("destination_type", destination)));
    form.extend(ad_set.attribution.map(|attribution| ("attribution_spec", attribution.spec().to_string())));
    form.extend(ad_set.promoted_object.as_ref().map(|object| ("promoted_object", json!(object).to_string())));
    let dsa = ad_set
        .dsa
        .iter()
        .flat_map(|dsa| [("dsa_payor", dsa.payor.clone()), ("dsa_beneficiary", dsa.beneficiary.clone())]);
    form.extend(dsa);
    if !ad_set.regional_identities.is_empty() {
        let categories: Vec<_> = ad_set.regional_identities.keys().collect();
        form.extend([
            ("regional_regulated_categories", json!(categories).to_string()),
            ("regional_regulation_identities", identities(&ad_set.regional_identities).to_string()),
        ]);
    }
}

/// Returns verified identities in Meta's form: flat, with names prefixed by the regulation. The field is `payer` here,
/// but `payor` for the EU's DSA.
fn identities(named: &RegionalIdentities) -> Value {
    let fields = named.iter().flat_map(|(regulation, identities)| {
        let regulation = match regulation {
            Regulation::TaiwanUniversal => "taiwan_universal",
            Regulation::TaiwanFinserv => "taiwan_finserv",
            Regulation::SingaporeUniversal => "singapore_universal",
            Regulation::ThailandUniversal | Regulation::BrazilRegulation => "universal",
            Regulation::AustraliaFinserv => "australia_finserv",
            Regulation::IndiaFinserv => "india_finserv",
        };
        [("payer", &identities.payer), ("beneficiary", &identities.beneficiary)]
            .map(|(part, id)| (format!("{regulation}_{part}"), json!(id)))
    });
    Value::Object(fields.collect::<Map<_, _>>())
}

fn add_ad(form: &mut Form, launch: &Launch, spec: &LaunchSpec, step: Step, ad_set: &AdSetSpec, ad: &AdSpec) {
    let destination = ad_set.destination_type.as_deref();
    let mut creative = ad_creative(&ad.creative, spec.name_of(step), destination);
    // A creative that exists already cannot be changed.
    if !creative.contains_key("creative_id") {
        creative.extend(ad.creative_options(destination));
    }
    form.extend([("adset_id", parent_id(launch, step)), ("creative", Value::from(creative).to_string())]);
    form.extend(ad.conversion_domain.clone().map(|domain| ("conversion_domain", domain)));
}

/// Returns the id of the entity above; what creates it where it does not exist yet, as in a dry run.
fn parent_id(launch: &Launch, step: Step) -> String {
    let Some(parent) = step.parent() else { return String::new() };
    launch.id_of(parent).map_or_else(|| format!("{{{parent}}}"), ToString::to_string)
}
