//! The names of custom conversions.

use connector::AccountClient;
use domain::Error;
use jiff::{SignedDuration, Timestamp};
use store::Table;
use store::custom_conversion::CustomConversions;

/// How long they are not read again: they change seldom.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(24);

/// Reads them, once a day. What the platform refuses is asked for once a day, too.
pub(crate) async fn sync(table: &Table, client: &AccountClient, now: Timestamp) -> Result<(), Error> {
    let (workspace, account) = (&client.workspace, &client.account.id);
    let known = table.custom_conversions(workspace, account).await?;
    if known.as_ref().is_some_and(|known| now.duration_since(known.read_at) < MAX_AGE) {
        return Ok(());
    }
    let (conversions, failure) = match client.custom_conversions().await {
        Ok(conversions) => (conversions, None),
        Err(error) if error.is_retryable() => return Err(error),
        Err(error) => {
            // What was known stays, and tomorrow is soon enough to ask again.
            tracing::warn!(%workspace, %account, %error, "Custom conversions cannot be read.");
            let known = known.map(|known| known.conversions);
            (known.unwrap_or_default(), Some(error.public_detail()))
        }
    };
    let conversions = CustomConversions { read_at: now, conversions, failure };
    Ok(table.store_custom_conversions(workspace, account, &conversions).await?)
}
