//! What a person asks in no workspace: it is counted, and a write under a key is done once.

use access::Access;
use auth_meta::{AuthMeta, Settings};
use http::Method;
use jiff::SignedDuration;
use journeys::Story;
use local::cloud::TABLE;
use local::system::tenant;
use serde_json::{Value, json};

use crate::audit::killed_after;
use crate::entrance::{at_a_pace_of, status_of};
use crate::members::Someone;

const KEY: [(&str, &str); 1] = [("idempotency-key", "first")];

fn named(name: &str) -> Option<Value> {
    Some(json!({"name": name}))
}

#[tokio::test]
async fn a_person_who_asks_too_often_waits_and_nobody_else_notices() {
    let story = at_a_pace_of(6).await;
    let ada = Someone::new(&story, "ada", None);
    let made = ada.send(Method::POST, "workspaces", named("Ada")).await;
    assert_eq!(made.status, 201, "{}", made.text);
    for n in 1..6 {
        ada.get(["workspaces", "invitations"][n % 2]).await;
    }
    let accept = "workspaces/w-elsewhere/invitations/x/accept";
    for (method, path, body) in [
        (Method::GET, "workspaces", None),
        (Method::GET, "invitations", None),
        (Method::POST, "workspaces", named("Another")),
        (Method::POST, accept, None),
    ] {
        let refused = ada.send(method, path, body).await;
        assert_eq!(status_of(&refused), (429, "urn:adflight:too-many-requests".to_owned()), "{path}");
        let wait: i64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=10).contains(&wait), "{wait}");
    }
    // Her workspace has room of its own, and so have others. What they may not see is counted as well.
    ada.get(&format!("workspaces/{}/members", made.json()["workspace"].as_str().unwrap())).await;
    let bob = Someone::new(&story, "bob", None);
    for _ in 0..6 {
        assert_eq!(bob.send(Method::POST, accept, None).await.status, 404);
    }
    assert_eq!(bob.send(Method::POST, accept, None).await.status, 429);
    // Who has no session is counted nowhere, and what Meta sends is nobody's.
    for _ in 0..20 {
        let nobody = story.send(Method::GET, "/v1/workspaces", None, &[], None).await.unwrap();
        assert_eq!(nobody.status, 401);
        let unsigned = Some("signed_request=a.b".to_owned());
        let path = "/v1/auth/meta/deauthorize";
        assert_eq!(story.send(Method::POST, path, None, &[], unsigned).await.unwrap().status, 403);
    }
    story.system.clock.advance(SignedDuration::from_secs(10));
    assert_eq!(ada.get("workspaces").await["data"].as_array().unwrap().len(), 1);
    assert_eq!(ada.send(Method::GET, "workspaces", None).await.status, 429, "one after ten seconds");
    story.end().await.unwrap();
}

