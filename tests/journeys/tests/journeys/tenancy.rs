//! Tenancy: another workspace sees nothing, and a role may do no more than it allows. Both are tested on every route of
//! the route tables.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::id::MemberId;
use domain::role::Role;
use graph_sim::NewAccount;
use http::Method;
use jiff::SignedDuration;
use journeys::{Response, Scenario};
use openapi::Route;
use runtime::endpoint::Access;
use serde_dynamo::aws_sdk_dynamodb_1::from_item;
use serde_json::{Value, json};
use store::invitation::Invitation;

use crate::audit::recorded;
use crate::consent::log_in;
use crate::crash::{Item, is_published};

/// The id for each parameter of a path.
type Ids = BTreeMap<&'static str, String>;

const SCOPES: [&str; 3] = ["ads_read", "ads_management", "business_management"];

/// Two workspaces that have everything a path can name, and nothing in common.
struct TwoWorkspaces {
    scenario: Scenario,
    ours: Ids,
    theirs: Ids,
}

impl TwoWorkspaces {
    async fn start() -> Self {
        let scenario = Scenario::start().await.unwrap();
        let account = scenario.account().unwrap();
        assert_eq!(log_in(&scenario, None, &[("accounts", &account)]).await.0, 200);
        scenario.select(true).await.unwrap();
        scenario.system.runner.settle().await.unwrap();
        let launched = scenario.launch("one", &scenario.launch_document().unwrap()).await.unwrap().json();
        let campaign = scenario.running_campaign().await.unwrap();

        let days = json!({"since": "2026-11-20"});
        let run = scenario.call_as_owner(Method::POST, "sync", Some(days)).await.unwrap().json();
        scenario.system.runner.settle().await.unwrap();

        let api = scenario.api().unwrap();
        let changes = format!("ad-accounts/{account}/bulk-changes");
        let set = json!({"level": "campaign", "ids": [campaign], "set": {"name": {"suffix": " (old)"}}});
        let (set, key) = (json!({"changes": [set]}), [("idempotency-key", "bulk")]);
        let bulk = api.call_with(Method::POST, &changes, Some(&set), &key).await.unwrap();
        scenario.system.runner.settle().await.unwrap();
        let (video, file) = (body_of(&scenario, "add_video"), body_of(&scenario, "begin_file"));
        let library = format!("ad-accounts/{account}/media");
        let video = api.call(Method::POST, &library, Some(&video)).await.unwrap();
        let sha256 = "5f".repeat(32);
        let path = format!("ad-accounts/{account}/files/{sha256}");
        api.call(Method::PUT, &path, Some(&file)).await.unwrap();

        let sim = scenario.sim().unwrap();
        sim.add_business("800", "Elsewhere");
        let (id, business) = ("act_81".to_owned(), Some("800".to_owned()));
        let (name, currency, timezone) = ("Theirs".to_owned(), "EUR".to_owned(), "Europe/Berlin".to_owned());
        sim.add_account(&NewAccount { id, name, currency, timezone, business, assigned: false });
        let user = sim.create_system_user("800");
        let token = json!({"token": sim.issue_system_token(&user, &SCOPES)});
        let path = "/v1/workspaces/stranger/connections/meta/token";
        let taken = request(&scenario, "stranger", Role::Owner, Method::POST, path, Some(&token)).await;
        assert_eq!(taken.status, 200, "{}", taken.text);

        let mut ours = Self::populate(&scenario, "demo", "ann").await;
        ours.extend([("ad_account", account), ("id", campaign)]);
        ours.insert("launch", launched["launch_id"].as_str().unwrap().to_owned());
        ours.insert("media", video["id"].as_str().unwrap().to_owned());
        ours.insert("sha256", sha256);
        ours.insert("action", "activate".to_owned());
        ours.insert("bulk_change", bulk["id"].as_str().unwrap().to_owned());
        ours.insert("run", run["run"].as_str().unwrap().to_owned());
        let mut theirs = Self::populate(&scenario, "stranger", "sam").await;
        theirs.extend([("ad_account", "act_81".to_owned()), ("id", "42".to_owned())]);
        theirs.extend([("launch", "none".to_owned()), ("run", "none".to_owned())]);
        theirs.extend([
            ("bulk_change", "none".to_owned()),
            ("media", "42".to_owned()),
            ("sha256", "07".repeat(32)),
            ("action", "pause".to_owned()),
        ]);
        for (name, id) in &ours {
            assert_ne!(Some(id), theirs.get(name), "{name} is foreign");
        }
        Self { scenario, ours, theirs }
    }

