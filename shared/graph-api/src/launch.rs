//! Creates, changes and deletes campaigns, ad sets and ads.

use domain::id::ObjectId;
use domain::launch::{Launch, Step};
use domain::object::Level;
use domain::regulation::{RegionalIdentities, Regulation};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::client::Caller;
use crate::creative::{VALIDATE_ONLY, ad_creative};
use crate::entities::edge;
use crate::error::GraphError;

/// Values to set on an object; absent values stay unchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The new name.
    pub name: Option<String>,
    /// The new status: ACTIVE, PAUSED or ARCHIVED.
    pub status: Option<String>,
    /// The new daily budget in minor units.
    pub daily_budget: Option<i64>,
}

#[derive(Deserialize)]
struct CreatedId {
    id: ObjectId,
}

impl Caller {
    /// Creates the object of a launch step as PAUSED, and returns its id.
    ///
    /// Sent once. After [`GraphError::Indeterminate`] the object may exist: look for it with [`Caller::find_step`]
    /// before retrying.
    pub async fn create_step(&self, launch: &Launch, step: Step) -> Result<ObjectId, GraphError> {
        let form = form(launch, step);
        let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let created: CreatedId = self.create(&path(launch, step), &form).await?;
        Ok(created.id)
    }

    /// Validates a launch step at Meta without creating its object. The objects of the steps before it must exist.
    ///
    /// The creation may still fail later: Meta checks against the account's state at that moment.
    pub async fn validate_step(&self, launch: &Launch, step: Step) -> Result<(), GraphError> {
        let form = form(launch, step);
        let form = form.iter().map(|(name, value)| (*name, value.as_str()));
        let form: Vec<_> = form.chain([VALIDATE_ONLY]).collect();
        self.update(&path(launch, step), &form).await
    }

    /// Finds the object that a step already created, for use after a lost response.
    pub async fn find_step(&self, launch: &Launch, step: Step) -> Result<Option<ObjectId>, GraphError> {
        let name = launch.object_name(step);
        let found = self.objects_named(&launch.ad_account, level_of(step), launch.id.as_str()).await?;
        Ok(found.into_iter().find(|object| object.name.as_ref() == Some(&name)).map(|object| object.id))
    }

    /// Sets values of an object. Idempotent, because the values are targets.
    pub async fn change(&self, id: &ObjectId, changes: &Changes) -> Result<(), GraphError> {
        let budget = changes.daily_budget.map(|amount| amount.to_string());
        let form = [
            ("name", changes.name.as_deref()),
            ("status", changes.status.as_deref()),
            ("daily_budget", budget.as_deref()),
        ];
        let form: Vec<_> = form.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        self.update(id.as_str(), &form).await
    }

    /// Deletes an object and everything below it. Succeeds when it is already gone.
    pub async fn remove(&self, id: &ObjectId) -> Result<(), GraphError> {
        self.delete(id.as_str(), &[]).await
    }
}

/// Returns the level of the object that a step creates.
pub fn level_of(step: Step) -> Level {
    match step {
        Step::Campaign => Level::Campaign,
        Step::AdSet => Level::AdSet,
        Step::Ad => Level::Ad,
    }
}

fn path(launch: &Launch, step: Step) -> String {
    format!("{}/{}", launch.ad_account, edge(level_of(step)))
}

type Form = Vec<(&'static str, String)>;

fn form(launch: &Launch, step: Step) -> Form {
    match step {
        Step::Campaign => campaign_form(launch),
        Step::AdSet => ad_set_form(launch),
        Step::Ad => ad_form(launch),
    }
}

fn paused(launch: &Launch, step: Step) -> Form {
    vec![("name", launch.object_name(step)), ("status", "PAUSED".to_owned())]
}

fn campaign_form(launch: &Launch) -> Form {
    let spec = &launch.spec;
    let mut form = paused(launch, Step::Campaign);
    form.extend([
        ("objective", spec.objective.clone()),
        ("buying_type", "AUCTION".to_owned()),
        ("special_ad_categories", json!(spec.special_ad_categories).to_string()),
        ("daily_budget", spec.daily_budget.amount.to_string()),
        // Meta's default is LOWEST_COST_WITH_BID_CAP, which requires a bid.
        ("bid_strategy", "LOWEST_COST_WITHOUT_CAP".to_owned()),
    ]);
    // Special ad categories require the countries in which they apply (Marketing API, "Special Ad Categories").
    if spec.special_ad_categories.iter().any(|category| category != "NONE") {
        form.push(("special_ad_category_country", json!(spec.ad_set.countries).to_string()));
    }
    let promoted = spec.catalog.as_ref().map(|catalog| json!({"product_catalog_id": catalog}));
    form.extend(promoted.map(|promoted| ("promoted_object", promoted.to_string())));
    form
}

fn ad_set_form(launch: &Launch) -> Form {
    let spec = &launch.spec.ad_set;
    let mut form = paused(launch, Step::AdSet);
    let targeting = json!({
        "geo_locations": {"countries": spec.countries},
        "targeting_automation": {"advantage_audience": u8::from(spec.advantage_audience)},
    });
    form.extend([
        ("campaign_id", id_text(launch, Step::Campaign)),
        ("optimization_goal", spec.optimization_goal.clone()),
        ("billing_event", spec.billing_event.clone()),
        ("targeting", targeting.to_string()),
    ]);
    form.extend(spec.promoted_object.as_ref().map(|object| ("promoted_object", json!(object).to_string())));
    form.extend(
        spec.dsa
            .iter()
            .flat_map(|dsa| [("dsa_payor", dsa.payor.clone()), ("dsa_beneficiary", dsa.beneficiary.clone())]),
    );
    if !spec.regional_identities.is_empty() {
        let categories: Vec<_> = spec.regional_identities.keys().collect();
        form.extend([
            ("regional_regulated_categories", json!(categories).to_string()),
            ("regional_regulation_identities", identities(&spec.regional_identities).to_string()),
        ]);
    }
    form
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

fn ad_form(launch: &Launch) -> Form {
    let spec = &launch.spec.ad;
    let creative = ad_creative(&spec.creative, &launch.object_name(Step::Ad));
    let mut form = paused(launch, Step::Ad);
    form.extend([("adset_id", id_text(launch, Step::AdSet)), ("creative", creative.to_string())]);
    form.extend(spec.conversion_domain.clone().map(|domain| ("conversion_domain", domain)));
    form
}

fn id_text(launch: &Launch, step: Step) -> String {
    launch.id_of(step).map(ToString::to_string).unwrap_or_default()
}
