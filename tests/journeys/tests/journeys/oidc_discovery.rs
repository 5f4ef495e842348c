//! The issuer publishes its keys, rotates them, and becomes unavailable.

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use journeys::issuer::{IssuerBehavior, OidcIssuer, SigningKey};
use runtime::SessionVerifier;
use runtime::session::{SessionConfig, TokenError, VerifyError};
use serde_json::json;

const UNKNOWN_KEY: Result<(), VerifyError> = Err(VerifyError::InvalidToken(TokenError::UnknownKey));
const ISSUER_UNAVAILABLE: Result<(), VerifyError> = Err(VerifyError::IssuerUnavailable);

/// An issuer, a verifier that trusts it, and a simulated clock.
struct Fixture {
    issuer: OidcIssuer,
    sessions: SessionVerifier,
    now: Timestamp,
}

impl Fixture {
    async fn new() -> Self {
        let issuer = OidcIssuer::start().await.unwrap();
        let sessions = SessionVerifier::new(issuer.config()).unwrap();
        Self { issuer, sessions, now: "2026-11-20T04:00:00Z".parse().unwrap() }
    }

    fn token(&self, key: &SigningKey) -> String {
        let header = json!({"alg": key.public["alg"], "kid": key.id});
        let claims = json!({
            "iss": self.issuer.url(), "aud": "adflight", "sub": "p1", "exp": self.now.as_second() + 3600,
        });
        key.sign(header.to_string().as_bytes(), claims.to_string().as_bytes()).unwrap()
    }

    async fn verify(&self, key: &SigningKey) -> Result<(), VerifyError> {
        let token = self.token(key);
        self.sessions.verify(&token, self.now).await.map(|person| assert_eq!(person.subject, "p1"))
    }

    fn advance(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }
}

#[tokio::test]
async fn keys_are_fetched_from_the_issuers_jwks_uri_and_cached() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.issuer.request_count(), 0, "nothing is asked at the start");
    for id in ["ed", "ec", "rsa", "ed"] {
        assert_eq!(fixture.verify(&fixture.issuer.key(id).unwrap()).await, Ok(()), "{id}");
    }
    assert_eq!(fixture.issuer.request_count(), 2);
}

#[tokio::test]
async fn a_hundred_concurrent_requests_share_one_fetch() {
    let fixture = Fixture::new().await;
    fixture.issuer.set_behavior(IssuerBehavior::Hangs);
    let key = fixture.issuer.key("ed").unwrap();
    let all = join_all((0..100).map(|_| fixture.verify(&key)));
    let recover = async {
        while fixture.issuer.request_count() == 0 {
            tokio::task::yield_now().await;
        }
        fixture.issuer.set_behavior(IssuerBehavior::Normal);
    };
    let (all, ()) = futures_util::future::join(all, recover).await;
    assert_eq!(all, vec![Ok(()); 100]);
    assert_eq!(fixture.issuer.request_count(), 2);
}

#[tokio::test]
async fn a_new_key_is_fetched_and_unknown_keys_cause_no_request_storm() {
    let mut fixture = Fixture::new().await;
    let (ed, new) = (fixture.issuer.key("ed").unwrap(), SigningKey::ed("new", 2).unwrap());
    assert_eq!(fixture.verify(&ed).await, Ok(()));
    fixture.issuer.rotate(&[ed.clone(), new.clone()]);
    for seconds in [0, 3, 6] {
        fixture.advance(seconds);
        assert_eq!(fixture.verify(&new).await, UNKNOWN_KEY, "not yet again");
        assert_eq!(fixture.issuer.request_count(), 2);
    }
    fixture.advance(1);
    assert_eq!(fixture.verify(&new).await, Ok(()));
    assert_eq!(fixture.issuer.request_count(), 4);
    // A minute of forged tokens, ten requests a second.
    let forged: Vec<_> = (0..600).map(|n| SigningKey::ed(&format!("forged-{n}"), 3).unwrap()).collect();
    for (n, forged) in forged.iter().enumerate() {
        if n % 10 == 0 {
            fixture.advance(1);
        }
        assert_eq!(fixture.verify(forged).await, UNKNOWN_KEY);
    }
    assert_eq!(fixture.issuer.request_count(), 4 + 2 * 6);
    assert_eq!(fixture.verify(&new).await, Ok(()));
}

