//! Entities of an ad account: campaigns, ad sets and ads.

mod changes;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::FieldError;
use crate::id::EntityId;

pub use self::changes::{Changes, given};

/// Where in the hierarchy metrics or entities are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The whole ad account.
    Account,
    /// A campaign.
    Campaign,
    /// An ad set.
    AdSet,
    /// An ad.
    Ad,
}

impl Level {
    /// Returns the level's name, as routes have it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Campaign => "campaign",
            Self::AdSet => "adset",
            Self::Ad => "ad",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Level {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        [Self::Account, Self::Campaign, Self::AdSet, Self::Ad]
            .into_iter()
            .find(|level| level.as_str() == text)
            .ok_or_else(|| FieldError::new("level", "must be account, campaign, adset or ad"))
    }
}

/// Declares an enum that a platform may extend at any time: an unknown value is stored, not rejected.
macro_rules! open_enum {
    ($(#[doc = $text:literal])+ $name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        $(#[doc = $text])+
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum $name {
            $(#[doc = concat!("`", $word, "`.")] $variant,)+
            /// A value that was added since.
            Other(Box<str>),
        }

        impl $name {
            /// Every value known today.
            pub const KNOWN: &[&str] = &[$($word),+];

            /// Returns the value as the platform writes it.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word,
                }
            }
        }

        #[cfg(feature = "describe")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "description": concat!($($text,)+ " Meta may add words at any time."),
                    "examples": Self::KNOWN,
                })
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                match word.as_str() {
                    $($word => Self::$variant,)+
                    _ => Self::Other(word.into()),
                }
            }
        }

        impl From<$name> for String {
            fn from(status: $name) -> String {
                status.as_str().to_owned()
            }
        }
    };
}

open_enum!(
    /// What a person set. DELETED is final; ARCHIVED can only become DELETED.
    Status { Active = "ACTIVE", Paused = "PAUSED", Archived = "ARCHIVED", Deleted = "DELETED" }
);

open_enum!(
    /// The platform's delivery status, derived from the parents and the review. The known values are Meta's.
    EffectiveStatus {
        Active = "ACTIVE",
        Paused = "PAUSED",
        Archived = "ARCHIVED",
        Deleted = "DELETED",
        InProcess = "IN_PROCESS",
        WithIssues = "WITH_ISSUES",
        CampaignPaused = "CAMPAIGN_PAUSED",
        AdSetPaused = "ADSET_PAUSED",
        PendingReview = "PENDING_REVIEW",
        Disapproved = "DISAPPROVED",
        Preapproved = "PREAPPROVED",
        PendingBillingInfo = "PENDING_BILLING_INFO",
    }
);

/// A campaign, ad set or ad as its platform last returned it. An absent field was not returned, which does not mean that it is
/// empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    /// Campaign, ad set or ad.
    pub level: Level,
    /// The platform's id.
    pub id: EntityId,
    /// Parent campaign, for ad sets and ads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign_id: Option<EntityId>,
    /// Parent ad set, for ads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adset_id: Option<EntityId>,
    /// Name given by a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Status set by a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Status that the platform derives from it, the parents and the review.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_status: Option<EffectiveStatus>,
    /// A campaign's objective, such as `OUTCOME_SALES`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<String>,
    /// Daily budget in minor units of the account's currency, where this entity holds the budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily_budget: Option<i64>,
    /// Lifetime budget in minor units, where this entity holds the budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime_budget: Option<i64>,
    /// What a campaign may spend in all, in minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spend_cap: Option<i64>,
    /// How it bids, such as `COST_CAP`, where it holds the budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bid_strategy: Option<String>,
    /// The bid, or the cost per result, of an ad set, in minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bid_amount: Option<i64>,
    /// The least return on ad spend of an ad set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_roas: Option<Decimal>,
    /// When an ad set starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// When an ad set ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// What is only known of an entity that was read alone or with few others, and never stored.
    #[serde(skip)]
    pub content: Content,
    /// What an ad set's delivery is optimised for, such as `OFFSITE_CONVERSIONS`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optimization_goal: Option<String>,
    /// The measure that counts an ad set's results, as queries name it: `purchases`, or `actions.` and an action type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// When it was created, as Meta writes it: `2026-05-06T15:32:58+0200`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_time: Option<String>,
    /// What keeps it from delivering.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issues: Vec<Issue>,
    /// Why the review refused an ad.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub review_feedback: Vec<ReviewFeedback>,
}

impl Entity {
    /// Returns whether it may deliver, now or soon, as far as it alone decides that.
    pub fn is_switched_on(&self) -> bool {
        use EffectiveStatus::{Archived, Deleted, Paused};
        !matches!(self.effective_status, Some(Paused | Archived | Deleted))
    }

    /// Creates an entity of which nothing else is known.
    pub fn new(level: Level, id: EntityId) -> Self {
        Self {
            level,
            id,
            campaign_id: None,
            adset_id: None,
            name: None,
            status: None,
            effective_status: None,
            objective: None,
            daily_budget: None,
            lifetime_budget: None,
            spend_cap: None,
            bid_strategy: None,
            bid_amount: None,
            min_roas: None,
            start: None,
            end: None,
            content: Content::default(),
            optimization_goal: None,
            result: None,
            created_time: None,
            issues: Vec::new(),
            review_feedback: Vec::new(),
        }
    }
}

/// What an entity shows, and to whom: too much to be read of every entity each time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// The platform's id of an ad's creative.
    pub creative_id: Option<String>,
    /// What an ad's links bring along.
    pub url_tags: Option<String>,
    /// Whom an ad set reaches and where, by the platform's names of it, each in one form for the same value.
    pub targeting: BTreeMap<String, Value>,
}

/// Something that keeps an entity from delivering, in the platform's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Issue {
    /// The platform's number of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// What it is, in a few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// What it is and what to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Where it is: Meta's `CAMPAIGN`, `AD_SET` or `AD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// How severe: Meta's `HARD_ERROR` or `SOFT_ERROR`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
}

/// One reason for which a review refused an ad.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct ReviewFeedback {
    /// The policy, as the platform names it.
    pub policy: String,
    /// What it says about the ad.
    pub explanation: String,
    /// The placement in which it holds; absent for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<String>,
}

/// The small picture of an ad.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thumbnail {
    /// The ad.
    pub ad: EntityId,
    /// What kind of picture it is, such as `image/jpeg`.
    pub media_type: &'static str,
    /// The picture.
    pub bytes: Vec<u8>,
}

/// What was read of the pictures of some ads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Thumbnails {
    /// The pictures that there are, in no order.
    pub read: Vec<Thumbnail>,
    /// Ads whose pictures could not be read now.
    pub failed: Vec<EntityId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_is_unknown_survives() {
        let status: EffectiveStatus = serde_json::from_str("\"SLEEPING\"").unwrap();
        assert_eq!(status, EffectiveStatus::Other("SLEEPING".into()));
        assert_eq!(serde_json::to_string(&status).unwrap(), "\"SLEEPING\"");
    }
}
