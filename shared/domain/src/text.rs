//! Validation of text and decimals in input, and the equivalent patterns in openapi.yaml.

use icu_normalizer::ComposingNormalizerBorrowed;
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer};

/// Matches what [`is_single_line`] accepts, except for the length.
#[cfg(feature = "describe")]
pub const SINGLE_LINE_PATTERN: &str = r"^[^\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]*[^\u0000-\u0020\u007f-\u00a0\u00ad\u1680\u2000-\u200f\u2028-\u202f\u205f-\u2064\u2066-\u2069\u3000\ufeff][^\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]*$";

/// Matches what [`is_multi_line`] accepts, except for the length.
#[cfg(feature = "describe")]
pub const MULTI_LINE_PATTERN: &str = r"^[^\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]*[^\u0000-\u0020\u007f-\u00a0\u00ad\u1680\u2000-\u200f\u2028-\u202f\u205f-\u2064\u2066-\u2069\u3000\ufeff][^\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]*$";

/// Matches what [`is_http_url`] accepts, except for the length.
#[cfg(feature = "describe")]
pub const HTTP_URL_PATTERN: &str = "^https?://[!-~]+$";

/// Matches what [`is_domain`] accepts, except for the length.
#[cfg(feature = "describe")]
pub const DOMAIN_PATTERN: &str = r"^[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+$";

/// Error message for text that [`is_domain`] rejects.
pub const INVALID_DOMAIN_MESSAGE: &str = "must be a domain without a path, such as example.com";

/// Maximum length of a URL that browsers and Meta agree on, in bytes.
pub const MAX_URL_BYTES: usize = 2_000;

/// Matches what [`is_enum_constant`] accepts.
#[cfg(feature = "describe")]
pub const ENUM_CONSTANT_PATTERN: &str = "^[A-Z][A-Z0-9_]{0,63}$";

/// Matches what [`deserialize_decimal`] accepts.
#[cfg(feature = "describe")]
pub const DECIMAL_PATTERN: &str = r"^-?[0-9]{1,12}(\.[0-9]{1,10})?$";

/// Matches the decimals that [`deserialize_decimal`] accepts and that are not negative.
#[cfg(feature = "describe")]
pub const NON_NEGATIVE_DECIMAL_PATTERN: &str = r"^[0-9]{1,12}(\.[0-9]{1,10})?$";

/// Returns whether this is one line of text, such as a name: at most `max_chars` characters, at least one of them
/// visible, and no control characters.
pub fn is_single_line(text: &str, max_chars: usize) -> bool {
    text.chars().any(is_visible)
        && !text.chars().any(|c| c.is_control() || turns_text_around(c))
        && text.chars().count() <= max_chars
}

/// Returns whether a character shows something by itself: no space, and none of those that join or separate others.
fn is_visible(c: char) -> bool {
    !(c.is_whitespace()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}'))
}

/// Returns whether a character lets what follows it be read in another direction than it is written, such as to pass a
/// name off as another.
fn turns_text_around(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// [A line of text](is_single_line) of at most `MAX` characters, checked when it is parsed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Line<const MAX: usize>(String);

impl<const MAX: usize> Line<MAX> {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> TryFrom<String> for Line<MAX> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match is_single_line(&text, MAX) {
            true => Ok(Self(text)),
            false => Err(format!("must be a line of 1 to {MAX} characters")),
        }
    }
}

impl<const MAX: usize> From<Line<MAX>> for String {
    fn from(line: Line<MAX>) -> Self {
        line.0
    }
}

#[cfg(feature = "describe")]
impl<const MAX: usize> schemars::JsonSchema for Line<MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Line{MAX}").into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "maxLength": MAX, "pattern": SINGLE_LINE_PATTERN})
    }
}

/// Returns whether this is text of one or more lines, otherwise as in [`is_single_line`].
pub fn is_multi_line(text: &str, max_chars: usize) -> bool {
    text.chars().any(is_visible)
        && !text.chars().any(|c| (c.is_control() && c != '\n') || turns_text_around(c))
        && text.chars().count() <= max_chars
}

/// Writes a text as it is searched: without regard to case, and to how letters with marks were typed.
pub fn searchable(text: &str) -> String {
    ComposingNormalizerBorrowed::new_nfc().normalize(&text.to_lowercase()).into_owned()
}

/// Returns whether this is an internet domain, in ASCII.
pub fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    text.len() <= 253 && text.contains('.') && text.split('.').all(is_label)
}

/// Returns whether this is an HTTP or HTTPS URL in visible ASCII characters, of at most [`MAX_URL_BYTES`].
pub fn is_http_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic()))
        && text.len() <= MAX_URL_BYTES
}

/// Returns whether this has the form of Meta's enum constants, such as `LINK_CLICKS`.
pub fn is_enum_constant(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// Deserializes a decimal in plain digits. Rejects the other notations that the library accepts (exponents,
/// underscores, digits that it rounds away), because they may not mean what the writer intended.
///
/// # Errors
/// Returns the deserializer's error, or one for any other text.
pub fn deserialize_decimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    let text = String::deserialize(deserializer)?;
    let unsigned = text.strip_prefix('-').unwrap_or(&text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let digits = |part: &str, max_chars: usize| {
        (1..=max_chars).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
    };
    let plain = digits(whole, 12) && digits(fraction, 10);
    let value = plain.then(|| text.parse().ok()).flatten();
    value.ok_or_else(|| {
        serde::de::Error::custom(
            "must be a decimal such as \"12.50\", with 12 digits before the point and 10 after it at most",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_text_shows_something_and_controls_nothing() {
        assert!(is_single_line("👩\u{200d}💻", 3));
        assert!(is_single_line("Winter sale ❄", 13) && is_single_line(" x\u{3000}", 3));
        for bad in [
            "",
            "  ",
            "\u{a0}\u{3000}",
            "a\nb",
            "a\0",
            "a\u{85}",
            "fourteen chars",
            "\u{200b}\u{feff}",
            "a\u{202e}b",
            "a\u{2066}b",
        ] {
            assert!(!is_single_line(bad, 13), "{bad:?}");
        }
    }

    #[test]
    fn lines_may_break_and_addresses_may_not() {
        assert!(is_multi_line("one\n\ntwo", 8));
        for bad in ["", "\n", "one\ttwo", "one\r\ntwo", "nine chars"] {
            assert!(!is_multi_line(bad, 9), "{bad:?}");
        }
        assert!(is_domain("example.com") && is_domain("a.b-c.example") && !is_domain("example"));
        assert!(is_http_url("http://example.com") && is_http_url("https://x/%C3%BC?a=b&c"));
        for bad in [
            "https://",
            "example.com",
            "ftp://example.com",
            "https://a b",
            "https://\u{fc}.de",
            "https://a\n",
        ] {
            assert!(!is_http_url(bad), "{bad:?}");
        }
        assert!(!is_http_url(&format!("https://example.com/{}", "x".repeat(MAX_URL_BYTES))));
    }

    #[test]
    fn letters_with_marks_are_found_however_they_were_typed() {
        assert_eq!(searchable("CAFE\u{301} \u{1100}\u{1161}\u{11b7}"), "café 감");
    }

    #[test]
    fn decimals_are_plain_digits() {
        let read = |text: &str| deserialize_decimal(serde_json::Value::from(text));
        assert_eq!(read("-012.50").unwrap(), Decimal::new(-1250, 2));
        for bad in
            ["", "1e3", "1_000", "+1", ".5", "5.", "1.2.3", "0.00000000001", "1000000000000", "NaN", " 1"]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
