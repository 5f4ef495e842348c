//! The ad accounts that a token can access: assigned ones, those of its businesses, and those that partners share.

mod details;

use std::collections::BTreeMap;

use domain::id::AdAccountId;
use domain::money::Currency;
use serde::Deserialize;

use crate::client::UserClient;
use crate::error::GraphError;
use crate::page::Pages;

pub use self::details::{AccessPath, AccountDetails, Business};

const FIELDS: &str = "id,name,account_status,disable_reason,currency,timezone_name,business{id,name},user_tasks,\
                      default_dsa_payor,default_dsa_beneficiary";

/// Rows per page.
const PAGE_ROWS: u32 = 100;

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

impl UserClient {
    /// Reads the businesses of the user, or the one that a system user belongs to.
    pub async fn businesses(&self) -> Result<Vec<Business>, GraphError> {
        self.pages("me/businesses".to_owned(), "id,name").all().await
    }

    /// Reads every ad account that the token can access, each once. Accounts of a business require the permission
    /// `business_management` and a role that not every user has; without them only the others are returned.
    pub async fn accessible_accounts(&self) -> Result<Vec<AccessibleAccount>, GraphError> {
        let mut found = BTreeMap::new();
        merge_accounts(
            &mut found,
            self.pages("me/adaccounts".to_owned(), FIELDS).all().await?,
            &AccessPath::Assigned,
        );
        for business in empty_if_forbidden(self.businesses().await)? {
            let owned = self.pages(format!("{}/owned_ad_accounts", business.id), FIELDS).all().await;
            merge_accounts(
                &mut found,
                empty_if_forbidden(owned)?,
                &AccessPath::Owned { business: business.clone() },
            );
            let shared = self.pages(format!("{}/client_ad_accounts", business.id), FIELDS).all().await;
            merge_accounts(&mut found, empty_if_forbidden(shared)?, &AccessPath::Client { business });
        }
        Ok(found.into_values().collect())
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
fn empty_if_forbidden<T>(answer: Result<Vec<T>, GraphError>) -> Result<Vec<T>, GraphError> {
    match answer {
        Err(GraphError::NeedPermission(details) | GraphError::NotFound(details)) => {
            tracing::info!(%details, "Accounts of a business are not open to this connection.");
            Ok(Vec::new())
        }
        answer => answer,
    }
}
