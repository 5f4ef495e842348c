//! AWS Signature Version 4, computed from its specification without AWS's library, which the Worker signs with.

use anyhow::{Context, ensure};
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use jiff::civil::DateTime;
use runtime::Clock;
use sha2::{Digest, Sha256};

/// AWS refuses older signatures.
const WINDOW_S: i64 = 300;

/// Checks that a POST of `body` to `/` was signed with this key, just now.
pub(super) fn check(headers: &HeaderMap, body: &[u8], key_id: &str, key: &str) -> anyhow::Result<()> {
    let text = |name: &str| {
        let value = headers.get(name).with_context(|| format!("no header {name}"))?;
        value.to_str().with_context(|| format!("{name} is no text"))
    };
    let (authorization, time) = (text("authorization")?, text("x-amz-date")?);
    let rest = authorization.strip_prefix("AWS4-HMAC-SHA256 ").context("another way to sign")?;
    let part = |name: &str| {
        let found = rest.split(", ").find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        found.with_context(|| format!("no {name} in {authorization}"))
    };
    let (credential, signed, claimed) = (part("Credential")?, part("SignedHeaders")?, part("Signature")?);
    let scope = credential.strip_prefix(key_id).and_then(|scope| scope.strip_prefix('/'));
    let scope = scope.context("another key")?;
    let day = time.get(..8).context("no day")?;
    ensure!(scope == format!("{day}/us-east-1/sqs/aws4_request"), "signed for {scope}");
    for needed in ["content-type", "host", "x-amz-date", "x-amz-target"] {
        ensure!(signed.split(';').any(|name| name == needed), "{needed} is not signed, only {signed}");
    }
    let signed_at = DateTime::strptime("%Y%m%dT%H%M%SZ", time)?.in_tz("UTC")?.timestamp();
    let since = Clock::system().now().duration_since(signed_at);
    ensure!(since.as_secs().abs() <= WINDOW_S, "signed at {time}");

    let mut canonical = "POST\n/\n\n".to_owned();
    for name in signed.split(';') {
        canonical += &format!("{name}:{}\n", text(name)?.trim());
    }
    canonical += &format!("\n{signed}\n{}", hex::encode(Sha256::digest(body)));
    let to_sign =
        format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex::encode(Sha256::digest(canonical.as_bytes())));
    let mut derived = format!("AWS4{key}").into_bytes();
    for part in scope.split('/') {
        derived = mac(&derived, part)?;
    }
    ensure!(hex::encode(mac(&derived, &to_sign)?) == claimed, "the signature does not fit\n{canonical}");
    Ok(())
}

fn mac(key: &[u8], text: &str) -> anyhow::Result<Vec<u8>> {
    let mac = Hmac::<Sha256>::new_from_slice(key)?;
    Ok(mac.chain_update(text).finalize().into_bytes().to_vec())
}
