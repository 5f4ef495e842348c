//! An OpenID Connect issuer that can misbehave: it signs whatever it is given, rotates its keys, and becomes
//! unavailable.

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

/// The audience of its tokens.
pub const AUDIENCE: &str = "adflight";

/// The bytes before the 32 bytes of an Ed25519 seed in PKCS #8 (RFC 8410).
const PKCS8_PREFIX: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

// Made with openssl for these tests; nothing trusts it.
const RSA_KEY_DER: &[u8] = include_bytes!("issuer/rsa-pkcs1.der");
const EC_KEY_DER: &[u8] = include_bytes!("issuer/ec-pkcs8.der");

/// A signing key.
#[derive(Clone)]
pub struct SigningKey {
    /// Its `kid`.
    pub id: String,
    /// Its public half as a JWK.
    pub public: Value,
    algorithm: Algorithm,
    secret: EncodingKey,
}

impl SigningKey {
    /// Returns an Ed25519 key; another seed gives another key.
    pub fn ed(id: &str, seed: u8) -> anyhow::Result<Self> {
        let secret = EncodingKey::from_ed_der(&[&PKCS8_PREFIX[..], &[seed; 32]].concat());
        Self::new(id, Algorithm::EdDSA, secret)
    }

    /// Returns the P-256 key.
    pub fn ec(id: &str) -> anyhow::Result<Self> {
        Self::new(id, Algorithm::ES256, EncodingKey::from_ec_der(EC_KEY_DER))
    }

    /// Returns the RSA key.
    pub fn rsa(id: &str) -> anyhow::Result<Self> {
        Self::new(id, Algorithm::RS256, EncodingKey::from_rsa_der(RSA_KEY_DER))
    }

    fn new(id: &str, algorithm: Algorithm, secret: EncodingKey) -> anyhow::Result<Self> {
        let mut public = serde_json::to_value(Jwk::from_encoding_key(&secret, algorithm)?)?;
        (public["kid"], public["use"]) = (json!(id), json!("sig"));
        Ok(Self { id: id.to_owned(), public, algorithm, secret })
    }

    /// Returns the same key with another of its algorithms.
    pub fn with_algorithm(&self, algorithm: Algorithm) -> Self {
        Self { algorithm, ..self.clone() }
    }

    /// Returns a shared secret as a key.
    pub fn hmac(secret: &[u8], algorithm: Algorithm) -> Self {
        let secret = EncodingKey::from_secret(secret);
        Self { id: "hmac".to_owned(), public: Value::Null, algorithm, secret }
    }

    /// Signs any two texts as header and payload.
    pub fn sign(&self, header: &[u8], payload: &[u8]) -> anyhow::Result<String> {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = crypto::sign(signed.as_bytes(), &self.secret, self.algorithm)?;
        Ok(format!("{signed}.{signature}"))
    }
}

/// How the issuer responds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IssuerBehavior {
    /// Normally.
    Normal,
    /// With this status and the normal body.
    Status(u16),
    /// With a redirect to this address and the normal body.
    Redirects(String),
    /// Not before its behavior changes.
    Hangs,
    /// With the normal body after excessively many blanks, and without a content length.
    EndlessBody,
}

struct IssuerState {
    url: String,
    keys: Vec<SigningKey>,
    document: Value,
    request_count: AtomicUsize,
    behavior: watch::Receiver<IssuerBehavior>,
}

/// The issuer, on loopback. It stops when it is dropped.
pub struct OidcIssuer {
    state: Arc<Mutex<IssuerState>>,
    behavior: watch::Sender<IssuerBehavior>,
    _stop: oneshot::Sender<()>,
}

impl OidcIssuer {
    /// Starts it with one key of each kind: `ed`, `ec` and `rsa`.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let keys = vec![SigningKey::ed("ed", 1)?, SigningKey::ec("ec")?, SigningKey::rsa("rsa")?];
        let document = json!({"issuer": url, "jwks_uri": format!("{url}/keys")});
        let (behavior, now) = watch::channel(IssuerBehavior::Normal);
        let state = IssuerState { url, keys, document, request_count: AtomicUsize::new(0), behavior: now };
        let state = Arc::new(Mutex::new(state));
        let (stop, stopped) = oneshot::channel::<()>();
        let router = Router::new().fallback(respond).with_state(Arc::clone(&state));
        tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            drop(axum::serve(listener, router).with_graceful_shutdown(stopped).await);
        });
        Ok(Self { state, behavior, _stop: stop })
    }

    /// Returns its issuer URL.
    pub fn url(&self) -> String {
        lock(&self.state).url.clone()
    }

    /// Returns the configuration that trusts it.
    pub fn config(&self) -> SessionConfig {
        SessionConfig {
            issuer: self.url(),
            audience: AUDIENCE.to_owned(),
            algorithms: None,
            jwks: None,
            trust_role_claims: true,
        }
    }

    /// Returns one of its keys.
    pub fn key(&self, id: &str) -> anyhow::Result<SigningKey> {
        lock(&self.state).keys.iter().find(|key| key.id == id).cloned().context("no such key")
    }

    /// Publishes these keys and no others.
    pub fn rotate(&self, keys: &[SigningKey]) {
        lock(&self.state).keys = keys.to_vec();
    }

    /// Sets a field of its metadata.
    pub fn set_metadata(&self, name: &str, value: Value) {
        lock(&self.state).document[name] = value;
    }

    /// Sets how it responds from now on.
    pub fn set_behavior(&self, behavior: IssuerBehavior) {
        self.behavior.send_replace(behavior);
    }

    /// Returns how many requests it got.
    pub fn request_count(&self) -> usize {
        lock(&self.state).request_count.load(Ordering::SeqCst)
    }
}

fn lock(state: &Mutex<IssuerState>) -> MutexGuard<'_, IssuerState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn respond(State(state): State<Arc<Mutex<IssuerState>>>, request: Request) -> Response {
    let mut behavior = {
        let state = lock(&state);
        state.request_count.fetch_add(1, Ordering::SeqCst);
        state.behavior.clone()
    };
    let behavior = behavior
        .wait_for(|behavior| *behavior != IssuerBehavior::Hangs)
        .await
        .map_or(IssuerBehavior::Status(500), |behavior| behavior.clone());
    let document = {
        let state = lock(&state);
        match request.uri().path() {
            "/.well-known/openid-configuration" => state.document.to_string(),
            "/keys" => {
                json!({"keys": state.keys.iter().map(|key| &key.public).collect::<Vec<_>>()}).to_string()
            }
            _ => String::new(),
        }
    };
    let mut response = Response::new(Body::from(document.clone()));
    match behavior {
        IssuerBehavior::Status(status) => *response.status_mut() = status.try_into().unwrap_or_default(),
        IssuerBehavior::Redirects(to) => {
            *response.status_mut() = http::StatusCode::FOUND;
            let to = format!("{to}{}", request.uri().path());
            response.headers_mut().extend(to.parse().map(|to| (http::header::LOCATION, to)));
        }
        IssuerBehavior::EndlessBody => {
            let blanks = std::iter::repeat_n(" ".repeat(1 << 16), 64).chain([document]);
            *response.body_mut() = Body::from_stream(stream::iter(blanks.map(Ok::<_, Infallible>)));
        }
        IssuerBehavior::Normal | IssuerBehavior::Hangs => {}
    }
    response
}
