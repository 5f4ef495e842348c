//! A campaign's budget moves to its ad sets, and back.

use graph_sim::{Fault, FaultKind};
use http::Method;
use journeys::Scenario;
use serde_json::{Value, json};

use crate::change_outcomes::look_up;

fn money(amount: i64) -> Value {
    json!({"amount": amount, "currency": "SGD"})
}

/// The fields of the findings that a request is refused with.
fn fields(problem: &Value) -> Vec<&str> {
    problem["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_budget_moves_to_the_ad_sets_and_back() {
    let scenario = Scenario::synced().await.unwrap();
    let (sim, api) = (scenario.sim().unwrap(), scenario.api().unwrap());
    let mut document = scenario.launch_document().unwrap();
    let ad_set = document["ad_set"].take();
    document["ad_sets"] = json!([ad_set, ad_set]);
    document.as_object_mut().unwrap().remove("ad_set");
    let launched = scenario.launch("two", &document).await.unwrap();
    assert_eq!(launched.status, 201, "{}", launched.text);
    let launch = launched.json();
    let id = |path: &str| {
        let step = launch["steps"].as_array().unwrap().iter().find(|step| step["path"] == path).unwrap();
        step["id"].as_str().unwrap().to_owned()
    };
    let [campaign, one, two] = ["campaign", "ad_sets[0]", "ad_sets[1]"].map(id);
    let account = scenario.account().unwrap();
    let path = format!("ad-accounts/{account}/campaigns/{campaign}/budget");
    let send = async |body: &Value| {
        let (status, answer) = api.send(Method::PUT, &path, Some(body), &[]).await.unwrap();
        (status.as_u16(), serde_json::from_str::<Value>(&answer).unwrap())
    };
    let of_each = |first: i64, second: i64| json!({"ad_sets": [{"id": two, "daily_budget": money(second)}, {"id": one, "daily_budget": money(first)}]});
    let at_meta = |id: &str, field: &str| sim.node(id).unwrap()[field].clone();
    let sent = || sim.requests().iter().filter(|call| call.method == "POST" && call.edge.is_empty()).count();

    // What Meta would refuse, and what is not clear, is said before.
    let before = sent();
    let one_alone = json!({"ad_sets": [{"id": one, "daily_budget": money(3000)}]});
    let (status, problem) = send(&one_alone).await;
    assert_eq!((status, fields(&problem)), (400, vec!["ad_sets"]), "{problem}");
    assert!(problem.to_string().contains(&two), "{problem}");
    let foreign = json!({"ad_sets": [
        {"id": one, "daily_budget": money(3000)}, {"id": "9", "lifetime_budget": money(3000)},
        {"id": two, "daily_budget": money(3000)},
    ]});
    let (_, problem) = send(&foreign).await;
    assert_eq!(fields(&problem), ["ad_sets[1].id", "ad_sets[1].lifetime_budget"], "{problem}");
    let both = json!({"daily_budget": money(1), "ad_sets": [{"id": one}]});
    assert_eq!(fields(&send(&both).await.1), ["daily_budget", "ad_sets[0].daily_budget"]);
    assert_eq!(
        fields(&send(&json!({"daily_budget": {"amount": 5, "currency": "EUR"}})).await.1),
        ["daily_budget.currency"]
    );
    let other = json!({"lifetime_budget": money(9_000), "bid_strategy": "COST_CAP"});
    assert_eq!(fields(&send(&other).await.1), ["lifetime_budget"]);
    assert_eq!(
        fields(&send(&json!({"daily_budget": money(6_000)})).await.1),
        ["daily_budget"],
        "PATCH does it"
    );
    assert_eq!(fields(&send(&json!({"ad_sets": []})).await.1), ["ad_sets"]);
    assert_eq!(sent(), before);

    let (status, moved) = send(&of_each(3_000, 4_000)).await;
    assert_eq!((status, &moved["daily_budget"]), (200, &Value::Null), "{moved}");
    assert_eq!([&one, &two].map(|id| at_meta(id, "daily_budget")), ["3000", "4000"]);
    assert_eq!(at_meta(&campaign, "daily_budget"), Value::Null);
    let shown = api.call(Method::GET, &format!("ad-accounts/{account}/adsets/{two}"), None).await.unwrap();
    assert_eq!(
        (&shown["daily_budget"], &shown["bid_strategy"]),
        (&money(4_000), &json!("LOWEST_COST_WITHOUT_CAP"))
    );
    // Once more is nothing.
    let before = sent();
    assert_eq!(send(&of_each(3_000, 4_000)).await.0, 200);
    assert_eq!(fields(&send(&of_each(3_000, 5_000)).await.1), ["ad_sets"]);
    assert_eq!(fields(&send(&other).await.1), ["lifetime_budget", "bid_strategy"]);
    assert_eq!(sent(), before);

    let (status, moved) = send(&json!({"daily_budget": money(9_000)})).await;
    assert_eq!((status, &moved["daily_budget"]), (200, &money(9_000)), "{moved}");
    assert_eq!(
        (&moved["bid_strategy"], at_meta(&one, "daily_budget")),
        (&json!("LOWEST_COST_WITHOUT_CAP"), Value::Null)
    );

    // What is not known is looked up: where an answer is lost and the repetition refused, and where the ad sets cannot be read
    // afterwards.
    let fault = |method: &str, path: String, times, skip, kind| Fault {
        method: Some(method.to_owned()),
        path_contains: path,
        times,
        skip,
        kind,
    };
    let is_unknown = |(status, problem): &(u16, Value)| {
        assert_eq!((*status, &problem["type"]), (502, &json!("urn:adflight:unknown-outcome")), "{problem}");
    };
    sim.fail_next(fault("POST", campaign.clone(), 1, 0, FaultKind::LostResponse));
    is_unknown(&send(&of_each(3_000, 4_000)).await);
    look_up(&scenario).await;
    let shown = api.call(Method::GET, &format!("ad-accounts/{account}/adsets/{two}"), None).await.unwrap();
    assert_eq!(shown["daily_budget"], money(4_000));
    sim.fail_next(fault("GET", "/adsets".to_owned(), 4, 1, FaultKind::HtmlUnavailable));
    let made = send(&json!({"daily_budget": money(9_000)})).await;
    is_unknown(&made);
    assert!(made.1["detail"].as_str().unwrap().contains("the move was made"), "{}", made.1);

    let events = api.all("audit").await.unwrap();
    let moves: Vec<_> = events.iter().filter(|event| event["action"] == "campaign.budget_moved").collect();
    let is_first = |event: &&&Value| event["before"]["campaign"]["budget"]["daily_budget"] == 5_000;
    let down = moves.iter().filter(is_first).find(|event| event["phase"] == "done").unwrap();
    let after = &down["after"]["ad_sets"];
    assert!(after.as_array().unwrap().contains(&json!({"id": one, "daily_budget": 3_000})), "{down}");
    assert!(moves.iter().any(|event| event["phase"] == "unknown"), "{moves:?}");
    scenario.finish().await.unwrap();
}