#[tokio::test]
async fn a_person_makes_one_workspace_and_joins_once_under_a_key() {
    let story = Story::begin().await.unwrap();
    let ada = Someone::new(&story, "ada", None);
    let make = async |who: &Someone<'_>, headers: &[(&str, &str)], name: &str| {
        who.send_with(headers, Method::POST, "workspaces", named(name)).await
    };
    let first = make(&ada, &KEY, "Ada").await;
    assert_eq!(first.status, 201, "{}", first.text);
    for _ in 0..3 {
        let again = make(&ada, &KEY, "Ada").await;
        assert_eq!((again.status, &again.text), (first.status, &first.text));
    }
    assert_eq!(ada.get("workspaces").await["data"], json!([first.json()]));
    let mistaken = make(&ada, &KEY, "Beda").await;
    assert_eq!(status_of(&mistaken), (409, "urn:adflight:conflict".to_owned()), "{}", mistaken.text);
    assert_eq!(make(&ada, &[("idempotency-key", "")], "Ada").await.status, 400);
    // Keys are a person's own, and without one it is another request.
    let bob = Someone::new(&story, "bob", Some(("bob@example.com", true)));
    let his = make(&bob, &KEY, "Ada").await.json();
    assert_ne!(his["workspace"], first.json()["workspace"]);
    assert_ne!(make(&ada, &[], "Ada").await.json()["workspace"], first.json()["workspace"]);
    assert_eq!(ada.get("workspaces").await["data"].as_array().unwrap().len(), 2);
    // After its day the answer is not known any more, and the workspace is still the one of this key.
    forget_answers(&story).await;
    let later = make(&ada, &KEY, "Beda").await;
    assert_eq!(later.status, 409, "{}", later.text);
    assert!(later.text.contains("a workspace of another name"), "{}", later.text);
    assert_eq!(make(&ada, &KEY, "Ada").await.json(), first.json());
    let rows = story.system.table.clone();
    let workspace = tenant(first.json()["workspace"].as_str().unwrap()).unwrap();
    assert_eq!(rows.members(&workspace).await.unwrap().len(), 1);

    let path = |rest: &str| format!("workspaces/{workspace}/{rest}");
    let invitation = json!({"email": "bob@example.com", "role": "viewer"});
    let invited = ada.send(Method::POST, &path("invitations"), Some(invitation)).await.json();
    let accept = path(&format!("invitations/{}/accept", invited["id"].as_str().unwrap()));
    let bob = Someone::new(&story, "bob", Some(("bob@example.com", true)));
    let key = [("idempotency-key", "second")];
    let joined = bob.send_with(&key, Method::POST, &accept, None).await;
    assert_eq!(joined.status, 200, "{}", joined.text);
    let again = bob.send_with(&key, Method::POST, &accept, None).await;
    assert_eq!((again.status, &again.text), (joined.status, &joined.text));
    let other = bob.send_with(&key, Method::POST, "workspaces", named("Bob")).await;
    assert_eq!(status_of(&other).0, 409, "{}", other.text);
    assert_eq!(rows.members(&workspace).await.unwrap().len(), 2);
    story.end().await.unwrap();
}

/// Takes away what is kept of writes of persons, as time does.
async fn forget_answers(story: &Story) {
    let dynamodb = &story.system.cloud.dynamodb;
    let scan = dynamodb.scan().table_name(TABLE).send().await.unwrap();
    let mut gone = 0;
    for item in scan.items.unwrap_or_default() {
        let begins = |name: &str, with| item[name].as_s().is_ok_and(|text| text.starts_with(with));
        if begins("pk", "PERSON#") && begins("sk", "ANSWER#") {
            let delete = dynamodb.delete_item().table_name(TABLE);
            delete.key("pk", item["pk"].clone()).key("sk", item["sk"].clone()).send().await.unwrap();
            gone += 1;
        }
    }
    assert!(gone > 0);
}

#[tokio::test]
async fn however_the_first_try_died_a_repeated_one_finds_the_workspace_that_it_made() {
    let story = Story::begin().await.unwrap();
    let system = &story.system;
    let access = Access::new(system.table.clone(), system.graph.clone(), system.cloud.keyring.clone());
    let settings = Settings { secrets: system.secrets.clone(), login: None };
    let function = AuthMeta::new(access, system.host.clone(), settings);
    let (mut polls, mut found, mut over) = (0, 0, false);
    while !over {
        polls += 1;
        let ada = Someone::new(&story, &format!("ada-{polls}"), None);
        let request = http::Request::post("/v1/workspaces")
            .header("authorization", format!("Bearer {}", ada.token))
            .header("idempotency-key", "first")
            .body(json!({"name": "Ada"}).to_string().into())
            .unwrap();
        over = killed_after(polls, function.handle(request)).await.is_some();
        let left = ada.get("workspaces").await["data"].clone();
        found += usize::from(!over && left != json!([]));
        // Once nobody can be at it any more, it is followed.
        system.clock.advance(SignedDuration::from_mins(6));
        let ada = Someone::new(&story, &format!("ada-{polls}"), None);
        let made = ada.send_with(&KEY, Method::POST, "workspaces", named("Ada")).await;
        assert_eq!(made.status, 201, "killed at {polls}: {}", made.text);
        assert_eq!(ada.get("workspaces").await["data"], json!([made.json()]), "killed at {polls}");
        assert!(left == json!([]) || left == json!([made.json()]), "killed at {polls}: {left}");
    }
    assert!(found > 0, "it never died between the workspace and the answer");
    story.end().await.unwrap();
}
