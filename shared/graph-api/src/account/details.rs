//! What Meta says of an ad account beyond what every platform has.

use domain::FieldError;
use serde::{Deserialize, Serialize};

use crate::regulation::{Dsa, RegionalIdentities};

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
#[serde(rename_all = "snake_case", tag = "type")]
pub enum AccessPath {
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

impl AccessPath {
    /// Returns the business of the person or system user through which the account is accessible; `None` for a direct
    /// assignment.
    pub fn business(&self) -> Option<&Business> {
        match self {
            Self::Assigned => None,
            Self::Owned { business } | Self::Client { business } => Some(business),
        }
    }
}

/// What Meta says of an ad account to the person or system user who can access it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct AccountDetails {
    /// Meta's status number; 1 is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_status: Option<i64>,
    /// Meta's number for why it is disabled; 0 is not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disable_reason: Option<i64>,
    /// The business that owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub business: Option<Business>,
    /// What the connection may do in it: `MANAGE`, `ADVERTISE`, `ANALYZE`, `DRAFT`.
    #[serde(default)]
    pub tasks: Vec<String>,
    /// Every way of its connection to it; none when it can no longer be accessed.
    #[serde(default)]
    pub access_paths: Vec<AccessPath>,
    /// Who pays for ads in the European Economic Area, where an ad set does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_dsa_payor: Option<String>,
    /// Who benefits from them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_dsa_beneficiary: Option<String>,
}

impl AccountDetails {
    /// Checks whether a launch may name these beneficiaries. A person may name any; a system user acts for its own business: it
    /// can manage an account that a partner shares with it, but cannot name the partner's business as beneficiary. The
    /// owner of a verified identity is unknown, unless the identity is the partner's business itself. Field paths are
    /// prefixed with `field_prefix`, which ends with a dot.
    pub fn check_beneficiaries(
        &self,
        is_system_user: bool,
        dsa: Option<&Dsa>,
        identities: &RegionalIdentities,
        field_prefix: &str,
    ) -> Vec<FieldError> {
        if !is_system_user {
            return Vec::new();
        }
        let own = self.access_paths.iter().filter_map(AccessPath::business).next();
        let (Some(own), Some(owner)) = (own, self.business.as_ref()) else { return Vec::new() };
        if owner.id == own.id {
            return Vec::new();
        }
        let partner = owner.name.as_deref().unwrap_or(&owner.id);
        let own = own.name.as_deref().unwrap_or(&own.id);
        let message = format!(
            "names {partner}, a partner whose ad account is shared with {own}; a system user can only name its own \
         business, so name {own}, or launch through a connection of {partner}"
        );
        let known = owner.name.as_deref().map(str::trim);
        let is_partner = |name: &str| known.is_some_and(|known| known.eq_ignore_ascii_case(name.trim()));
        let by_name = dsa.filter(|dsa| is_partner(&dsa.beneficiary)).map(|_| "dsa.beneficiary".to_owned());
        let by_id = identities.iter().filter(|(_, named)| named.beneficiary.as_str() == owner.id);
        let by_id = by_id.map(|(regulation, _)| format!("regional_identities.{regulation}.beneficiary"));
        by_name
            .into_iter()
            .chain(by_id)
            .map(|field| FieldError::new(format!("{field_prefix}{field}"), message.as_str()))
            .collect()
    }

    /// Returns whether ads can run in the account: it is active, pending settlement or in grace period (Marketing
    /// API, "Ad account").
    pub fn can_run(&self) -> bool {
        self.account_status.is_none_or(|status| matches!(status, 1 | 8 | 9))
    }

    /// Describes why the account is disabled (Marketing API, "Ad account"); `None` when it is not.
    pub fn disable_reason_text(&self) -> Option<&'static str> {
        Some(match self.disable_reason? {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::LaunchDefaults;

    #[test]
    fn the_partners_business_is_no_beneficiary_of_a_system_user() {
        let business = |id: &str, name: &str| Business { id: id.to_owned(), name: Some(name.to_owned()) };
        let (agency, client) = (business("7", "Agency"), business("8", "The client"));
        let access_paths = [AccessPath::Assigned, AccessPath::Client { business: agency.clone() }];
        let named: LaunchDefaults = serde_json::from_str(
            r#"{"dsa":{"payor":"Agency","beneficiary":" the Client "},
                "regional_identities":{"SINGAPORE_UNIVERSAL":{"payer":"8","beneficiary":"8"},
                                       "TAIWAN_UNIVERSAL":{"payer":"8","beneficiary":"9"}}}"#,
        )
        .unwrap();
        let fields = |owner: Option<&Business>| {
            let access_paths = access_paths.to_vec();
            let details =
                AccountDetails { business: owner.cloned(), access_paths, ..AccountDetails::default() };
            let (dsa, identities) = (named.dsa.as_ref(), &named.regional_identities);
            let found = details.check_beneficiaries(true, dsa, identities, "ad_set.");
            found.into_iter().map(|found| found.field).collect::<Vec<_>>()
        };
        let of_client =
            ["ad_set.dsa.beneficiary", "ad_set.regional_identities.SINGAPORE_UNIVERSAL.beneficiary"];
        assert_eq!(fields(Some(&client)), of_client);
        assert_eq!(fields(Some(&agency)), [""; 0], "its own");
        assert_eq!(fields(None), [""; 0], "a person's");
    }
}
