//! Which ad accounts a connection reaches, and how: its own, those of its businesses, and those that partners share.

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

/// Rows asked for at a time.
const PAGE_ROWS: u32 = 100;

/// An ad account that a token sees.
#[derive(Debug, Clone, Deserialize)]
pub struct AdAccount {
    /// `act_` and digits.
    pub id: AdAccountId,
    /// Its name.
    pub name: Option<String>,
    /// 1 is active; Marketing API, "Ad account", has the others.
    pub account_status: Option<i64>,
    /// Why it is disabled; 0 is not at all.
    pub disable_reason: Option<i64>,
    /// Fixed for the account's life.
    pub currency: Currency,
    /// IANA zone; every day of insights is a day there.
    pub timezone_name: String,
    /// The business that owns it; absent for a person's own.
    pub business: Option<Business>,
    /// What the person or system user may do in it: `MANAGE`, `ADVERTISE`, `ANALYZE`, `DRAFT`.
    #[serde(default)]
    pub user_tasks: Vec<String>,
    /// Who pays for ads in the European Economic Area, where an ad set does not say.
    pub default_dsa_payor: Option<String>,
    /// Who benefits from them.
    pub default_dsa_beneficiary: Option<String>,
}

/// An ad account, and every way to it.
#[derive(Debug, Clone)]
pub struct AccessibleAccount {
    /// The account.
    pub account: AdAccount,
    /// The ways, at least one.
    pub ways: Vec<AccessPath>,
}

impl Caller {
    /// The businesses of the person; of a system user the one it belongs to.
    pub async fn businesses(&self) -> Result<Vec<Business>, GraphError> {
        self.pages("me/businesses".to_owned(), "id,name").all().await
    }

    /// Every ad account within reach, each once. Those of a business take a permission (`business_management`) and a
    /// role that not everybody has: without them the others are all there are.
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

/// One account that was found several ways is one account.
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

/// What is not open to this token is left out; every other fault is one.
fn empty_if_forbidden<T>(answer: Result<Vec<T>, GraphError>) -> Result<Vec<T>, GraphError> {
    match answer {
        Err(GraphError::NeedPermission(details) | GraphError::NotFound(details)) => {
            tracing::info!(%details, "Accounts of a business are not open to this connection.");
            Ok(Vec::new())
        }
        answer => answer,
    }
}
