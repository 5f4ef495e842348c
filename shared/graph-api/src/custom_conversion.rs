//! Custom conversions of an ad account: what an advertiser counts by a rule of its own. Insights list them by their ids
//! alone.

use domain::id::AdAccountId;
use domain::results::CustomConversion;
use serde::Deserialize;

use crate::client::UserClient;
use crate::error::GraphError;
use crate::page::Pages;

/// Rows per page: an ad account has 100 at most (Meta, "Custom conversions").
const PAGE_ROWS: u32 = 100;

#[derive(Debug, Deserialize)]
struct Row {
    id: String,
    name: String,
    #[serde(default)]
    is_archived: bool,
}

impl UserClient {
    /// Lists the custom conversions of an account, archived ones included: they have counted before.
    pub async fn custom_conversions(
        &self,
        account: &AdAccountId,
    ) -> Result<Vec<CustomConversion>, GraphError> {
        let query = vec![("fields", "id,name,is_archived".to_owned())];
        let pages = Pages::<Row>::new(self.clone(), format!("{account}/customconversions"), query, PAGE_ROWS);
        let rows = pages.all().await?;
        let conversion = |Row { id, name, is_archived }| CustomConversion {
            measure: CustomConversion::measure_of(&id),
            name,
            is_archived,
        };
        Ok(rows.into_iter().map(conversion).collect())
    }
}
