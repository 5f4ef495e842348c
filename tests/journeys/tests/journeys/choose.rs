//! After Meta a person chooses ad accounts on a page, whose form is all that says who they are.

use std::sync::atomic::Ordering;

use graph_sim::{MoreAccount, PERSON};
use http::header::{ACCEPT, CONTENT_TYPE, COOKIE, SET_COOKIE};
use http::{Method, Request};
use jiff::SignedDuration;
use journeys::{Answer, Story};
use local::main_job::WORKSPACE;
use local::system::tenant;
use reqwest::Url;
use runtime::session::{Claims, Role, Standing};
use serde_json::{Value, json};
use store::StoreError;
use store::choice::Choice;
use store::member::Member;

use crate::mortal::{items, mortal, restore};

const CHOOSE: &str = "/v1/auth/meta/choose";
const FORM: &str = "application/x-www-form-urlencoded";

/// The page after a login, in the browser that came to it.
struct Page {
    answer: Answer,
    cookie: String,
    secret: String,
    /// The ad accounts, and whether they have a tick.
    boxes: Vec<(String, bool)>,
}

impl Page {
    /// Logs in at Meta and comes back, as a person with this session.
    async fn open(story: &Story, workspace: &str, token: &str) -> Self {
        let path = format!("/v1/workspaces/{workspace}/connections/meta/authorize");
        let begun = story.send(Method::POST, &path, Some(token), &[], None).await.unwrap();
        assert_eq!(begun.status, 200, "{}", begun.text);
        let login = cookie_of(&begun);
        let dialog: Url = begun.json()["authorize_url"].as_str().unwrap().parse().unwrap();
        let callback = story.api().unwrap().press_continue(&dialog).await.unwrap();
        let path = callback.strip_prefix(story.system.url()).unwrap();
        let answer = story.send(Method::GET, path, None, &[(COOKIE.as_str(), &login)], None).await.unwrap();
        let cookie = if answer.headers.contains_key(SET_COOKIE) { cookie_of(&answer) } else { String::new() };
        let inputs = answer.text.split("<input ").skip(1);
        let value =
            |input: &str| input.split_once("value=\"").unwrap().1.split_once('"').unwrap().0.to_owned();
        let (mut secret, mut boxes) = (String::new(), Vec::new());
        for input in inputs {
            let input = input.split_once('>').unwrap().0;
            if input.contains("name=\"choice\"") {
                secret = value(input);
            } else {
                boxes.push((value(input), input.contains(" checked")));
            }
        }
        Self { answer, cookie, secret, boxes }
    }

    /// The page of the owner of the demonstration.
    async fn of_owner(story: &Story) -> Self {
        let token = story.system.token(WORKSPACE, Role::Owner).unwrap();
        let page = Self::open(story, WORKSPACE, &token).await;
        assert_eq!(page.answer.status, 200, "{}", page.answer.text);
        page
    }

    fn form(&self, ticked: &[&str]) -> String {
        let ids = ticked.iter().map(|id| format!("&ad_account={id}"));
        format!("choice={}{}", self.secret, ids.collect::<String>())
    }

    async fn send(&self, story: &Story, ticked: &[&str]) -> Answer {
        send(story, &self.cookie, self.form(ticked)).await
    }
}