    /// Creates a rule, a member and an invitation, and lists the ids of the rest.
    async fn populate(scenario: &Scenario, workspace: &'static str, name: &str) -> Ids {
        let tenant = local::tenant::tenant(workspace).unwrap();
        let now = scenario.system.clock.now();
        let table = &scenario.system.table;
        let invite = async |id: &str| {
            let invitation = Invitation {
                workspace: tenant.clone(),
                id: format!("{name}-{id}").parse().unwrap(),
                email: format!("{name}.{id}@example.com").parse().unwrap(),
                role: Role::Viewer,
                invited_by: "the test".to_owned(),
                expires_at: now + SignedDuration::from_hours(1),
            };
            let id = format!("{workspace}-{name}-{id}");
            table.invite(&invitation, &recorded(scenario, &id)).await.unwrap();
            invitation
        };
        let joined = recorded(scenario, &format!("{workspace}-{name}-joined"));
        table.accept_invitation(&invite("member").await, name, &joined).await.unwrap();
        let invitation = invite("guest").await;
        let path = format!("/v1/workspaces/{workspace}/rules");
        let rule = request(
            scenario,
            workspace,
            Role::Owner,
            Method::POST,
            &path,
            Some(&body_of(scenario, "create_rule")),
        )
        .await;
        assert_eq!(rule.status, 201, "{}", rule.text);
        let path = format!("/v1/workspaces/{workspace}/connections");
        let connections = request(scenario, workspace, Role::Owner, Method::GET, &path, None).await.json();
        Ids::from([
            ("workspace", workspace.to_owned()),
            ("connection", connections["data"][0]["id"].as_str().unwrap().to_owned()),
            ("rule", rule.json()["id"].as_str().unwrap().to_owned()),
            ("member", MemberId::from_subject(name).to_string()),
            ("invitation", invitation.id.to_string()),
        ])
    }

    /// Returns every item of our workspace in the table.
    async fn stored_items(&self) -> Vec<String> {
        let pages = self.scenario.system.cloud.dynamodb.scan().table_name("adflight").into_paginator();
        let items: Vec<_> = pages.items().send().collect::<Result<_, _>>().await.unwrap();
        let items = items.iter().filter(|item| !is_published(item));
        let ours = items.filter(|item| item["pk"].as_s().unwrap().starts_with("WS#demo"));
        // JSON has no bytes.
        let text = |(name, value): (&String, &AttributeValue)| match value {
            AttributeValue::B(bytes) => (name.clone(), AttributeValue::S(format!("{bytes:?}"))),
            value => (name.clone(), value.clone()),
        };
        let json = |item: &Item| from_item::<Value>(item.iter().map(text).collect()).unwrap().to_string();
        let mut stored: Vec<_> = ours.map(json).collect();
        stored.sort();
        stored
    }
}

