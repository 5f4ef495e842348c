//! E-mail addresses, normalized so that invitations and sessions can compare them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::FieldError;

/// Maximum length of an address, in bytes (RFC 5321).
const MAX_EMAIL_BYTES: usize = 254;

/// An address in small letters, of visible ASCII characters. Providers treat `Ada@Example.com` and `ada@example.com`
/// as one mailbox, so they are one address here.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "describe", schemars(!try_from, !into, extend("pattern" = "^[!-~]+@[!-?A-~]+$", "maxLength" = MAX_EMAIL_BYTES)))]
pub struct Email(String);

impl Email {
    /// Returns the address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        let is_address =
            text.rsplit_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty());
        if is_address && text.len() <= MAX_EMAIL_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(FieldError::new("email", "must be an e-mail address, such as ada@example.com"))
        }
    }
}

impl TryFrom<String> for Email {
    // Without the field's name: the code that deserializes knows it.
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map_err(|error: FieldError| error.message)
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_two_sides_and_no_capitals() {
        assert_eq!("Ada.L@Example.COM".parse::<Email>().unwrap().as_str(), "ada.l@example.com");
        for bad in
            ["", "ada", "@example.com", "ada@", "a da@example.com", "ada@example.com\n", "ädä@example.com"]
        {
            assert!(bad.parse::<Email>().is_err(), "{bad:?}");
        }
    }
}
