//! What was changed at the platform itself, for the change log of the ad account.

use connector::AccountClient;
use domain::Error;
use jiff::{SignedDuration, Timestamp};
use store::Table;
use store::account_change::AccountChange;

/// How far back the first reading goes.
const FIRST_READING: SignedDuration = SignedDuration::from_hours(28 * 24);

/// How much of what was read is read again: an entry may appear late.
const OVERLAP: SignedDuration = SignedDuration::from_hours(2);

/// Entries of a reading at most. Of more, the oldest are not read.
const MAX_ENTRIES: usize = 2000;

/// Adds what the platform tells since the last reading to the change log. What is told again changes nothing.
pub(crate) async fn sync(table: &Table, client: &AccountClient, now: Timestamp) -> Result<(), Error> {
    let (workspace, account) = (&client.workspace, &client.account.id);
    let read_until = table.activities_read_until(workspace, account).await?;
    let since = read_until.map_or(now - FIRST_READING, |until| until - OVERLAP);
    let activities = client.activities(since, MAX_ENTRIES).await?;
    for activity in activities {
        let change = AccountChange::of_activity(activity);
        let entity = match &change.entity {
            Some(id) => table.entity(workspace, account, change.level, id).await?,
            None => None,
        };
        let change = match entity {
            Some(stored) => change.about(stored.entity),
            None => change,
        };
        table.add_account_change(workspace, account, &change).await?;
    }
    Ok(table.store_activities_read_until(workspace, account, now).await?)
}
