//! Gives invalid input to every decoder of outside input.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod callbacks;
mod documents;
mod graph;
mod webhooks;

use std::fmt::Debug;

use fuzz::Edit;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Inputs per decoder: `FUZZ_ITERATIONS`, which `cargo xtask nightly fuzz` raises.
#[expect(clippy::disallowed_methods, reason = "a person who looks for rare inputs says how many")]
fn iterations() -> usize {
    std::env::var("FUZZ_ITERATIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(200)
}

/// The index of the valid document, the number of edits, and the edits.
type Input = (u8, u8, [Edit; 4]);

/// Returns the document of an input.
fn document(valid: &[&str], (which, much, edits): &Input) -> Vec<u8> {
    fuzz::mutate(valid[usize::from(*which) % valid.len()], &edits[..usize::from(*much) % 5])
}

/// Asserts that an accepted value reads the same after it was written.
fn assert_round_trips<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let written = serde_json::to_string(value).unwrap();
    assert_eq!(&serde_json::from_str::<T>(&written).unwrap(), value, "{written}");
}

/// Asserts that each valid document is accepted unchanged, or no input would get past the parser.
fn assert_accepted(valid: &[&str], accept: impl Fn(&[u8]) -> bool) {
    for document in valid {
        assert!(accept(document.as_bytes()), "{document}");
    }
}
