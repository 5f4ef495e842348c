//! Requests of a user outside of workspaces: they are rate limited, and a write with an idempotency key is done once.

use http::Method;
use jiff::SignedDuration;
use journeys::Scenario;
use local::cloud::TABLE;
use local::tenant::tenant;
use middleware::Middleware;
use serde_json::{Value, json};

use workspaces::Workspaces;

use crate::api_middleware::{status_of, with_rate_limit};
use crate::audit::killed_after;
use crate::members::TestUser;

const KEY: [(&str, &str); 1] = [("idempotency-key", "first")];

fn workspace_body(name: &str) -> Option<Value> {
    Some(json!({"name": name}))
}

#[tokio::test]
async fn a_user_over_the_rate_limit_gets_429_and_other_users_do_not() {
    let scenario = with_rate_limit(6).await;
    let ada = TestUser::new(&scenario, "ada", None);
    let made = ada.send(Method::POST, "workspaces", workspace_body("Ada")).await;
    assert_eq!(made.status, 201, "{}", made.text);
    for n in 1..6 {
        ada.get(["workspaces", "invitations"][n % 2]).await;
    }
    let accept = "workspaces/w-elsewhere/invitations/x/accept";
    for (method, path, body) in [
        (Method::GET, "workspaces", None),
        (Method::GET, "invitations", None),
        (Method::POST, "workspaces", workspace_body("Another")),
        (Method::POST, accept, None),
    ] {
        let refused = ada.send(method, path, body).await;
        assert_eq!(status_of(&refused), (429, "urn:adflight:too-many-requests".to_owned()), "{path}");
        let wait: i64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=10).contains(&wait), "{wait}");
    }
    // Her workspace and other users have their own limits. Requests that are not found are counted as well.
    ada.get(&format!("workspaces/{}/members", made.json()["workspace"].as_str().unwrap())).await;
    let bob = TestUser::new(&scenario, "bob", None);
    for _ in 0..6 {
        assert_eq!(bob.send(Method::POST, accept, None).await.status, 404);
    }
    assert_eq!(bob.send(Method::POST, accept, None).await.status, 429);
    // Requests without a session are not counted, and neither are Meta's.
    for _ in 0..20 {
        let nobody = scenario.send(Method::GET, "/v1/workspaces", None, &[], None).await.unwrap();
        assert_eq!(nobody.status, 401);
        let unsigned = Some("signed_request=a.b".to_owned());
        let path = "/v1/auth/meta/deauthorize";
        assert_eq!(scenario.send(Method::POST, path, None, &[], unsigned).await.unwrap().status, 403);
    }
    scenario.system.clock.advance(SignedDuration::from_secs(10));
    assert_eq!(ada.get("workspaces").await["data"].as_array().unwrap().len(), 1);
    assert_eq!(ada.send(Method::GET, "workspaces", None).await.status, 429, "one after ten seconds");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_user_creates_one_workspace_and_joins_once_per_idempotency_key() {
    let scenario = Scenario::start().await.unwrap();
    let ada = TestUser::new(&scenario, "ada", None);
    let make = async |who: &TestUser<'_>, headers: &[(&str, &str)], name: &str| {
        who.send_with(headers, Method::POST, "workspaces", workspace_body(name)).await
    };
    let first = make(&ada, &KEY, "Ada").await;
    assert_eq!(first.status, 201, "{}", first.text);
    for _ in 0..3 {
        let again = make(&ada, &KEY, "Ada").await;
        assert_eq!((again.status, &again.text), (first.status, &first.text));
    }
    assert_eq!(ada.get("workspaces").await["data"], json!([first.json()]));
    let mismatched = make(&ada, &KEY, "Beda").await;
    let reused = (422, "urn:adflight:idempotency-key-reused".to_owned());
    assert_eq!(status_of(&mismatched), reused, "{}", mismatched.text);
    assert_eq!(make(&ada, &[("idempotency-key", "")], "Ada").await.status, 400);
    // Each user has their own keys, and a request without one is a new request.
    let bob = TestUser::new(&scenario, "bob", Some(("bob@example.com", true)));
    let his = make(&bob, &KEY, "Ada").await.json();
    assert_ne!(his["workspace"], first.json()["workspace"]);
    assert_ne!(make(&ada, &[], "Ada").await.json()["workspace"], first.json()["workspace"]);
    assert_eq!(ada.get("workspaces").await["data"].as_array().unwrap().len(), 2);
    // After a day the response is no longer stored, and the workspace is still the one of this key.
    delete_idempotency_records(&scenario).await;
    let later = make(&ada, &KEY, "Beda").await;
    assert_eq!(later.status, 422, "{}", later.text);
    assert!(later.text.contains("a workspace of another name"), "{}", later.text);
    assert_eq!(make(&ada, &KEY, "Ada").await.json(), first.json());
    let rows = scenario.system.table.clone();
    let workspace = tenant(first.json()["workspace"].as_str().unwrap()).unwrap();
    assert_eq!(rows.members(&workspace).await.unwrap().len(), 1);

    let path = |rest: &str| format!("workspaces/{workspace}/{rest}");
    let invitation = json!({"email": "bob@example.com", "role": "viewer"});
    let invited = ada.send(Method::POST, &path("invitations"), Some(invitation)).await.json();
    let accept = path(&format!("invitations/{}/accept", invited["id"].as_str().unwrap()));
    let bob = TestUser::new(&scenario, "bob", Some(("bob@example.com", true)));
    let key = [("idempotency-key", "second")];
    let joined = bob.send_with(&key, Method::POST, &accept, None).await;
    assert_eq!(joined.status, 200, "{}", joined.text);
    let again = bob.send_with(&key, Method::POST, &accept, None).await;
    assert_eq!((again.status, &again.text), (joined.status, &joined.text));
    let other = bob.send_with(&key, Method::POST, "workspaces", workspace_body("Bob")).await;
    assert_eq!(status_of(&other).0, 422, "{}", other.text);
    assert_eq!(rows.members(&workspace).await.unwrap().len(), 2);
    scenario.finish().await.unwrap();
}

