//! The path of a request names a workspace; that alone opens nothing.

use ads::id::WorkspaceId;
use store::{StoreError, Table};

async fn accounts(table: &Table, path: WorkspaceId) -> Result<usize, StoreError> {
    Ok(table.accounts(&path).await?.len())
}

fn main() {}
