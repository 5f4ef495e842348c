//! The whole system with a small simulated ad account, for a third-party client. The first line of its output is a
//! description: its URL, a session token, and what exists there. It ends when its standard input is closed.

use std::io::{BufRead, Write};

use anyhow::Context;
use graph_sim::AccountArgs;
use http::Method;
use journeys::Scenario;
use local::demo::{ApiClient, WORKSPACE};
use runtime::session::{Claims, Role};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Requests have it measured again and again.
    let small = AccountArgs { campaigns: 20, adsets: 24, ads: 40, days: 40, ..AccountArgs::default() };
    let scenario = Scenario::of_account(small).await?;
    writeln!(std::io::stdout(), "{}", describe_system(&scenario).await?)
        .context("standard output cannot be written")?;
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().lock().lines().for_each(drop));
    ended.await?;
    scenario.system.stop().await;
    Ok(())
}

/// The subject of the client's sessions.
const ME: &str = "me";

/// The permissions of a system user's token.
const SCOPES: [&str; 3] = ["ads_read", "ads_management", "business_management"];

fn address(name: &str) -> String {
    format!("{name}@example.com")
}

/// Returns a session of a user with an email address.
fn token_of(scenario: &Scenario, name: &str, role: Role) -> anyhow::Result<String> {
    let claims = scenario.system.issuer().claims(WORKSPACE, role, scenario.system.clock.now())?;
    let email = Some(address(name));
    scenario.system.issuer().sign(&Claims {
        sub: name.to_owned(),
        email,
        email_verified: Some(true),
        ..claims
    })
}

/// Creates a resource of every kind that a path can name, and returns the description of the system.
async fn describe_system(scenario: &Scenario) -> anyhow::Result<Value> {
    scenario.system.create_workspace(WORKSPACE, "Demo").await?;
    let api = scenario.api()?;
    let account = scenario.account()?;
    let call = async |method, path: &str, body: Option<Value>| {
        api.call_with(method, path, body.as_ref(), &[("idempotency-key", path)]).await
    };
    let first = async |path: String| {
        let ids = call(Method::GET, &path, None).await?["data"].clone();
        anyhow::Ok(ids.as_array().into_iter().flatten().map(|row| row["id"].clone()).collect::<Vec<_>>())
    };
    let rule_document = json!({
        "name": "Stop what does not sell", "level": "adset", "action": {"type": "pause"},
        "when": {"measure": "purchases", "window": "last_7_days", "operator": "below", "value": "1"},
    });
    let rule = call(Method::POST, "rules", Some(rule_document.clone())).await?;
    let days = json!({"since": "2026-11-02"});
    let measured = call(Method::POST, &format!("ad-accounts/{account}/sync"), Some(days)).await?;
    let launched =
        call(Method::POST, &format!("ad-accounts/{account}/campaigns"), Some(scenario.launch_document()?))
            .await?;
    let campaigns = first(format!("ad-accounts/{account}/campaigns")).await?;
    // After the list: it is not one of those that requests delete.
    let mut document = scenario.launch_document()?;
    document["name"] = "To be added to".into();
    let key = [("idempotency-key", "grows")];
    let campaigns_path = format!("ad-accounts/{account}/campaigns");
    let grows = api.call_with(Method::POST, &campaigns_path, Some(&document), &key).await?;
    let set = json!({"level": "campaign", "ids": [campaigns[0]], "set": {"name": {"suffix": " (old)"}}});
    let bulk = json!({"changes": [set]});
    let bulk = call(Method::POST, &format!("ad-accounts/{account}/bulk-changes"), Some(bulk)).await?;
    scenario.system.runner.settle().await?;
    let fetched = json!({"name": "Film", "url": "https://example.com/film.mp4"});
    let fetched = call(Method::POST, &format!("ad-accounts/{account}/media"), Some(fetched)).await?;
    let file = "5f".repeat(32);
    let begun = json!({"kind": "video", "name": "Film", "bytes": 1_000_000});
    call(Method::PUT, &format!("ad-accounts/{account}/files/{file}"), Some(begun)).await?;
    for campaign in campaigns.iter().take(2).filter_map(Value::as_str) {
        let path = format!("ad-accounts/{account}/campaigns/{campaign}/schedules/activate");
        call(Method::PUT, &path, Some(json!({"at": "2026-12-24T09:00:00"}))).await?;
    }
    let invite = async |name: &str, role: &str| {
        let invitation = json!({"email": address(name), "role": role});
        anyhow::Ok(api.call(Method::POST, "invitations", Some(&invitation)).await?["id"].clone())
    };
    let mut members = Vec::new();
    for name in ["cy", "dan", "fay", "gus"] {
        let invitation = invite(name, "viewer").await?;
        let path = format!("invitations/{}/accept", invitation.as_str().context("no invitation")?);
        let member_api =
            ApiClient::at(scenario.system.url(), WORKSPACE, token_of(scenario, name, Role::Viewer)?)?;
        members.push(member_api.call(Method::POST, &path, None).await?["id"].clone());
    }
    let invitations = [invite("ann", "viewer").await?, invite("bob", "viewer").await?];
    // A cursor belongs to its list: path and parameters.
    let next_page = async |path: &str, query: Value| {
        let mut query = query;
        let pairs = query.as_object().into_iter().flatten();
        let pairs: Vec<_> =
            pairs.map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default())).collect();
        let page = call(Method::GET, &format!("{path}?{}", pairs.join("&")), None).await?;
        query["after"] = page["after"].clone();
        anyhow::Ok(query)
    };
    let days = json!({"level": "ad", "since": "2026-11-01", "until": "2026-11-02", "limit": "1"});
    let rows = next_page(&format!("ad-accounts/{account}/insights"), days).await?;
    let one = || json!({"limit": "1"});
    let [campaigns_after, adsets_after, ads_after] = [
        next_page(&format!("ad-accounts/{account}/campaigns"), one()).await?,
        next_page(&format!("ad-accounts/{account}/adsets"), one()).await?,
        next_page(&format!("ad-accounts/{account}/ads"), one()).await?,
    ];
    let entries = next_page("audit", one()).await?;
    Ok(json!({
        "url": scenario.system.url(),
        "now": scenario.system.clock.now().as_second(),
        "token": token_of(scenario, ME, Role::Owner)?,
        "currency": scenario.sim()?.account().currency,
        "page": scenario.sim()?.account().page_id,
        "app_secret": scenario.system.secrets.app_secret.expose_secret(),
        "verify_token": scenario.system.secrets.verify_token.expose_secret(),
        "launch_document": scenario.launch_document()?,
        "rule_document": rule_document,
        "next_page": {
            "query_insights": rows,
            "list_campaigns": campaigns_after,
            "list_adsets": adsets_after,
            "list_ads": ads_after,
            "list_audit": entries,
        },
        "workspace": WORKSPACE,
        "ad_account": account,
        "connection": first("connections".to_owned()).await?,
        "rule": rule["id"],
        "run": measured["run"],
        "invitation": invitations,
        "own_invitation": invite(ME, "owner").await?,
        "member": members,
        "system_token": scenario.sim()?.issue_system_token("122100000000000077", &SCOPES),
        "launch": launched["launch_id"],
        "grows": {"campaign": grows["campaign_id"], "adset": grows["adset_id"]},
        "bulk_change": bulk["id"],
        "media": fetched["id"],
        "sha256": file,
        "action": "activate",
        "campaigns": campaigns,
        "adsets": first(format!("ad-accounts/{account}/adsets")).await?,
        "ads": first(format!("ad-accounts/{account}/ads")).await?,
    }))
}