async fn request(
    scenario: &Scenario,
    workspace: &str,
    role: Role,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Response {
    let token = scenario.system.token(workspace, role).unwrap();
    // A part of a file is bytes.
    let is_part = path.split('?').next().is_some_and(|path| path.ends_with("/bytes"));
    let content_type = if is_part { "application/octet-stream" } else { "application/json" };
    let headers = [("idempotency-key", path), ("content-type", content_type)];
    scenario.send(method, path, Some(&token), &headers, body.map(Value::to_string)).await.unwrap()
}

/// Returns a body that the route accepts, so that a refusal is due to its path.
fn body_of(scenario: &Scenario, operation: &str) -> Value {
    match operation {
        "launch_campaign" | "preview_document" => scenario.launch_document().unwrap(),
        "create_rule" | "replace_rule" => json!({
            "name": "Tell me", "level": "campaign", "action": {"type": "notify"},
            "when": {"measure": "spend", "window": "today", "operator": "above", "value": "1"},
        }),
        "import_ad_account" => {
            json!({"name": "Shop", "source": "taboola", "currency": "EUR", "timezone": "Europe/Berlin"})
        }
        "duplicate_campaign" => json!({"name": "Copy"}),
        "move_budget" => json!({"daily_budget": {"amount": 500, "currency": "SGD"}}),
        "add_ad_sets" => json!({"ad_sets": []}),
        "add_ads" => json!({"ads": []}),
        "create_bulk_change" => {
            json!({"changes": [{"level": "ad", "ids": ["1"], "set": {"status": "PAUSED"}}]})
        }
        "create_creative" => json!({"name": "New", "creative": {"post_id": "1_2"}}),
        "begin_file" => json!({"kind": "video", "name": "Film", "bytes": 9}),
        "add_video" => json!({"name": "Film", "url": "https://example.com/film.mp4"}),
        "ingest_facts" => json!({"rows": [{}]}),
        "request_reach" => json!({"level": "campaign", "since": "2026-11-01"}),
        "select_ad_account" => json!({"selected": false}),
        "update_member" => json!({"role": "viewer"}),
        "rename_workspace" => json!({"name": "Theirs now"}),
        operation if operation.contains("schedule") => json!({"at": "2026-12-24T09:00:00"}),
        operation if operation.starts_with("update_") => json!({"status": "PAUSED"}),
        _ => json!({}),
    }
}

/// Returns the query that a route requires.
fn query_of(operation: &str) -> &'static str {
    match operation {
        "query_insights" | "export_insights" => "?level=ad&since=2026-11-01&until=2026-11-02",
        "list_thumbnails" => "?ids=1",
        "preview_ad" | "preview_document" => "?ad_format=INSTAGRAM_STORY",
        "list_media" | "get_media" => "?kind=video",
        "send_bytes" => "?first=0",
        "list_changes" => "?since=2026-11-01",
        _ => "",
    }
}

/// Returns every route that requires a session.
fn authenticated_routes() -> Vec<Route> {
    let routes: Vec<_> =
        openapi::routes().into_iter().filter(|route| route.access != Access::Public).collect();
    assert!(routes.len() > 40, "{}", routes.len());
    routes
}

fn parameters(path: &'static str) -> Vec<&'static str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect()
}

fn fill_path(path: &str, ids: &Ids) -> String {
    ids.iter().fold(path.to_owned(), |path, (name, id)| path.replace(&format!("{{{name}}}"), id))
}

#[tokio::test]
async fn every_route_of_another_workspace_is_not_found() {
    let two = TwoWorkspaces::start().await;
    let TwoWorkspaces { scenario, ours, theirs } = &two;
    let calls = scenario.sim().unwrap().calls();
    let before = two.stored_items().await;
    let mut asked = 0;
    for route in authenticated_routes() {
        let names = parameters(route.path);
        if names.is_empty() {
            continue;
        }
        // Our path with a foreign session; our ids below their own workspace; and each of our ids alone among theirs.
        let mut paths = vec![fill_path(route.path, ours)];
        // A file's digest is nobody's: with it they begin an upload of their own.
        let is_own = |name: &str| {
            ["workspace", "action"].contains(&name) || name == "sha256" && route.operation.id == "begin_file"
        };
        for foreign in names.iter().filter(|name| !is_own(name)) {
            let mut ids = theirs.clone();
            ids.insert(foreign, ours[foreign].clone());
            paths.push(fill_path(route.path, &ids));
            let mut ids = ours.clone();
            ids.insert("workspace", theirs["workspace"].clone());
            paths.push(fill_path(route.path, &ids));
        }
        for mut path in paths {
            path += query_of(&route.operation.id);
            let body = route.operation.body.is_some().then(|| body_of(scenario, &route.operation.id));
            let response =
                request(scenario, "stranger", Role::Owner, route.method.clone(), &path, body.as_ref()).await;
            assert_eq!(response.status, 404, "{} {path}: {}", route.method, response.text);
            assert!(!response.text.contains("demo"), "{}", response.text);
            asked += 1;
        }
    }
    assert!(asked > 80, "{asked}");
    // A document can name what its path does not.
    let named = |name: &str, value: Value| {
        let range = json!({"since": "2026-11-01", "until": "2026-11-02"});
        let mut document = json!({"level": "campaign", "measures": ["spend"], "range": range});
        document[name] = value;
        document
    };
    let (account, campaign) = (&ours["ad_account"], &ours["id"]);
    for (document, field) in [
        (named("ad_accounts", json!([account])), "ad_accounts"),
        (named("filters", json!([{"field": "account", "op": "in", "value": [account]}])), "ad_accounts"),
        (
            json!({"level": "campaign", "measures": ["spend"], "ad_accounts": ["act_81"],
                   "range": {"since": "2026-11-01", "until": "2026-11-02"},
                   "filters": [{"field": "campaign", "op": "in", "value": [campaign]}]}),
            "filters[0].value",
        ),
    ] {
        let path = "/v1/workspaces/stranger/query";
        let answer = request(scenario, "stranger", Role::Owner, Method::POST, path, Some(&document)).await;
        let problem = answer.json();
        assert_eq!(
            (answer.status.as_u16(), problem["errors"][0]["field"].as_str()),
            (400, Some(field)),
            "{problem}"
        );
        assert!(!answer.text.contains("demo"), "{}", answer.text);
    }
    // Only for the media of the path, with the stranger's own token, to which Meta shows nothing of ours.
    assert_eq!(scenario.sim().unwrap().calls(), calls + 1, "Meta was not asked for a stranger");
    let after = two.stored_items().await;
    let changed = before.iter().zip(&after).find(|(before, after)| before != after);
    assert_eq!((changed, after.len()), (None, before.len()), "nothing of ours has changed");
    two.scenario.finish().await.unwrap();
}

