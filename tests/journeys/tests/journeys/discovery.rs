//! The issuer publishes its keys, changes them, and goes out of reach.

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use journeys::issuer::{Mood, OidcIssuer, SigningKey};
use runtime::Sessions;
use runtime::session::{NotVerified, Refused, SessionConfig};
use serde_json::json;

const UNKNOWN: Result<(), NotVerified> = Err(NotVerified::Refused(Refused::UnknownKey));
const OUT_OF_REACH: Result<(), NotVerified> = Err(NotVerified::IssuerOutOfReach);

/// An issuer, somebody who trusts it, and a time that passes when it is told to.
struct Stage {
    issuer: OidcIssuer,
    sessions: Sessions,
    now: Timestamp,
}

impl Stage {
    async fn new() -> Self {
        let issuer = OidcIssuer::start().await.unwrap();
        let sessions = Sessions::new(issuer.config()).unwrap();
        Self { issuer, sessions, now: "2026-11-20T04:00:00Z".parse().unwrap() }
    }

    fn token(&self, key: &SigningKey) -> String {
        let header = json!({"alg": key.public["alg"], "kid": key.id});
        let claims = json!({
            "iss": self.issuer.url(), "aud": "adflight", "sub": "p1", "exp": self.now.as_second() + 3600,
        });
        key.sign(header.to_string().as_bytes(), claims.to_string().as_bytes()).unwrap()
    }

    async fn verify(&self, key: &SigningKey) -> Result<(), NotVerified> {
        let token = self.token(key);
        self.sessions.verify(&token, self.now).await.map(|person| assert_eq!(person.subject, "p1"))
    }

    fn pass(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }
}

#[tokio::test]
async fn keys_are_found_where_the_issuer_says_and_kept() {
    let stage = Stage::new().await;
    assert_eq!(stage.issuer.asked(), 0, "nothing is asked at the start");
    for id in ["ed", "ec", "rsa", "ed"] {
        assert_eq!(stage.verify(&stage.issuer.key(id).unwrap()).await, Ok(()), "{id}");
    }
    assert_eq!(stage.issuer.asked(), 2);
}

#[tokio::test]
async fn a_hundred_requests_at_once_share_one_question() {
    let stage = Stage::new().await;
    stage.issuer.is(Mood::Silent);
    let key = stage.issuer.key("ed").unwrap();
    let all = join_all((0..100).map(|_| stage.verify(&key)));
    let speak = async {
        while stage.issuer.asked() == 0 {
            tokio::task::yield_now().await;
        }
        stage.issuer.is(Mood::Well);
    };
    let (all, ()) = futures_util::future::join(all, speak).await;
    assert_eq!(all, vec![Ok(()); 100]);
    assert_eq!(stage.issuer.asked(), 2);
}

#[tokio::test]
async fn a_new_key_is_asked_for_and_an_invented_one_makes_no_storm() {
    let mut stage = Stage::new().await;
    let (ed, new) = (stage.issuer.key("ed").unwrap(), SigningKey::ed("new", 2).unwrap());
    assert_eq!(stage.verify(&ed).await, Ok(()));
    stage.issuer.rotate(&[ed.clone(), new.clone()]);
    for seconds in [0, 3, 6] {
        stage.pass(seconds);
        assert_eq!(stage.verify(&new).await, UNKNOWN, "not yet again");
        assert_eq!(stage.issuer.asked(), 2);
    }
    stage.pass(1);
    assert_eq!(stage.verify(&new).await, Ok(()));
    assert_eq!(stage.issuer.asked(), 4);
    // A minute under fire, ten requests a second.
    let forged: Vec<_> = (0..600).map(|n| SigningKey::ed(&format!("forged-{n}"), 3).unwrap()).collect();
    for (n, forged) in forged.iter().enumerate() {
        if n % 10 == 0 {
            stage.pass(1);
        }
        assert_eq!(stage.verify(forged).await, UNKNOWN);
    }
    assert_eq!(stage.issuer.asked(), 4 + 2 * 6);
    assert_eq!(stage.verify(&new).await, Ok(()));
}

#[tokio::test]
async fn a_withdrawn_key_ends_within_a_quarter_of_an_hour_and_by_nobody_waiting_twice() {
    let mut stage = Stage::new().await;
    let (old, new) = (stage.issuer.key("ed").unwrap(), SigningKey::ed("new", 2).unwrap());
    assert_eq!(stage.verify(&old).await, Ok(()));
    stage.issuer.rotate(std::slice::from_ref(&new));
    stage.pass(14 * 60 + 59);
    assert_eq!((stage.verify(&old).await, stage.issuer.asked()), (Ok(()), 2));
    stage.pass(1);
    assert_eq!((stage.verify(&old).await, stage.issuer.asked()), (UNKNOWN, 4));
    assert_eq!((stage.verify(&new).await, stage.issuer.asked()), (Ok(()), 4));

    // While one asks in passing, the others go on with what is known.
    stage.pass(15 * 60);
    stage.issuer.is(Mood::Silent);
    let asks = stage.verify(&new);
    let others = async {
        while stage.issuer.asked() == 4 {
            tokio::task::yield_now().await;
        }
        for _ in 0..10 {
            assert_eq!(stage.verify(&new).await, Ok(()));
        }
        stage.issuer.is(Mood::Well);
    };
    assert_eq!(futures_util::future::join(asks, others).await.0, Ok(()));
    assert_eq!(stage.issuer.asked(), 6);
}

