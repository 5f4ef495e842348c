//! Random values from the operating system, the only source of randomness.

use domain::Error;

/// Generates random bytes.
#[expect(clippy::disallowed_methods, reason = "this is the one place that draws randomness")]
pub fn bytes<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Error::Unavailable(format!("no randomness: {error}")))?;
    Ok(bytes)
}

/// Generates an id of 96 random bits in lower-case hex.
pub fn id() -> Result<String, Error> {
    bytes::<12>().map(hex::encode)
}
