//! Valid documents, mutated in the ways that break parsers.
//!
//! The targets under `tests/fuzz` give such documents to every decoder of outside input: none panics, hangs or
//! allocates without bound, and what is accepted reads the same after a round trip. `cargo test -p fuzz` runs each for
//! a moment, with other inputs every time; a failure prints the seed that repeats it. For hours, on stable Rust:
//!
//! ```sh
//! BOLERO_RANDOM_TEST_TIME_MS=14400000 BOLERO_RANDOM_ITERATIONS=9000000000 cargo test --release -p fuzz insights
//! ```
//!
//! or, guided by coverage, after `cargo install cargo-bolero`:
//!
//! ```sh
//! cargo bolero test -p fuzz --sanitizer NONE --time 4h graph::insights
//! ```

/// An edit of a document: the kind of edit, its place, its length in bytes, and the index of the replacement.
pub type Edit = (u8, u16, u8, u8);

/// Replacements of a value; also inserted anywhere.
const REPLACEMENTS: [&[u8]; 34] = [
    b"null",
    b"true",
    b"{}",
    b"[]",
    b"[[]]",
    b"0",
    b"-0",
    b"-1",
    b"1.5",
    b"1e308",
    b"1e999",
    b"-1e-999",
    b"9223372036854775807",
    b"18446744073709551616",
    b"79228162514264337593543950335",
    b"\"\"",
    b"\"0\"",
    b"\"-1\"",
    b"\"1e28\"",
    b"\"1e-30\"",
    b"\"1e99999999999\"",
    b"\"18446744073709551615\"",
    b"\"79228162514264337593543950335\"",
    b"\"-79228162514264337593543950335\"",
    b"\"0.0000000000000000000000000001\"",
    b"\"NaN\"",
    b"\"act_0\"",
    b"\"9999-12-31\"",
    b"\"-9999-01-01\"",
    b"\"2026-02-30\"",
    b"\"\\ud800\"",
    b"\"\\u0000\"",
    b"\"\xff\xfe\"",
    b"\"\xef\xbc\x91\"",
];

/// No edit makes a document longer than this.
const MAX_DOCUMENT_BYTES: usize = 1 << 16;

/// Returns the document after these edits. Without edits it stays valid.
pub fn mutate(document: &str, edits: &[Edit]) -> Vec<u8> {
    edits.iter().fold(document.as_bytes().to_vec(), |bytes, edit| apply_edit(bytes, *edit))
}

fn apply_edit(mut bytes: Vec<u8>, (what, at, length, which): Edit) -> Vec<u8> {
    let at = usize::from(at) % (bytes.len() + 1);
    let end = (at + usize::from(length)).min(bytes.len());
    let times = usize::from(which);
    let replacement = REPLACEMENTS[times % REPLACEMENTS.len()];
    match what % 10 {
        0 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= which),
        1 => drop(bytes.drain(at..end)),
        2 => drop(bytes.splice(at..at, bytes[at..end].repeat(times))),
        3 => drop(bytes.splice(at..at, b"[".repeat(times * 64))),
        4 => drop(bytes.splice(at..at, br#"{"data":"#.repeat(times * 16))),
        5 => bytes.truncate(at),
        6 => drop(bytes.splice(at..at, replacement.iter().copied())),
        // The most frequent edit: another value in place of one.
        _ => {
            let value = value_range_after(&bytes, at);
            bytes.splice(value, replacement.iter().copied());
        }
    }
    bytes.truncate(MAX_DOCUMENT_BYTES);
    bytes
}

/// Returns the range of the first value after this position.
fn value_range_after(bytes: &[u8], at: usize) -> std::ops::Range<usize> {
    let find = |from: usize, wanted: &[u8]| {
        let found = bytes.iter().skip(from).position(|byte| wanted.contains(byte));
        found.map_or(bytes.len(), |distance| from + distance)
    };
    let start = (find(at, b":,[") + 1).min(bytes.len());
    let end = match bytes.get(start) {
        Some(b'"') => (find(start + 1, b"\"") + 1).min(bytes.len()),
        _ => find(start, b",]}"),
    };
    start..end.max(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_replaced_as_a_whole() {
        let document = r#"{"id":"23","list":[1,2]}"#;
        assert_eq!(mutate(document, &[(9, 3, 0, 7)]), br#"{"id":-1,"list":[1,2]}"#);
        assert_eq!(mutate(document, &[(9, 18, 0, 0)]), br#"{"id":"23","list":[null,2]}"#);
        assert_eq!(mutate(document, &[]), document.as_bytes());
    }

    #[test]
    fn no_document_exceeds_the_maximum_size() {
        let edits = [(2, 0, 255, 255); 6];
        assert!(mutate(&"x".repeat(300), &edits).len() <= MAX_DOCUMENT_BYTES);
    }
}
