//! Legally required disclosures of an ad: who pays for it, and who benefits.

use std::collections::BTreeMap;
use std::fmt;

use domain::FieldError;
use domain::text::is_single_line;
use serde::{Deserialize, Serialize};

use crate::id::ObjectId;

/// Meta's limit for the names of payor and beneficiary, in characters.
const MAX_NAME_CHARS: usize = 512;

/// What the EU's Digital Services Act wants shown with an ad.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Dsa {
    /// Who pays.
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_NAME_CHARS), extend("pattern" = domain::text::SINGLE_LINE_PATTERN)))]
    pub payor: String,
    /// On whose behalf the ad is shown.
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_NAME_CHARS), extend("pattern" = domain::text::SINGLE_LINE_PATTERN)))]
    pub beneficiary: String,
}

impl Dsa {
    /// Returns every validation error. `field` is the path of the document.
    pub fn check(&self, field: &str) -> Vec<FieldError> {
        let names = [("payor", &self.payor), ("beneficiary", &self.beneficiary)];
        let wrong = names.into_iter().filter(|(_, name)| !is_single_line(name, MAX_NAME_CHARS));
        let rule = format!("must have 1 to {MAX_NAME_CHARS} characters, and no control characters");
        wrong.map(|(part, _)| FieldError::new(format!("{field}.{part}"), rule.as_str())).collect()
    }
}

/// A law outside of the EU for which Meta wants identities that it has verified, by Meta's name for it.
/// Source: Marketing API, "Ad Set", `regional_regulated_categories`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Regulation {
    /// Any ad in Taiwan.
    TaiwanUniversal,
    /// Ads for financial services in Taiwan, beside the one for any ad.
    TaiwanFinserv,
    /// Any ad in Singapore.
    SingaporeUniversal,
    /// Any ad in Thailand.
    ThailandUniversal,
    /// Any ad in Brazil.
    BrazilRegulation,
    /// Ads for financial services in Australia.
    AustraliaFinserv,
    /// Ads for securities and investments in India.
    IndiaFinserv,
}

impl Regulation {
    /// Every regulation.
    pub const ALL: [Self; 7] = [
        Self::TaiwanUniversal,
        Self::TaiwanFinserv,
        Self::SingaporeUniversal,
        Self::ThailandUniversal,
        Self::BrazilRegulation,
        Self::AustraliaFinserv,
        Self::IndiaFinserv,
    ];

    /// Returns the code of the country whose people it protects.
    pub fn country(self) -> &'static str {
        match self {
            Self::TaiwanUniversal | Self::TaiwanFinserv => "TW",
            Self::SingaporeUniversal => "SG",
            Self::ThailandUniversal => "TH",
            Self::BrazilRegulation => "BR",
            Self::AustraliaFinserv => "AU",
            Self::IndiaFinserv => "IN",
        }
    }

    /// Returns whether it covers only ads for financial services.
    pub fn is_financial(self) -> bool {
        matches!(self, Self::TaiwanFinserv | Self::AustraliaFinserv | Self::IndiaFinserv)
    }

    /// Returns Meta's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::TaiwanUniversal => "TAIWAN_UNIVERSAL",
            Self::TaiwanFinserv => "TAIWAN_FINSERV",
            Self::SingaporeUniversal => "SINGAPORE_UNIVERSAL",
            Self::ThailandUniversal => "THAILAND_UNIVERSAL",
            Self::BrazilRegulation => "BRAZIL_REGULATION",
            Self::AustraliaFinserv => "AUSTRALIA_FINSERV",
            Self::IndiaFinserv => "INDIA_FINSERV",
        }
    }
}

impl fmt::Display for Regulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who stands behind ads under one regulation: ids of identities that Meta has verified. Both may be the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Identities {
    /// Who pays.
    pub payer: ObjectId,
    /// Who benefits.
    pub beneficiary: ObjectId,
}

/// Verified identities by regulation.
pub type RegionalIdentities = BTreeMap<Regulation, Identities>;

/// Adds the constraints that the derived schema of [`RegionalIdentities`] lacks.
#[cfg(feature = "describe")]
pub(crate) fn describe(schema: &mut schemars::Schema) {
    let names = Regulation::ALL.map(Regulation::name);
    schema.insert("propertyNames".to_owned(), serde_json::json!({ "enum": names }));
    let (special, general) = (Regulation::TaiwanFinserv.name(), Regulation::TaiwanUniversal.name());
    schema.insert("dependentRequired".to_owned(), serde_json::json!({ special: [general] }));
}

/// Checks Meta's rule for all stored identities: those for financial services in Taiwan require those for any ad there.
/// `field` is the path of the identities.
pub fn check_identities(identities: &RegionalIdentities, field: &str) -> Option<FieldError> {
    let (special, general) = (Regulation::TaiwanFinserv, Regulation::TaiwanUniversal);
    let alone = identities.contains_key(&special) && !identities.contains_key(&general);
    alone.then(|| FieldError::new(format!("{field}.{special}"), format!("needs {general} beside it")))
}

/// Checks Meta's rule for one ad set: Thailand and Brazil share one pair of parameters. `field` is the path of the
/// identities.
pub fn check_shared_identities(identities: &RegionalIdentities, field: &str) -> Option<FieldError> {
    let (one, other) = (Regulation::ThailandUniversal, Regulation::BrazilRegulation);
    let differ = identities.get(&one)? != identities.get(&other)?;
    differ.then(|| {
        let message = format!(
            "must be those of {one}: Meta takes one payer and one beneficiary for both; launch for one country at a \
             time where they differ"
        );
        FieldError::new(format!("{field}.{other}"), message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> RegionalIdentities {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn regulations_have_metas_names() {
        for regulation in Regulation::ALL {
            assert_eq!(serde_json::to_value(regulation).unwrap(), regulation.name());
        }
    }

    #[test]
    fn what_goes_together_is_demanded_together() {
        let pair = |name: &str, id: u8| format!(r#""{name}":{{"payer":"{id}","beneficiary":"{id}"}}"#);
        let alone = read(&format!("{{{}}}", pair("TAIWAN_FINSERV", 1)));
        let field = |found: Option<FieldError>| found.map(|found| found.field);
        assert_eq!(field(check_identities(&alone, "x")).as_deref(), Some("x.TAIWAN_FINSERV"));
        let both = read(&format!("{{{},{}}}", pair("TAIWAN_FINSERV", 1), pair("TAIWAN_UNIVERSAL", 2)));
        assert_eq!(check_identities(&both, "x"), None);
        let two = |brazil| pair("THAILAND_UNIVERSAL", 1) + "," + &pair("BRAZIL_REGULATION", brazil);
        assert_eq!(check_shared_identities(&read(&format!("{{{}}}", two(1))), "x"), None);
        let differ = check_shared_identities(&read(&format!("{{{}}}", two(2))), "x");
        assert_eq!(field(differ).as_deref(), Some("x.BRAZIL_REGULATION"));
    }
}
