//! Long waits for the platform. A message that is sent anew again and again to wait is stopped by AWS, which takes it for
//! a loop; so the due index brings the account back.

use std::time::Duration;

use domain::Error;
use domain::id::AdAccountId;
use domain::job::SyncCause;
use domain::tenant::Tenant;
use jiff::Timestamp;

use crate::Connector;

/// How long a job waits in its queue.
const MAX_QUEUE_WAIT: Duration = Duration::from_secs(15 * 60);

/// How long an account waits at most: the platform's limits are over within a day.
const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

impl Connector {
    /// Ends a sync that must wait for long: the account is synced then. Any other error is returned.
    pub async fn defer_sync(
        &self,
        workspace: &Tenant,
        ad_account: &AdAccountId,
        cause: SyncCause,
        error: Error,
    ) -> Result<(), Error> {
        let (until, reason) = self.long_wait(error)?;
        tracing::info!(%workspace, %ad_account, %until, reason, "A sync waits.");
        Ok(self.table.defer_sync(workspace, ad_account, cause, (until, &reason)).await?)
    }

    /// Ends a measurement that must wait for long: the account's next sync requests it again. Any other error is returned.
    pub async fn defer_numbers(
        &self,
        workspace: &Tenant,
        ad_account: &AdAccountId,
        error: Error,
    ) -> Result<(), Error> {
        let (until, reason) = self.long_wait(error)?;
        tracing::info!(%workspace, %ad_account, %until, reason, "Numbers wait.");
        Ok(self.table.defer_numbers(workspace, ad_account, &reason).await?)
    }

    /// Ends an evaluation that must wait for long: the account's rules are evaluated then. Any other error is returned.
    pub async fn defer_rules(
        &self,
        workspace: &Tenant,
        ad_account: &AdAccountId,
        error: Error,
    ) -> Result<(), Error> {
        let (until, reason) = self.long_wait(error)?;
        tracing::info!(%workspace, %ad_account, %until, reason, "An evaluation waits.");
        Ok(self.table.defer_rules(workspace, ad_account, until).await?)
    }

    fn long_wait(&self, error: Error) -> Result<(Timestamp, String), Error> {
        match error {
            Error::RateLimited { retry_after, reason } if retry_after > MAX_QUEUE_WAIT => {
                let until = self.graph.now() + retry_after.min(MAX_WAIT);
                Ok((until, format!("{reason}, until {}", until.strftime("%Y-%m-%dT%H:%MZ"))))
            }
            error => Err(error),
        }
    }
}