#[tokio::test]
async fn a_withdrawn_key_ends_within_fifteen_minutes_and_blocks_no_other_request() {
    let mut fixture = Fixture::new().await;
    let (old, new) = (fixture.issuer.key("ed").unwrap(), SigningKey::ed("new", 2).unwrap());
    assert_eq!(fixture.verify(&old).await, Ok(()));
    fixture.issuer.rotate(std::slice::from_ref(&new));
    fixture.advance(14 * 60 + 59);
    assert_eq!((fixture.verify(&old).await, fixture.issuer.request_count()), (Ok(()), 2));
    fixture.advance(1);
    assert_eq!((fixture.verify(&old).await, fixture.issuer.request_count()), (UNKNOWN_KEY, 4));
    assert_eq!((fixture.verify(&new).await, fixture.issuer.request_count()), (Ok(()), 4));

    // While one request refreshes the keys, the others use the known ones.
    fixture.advance(15 * 60);
    fixture.issuer.set_behavior(IssuerBehavior::Hangs);
    let refresh = fixture.verify(&new);
    let others = async {
        while fixture.issuer.request_count() == 4 {
            tokio::task::yield_now().await;
        }
        for _ in 0..10 {
            assert_eq!(fixture.verify(&new).await, Ok(()));
        }
        fixture.issuer.set_behavior(IssuerBehavior::Normal);
    };
    assert_eq!(futures_util::future::join(refresh, others).await.0, Ok(()));
    assert_eq!(fixture.issuer.request_count(), 6);
}

