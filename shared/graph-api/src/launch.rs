//! Creating, changing and deleting campaigns, ad sets and ads.

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

/// What is to be set on an object; absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// A new name.
    pub name: Option<String>,
    /// ACTIVE, PAUSED or ARCHIVED.
    pub status: Option<String>,
    /// Daily budget in minor units.
    pub daily_budget: Option<i64>,
}

#[derive(Deserialize)]
struct CreatedId {
    id: ObjectId,
}

impl Caller {
    /// Takes one step of a launch: creates its object PAUSED and answers its id.
    ///
    /// Sent once. With [`GraphError::Indeterminate`] the object may exist: look for it by
    /// [`Launch::object_name`] before trying again.
    pub async fn create_step(&self, launch: &Launch, step: Step) -> Result<ObjectId, GraphError> {
        let form = form(launch, step);
        let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let created: CreatedId = self.create(&path(launch, step), &form).await?;
        Ok(created.id)
    }

    /// Asks whether Meta would take a step of a launch, whose steps before it have been taken; takes none.
    ///
    /// What a later step meets can differ: Meta checks against what the account holds at that moment.
    pub async fn validate_step(&self, launch: &Launch, step: Step) -> Result<(), GraphError> {
        let form = form(launch, step);
        let form = form.iter().map(|(name, value)| (*name, value.as_str()));
        let form: Vec<_> = form.chain([VALIDATE_ONLY]).collect();
        self.update(&path(launch, step), &form).await
    }

    /// The object that a step already created, if its answer was lost.
    pub async fn find_step(&self, launch: &Launch, step: Step) -> Result<Option<ObjectId>, GraphError> {
        let name = launch.object_name(step);
        let found = self.objects_named(&launch.ad_account, level_of(step), launch.id.as_str()).await?;
        Ok(found.into_iter().find(|object| object.name.as_ref() == Some(&name)).map(|object| object.id))
    }

    /// Sets values of an object. The values are targets, so a repetition is harmless.
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

    /// Deletes an object and everything below it. Already gone is success.
    pub async fn remove(&self, id: &ObjectId) -> Result<(), GraphError> {
        self.delete(id.as_str(), &[]).await
    }
}

/// The level that a step creates.
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
        // Meta's default would be LOWEST_COST_WITH_BID_CAP, which then demands a bid.
        ("bid_strategy", "LOWEST_COST_WITHOUT_CAP".to_owned()),
    ]);
    // "If special ad categories are selected, you must also set" where they hold (Marketing API, "Special Ad Categories").
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

/// Verified identities as Meta takes them: flat, with names that begin with the regulation's. Here it is the payer, where
/// the EU's law has a payor.
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
