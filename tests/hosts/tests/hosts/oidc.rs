//! A provider of OpenID Connect that others wrote: its keys are found, its tokens come in, and its rotation is followed.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should stop where it stands"
)]

use std::process::{Command, Stdio};
use std::time::Duration;

use hosts::edge::{PACKAGES, node};
use hosts::process::{Helper, root};
use jiff::SignedDuration;
use runtime::session::{NotVerified, Refused, Role, SessionConfig};
use runtime::{Clock, Sessions};
use serde_json::{Value, json};

/// Its RSA keys take a moment to be made.
const PATIENCE: Duration = Duration::from_secs(60);

async fn token(provider: &mut Helper, alg: &str, claims: &Value) -> String {
    let asked = json!({"do": "token", "alg": alg, "claims": claims});
    let said = provider.ask(&asked, PATIENCE).await.unwrap();
    said["ok"].as_str().unwrap_or_else(|| panic!("{said}")).to_owned()
}

#[tokio::test]
#[ignore = "run by cargo xtask hosts"]
async fn tokens_of_a_provider_that_others_wrote_come_in_until_it_changes_its_keys() {
    let mut command = Command::new(node());
    command.arg(root().join("tests/hosts/node/oidc.mjs")).arg(root().join(PACKAGES)).stderr(Stdio::null());
    let mut provider = Helper::start("the provider", command).unwrap();
    let issuer = provider.hear(PATIENCE).await.unwrap()["issuer"].as_str().unwrap().to_owned();
    let trust = |issuer: &str, audience: &str| {
        let (issuer, audience) = (issuer.to_owned(), audience.to_owned());
        Sessions::new(SessionConfig { issuer, audience, algorithms: None, jwks: None, trusts_claims: true })
            .unwrap()
    };
    let (sessions, clock) = (trust(&issuer, "adflight"), Clock::system());
    let claims = json!({
        "workspace": "demo", "role": "editor", "email": "Ana@Example.com", "email_verified": true,
    });
    let mut before = Vec::new();
    for alg in ["EdDSA", "ES256", "RS256"] {
        let token = token(&mut provider, alg, &claims).await;
        let person =
            sessions.verify(&token, clock.now()).await.unwrap_or_else(|why| panic!("{alg}: {why:?}"));
        assert_eq!(person.subject, "machine");
        assert_eq!(person.verified_email.map(String::from).as_deref(), Some("ana@example.com"));
        let (workspace, role) = person.claimed.unwrap();
        assert_eq!((workspace.as_str(), role), ("demo", Role::Editor));
        before.push(token);
    }
    let nobody = token(&mut provider, "ES256", &json!({})).await;
    assert_eq!(sessions.verify(&nobody, clock.now()).await.unwrap().claimed, None);
    // Another audience's is not ours, and neither is one of this provider when another is trusted.
    let refused = trust(&issuer, "elsewhere").verify(&nobody, clock.now()).await;
    assert_eq!(refused, Err(NotVerified::Refused(Refused::Audience)));
    let refused = trust(&format!("{issuer}/"), "adflight").verify(&nobody, clock.now()).await;
    assert_eq!(refused, Err(NotVerified::IssuerOutOfReach), "it says of itself that it is another one");

    assert!(provider.ask(&json!({"do": "rotate"}), PATIENCE).await.unwrap()["ok"].is_null());
    clock.advance(SignedDuration::from_secs(10));
    for alg in ["EdDSA", "ES256", "RS256"] {
        let token = token(&mut provider, alg, &claims).await;
        assert!(sessions.verify(&token, clock.now()).await.is_ok(), "{alg} by its new key");
    }
    for token in &before {
        let refused = sessions.verify(token, clock.now()).await;
        assert_eq!(refused, Err(NotVerified::Refused(Refused::UnknownKey)));
    }
    provider.stop().await.unwrap();
}
