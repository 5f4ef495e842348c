//! Lists of what an ad account has at its platform, page by page.

use bytes::Bytes;
use connector::{AccountClient, Purpose};
use domain::Error;
use domain::id::AdAccountId;
use domain::tenant::Tenant;
use http::Request;
use runtime::page::{Cursor, encode_cursor};
use runtime::request::Json;
use runtime::response::List;

use crate::ManageCampaign;

impl ManageCampaign {
    /// Returns a page of a list that the platform has, after a cursor if there is one; nothing of an imported ad account.
    pub(crate) async fn list_library<T, View: From<T>>(
        &self,
        workspace: &Tenant,
        ad_account: &AdAccountId,
        (request, after): (&Request<Bytes>, Option<&Cursor>),
        list: impl AsyncFnOnce(&AccountClient, Option<String>) -> Result<(Vec<T>, Option<String>), Error>,
    ) -> Result<Json<List<View>>, Error> {
        let account = self.connector.table.require_account(workspace, ad_account).await?;
        if account.connection.is_none() {
            return Ok(Json(List { data: Vec::new(), after: None }));
        }
        let client = self.connector.open(workspace, ad_account, Purpose::Sync).await?;
        let listed = list(&client, after.map(|after| after.position().to_owned())).await;
        let (data, after) = client.close(listed).await?;
        let after = after.map(|position| encode_cursor(request, &position));
        Ok(Json(List { data: data.into_iter().map(View::from).collect(), after }))
    }
}
