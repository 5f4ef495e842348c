//! The ad accounts that a token can access: assigned ones, those of its businesses, and those that partners share.

mod details;

use std::collections::BTreeMap;

use domain::gap::Gap;
use domain::id::AdAccountId;
use domain::money::Currency;
use serde::Deserialize;

use crate::client::UserClient;
use crate::error::{Details, GraphError};
use crate::page::Pages;

pub use self::details::{AccessPath, AccountDetails, Business};

/// The fields of an ad account: everything, and less for a token or a version with which Meta refuses a whole list for
/// one of them. `business` needs business_management, which tokens with `ads_read` alone lack.
const FIELDS: [&str; 3] = [
    "id,name,account_status,disable_reason,currency,timezone_name,business{id,name},user_tasks,default_dsa_payor,\
     default_dsa_beneficiary",
    "id,name,account_status,disable_reason,currency,timezone_name,user_tasks,default_dsa_payor,default_dsa_beneficiary",
    "id,name,account_status,disable_reason,currency,timezone_name",
];

/// Rows per page.
const PAGE_ROWS: u32 = 100;

/// Businesses whose accounts are listed while somebody waits: two calls each.
const MAX_AWAITED_BUSINESSES: usize = 8;

/// Returns Meta's number of an ad account, as `account_id` fields and usage headers carry it.
pub fn digits(account: &AdAccountId) -> &str {
    account.as_str().trim_start_matches("act_")
}

/// A row of an edge that lists ad accounts.
#[derive(Debug, Clone, Deserialize)]
struct AccountRow {
    id: AdAccountId,
    name: Option<String>,
    account_status: Option<i64>,
    disable_reason: Option<i64>,
    currency: Currency,
    timezone_name: String,
    business: Option<Business>,
    #[serde(default)]
    user_tasks: Vec<String>,
    default_dsa_payor: Option<String>,
    default_dsa_beneficiary: Option<String>,
}

/// An ad account that a token can access.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "AccountRow")]
pub struct AccessibleAccount {
    /// The id.
    pub id: AdAccountId,
    /// Its name.
    pub name: Option<String>,
    /// The currency, fixed for the account's life.
    pub currency: Currency,
    /// The IANA time zone, which defines the days of insights.
    pub timezone: String,
    /// What else Meta says of it, with every access path to it, at least one.
    pub details: AccountDetails,
}

impl From<AccountRow> for AccessibleAccount {
    fn from(row: AccountRow) -> Self {
        let details = AccountDetails {
            account_status: row.account_status,
            disable_reason: row.disable_reason,
            business: row.business,
            tasks: row.user_tasks,
            access_paths: Vec::new(),
            default_dsa_payor: row.default_dsa_payor,
            default_dsa_beneficiary: row.default_dsa_beneficiary,
        };
        Self { id: row.id, name: row.name, currency: row.currency, timezone: row.timezone_name, details }
    }
}

/// The ad accounts that a token can access.
#[derive(Debug, Clone, Default)]
pub struct AccessibleAccounts {
    /// Those that can be read, each once.
    pub accounts: Vec<AccessibleAccount>,
    /// What could not be read of them: whole accounts, each with its id where that could be read, and fields.
    pub gaps: Vec<Gap>,
}

impl UserClient {
    /// Reads the businesses of the user, or the one that a system user belongs to.
    pub async fn businesses(&self) -> Result<Vec<Business>, GraphError> {
        self.pages("me/businesses".to_owned(), "id,name").all().await
    }

    /// Reads every ad account that the token can access, each once. Accounts of a business require the permission
    /// `business_management` and a role that not every user has; without them only the others are returned.
    pub async fn accessible_accounts(&self) -> Result<AccessibleAccounts, GraphError> {
        Ok(self.read_accounts(usize::MAX).await?.unwrap_or_default())
    }

    /// [`Self::accessible_accounts`] for somebody who waits for them: `None` when there are more than `max` accounts, or
    /// more businesses than can be asked meanwhile.
    pub async fn accessible_accounts_up_to(
        &self,
        max: usize,
    ) -> Result<Option<AccessibleAccounts>, GraphError> {
        self.read_accounts(max).await
    }

