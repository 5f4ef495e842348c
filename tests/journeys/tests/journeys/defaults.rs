//! What launches use where their document is silent.

use graph_sim::{GraphSim, MoreAccount};
use http::Method;
use journeys::{Answer, Story};
use local::main_job::WORKSPACE;
use runtime::session::Role;
use serde_json::{Value, json};

use crate::consent::log_in;

async fn set_defaults(story: &Story, defaults: &Value) -> Answer {
    story.owner(Method::PUT, "defaults", Some(defaults.clone())).await.unwrap()
}

/// An object that a launch has made, as the simulated Meta keeps it.
fn made(sim: &GraphSim, launched: &Answer, field: &str) -> Value {
    let body = launched.json();
    let id = body[field].as_str().unwrap_or_else(|| panic!("{field} in {}", launched.text));
    sim.node(id).unwrap()
}

fn same(id: &str) -> Value {
    json!({"payer": id, "beneficiary": id})
}

#[tokio::test]
async fn regional_identities_of_the_account_are_named_where_the_audience_wants_them() {
    let story = Story::synced().await.unwrap();
    let sim = story.sim().unwrap();
    sim.demand_regional_identities();
    let mut document = story.launch_document().unwrap();
    document["ad_set"]["countries"] = json!(["SG", "MY"]);
    let refused = story.launch("bare", &document).await.unwrap();
    assert_eq!(refused.status, 422, "{}", refused.text);
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("ad_set.regional_identities.SINGAPORE_UNIVERSAL"), "{detail}");
    assert!(detail.contains("PUT ad-accounts/{act}/defaults"), "{detail}");
    assert!(detail.contains("deleted again"), "{detail}");

    let defaults = json!({"regional_identities": {
        "SINGAPORE_UNIVERSAL": {"payer": "426040001", "beneficiary": "426040002"},
        "TAIWAN_UNIVERSAL": same("7"),
        "TAIWAN_FINSERV": same("8"),
        "THAILAND_UNIVERSAL": same("9"),
        "BRAZIL_REGULATION": same("10"),
    }});
    let kept = set_defaults(&story, &defaults).await;
    assert_eq!((kept.status.as_u16(), kept.json()), (200, defaults.clone()));
    assert_eq!(story.owner(Method::GET, "defaults", None).await.unwrap().json(), defaults);

    let launched = story.launch("singapore", &document).await.unwrap();
    assert_eq!(launched.status, 201, "{}", launched.text);
    let ad_set = made(sim, &launched, "adset_id");
    assert_eq!(ad_set["regional_regulated_categories"], json!(["SINGAPORE_UNIVERSAL"]));
    assert_eq!(
        ad_set["regional_regulation_identities"],
        json!({"singapore_universal_payer": "426040001", "singapore_universal_beneficiary": "426040002"})
    );

    // Financial services are declared in Taiwan only by who says that they are.
    document["ad_set"]["countries"] = json!(["TW"]);
    let launched = story.launch("taiwan", &document).await.unwrap();
    let named = |launched: &Answer| made(sim, launched, "adset_id")["regional_regulated_categories"].clone();
    assert_eq!(named(&launched), json!(["TAIWAN_UNIVERSAL"]));
    document["special_ad_categories"] = json!(["FINANCIAL_PRODUCTS_SERVICES"]);
    let launched = story.launch("bank", &document).await.unwrap();
    assert_eq!(named(&launched), json!(["TAIWAN_UNIVERSAL", "TAIWAN_FINSERV"]));
    document["special_ad_categories"] = json!([]);

    // What the document says goes before.
    document["ad_set"]["countries"] = json!(["BR"]);
    document["ad_set"]["regional_identities"] = json!({"BRAZIL_REGULATION": same("11")});
    let launched = story.launch("brazil", &document).await.unwrap();
    let identities = &made(sim, &launched, "adset_id")["regional_regulation_identities"];
    assert_eq!(*identities, json!({"universal_payer": "11", "universal_beneficiary": "11"}));

    // Meta has one pair for these two.
    document["ad_set"]["countries"] = json!(["BR", "TH"]);
    let refused = story.launch("both", &document).await.unwrap();
    assert_eq!(refused.status, 400, "{}", refused.text);
    assert_eq!(refused.json()["errors"][0]["field"], "ad_set.regional_identities.BRAZIL_REGULATION");

    // An audience elsewhere wants none.
    document["ad_set"]["countries"] = json!(["MY"]);
    document["ad_set"].as_object_mut().unwrap().remove("regional_identities");
    let launched = story.launch("malaysia", &document).await.unwrap();
    assert!(named(&launched).is_null(), "{}", launched.text);
    story.end().await.unwrap();
}

