//! An OpenID Connect issuer that can do everything wrong: it signs whatever it is told, rotates its keys, and goes
//! out of reach.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::stream;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use runtime::session::SessionConfig;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

/// For whom its tokens are.
pub const AUDIENCE: &str = "adflight";

/// What comes before the 32 bytes of an Ed25519 seed in PKCS #8 (RFC 8410).
const PKCS8_PREFIX: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

// Made with openssl for these tests; nobody trusts them.
const RSA: &[u8] = include_bytes!("issuer/rsa-pkcs1.der");
const EC: &[u8] = include_bytes!("issuer/ec-pkcs8.der");

/// A key that signs.
#[derive(Clone)]
pub struct SigningKey {
    /// Its name.
    pub id: String,
    /// Its public half, as it is published.
    pub public: Value,
    algorithm: Algorithm,
    secret: EncodingKey,
}

impl SigningKey {
    /// An Ed25519 key; another seed is another key.
    pub fn ed(id: &str, seed: u8) -> anyhow::Result<Self> {
        let secret = EncodingKey::from_ed_der(&[&PKCS8_PREFIX[..], &[seed; 32]].concat());
        Self::new(id, Algorithm::EdDSA, secret)
    }

    /// The P-256 key.
    pub fn ec(id: &str) -> anyhow::Result<Self> {
        Self::new(id, Algorithm::ES256, EncodingKey::from_ec_der(EC))
    }

    /// The RSA key.
    pub fn rsa(id: &str) -> anyhow::Result<Self> {
        Self::new(id, Algorithm::RS256, EncodingKey::from_rsa_der(RSA))
    }

    fn new(id: &str, algorithm: Algorithm, secret: EncodingKey) -> anyhow::Result<Self> {
        let mut public = serde_json::to_value(Jwk::from_encoding_key(&secret, algorithm)?)?;
        (public["kid"], public["use"]) = (json!(id), json!("sig"));
        Ok(Self { id: id.to_owned(), public, algorithm, secret })
    }

    /// The same key, signing in another of its ways.
    pub fn with(&self, algorithm: Algorithm) -> Self {
        Self { algorithm, ..self.clone() }
    }

    /// A shared secret.
    pub fn shared(secret: &[u8], algorithm: Algorithm) -> Self {
        let secret = EncodingKey::from_secret(secret);
        Self { id: "shared".to_owned(), public: Value::Null, algorithm, secret }
    }

    /// Signs any two texts as header and payload.
    pub fn sign(&self, header: &[u8], payload: &[u8]) -> anyhow::Result<String> {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = crypto::sign(signed.as_bytes(), &self.secret, self.algorithm)?;
        Ok(format!("{signed}.{signature}"))
    }
}

/// How it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mood {
    /// As it should.
    Well,
    /// With this status over what it should say.
    Status(u16),
    /// It sends on to this address, over what it should say.
    SendsOn(String),
    /// Not before it is in another mood.
    Silent,
    /// With what it should say after more blanks than anybody should read, and without saying how many.
    Endless,
}

struct Its {
    url: String,
    keys: Vec<SigningKey>,
    document: Value,
    asked: AtomicUsize,
    mood: watch::Receiver<Mood>,
}

/// The issuer, on loopback. It stops when it is dropped.
pub struct OidcIssuer {
    its: Arc<Mutex<Its>>,
    mood: watch::Sender<Mood>,
    _stop: oneshot::Sender<()>,
}

impl OidcIssuer {
    /// Starts it with one key of each kind: `ed`, `ec` and `rsa`.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let keys = vec![SigningKey::ed("ed", 1)?, SigningKey::ec("ec")?, SigningKey::rsa("rsa")?];
        let document = json!({"issuer": url, "jwks_uri": format!("{url}/keys")});
        let (mood, now) = watch::channel(Mood::Well);
        let its = Its { url, keys, document, asked: AtomicUsize::new(0), mood: now };
        let its = Arc::new(Mutex::new(its));
        let (stop, stopped) = oneshot::channel::<()>();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&its));
        tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            drop(axum::serve(listener, router).with_graceful_shutdown(stopped).await);
        });
        Ok(Self { its, mood, _stop: stop })
    }

    /// Who it is.
    pub fn url(&self) -> String {
        lock(&self.its).url.clone()
    }

    /// How somebody trusts it.
    pub fn config(&self) -> SessionConfig {
        SessionConfig {
            issuer: self.url(),
            audience: AUDIENCE.to_owned(),
            algorithms: None,
            jwks: None,
            trusts_claims: true,
        }
    }

    /// One of its keys.
    pub fn key(&self, id: &str) -> anyhow::Result<SigningKey> {
        lock(&self.its).keys.iter().find(|key| key.id == id).cloned().context("no such key")
    }

    /// Publishes these keys and no others.
    pub fn rotate(&self, keys: &[SigningKey]) {
        lock(&self.its).keys = keys.to_vec();
    }

    /// Says something else about itself.
    pub fn says(&self, name: &str, value: Value) {
        lock(&self.its).document[name] = value;
    }

    /// From now on it answers like this.
    pub fn is(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// How many requests it got.
    pub fn asked(&self) -> usize {
        lock(&self.its).asked.load(Ordering::SeqCst)
    }
}

fn lock(its: &Mutex<Its>) -> MutexGuard<'_, Its> {
    its.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(State(its): State<Arc<Mutex<Its>>>, request: Request) -> Response {
    let mut mood = {
        let its = lock(&its);
        its.asked.fetch_add(1, Ordering::SeqCst);
        its.mood.clone()
    };
    let mood =
        mood.wait_for(|mood| *mood != Mood::Silent).await.map_or(Mood::Status(500), |mood| mood.clone());
    let document = {
        let its = lock(&its);
        match request.uri().path() {
            "/.well-known/openid-configuration" => its.document.to_string(),
            "/keys" => {
                json!({"keys": its.keys.iter().map(|key| &key.public).collect::<Vec<_>>()}).to_string()
            }
            _ => String::new(),
        }
    };
    let mut answer = Response::new(Body::from(document.clone()));
    match mood {
        Mood::Status(status) => *answer.status_mut() = status.try_into().unwrap_or_default(),
        Mood::SendsOn(to) => {
            *answer.status_mut() = http::StatusCode::FOUND;
            let to = format!("{to}{}", request.uri().path());
            answer.headers_mut().extend(to.parse().map(|to| (http::header::LOCATION, to)));
        }
        Mood::Endless => {
            let blanks = std::iter::repeat_n(" ".repeat(1 << 16), 64).chain([document]);
            *answer.body_mut() = Body::from_stream(stream::iter(blanks.map(Ok::<_, Infallible>)));
        }
        Mood::Well | Mood::Silent => {}
    }
    answer
}