    async fn read_accounts(&self, max: usize) -> Result<Option<AccessibleAccounts>, GraphError> {
        let mut found = BTreeMap::new();
        let Some((assigned, mut gaps)) = self.account_rows("me/adaccounts", max).await? else {
            return Ok(None);
        };
        merge_accounts(&mut found, assigned, &AccessPath::Assigned);
        let businesses = empty_if_forbidden(self.businesses().await)?;
        if max < usize::MAX && businesses.len() > MAX_AWAITED_BUSINESSES {
            return Ok(None);
        }
        for business in businesses {
            for (edge, path) in [
                ("owned_ad_accounts", AccessPath::Owned { business: business.clone() }),
                ("client_ad_accounts", AccessPath::Client { business: business.clone() }),
            ] {
                let rows = match self.account_rows(&format!("{}/{edge}", business.id), max).await {
                    Ok(None) => return Ok(None),
                    Ok(Some(rows)) => Ok(rows),
                    Err(error) => Err(error),
                };
                let (rows, odd) = empty_if_forbidden(rows)?;
                merge_accounts(&mut found, rows, &path);
                gaps.extend(odd);
                if found.len() > max {
                    return Ok(None);
                }
            }
        }
        // What one edge lists oddly, another may list as usual.
        let is_found = |id: &str| found.keys().any(|found| digits(found) == id.trim_start_matches("act_"));
        gaps.retain(|gap| gap.field.is_some() || !gap.id.as_deref().is_some_and(is_found));
        Ok(Some(AccessibleAccounts { accounts: found.into_values().collect(), gaps }))
    }

    /// Reads an edge of ad accounts with as many fields as Meta allows. A field that is only nice to have never decides
    /// over the whole list.
    async fn account_rows(
        &self,
        edge: &str,
        max: usize,
    ) -> Result<Option<(Vec<AccessibleAccount>, Vec<Gap>)>, GraphError> {
        let mut refused: Option<GraphError> = None;
        for fields in FIELDS {
            match self.pages(edge.to_owned(), fields).up_to_with_gaps(max).await {
                Err(error @ (GraphError::NeedPermission(_) | GraphError::InvalidInput(_))) => {
                    // The first refusal names what is missing; the last one may only repeat that the edge is closed.
                    refused.get_or_insert(error);
                }
                Err(error) => return Err(error),
                Ok(None) => return Ok(None),
                Ok(Some((rows, mut gaps))) => {
                    if let Some(error) = refused {
                        let all = FIELDS.first().copied().unwrap_or_default().split(',');
                        let missing = all.filter(|field| !fields.split(',').any(|kept| kept == *field));
                        let field = Some(missing.collect::<Vec<_>>().join(","));
                        gaps.push(Gap { field, ..Gap::new(error.to_string()) });
                    }
                    return Ok(Some((rows, gaps)));
                }
            }
        }
        Err(refused
            .unwrap_or_else(|| GraphError::Transient(Details::of("no list of accounts was asked for"))))
    }

    fn pages<T: serde::de::DeserializeOwned>(&self, path: String, fields: &str) -> Pages<T> {
        Pages::new(self.clone(), path, vec![("fields", fields.to_owned())], PAGE_ROWS)
    }
}

/// Merges accounts into `found`: one entry per account, with all its access paths.
fn merge_accounts(
    found: &mut BTreeMap<AdAccountId, AccessibleAccount>,
    accounts: Vec<AccessibleAccount>,
    path: &AccessPath,
) {
    for account in accounts {
        let account = found.entry(account.id.clone()).or_insert(account);
        let paths = &mut account.details.access_paths;
        if !paths.contains(path) {
            paths.push(path.clone());
        }
    }
}

/// Returns no rows for an edge that the token may not read; every other error is returned.
fn empty_if_forbidden<T: Default>(answer: Result<T, GraphError>) -> Result<T, GraphError> {
    match answer {
        Err(GraphError::NeedPermission(details) | GraphError::NotFound(details)) => {
            tracing::info!(%details, "Accounts of a business are not open to this connection.");
            Ok(T::default())
        }
        answer => answer,
    }
}
