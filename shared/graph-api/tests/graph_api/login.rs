//! A person authorizes the app, selects accounts, and revokes access.

use std::time::Duration;

use graph_api::GraphError;
use graph_api::account::AccessPath;
use graph_api::oauth::{AuthorizationRequest, SCOPES, TokenKind};
use graph_api::signed_request;
use graph_sim::{LOGIN_USER_ID, NewAccount, TokenState};
use secrecy::{ExposeSecret, SecretString};

use crate::support::{APP_ID, Meta, SECRET};

const HOME: &str = "http://127.0.0.1:9/callback";
const DAY: u64 = 24 * 3600;

/// Returns the code of Meta's dialog after a person presses "Continue" with these choices.
async fn code(meta: &Meta, request: AuthorizationRequest<'_>, choices: &str) -> String {
    let dialog = meta.graph.authorize_url(HOME, "a state", request);
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let page = http.get(&dialog).send().await.unwrap().text().await.unwrap();
    let hidden = page.split("<input type=\"hidden\" name=\"").skip(1).map(|input| {
        let (name, rest) = input.split_once("\" value=\"").unwrap();
        format!("{name}={}", rest.split_once('"').unwrap().0)
    });
    let form: Vec<_> = hidden.collect();
    let decision = format!("{}/dialog/oauth/decision", meta.sim.base_url());
    let post = http.post(decision).header("content-type", "application/x-www-form-urlencoded");
    let answer = post.body(format!("{}&decision=continue{choices}", form.join("&"))).send().await.unwrap();
    let back = answer.headers()["location"].to_str().unwrap().to_owned();
    assert!(back.starts_with(HOME) && back.contains("state=a"), "{back}");
    back.split_once("code=").unwrap().1.split('&').next().unwrap().to_owned()
}

/// Returns the long-lived token of such a login.
async fn token(meta: &Meta, request: AuthorizationRequest<'_>, choices: &str) -> SecretString {
    let short = meta.graph.exchange_code(&code(meta, request, choices).await, HOME).await.unwrap();
    meta.graph.extend(&short.access_token).await.unwrap().access_token
}

#[tokio::test]
async fn a_code_becomes_a_token_of_sixty_days() {
    let meta = Meta::start().await;
    let code = code(&meta, AuthorizationRequest::Scopes(&SCOPES), "").await;
    let short = meta.graph.exchange_code(&code, HOME).await.unwrap();
    assert!(
        matches!(meta.graph.exchange_code(&code, HOME).await, Err(GraphError::InvalidInput(_))),
        "once only"
    );
    let long = meta.graph.extend(&short.access_token).await.unwrap();
    assert!(long.expires_in.unwrap() > 50 * 24 * 3600);
    let facts = meta.graph.debug_token(&long.access_token).await.unwrap();
    assert!(facts.is_valid && facts.invalid_reason().is_none());
    assert_eq!((facts.app_id.as_str(), facts.kind), (APP_ID, TokenKind::User));
    assert_eq!(facts.selected_accounts(), None, "every account, now and later");
    let caller = meta.graph.on_behalf_of(long.access_token);
    let granted = caller.permissions().await.unwrap().granted;
    assert!(SCOPES.iter().all(|scope| granted.iter().any(|granted| granted == scope)), "{granted:?}");
    let accounts = caller.accessible_accounts().await.unwrap().accounts;
    assert!(accounts.iter().any(|accessible| accessible.id == meta.account()));
}

#[tokio::test]
async fn a_renewed_token_has_a_new_end_but_no_new_consent() {
    let meta = Meta::start().await;
    let first = token(&meta, AuthorizationRequest::Scopes(&SCOPES), "").await;
    let before = meta.graph.debug_token(&first).await.unwrap();
    meta.clock.pass(Duration::from_secs(55 * DAY));
    let second = meta.graph.extend(&first).await.unwrap().access_token;
    let after = meta.graph.debug_token(&second).await.unwrap();
    assert!(after.expires_at > before.expires_at + 50 * 24 * 3600);
    assert_eq!(after.data_access_expires_at, before.data_access_expires_at, "the other clock runs on");
    meta.clock.pass(Duration::from_secs(6 * DAY));
    let late = meta.graph.extend(&first).await;
    assert!(matches!(late, Err(GraphError::Reconnect(details)) if details.subcode == Some(463)));
    let dead = meta.graph.debug_token(&first).await.unwrap();
    assert!(
        matches!(dead.invalid_reason(), Some(GraphError::Reconnect(details)) if details.subcode == Some(463))
    );
}

