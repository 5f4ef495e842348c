//! The account selection page after a login. Its form identifies the person by a secret and a cookie, without a
//! session.

use std::sync::atomic::Ordering;

use graph_sim::{LOGIN_USER_ID, NewAccount};
use http::header::{ACCEPT, CONTENT_TYPE, COOKIE, SET_COOKIE};
use http::{Method, Request};
use jiff::SignedDuration;
use journeys::{Response, Scenario};
use local::demo::WORKSPACE;
use local::tenant::tenant;
use runtime::session::{Claims, Role, RoleSource};
use serde_json::{Value, json};
use store::StoreError;
use store::account_selection::AccountSelection;
use store::member::Member;

use crate::audit::{recorded, verified_length};
use crate::connect::start_login;
use crate::crash::{crashing_auth_meta, restore_table, table_items};
use crate::watch::due;

const SELECTION_PATH: &str = "/v1/auth/meta/choose";
const FORM_CONTENT_TYPE: &str = "application/x-www-form-urlencoded";

/// The page after a login, in the browser that opened it.
struct Page {
    response: Response,
    cookie: String,
    secret: String,
    /// The ad accounts, and whether each is checked.
    checkboxes: Vec<(String, bool)>,
}

impl Page {
    /// Logs in at Meta and comes back, as a person with this session.
    async fn open(scenario: &Scenario, workspace: &str, token: &str) -> Self {
        let path = format!("/v1/workspaces/{workspace}/connections/meta/authorize");
        let begun = scenario.send(Method::POST, &path, Some(token), &[], None).await.unwrap();
        let (dialog, login) = start_login(scenario, &begun).await;
        let callback = scenario.api().unwrap().confirm_dialog(&dialog).await.unwrap();
        let path = callback.strip_prefix(scenario.system.url()).unwrap();
        let response =
            scenario.send(Method::GET, path, None, &[(COOKIE.as_str(), &login)], None).await.unwrap();
        let cookie =
            if response.headers.contains_key(SET_COOKIE) { cookie_of(&response) } else { String::new() };
        let inputs = response.text.split("<input ").skip(1);
        let value =
            |input: &str| input.split_once("value=\"").unwrap().1.split_once('"').unwrap().0.to_owned();
        let (mut secret, mut checkboxes) = (String::new(), Vec::new());
        for input in inputs {
            let input = input.split_once('>').unwrap().0;
            if input.contains("name=\"selection\"") {
                secret = value(input);
            } else {
                checkboxes.push((value(input), input.contains(" checked")));
            }
        }
        Self { response, cookie, secret, checkboxes }
    }

    /// Opens the page with the session of the demonstration workspace's owner.
    async fn of_owner(scenario: &Scenario) -> Self {
        let token = scenario.system.token(WORKSPACE, Role::Owner).unwrap();
        let page = Self::open(scenario, WORKSPACE, &token).await;
        assert_eq!(page.response.status, 200, "{}", page.response.text);
        page
    }

    fn form(&self, selected: &[&str]) -> String {
        let ids = selected.iter().map(|id| format!("&ad_account={id}"));
        format!("selection={}{}", self.secret, ids.collect::<String>())
    }

    async fn send(&self, scenario: &Scenario, selected: &[&str]) -> Response {
        send(scenario, &self.cookie, self.form(selected)).await
    }
}

