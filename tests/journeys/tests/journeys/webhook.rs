//! Webhooks bring changes from Meta.

use graph_api::GraphError;
use graph_api::subscription::Topic;
use graph_sim::{Area, FaultKind, FaultPlan, Issue, LOGIN_USER_ID, RequestMatcher, Trigger};
use http::Method;
use jiff::SignedDuration;
use journeys::Scenario;
use local::demo::WORKSPACE;
use local::tenant::tenant;
use secrecy::ExposeSecret;
use serde_json::json;

fn change(id: &str, level: &str, time: i64) -> String {
    let value = json!({"id": id, "level": level, "error_summary": "\u{fc}ber"});
    let changes = json!([{"field": "with_issues_ad_objects", "value": value}]);
    json!({"object": "ad_account", "entry": [{"id": "0", "time": time, "changes": changes}]}).to_string()
}

#[tokio::test]
async fn the_handshake_echoes_the_challenge_only_for_the_verify_token() {
    let scenario = Scenario::start().await.unwrap();
    let token = scenario.system.secrets.verify_token.expose_secret().to_owned();
    let get = |token: String| {
        let path =
            format!("/v1/webhooks/meta?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token={token}");
        let scenario = &scenario;
        async move { scenario.send(Method::GET, &path, None, &[], None).await.unwrap() }
    };
    let response = get(token).await;
    assert_eq!((response.status.as_u16(), response.text.as_str()), (200, "1158201444"));
    assert_eq!(get("guess".to_owned()).await.status, 403);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn subscribed_changes_are_delivered_and_redelivered_after_an_outage() {
    let scenario = Scenario::synced().await.unwrap();
    let (sim, graph) = (scenario.sim().unwrap(), &scenario.system.graph);
    let callback = format!("{}/v1/webhooks/meta", scenario.system.url());
    let issues = ["with_issues_ad_objects"];
    let guess = "guess".to_owned().into();
    let refused = graph.subscribe(&Topic::AdAccount, &issues, &callback, &guess).await;
    assert!(
        matches!(refused, Err(GraphError::InvalidInput(_))),
        "our endpoint does not know that token: {refused:?}"
    );
    graph
        .subscribe(&Topic::AdAccount, &issues, &callback, &scenario.system.secrets.verify_token)
        .await
        .unwrap();
    let token = sim.issue_token("1", &["ads_management"]);
    let account = scenario.account().unwrap().parse().unwrap();
    graph.on_behalf_of(token.into()).subscribe_account(&account).await.unwrap();

    let campaign = scenario.running_campaign().await.unwrap();
    let issue = Issue { code: 1, summary: "\u{fc}ber".to_owned(), message: "Too many".to_owned() };
    let lost = RequestMatcher { area: Some(Area::Webhook), ..RequestMatcher::default() };
    sim.set_plan(FaultPlan::single(
        Trigger { times: Some(2), ..Trigger::default() },
        lost,
        FaultKind::LostRequest,
    ));
    sim.set_issue(&campaign, Some(issue));
    let first = sim.deliver_due().await;
    assert_eq!((first.accepted, first.pending), (0, 1), "{first:?}");
    scenario.system.clock.advance(SignedDuration::from_mins(30));
    let second = sim.deliver_due().await;
    assert_eq!((second.accepted, second.pending), (1, 0), "{second:?}");
    scenario.system.runner.settle().await.unwrap();
    let view =
        scenario.call_as_owner(Method::GET, &format!("campaigns/{campaign}"), None).await.unwrap().json();
    assert_eq!(view["effective_status"], "WITH_ISSUES");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_change_about_an_object_has_exactly_that_object_synced_once() {
    let scenario = Scenario::synced().await.unwrap();
    let campaign = scenario.running_campaign().await.unwrap();
    let sim = scenario.sim().unwrap();
    sim.update_node(&campaign, json!({"name": "Renamed in Ads Manager"}));
    let calls = sim.calls();
    let body = change(&campaign, "CAMPAIGN", 1_796_000_000);
    let response = scenario.deliver(&body).await.unwrap();
    assert_eq!((response.status.as_u16(), response.json()), (200, json!({"accepted": 1, "set_aside": 0})));
    scenario.system.runner.settle().await.unwrap();
    assert_eq!(sim.calls() - calls, 1, "one read of one object");
    let view =
        scenario.call_as_owner(Method::GET, &format!("campaigns/{campaign}"), None).await.unwrap().json();
    assert_eq!(view["name"], "Renamed in Ads Manager");

    // Meta delivers at least once.
    for _ in 0..9 {
        assert_eq!(scenario.deliver(&body).await.unwrap().status, 200);
    }
    scenario.system.runner.settle().await.unwrap();
    assert_eq!(sim.calls() - calls, 1, "the repetitions had no effect");

    // The same content at a later time is another change.
    scenario.system.clock.advance(SignedDuration::from_mins(1));
    scenario.deliver(&change(&campaign, "CAMPAIGN", 1_796_000_060)).await.unwrap();
    scenario.system.runner.settle().await.unwrap();
    assert_eq!(sim.calls() - calls, 2);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn an_unknown_object_is_attributed_through_its_account() {
    let scenario = Scenario::synced().await.unwrap();
    let launched = scenario.launch("k", &scenario.launch_document().unwrap()).await.unwrap().json();
    let campaign = launched["campaign_id"].as_str().unwrap();
    // Created in Ads Manager: Meta has it, we do not. The simulator knows the launched one; our copy is deleted.
    let (ws, act) = (tenant("demo").unwrap(), scenario.account().unwrap());
    let key = store::key::entity_index(&campaign.parse().unwrap(), &ws, &act.parse().unwrap());
    let dynamodb = &scenario.system.cloud.dynamodb;
    let text = |text: String| aws_sdk_dynamodb::types::AttributeValue::S(text);
    dynamodb
        .delete_item()
        .table_name("adflight")
        .key("pk", text(key.pk))
        .key("sk", text(key.sk))
        .send()
        .await
        .unwrap();

    let calls = scenario.sim().unwrap().calls();
    let digits = act.trim_start_matches("act_");
    let body = change(campaign, "CAMPAIGN", 3).replace("\"id\":\"0\"", &format!("\"id\":\"{digits}\""));
    assert_eq!(scenario.deliver(&body).await.unwrap().status, 200);
    scenario.system.runner.settle().await.unwrap();
    assert_eq!(scenario.sim().unwrap().calls() - calls, 1);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn changes_of_unknown_objects_are_accepted_without_effect() {
    let scenario = Scenario::synced().await.unwrap();
    let calls = scenario.sim().unwrap().calls();
    for body in [
        change("42", "AD", 1),
        json!({"object": "ad_account", "entry": [{"id": "0", "time": 1, "changes": [{"field": "new", "value": 7}]}]}).to_string(),
        json!({"object": "page", "entry": [{"id": "1", "time": 1, "changed_fields": ["feed"]}]}).to_string(),
        json!({"object": "ad_account", "entry": []}).to_string(),
    ] {
        assert_eq!(scenario.deliver(&body).await.unwrap().status, 200, "{body}");
    }
    scenario.system.runner.settle().await.unwrap();
    assert_eq!(scenario.sim().unwrap().calls(), calls);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn an_odd_change_is_set_aside_and_a_full_batch_fits() {
    let scenario = Scenario::synced().await.unwrap();
    let campaign = scenario.running_campaign().await.unwrap();
    let calls = scenario.sim().unwrap().calls();
    // Text that Meta cut inside an emoji, a form feed, and two changes that are none.
    let good = json!({"field": "in_process_ad_objects", "value": {"id": campaign, "level": "CAMPAIGN"}});
    let cut =
        r#"{"field":"with_issues_ad_objects","value":{"id":"0","level":"AD","error_message":"cut \ud83d"}}"#;
    let changes = format!("{cut},{},[],{{\"field\":null}},{good}", cut.replace("\\ud83d", "\u{c}"));
    let body = format!(
        r#"{{"object":"ad_account","entry":[{{"id":"0","time":1796000003,"changes":[{changes}]}}]}}"#
    );
    let response = scenario.deliver(&body).await.unwrap();
    assert_eq!((response.status.as_u16(), response.json()), (200, json!({"accepted": 3, "set_aside": 2})));
    scenario.system.runner.settle().await.unwrap();
    assert_eq!(scenario.sim().unwrap().calls() - calls, 1, "the good change had its effect");
    let kept = scenario.system.cloud.dynamodb.query().table_name("adflight");
    let kept = kept.key_condition_expression("pk = :pk");
    let pk = aws_sdk_dynamodb::types::AttributeValue::S("UNREADABLE_CHANGES".to_owned());
    let kept = kept.expression_attribute_values(":pk", pk).send().await.unwrap();
    assert_eq!(kept.count(), 2);
    assert!(kept.items().iter().all(|item| item.contains_key("unreadable") && item.contains_key("expires")));

    let long = "\\ud83d\\ude00".repeat(180);
    let many: Vec<_> =
        (0..1000).map(|n| cut.replace("cut \\ud83d", &long).replace("\"0\"", &format!("\"{n}\""))).collect();
    let body = format!(
        r#"{{"object":"ad_account","entry":[{{"id":"0","time":1,"changes":[{}]}}]}}"#,
        many.join(",")
    );
    assert!(body.len() > 2 * 1024 * 1024);
    let response = scenario.deliver(&body).await.unwrap();
    assert_eq!((response.status.as_u16(), response.json()), (200, json!({"accepted": 1000, "set_aside": 0})));
    scenario.system.runner.settle().await.unwrap();
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn only_webhooks_that_meta_signed_are_accepted() {
    let scenario = Scenario::synced().await.unwrap();
    let campaign = scenario.running_campaign().await.unwrap();
    let calls = scenario.sim().unwrap().calls();
    let body = change(&campaign, "CAMPAIGN", 7);
    let good = scenario.sim().unwrap().webhook_signature(&body);
    let other = scenario.sim().unwrap().webhook_signature("{}");
    let name = "x-hub-signature-256";
    let sha1 = good.replace("sha256=", "sha1=");
    for headers in [
        vec![],
        vec![(name, other.as_str())],
        vec![(name, good.as_str()), (name, good.as_str())],
        vec![(name, sha1.as_str())],
        vec![(name, "")],
        vec![("x-hub-signature", good.as_str())],
    ] {
        let path = "/v1/webhooks/meta";
        let refused = scenario.send(Method::POST, path, None, &headers, Some(body.clone())).await.unwrap();
        assert_eq!(refused.status, 403, "{headers:?}");
    }
    let huge = " ".repeat(5 * 1024 * 1024 + 1);
    assert_eq!(scenario.deliver(&huge).await.unwrap().status, 413);
    assert_eq!(scenario.deliver("not json").await.unwrap().status, 400);
    scenario.system.runner.settle().await.unwrap();
    assert_eq!(scenario.sim().unwrap().calls(), calls);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_selected_account_is_subscribed_to_the_apps_webhooks() {
    let scenario = Scenario::start().await.unwrap();
    scenario.api().unwrap().connect().await.unwrap();
    let (system, account) = (&scenario.system, scenario.account().unwrap().parse().unwrap());
    let (workspace, id) = (tenant(WORKSPACE).unwrap(), format!("meta-{LOGIN_USER_ID}").parse().unwrap());
    let connection = system.table.connection(&workspace, &id).await.unwrap().unwrap();
    let context = connector::token_context(&workspace, &id);
    let token = system.cloud.keyring.open(&connection.sealed_token, &context).await.unwrap();
    let caller = system.graph.on_behalf_of(token);
    assert!(!caller.is_subscribed_to_account(&account).await.unwrap());
    scenario.select(true).await.unwrap();
    scenario.system.runner.settle().await.unwrap();
    assert!(caller.is_subscribed_to_account(&account).await.unwrap());
    scenario.finish().await.unwrap();
}
