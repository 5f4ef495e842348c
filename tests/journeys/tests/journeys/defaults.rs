//! The defaults that launches use for fields missing in their document.

use graph_sim::{Fault, FaultKind, GraphSim, LOGIN_USER_ID, NewAccount};
use http::Method;
use jiff::SignedDuration;
use journeys::{Response, Scenario, test_event};
use local::demo::WORKSPACE;
use local::tenant::tenant;
use runtime::session::Role;
use serde_json::{Value, json};

use crate::consent::log_in;
use crate::health::check_connections;

pub(super) async fn set_defaults(scenario: &Scenario, defaults: &Value) -> Response {
    scenario.call_as_owner(Method::PUT, "defaults", Some(defaults.clone())).await.unwrap()
}

/// Returns an object that a launch has created, as the simulated Meta stores it.
fn created_node(sim: &GraphSim, launched: &Response, field: &str) -> Value {
    let body = launched.json();
    let id = body[field].as_str().unwrap_or_else(|| panic!("{field} in {}", launched.text));
    sim.node(id).unwrap()
}

fn same_identity(id: &str) -> Value {
    json!({"payer": id, "beneficiary": id})
}

/// Returns the number of creatives in the simulated account.
async fn creatives(scenario: &Scenario) -> usize {
    let token = scenario.sim().unwrap().issue_token(LOGIN_USER_ID, &["ads_read", "ads_management"]);
    let account = scenario.account().unwrap().parse().unwrap();
    scenario.system.graph.on_behalf_of(token.into()).creatives(&account).await.unwrap().len()
}

/// Returns a launch document that defines its ad's creative.
fn with_link(scenario: &Scenario) -> Value {
    let mut document = scenario.launch_document().unwrap();
    document["ad"]["creative"] = json!({"link": {
        "link": "https://example.com/sale?from=ad",
        "message": "Winter is here.\nSo are we.",
        "headline": "Winter sale",
        "call_to_action": "SHOP_NOW",
    }});
    document
}