/// Deletes the idempotency records of users, as their expiry does.
async fn delete_idempotency_records(scenario: &Scenario) {
    let dynamodb = &scenario.system.cloud.dynamodb;
    let scan = dynamodb.scan().table_name(TABLE).send().await.unwrap();
    let mut gone = 0;
    for item in scan.items.unwrap_or_default() {
        let has_prefix = |name: &str, with| item[name].as_s().is_ok_and(|text| text.starts_with(with));
        if has_prefix("pk", "USER#") && has_prefix("sk", "IDEMPOTENCY#") {
            let delete = dynamodb.delete_item().table_name(TABLE);
            delete.key("pk", item["pk"].clone()).key("sk", item["sk"].clone()).send().await.unwrap();
            gone += 1;
        }
    }
    assert!(gone > 0);
}

#[tokio::test]
async fn a_retry_after_a_crash_finds_the_workspace_that_the_first_attempt_created() {
    let scenario = Scenario::start().await.unwrap();
    let system = &scenario.system;
    let middleware = Middleware::new(&system.table, &system.host);
    let function = Workspaces::new(system.table.clone(), system.clock.clone(), middleware);
    // Under load a poll may do all that is left, so one sweep over the polls may find no request to kill in between.
    let (mut sweep, mut polls, mut found) = (1, 0, 0);
    while found == 0 || polls > 0 {
        assert!(sweep <= 20, "it never died between the workspace and the response");
        polls += 1;
        let ada = TestUser::new(&scenario, &format!("ada-{sweep}-{polls}"), None);
        let request = http::Request::post("/v1/workspaces")
            .header("authorization", format!("Bearer {}", ada.token))
            .header("idempotency-key", "first")
            .body(json!({"name": "Ada"}).to_string().into())
            .unwrap();
        let over = killed_after(polls, function.handle(request)).await.is_some();
        let left = ada.get("workspaces").await["data"].clone();
        found += usize::from(!over && left != json!([]));
        // After the lease of the crashed request has expired, the request is repeated.
        system.clock.advance(SignedDuration::from_mins(6));
        let ada = TestUser::new(&scenario, &format!("ada-{sweep}-{polls}"), None);
        let made = ada.send_with(&KEY, Method::POST, "workspaces", workspace_body("Ada")).await;
        assert_eq!(made.status, 201, "killed at {polls}: {}", made.text);
        assert_eq!(ada.get("workspaces").await["data"], json!([made.json()]), "killed at {polls}");
        assert!(left == json!([]) || left == json!([made.json()]), "killed at {polls}: {left}");
        if over {
            (sweep, polls) = (sweep + 1, 0);
        }
    }
    scenario.finish().await.unwrap();
}
