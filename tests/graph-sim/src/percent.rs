//! Percent-encoding of values in links.

use std::fmt::Write;

/// The value as it may stand in a query.
pub(crate) fn encode(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte))
            }
            // Writing into a String cannot fail.
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_plain_characters_stay() {
        assert_eq!(super::encode("a b|{é}"), "a%20b%7C%7B%C3%A9%7D");
    }
}