#[tokio::test]
async fn what_was_declined_is_named_and_is_asked_for_only_when_asked_again() {
    let meta = Meta::start().await;
    let of = async |request, choices| {
        let caller = meta.graph.on_behalf_of(token(&meta, request, choices).await);
        caller.permissions().await.unwrap()
    };
    let permissions = of(AuthorizationRequest::Scopes(&SCOPES), "&declined=ads_management").await;
    assert_eq!(permissions.declined, ["ads_management"]);
    assert!(!permissions.granted.contains(&"ads_management".to_owned()));
    let permissions = of(AuthorizationRequest::Scopes(&SCOPES), "").await;
    assert_eq!(permissions.declined, ["ads_management"], "the dialog does not show it any more");
    let permissions = of(AuthorizationRequest::Rerequest(&SCOPES), "").await;
    assert!(permissions.declined.is_empty() && permissions.granted.contains(&"ads_management".to_owned()));
    let before = token(&meta, AuthorizationRequest::Scopes(&SCOPES), "").await;
    meta.sim.expire_permission(LOGIN_USER_ID, "ads_read");
    let permissions = meta.graph.on_behalf_of(before).permissions().await.unwrap();
    assert_eq!(permissions.expired, ["ads_read"]);
}

#[tokio::test]
async fn only_the_accounts_that_the_person_chose_are_seen() {
    let meta = Meta::start().await;
    let chosen = "act_1000000000000072";
    let token = token(&meta, AuthorizationRequest::Scopes(&SCOPES), &format!("&accounts={chosen}")).await;
    let facts = meta.graph.debug_token(&token).await.unwrap();
    assert_eq!(facts.selected_accounts().unwrap().into_iter().collect::<Vec<_>>(), [chosen.parse().unwrap()]);
    let accounts = meta.graph.on_behalf_of(token).accessible_accounts().await.unwrap().accounts;
    assert_eq!(accounts.len(), 1);
    assert_eq!(accounts[0].id.to_string(), chosen);
}

#[tokio::test]
async fn a_configuration_lets_in_a_system_user_that_never_expires() {
    let meta = Meta::start().await;
    let request = AuthorizationRequest::Configuration { id: "77", system_user: true };
    let url = meta.graph.authorize_url(HOME, "s", request);
    assert!(url.contains("config_id=77") && url.contains("override_default_response_type=true"), "{url}");
    assert!(!url.contains("scope="), "{url}");
    let token = meta.graph.exchange_code(&code(&meta, request, "").await, HOME).await.unwrap();
    assert_eq!(token.expires_in, None);
    let facts = meta.graph.debug_token(&token.access_token).await.unwrap();
    assert_eq!((facts.kind, facts.expires_at), (TokenKind::SystemUser, 0));
    let person = meta.graph.authorize_url(
        HOME,
        "s",
        AuthorizationRequest::Configuration { id: "7", system_user: false },
    );
    assert!(!person.contains("override_default_response_type"), "{person}");
}

