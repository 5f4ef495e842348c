//! Whose data is whose: a foreign workspace sees nothing, and a role no more than it may.

use http::Method;
use journeys::Story;
use runtime::route::Access;
use runtime::session::Role;

/// Every route of every function that needs a session: method, path, role.
fn routes() -> Vec<(Method, &'static str, Role)> {
    let mut routes = Vec::new();
    macro_rules! collect {
        ($($function:ident),+) => {
            $(for route in $function::ROUTES {
                if let Access::Role(role) = route.access {
                    routes.push((route.method.clone(), route.path, role));
                }
            })+
        };
    }
    collect!(auth_meta, evaluate_rules, manage_campaign, query_insights, sync_entities, webhook_ingest);
    routes
}

/// A real id for every parameter, so that only the workspace is foreign.
async fn fill(story: &Story, path: &str, workspace: &str) -> String {
    let api = story.api().unwrap();
    let connections = api.call(Method::GET, "connections", None).await.unwrap();
    path.replace("{workspace}", workspace)
        .replace("{ad_account}", &story.account().unwrap())
        .replace("{connection}", connections["data"][0]["id"].as_str().unwrap())
        .replace("{id}", &story.running_campaign().await.unwrap())
        .replace("{rule}", "r1")
        .replace("{launch}", "l1")
}

#[tokio::test]
async fn a_foreign_workspace_is_not_found_whatever_is_asked() {
    let story = Story::synced().await.unwrap();
    let calls = story.sim().unwrap().calls();
    let stranger = story.system.token("stranger", Role::Owner).unwrap();
    let routes = routes();
    assert!(routes.len() > 25, "{}", routes.len());
    for (method, path, _) in routes {
        let ours = fill(&story, path, "demo").await;
        let answer =
            story.send(method.clone(), &ours, Some(&stranger), &[], Some("{}".to_owned())).await.unwrap();
        assert_eq!(answer.status, 404, "{method} {ours}: {}", answer.text);
        assert!(!answer.text.contains("demo"), "{}", answer.text);
        // In the stranger's own workspace our ids name nothing.
        let theirs = fill(&story, path, "stranger").await;
        if path.contains("{ad_account}") {
            let answer = story
                .send(method.clone(), &theirs, Some(&stranger), &[], Some("{}".to_owned()))
                .await
                .unwrap();
            assert!(matches!(answer.status.as_u16(), 400 | 404), "{method} {theirs}: {}", answer.text);
        }
    }
    let accounts = "/v1/workspaces/stranger/ad-accounts";
    let answer = story.send(Method::GET, accounts, Some(&stranger), &[], None).await.unwrap();
    assert_eq!(answer.json()["data"].as_array().unwrap().len(), 0);
    assert_eq!(story.sim().unwrap().calls(), calls, "Meta was not asked for a stranger");
    story.end().await.unwrap();
}

#[tokio::test]
async fn a_role_does_what_the_table_of_routes_says() {
    let story = Story::synced().await.unwrap();
    for (method, path, needed) in routes() {
        let path = fill(&story, path, "demo").await;
        for role in [Role::Viewer, Role::Editor] {
            if role < needed {
                let token = story.system.token("demo", role).unwrap();
                let answer = story
                    .send(method.clone(), &path, Some(&token), &[], Some("{}".to_owned()))
                    .await
                    .unwrap();
                assert_eq!(answer.status, 403, "{role}: {method} {path}");
                assert_eq!(answer.json()["type"], "urn:adflight:forbidden");
            }
        }
        assert_eq!(
            story.send(method.clone(), &path, None, &[], None).await.unwrap().status,
            401,
            "{method} {path}"
        );
    }
    story.end().await.unwrap();
}

#[tokio::test]
async fn unknown_paths_methods_and_accounts_are_told_apart() {
    let story = Story::synced().await.unwrap();
    let token = story.system.token("demo", Role::Owner).unwrap();
    for (method, path, status) in [
        (Method::GET, "/v1/workspaces/demo/nothing", 404),
        (Method::GET, "/", 404),
        (Method::DELETE, "/v1/workspaces/demo/ad-accounts", 405),
        (Method::GET, "/v1/workspaces/demo/ad-accounts/act_42/campaigns", 404),
        (Method::GET, "/v1/workspaces/demo/ad-accounts/42/campaigns", 404),
        (Method::GET, "/v1/workspaces/demo/ad-accounts/act_1%23FACT/campaigns", 404),
        (Method::PUT, "/v1/workspaces/demo/ad-accounts/act_42/selection", 404),
    ] {
        let body = Some(r#"{"selected":true}"#.to_owned());
        let answer = story.send(method.clone(), path, Some(&token), &[], body).await.unwrap();
        assert_eq!(answer.status.as_u16(), status, "{method} {path}: {}", answer.text);
        assert_eq!(answer.headers["content-type"], "application/problem+json");
    }
    story.end().await.unwrap();
}
