//! The ad accounts that a token can access: assigned ones, those of its businesses, and those that partners share.

use std::collections::BTreeMap;

use domain::account::{AccessPath, Business};
use domain::id::AdAccountId;
use domain::money::Currency;
use serde::Deserialize;

use crate::client::Caller;
use crate::error::GraphError;
use crate::page::Pages;

const FIELDS: &str = "id,name,account_status,disable_reason,currency,timezone_name,business{id,name},user_tasks,\
                      default_dsa_payor,default_dsa_beneficiary";

/// Rows per page.
const PAGE_ROWS: u32 = 100;

/// An ad account that a token can access.
#[derive(Debug, Clone, Deserialize)]
pub struct AdAccount {
    /// The id: `act_` and digits.
    pub id: AdAccountId,
    /// Its name.
    pub name: Option<String>,
    /// The status: 1 is active; Marketing API, "Ad account", lists the others.
    pub account_status: Option<i64>,
    /// The reason why it is disabled; 0 when it is not.
    pub disable_reason: Option<i64>,
    /// The currency, fixed for the account's life.
    pub currency: Currency,
    /// The IANA time zone, which defines the days of insights.
    pub timezone_name: String,
    /// The business that owns it; absent for a user's own account.
    pub business: Option<Business>,
    /// The tasks that the user or system user may do in it: `MANAGE`, `ADVERTISE`, `ANALYZE`, `DRAFT`.
    #[serde(default)]
    pub user_tasks: Vec<String>,
    /// The payor of ads in the European Economic Area, for ad sets that name none.
    pub default_dsa_payor: Option<String>,
    /// The beneficiary of such ads.
    pub default_dsa_beneficiary: Option<String>,
}

/// An ad account with every access path to it.
#[derive(Debug, Clone)]
pub struct AccessibleAccount {
    /// The account.
    pub account: AdAccount,
    /// The access paths, at least one.
    pub ways: Vec<AccessPath>,
}

impl Caller {
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
    accounts: Vec<AdAccount>,
    way: &AccessPath,
) {
    for account in accounts {
        let id = account.id.clone();
        let accessible = found.entry(id).or_insert_with(|| AccessibleAccount { account, ways: Vec::new() });
        if !accessible.ways.contains(way) {
            accessible.ways.push(way.clone());
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