#[tokio::test]
async fn roles_are_enforced_as_in_the_route_tables() {
    let two = TwoWorkspaces::start().await;
    let TwoWorkspaces { scenario, ours, .. } = &two;
    // Nothing with these ids exists, so that permitted requests have no effect.
    let mut nothing = ours.clone();
    for (name, id) in [("ad_account", "act_404"), ("connection", "none"), ("rule", "none"), ("id", "404")] {
        nothing.insert(name, id.to_owned());
    }
    for (name, id) in
        [("member", "none"), ("invitation", "none"), ("launch", "none"), ("bulk_change", "none")]
    {
        nothing.insert(name, id.to_owned());
    }
    for route in authenticated_routes() {
        let method = || route.method.clone();
        let path = fill_path(route.path, ours);
        let nobody = scenario.send(method(), &path, None, &[], None).await.unwrap();
        assert_eq!(nobody.status, 401, "{} {path}", route.method);
        let Access::Member(needed) = route.access else { continue };
        for role in [Role::Viewer, Role::Editor, Role::Owner] {
            if role < needed {
                let body = body_of(scenario, &route.operation.id);
                let response = request(scenario, "demo", role, method(), &path, Some(&body)).await;
                assert_eq!(response.status, 403, "{role}: {} {path}: {}", route.method, response.text);
                assert_eq!(response.json()["type"], "urn:adflight:forbidden");
            } else {
                let path = fill_path(route.path, &nothing);
                let response = request(scenario, "demo", role, method(), &path, Some(&json!({}))).await;
                assert!(!matches!(response.status.as_u16(), 401 | 403), "{role}: {} {path}", route.method);
            }
        }
    }
    two.scenario.finish().await.unwrap();
}

#[tokio::test]
async fn unknown_paths_methods_and_accounts_are_distinguished() {
    let scenario = Scenario::synced().await.unwrap();
    let token = scenario.system.token("demo", Role::Owner).unwrap();
    for (method, path, status) in [
        (Method::GET, "/v1/workspaces/demo/nothing", 404),
        (Method::GET, "/v1/", 404),
        (Method::DELETE, "/v1/workspaces/demo/ad-accounts", 405),
        (Method::GET, "/v1/workspaces/demo/ad-accounts/act_42/campaigns", 404),
        (Method::GET, "/v1/workspaces/demo/ad-accounts/42/campaigns", 404),
        (Method::GET, "/v1/workspaces/demo/ad-accounts/act_1%23FACT/campaigns", 404),
        (Method::PUT, "/v1/workspaces/demo/ad-accounts/act_42/selection", 404),
    ] {
        let body = Some(r#"{"selected":true}"#.to_owned());
        let response = scenario.send(method.clone(), path, Some(&token), &[], body).await.unwrap();
        assert_eq!(response.status.as_u16(), status, "{method} {path}: {}", response.text);
        assert_eq!(response.headers["content-type"], "application/problem+json");
    }
    scenario.finish().await.unwrap();
}
