//! Verifies the `signed_request` with which Meta reports that a user removed the app or requests the deletion of their
//! data (Facebook Login, "Data Deletion Request Callback").

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::id::PlatformUserId;
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::Sha256;

/// The maximum length; Meta sends no longer ones.
const MAX_SIGNED_REQUEST_BYTES: usize = 8 * 1024;
/// The tolerated clock difference.
const MAX_CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);
/// The maximum age. Meta calls at once, so an older request is a replay.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(24);

/// A verified `signed_request`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRequest {
    /// The app-scoped user id.
    pub user: PlatformUserId,
    /// When Meta signed it.
    pub issued_at: Timestamp,
}

/// The reason why a `signed_request` is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignedRequestError {
    /// It is not signed with the app's secret.
    #[error("the signed_request is not signed with the app's secret")]
    InvalidSignature,
    /// It does not have the form that Meta documents.
    #[error("the signed_request is not of the documented form")]
    Malformed,
    /// It was issued in the future, or too long ago.
    #[error("the signed_request is too old, or not of its time")]
    OutsideValidity,
}

#[derive(Deserialize)]
struct Payload {
    algorithm: String,
    user_id: PlatformUserId,
    issued_at: i64,
}

/// Verifies the signature and decodes the payload. Any of these secrets may have signed it: there are two while the
/// app's secret is rotated.
///
/// The signature covers the payload as it was sent. The comparison takes constant time.
pub fn verify(
    secrets: &[&SecretString],
    text: &str,
    now: Timestamp,
) -> Result<SignedRequest, SignedRequestError> {
    if text.len() > MAX_SIGNED_REQUEST_BYTES {
        return Err(SignedRequestError::Malformed);
    }
    let (signature, payload) = text.split_once('.').ok_or(SignedRequestError::Malformed)?;
    let claimed = URL_SAFE_NO_PAD.decode(signature).map_err(|_| SignedRequestError::InvalidSignature)?;
    if !secrets.iter().any(|secret| is_signed(secret, payload, &claimed)) {
        return Err(SignedRequestError::InvalidSignature);
    }
    let json = URL_SAFE_NO_PAD.decode(payload).map_err(|_| SignedRequestError::Malformed)?;
    let payload: Payload = serde_json::from_slice(&json).map_err(|_| SignedRequestError::Malformed)?;
    if !payload.algorithm.eq_ignore_ascii_case("HMAC-SHA256") {
        return Err(SignedRequestError::Malformed);
    }
    let issued_at =
        Timestamp::from_second(payload.issued_at).map_err(|_| SignedRequestError::OutsideValidity)?;
    let age = now.duration_since(issued_at);
    if age < -MAX_CLOCK_SKEW || age > MAX_AGE {
        return Err(SignedRequestError::OutsideValidity);
    }
    Ok(SignedRequest { user: payload.user_id, issued_at })
}

fn is_signed(secret: &SecretString, payload: &str, claimed: &[u8]) -> bool {
    Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
        .is_ok_and(|mac| mac.chain_update(payload).verify_slice(claimed).is_ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn signed(secret: &str, payload: &str) -> String {
        let payload = URL_SAFE_NO_PAD.encode(payload);
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(&payload);
        format!("{}.{payload}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    fn payload(user: &str, issued_at: i64) -> String {
        format!(r#"{{"algorithm":"HMAC-SHA256","user_id":"{user}","issued_at":{issued_at},"expires":0}}"#)
    }

    fn read(text: &str) -> Result<SignedRequest, SignedRequestError> {
        verify(&[&"new".into(), &"old".into()], text, at(1_000_000))
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn both_secrets_open_one_while_the_apps_is_changed_and_no_third() {
        let expected = SignedRequest { user: "42".parse().unwrap(), issued_at: at(999_990) };
        for secret in ["new", "old"] {
            assert_eq!(read(&signed(secret, &payload("42", 999_990))), Ok(expected.clone()));
        }
        let other = signed("other", &payload("42", 999_990));
        assert_eq!(read(&other), Err(SignedRequestError::InvalidSignature));
        assert_eq!(verify(&[], &other, at(1_000_000)), Err(SignedRequestError::InvalidSignature));
    }

    #[test]
    fn what_is_signed_must_still_be_of_the_form_and_of_its_time() {
        for (json, refusal) in [
            (payload("42", 999_990).replace("HMAC-SHA256", "none"), SignedRequestError::Malformed),
            (r#"{"user_id":"42","issued_at":999990}"#.to_owned(), SignedRequestError::Malformed),
            (r#"{"algorithm":"HMAC-SHA256","issued_at":999990}"#.to_owned(), SignedRequestError::Malformed),
            (payload("4 2", 999_990), SignedRequestError::Malformed),
            ("[]".to_owned(), SignedRequestError::Malformed),
            (payload("42", 1_000_000 + 301), SignedRequestError::OutsideValidity),
            (payload("42", 1_000_000 - 86_401), SignedRequestError::OutsideValidity),
            (payload("42", i64::MAX), SignedRequestError::OutsideValidity),
            (payload("42", i64::MIN), SignedRequestError::OutsideValidity),
        ] {
            assert_eq!(read(&signed("new", &json)), Err(refusal), "{json}");
        }
    }

    #[test]
    fn padding_and_missing_parts_are_refused() {
        let good = signed("new", &payload("42", 999_990));
        let (signature, body) = good.split_once('.').unwrap();
        for wrong in ["", ".", body, &format!("{signature}=.{body}"), &format!("{signature}."), signature] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            read(&format!("{good}{}", "A".repeat(MAX_SIGNED_REQUEST_BYTES))),
            Err(SignedRequestError::Malformed)
        );
    }

    proptest! {
        #[test]
        fn what_meta_signs_is_read_as_it_was_meant(user in "[0-9]{1,20}", ago in 0..86_400_i64) {
            let verified = read(&signed("old", &payload(&user, 1_000_000 - ago))).unwrap();
            prop_assert_eq!(verified.user.as_str(), user);
            prop_assert_eq!(verified.issued_at, at(1_000_000 - ago));
        }

        #[test]
        fn one_changed_character_is_rejected(place in 0_usize..10_000, to in "[A-Za-z0-9_.=-]") {
            let good = signed("new", &payload("42", 999_990));
            let place = place % good.len();
            let mut changed = good.clone();
            changed.replace_range(place..=place, &to);
            prop_assert_eq!(read(&changed).is_ok(), changed == good);
        }

        #[test]
        fn no_text_is_too_odd_to_be_refused(text in any::<String>()) {
            prop_assert!(read(&text).is_err());
        }
    }
}
