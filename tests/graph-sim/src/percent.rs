//! Percent-encoding of values in links, and of the calls in a batch.

use std::collections::BTreeMap;
use std::fmt::Write;

/// Encodes a value for use in a query.
pub(crate) fn encode(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte))
            }
            // Writing to a `String` cannot fail.
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
    }
    encoded
}

/// Decodes a text. Invalid escapes stay as they are.
pub(crate) fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let coded = || u8::from_str_radix(std::str::from_utf8(after.get(..2)?).ok()?, 16).ok();
        let (byte, left) = match (first, coded()) {
            (b'%', Some(byte)) => (byte, &after[2..]),
            (b'+', _) => (b' ', after),
            (byte, _) => (*byte, after),
        };
        bytes.push(byte);
        rest = left;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Parses the pairs of a query or form.
pub(crate) fn pairs(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(k, v)| (decode(k), decode(v)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_comes_back() {
        for text in ["a b|{é}", "100%", "1+1=2&3"] {
            assert_eq!(decode(&encode(text)), text);
        }
        assert_eq!((decode("a+b"), decode("100%")), ("a b".to_owned(), "100%".to_owned()));
        assert_eq!(
            pairs("a=1&&b=x%3Dy&c"),
            [("a", "1"), ("b", "x=y"), ("c", "")].map(|(k, v)| (k.into(), v.into())).into()
        );
    }

    #[test]
    fn only_plain_characters_stay() {
        assert_eq!(encode("a b|{é}"), "a%20b%7C%7B%C3%A9%7D");
    }
}
