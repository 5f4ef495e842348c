//! A third-party OpenID Connect provider: its keys are discovered, its tokens are accepted, and its rotation is
//! followed.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should stop where it stands"
)]

use std::process::{Command, Stdio};
use std::time::Duration;

use hosts::edge::{NODE_MODULES, node_binary};
use hosts::process::{ChildProgram, root};
use jiff::SignedDuration;
use runtime::session::{Role, SessionConfig, TokenError, VerifyError};
use runtime::{Clock, SessionVerifier};
use serde_json::{Value, json};

/// The provider takes a moment to generate its RSA keys.
const PROVIDER_TIMEOUT: Duration = Duration::from_secs(60);

async fn token(provider: &mut ChildProgram, alg: &str, claims: &Value) -> String {
    let request = json!({"do": "token", "alg": alg, "claims": claims});
    let said = provider.request(&request, PROVIDER_TIMEOUT).await.unwrap();
    said["ok"].as_str().unwrap_or_else(|| panic!("{said}")).to_owned()
}

#[tokio::test]
#[ignore = "run by cargo xtask hosts"]
async fn tokens_of_a_third_party_provider_are_accepted_until_it_rotates_its_keys() {
    let mut command = Command::new(node_binary());
    command
        .arg(root().join("tests/hosts/node/oidc.mjs"))
        .arg(root().join(NODE_MODULES))
        .stderr(Stdio::null());
    let mut provider = ChildProgram::start("the provider", command).unwrap();
    let issuer = provider.receive(PROVIDER_TIMEOUT).await.unwrap()["issuer"].as_str().unwrap().to_owned();
    let trust = |issuer: &str, audience: &str| {
        let (issuer, audience) = (issuer.to_owned(), audience.to_owned());
        SessionVerifier::new(SessionConfig {
            issuer,
            audience,
            algorithms: None,
            jwks: None,
            trust_role_claims: true,
        })
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
        let (workspace, role) = person.claimed_role.unwrap();
        assert_eq!((workspace.as_str(), role), ("demo", Role::Editor));
        before.push(token);
    }
    let nobody = token(&mut provider, "ES256", &json!({})).await;
    assert_eq!(sessions.verify(&nobody, clock.now()).await.unwrap().claimed_role, None);
    // A token for another audience is refused, and so is one of this provider when another one is trusted.
    let refused = trust(&issuer, "elsewhere").verify(&nobody, clock.now()).await;
    assert_eq!(refused, Err(VerifyError::InvalidToken(TokenError::Audience)));
    let refused = trust(&format!("{issuer}/"), "adflight").verify(&nobody, clock.now()).await;
    assert_eq!(refused, Err(VerifyError::IssuerUnavailable), "it says of itself that it is another one");

    assert!(provider.request(&json!({"do": "rotate"}), PROVIDER_TIMEOUT).await.unwrap()["ok"].is_null());
    clock.advance(SignedDuration::from_secs(10));
    for alg in ["EdDSA", "ES256", "RS256"] {
        let token = token(&mut provider, alg, &claims).await;
        assert!(sessions.verify(&token, clock.now()).await.is_ok(), "{alg} by its new key");
    }
    for token in &before {
        let refused = sessions.verify(token, clock.now()).await;
        assert_eq!(refused, Err(VerifyError::InvalidToken(TokenError::UnknownKey)));
    }
    provider.stop().await.unwrap();
}
