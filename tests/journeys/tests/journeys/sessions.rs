//! Which sessions are accepted: every known way to forge one is rejected, and a control that differs in nothing else is
//! accepted.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use http::Method;
use jiff::SignedDuration;
use journeys::issuer::{OidcIssuer, SigningKey};
use journeys::leak_scanner::LeakChannel;
use journeys::{Response, Scenario, options};
use jsonwebtoken::Algorithm;
use local::Options;
use local::data::Data;
use local::tenant::tenant;
use runtime::SessionVerifier;
use runtime::session::{Role, TokenError, VerifyError};
use serde_json::{Value, json};

const PATH: &str = "/v1/workspaces/demo/ad-accounts";

/// A forged token, the reason in the response, and its control.
struct Case {
    name: String,
    forged: String,
    control: String,
    reason: &'static str,
}

/// Builds an issuer's tokens, valid and invalid ones.
struct TokenFactory<'a> {
    issuer: &'a OidcIssuer,
    now: i64,
    cases: Vec<Case>,
}

/// Replaces a part of a token by a text.
fn with_part(token: &str, part: usize, text: &str) -> String {
    let mut parts: Vec<_> = token.split('.').collect();
    parts[part] = text;
    parts.join(".")
}

impl TokenFactory<'_> {
    fn key(&self, id: &str) -> SigningKey {
        self.issuer.key(id).unwrap()
    }

    fn header(&self) -> Value {
        json!({"alg": "EdDSA", "typ": "JWT", "kid": "ed"})
    }

    fn claims(&self) -> Value {
        json!({
            "iss": self.issuer.url(), "aud": "adflight", "sub": "p1", "iat": self.now, "exp": self.now + 3600,
            "workspace": "demo", "role": "viewer",
        })
    }

    fn valid_token(&self) -> String {
        self.sign(&self.header(), &self.claims())
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_raw(&header.to_string(), &claims.to_string())
    }

    /// Signs any texts with the right key.
    fn sign_raw(&self, header: &str, claims: &str) -> String {
        self.key("ed").sign(header.as_bytes(), claims.as_bytes()).unwrap()
    }

    fn add_case(&mut self, name: impl Into<String>, reason: &'static str, forged: String, control: String) {
        self.cases.push(Case { name: name.into(), forged, control, reason });
    }

    /// Adds a case with a forged header field, signed by the right key; the control has a valid value.
    fn header_case(&mut self, reason: &'static str, name: &str, forged: Value, control: Value) {
        let [forged_token, control] = [&forged, &control].map(|value| {
            let mut header = self.header();
            header[name] = value.clone();
            self.sign(&header, &self.claims())
        });
        self.add_case(format!("{name} in the header is {forged}"), reason, forged_token, control);
    }

    /// Adds a case with a forged claim; the control has a valid value.
    fn claim_case(&mut self, reason: &'static str, name: &str, forged: Value, control: Value) {
        let [forged_token, control] = [&forged, &control].map(|value| {
            let mut claims = self.claims();
            claims[name] = value.clone();
            self.sign(&self.header(), &claims)
        });
        self.add_case(format!("the claim {name} is {forged}"), reason, forged_token, control);
    }

    fn missing_case(&mut self, reason: &'static str, part: usize, name: &str) {
        let (mut header, mut claims) = (self.header(), self.claims());
        [&mut header, &mut claims][part].as_object_mut().unwrap().remove(name).unwrap();
        let forged = self.sign(&header, &claims);
        self.add_case(format!("there is no {name}"), reason, forged, self.valid_token());
    }

    /// Adds a case in which a name occurs twice in a part, with two values or the same one.
    fn duplicate_case(&mut self, part: usize, first: &str, second: &str) {
        let parts = [self.header(), self.claims()].map(|part| part.to_string());
        let name = first.split('"').nth(1).unwrap();
        let [mut forged, mut control] = [parts.clone(), parts];
        for (texts, doubled) in [(&mut forged, format!("{first},{second}")), (&mut control, first.to_owned())]
        {
            let mut rest: Value = serde_json::from_str(&texts[part]).unwrap();
            rest.as_object_mut().unwrap().remove(name);
            texts[part] = format!("{{{doubled},{}", &rest.to_string()[1..]);
        }
        let reason = ["has no readable header", "has no readable claims"][part];
        let [forged, control] = [forged, control].map(|texts| self.sign_raw(&texts[0], &texts[1]));
        self.add_case(format!("{first} and then {second}"), reason, forged, control);
    }
}

