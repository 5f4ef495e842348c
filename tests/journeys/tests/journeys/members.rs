//! Members of a workspace: created, invited by address, given another role, removed.

use http::Method;
use jiff::SignedDuration;
use journeys::{Response, Scenario};
use local::tenant::tenant;
use runtime::session::{Claims, Role};
use serde_json::{Value, json};
use store::audit::{Actor, AuditEvent};
use store::invitation::Invitation;

/// A person whose issuer knows no workspaces.
pub(crate) struct TestUser<'a> {
    scenario: &'a Scenario,
    pub(crate) token: String,
}

impl<'a> TestUser<'a> {
    pub(crate) fn new(scenario: &'a Scenario, subject: &str, email: Option<(&str, bool)>) -> Self {
        let issuer = scenario.system.issuer();
        let now = scenario.system.clock.now();
        let known = issuer.claims("demo", Role::Viewer, now).unwrap();
        let claims = Claims {
            sub: subject.to_owned(),
            workspace: None,
            role: None,
            email: email.map(|(email, _)| email.to_owned()),
            email_verified: email.map(|(_, verified)| verified),
            ..known
        };
        Self { scenario, token: issuer.sign(&claims).unwrap() }
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Response {
        self.send_with(&[], method, path, body).await
    }

    pub(crate) async fn send_with(
        &self,
        headers: &[(&str, &str)],
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Response {
        let path = format!("/v1/{path}");
        let body = body.map(|body| body.to_string());
        self.scenario.send(method, &path, Some(&self.token), headers, body).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let response = self.send(Method::GET, path, None).await;
        assert_eq!(response.status, 200, "{path}: {}", response.text);
        response.json()
    }

    async fn status(&self, method: Method, path: &str, body: Option<Value>) -> u16 {
        self.send(method, path, body).await.status.as_u16()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_person_creates_a_workspace_and_invites_others_by_their_address() {
    let scenario = Scenario::start().await.unwrap();
    let ada = TestUser::new(&scenario, "auth0|ada", None);
    assert_eq!(ada.get("workspaces").await["data"], json!([]));
    let made = ada.send(Method::POST, "workspaces", Some(json!({"name": " Ada & sons "}))).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let workspace = text(&made.json()["workspace"]);
    assert_eq!(ada.get("workspaces").await["data"], json!([made.json()]));
    assert_eq!((&made.json()["name"], &made.json()["role"]), (&json!("Ada & sons"), &json!("owner")));
    let path = |rest: &str| format!("workspaces/{workspace}/{rest}");
    assert_eq!(ada.get(&path("ad-accounts")).await["data"], json!([]));

    // Other users cannot see that it exists.
    let bob = TestUser::new(&scenario, "auth0|bob", Some(("Bob@Example.com", true)));
    let elsewhere = bob.send(Method::GET, "workspaces/w-nobody/ad-accounts", None).await;
    let hers = bob.send(Method::GET, &path("ad-accounts"), None).await;
    assert_eq!((hers.status.as_u16(), &hers.json()["detail"]), (404, &elsewhere.json()["detail"]));

    let invitation = json!({"email": "bob@example.COM", "role": "viewer"});
    let invited = ada.send(Method::POST, &path("invitations"), Some(invitation.clone())).await;
    assert_eq!((invited.status.as_u16(), &invited.json()["email"]), (201, &json!("bob@example.com")));
    let again = ada.send(Method::POST, &path("invitations"), Some(invitation)).await;
    assert_eq!(again.json()["id"], invited.json()["id"], "inviting again replaces the invitation");
    let id = text(&invited.json()["id"]);
    let accept = path(&format!("invitations/{id}/accept"));

    // An address counts only if the issuer has verified it.
    let unverified = TestUser::new(&scenario, "auth0|mallory", Some(("bob@example.com", false)));
    let other = TestUser::new(&scenario, "auth0|mallory", Some(("mallory@example.com", true)));
    for stranger in [&unverified, &other] {
        assert_eq!(stranger.get("invitations").await["data"], json!([]));
        assert_eq!(stranger.status(Method::POST, &accept, None).await, 404);
    }
    assert_eq!(bob.get("invitations").await["data"][0]["workspace"], json!(workspace));
    let accepted = bob.send(Method::POST, &accept, None).await;
    assert_eq!((accepted.status.as_u16(), &accepted.json()["role"]), (200, &json!("viewer")));
    assert_eq!(bob.send(Method::POST, &accept, None).await.json(), accepted.json(), "the response was lost");
    let never = path("invitations/0123456789abcdef01234567/accept");
    for member in [&bob, &ada] {
        assert_eq!(
            member.status(Method::POST, &never, None).await,
            404,
            "a member is not let in by anything"
        );
    }
    assert_eq!(bob.get("invitations").await["data"], json!([]));
    assert_eq!(ada.get(&path("invitations")).await["data"], json!([]));
    assert_eq!(bob.get(&path("ad-accounts")).await["data"], json!([]));
    assert_eq!(ada.get(&path("members")).await["data"].as_array().unwrap().len(), 2);
    // A second invitation would bring back who is removed.
    let again = json!({"email": "bob@example.com", "role": "owner"});
    assert_eq!(ada.status(Method::POST, &path("invitations"), Some(again)).await, 409);
    // One that was made at the moment in which the first was accepted ends with the membership.
    let (id, email) = (id.parse().unwrap(), "bob@example.com".parse().unwrap());
    let expires_at = scenario.system.clock.now() + SignedDuration::from_hours(24);
    let late = Invitation {
        id,
        workspace: tenant(&workspace).unwrap(),
        email,
        role: Role::Owner,
        invited_by: "ada".to_owned(),
        expires_at,
    };
    let event =
        AuditEvent::new("late".to_owned(), Actor::Operator, "member.invited", "invitation".to_owned());
    scenario.system.table.invite(&late, &event.done_at(scenario.system.clock.now())).await.unwrap();
    let new = Some(json!({"email": "eve@example.com", "role": "owner"}));
    assert_eq!(bob.status(Method::POST, &path("invitations"), new).await, 403, "a viewer invites nobody");
    let members = ada.get(&path("members")).await["data"].as_array().unwrap().clone();
    let of_bob = members.iter().find(|member| member["email"] == "bob@example.com").unwrap()["id"].clone();
    assert_eq!(ada.status(Method::DELETE, &path(&format!("members/{}", text(&of_bob))), None).await, 204);
    assert_eq!(bob.get("invitations").await["data"], json!([]));
    assert_eq!(bob.status(Method::POST, &accept, None).await, 404);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn an_invitation_ends_by_expiry_and_by_withdrawal() {
    let scenario = Scenario::start().await.unwrap();
    let ada = TestUser::new(&scenario, "ada", None);
    let made = ada.send(Method::POST, "workspaces", Some(json!({"name": "Ada"}))).await.json();
    let path = |rest: &str| format!("workspaces/{}/{rest}", made["workspace"].as_str().unwrap());
    let invite = async || {
        let invitation = json!({"email": "bob@example.com", "role": "editor"});
        let ada = TestUser::new(&scenario, "ada", None);
        text(&ada.send(Method::POST, &path("invitations"), Some(invitation)).await.json()["id"])
    };
    let odd = Some(json!({"email": "bob", "role": "editor"}));
    let refused = ada.send(Method::POST, &path("invitations"), odd).await;
    let error = json!({"field": "email", "message": "must be an e-mail address, such as ada@example.com"});
    assert_eq!((refused.status.as_u16(), &refused.json()["errors"]), (400, &json!([error])));

    let id = invite().await;
    let taken_back = path(&format!("invitations/{id}"));
    assert_eq!(ada.status(Method::DELETE, &taken_back, None).await, 204);
    assert_eq!(ada.status(Method::DELETE, &taken_back, None).await, 404);
    let accept = path(&format!("invitations/{id}/accept"));
    let bob = || TestUser::new(&scenario, "bob", Some(("bob@example.com", true)));
    assert_eq!(bob().status(Method::POST, &accept, None).await, 404);

    invite().await;
    scenario.system.clock.advance(SignedDuration::from_hours(14 * 24));
    assert_eq!(bob().get("invitations").await["data"], json!([]));
    assert_eq!(bob().status(Method::POST, &accept, None).await, 404);
    assert_eq!(TestUser::new(&scenario, "ada", None).get(&path("invitations")).await["data"], json!([]));
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn roles_change_at_once_and_one_owner_remains() {
    let scenario = Scenario::start().await.unwrap();
    let ada = TestUser::new(&scenario, "ada", None);
    let bob = TestUser::new(&scenario, "bob", Some(("bob@example.com", true)));
    let made = ada.send(Method::POST, "workspaces", Some(json!({"name": "Ada"}))).await.json();
    let path = |rest: &str| format!("workspaces/{}/{rest}", made["workspace"].as_str().unwrap());
    let invitation = json!({"email": "bob@example.com", "role": "editor"});
    let invited = ada.send(Method::POST, &path("invitations"), Some(invitation)).await.json();
    let accept = path(&format!("invitations/{}/accept", invited["id"].as_str().unwrap()));
    let bobs = path(&format!("members/{}", text(&bob.send(Method::POST, &accept, None).await.json()["id"])));
    let members = ada.get(&path("members")).await;
    let mut members = members["data"].as_array().unwrap().iter();
    let adas = members.find(|member| member["subject"] == "ada").unwrap();
    let adas = path(&format!("members/{}", text(&adas["id"])));

    // A workspace without an owner could never be repaired.
    let role = |role: &str| Some(json!({"role": role}));
    let refused = ada.send(Method::PATCH, &adas, role("viewer")).await;
    assert_eq!(refused.status, 409);
    assert!(text(&refused.json()["detail"]).contains("at least one owner"), "{}", refused.text);
    assert_eq!(ada.status(Method::DELETE, &adas, None).await, 409);
    assert_eq!(bob.status(Method::PATCH, &bobs, role("owner")).await, 403, "nobody makes himself an owner");
    assert_eq!(bob.status(Method::DELETE, &adas, None).await, 403);

    assert_eq!(ada.status(Method::PATCH, &bobs, role("owner")).await, 200);
    assert_eq!(bob.status(Method::PATCH, &adas, role("viewer")).await, 200);
    assert_eq!(
        ada.status(Method::PATCH, &bobs, role("viewer")).await,
        403,
        "the same session, one role less"
    );
    assert_eq!(bob.status(Method::DELETE, &bobs, None).await, 409, "he is the last one now");
    assert_eq!(ada.status(Method::DELETE, &adas, None).await, 204, "everybody may leave");
    let log = bob.get(&path("audit")).await;
    let entry_count = |action: &str, phase: &str| {
        let entries = log["data"].as_array().unwrap().iter();
        entries.filter(|entry| entry["action"] == action && entry["phase"] == phase).count()
    };
    assert_eq!(
        (entry_count("member.invited", "done"), entry_count("member.joined", "done")),
        (1, 1),
        "{log}"
    );
    assert_eq!(
        (entry_count("member.changed", "done"), entry_count("member.changed", "failed")),
        (2, 0),
        "{log}"
    );
    assert_eq!(
        (entry_count("member.removed", "done"), entry_count("member.removed", "failed")),
        (1, 0),
        "{log}"
    );
    assert!(!log.to_string().contains("example.com"), "no address outlives its member");
    assert_eq!(ada.status(Method::GET, &path("members"), None).await, 404);
    assert_eq!(ada.get("workspaces").await["data"], json!([]));
    assert_eq!(bob.status(Method::DELETE, &adas, None).await, 404);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn when_both_owners_leave_at_once_one_remains() {
    let scenario = Scenario::start().await.unwrap();
    let ada = TestUser::new(&scenario, "ada", None);
    let bob = TestUser::new(&scenario, "bob", Some(("bob@example.com", true)));
    let made = ada.send(Method::POST, "workspaces", Some(json!({"name": "Ada"}))).await.json();
    let path = |rest: &str| format!("workspaces/{}/{rest}", made["workspace"].as_str().unwrap());
    let invitation = json!({"email": "bob@example.com", "role": "owner"});
    let invited = ada.send(Method::POST, &path("invitations"), Some(invitation)).await.json();
    let accept = path(&format!("invitations/{}/accept", invited["id"].as_str().unwrap()));
    bob.send(Method::POST, &accept, None).await;
    let members = ada.get(&path("members")).await;
    let of = |subject: &str| {
        let mut members = members["data"].as_array().unwrap().iter();
        let member = members.find(|member| member["subject"] == subject).unwrap();
        path(&format!("members/{}", member["id"].as_str().unwrap()))
    };
    let (adas, bobs) = (of("ada"), of("bob"));
    let left = tokio::join!(ada.send(Method::DELETE, &adas, None), bob.send(Method::DELETE, &bobs, None));
    let gone = [left.0.status, left.1.status].into_iter().filter(|status| *status == 204).count();
    assert!(gone <= 1, "{left:?}");
    let workspace = tenant(made["workspace"].as_str().unwrap()).unwrap();
    let members = scenario.system.table.members(&workspace).await.unwrap();
    assert!(members.iter().any(|member| member.role == Role::Owner));
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn claims_of_a_workspace_count_only_where_they_are_trusted() {
    let issuer =
        local::issuer::Issuer::new("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "http://127.0.0.1")
            .unwrap();
    let sessions = runtime::session::SessionConfig { trust_role_claims: false, ..issuer.config() };
    let data = local::data::Data::Memory;
    let options = local::Options { sessions: Some(sessions), ..journeys::options(data) };
    let scenario = Scenario::with_options(options).await.unwrap();
    let now = scenario.system.clock.now();
    let claims = issuer.claims("demo", Role::Owner, now).unwrap();
    let token = issuer.sign(&claims).unwrap();
    let path = "/v1/workspaces/demo/ad-accounts";
    let refused = scenario.send(Method::GET, path, Some(&token), &[], None).await.unwrap();
    assert_eq!(refused.status, 404, "whoever can write claims of their own gains nothing");
    let mine = scenario.send(Method::GET, "/v1/workspaces", Some(&token), &[], None).await.unwrap();
    assert_eq!(mine.json()["data"], json!([]));
    scenario.finish().await.unwrap();
}
