//! Creates, changes and deletes campaigns, ad sets and ads.

mod defaults;
mod error_hint;
mod spec;

use domain::entity::{Changes, Status};
use domain::id::EntityId;
use domain::launch::{Launch, Step};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::client::UserClient;
use crate::creative::{VALIDATE_ONLY, ad_creative};
use crate::entities::edge;
use crate::error::GraphError;
use crate::regulation::{RegionalIdentities, Regulation};

pub use self::defaults::LaunchDefaults;
pub use self::error_hint::error_hint;
pub use self::spec::{AdSetSpec, AdSpec, LaunchSpec};

#[derive(Deserialize)]
struct CreatedId {
    id: EntityId,
}

impl UserClient {
    /// Creates the object of a launch step as PAUSED, and returns its id.
    ///
    /// Sent once. After [`GraphError::Indeterminate`] the object may exist: look for it with [`UserClient::find_step`]
    /// before retrying.
    pub async fn create_step(
        &self,
        launch: &Launch,
        spec: &LaunchSpec,
        step: Step,
    ) -> Result<EntityId, GraphError> {
        let form = form(launch, spec, step);
        let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let created: CreatedId = self.create(&path(launch, step), &form).await?;
        Ok(created.id)
    }

    /// Validates a launch step at Meta without creating its object. The objects of the steps before it must exist.
    ///
    /// The creation may still fail later: Meta checks against the account's state at that moment.
    pub async fn validate_step(
        &self,
        launch: &Launch,
        spec: &LaunchSpec,
        step: Step,
    ) -> Result<(), GraphError> {
        let form = form(launch, spec, step);
        let form = form.iter().map(|(name, value)| (*name, value.as_str()));
        let form: Vec<_> = form.chain([VALIDATE_ONLY]).collect();
        self.update(&path(launch, step), &form).await
    }

    /// Finds the object that a step already created, for use after a lost response.
    pub async fn find_step(
        &self,
        launch: &Launch,
        spec: &LaunchSpec,
        step: Step,
    ) -> Result<Option<EntityId>, GraphError> {
        let name = spec.marked_name(launch, step);
        let found = self.entities_named(&launch.ad_account, step.level(), launch.id.as_str()).await?;
        Ok(found.into_iter().find(|object| object.name.as_ref() == Some(&name)).map(|object| object.id))
    }

    /// Sets values of an object. Idempotent, because the values are targets.
    pub async fn change(&self, id: &EntityId, changes: &Changes) -> Result<(), GraphError> {
        let budget = changes.daily_budget.map(|amount| amount.to_string());
        let form = [
            ("name", changes.name.as_deref()),
            ("status", changes.status.as_ref().map(Status::as_str)),
            ("daily_budget", budget.as_deref()),
        ];
        let form: Vec<_> = form.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        self.update(id.as_str(), &form).await
    }

    /// Deletes an object and everything below it. Succeeds when it is already gone.
    pub async fn remove(&self, id: &EntityId) -> Result<(), GraphError> {
        self.delete(id.as_str(), &[]).await
    }
}

fn path(launch: &Launch, step: Step) -> String {
    format!("{}/{}", launch.ad_account, edge(step.level()))
}

type Form = Vec<(&'static str, String)>;

fn form(launch: &Launch, spec: &LaunchSpec, step: Step) -> Form {
    match step {
        Step::Campaign => campaign_form(launch, spec),
        Step::AdSet => ad_set_form(launch, spec),
        Step::Ad => ad_form(launch, spec),
    }
}

fn paused(launch: &Launch, spec: &LaunchSpec, step: Step) -> Form {
    vec![("name", spec.marked_name(launch, step)), ("status", "PAUSED".to_owned())]
}

fn campaign_form(launch: &Launch, spec: &LaunchSpec) -> Form {
    let mut form = paused(launch, spec, Step::Campaign);
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

fn ad_set_form(launch: &Launch, spec: &LaunchSpec) -> Form {
    let mut form = paused(launch, spec, Step::AdSet);
    let spec = &spec.ad_set;
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

fn ad_form(launch: &Launch, spec: &LaunchSpec) -> Form {
    let creative = ad_creative(&spec.ad.creative, spec.name_of(Step::Ad));
    let mut form = paused(launch, spec, Step::Ad);
    form.extend([("adset_id", id_text(launch, Step::AdSet)), ("creative", creative.to_string())]);
    form.extend(spec.ad.conversion_domain.clone().map(|domain| ("conversion_domain", domain)));
    form
}

fn id_text(launch: &Launch, step: Step) -> String {
    launch.id_of(step).map(ToString::to_string).unwrap_or_default()
}