const MALFORMED_CLAIMS: &str = "must say iss, aud, sub and exp";
const ALGORITHM: &str = "algorithm that is not accepted";
const SIGNATURE: &str = "signature that does not hold";

/// Adds cases with another algorithm, or none.
fn algorithms(factory: &mut TokenFactory<'_>) {
    let good = factory.valid_token();
    for alg in ["none", "None", "NONE", "nOnE", "", "eddsa", "EDDSA", "Ed25519"] {
        let header = json!({"alg": alg, "typ": "JWT", "kid": "ed"});
        let signed = factory.sign(&header, &factory.claims());
        factory.add_case(format!("alg {alg:?}, signed"), ALGORITHM, signed.clone(), good.clone());
        factory.add_case(
            format!("alg {alg:?}, unsigned"),
            ALGORITHM,
            with_part(&signed, 2, ""),
            good.clone(),
        );
    }
    for alg in [json!(null), json!(1), json!(["EdDSA"]), json!({"EdDSA": 1})] {
        factory.header_case("names no algorithm", "alg", alg, json!("EdDSA"));
    }
    factory.missing_case("names no algorithm", 0, "alg");

    // The public key as a shared secret, in every plausible spelling.
    for kid in ["ed", "rsa", "ec"] {
        let public = factory.key(kid).public;
        let text = |name: &str| public[name].as_str().unwrap_or_default().to_owned();
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)).unwrap();
        let spellings = [public.to_string().into_bytes(), text("x").into_bytes(), bytes("x"), bytes("n")];
        for secret in spellings.into_iter().filter(|secret| !secret.is_empty()) {
            for (alg, algorithm) in
                [("HS256", Algorithm::HS256), ("HS384", Algorithm::HS384), ("HS512", Algorithm::HS512)]
            {
                let header = json!({"alg": alg, "kid": kid}).to_string();
                let key = SigningKey::hmac(&secret, algorithm);
                let forged = key.sign(header.as_bytes(), factory.claims().to_string().as_bytes()).unwrap();
                let name = format!("{alg} with {} bytes of the public key {kid}", secret.len());
                factory.add_case(name, ALGORITHM, forged, good.clone());
            }
        }
    }

    // A key of another kind signs under this key's id, or the right key signs with an algorithm that it is not for.
    let ways = [
        ("ES256", "ed", factory.key("ec"), ALGORITHM),
        ("RS256", "ed", factory.key("rsa"), ALGORITHM),
        ("EdDSA", "rsa", factory.key("ed"), ALGORITHM),
        ("EdDSA", "ec", factory.key("ed"), ALGORITHM),
        ("RS256", "ec", factory.key("rsa"), ALGORITHM),
        ("RS512", "rsa", factory.key("rsa").with_algorithm(Algorithm::RS512), ALGORITHM),
        ("PS256", "rsa", factory.key("rsa").with_algorithm(Algorithm::PS256), ALGORITHM),
        ("RS256", "rsa", factory.key("rsa").with_algorithm(Algorithm::PS256), SIGNATURE),
        ("EdDSA", "ed", factory.key("ec"), SIGNATURE),
        ("ES256", "ec", factory.key("ed"), SIGNATURE),
    ];
    for (alg, kid, key, reason) in ways {
        let claims = factory.claims().to_string();
        let token = |alg: &Value, key: &SigningKey| {
            let header = json!({"alg": alg, "kid": kid}).to_string();
            key.sign(header.as_bytes(), claims.as_bytes()).unwrap()
        };
        let right = factory.key(kid);
        let (forged, control) = (token(&json!(alg), &key), token(&right.public["alg"], &right));
        factory.add_case(format!("{alg} under the key {kid}, signed by {}", key.id), reason, forged, control);
    }
}

