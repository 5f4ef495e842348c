//! Custom audiences of an ad account, lookalikes included.

use std::collections::BTreeMap;

use domain::audience::CustomAudience;
use domain::id::{AdAccountId, EntityId};
use serde::Deserialize;

use crate::client::UserClient;
use crate::error::GraphError;
use crate::id::ObjectId;
use crate::page::Pages;

/// Meta's code of an audience that ads can be shown to, and of one that nothing is wrong with (Marketing API, "Custom
/// Audience", `delivery_status` and `operation_status`).
const READY: u32 = 200;

/// What `operation_status` says of an audience without a status.
const NO_STATUS: u32 = 0;

/// Audiences per page.
const PAGE_ROWS: u32 = 100;

/// Ids of audiences per page.
const PAGE_IDS: u32 = 500;

const FIELDS: &str = "id,name,subtype,approximate_count_lower_bound,approximate_count_upper_bound,delivery_status,\
                      operation_status";

/// A custom audience as Meta returns it.
#[derive(Debug, Deserialize)]
pub struct AudienceRow {
    id: EntityId,
    name: Option<String>,
    subtype: Option<String>,
    /// -1 for one that is too small to be counted, or that nobody may count.
    #[serde(default)]
    approximate_count_lower_bound: Option<i64>,
    #[serde(default)]
    approximate_count_upper_bound: Option<i64>,
    #[serde(default)]
    delivery_status: Option<Status>,
    #[serde(default)]
    operation_status: Option<Status>,
}

#[derive(Deserialize)]
struct IdRow {
    id: ObjectId,
}

#[derive(Debug, Deserialize)]
struct Status {
    code: u32,
    description: Option<String>,
}

impl From<AudienceRow> for CustomAudience {
    fn from(row: AudienceRow) -> Self {
        let bound = |bound: Option<i64>| bound.and_then(|people| u64::try_from(people).ok());
        let people = bound(row.approximate_count_lower_bound).zip(bound(row.approximate_count_upper_bound));
        let is_ready = row.delivery_status.as_ref().is_none_or(|status| status.code == READY);
        // What is being done with it explains why it cannot be shown to, and may be worth knowing before that.
        let described = [row.operation_status, row.delivery_status].into_iter().flatten();
        let problem = described.filter(|status| ![READY, NO_STATUS].contains(&status.code));
        let problem = problem.filter_map(|status| status.description).next();
        Self { id: row.id, name: row.name, subtype: row.subtype, people, is_ready, problem }
    }
}

impl UserClient {
    /// Lists the custom audiences of an account, those that others share with it included.
    pub fn custom_audiences(&self, account: &AdAccountId) -> Pages<AudienceRow> {
        let query = vec![("fields", FIELDS.to_owned())];
        Pages::new(self.clone(), format!("{account}/customaudiences"), query, PAGE_ROWS)
    }

    /// Takes out of these ids those of the account's custom audiences, and reads no further than it has to.
    pub(crate) async fn remove_audiences<T>(
        &self,
        account: &AdAccountId,
        ids: &mut BTreeMap<&ObjectId, T>,
    ) -> Result<(), GraphError> {
        let query = vec![("fields", "id".to_owned())];
        let mut pages =
            Pages::<IdRow>::new(self.clone(), format!("{account}/customaudiences"), query, PAGE_IDS);
        while !ids.is_empty()
            && let Some(page) = pages.next().await?
        {
            for row in page {
                ids.remove(&row.id);
            }
        }
        Ok(())
    }
}