#[tokio::test]
async fn known_keys_work_while_the_issuer_is_unavailable() {
    let mut fixture = Fixture::new().await;
    let (known, new) = (fixture.issuer.key("ed").unwrap(), SigningKey::ed("new", 2).unwrap());
    fixture.issuer.set_behavior(IssuerBehavior::Status(503));
    // Without keys no session can be rejected as invalid, and the issuer is not asked more often because of that.
    for _ in 0..5 {
        assert_eq!(fixture.verify(&known).await, ISSUER_UNAVAILABLE);
    }
    assert_eq!(fixture.issuer.request_count(), 1);
    fixture.issuer.set_behavior(IssuerBehavior::Normal);
    fixture.advance(10);
    assert_eq!(fixture.verify(&known).await, Ok(()));

    fixture.issuer.set_behavior(IssuerBehavior::Status(500));
    for _ in 0..4 {
        fixture.advance(6 * 60 * 60);
        assert_eq!(fixture.verify(&known).await, Ok(()));
        assert_eq!(fixture.verify(&new).await, ISSUER_UNAVAILABLE, "it may be a new key");
    }
    fixture.issuer.rotate(std::slice::from_ref(&new));
    fixture.issuer.set_behavior(IssuerBehavior::Normal);
    fixture.advance(10);
    assert_eq!(fixture.verify(&known).await, UNKNOWN_KEY);
    assert_eq!(fixture.verify(&new).await, Ok(()));
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_stop_the_refresh() {
    let mut fixture = Fixture::new().await;
    let (ed, new) = (fixture.issuer.key("ed").unwrap(), SigningKey::ed("new", 2).unwrap());
    assert_eq!(fixture.verify(&ed).await, Ok(()));
    fixture.issuer.rotate(std::slice::from_ref(&new));
    fixture.advance(-3 * 60 * 60);
    assert_eq!(fixture.verify(&new).await, Ok(()));
}

#[tokio::test]
async fn metadata_of_another_issuer_is_rejected() {
    let other = OidcIssuer::start().await.unwrap();
    let mut fixture = Fixture::new().await;
    let url = fixture.issuer.url();
    let key = fixture.issuer.key("ed").unwrap();
    for issuer in [format!("{url}/"), url.to_uppercase(), other.url(), String::new()] {
        fixture.issuer.set_metadata("issuer", json!(issuer));
        fixture.advance(10);
        assert_eq!(fixture.verify(&key).await, ISSUER_UNAVAILABLE, "{issuer}");
    }
    fixture.issuer.set_metadata("issuer", json!(url));
    // Most of these would lead to the keys, if they were followed.
    let somebody = url.replace("//", "//somebody:secret@");
    let (any, part) = (url.replace("127.0.0.1", "0.0.0.0"), format!("{url}/keys#keys"));
    for jwks_uri in
        [&format!("{any}/keys"), &format!("{somebody}/keys"), &part, "file:///etc/passwd", "/keys", ""]
    {
        fixture.issuer.set_metadata("jwks_uri", json!(jwks_uri));
        fixture.advance(10);
        assert_eq!(fixture.verify(&key).await, ISSUER_UNAVAILABLE, "{jwks_uri}");
    }
    fixture.issuer.set_metadata("jwks_uri", json!(format!("{url}/keys")));
    for behavior in [
        IssuerBehavior::Redirects(other.url()),
        IssuerBehavior::EndlessBody,
        IssuerBehavior::Status(201),
        IssuerBehavior::Status(404),
    ] {
        fixture.issuer.set_behavior(behavior.clone());
        fixture.advance(10);
        assert_eq!(fixture.verify(&key).await, ISSUER_UNAVAILABLE, "{behavior:?}");
    }
    assert_eq!(other.request_count(), 0, "nobody followed");
    fixture.issuer.set_behavior(IssuerBehavior::Normal);
    fixture.advance(10);
    assert_eq!(fixture.verify(&key).await, Ok(()), "with everything as it should be");
}

#[tokio::test]
async fn keys_that_cannot_sign_sessions_are_left_out() {
    let mut fixture = Fixture::new().await;
    let ed = fixture.issuer.key("ed").unwrap();
    for (name, value) in [("use", json!("enc")), ("key_ops", json!(["encrypt"])), ("alg", json!("ES256"))] {
        let mut unfit = SigningKey::ed("unfit", 4).unwrap();
        unfit.public[name] = value;
        fixture.issuer.rotate(&[ed.clone(), unfit.clone()]);
        fixture.advance(10);
        assert_eq!(fixture.verify(&unfit).await, UNKNOWN_KEY, "{name}");
    }
    let fit = SigningKey::ed("fit", 4).unwrap();
    let (mut modest, mut short, mut nonsense) = (fit.clone(), ed.clone(), ed);
    (modest.public["use"], modest.public["alg"]) = (json!(null), json!(null));
    short.public = json!({"kty": "RSA", "kid": "ed", "alg": "RS256", "e": "AQAB", "n": "wVd0".repeat(40)});
    nonsense.public = json!("?");
    fixture.issuer.rotate(&[short.clone(), nonsense, modest]);
    fixture.advance(10);
    assert_eq!(fixture.verify(&fit).await, Ok(()), "a key need not say what it is for");
    assert_eq!(fixture.verify(&short).await, UNKNOWN_KEY, "a key of 960 bits");
}

#[test]
fn a_deployment_with_an_unusable_session_configuration_does_not_start() {
    let of = |issuer: &str| SessionConfig {
        issuer: issuer.to_owned(),
        audience: "adflight".to_owned(),
        algorithms: None,
        jwks: None,
        trust_role_claims: true,
    };
    for issuer in [
        "",
        "adflight",
        "http://login.example.com",
        "ftp://login.example.com",
        "https://a@b/",
        "https://a/?b",
    ] {
        assert!(SessionVerifier::new(of(issuer)).is_err(), "{issuer}");
    }
    for issuer in ["https://login.example.com", "https://login.example.com/tenant/", "http://localhost:9"] {
        SessionVerifier::new(of(issuer)).unwrap();
    }
    let with = |algorithms: &str| {
        let algorithms = Some(algorithms.to_owned());
        SessionVerifier::new(SessionConfig { algorithms, ..of("https://login.example.com") })
    };
    for algorithms in ["HS256", "none", "EdDSA,HS256", "eddsa", "", "RS256;ES256"] {
        let refused = with(algorithms).unwrap_err().to_string();
        assert!(refused.contains("must be of EdDSA, ES256,"), "{refused}");
    }
    with("PS512, ES384").unwrap();
    for jwks in
        ["", "{}", r#"{"keys":[]}"#, r#"{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"a","alg":"HS256"}]}"#]
    {
        let jwks = Some(jwks.to_owned());
        assert!(SessionVerifier::new(SessionConfig { jwks, ..of("anything") }).is_err());
    }
}
