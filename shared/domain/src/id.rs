//! Identifiers. Each kind is its own type, validated when it is parsed.

use sha2::{Digest, Sha256};

use crate::platform::Platform;

/// Declares an id type over a string that `$check` accepts; `$pattern` matches the same strings. Platforms' own crates
/// declare theirs with it.
#[macro_export]
macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $field:literal, $check:expr, $pattern:literal, $message:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
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

        impl std::str::FromStr for $name {
            type Err = $crate::FieldError;

            fn from_str(text: &str) -> Result<Self, $crate::FieldError> {
                let check: fn(&str) -> bool = $check;
                if check(text) {
                    Ok(Self(text.into()))
                } else {
                    Err($crate::FieldError::new($field, $message))
                }
            }
        }

        impl TryFrom<String> for $name {
            // Without the field's name: the code that deserializes knows it.
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse().map_err(|error: $crate::FieldError| error.message)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.into()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// Returns whether a text can be an id of some platform: digits, UUIDs, URN parts and the like. It can stand in a URL's
/// path, and in a key of the table.
fn is_native_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'~' | b':' | b'-'))
}

fn is_ad_account_id(text: &str) -> bool {
    let native = |platform: Platform| text.strip_prefix(platform.account_prefix());
    text.len() <= 64 && Platform::ALL.into_iter().find_map(native).is_some_and(is_native_id)
}

fn is_slug(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

id_type!(
    /// A tenant: the team whose data this is. Every key of the table begins with it.
    WorkspaceId, "workspace", is_slug, "^[a-z0-9-]{1,64}$", "must be 1 to 64 of a-z, 0-9 and '-'"
);
id_type!(
    /// An ad account. Opaque but for its beginning, which tells the platform: `act_` is Meta's, `import_` is that of accounts
    /// whose numbers the workspace sends itself.
    AdAccountId, "ad_account", is_ad_account_id,
    "^(act_[A-Za-z0-9_~:-]{1,60}|import_[A-Za-z0-9_~:-]{1,57})$",
    "must be an ad account's id with its platform's prefix, such as act_1234567890 or import_shop"
);
id_type!(
    /// A campaign, ad set or ad, as its platform names it; the platform is that of the ad account. Opaque: ids exceed
    /// 2^53 at Meta, and are no numbers elsewhere.
    EntityId, "id", is_native_id, "^[A-Za-z0-9_~:-]{1,64}$", "must be the id of a campaign, ad set or ad"
);
id_type!(
    /// A person at an ad platform, as our app sees them.
    PlatformUserId, "user", is_native_id, "^[A-Za-z0-9_~:-]{1,64}$", "must be a user's id at the platform"
);
id_type!(
    /// One person's or system user's consent on a platform, with the token that came of it.
    ConnectionId, "connection", is_slug, "^[a-z0-9-]{1,64}$", "must be a connection id as GET connections shows it"
);
id_type!(
    /// An automation rule.
    RuleId, "rule", is_slug, "^[a-z0-9-]{1,64}$", "must be a rule id as GET rules shows it"
);
id_type!(
    /// One run of a launch document.
    LaunchId, "launch", is_slug, "^[a-z0-9-]{1,64}$", "must be a launch id as POST campaigns answered it"
);

id_type!(
    /// A change of many campaigns, ad sets and ads. Ids sort by time.
    BulkChangeId, "bulk_change", is_slug, "^[a-z0-9-]{1,64}$", "must be an id as POST bulk-changes answered it"
);
id_type!(
    /// A request to measure days.
    SyncRunId, "run", is_slug, "^[a-z0-9-]{1,64}$", "must be a run id as POST sync answered it"
);
id_type!(
    /// A member of a workspace: what stands for the issuer's name of a person where that name would be too long or
    /// too odd.
    MemberId, "member", is_slug, "^[a-z0-9-]{1,64}$", "must be a member id as GET members shows it"
);
id_type!(
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
    /// Returns the id of the connections of a person or system user at Meta: the same in every workspace.
    pub fn of_meta_user(user: &PlatformUserId) -> Result<Self, crate::FieldError> {
        format!("meta-{user}").parse()
    }

    /// Returns a pseudonym for logs, because the id contains the platform's id of a person: the first 64 bits of its SHA-256.
    pub fn log_id(&self) -> String {
        let mut digits = hex::encode(Sha256::digest(self.as_str()));
        digits.truncate(16);
        digits
    }
}

impl AdAccountId {
    /// Returns the platform of the account.
    pub fn platform(&self) -> Platform {
        let known = Platform::ALL.into_iter().find(|platform| self.0.starts_with(platform.account_prefix()));
        // Every id was checked when it was parsed.
        known.unwrap_or(Platform::Meta)
    }
}

impl EntityId {
    /// Returns the id of what its source knows by this text: the text itself where it can be an id, and else one that is
    /// derived from it, the first 128 bits of its SHA-256 in hex.
    pub fn of_source(text: &str) -> Self {
        text.parse().unwrap_or_else(|_| {
            let mut id = format!("x-{}", hex::encode(Sha256::digest(text)));
            id.truncate(34);
            Self(id.into())
        })
    }
}

impl From<&AdAccountId> for EntityId {
    /// Returns the account as the one entity of its level.
    fn from(account: &AdAccountId) -> Self {
        Self(account.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_checked_when_parsed() {
        assert_eq!("act_12".parse::<AdAccountId>().unwrap().platform(), Platform::Meta);
        assert_eq!("import_shop".parse::<AdAccountId>().unwrap().platform(), Platform::Imported);
        for bad in ["12", "act_", "act_1/2", "act_1#2", "other_1", ""] {
            assert!(bad.parse::<AdAccountId>().is_err(), "{bad}");
        }
        assert!("demo".parse::<WorkspaceId>().is_ok());
        for bad in ["", "Demo", "a|b", "a#b", "../x"] {
            assert!(bad.parse::<WorkspaceId>().is_err(), "{bad}");
        }
        for good in ["120210000000000001", "444~555", "urn:li:1", "8e0f-4a", "gz1k"] {
            assert!(good.parse::<EntityId>().is_ok(), "{good}");
        }
        for bad in ["", "..", "a/b", "a#b", "a?b", "a b"] {
            assert!(bad.parse::<EntityId>().is_err(), "{bad}");
        }
        assert_eq!(EntityId::of_source("gz1k").as_str(), "gz1k");
        for odd in ["", "Spring sale / video 3", "a#b"] {
            let id = EntityId::of_source(odd);
            assert!(id.as_str().starts_with("x-") && id.as_str().parse::<EntityId>().is_ok(), "{odd}");
        }
        let parsed: Result<EntityId, _> = serde_json::from_str("\"1/2\"");
        assert!(parsed.unwrap_err().to_string().contains("campaign"));
    }
}
