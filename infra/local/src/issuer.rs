//! The local issuer of session tokens. In the cloud this is the team's own OIDC provider.

use anyhow::{Context, anyhow};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::SigningKey;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use runtime::session::{Claims, Role, SessionConfig};
use secrecy::SecretString;

const ISSUER: &str = "http://127.0.0.1/adflight-local";
const AUDIENCE: &str = "adflight";
const KEY_ID: &str = "local";

/// The lifetime of a printed token.
const TOKEN_TTL: SignedDuration = SignedDuration::from_hours(12);

/// The bytes before the 32 bytes of an Ed25519 seed in PKCS #8 (RFC 8410).
const PKCS8_PREFIX: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// Signs session tokens on this machine.
pub struct Issuer {
    key: EncodingKey,
    seed: SecretString,
    public: String,
}

impl Issuer {
    /// Creates the issuer with this seed (base64url of 32 bytes).
    pub fn new(seed: &str) -> anyhow::Result<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(seed).ok().and_then(|seed| <[u8; 32]>::try_from(seed).ok());
        let bytes = bytes.ok_or_else(|| anyhow!("the issuer's seed must be 32 bytes"))?;
        let public = SigningKey::from_bytes(&bytes).verifying_key();
        Ok(Self {
            key: EncodingKey::from_ed_der(&[&PKCS8_PREFIX[..], &bytes].concat()),
            seed: seed.into(),
            public: URL_SAFE_NO_PAD.encode(public.as_bytes()),
        })
    }

    /// Returns the seed, for scanners that search for leaks of it.
    pub fn seed(&self) -> &SecretString {
        &self.seed
    }

    /// Returns the configuration with which functions trust this issuer.
    pub fn config(&self) -> SessionConfig {
        let jwks = serde_json::json!({"keys": [{
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": KEY_ID, "x": self.public,
        }]});
        SessionConfig {
            issuer: ISSUER.to_owned(),
            audience: AUDIENCE.to_owned(),
            algorithms: None,
            jwks: Some(jwks.to_string()),
            trust_role_claims: true,
        }
    }

    /// Returns the claims of a token for this workspace and role.
    pub fn claims(&self, workspace: &str, role: Role, now: Timestamp) -> anyhow::Result<Claims> {
        Ok(Claims {
            iss: ISSUER.to_owned(),
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

    /// Signs claims.
    pub fn sign(&self, claims: &Claims) -> anyhow::Result<String> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(KEY_ID.to_owned());
        Ok(jsonwebtoken::encode(&header, claims, &self.key)?)
    }
}