/// Adds cases with another key, or an invalid key id.
fn keys(factory: &mut TokenFactory<'_>) {
    let unknown = "signed by an unknown key";
    for kid in [
        "unknown",
        "",
        "ED",
        "ed ",
        "../../../../dev/null",
        "ed\u{0}",
        "x' UNION SELECT 'secret",
        "https://evil.example/k",
    ] {
        factory.header_case(unknown, "kid", json!(kid), json!("ed"));
    }
    for kid in [json!(null), json!(1), json!(["ed"]), json!({"ed": 1}), json!(true)] {
        factory.header_case("does not name its key", "kid", kid, json!("ed"));
    }
    factory.missing_case("does not name its key", 0, "kid");
    factory.duplicate_case(0, r#""kid":"ed""#, r#""kid":"ed""#);
    factory.duplicate_case(0, r#""kid":"ed""#, r#""kid":"unknown""#);
    factory.duplicate_case(0, r#""alg":"EdDSA""#, r#""alg":"none""#);

    // The forger's own key, embedded in every way that a header allows. In the control the right key signs, and the
    // embedded key is ignored.
    let forger = SigningKey::ed("ed", 9).unwrap();
    let elsewhere = "http://127.0.0.1:9/keys";
    let brought = [
        ("jwk", forger.public.clone()),
        ("jku", json!(elsewhere)),
        ("x5u", json!(elsewhere)),
        ("x5c", json!(["MIIB"])),
    ];
    for (name, value) in brought {
        for (kid, reason) in [("ed", SIGNATURE), ("forger", unknown)] {
            let mut header = factory.header();
            (header[name], header["kid"]) = (value.clone(), json!(kid));
            let forged =
                forger.sign(header.to_string().as_bytes(), factory.claims().to_string().as_bytes()).unwrap();
            header["kid"] = json!("ed");
            let control = factory.sign(&header, &factory.claims());
            factory.add_case(format!("{name} brings the forger's key as {kid}"), reason, forged, control);
        }
    }
    for crit in [json!(["exp"]), json!([]), json!(["b64"]), json!(null)] {
        let mut header = factory.header();
        header["crit"] = crit.clone();
        let forged = factory.sign(&header, &factory.claims());
        factory.add_case(format!("crit {crit}"), "demands extensions", forged, factory.valid_token());
    }
    for typ in [
        json!("logout+jwt"),
        json!("secevent+jwt"),
        json!("JOSE"),
        json!(""),
        json!(1),
        json!(null),
        json!(["JWT"]),
    ] {
        for control in ["JWT", "jwt", "at+jwt", "application/at+JWT"] {
            factory.header_case("is of another type", "typ", typ.clone(), json!(control));
        }
    }
}

/// Adds cases with claims that are not accepted, whoever signed them.
fn claims(factory: &mut TokenFactory<'_>) {
    let (url, now) = (factory.issuer.url(), factory.now);
    for iss in [format!("{url}/"), url.to_uppercase(), "https://elsewhere.example".to_owned(), String::new()]
    {
        factory.claim_case("another issuer", "iss", json!(iss), json!(url));
    }
    factory.claim_case(MALFORMED_CLAIMS, "iss", json!([url]), json!(url));
    for aud in [
        json!("elsewhere"),
        json!("adflight2"),
        json!("Adflight"),
        json!(""),
        json!([]),
        json!(["elsewhere"]),
    ] {
        factory.claim_case("not for this audience", "aud", aud, json!(["elsewhere", "adflight"]));
    }
    for aud in [json!(1), json!(null), json!({"adflight": 1}), json!(["adflight", 1]), json!([["adflight"]])]
    {
        factory.claim_case(MALFORMED_CLAIMS, "aud", aud, json!(["adflight"]));
    }
    let soon = json!(now + 60);
    for exp in [json!((now + 60).to_string()), json!(1e300), json!(u64::MAX), json!(null), json!(true)] {
        factory.claim_case(MALFORMED_CLAIMS, "exp", exp, soon.clone());
    }
    let over = [json!(-1), json!(0), json!(i64::MIN), json!(now - 3600), json!(now - 90)];
    for exp in over {
        factory.claim_case("has expired", "exp", exp, json!(now - 30));
    }
    // Some issuers write fractions.
    factory.claim_case("has expired", "exp", json!(now as f64 - 90.5), json!(now as f64 + 60.5));
    for exp in [json!(i64::MAX), json!(1_000 * now), json!(now + 32 * 86_400)] {
        factory.claim_case("lasts too long", "exp", exp, json!(now + 30 * 86_400));
    }
    for name in ["nbf", "iat"] {
        for from in [now + 3600, i64::MAX, now + 90] {
            factory.claim_case("is not valid yet", name, json!(from), json!(now + 30));
        }
        for from in [json!("0"), json!("0.5"), json!([0])] {
            factory.claim_case(MALFORMED_CLAIMS, name, from, json!(0));
        }
    }
    for sub in ["", "a\u{0}b", "a\nb", &"a".repeat(256)] {
        factory.claim_case("must name a person", "sub", json!(sub), json!("a".repeat(255)));
    }
    for sub in [json!(1), json!(null), json!(["p1"]), json!({})] {
        factory.claim_case(MALFORMED_CLAIMS, "sub", sub, json!("1"));
    }
    for name in ["iss", "aud", "exp", "sub"] {
        factory.missing_case(MALFORMED_CLAIMS, 1, name);
    }
    factory.duplicate_case(1, r#""sub":"p1""#, r#""sub":"p2""#);
    factory.duplicate_case(1, &format!(r#""exp":{}"#, now + 60), r#""exp":0"#);
    factory.duplicate_case(1, r#""workspace":"demo""#, r#""workspace":"demo""#);
    factory.duplicate_case(1, r#""role":"viewer""#, r#""role":"owner""#);
    factory.duplicate_case(1, r#""aud":"adflight""#, r#""aud":"elsewhere""#);
    let logout = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
    factory.claim_case("tells of an event", "events", logout, json!(null));
}

/// Adds cases with malformed tokens.
fn malformed(factory: &mut TokenFactory<'_>) {
    let good = factory.valid_token();
    let other = {
        let mut claims = factory.claims();
        claims["sub"] = json!("p2");
        factory.sign(&factory.header(), &claims)
    };
    let parts: Vec<&str> = good.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("{good}") };
    let three = "three parts";
    for (name, forged) in [
        ("one part", header.to_owned()),
        ("two parts", format!("{header}.{payload}")),
        ("four parts", format!("{good}.")),
        ("four parts, the signature twice", format!("{good}.{signature}")),
        (
            "five parts, as an encrypted token",
            format!("{header}.{payload}.{signature}.{payload}.{signature}"),
        ),
        ("five empty parts", "....".to_owned()),
    ] {
        factory.add_case(name, three, forged, good.clone());
    }
    let base64url = "base64url without padding";
    let last = signature.chars().last().unwrap();
    // Only two of the last letter's six bits belong to a byte.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let place = alphabet.find(last).unwrap();
    let trailing: String = alphabet.chars().nth(place ^ 1).into_iter().collect();
    let standard = STANDARD_NO_PAD.encode(URL_SAFE_NO_PAD.decode(signature).unwrap());
    for (name, forged) in [
        ("padding after the signature", format!("{good}==")),
        ("padding after the payload", with_part(&good, 1, &format!("{payload}="))),
        ("trailing bits of the signature", with_part(&good, 2, &format!("{}{trailing}", &signature[..85]))),
        ("a space within", with_part(&good, 1, &format!("{} {}", &payload[..4], &payload[4..]))),
        ("a space before a dot", format!("{header} .{payload}.{signature}")),
        ("a tab after a dot", format!("{header}.\t{payload}.{signature}")),
        ("half of four letters", with_part(&good, 2, &signature[..85])),
        ("letters of another alphabet", with_part(&good, 0, &format!("{}+/", &header[..header.len() - 2]))),
    ] {
        factory.add_case(name, base64url, forged, good.clone());
    }
    if standard != signature {
        factory.add_case(
            "the signature in standard base64",
            base64url,
            with_part(&good, 2, &standard),
            good.clone(),
        );
    }
    let longer = URL_SAFE_NO_PAD.encode([&URL_SAFE_NO_PAD.decode(signature).unwrap()[..], &[0]].concat());
    for (name, forged) in [
        ("no signature", with_part(&good, 2, "")),
        ("a truncated signature", with_part(&good, 2, &signature[..80])),
        ("a byte more of signature", with_part(&good, 2, &longer)),
        ("a signature of zeros", with_part(&good, 2, &URL_SAFE_NO_PAD.encode([0; 64]))),
        ("the signature of another token", with_part(&good, 2, other.split('.').nth(2).unwrap())),
        ("the payload of another token", with_part(&good, 1, other.split('.').nth(1).unwrap())),
    ] {
        factory.add_case(name, SIGNATURE, forged, good.clone());
    }

    let (head, said) = (factory.header().to_string(), factory.claims().to_string());
    let deep = format!(r#"{},"x":{}{}}}"#, &said[..said.len() - 1], "[".repeat(2000), "]".repeat(2000));
    let shallow = format!(r#"{},"x":{}{}}}"#, &said[..said.len() - 1], "[".repeat(50), "]".repeat(50));
    let shallow = factory.sign_raw(&head, &shallow);
    factory.add_case(
        "claims two thousand deep",
        "no readable claims",
        factory.sign_raw(&head, &deep),
        shallow,
    );
    for payload in [
        "[]",
        "null",
        "1",
        "\"p1\"",
        "",
        "{",
        "\u{feff}{}",
        &format!("[{said}]"),
        &format!("{said}{said}"),
        &format!("{said} x"),
        &said.replace('"', "'"),
    ] {
        let forged = factory.sign_raw(&head, payload);
        factory.add_case(format!("claims {:.20}", payload), "no readable claims", forged, good.clone());
    }
    let broken = factory.key("ed").sign(head.as_bytes(), b"{\"sub\":\"\xff\"}").unwrap();
    factory.add_case("claims that are no UTF-8", "no readable claims", broken, good.clone());
    for header in ["[]", "null", "", "{", &format!("[{head}]"), &format!("{head}{head}")] {
        let forged = factory.sign_raw(header, &said);
        factory.add_case(format!("header {:.20}", header), "no readable header", forged, good.clone());
    }
    let filler = |length: usize| {
        let mut claims = factory.claims();
        claims["x"] = json!("x".repeat(length));
        factory.sign(&factory.header(), &claims)
    };
    let (long, short) = (filler(6_200), filler(5_700));
    assert!(long.len() > 8192 && short.len() < 8192, "{} {}", long.len(), short.len());
    factory.add_case("longer than 8 KB", "longer than 8 KB", long, short);
}

async fn scenario() -> (Scenario, OidcIssuer) {
    let issuer = OidcIssuer::start().await.unwrap();
    let trusting = Options { sessions: Some(issuer.config()), ..options(Data::Memory) };
    (Scenario::with_options(trusting).await.unwrap(), issuer)
}

async fn list_accounts(scenario: &Scenario, token: &str) -> Response {
    scenario.send(Method::GET, PATH, Some(token), &[], None).await.unwrap()
}

#[tokio::test]
async fn forged_sessions_are_rejected_and_their_controls_are_not() {
    let (scenario, issuer) = scenario().await;
    let now = scenario.system.clock.now().as_second();
    let mut factory = TokenFactory { issuer: &issuer, now, cases: Vec::new() };
    algorithms(&mut factory);
    keys(&mut factory);
    claims(&mut factory);
    malformed(&mut factory);
    let cases = factory.cases;
    assert!(cases.len() > 60, "{}", cases.len());
    for Case { name, forged, control, reason } in &cases {
        let (refused, accepted) =
            (list_accounts(&scenario, forged).await, list_accounts(&scenario, control).await);
        assert_eq!(refused.status, 401, "{name}: {}", refused.text);
        assert_eq!(refused.json()["type"], "urn:adflight:unauthorized", "{name}");
        assert_eq!(refused.headers["www-authenticate"], "Bearer", "{name}");
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(reason), "{name}: {detail}");
        assert_eq!(accepted.status, 200, "the control of {name}: {}", accepted.text);
    }
    assert!(issuer.request_count() < 10, "it was asked {} times", issuer.request_count());
    println!("{} forged sessions refused, each beside a control that is accepted", cases.len());
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_session_is_accepted_in_the_authorization_header_only() {
    let (scenario, issuer) = scenario().await;
    scenario.scanner.allow(LeakChannel::Request);
    let factory =
        TokenFactory { issuer: &issuer, now: scenario.system.clock.now().as_second(), cases: Vec::new() };
    let good = factory.valid_token();
    let bearer = format!("Bearer {good}");
    let send = async |path: &str, headers: &[(&str, &str)], body: Option<&str>| {
        scenario
            .send(Method::GET, path, None, headers, body.map(str::to_owned))
            .await
            .unwrap()
            .status
            .as_u16()
    };
    for header in [bearer.clone(), format!("bearer {good}"), format!("BEARER   {good}")] {
        assert_eq!(send(PATH, &[("authorization", &header)], None).await, 200, "{header:.10}");
    }
    for header in [
        format!("Bearer Bearer {good}"),
        format!("Bearer {good} {good}"),
        format!("Bearer {good}, Bearer {good}"),
        format!("Bearer {good},"),
        format!("Bearer \"{good}\""),
        format!("Bearer token={good}"),
        format!("Bearer\t{good}"),
        format!("Bearer{good}"),
        format!("Basic {good}"),
        format!("DPoP {good}"),
        format!("Basic cDE6cDE=, {bearer}"),
        good.clone(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        String::new(),
    ] {
        assert_eq!(send(PATH, &[("authorization", &header)], None).await, 401, "{header:.20}");
    }
    for (name, value) in [
        ("cookie", format!("access_token={good}; session={good}; Authorization={bearer}")),
        ("x-authorization", bearer.clone()),
        ("proxy-authorization", bearer.clone()),
        ("x-forwarded-access-token", good.clone()),
        ("x-amzn-oidc-data", good.clone()),
    ] {
        assert_eq!(send(PATH, &[(name, &value)], None).await, 401, "{name}");
    }
    for second in [bearer.as_str(), "Bearer x", "Basic cDE6cDE=", ""] {
        let both = [("authorization", bearer.as_str()), ("authorization", second)];
        assert_eq!(send(PATH, &both, None).await, 401, "beside {second:.10}");
    }
    for name in ["access_token", "token", "authorization", "jwt"] {
        assert_eq!(send(&format!("{PATH}?{name}={good}"), &[], None).await, 401, "{name} in the query");
        assert_eq!(send(PATH, &[], Some(&format!("{name}={good}"))).await, 401, "{name} in the body");
    }
    assert_eq!(send(PATH, &[], None).await, 401);
    // The server refuses a megabyte, and the verifier would too.
    let huge = format!("Bearer {}", "x".repeat(1 << 20));
    let response = scenario.send(Method::GET, PATH, None, &[("authorization", &huge)], None).await;
    assert!(response.is_err() || [401, 431].contains(&response.unwrap().status.as_u16()));
    let sessions = SessionVerifier::new(issuer.config()).unwrap();
    let huge = format!("{good}{}", "A".repeat(1 << 20));
    let refused = sessions.verify(&huge, scenario.system.clock.now()).await;
    assert!(matches!(refused, Err(VerifyError::InvalidToken(TokenError::Malformed(_)))), "{refused:?}");
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn a_session_ends_with_its_time_its_key_and_its_workspace() {
    let (scenario, issuer) = scenario().await;
    let now = scenario.system.clock.now().as_second();
    let factory = TokenFactory { issuer: &issuer, now, cases: Vec::new() };
    let of = |changes: Value| {
        let mut claims = factory.claims();
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        factory.sign(&factory.header(), &claims)
    };
    // Correctly signed, but not for this workspace: the response is the same as if it did not exist.
    for elsewhere in [
        json!({"workspace": "stranger"}),
        json!({"workspace": null}),
        json!({"workspace": ["demo"]}),
        json!({"workspace": "DEMO"}),
        json!({"workspace": "demo#x"}),
        json!({"role": null}),
        json!({"role": "admin"}),
        json!({"role": ["owner"]}),
        json!({"role": "Owner"}),
    ] {
        let response = list_accounts(&scenario, &of(elsewhere.clone())).await;
        assert_eq!(response.status, 404, "{elsewhere}: {}", response.text);
        assert_eq!(response.json()["type"], "urn:adflight:not-found");
    }
    let (token, short) = (factory.valid_token(), of(json!({"exp": now + 60})));
    assert_eq!(
        (
            list_accounts(&scenario, &token).await.status.as_u16(),
            list_accounts(&scenario, &short).await.status.as_u16()
        ),
        (200, 200)
    );
    scenario.system.clock.advance(SignedDuration::from_secs(121));
    let over = list_accounts(&scenario, &short).await;
    assert_eq!(over.status, 401);
    assert!(over.text.contains("has expired"), "{}", over.text);

    // The issuer withdraws the key; without any notice it is rejected within a quarter of an hour.
    issuer.rotate(&[SigningKey::ed("next", 2).unwrap()]);
    assert_eq!(list_accounts(&scenario, &token).await.status, 200);
    scenario.system.clock.advance(SignedDuration::from_mins(15));
    let stale = list_accounts(&scenario, &token).await;
    assert_eq!(stale.status, 401);
    assert!(stale.text.contains("unknown key"), "{}", stale.text);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn without_the_issuers_keys_a_session_gets_503_and_not_401() {
    let (scenario, issuer) = scenario().await;
    issuer.set_behavior(journeys::issuer::IssuerBehavior::Status(502));
    let factory =
        TokenFactory { issuer: &issuer, now: scenario.system.clock.now().as_second(), cases: Vec::new() };
    let token = factory.valid_token();
    let responses = join_all((0..20).map(|_| list_accounts(&scenario, &token))).await;
    for response in responses {
        assert_eq!(response.status, 503, "{}", response.text);
        assert_eq!(response.json()["type"], "urn:adflight:unavailable");
    }
    assert_eq!(issuer.request_count(), 1);
    issuer.set_behavior(journeys::issuer::IssuerBehavior::Normal);
    scenario.system.clock.advance(SignedDuration::from_secs(10));
    assert_eq!(list_accounts(&scenario, &token).await.status, 200);
    scenario.finish().await.unwrap();
}

#[tokio::test]
async fn an_address_counts_only_where_the_issuer_has_verified_it() {
    let issuer = OidcIssuer::start().await.unwrap();
    let sessions = SessionVerifier::new(issuer.config()).unwrap();
    let now = jiff::Timestamp::UNIX_EPOCH;
    let factory = TokenFactory { issuer: &issuer, now: now.as_second(), cases: Vec::new() };
    for (email, verified, expected) in [
        (json!("Ana@Example.com"), json!(true), Some("ana@example.com")),
        (json!("ana@example.com"), json!("true"), Some("ana@example.com")),
        (json!("ana@example.com"), json!(false), None),
        (json!("ana@example.com"), json!("false"), None),
        (json!("ana@example.com"), json!(1), None),
        (json!("ana@example.com"), json!(null), None),
        (json!("ana"), json!(true), None),
        (json!("@example.com"), json!(true), None),
        (json!("a na@example.com"), json!(true), None),
        (json!("ana@example.com\r\nbcc:x@example.com"), json!(true), None),
        (json!(null), json!(true), None),
    ] {
        let mut claims = factory.claims();
        (claims["email"], claims["email_verified"]) = (email.clone(), verified.clone());
        let person = sessions.verify(&factory.sign(&factory.header(), &claims), now).await.unwrap();
        assert_eq!(
            person.verified_email.as_ref().map(domain::email::Email::as_str),
            expected,
            "{email} {verified}"
        );
        assert_eq!(person.claimed_role, Some((tenant("demo").unwrap(), Role::Viewer)));
    }
}

#[tokio::test]
async fn a_token_with_any_single_byte_changed_is_refused() {
    let issuer = OidcIssuer::start().await.unwrap();
    let sessions = SessionVerifier::new(issuer.config()).unwrap();
    let now = jiff::Timestamp::UNIX_EPOCH;
    let good = TokenFactory { issuer: &issuer, now: now.as_second(), cases: Vec::new() }.valid_token();
    sessions.verify(&good, now).await.unwrap();
    let mut signatures = 0;
    for place in 0..good.len() {
        // Single bits, and letters that are neighbours in the base64url alphabet.
        for change in [1, 2, 3, 32, 64, 1 ^ 32] {
            let mut bytes = good.clone().into_bytes();
            bytes[place] ^= change;
            let changed = String::from_utf8(bytes).unwrap();
            let refused = sessions.verify(&changed, now).await;
            assert!(refused.is_err(), "{changed} instead of {good}");
            signatures += usize::from(refused == Err(VerifyError::InvalidToken(TokenError::Signature)));
        }
    }
    assert!(signatures > 100, "only {signatures} came as far as the signature");
}