#[tokio::test]
async fn known_keys_work_on_while_the_issuer_is_out_of_reach() {
    let mut stage = Stage::new().await;
    let (known, new) = (stage.issuer.key("ed").unwrap(), SigningKey::ed("new", 2).unwrap());
    stage.issuer.is(Mood::Status(503));
    // Nobody can tell yet, so nobody is told that the session is bad; and it is asked no more often for that.
    for _ in 0..5 {
        assert_eq!(stage.verify(&known).await, OUT_OF_REACH);
    }
    assert_eq!(stage.issuer.asked(), 1);
    stage.issuer.is(Mood::Well);
    stage.pass(10);
    assert_eq!(stage.verify(&known).await, Ok(()));

    stage.issuer.is(Mood::Status(500));
    for _ in 0..4 {
        stage.pass(6 * 60 * 60);
        assert_eq!(stage.verify(&known).await, Ok(()));
        assert_eq!(stage.verify(&new).await, OUT_OF_REACH, "it may be a new key");
    }
    stage.issuer.rotate(std::slice::from_ref(&new));
    stage.issuer.is(Mood::Well);
    stage.pass(10);
    assert_eq!(stage.verify(&known).await, UNKNOWN);
    assert_eq!(stage.verify(&new).await, Ok(()));
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_stop_the_asking() {
    let mut stage = Stage::new().await;
    let (ed, new) = (stage.issuer.key("ed").unwrap(), SigningKey::ed("new", 2).unwrap());
    assert_eq!(stage.verify(&ed).await, Ok(()));
    stage.issuer.rotate(std::slice::from_ref(&new));
    stage.pass(-3 * 60 * 60);
    assert_eq!(stage.verify(&new).await, Ok(()));
}

#[tokio::test]
async fn what_is_not_the_issuers_own_word_is_not_believed() {
    let other = OidcIssuer::start().await.unwrap();
    let mut stage = Stage::new().await;
    let url = stage.issuer.url();
    let key = stage.issuer.key("ed").unwrap();
    for issuer in [format!("{url}/"), url.to_uppercase(), other.url(), String::new()] {
        stage.issuer.says("issuer", json!(issuer));
        stage.pass(10);
        assert_eq!(stage.verify(&key).await, OUT_OF_REACH, "{issuer}");
    }
    stage.issuer.says("issuer", json!(url));
    // Most of these would lead there, if they were followed.
    let somebody = url.replace("//", "//somebody:secret@");
    let (any, part) = (url.replace("127.0.0.1", "0.0.0.0"), format!("{url}/keys#keys"));
    for jwks_uri in
        [&format!("{any}/keys"), &format!("{somebody}/keys"), &part, "file:///etc/passwd", "/keys", ""]
    {
        stage.issuer.says("jwks_uri", json!(jwks_uri));
        stage.pass(10);
        assert_eq!(stage.verify(&key).await, OUT_OF_REACH, "{jwks_uri}");
    }
    stage.issuer.says("jwks_uri", json!(format!("{url}/keys")));
    for mood in [Mood::SendsOn(other.url()), Mood::Endless, Mood::Status(201), Mood::Status(404)] {
        stage.issuer.is(mood.clone());
        stage.pass(10);
        assert_eq!(stage.verify(&key).await, OUT_OF_REACH, "{mood:?}");
    }
    assert_eq!(other.asked(), 0, "nobody followed");
    stage.issuer.is(Mood::Well);
    stage.pass(10);
    assert_eq!(stage.verify(&key).await, Ok(()), "with everything as it should be");
}

#[tokio::test]
async fn keys_that_cannot_sign_sessions_are_left_out() {
    let mut stage = Stage::new().await;
    let ed = stage.issuer.key("ed").unwrap();
    for (name, value) in [("use", json!("enc")), ("key_ops", json!(["encrypt"])), ("alg", json!("ES256"))] {
        let mut unfit = SigningKey::ed("unfit", 4).unwrap();
        unfit.public[name] = value;
        stage.issuer.rotate(&[ed.clone(), unfit.clone()]);
        stage.pass(10);
        assert_eq!(stage.verify(&unfit).await, UNKNOWN, "{name}");
    }
    let fit = SigningKey::ed("fit", 4).unwrap();
    let (mut modest, mut short, mut nonsense) = (fit.clone(), ed.clone(), ed);
    (modest.public["use"], modest.public["alg"]) = (json!(null), json!(null));
    short.public = json!({"kty": "RSA", "kid": "ed", "alg": "RS256", "e": "AQAB", "n": "wVd0".repeat(40)});
    nonsense.public = json!("?");
    stage.issuer.rotate(&[short.clone(), nonsense, modest]);
    stage.pass(10);
    assert_eq!(stage.verify(&fit).await, Ok(()), "a key need not say what it is for");
    assert_eq!(stage.verify(&short).await, UNKNOWN, "a key of 960 bits");
}

#[test]
fn a_deployment_that_could_not_trust_anybody_does_not_start() {
    let of = |issuer: &str| SessionConfig {
        issuer: issuer.to_owned(),
        audience: "adflight".to_owned(),
        algorithms: None,
        jwks: None,
        trusts_claims: true,
    };
    for issuer in [
        "",
        "adflight",
        "http://login.example.com",
        "ftp://login.example.com",
        "https://a@b/",
        "https://a/?b",
    ] {
        assert!(Sessions::new(of(issuer)).is_err(), "{issuer}");
    }
    for issuer in ["https://login.example.com", "https://login.example.com/tenant/", "http://localhost:9"] {
        Sessions::new(of(issuer)).unwrap();
    }
    let with = |algorithms: &str| {
        let algorithms = Some(algorithms.to_owned());
        Sessions::new(SessionConfig { algorithms, ..of("https://login.example.com") })
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
        assert!(Sessions::new(SessionConfig { jwks, ..of("anything") }).is_err());
    }
}