#[tokio::test]
async fn an_ad_with_its_own_creative_uses_the_accounts_default_page() {
    let scenario = Scenario::synced().await.unwrap();
    let sim = scenario.sim().unwrap();
    let mut document = with_link(&scenario);
    document["ad_set"]["promoted_object"] = json!({"custom_event_type": "PURCHASE"});
    let calls = sim.calls();
    let refused = scenario.launch("nobody", &document).await.unwrap();
    assert_eq!(refused.status, 400, "{}", refused.text);
    let refused = refused.json();
    let fields: Vec<_> = refused["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
    assert_eq!(fields, ["ad_set.promoted_object", "ad.creative.link.page"]);
    let error = &refused["errors"][1];
    assert!(error["message"].as_str().unwrap().contains("PUT ad-accounts/{act}/defaults"), "{error}");
    assert_eq!(sim.calls(), calls, "Meta was not asked");

    let page = sim.account().page_id;
    let defaults = json!({
        "page": page, "pixel": "123", "instagram_user": "17841400000000001", "catalog": "71",
        "domain": "example.com",
    });
    assert_eq!(set_defaults(&scenario, &defaults).await.status, 200);
    let before = creatives(&scenario).await;
    let launched = scenario.launch("somebody", &document).await.unwrap();
    assert_eq!(launched.status, 201, "{}", launched.text);
    let ad = created_node(sim, &launched, "ad_id");
    assert_eq!((&ad["status"], &ad["conversion_domain"]), (&json!("PAUSED"), &json!("example.com")));
    let creative = sim.node(ad["creative"]["id"].as_str().unwrap()).unwrap();
    assert_eq!(
        creative["object_story_spec"],
        json!({
            "page_id": page,
            "instagram_user_id": "17841400000000001",
            "link_data": {
                "link": "https://example.com/sale?from=ad",
                "message": "Winter is here.\nSo are we.",
                "name": "Winter sale",
                "call_to_action": {"type": "SHOP_NOW", "value": {"link": "https://example.com/sale?from=ad"}},
            },
        })
    );
    assert_eq!(created_node(sim, &launched, "adset_id")["promoted_object"]["pixel_id"], "123");
    assert!(
        created_node(sim, &launched, "campaign_id").get("promoted_object").is_none(),
        "no products, no catalog"
    );

    // A repetition creates nothing, and neither does an ad that Meta refuses.
    assert_eq!(scenario.launch("somebody", &document).await.unwrap().json(), launched.json());
    document["ad"]["creative"]["link"]["page"] = json!("1");
    let refused = scenario.launch("stranger", &document).await.unwrap();
    assert_eq!(refused.status, 422, "{}", refused.text);
    assert!(refused.text.contains("deleted again"), "{}", refused.text);
    assert!(refused.text.contains("another Page in ad.creative.link.page"), "{}", refused.text);
    assert_eq!(creatives(&scenario).await, before + 1);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn an_ad_whose_response_is_lost_leaves_one_creative() {
    let scenario = Scenario::synced().await.unwrap();
    let sim = scenario.sim().unwrap();
    assert_eq!(set_defaults(&scenario, &json!({"page": sim.account().page_id})).await.status, 200);
    let before = creatives(&scenario).await;
    sim.fail_next(Fault {
        method: Some("POST".to_owned()),
        path_contains: "/ads".to_owned(),
        times: 1,
        skip: 0,
        kind: FaultKind::LostResponse,
    });
    let launched = scenario.launch("lost", &with_link(&scenario)).await.unwrap();
    assert_eq!(launched.status, 201, "{}", launched.text);
    assert_eq!(sim.faults_injected(), 1);
    assert_eq!(creatives(&scenario).await, before + 1);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_throttled_launch_continues_with_the_defaults_of_its_first_attempt() {
    let scenario = Scenario::synced().await.unwrap();
    let sim = scenario.sim().unwrap();
    let page = sim.account().page_id;
    assert_eq!(set_defaults(&scenario, &json!({"page": page})).await.status, 200);
    let (code, subcode) = (80_004, Some(2_446_079));
    sim.fail_next(Fault {
        method: Some("POST".to_owned()),
        path_contains: "adsets".to_owned(),
        times: 1,
        skip: 0,
        kind: FaultKind::Error { status: 400, code, subcode, headers: Vec::new() },
    });
    let document = with_link(&scenario);
    assert_eq!(scenario.launch("patient", &document).await.unwrap().status, 429);
    assert_eq!(set_defaults(&scenario, &json!({})).await.status, 200);
    scenario.system.clock.advance(SignedDuration::from_secs(300));
    let launched = scenario.launch("patient", &document).await.unwrap();
    assert_eq!(launched.status, 201, "{}", launched.text);
    let creative = created_node(sim, &launched, "ad_id")["creative"]["id"].clone();
    let creative = sim.node(creative.as_str().unwrap()).unwrap();
    assert_eq!(creative["object_story_spec"]["page_id"], page.as_str());
    // A new launch finds no default.
    let refused = scenario.launch("late", &document).await.unwrap();
    assert_eq!(refused.json()["errors"][0]["field"], "ad.creative.link.page", "{}", refused.text);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_product_launch_uses_the_accounts_catalog() {
    let scenario = Scenario::synced().await.unwrap();
    let sim = scenario.sim().unwrap();
    let defaults = json!({"page": sim.account().page_id, "pixel": "123", "catalog": "71"});
    assert_eq!(set_defaults(&scenario, &defaults).await.status, 200);
    let mut document = with_link(&scenario);
    document["ad_set"]["promoted_object"] = json!({"product_set_id": "72", "custom_event_type": "PURCHASE"});
    document["ad"]["creative"]["link"]["product_set"] = json!("72");
    let launched = scenario.launch("products", &document).await.unwrap();
    assert_eq!(launched.status, 201, "{}", launched.text);
    assert_eq!(
        created_node(sim, &launched, "campaign_id")["promoted_object"],
        json!({"product_catalog_id": "71"})
    );
    // The catalog has its own pixel, so none is set.
    let promoted = &created_node(sim, &launched, "adset_id")["promoted_object"];
    assert_eq!(*promoted, json!({"product_set_id": "72", "custom_event_type": "PURCHASE"}));
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn the_accounts_regional_identities_are_set_where_the_audience_requires_them() {
    let scenario = Scenario::synced().await.unwrap();
    let sim = scenario.sim().unwrap();
    sim.require_regional_identities();
    let mut document = scenario.launch_document().unwrap();
    document["ad_set"]["countries"] = json!(["SG", "MY"]);
    let refused = scenario.launch("bare", &document).await.unwrap();
    assert_eq!(refused.status, 422, "{}", refused.text);
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("ad_set.regional_identities.SINGAPORE_UNIVERSAL"), "{detail}");
    assert!(detail.contains("PUT ad-accounts/{act}/defaults"), "{detail}");
    assert!(detail.contains("deleted again"), "{detail}");

    let defaults = json!({"regional_identities": {
        "SINGAPORE_UNIVERSAL": {"payer": "426040001", "beneficiary": "426040002"},
        "TAIWAN_UNIVERSAL": same_identity("7"),
        "TAIWAN_FINSERV": same_identity("8"),
        "THAILAND_UNIVERSAL": same_identity("9"),
        "BRAZIL_REGULATION": same_identity("10"),
    }});
    let stored = set_defaults(&scenario, &defaults).await;
    assert_eq!((stored.status.as_u16(), stored.json()), (200, defaults.clone()));
    assert_eq!(scenario.call_as_owner(Method::GET, "defaults", None).await.unwrap().json(), defaults);

    let launched = scenario.launch("singapore", &document).await.unwrap();
    assert_eq!(launched.status, 201, "{}", launched.text);
    let ad_set = created_node(sim, &launched, "adset_id");
    assert_eq!(ad_set["regional_regulated_categories"], json!(["SINGAPORE_UNIVERSAL"]));
    assert_eq!(
        ad_set["regional_regulation_identities"],
        json!({"singapore_universal_payer": "426040001", "singapore_universal_beneficiary": "426040002"})
    );

    // In Taiwan financial services are declared only by a launch with that special category.
    document["ad_set"]["countries"] = json!(["TW"]);
    let launched = scenario.launch("taiwan", &document).await.unwrap();
    let named = |launched: &Response| {
        created_node(sim, launched, "adset_id")["regional_regulated_categories"].clone()
    };
    assert_eq!(named(&launched), json!(["TAIWAN_UNIVERSAL"]));
    document["special_ad_categories"] = json!(["FINANCIAL_PRODUCTS_SERVICES"]);
    let launched = scenario.launch("bank", &document).await.unwrap();
    assert_eq!(named(&launched), json!(["TAIWAN_UNIVERSAL", "TAIWAN_FINSERV"]));
    assert_eq!(created_node(sim, &launched, "campaign_id")["special_ad_category_country"], json!(["TW"]));
    document["special_ad_categories"] = json!([]);

    // The document's values override defaults.
    document["ad_set"]["countries"] = json!(["BR"]);
    document["ad_set"]["regional_identities"] = json!({"BRAZIL_REGULATION": same_identity("11")});
    let launched = scenario.launch("brazil", &document).await.unwrap();
    let identities = &created_node(sim, &launched, "adset_id")["regional_regulation_identities"];
    assert_eq!(*identities, json!({"universal_payer": "11", "universal_beneficiary": "11"}));

    // Meta has one pair for these two.
    document["ad_set"]["countries"] = json!(["BR", "TH"]);
    let refused = scenario.launch("both", &document).await.unwrap();
    assert_eq!(refused.status, 400, "{}", refused.text);
    assert_eq!(refused.json()["errors"][0]["field"], "ad_set.regional_identities.BRAZIL_REGULATION");

    // Other countries require none.
    document["ad_set"]["countries"] = json!(["MY"]);
    document["ad_set"].as_object_mut().unwrap().remove("regional_identities");
    let launched = scenario.launch("malaysia", &document).await.unwrap();
    assert!(named(&launched).is_null(), "{}", launched.text);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn defaults_with_mistakes_name_every_field() {
    let scenario = Scenario::start().await.unwrap();
    scenario.api().unwrap().connect().await.unwrap();
    let refused = set_defaults(
        &scenario,
        &json!({
            "domain": "https://x/",
            "dsa": {"payor": "A\nB", "beneficiary": "B"},
            "regional_identities": {"TAIWAN_FINSERV": same_identity("8")},
        }),
    )
    .await;
    assert_eq!(refused.status, 400, "{}", refused.text);
    let errors = refused.json()["errors"].clone();
    let fields: Vec<_> = errors.as_array().unwrap().iter().map(|error| error["field"].clone()).collect();
    assert_eq!(fields, ["domain", "dsa.payor", "regional_identities.TAIWAN_FINSERV"]);
    for (defaults, field) in [
        (json!({"regional_identities": {"MOON_UNIVERSAL": same_identity("8")}}), "regional_identities"),
        (
            json!({"regional_identities": {"SINGAPORE_UNIVERSAL": {"payer": "1"}}}),
            "regional_identities.SINGAPORE_UNIVERSAL",
        ),
        (
            json!({"regional_identities": {"SINGAPORE_UNIVERSAL": same_identity("x")}}),
            "regional_identities.SINGAPORE_UNIVERSAL.beneficiary",
        ),
        (json!({"regional": {}}), "regional"),
    ] {
        let refused = set_defaults(&scenario, &defaults).await;
        assert_eq!(refused.status, 400, "{defaults}");
        let named = refused.json()["errors"][0]["field"].as_str().unwrap().to_owned();
        assert!(named.starts_with(field), "{defaults}: {}", refused.text);
    }
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn only_a_users_token_and_not_a_system_users_may_name_a_partner_as_payor() {
    let scenario = Scenario::start().await.unwrap();
    let sim = scenario.sim().unwrap();
    sim.add_business("800", "Client of the agency");
    sim.add_account(&NewAccount {
        id: "act_81".to_owned(),
        name: "The client's".to_owned(),
        currency: "EUR".to_owned(),
        timezone: "Europe/Berlin".to_owned(),
        business: Some("800".to_owned()),
        assigned: false,
    });
    sim.share_account("act_81", "900000000000001");
    let token = scenario.system.token(WORKSPACE, Role::Owner).unwrap();
    let path = format!("/v1/workspaces/{WORKSPACE}/ad-accounts/act_81/defaults");
    let dsa = json!({"dsa": {"payor": "Agency", "beneficiary": "Client of the agency"}}).to_string();
    let set = async || {
        let response = scenario.send(Method::PUT, &path, Some(&token), &[], Some(dsa.clone())).await.unwrap();
        response.status.as_u16()
    };
    // The same configuration can issue either kind of token.
    let business = json!({"kind": "business"});
    for (whose, status) in [("person", 200), ("system_user", 400)] {
        assert_eq!(log_in(&scenario, Some(&business), &[("for", whose)]).await.0, 200);
        assert_eq!(set().await, status, "{whose}");
    }
    // An older row without this field, until Meta is asked again.
    let (table, workspace) = (&scenario.system.table, tenant(WORKSPACE).unwrap());
    let stored = table.connections(&workspace).await.unwrap();
    let mut old = stored.into_iter().find(store::connection::Connection::is_system_user).unwrap();
    old.token_owner = None;
    table
        .upsert_connection(&workspace, &old, &test_event(scenario.system.clock.now()).unwrap())
        .await
        .unwrap();
    assert_eq!(set().await, 200, "Meta itself would refuse it");
    check_connections(&scenario).await;
    assert_eq!(set().await, 400);
    scenario.finish().await.unwrap();
}
