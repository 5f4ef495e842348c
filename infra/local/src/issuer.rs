//! The local OpenID Connect issuer. In the cloud this is the team's own provider.

mod endpoints;
mod grants;
mod page;

use anyhow::{Context, anyhow};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::tenant::Tenant;
use ed25519_dalek::SigningKey;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use runtime::session::{Claims, Role, SessionConfig};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Value, json};

pub(crate) use self::endpoints::SignIn;

/// Where the issuer is below the system's address.
pub const PATH: &str = "/issuer";

/// The client that the console is.
pub const CONSOLE_CLIENT: &str = "adflight-console";

/// The audience of the API.
pub const AUDIENCE: &str = "adflight";

const KEY_ID: &str = "local";

/// The lifetime of a printed token.
const TOKEN_TTL: SignedDuration = SignedDuration::from_hours(12);

/// The bytes before the 32 bytes of an Ed25519 seed in PKCS #8 (RFC 8410).
const PKCS8_PREFIX: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// Signs session tokens on this machine.
#[derive(Clone)]
pub struct Issuer {
    url: String,
    key: EncodingKey,
    seed: SecretString,
    public: String,
}

/// A person who can sign in here, by the role in the workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Person(Role);

impl Issuer {
    /// Creates the issuer with this seed (base64url of 32 bytes), of the system at this address.
    pub fn new(seed: &str, system_url: &str) -> anyhow::Result<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(seed).ok().and_then(|seed| <[u8; 32]>::try_from(seed).ok());
        let bytes = bytes.ok_or_else(|| anyhow!("the issuer's seed must be 32 bytes"))?;
        let public = SigningKey::from_bytes(&bytes).verifying_key();
        Ok(Self {
            url: format!("{system_url}{PATH}"),
            key: EncodingKey::from_ed_der(&[&PKCS8_PREFIX[..], &bytes].concat()),
            seed: seed.into(),
            public: URL_SAFE_NO_PAD.encode(public.as_bytes()),
        })
    }

    /// Returns its URL, which tokens have as `iss`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the seed, for scanners that search for leaks of it.
    pub fn seed(&self) -> &SecretString {
        &self.seed
    }

    /// Returns the configuration with which functions trust this issuer.
    pub fn config(&self) -> SessionConfig {
        SessionConfig {
            issuer: self.url.clone(),
            audience: AUDIENCE.to_owned(),
            algorithms: None,
            jwks: Some(self.jwks().to_string()),
            trust_role_claims: true,
        }
    }

    /// Returns the public key as a JWK set.
    fn jwks(&self) -> Value {
        json!({"keys": [{
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": KEY_ID, "x": self.public,
        }]})
    }

    /// Returns the claims of a token for this workspace and role.
    pub fn claims(&self, workspace: &str, role: Role, now: Timestamp) -> anyhow::Result<Claims> {
        Ok(Claims {
            iss: self.url.clone(),
            aud: AUDIENCE.to_owned(),
            // A person per workspace, so that a token for one opens no other.
            sub: format!("developer-of-{workspace}"),
            exp: (now + TOKEN_TTL).as_second(),
            nbf: None,
            email: None,
            email_verified: None,
            workspace: Some(workspace.parse().context("--workspace")?),
            role: Some(role),
        })
    }

    /// Returns the claims of a person who signed in.
    fn session_claims(&self, person: Person, workspace: &Tenant, expires_at: Timestamp) -> Claims {
        Claims {
            iss: self.url.clone(),
            aud: AUDIENCE.to_owned(),
            sub: person.subject(workspace),
            exp: expires_at.as_second(),
            nbf: None,
            email: Some(person.email()),
            email_verified: Some(true),
            workspace: Some((**workspace).clone()),
            role: Some(person.0),
        }
    }

    /// Signs claims.
    pub fn sign(&self, claims: &impl Serialize) -> anyhow::Result<String> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(KEY_ID.to_owned());
        Ok(jsonwebtoken::encode(&header, claims, &self.key)?)
    }
}

impl Person {
    const ALL: [Self; 3] = [Self(Role::Owner), Self(Role::Editor), Self(Role::Viewer)];

    /// Returns the person's subject. The owner is who `cargo run` acts as.
    fn subject(self, workspace: &Tenant) -> String {
        match self.0 {
            Role::Owner => format!("developer-of-{}", **workspace),
            Role::Editor | Role::Viewer => format!("{}-of-{}", self.0, **workspace),
        }
    }

    fn name(self) -> &'static str {
        match self.0 {
            Role::Owner => "Olga Owner",
            Role::Editor => "Edo Editor",
            Role::Viewer => "Vera Viewer",
        }
    }

    fn email(self) -> String {
        format!("{}@example.com", self.0)
    }

    /// Returns what the role is for, for somebody who has to pick one.
    fn may(self) -> &'static str {
        match self.0 {
            Role::Owner => "connects Meta, invites people, and does everything else",
            Role::Editor => "changes campaigns and rules",
            Role::Viewer => "reads",
        }
    }
}
