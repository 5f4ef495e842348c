//! Keys of the issuer.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde::Deserialize;
use serde_json::Value;

use crate::session::TokenError;
use crate::session::token::Token;

/// Accepted RSA modulus sizes: RFC 7518 requires 2048 bits, and more than 8192 would only cost time.
const RSA_MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// Usable keys of a JWK set.
#[derive(Debug)]
pub(super) struct KeySet(Vec<Key>);

#[derive(Debug)]
struct Key {
    id: String,
    /// Algorithms of the key: defined by the key, never by a token.
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

/// Returns the name of an algorithm as used in tokens and configuration.
pub(super) fn name(algorithm: Algorithm) -> String {
    format!("{algorithm:?}")
}

impl KeySet {
    /// Parses the keys of a set that sign with an accepted algorithm. Other published keys are skipped.
    pub(super) fn parse(json: &[u8], accepted: &[Algorithm]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let (keys, unusable): (Vec<_>, Vec<_>) =
            set.keys.into_iter().map(|jwk| Key::new(jwk, accepted)).partition(Result::is_ok);
        let keys: Vec<_> = keys.into_iter().flatten().collect();
        if keys.is_empty() {
            let why: Vec<_> = unusable.into_iter().filter_map(Result::err).collect();
            return Err(format!("holds no key that can be used. {}", why.join("; ")));
        }
        Ok(Self(keys))
    }

    /// Checks whether a key with this id exists.
    pub(super) fn contains(&self, id: &str) -> bool {
        self.0.iter().any(|key| key.id == id)
    }

    /// Verifies the token's signature with the key it names and an algorithm of that key.
    pub(super) fn verify_signature(&self, token: &Token<'_>) -> Result<(), TokenError> {
        if !self.contains(&token.key_id) {
            return Err(TokenError::UnknownKey);
        }
        let named = self.0.iter().filter(|key| key.id == token.key_id);
        let candidates =
            named.flat_map(|key| key.algorithms.iter().map(move |algorithm| (*algorithm, &key.key)));
        let (algorithm, key) = candidates
            .into_iter()
            .find(|(algorithm, _)| name(*algorithm) == token.algorithm)
            .ok_or(TokenError::Algorithm)?;
        match crypto::verify(token.signature, token.signed, key, algorithm) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(TokenError::Signature),
        }
    }
}

impl Key {
    fn new(jwk: Value, accepted: &[Algorithm]) -> Result<Self, String> {
        let jwk: Jwk =
            serde_json::from_value(jwk).map_err(|error| format!("a key is unreadable: {error}"))?;
        let id = jwk.common.key_id.clone().ok_or("a key has no kid")?;
        let unusable = |why: &str| format!("key {id} {why}");
        let common = &jwk.common;
        if common.public_key_use.as_ref().is_some_and(|it| *it != PublicKeyUse::Signature)
            || common.key_operations.as_ref().is_some_and(|them| !them.contains(&KeyOperations::Verify))
        {
            return Err(unusable("is not for signatures"));
        }
        let declared = common.key_algorithm.map(|algorithm| algorithm.to_string());
        let by_key_type = algorithms_for(&jwk.algorithm).iter().copied();
        let algorithms: Vec<_> = by_key_type
            .filter(|algorithm| accepted.contains(algorithm))
            .filter(|algorithm| declared.as_ref().is_none_or(|declared| *declared == name(*algorithm)))
            .collect();
        if algorithms.is_empty() {
            return Err(unusable("is for no accepted algorithm"));
        }
        let key = DecodingKey::from_jwk(&jwk).map_err(|error| unusable(&error.to_string()))?;
        Ok(Self { id, algorithms, key })
    }
}

/// Returns the algorithms that a key's type supports; none for RSA keys of unsuitable size.
fn algorithms_for(parameters: &AlgorithmParameters) -> &'static [Algorithm] {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    match parameters {
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => &[EdDSA],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => &[ES256],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => &[ES384],
        AlgorithmParameters::RSA(key) => {
            let modulus = URL_SAFE_NO_PAD.decode(&key.n).unwrap_or_default();
            let length = modulus.iter().skip_while(|byte| **byte == 0).count();
            if RSA_MODULUS_BYTES.contains(&length) {
                &[RS256, RS384, RS512, PS256, PS384, PS512]
            } else {
                &[]
            }
        }
        _ => &[],
    }
}