#[tokio::test]
async fn a_system_users_sixty_days_are_renewed_and_one_without_an_end_keeps_none() {
    let meta = Meta::start().await;
    let home = meta.caller().businesses().await.unwrap().remove(0);
    let user = meta.sim.create_system_user(&home.id);
    let path = format!("{}/system_user_access_tokens", home.id);
    let params = [
        ("system_user_id", user.as_str()),
        ("scope", "ads_read,ads_management,business_management"),
        ("set_token_expires_in_60_days", "true"),
    ];
    let made: serde_json::Value = meta.caller().create(&path, &params).await.unwrap();
    let first = SecretString::from(made["access_token"].as_str().unwrap());
    let before = meta.graph.debug_token(&first).await.unwrap();
    assert_eq!((before.kind, before.data_access_expires_at), (TokenKind::SystemUser, 0));
    meta.clock.pass(Duration::from_secs(50 * DAY));
    let second = meta.graph.extend_system_user(&first).await.unwrap().access_token;
    let after = meta.graph.debug_token(&second).await.unwrap();
    assert_eq!(after.expires_at - before.expires_at, 50 * 24 * 3600);
    let endless = meta.sim.issue_system_token(&user, &["ads_read"]).into();
    assert_eq!(meta.graph.extend(&endless).await.unwrap().expires_in, None);
}

/// Adds a business with an account of its own, and a partner with two accounts that shares one of them. Returns the
/// own, the shared and the unshared account.
fn partners(meta: &Meta) -> [String; 3] {
    meta.sim.add_business("700", "Agency");
    meta.sim.add_business("800", "Client of the agency");
    let more = |id: &str, business: &str| {
        meta.sim.add_account(&NewAccount {
            id: id.to_owned(),
            name: format!("Account {id}"),
            currency: "EUR".to_owned(),
            timezone: "Europe/Berlin".to_owned(),
            business: Some(business.to_owned()),
            assigned: false,
        });
        id.to_owned()
    };
    let accounts = [more("act_71", "700"), more("act_81", "800"), more("act_82", "800")];
    meta.sim.share_account("act_81", "700");
    accounts
}

#[tokio::test]
async fn a_system_user_has_access_to_its_own_business_and_what_partners_share_and_nothing_else() {
    let meta = Meta::start().await;
    let [own, shared, foreign] = partners(&meta);
    let user = meta.sim.create_system_user("700");
    meta.sim.update_account(&shared, serde_json::json!({"account_status": 2, "disable_reason": 3}));
    meta.sim.set_tasks(&user, &shared, &["ANALYZE"]);
    let scopes = ["ads_read", "ads_management", "business_management"];
    let caller = meta.graph.on_behalf_of(meta.sim.issue_system_token(&user, &scopes).into());
    let found = caller.accessible_accounts().await.unwrap().accounts;
    let ways: Vec<_> =
        found.iter().map(|found| (found.id.to_string(), found.details.access_paths.as_slice())).collect();
    let [(first, [AccessPath::Owned { business }]), (second, [AccessPath::Client { business: through }])] =
        ways.as_slice()
    else {
        panic!("{ways:?}")
    };
    assert_eq!((first, second), (&own, &shared));
    assert_eq!((business.id.as_str(), through.id.as_str()), ("700", "700"));
    let partners = &found[1].details;
    assert_eq!(partners.business.as_ref().unwrap().name.as_deref(), Some("Client of the agency"));
    assert_eq!((partners.account_status, partners.disable_reason), (Some(2), Some(3)));
    assert_eq!(partners.tasks, ["ANALYZE"]);
    let refused = caller.get::<serde_json::Value>(&foreign, &[("fields", "id")]).await;
    assert!(matches!(refused, Err(GraphError::NotFound(_))));
    let elsewhere = caller.get::<serde_json::Value>("800/owned_ad_accounts", &[]).await;
    assert!(matches!(elsewhere, Err(GraphError::NotFound(_))));
}

#[tokio::test]
async fn an_account_accessible_in_several_ways_is_listed_once_over_all_pages() {
    let meta = Meta::start().await;
    for number in 0..130 {
        meta.sim.add_account(&NewAccount {
            id: format!("act_5{number:04}"),
            name: "One of many".to_owned(),
            currency: "USD".to_owned(),
            timezone: "America/New_York".to_owned(),
            business: Some("900000000000001".to_owned()),
            assigned: true,
        });
    }
    let all = meta.caller().accessible_accounts().await.unwrap().accounts;
    let few = meta.caller().accessible_accounts_up_to(all.len()).await.unwrap();
    assert_eq!(few.unwrap().accounts.len(), all.len());
    assert!(meta.caller().accessible_accounts_up_to(all.len() - 1).await.unwrap().is_none());
    assert_eq!(all.len(), 133);
    assert!(
        all.iter().all(|found| found.details.access_paths.len() == 2
            && found.details.access_paths[0] == AccessPath::Assigned),
        "{all:?}"
    );
    // Without `business_management` only assigned accounts are listed.
    let less = meta.graph.on_behalf_of(meta.sim.issue_token("7", &["ads_read"]).into());
    let less = less.accessible_accounts().await.unwrap().accounts;
    assert_eq!(less.len(), 133);
    assert!(less.iter().all(|found| found.details.access_paths == [AccessPath::Assigned]));
}

