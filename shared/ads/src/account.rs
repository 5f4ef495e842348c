//! What Meta says of an ad account beside its name: whose it is, how it is reached, and what may be done in it.

use serde::{Deserialize, Serialize};

/// A business at Meta.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Business {
    /// Its id.
    pub id: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A way to an ad account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", tag = "how")]
pub enum Way {
    /// It is assigned to the person or system user.
    Assigned,
    /// A business of theirs owns it.
    Owned {
        /// Which.
        business: Business,
    },
    /// A partner shares it with a business of theirs.
    Client {
        /// Theirs, not the partner.
        business: Business,
    },
}

impl Way {
    /// The business of the person or system user through which it leads.
    pub fn through(&self) -> Option<&Business> {
        match self {
            Self::Assigned => None,
            Self::Owned { business } | Self::Client { business } => Some(business),
        }
    }
}

/// Ads can run in an account of this status (Marketing API, "Ad account"): active, pending settlement, in grace period.
pub fn can_run(account_status: i64) -> bool {
    matches!(account_status, 1 | 8 | 9)
}

/// Why an account is disabled, in words (Marketing API, "Ad account"); none when it is not.
pub fn disabled_because(disable_reason: i64) -> Option<&'static str> {
    Some(match disable_reason {
        0 => return None,
        1 => "its ads broke Meta's policies",
        2 => "Meta reviews its intellectual property",
        3 => "Meta saw a risk in its payments",
        4 => "Meta shut the account down as one of a hidden owner",
        5 => "Meta reviews the account",
        6 => "Meta doubts the integrity of the business",
        7 => "it was closed for good",
        8 | 9 => "it was not used",
        10 => "it is an umbrella account",
        11 => "its business portfolio broke Meta's policies",
        12 => "it misrepresents who advertises",
        13 => "its legal entity was taken away",
        14 => "Meta reviews its conversations",
        15 => "somebody else may have got hold of it",
        _ => "Meta gives a reason that is not known here",
    })
}