fn cookie_of(response: &Response) -> String {
    response.headers[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned()
}

/// Sends the form as a browser does.
async fn send(scenario: &Scenario, cookie: &str, form: String) -> Response {
    let headers = [(COOKIE.as_str(), cookie), (CONTENT_TYPE.as_str(), FORM_CONTENT_TYPE), ("origin", "null")];
    scenario.send(Method::POST, SELECTION_PATH, None, &headers, Some(form)).await.unwrap()
}

async fn selected_accounts(scenario: &Scenario, workspace: &str) -> Vec<String> {
    let accounts = scenario.system.table.accounts(&tenant(workspace).unwrap()).await.unwrap();
    accounts.into_iter().filter(|account| account.selected).map(|account| account.id.to_string()).collect()
}

/// Returns actor, ad account, new state and phase of every selection in the audit log.
async fn selection_events(scenario: &Scenario) -> Vec<(Value, Value, Value, Value)> {
    let mut entries = scenario.api().unwrap().all("audit").await.unwrap();
    entries.reverse();
    entries.retain(|entry| entry["action"] == "ad_account.selected");
    let event = |entry: &Value| {
        (entry["actor"].clone(), entry["ad_account"].clone(), entry["after"].clone(), entry["phase"].clone())
    };
    entries.iter().map(event).collect()
}

fn heading(response: &Response) -> &str {
    let text = &response.text;
    assert!(text.starts_with("<!DOCTYPE html><html lang=\"en\">") && !text.contains("<script"), "{text}");
    assert_eq!(response.headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(response.headers["referrer-policy"], "no-referrer");
    assert_eq!(response.headers["cache-control"], "no-store");
    let allowed = response.headers["content-security-policy"].to_str().unwrap();
    for rule in ["default-src 'none'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"] {
        assert!(allowed.contains(rule), "{allowed}");
    }
    assert_eq!(text.matches("<h1>").count(), 1, "{text}");
    text.split_once("<h1>").unwrap().1.split_once("</h1>").unwrap().0
}

#[tokio::test]
async fn accounts_selected_after_the_login_are_synced_and_the_audit_log_names_the_actor() {
    let scenario = Scenario::start().await.unwrap();
    let account = scenario.account().unwrap();
    let page = Page::of_owner(&scenario).await;
    assert_eq!(heading(&page.response), "Choose ad accounts");
    let set = page.response.headers[SET_COOKIE].to_str().unwrap();
    assert!(
        set.contains("HttpOnly")
            && set.contains("SameSite=Strict")
            && set.contains("Path=/v1/auth/meta/choose")
    );
    assert_eq!(page.checkboxes.len(), 3);
    assert!(page.checkboxes.iter().all(|(_, selected)| !selected), "{:?}", page.checkboxes);

    let chosen = page.send(&scenario, &[&account]).await;
    assert_eq!(
        (chosen.status.as_u16(), heading(&chosen)),
        (200, "Your selection is saved"),
        "{}",
        chosen.text
    );
    assert!(
        chosen.text.contains(&account) && chosen.text.contains("does not sync the other 2"),
        "{}",
        chosen.text
    );
    assert_eq!(selected_accounts(&scenario, WORKSPACE).await, [account.as_str()]);
    scenario.system.runner.settle().await.unwrap();
    let progress = scenario.call_as_owner(Method::GET, "sync", None).await.unwrap().json();
    assert!(progress["chunks"]["done"].as_u64().unwrap() > 0, "{progress}");
    assert_eq!(progress["chunks"]["failed"], 0, "{progress}");
    assert_eq!(due(&scenario).await[0].ad_account.as_str(), account, "it is synced again and again");

    let who = json!({"kind": "person", "subject": "developer-of-demo"});
    let event = |account: &str, selected: bool, phase| {
        (who.clone(), json!(account), json!({"selected": selected}), json!(phase))
    };
    assert_eq!(selection_events(&scenario).await, [event(&account, true, "done")]);

    // The next page shows it, and an unchecked box deselects.
    let page = Page::of_owner(&scenario).await;
    let other = page.checkboxes.iter().find(|(_, selected)| !selected).unwrap().0.clone();
    assert_eq!(
        page.checkboxes.iter().filter(|(_, selected)| *selected).collect::<Vec<_>>(),
        [&(account.clone(), true)]
    );
    assert_eq!(page.send(&scenario, &[&other]).await.status, 200);
    assert_eq!(selected_accounts(&scenario, WORKSPACE).await, [other.as_str()]);
    let mut latest = selection_events(&scenario).await.split_off(1);
    latest.sort_by_key(|(_, id, ..)| *id != json!(account));
    let expected = [event(&account, false, "done"), event(&other, true, "done")];
    assert_eq!(latest, expected);
    verified_length(&scenario).await;
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn changes_by_others_while_a_page_is_open_are_kept() {
    let scenario = Scenario::start().await.unwrap();
    let page = Page::of_owner(&scenario).await;
    let [(one, _), (two, _), _] = &page.checkboxes[..] else { panic!("{:?}", page.checkboxes) };
    let path = format!("ad-accounts/{two}/selection");
    scenario.api().unwrap().call(Method::PUT, &path, Some(&json!({"selected": true}))).await.unwrap();
    let chosen = page.send(&scenario, &[one]).await;
    assert_eq!(chosen.status, 200);
    let mut both = [one.as_str(), two.as_str()];
    both.sort_unstable();
    assert_eq!(selected_accounts(&scenario, WORKSPACE).await, both);
    assert!(chosen.text.contains(one) && chosen.text.contains(two), "{}", chosen.text);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_selection_is_applied_once_however_often_it_is_sent() {
    let scenario = Scenario::start().await.unwrap();
    let page = Page::of_owner(&scenario).await;
    let [(one, _), (two, _), _] = &page.checkboxes[..] else { panic!("{:?}", page.checkboxes) };
    // A double click: both responses are a page.
    let selected = [one.as_str()];
    let (first, second) = tokio::join!(page.send(&scenario, &selected), page.send(&scenario, &selected));
    for response in [first, second] {
        assert_eq!(
            (response.status.as_u16(), heading(&response)),
            (200, "Your selection is saved"),
            "{}",
            response.text
        );
    }
    let before = selection_events(&scenario).await;

    // Sent again, the page shows the current state.
    scenario
        .system
        .table
        .select_account(
            &tenant(WORKSPACE).unwrap(),
            &one.parse().unwrap(),
            false,
            scenario.system.clock.now(),
            None,
        )
        .await
        .unwrap();
    let again = page.send(&scenario, &[one]).await;
    assert_eq!((again.status.as_u16(), heading(&again)), (200, "Your selection is saved"));
    assert!(again.text.contains("syncs none of these"), "{}", again.text);
    assert!(selected_accounts(&scenario, WORKSPACE).await.is_empty(), "what was done since is not undone");
    assert_eq!(selection_events(&scenario).await, before);

    // Another selection with the same page is refused.
    let other = page.send(&scenario, &[two]).await;
    assert_eq!(other.status, 409);
    assert!(
        other.text.contains("used for another selection") && other.text.contains("begin again"),
        "{}",
        other.text
    );
    assert!(selected_accounts(&scenario, WORKSPACE).await.is_empty());
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_second_selection_with_the_same_page_is_a_conflict() {
    let scenario = Scenario::start().await.unwrap();
    let table = &scenario.system.table;
    let selection = AccountSelection {
        workspace: tenant(WORKSPACE).unwrap(),
        subject: "ada".to_owned(),
        role_source: RoleSource::Membership,
        browser_hash: "browser".to_owned(),
        connection: "connection".to_owned(),
        accounts: Vec::new(),
        expires_at: scenario.system.clock.now() + SignedDuration::from_mins(30),
        selection_hash: None,
        return_url: None,
    };
    let made = |what: &str| AccountSelection { selection_hash: Some(what.to_owned()), ..selection.clone() };
    let conflict = |stored| matches!(stored, Err(StoreError::Conflict));
    assert!(conflict(table.complete_account_selection("key", &made("this")).await), "there is no such page");
    table.create_account_selection("key", &selection).await.unwrap();
    assert!(conflict(table.create_account_selection("key", &selection).await));
    table.complete_account_selection("key", &made("this")).await.unwrap();
    assert!(conflict(table.complete_account_selection("key", &made("that")).await));
    assert_eq!(table.account_selection("key").await.unwrap(), Some(made("this")));
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_selection_requires_the_page_its_browser_and_accounts_that_the_page_showed() {
    let scenario = Scenario::start().await.unwrap();
    // Another workspace with a page of its own, open at the same time.
    let stranger = scenario.system.token("stranger", Role::Owner).unwrap();
    let sim = scenario.sim().unwrap();
    let theirs = Page::open(&scenario, "stranger", &stranger).await;
    let early = Page::of_owner(&scenario).await;
    sim.add_account(&NewAccount {
        id: "act_99".to_owned(),
        name: "Not theirs".to_owned(),
        currency: "EUR".to_owned(),
        timezone: "Europe/Berlin".to_owned(),
        business: None,
        assigned: true,
    });
    let page = Page::of_owner(&scenario).await;
    let one = page.checkboxes[0].0.clone();
    let good = page.form(&[&one]);
    let Page { cookie, secret, .. } = &page;
    let none = String::new;
    let many: String = (0..201).map(|n| format!("&ad_account=act_{n}")).collect();
    let long = format!("{good}{}", "&ad_account=act_12345678901234567890".repeat(600));
    for (why, cookie, form, status, says) in [
        ("no cookie", none(), good.clone(), 409, "another browser"),
        ("another browser", theirs.cookie.clone(), good.clone(), 409, "another browser"),
        ("a guessed cookie", "adflight_selection=guess".to_owned(), good.clone(), 409, "another browser"),
        (
            "a login's cookie",
            cookie.replace("adflight_selection", "adflight_login"),
            good.clone(),
            409,
            "another browser",
        ),
        (
            "a guessed page",
            cookie.clone(),
            format!("selection=guess&ad_account={one}"),
            409,
            "another browser",
        ),
        ("somebody else's page", cookie.clone(), theirs.form(&[&one]), 409, "another browser"),
        ("no secret", cookie.clone(), format!("ad_account={one}"), 400, "selection"),
        ("nothing", cookie.clone(), none(), 400, "selection"),
        ("two secrets", cookie.clone(), format!("{good}&selection={secret}"), 400, "more than once"),
        ("an account twice", cookie.clone(), format!("{good}&ad_account={one}"), 400, "more than once"),
        ("an unknown account", cookie.clone(), format!("{good}&ad_account=act_4242"), 400, "act_4242"),
        ("all or not", cookie.clone(), format!("{good}&all=1"), 400, "all"),
        ("no account", cookie.clone(), format!("{good}&ad_account=all"), 400, "ad_account"),
        ("more accounts than there are", cookie.clone(), format!("{good}{many}"), 400, "act_0"),
        ("an unknown field", cookie.clone(), format!("{good}&workspace=stranger"), 400, "workspace"),
        ("a long form", cookie.clone(), long, 400, "16384 bytes"),
    ] {
        let refused = send(&scenario, &cookie, form).await;
        assert_eq!(refused.status.as_u16(), status, "{why}: {}", refused.text);
        heading(&refused);
        assert!(refused.text.contains(says), "{why}: {}", refused.text);
        assert!(selected_accounts(&scenario, WORKSPACE).await.is_empty(), "{why}");
    }
    let plain = |kind: &'static str, path: &'static str| {
        let headers = [(COOKIE.as_str(), cookie.as_str()), (CONTENT_TYPE.as_str(), kind)];
        let (scenario, good) = (&scenario, good.clone());
        async move { scenario.send(Method::POST, path, None, &headers, Some(good)).await.unwrap() }
    };
    assert_eq!(plain("text/plain", SELECTION_PATH).await.status, 400);
    let asked = plain(FORM_CONTENT_TYPE, "/v1/auth/meta/choose?workspace=stranger").await;
    assert_eq!((asked.status.as_u16(), heading(&asked)), (400, "The request has a mistake"));
    // An account of the workspace that only a later page shows, and one of another workspace.
    for page in [&early, &theirs] {
        let refused = page.send(&scenario, &["act_99"]).await;
        assert_eq!(refused.status, 400, "{}", refused.text);
    }
    assert!(selected_accounts(&scenario, WORKSPACE).await.is_empty());

    // None of the refusals has invalidated the page.
    let headers = [
        (COOKIE.as_str(), cookie.as_str()),
        (CONTENT_TYPE.as_str(), FORM_CONTENT_TYPE),
        (ACCEPT.as_str(), "application/json"),
    ];
    let refused = scenario
        .send(Method::POST, SELECTION_PATH, None, &headers, Some(format!("{good}&x=1")))
        .await
        .unwrap();
    assert_eq!((refused.status.as_u16(), &refused.json()["errors"][0]["field"]), (400, &json!("x")));
    let chosen = scenario.send(Method::POST, SELECTION_PATH, None, &headers, Some(good)).await.unwrap();
    assert_eq!(chosen.status, 200, "{}", chosen.text);
    let view = chosen.json();
    let synced: Vec<_> = view["ad_accounts"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|account| account["selected"] == true)
        .collect();
    assert_eq!((synced.len(), &synced[0]["id"]), (1, &json!(one)));
    assert_eq!(selected_accounts(&scenario, WORKSPACE).await, [one.as_str()]);
    assert!(selected_accounts(&scenario, "stranger").await.is_empty());

    // Neither secret is in the table in plain text.
    let dump = format!("{:?}", table_items(&scenario).await);
    assert!(!dump.contains(secret) && !dump.contains(cookie.split_once('=').unwrap().1));
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_page_expires_after_half_an_hour() {
    let scenario = Scenario::start().await.unwrap();
    for (minutes, status) in [(29, 200), (30, 409)] {
        let page = Page::of_owner(&scenario).await;
        scenario.system.clock.advance(SignedDuration::from_mins(minutes));
        let response = page.send(&scenario, &[&page.checkboxes[0].0]).await;
        assert_eq!(response.status, status, "{minutes} minutes: {}", response.text);
    }
    scenario.finish().await.unwrap();
}

/// Creates a user whose issuer knows no workspaces, and their workspace.
async fn founder(scenario: &Scenario) -> (String, Member) {
    let issuer = scenario.system.issuer();
    let known = issuer.claims(WORKSPACE, Role::Viewer, scenario.system.clock.now()).unwrap();
    let claims = Claims { sub: "auth0|ada".to_owned(), workspace: None, role: None, ..known };
    let token = issuer.sign(&claims).unwrap();
    let body = Some(json!({"name": "Ada"}).to_string());
    let made = scenario.send(Method::POST, "/v1/workspaces", Some(&token), &[], body).await.unwrap().json();
    let workspace = tenant(made["workspace"].as_str().unwrap()).unwrap();
    let member = scenario.system.table.members(&workspace).await.unwrap().remove(0);
    (token, member)
}

#[tokio::test]
async fn a_person_who_may_no_longer_connect_selects_nothing_and_connects_nothing() {
    let scenario = Scenario::start().await.unwrap();
    let (token, ada) = founder(&scenario).await;
    let workspace = ada.workspace.to_string();
    let table = &scenario.system.table;
    // Ensures that there is always another owner.
    let other = store::invitation::Invitation {
        workspace: ada.workspace.clone(),
        id: "guest".parse().unwrap(),
        email: "bob@example.com".parse().unwrap(),
        role: Role::Owner,
        invited_by: "ada".to_owned(),
        expires_at: scenario.system.clock.now() + SignedDuration::from_hours(1),
    };
    table.invite(&other, &recorded(&scenario, "invited")).await.unwrap();
    table.accept_invitation(&other, "bob", &recorded(&scenario, "accepted")).await.unwrap();

    let page = Page::open(&scenario, &workspace, &token).await;
    assert!(page.response.text.contains("Workspace <strong>Ada</strong>"), "{}", page.response.text);
    let one = page.checkboxes[0].0.clone();
    let mut now = ada.clone();
    for role in [Role::Viewer, Role::Editor] {
        table.change_role(&now, role, &recorded(&scenario, &format!("{role}"))).await.unwrap();
        now.role = role;
        let refused = page.send(&scenario, &[&one]).await;
        assert_eq!((refused.status.as_u16(), heading(&refused)), (403, "Not allowed"), "{}", refused.text);
        assert!(refused.text.contains("role owner"), "{}", refused.text);
        assert!(selected_accounts(&scenario, &workspace).await.is_empty());
    }
    table.change_role(&now, Role::Owner, &recorded(&scenario, "owner again")).await.unwrap();
    now.role = Role::Owner;
    assert_eq!(page.send(&scenario, &[&one]).await.status, 200);
    assert_eq!(selected_accounts(&scenario, &workspace).await, [one.as_str()]);

    // Removed while the page is open, and while Meta's dialog is open.
    let page = Page::open(&scenario, &workspace, &token).await;
    let path = format!("/v1/workspaces/{workspace}/connections/meta/authorize");
    let begun = scenario.send(Method::POST, &path, Some(&token), &[], None).await.unwrap();
    let (dialog, cookie) = start_login(&scenario, &begun).await;
    let before = table.connections(&ada.workspace).await.unwrap();
    table.remove_member(&now, &recorded(&scenario, "removed")).await.unwrap();
    let refused = page.send(&scenario, &[]).await;
    assert_eq!(refused.status, 403);
    assert!(refused.text.contains("no member"), "{}", refused.text);
    assert_eq!(selected_accounts(&scenario, &workspace).await, [one.as_str()]);

    let callback = scenario.api().unwrap().confirm_dialog(&dialog).await.unwrap();
    let path = callback.strip_prefix(scenario.system.url()).unwrap();
    let refused = scenario.send(Method::GET, path, None, &[(COOKIE.as_str(), &cookie)], None).await.unwrap();
    assert_eq!((refused.status.as_u16(), heading(&refused)), (403, "Not allowed"), "{}", refused.text);
    assert_eq!(table.connections(&ada.workspace).await.unwrap(), before);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_page_whose_connection_is_gone_says_so_and_stores_no_personal_data() {
    let scenario = Scenario::start().await.unwrap();
    let api = scenario.api().unwrap();
    let page = Page::of_owner(&scenario).await;
    let one = page.checkboxes[0].0.clone();
    let row = table_items(&scenario)
        .await
        .into_iter()
        .find(|item| item["sk"].as_s().unwrap() == "ACCOUNT_SELECTION")
        .unwrap();
    let row = format!("{row:?}");
    for (account, _) in &page.checkboxes {
        assert!(!row.contains(account.trim_start_matches("act_")), "{row}");
    }
    assert!(!row.contains(LOGIN_USER_ID), "{row}");
    assert!(row.contains("expires"), "the table takes it away: {row}");

    // The person removes the app at Meta.
    scenario.sim().unwrap().remove_app(LOGIN_USER_ID).await.unwrap();
    scenario.system.runner.settle().await.unwrap();
    let refused = page.send(&scenario, &[&one]).await;
    assert_eq!((refused.status.as_u16(), heading(&refused)), (409, "The connection to Meta must be renewed"));
    assert!(selected_accounts(&scenario, WORKSPACE).await.is_empty());

    // Removed, while another connection has access to the same ad accounts.
    let page = Page::of_owner(&scenario).await;
    let sim = scenario.sim().unwrap();
    let user = sim.create_system_user("900000000000001");
    let token = json!({"token": sim.issue_system_token(&user, &["ads_read", "business_management"])});
    api.call(Method::POST, "connections/meta/token", Some(&token)).await.unwrap();
    let path = format!("connections/meta-{LOGIN_USER_ID}");
    api.call(Method::DELETE, &path, None).await.unwrap();
    let refused = page.send(&scenario, &[&one]).await;
    assert_eq!(refused.status, 409);
    assert!(refused.text.contains("was removed meanwhile"), "{}", refused.text);
    assert!(selected_accounts(&scenario, WORKSPACE).await.is_empty());

    // One account has become inaccessible, the other has not.
    let page = Page::of_owner(&scenario).await;
    let [(one, _), (two, _), _] = &page.checkboxes[..] else { panic!("{:?}", page.checkboxes) };
    let workspace = tenant(WORKSPACE).unwrap();
    let connection = format!("meta-{LOGIN_USER_ID}").parse().unwrap();
    scenario
        .system
        .table
        .mark_account_inaccessible(&workspace, &one.parse().unwrap(), &connection, None)
        .await
        .unwrap();
    let refused = page.send(&scenario, &[one, two]).await;
    assert_eq!(refused.status, 409);
    assert!(refused.text.contains("not within reach"), "{}", refused.text);
    assert!(selected_accounts(&scenario, WORKSPACE).await.is_empty(), "nothing of it is done");
    assert_eq!(page.send(&scenario, &[two]).await.status, 200);
    assert_eq!(selected_accounts(&scenario, WORKSPACE).await, [two.as_str()]);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_selection_that_is_killed_at_any_step_is_applied_when_it_is_sent_again() {
    let scenario = Scenario::start().await.unwrap();
    let account = scenario.account().unwrap();
    // Connected, and one account is selected, but nothing is synced: the table is restored many times.
    scenario.api().unwrap().connect().await.unwrap();
    let table = &scenario.system.table;
    table
        .select_account(
            &tenant(WORKSPACE).unwrap(),
            &account.parse().unwrap(),
            true,
            scenario.system.clock.now(),
            None,
        )
        .await
        .unwrap();
    let page = Page::of_owner(&scenario).await;
    let other = page.checkboxes.iter().find(|(_, selected)| !selected).unwrap().0.clone();
    let request = || {
        let request = Request::post(SELECTION_PATH)
            .header(COOKIE, &page.cookie)
            .header(CONTENT_TYPE, FORM_CONTENT_TYPE);
        request.body(page.form(&[&other]).into()).unwrap()
    };
    let before = table_items(&scenario).await;
    let (whole, calls) = crashing_auth_meta(&scenario, 0..=0);
    assert_eq!(whole.handle(request()).await.status(), 200);
    let steps = calls.load(Ordering::SeqCst);
    assert!(steps >= 8, "{steps} calls");
    let is_done = async || selected_accounts(&scenario, WORKSPACE).await == [other.as_str()];
    assert!(is_done().await);

    let mut unanswered = 0;
    for at in 1..=steps {
        restore_table(&scenario, &before).await;
        // The process dies at this call.
        let (dies, _) = crashing_auth_meta(&scenario, at..=i64::MAX);
        let lost = dies.handle(request()).await;
        unanswered += u32::from(lost.status() != 200);
        let (next, _) = crashing_auth_meta(&scenario, 0..=0);
        let response = next.handle(request()).await;
        assert_eq!(response.status(), 200, "killed before call {at} of {steps}: {:?}", response.body());
        assert!(is_done().await, "killed before call {at} of {steps}");
        assert_eq!(
            next.handle(request()).await.body(),
            response.body(),
            "sent once more, it is answered alike"
        );
    }
    assert_eq!(i64::from(unanswered), steps, "no response says that it is done before it is");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_page_lists_up_to_its_limit_and_counts_the_other_accounts() {
    let scenario = Scenario::start().await.unwrap();
    let sim = scenario.sim().unwrap();
    let first: Vec<_> = Page::of_owner(&scenario).await.checkboxes.into_iter().map(|(id, _)| id).collect();
    sim.update_account(&first[0], json!({"account_status": 2, "disable_reason": 1}));
    sim.update_account(&first[1], json!({"account_status": 3, "name": "<b>Bold</b> & \"brave\""}));
    let page = Page::of_owner(&scenario).await;
    for text in [
        "no ads can run in it: its ads broke Meta&#39;s policies.",
        "No ads can run in it at the moment.",
        "&lt;b&gt;Bold&lt;/b&gt; &amp; &quot;brave&quot;",
    ] {
        let text = text.replace("&#39;", "'");
        assert!(page.response.text.contains(&text), "{text}: {}", page.response.text);
    }
    assert_eq!(page.send(&scenario, &[&first[0]]).await.status, 200, "it can be synced all the same");

    for n in 0..210 {
        sim.add_account(&NewAccount {
            id: format!("act_70{n}"),
            name: format!("{n:03}"),
            currency: "EUR".to_owned(),
            timezone: "Europe/Berlin".to_owned(),
            business: None,
            assigned: true,
        });
    }
    let page = Page::of_owner(&scenario).await;
    assert_eq!(page.checkboxes.len(), 200);
    assert_eq!(
        (&page.checkboxes[0].0, page.checkboxes[0].1),
        (&first[0], true),
        "what is synced is never left out"
    );
    assert!(
        page.response.text.contains("13 more ad accounts are not on this page"),
        "{}",
        page.response.text
    );
    let some: Vec<_> = page.checkboxes.iter().take(60).map(|(id, _)| id.as_str()).collect();
    assert_eq!(page.send(&scenario, &some).await.status, 200);
    let mut now = selected_accounts(&scenario, WORKSPACE).await;
    now.sort_by_key(|id| some.iter().position(|known| known == id));
    assert_eq!(now, some);
    assert_eq!(selection_events(&scenario).await.len(), 60, "one had its tick before");
    assert!(verified_length(&scenario).await >= 60);

    // All of them at once are those of the page, and the form may come twice.
    let page = Page::of_owner(&scenario).await;
    for _ in 0..2 {
        let all = format!("selection={}&all=true", page.secret);
        assert_eq!(send(&scenario, &page.cookie, all).await.status, 200);
    }
    let mut listed: Vec<_> = page.checkboxes.into_iter().map(|(id, _)| id).collect();
    let mut now = selected_accounts(&scenario, WORKSPACE).await;
    listed.sort();
    now.sort();
    assert_eq!(now, listed);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_connection_without_ad_accounts_says_what_to_do_and_shows_no_form() {
    let scenario = Scenario::start().await.unwrap();
    for (id, _) in Page::of_owner(&scenario).await.checkboxes {
        // An ad account with an unknown time zone cannot be used, because its days are undefined.
        scenario.sim().unwrap().update_account(&id, json!({"timezone_name": "Mars/Base"}));
    }
    let page = Page::of_owner(&scenario).await;
    assert_eq!(heading(&page.response), "Connected to Meta, without ad accounts");
    assert!(page.checkboxes.is_empty() && page.cookie.is_empty() && !page.response.text.contains("<form"));
    assert!(page.response.text.contains("begin again from the product"), "{}", page.response.text);
    scenario.finish().await.unwrap();
}