#[tokio::test]
async fn a_system_user_cannot_name_its_partner_as_the_one_that_benefits() {
    let meta = Meta::start().await;
    let [_, shared, _] = partners(&meta);
    let user = meta.sim.create_system_user("700");
    let scopes = ["ads_read", "ads_management", "business_management"];
    let caller = meta.graph.on_behalf_of(meta.sim.issue_system_token(&user, &scopes).into());
    let campaign: serde_json::Value = caller
        .create(
            &format!("{shared}/campaigns"),
            &[
                ("name", "For the partner"),
                ("objective", "OUTCOME_TRAFFIC"),
                ("status", "PAUSED"),
                ("special_ad_categories", "[]"),
                ("daily_budget", "5000"),
                ("bid_strategy", "LOWEST_COST_WITHOUT_CAP"),
            ],
        )
        .await
        .unwrap();
    let ad_set = async |beneficiary: &str| {
        let targeting =
            r#"{"geo_locations":{"countries":["DE"]},"targeting_automation":{"advantage_audience":1}}"#;
        let params = [
            ("name", "Germany"),
            ("campaign_id", campaign["id"].as_str().unwrap()),
            ("billing_event", "IMPRESSIONS"),
            ("optimization_goal", "LINK_CLICKS"),
            ("status", "PAUSED"),
            ("targeting", targeting),
            ("dsa_payor", "Agency"),
            ("dsa_beneficiary", beneficiary),
        ];
        caller.create::<serde_json::Value>(&format!("{shared}/adsets"), &params).await
    };
    let refused = ad_set("client of the agency ").await.unwrap_err();
    let GraphError::InvalidInput(details) = &refused else { panic!("{refused:?}") };
    assert_eq!(
        (details.subcode, details.blamed_fields.as_slice()),
        (Some(3858081), &["dsa_beneficiary".to_owned()][..])
    );
    ad_set("Agency").await.unwrap();
}

#[tokio::test]
async fn a_deauthorization_comes_as_a_signed_request_that_the_client_verifies() {
    let meta = Meta::start().await;
    let token = token(&meta, AuthorizationRequest::Scopes(&SCOPES), "").await;
    assert!(!token.expose_secret().is_empty());
    let request = meta.sim.signed_request(LOGIN_USER_ID);
    let verified = signed_request::verify(&[&SECRET.into()], &request, meta.clock.now()).unwrap();
    assert_eq!(verified.user.as_str(), LOGIN_USER_ID);
    assert!(signed_request::verify(&[&"another".into()], &request, meta.clock.now()).is_err());
    assert_eq!(meta.sim.remove_app(LOGIN_USER_ID).await, None, "nobody wants to hear of it");
    assert!(!meta.graph.debug_token(&token).await.unwrap().is_valid);
}

#[tokio::test]
async fn a_revoked_token_is_known_to_be_invalid() {
    let meta = Meta::start().await;
    let caller = meta.caller();
    assert!(caller.is_token_valid().await.unwrap());
    meta.sim.set_token_state(&meta.token, TokenState::Revoked);
    assert!(!caller.is_token_valid().await.unwrap());
    let account = meta.account().to_string();
    let refused = caller.get::<serde_json::Value>(&account, &[("fields", "id")]).await;
    assert!(matches!(refused, Err(GraphError::Reconnect(details)) if details.subcode == Some(458)));
}
