//! Identifiers. Each kind is its own type, validated when it is parsed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::FieldError;

/// Declares an id type over a string that `$check` accepts; `$pattern` matches the same strings.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $field:literal, $check:expr, $pattern:literal, $message:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        #[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
        #[cfg_attr(feature = "describe", schemars(!try_from, !into, extend("pattern" = $pattern)))]
        pub struct $name(Box<str>);

        impl $name {
            /// Returns the id as text, as it is stored and sent.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = FieldError;

            fn from_str(text: &str) -> Result<Self, FieldError> {
                let check: fn(&str) -> bool = $check;
                if check(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(FieldError::new($field, $message))
                }
            }
        }

        impl TryFrom<String> for $name {
            // Without the field's name: the code that deserializes knows it.
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse().map_err(|error: FieldError| error.message)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

fn is_digits(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_slug(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

id!(
    /// A tenant: the team whose data this is. Every key of the table begins with it.
    WorkspaceId, "workspace", is_slug, "^[a-z0-9-]{1,64}$", "must be 1 to 64 of a-z, 0-9 and '-'"
);
id!(
    /// An ad account as Meta's edges take it: `act_` and digits.
    AdAccountId, "ad_account", |text| text.strip_prefix("act_").is_some_and(is_digits),
    "^act_[0-9]{1,32}$", "must be 'act_' followed by digits, such as act_1234567890"
);
id!(
    /// A campaign, ad set or ad. Meta's ids exceed 2^53, so they stay text.
    ObjectId, "id", is_digits, "^[0-9]{1,32}$", "must be the digits of a Meta object id"
);
id!(
    /// A Facebook Page, for which ads speak.
    PageId, "page", is_digits, "^[0-9]{1,32}$", "must be the digits of a Page's id"
);
id!(
    /// A video of an ad account.
    VideoId, "video", is_digits, "^[0-9]{1,32}$", "must be the digits of a video's id"
);
id!(
    /// An image of an ad account, known by its content: the same image has the same hash in every account.
    ImageHash, "image", |text| (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric()),
    "^[A-Za-z0-9]{1,64}$", "must be the hash that Meta gave the image"
);
id!(
    /// A person at Meta, as our app sees them (app-scoped).
    MetaUserId, "meta_user", is_digits, "^[0-9]{1,32}$", "must be the digits of a Meta user id"
);
id!(
    /// One person's or system user's consent at Meta, with the token that came of it.
    ConnectionId, "connection", is_slug, "^[a-z0-9-]{1,64}$", "must be a connection id as GET connections shows it"
);
id!(
    /// An automation rule.
    RuleId, "rule", is_slug, "^[a-z0-9-]{1,64}$", "must be a rule id as GET rules shows it"
);
id!(
    /// One run of a launch document.
    LaunchId, "launch", is_slug, "^[a-z0-9-]{1,64}$", "must be a launch id as POST campaigns answered it"
);

id!(
    /// A member of a workspace: what stands for the issuer's name of a person where that name would be too long or
    /// too odd.
    MemberId, "member", is_slug, "^[a-z0-9-]{1,64}$", "must be a member id as GET members shows it"
);
id!(
    /// An invitation to a workspace.
    InvitationId, "invitation", is_slug, "^[a-z0-9-]{1,64}$", "must be an invitation id as GET invitations shows it"
);

impl MemberId {
    /// Derives the member id of a person, the same in every workspace: the first 128 bits of SHA-256 over the subject
    /// that the issuer vouches for, in hex.
    pub fn from_subject(subject: &str) -> Self {
        let mut digits = hex::encode(Sha256::digest(subject));
        digits.truncate(32);
        Self(digits.into())
    }
}

impl ConnectionId {
    /// Returns a pseudonym for logs, because the id contains Meta's id of a person: the first 64 bits of its SHA-256.
    pub fn log_id(&self) -> String {
        let mut digits = hex::encode(Sha256::digest(self.as_str()));
        digits.truncate(16);
        digits
    }
}

impl AdAccountId {
    /// Returns the digits alone, as `account_id` fields and usage headers carry them.
    pub fn digits(&self) -> &str {
        self.0.trim_start_matches("act_")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_checked_when_parsed() {
        assert_eq!("act_12".parse::<AdAccountId>().unwrap().digits(), "12");
        for bad in ["12", "act_", "act_1x", "act_1#2", ""] {
            assert!(bad.parse::<AdAccountId>().is_err(), "{bad}");
        }
        assert!("demo".parse::<WorkspaceId>().is_ok());
        for bad in ["", "Demo", "a|b", "a#b", "../x"] {
            assert!(bad.parse::<WorkspaceId>().is_err(), "{bad}");
        }
        let parsed: Result<ObjectId, _> = serde_json::from_str("\"12a\"");
        assert!(parsed.unwrap_err().to_string().contains("digits"));
    }
}