#[tokio::test]
async fn defaults_with_mistakes_name_every_field() {
    let story = Story::begin().await.unwrap();
    story.api().unwrap().connect().await.unwrap();
    let refused = set_defaults(
        &story,
        &json!({
            "domain": "https://x/",
            "dsa": {"payor": "A\nB", "beneficiary": "B"},
            "regional_identities": {"TAIWAN_FINSERV": same("8")},
        }),
    )
    .await;
    assert_eq!(refused.status, 400, "{}", refused.text);
    let errors = refused.json()["errors"].clone();
    let fields: Vec<_> = errors.as_array().unwrap().iter().map(|error| error["field"].clone()).collect();
    assert_eq!(fields, ["domain", "dsa.payor", "regional_identities.TAIWAN_FINSERV"]);
    for (defaults, field) in [
        (json!({"regional_identities": {"MOON_UNIVERSAL": same("8")}}), "regional_identities"),
        (
            json!({"regional_identities": {"SINGAPORE_UNIVERSAL": {"payer": "1"}}}),
            "regional_identities.SINGAPORE_UNIVERSAL",
        ),
        (
            json!({"regional_identities": {"SINGAPORE_UNIVERSAL": same("x")}}),
            "regional_identities.SINGAPORE_UNIVERSAL.beneficiary",
        ),
        (json!({"regional": {}}), "regional"),
    ] {
        let refused = set_defaults(&story, &defaults).await;
        assert_eq!(refused.status, 400, "{defaults}");
        let named = refused.json()["errors"][0]["field"].as_str().unwrap().to_owned();
        assert!(named.starts_with(field), "{defaults}: {}", refused.text);
    }
    story.end().await.unwrap();
}

#[tokio::test]
async fn a_person_who_came_by_a_configuration_may_name_the_partner_and_a_system_user_may_not() {
    let story = Story::begin().await.unwrap();
    let sim = story.sim().unwrap();
    sim.add_business("800", "Client of the agency");
    sim.add_account(&MoreAccount {
        id: "act_81".to_owned(),
        name: "The client's".to_owned(),
        currency: "EUR".to_owned(),
        timezone: "Europe/Berlin".to_owned(),
        business: Some("800".to_owned()),
        assigned: false,
    });
    sim.share_account("act_81", "900000000000001");
    let token = story.system.token(WORKSPACE, Role::Owner).unwrap();
    let path = format!("/v1/workspaces/{WORKSPACE}/ad-accounts/act_81/defaults");
    let dsa = json!({"dsa": {"payor": "Agency", "beneficiary": "Client of the agency"}}).to_string();
    // The same configuration, which gives one token or the other.
    for (whose, status) in [("person", 200), ("system_user", 400)] {
        let (status_of_login, shown) =
            log_in(&story, Some(&json!({"kind": "business"})), &[("for", whose)]).await;
        assert_eq!(status_of_login, 200, "{shown}");
        let answer = story.send(Method::PUT, &path, Some(&token), &[], Some(dsa.clone())).await.unwrap();
        assert_eq!(answer.status.as_u16(), status, "{whose}: {}", answer.text);
    }
    story.end().await.unwrap();
}
