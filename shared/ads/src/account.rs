//! What Meta says of an ad account beside its name: whose it is, how it is reached, and what may be done in it.

use serde::{Deserialize, Serialize};

use crate::Invalid;
use crate::id::{ObjectId, PageId};
use crate::launch::{Dsa, LaunchSpec};

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

/// What launches in an account use where their document is silent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LaunchDefaults {
    /// The Page for which ads speak.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<PageId>,
    /// The pixel that conversions are measured with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixel: Option<ObjectId>,
    /// The Instagram account for which ads speak there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instagram_user: Option<ObjectId>,
    /// The catalog that products come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog: Option<ObjectId>,
    /// The domain that people are sent to, such as `shop.example.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "describe",
        schemars(length(max = 253), regex(pattern = "^[A-Za-z0-9-]{1,63}(\\.[A-Za-z0-9-]{1,63})+$"))
    )]
    pub domain: Option<String>,
    /// Who stands behind ads in the European Economic Area.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dsa: Option<Dsa>,
}

impl LaunchDefaults {
    /// Everything that is wrong, each with its field.
    pub fn check(&self) -> Vec<Invalid> {
        let mut found = Vec::new();
        let is_domain = |domain: &str| {
            domain.len() <= 253
                && domain.contains('.')
                && domain.split('.').all(|label| {
                    (1..=63).contains(&label.len())
                        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                })
        };
        if self.domain.as_deref().is_some_and(|domain| !is_domain(domain)) {
            found.push(Invalid::new("domain", "must be a domain without a path, such as shop.example.com"));
        }
        let named = |name: &str| !name.trim().is_empty() && name.chars().count() <= 512;
        for (field, name) in
            self.dsa.iter().flat_map(|dsa| [("dsa.payor", &dsa.payor), ("dsa.beneficiary", &dsa.beneficiary)])
        {
            if !named(name) {
                found.push(Invalid::new(field, "must have 1 to 512 characters"));
            }
        }
        found
    }

    /// Fills in what a launch does not say.
    pub fn fill(&self, spec: &mut LaunchSpec) {
        if spec.ad_set.dsa.is_none() {
            spec.ad_set.dsa.clone_from(&self.dsa);
        }
        if let (Some(promoted), Some(pixel)) = (&mut spec.ad_set.promoted_object, &self.pixel)
            && promoted.contains_key("custom_event_type")
            && !promoted.contains_key("custom_conversion_id")
        {
            promoted.entry("pixel_id".to_owned()).or_insert_with(|| pixel.to_string());
        }
    }
}

/// A system user acts for its own business. What a partner shares with it can be managed, but the partner's business
/// cannot be named as the one that benefits. `field` is where the beneficiary stands.
pub fn beneficiary_objection(
    dsa: Option<&Dsa>,
    owner: Option<&Business>,
    ways: &[Way],
    field: &str,
) -> Option<Invalid> {
    let own = ways.iter().filter_map(Way::through).next()?;
    let owner = owner.filter(|owner| owner.id != own.id)?;
    let partner = owner.name.as_deref()?;
    let named = dsa?.beneficiary.trim();
    if !named.eq_ignore_ascii_case(partner.trim()) {
        return None;
    }
    let own = own.name.as_deref().unwrap_or(&own.id);
    let problem = format!(
        "names {partner}, a partner whose ad account is shared with {own}; a system user can only name its own \
         business, so name {own}, or launch through a connection of {partner}"
    );
    Some(Invalid::new(field, problem))
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
