//! Rows that cannot be read: what was stored of them before stays, and nothing else changes because of them.

use std::collections::HashSet;
use std::slice;

use connector::AccountClient;
use domain::Error;
use domain::date::DateRange;
use domain::gap::Gap;
use domain::id::AdAccountId;
use domain::metrics::InsightsRow;
use domain::tenant::Tenant;
use facts::{BlockLevel, Rows, Selection};
use jiff::civil::Date;
use store::Table;
use store::chunk::Chunk;
use store::fact_reader::FactSelection;

use crate::measure::is_of_day;

/// Adds what is stored of a day about ads whose fresh rows could not be read. A row whose ad could not be read either may
/// be any: then everything stays that was not read again.
pub(crate) async fn keep_stored(
    table: &Table,
    client: &AccountClient,
    (chunk, day): (&Chunk, Date),
    unread: &[Gap],
    rows: &mut Rows,
) -> Result<(), Error> {
    let unread: HashSet<Option<&str>> =
        unread.iter().filter(|row| is_of_day(row, day)).map(|row| row.id.as_deref()).collect();
    for_each_stored_row(table, &client.workspace, &client.account.id, (chunk, day), |row| {
        let is_unread = unread.contains(&None) || unread.contains(&Some(row.ad.as_str()));
        if is_unread && !rows.contains(&row) {
            rows.push(&row);
        }
    })
    .await
}

/// Reads what is stored of a day, a block at a time.
pub(crate) async fn for_each_stored_row(
    table: &Table,
    workspace: &Tenant,
    account: &AdAccountId,
    (chunk, day): (&Chunk, Date),
    mut each: impl FnMut(InsightsRow),
) -> Result<(), Error> {
    let selection = FactSelection {
        dataset: chunk.dataset,
        range: DateRange { since: day, until: day },
        weekdays: None,
        level: BlockLevel::Ad,
        with_detail: true,
        objects: &Selection::default(),
    };
    let mut stored = table.read_facts(workspace, account, slice::from_ref(chunk), selection);
    while let Some(blocks) = stored.next().await? {
        for block in blocks.decode() {
            let rows = block?.to_rows(day).map_err(|error| Error::Internal(error.to_string()))?;
            rows.into_iter().for_each(&mut each);
        }
    }
    Ok(())
}