fn cookie_of(answer: &Answer) -> String {
    answer.headers[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned()
}

/// A browser sends the form.
async fn send(story: &Story, cookie: &str, form: String) -> Answer {
    let headers = [(COOKIE.as_str(), cookie), (CONTENT_TYPE.as_str(), FORM), ("origin", "null")];
    story.send(Method::POST, CHOOSE, None, &headers, Some(form)).await.unwrap()
}

async fn selected(story: &Story, workspace: &str) -> Vec<String> {
    let accounts = story.system.table.accounts(&tenant(workspace).unwrap()).await.unwrap();
    accounts.into_iter().filter(|account| account.selected).map(|account| account.id.to_string()).collect()
}

/// What the log says of selections: by whom, which, to what, and how it ended.
async fn selections(story: &Story) -> Vec<(Value, Value, Value, Value)> {
    let mut entries = story.api().unwrap().all("audit").await.unwrap();
    entries.reverse();
    entries.retain(|entry| entry["what"] == "ad_account.selected");
    let told = |entry: &Value| {
        (entry["who"].clone(), entry["ad_account"].clone(), entry["after"].clone(), entry["stage"].clone())
    };
    entries.iter().map(told).collect()
}

fn heading(answer: &Answer) -> &str {
    let text = &answer.text;
    assert!(text.starts_with("<!DOCTYPE html><html lang=\"en\">") && !text.contains("<script"), "{text}");
    assert_eq!(answer.headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(answer.headers["referrer-policy"], "no-referrer");
    assert_eq!(answer.headers["cache-control"], "no-store");
    let allowed = answer.headers["content-security-policy"].to_str().unwrap();
    for rule in ["default-src 'none'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"] {
        assert!(allowed.contains(rule), "{allowed}");
    }
    assert_eq!(text.matches("<h1>").count(), 1, "{text}");
    text.split_once("<h1>").unwrap().1.split_once("</h1>").unwrap().0
}

#[tokio::test]
async fn what_a_person_ticks_after_the_login_is_synced_and_the_log_says_who_did_it() {
    let story = Story::begin().await.unwrap();
    let account = story.account().unwrap();
    let page = Page::of_owner(&story).await;
    assert_eq!(heading(&page.answer), "Choose ad accounts");
    let set = page.answer.headers[SET_COOKIE].to_str().unwrap();
    assert!(
        set.contains("HttpOnly")
            && set.contains("SameSite=Strict")
            && set.contains("Path=/v1/auth/meta/choose")
    );
    assert_eq!(page.boxes.len(), 3);
    assert!(page.boxes.iter().all(|(_, ticked)| !ticked), "{:?}", page.boxes);

    let chosen = page.send(&story, &[&account]).await;
    assert_eq!((chosen.status.as_u16(), heading(&chosen)), (200, "Your choice is saved"), "{}", chosen.text);
    assert!(
        chosen.text.contains(&account) && chosen.text.contains("does not sync the other 2"),
        "{}",
        chosen.text
    );
    assert_eq!(selected(&story, WORKSPACE).await, [account.as_str()]);
    story.system.runner.settle().await.unwrap();
    let progress = story.owner(Method::GET, "sync", None).await.unwrap().json();
    assert!(progress["chunks"]["done"].as_u64().unwrap() > 0, "{progress}");
    assert_eq!(progress["chunks"]["failed"], 0, "{progress}");
    story.system.clock.advance(SignedDuration::from_hours(2));
    let beats: Vec<_> = story.system.cloud.timers.due().into_iter().map(|(_, timer)| timer.input).collect();
    assert!(beats.iter().any(|beat| beat.contains("sync_account") && beat.contains(&account)), "{beats:?}");

    let who = json!({"kind": "person", "subject": "local-developer"});
    let told = |account: &str, selected: bool, stage| {
        (who.clone(), json!(account), json!({"selected": selected}), json!(stage))
    };
    assert_eq!(selections(&story).await, [told(&account, true, "intended"), told(&account, true, "done")]);

    // The next page shows it, and a tick that is taken away is meant.
    let page = Page::of_owner(&story).await;
    let other = page.boxes.iter().find(|(_, ticked)| !ticked).unwrap().0.clone();
    assert_eq!(
        page.boxes.iter().filter(|(_, ticked)| *ticked).collect::<Vec<_>>(),
        [&(account.clone(), true)]
    );
    assert_eq!(page.send(&story, &[&other]).await.status, 200);
    assert_eq!(selected(&story, WORKSPACE).await, [other.as_str()]);
    let mut latest = selections(&story).await.split_off(2);
    latest.sort_by_key(|(_, id, ..)| *id != json!(account));
    let expected = [
        told(&account, false, "intended"),
        told(&account, false, "done"),
        told(&other, true, "intended"),
        told(&other, true, "done"),
    ];
    assert_eq!(latest, expected);
    story.system.table.audit_verify(&tenant(WORKSPACE).unwrap()).await.unwrap().unwrap();
    story.end().await.unwrap();
}

#[tokio::test]
async fn what_others_change_while_a_page_is_open_stays_unless_its_person_says_otherwise() {
    let story = Story::begin().await.unwrap();
    let page = Page::of_owner(&story).await;
    let [(one, _), (two, _), _] = &page.boxes[..] else { panic!("{:?}", page.boxes) };
    let path = format!("ad-accounts/{two}/selection");
    story.api().unwrap().call(Method::PUT, &path, Some(&json!({"selected": true}))).await.unwrap();
    let chosen = page.send(&story, &[one]).await;
    assert_eq!(chosen.status, 200);
    let mut both = [one.as_str(), two.as_str()];
    both.sort_unstable();
    assert_eq!(selected(&story, WORKSPACE).await, both);
    assert!(chosen.text.contains(one) && chosen.text.contains(two), "{}", chosen.text);
    story.end().await.unwrap();
}

#[tokio::test]
async fn a_choice_is_made_once_however_often_it_is_sent() {
    let story = Story::begin().await.unwrap();
    let page = Page::of_owner(&story).await;
    let [(one, _), (two, _), _] = &page.boxes[..] else { panic!("{:?}", page.boxes) };
    // A double click, whose answers are both a page.
    let ticked = [one.as_str()];
    let (first, second) = tokio::join!(page.send(&story, &ticked), page.send(&story, &ticked));
    for answer in [first, second] {
        assert_eq!(
            (answer.status.as_u16(), heading(&answer)),
            (200, "Your choice is saved"),
            "{}",
            answer.text
        );
    }
    let before = selections(&story).await;

    // Reloaded, it shows how things are.
    story
        .system
        .table
        .select_account(&tenant(WORKSPACE).unwrap(), &one.parse().unwrap(), false)
        .await
        .unwrap();
    let again = page.send(&story, &[one]).await;
    assert_eq!((again.status.as_u16(), heading(&again)), (200, "Your choice is saved"));
    assert!(again.text.contains("syncs none of these"), "{}", again.text);
    assert!(selected(&story, WORKSPACE).await.is_empty(), "what was done since is not undone");
    assert_eq!(selections(&story).await, before);

    // And it is no second choice.
    let other = page.send(&story, &[two]).await;
    assert_eq!(other.status, 409);
    assert!(
        other.text.contains("used for another choice") && other.text.contains("begin again"),
        "{}",
        other.text
    );
    assert!(selected(&story, WORKSPACE).await.is_empty());
    story.end().await.unwrap();
}

#[tokio::test]
async fn what_was_chosen_first_stays_what_was_chosen() {
    let story = Story::begin().await.unwrap();
    let table = &story.system.table;
    let choice = Choice {
        workspace: tenant(WORKSPACE).unwrap(),
        subject: "ada".to_owned(),
        standing: Standing::Member,
        browser_hash: "browser".to_owned(),
        connection: "connection".to_owned(),
        offered: Vec::new(),
        expires_at: story.system.clock.now() + SignedDuration::from_mins(30),
        made: None,
    };
    let made = |what: &str| Choice { made: Some(what.to_owned()), ..choice.clone() };
    let conflict = |kept| matches!(kept, Err(StoreError::Conflict));
    assert!(conflict(table.make_choice("key", &made("this")).await), "there is no such page");
    table.offer_choice("key", &choice).await.unwrap();
    assert!(conflict(table.offer_choice("key", &choice).await));
    table.make_choice("key", &made("this")).await.unwrap();
    assert!(conflict(table.make_choice("key", &made("that")).await));
    assert_eq!(table.choice("key").await.unwrap(), Some(made("this")));
    story.end().await.unwrap();
}

#[tokio::test]
async fn only_the_page_and_its_browser_choose_and_only_what_it_showed() {
    let story = Story::begin().await.unwrap();
    // Another workspace with a page of its own, open at the same time.
    let stranger = story.system.token("stranger", Role::Owner).unwrap();
    let sim = story.sim().unwrap();
    let theirs = Page::open(&story, "stranger", &stranger).await;
    let early = Page::of_owner(&story).await;
    sim.add_account(&MoreAccount {
        id: "act_99".to_owned(),
        name: "Not theirs".to_owned(),
        currency: "EUR".to_owned(),
        timezone: "Europe/Berlin".to_owned(),
        business: None,
        assigned: true,
    });
    let page = Page::of_owner(&story).await;
    let one = page.boxes[0].0.clone();
    let good = page.form(&[&one]);
    let Page { cookie, secret, .. } = &page;
    let none = String::new;
    let many: String = (0..201).map(|n| format!("&ad_account=act_{n}")).collect();
    let long = format!("{good}{}", "&ad_account=act_12345678901234567890".repeat(600));
    for (why, cookie, form, status, says) in [
        ("no cookie", none(), good.clone(), 409, "another browser"),
        ("another browser", theirs.cookie.clone(), good.clone(), 409, "another browser"),
        ("a guessed cookie", "adflight_choice=guess".to_owned(), good.clone(), 409, "another browser"),
        ("a login's cookie", cookie.replace("choice", "login"), good.clone(), 409, "another browser"),
        ("a guessed page", cookie.clone(), format!("choice=guess&ad_account={one}"), 409, "another browser"),
        ("somebody else's page", cookie.clone(), theirs.form(&[&one]), 409, "another browser"),
        ("no secret", cookie.clone(), format!("ad_account={one}"), 400, "choice"),
        ("nothing", cookie.clone(), none(), 400, "choice"),
        ("two secrets", cookie.clone(), format!("{good}&choice={secret}"), 400, "more than once"),
        ("an account twice", cookie.clone(), format!("{good}&ad_account={one}"), 400, "more than once"),
        ("an unknown account", cookie.clone(), format!("{good}&ad_account=act_4242"), 400, "act_4242"),
        ("no account", cookie.clone(), format!("{good}&ad_account=all"), 400, "ad_account"),
        ("more accounts than there are", cookie.clone(), format!("{good}{many}"), 400, "act_0"),
        ("an unknown field", cookie.clone(), format!("{good}&workspace=stranger"), 400, "workspace"),
        ("a long form", cookie.clone(), long, 400, "16384 bytes"),
    ] {
        let refused = send(&story, &cookie, form).await;
        assert_eq!(refused.status.as_u16(), status, "{why}: {}", refused.text);
        heading(&refused);
        assert!(refused.text.contains(says), "{why}: {}", refused.text);
        assert!(selected(&story, WORKSPACE).await.is_empty(), "{why}");
    }
    let plain = |kind: &'static str, path: &'static str| {
        let headers = [(COOKIE.as_str(), cookie.as_str()), (CONTENT_TYPE.as_str(), kind)];
        let (story, good) = (&story, good.clone());
        async move { story.send(Method::POST, path, None, &headers, Some(good)).await.unwrap() }
    };
    assert_eq!(plain("text/plain", CHOOSE).await.status, 400);
    let asked = plain(FORM, "/v1/auth/meta/choose?workspace=stranger").await;
    assert_eq!((asked.status.as_u16(), heading(&asked)), (400, "The request has a mistake"));
    // An account of the workspace that only a later page shows, and one of another workspace.
    for page in [&early, &theirs] {
        let refused = page.send(&story, &["act_99"]).await;
        assert_eq!(refused.status, 400, "{}", refused.text);
    }
    assert!(selected(&story, WORKSPACE).await.is_empty());

    // All of them have left the page as it was.
    let headers = [
        (COOKIE.as_str(), cookie.as_str()),
        (CONTENT_TYPE.as_str(), FORM),
        (ACCEPT.as_str(), "application/json"),
    ];
    let refused =
        story.send(Method::POST, CHOOSE, None, &headers, Some(format!("{good}&x=1"))).await.unwrap();
    assert_eq!((refused.status.as_u16(), &refused.json()["errors"][0]["field"]), (400, &json!("x")));
    let chosen = story.send(Method::POST, CHOOSE, None, &headers, Some(good)).await.unwrap();
    assert_eq!(chosen.status, 200, "{}", chosen.text);
    let shown = chosen.json();
    let synced: Vec<_> = shown["ad_accounts"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|account| account["selected"] == true)
        .collect();
    assert_eq!((synced.len(), &synced[0]["id"]), (1, &json!(one)));
    assert_eq!(selected(&story, WORKSPACE).await, [one.as_str()]);
    assert!(selected(&story, "stranger").await.is_empty());

    // Neither secret lies in the table.
    let dump = format!("{:?}", items(&story).await);
    assert!(!dump.contains(secret) && !dump.contains(cookie.split_once('=').unwrap().1));
    story.end().await.unwrap();
}

#[tokio::test]
async fn a_page_ends_after_half_an_hour() {
    let story = Story::begin().await.unwrap();
    for (minutes, status) in [(29, 200), (30, 409)] {
        let page = Page::of_owner(&story).await;
        story.system.clock.advance(SignedDuration::from_mins(minutes));
        let answer = page.send(&story, &[&page.boxes[0].0]).await;
        assert_eq!(answer.status, status, "{minutes} minutes: {}", answer.text);
    }
    story.end().await.unwrap();
}

/// Somebody whose issuer knows no workspaces, and the workspace that they made.
async fn founder(story: &Story) -> (String, Member) {
    let issuer = story.system.issuer();
    let known = issuer.claims(WORKSPACE, Role::Viewer, story.system.clock.now()).unwrap();
    let claims = Claims { sub: "auth0|ada".to_owned(), workspace: None, role: None, ..known };
    let token = issuer.sign(&claims).unwrap();
    let body = Some(json!({"name": "Ada"}).to_string());
    let made = story.send(Method::POST, "/v1/workspaces", Some(&token), &[], body).await.unwrap().json();
    let workspace = tenant(made["workspace"].as_str().unwrap()).unwrap();
    let member = story.system.table.members(&workspace).await.unwrap().remove(0);
    (token, member)
}

#[tokio::test]
async fn who_may_not_connect_any_more_chooses_nothing_and_connects_nothing() {
    let story = Story::begin().await.unwrap();
    let (token, ada) = founder(&story).await;
    let workspace = ada.workspace.to_string();
    let table = &story.system.table;
    // So that there is always another owner.
    let other = store::invitation::Invitation {
        workspace: ada.workspace.clone(),
        id: "guest".parse().unwrap(),
        email: "bob@example.com".parse().unwrap(),
        role: Role::Owner,
        invited_by: "ada".to_owned(),
        expires_at: story.system.clock.now() + SignedDuration::from_hours(1),
    };
    table.invite(&other).await.unwrap();
    table.accept(&other, "bob", story.system.clock.now()).await.unwrap();

    let page = Page::open(&story, &workspace, &token).await;
    assert!(page.answer.text.contains("Workspace <strong>Ada</strong>"), "{}", page.answer.text);
    let one = page.boxes[0].0.clone();
    let mut now = ada.clone();
    for role in [Role::Viewer, Role::Editor] {
        table.change_role(&now, role).await.unwrap();
        now.role = role;
        let refused = page.send(&story, &[&one]).await;
        assert_eq!((refused.status.as_u16(), heading(&refused)), (403, "Not allowed"), "{}", refused.text);
        assert!(refused.text.contains("role owner"), "{}", refused.text);
        assert!(selected(&story, &workspace).await.is_empty());
    }
    table.change_role(&now, Role::Owner).await.unwrap();
    now.role = Role::Owner;
    assert_eq!(page.send(&story, &[&one]).await.status, 200);
    assert_eq!(selected(&story, &workspace).await, [one.as_str()]);

    // Taken out while the page is open, and while Meta's dialog is.
    let page = Page::open(&story, &workspace, &token).await;
    let path = format!("/v1/workspaces/{workspace}/connections/meta/authorize");
    let begun = story.send(Method::POST, &path, Some(&token), &[], None).await.unwrap();
    let before = table.connections(&ada.workspace).await.unwrap();
    table.remove_member(&now).await.unwrap();
    let refused = page.send(&story, &[]).await;
    assert_eq!(refused.status, 403);
    assert!(refused.text.contains("no member"), "{}", refused.text);
    assert_eq!(selected(&story, &workspace).await, [one.as_str()]);

    let dialog: Url = begun.json()["authorize_url"].as_str().unwrap().parse().unwrap();
    let callback = story.api().unwrap().press_continue(&dialog).await.unwrap();
    let path = callback.strip_prefix(story.system.url()).unwrap();
    let cookie = cookie_of(&begun);
    let refused = story.send(Method::GET, path, None, &[(COOKIE.as_str(), &cookie)], None).await.unwrap();
    assert_eq!((refused.status.as_u16(), heading(&refused)), (403, "Not allowed"), "{}", refused.text);
    assert_eq!(table.connections(&ada.workspace).await.unwrap(), before);
    story.end().await.unwrap();
}

#[tokio::test]
async fn a_page_whose_connection_is_gone_says_so_and_keeps_nothing_of_its_person() {
    let story = Story::begin().await.unwrap();
    let api = story.api().unwrap();
    let page = Page::of_owner(&story).await;
    let one = page.boxes[0].0.clone();
    let row = items(&story).await.into_iter().find(|item| item["sk"].as_s().unwrap() == "CHOICE").unwrap();
    let row = format!("{row:?}");
    for (account, _) in &page.boxes {
        assert!(!row.contains(account.trim_start_matches("act_")), "{row}");
    }
    assert!(!row.contains(PERSON), "{row}");
    assert!(row.contains("expires"), "the table takes it away: {row}");

    // The person removes the app at Meta.
    story.sim().unwrap().remove_app(PERSON).await.unwrap();
    story.system.runner.settle().await.unwrap();
    let refused = page.send(&story, &[&one]).await;
    assert_eq!((refused.status.as_u16(), heading(&refused)), (409, "The connection to Meta must be renewed"));
    assert!(selected(&story, WORKSPACE).await.is_empty());

    // Removed, while another connection reaches the same ad accounts.
    let page = Page::of_owner(&story).await;
    let sim = story.sim().unwrap();
    let user = sim.hire_system_user("900000000000001");
    let token = json!({"token": sim.issue_system_token(&user, &["ads_read", "business_management"])});
    api.call(Method::POST, "connections/meta/token", Some(&token)).await.unwrap();
    let path = format!("connections/meta-{PERSON}");
    api.call(Method::DELETE, &path, None).await.unwrap();
    let refused = page.send(&story, &[&one]).await;
    assert_eq!(refused.status, 409);
    assert!(refused.text.contains("was removed meanwhile"), "{}", refused.text);
    assert!(selected(&story, WORKSPACE).await.is_empty());

    // It is out of reach by now, and the other one is not.
    let page = Page::of_owner(&story).await;
    let [(one, _), (two, _), _] = &page.boxes[..] else { panic!("{:?}", page.boxes) };
    let workspace = tenant(WORKSPACE).unwrap();
    let connection = format!("meta-{PERSON}").parse().unwrap();
    story.system.table.out_of_reach(&workspace, &one.parse().unwrap(), &connection).await.unwrap();
    let refused = page.send(&story, &[one, two]).await;
    assert_eq!(refused.status, 409);
    assert!(refused.text.contains("not within reach"), "{}", refused.text);
    assert!(selected(&story, WORKSPACE).await.is_empty(), "nothing of it is done");
    assert_eq!(page.send(&story, &[two]).await.status, 200);
    assert_eq!(selected(&story, WORKSPACE).await, [two.as_str()]);
    story.end().await.unwrap();
}

#[tokio::test]
async fn a_choice_that_is_killed_at_any_step_is_made_when_it_is_sent_again() {
    let story = Story::begin().await.unwrap();
    let account = story.account().unwrap();
    // Connected, and one of them is selected, but nothing is mirrored: what there is is put back many times.
    story.api().unwrap().connect().await.unwrap();
    let table = &story.system.table;
    table.select_account(&tenant(WORKSPACE).unwrap(), &account.parse().unwrap(), true).await.unwrap();
    let page = Page::of_owner(&story).await;
    let other = page.boxes.iter().find(|(_, ticked)| !ticked).unwrap().0.clone();
    let request = || {
        let request = Request::post(CHOOSE).header(COOKIE, &page.cookie).header(CONTENT_TYPE, FORM);
        request.body(page.form(&[&other]).into()).unwrap()
    };
    let before = items(&story).await;
    let (whole, calls) = mortal(&story, 0..=0);
    assert_eq!(whole.handle(request()).await.status(), 200);
    let steps = calls.load(Ordering::SeqCst);
    assert!(steps > 10, "{steps} calls");
    let is_done = async || selected(&story, WORKSPACE).await == [other.as_str()];
    assert!(is_done().await);

    let mut unanswered = 0;
    for at in 1..=steps {
        restore(&story, &before).await;
        // The process is gone from this call on.
        let (dies, _) = mortal(&story, at..=i64::MAX);
        let lost = dies.handle(request()).await;
        unanswered += u32::from(lost.status() != 200);
        let (next, _) = mortal(&story, 0..=0);
        let answer = next.handle(request()).await;
        assert_eq!(answer.status(), 200, "killed before call {at} of {steps}: {:?}", answer.body());
        assert!(is_done().await, "killed before call {at} of {steps}");
        assert_eq!(
            next.handle(request()).await.body(),
            answer.body(),
            "sent once more, it is answered alike"
        );
    }
    assert_eq!(i64::from(unanswered), steps, "nobody is told that it is done before it is");
    story.end().await.unwrap();
}

#[tokio::test]
async fn a_page_shows_what_can_be_chosen_however_much_it_is() {
    let story = Story::begin().await.unwrap();
    let sim = story.sim().unwrap();
    let first: Vec<_> = Page::of_owner(&story).await.boxes.into_iter().map(|(id, _)| id).collect();
    sim.change_account(&first[0], json!({"account_status": 2, "disable_reason": 1}));
    sim.change_account(&first[1], json!({"account_status": 3, "name": "<b>Bold</b> & \"brave\""}));
    let page = Page::of_owner(&story).await;
    for text in [
        "no ads can run in it: its ads broke Meta&#39;s policies.",
        "No ads can run in it at the moment.",
        "&lt;b&gt;Bold&lt;/b&gt; &amp; &quot;brave&quot;",
    ] {
        let text = text.replace("&#39;", "'");
        assert!(page.answer.text.contains(&text), "{text}: {}", page.answer.text);
    }
    assert_eq!(page.send(&story, &[&first[0]]).await.status, 200, "it can be synced all the same");

    for n in 0..210 {
        sim.add_account(&MoreAccount {
            id: format!("act_70{n}"),
            name: format!("{n:03}"),
            currency: "EUR".to_owned(),
            timezone: "Europe/Berlin".to_owned(),
            business: None,
            assigned: true,
        });
    }
    let page = Page::of_owner(&story).await;
    assert_eq!(page.boxes.len(), 200);
    assert_eq!((&page.boxes[0].0, page.boxes[0].1), (&first[0], true), "what is synced is never left out");
    assert!(page.answer.text.contains("13 more ad accounts are not on this page"), "{}", page.answer.text);
    // More than the log takes at once.
    let some: Vec<_> = page.boxes.iter().take(60).map(|(id, _)| id.as_str()).collect();
    assert_eq!(page.send(&story, &some).await.status, 200);
    let mut now = selected(&story, WORKSPACE).await;
    now.sort_by_key(|id| some.iter().position(|known| known == id));
    assert_eq!(now, some);
    assert_eq!(selections(&story).await.len(), 2 * 60, "one had its tick before");
    assert_eq!(story.system.table.audit_verify(&tenant(WORKSPACE).unwrap()).await.unwrap().unwrap() % 2, 0);
    story.end().await.unwrap();
}

#[tokio::test]
async fn a_connection_without_ad_accounts_says_what_to_do_and_offers_nothing() {
    let story = Story::begin().await.unwrap();
    for (id, _) in Page::of_owner(&story).await.boxes {
        // Nothing can be done with an ad account of which nobody knows what its days are.
        story.sim().unwrap().change_account(&id, json!({"timezone_name": "Mars/Base"}));
    }
    let page = Page::of_owner(&story).await;
    assert_eq!(heading(&page.answer), "Connected to Meta, without ad accounts");
    assert!(page.boxes.is_empty() && page.cookie.is_empty() && !page.answer.text.contains("<form"));
    assert!(page.answer.text.contains("begin again from the product"), "{}", page.answer.text);
    story.end().await.unwrap();
}
