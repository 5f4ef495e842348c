//! What launches, activations and bulk changes have in common: work that goes on in the background until it is done.

use std::time::Duration;

use domain::Error;
use domain::id::AdAccountId;
use domain::job::Job;
use domain::tenant::Tenant;
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use runtime::{deadline, random};
use store::changed_entities::ChangedEntity;

use crate::ManageCampaign;

/// Lease of a worker. It saves before and after each call to Meta, and one call with its retries takes less.
pub(crate) const LEASE_TTL: SignedDuration = SignedDuration::from_mins(5);

/// Delay of the job that goes on where a worker crashed.
pub(crate) const RECOVERY_DELAY: Duration = Duration::from_secs(330);

/// The shortest time until a timer: they are set to the second, and one in the past is refused.
const SHORTEST_TIMER: SignedDuration = SignedDuration::from_secs(5);

/// The longest time until a timer.
const LONGEST_TIMER: SignedDuration = SignedDuration::from_hours(24);

/// How long a call to Meta with its retries usually takes at most. One that the end of the invocation cuts off leaves an
/// unknown outcome.
const LONGEST_STEP: SignedDuration = SignedDuration::from_secs(20);

impl ManageCampaign {
    /// Has a job processed again later. A timer does that: a chain of messages that send themselves is stopped by AWS.
    pub(crate) async fn process_after(&self, after: Duration, job: &Job) -> Result<(), Error> {
        let after = SignedDuration::try_from(after).unwrap_or(LONGEST_TIMER);
        let at = (self.host.clock.now() + after.max(SHORTEST_TIMER)).to_zoned(TimeZone::UTC).datetime();
        self.host.schedules.set_timer(&random::id()?, at, "UTC", job).await
    }

    /// Has something of an ad account read by a job, as the platform has it then.
    pub(crate) async fn read_later(
        &self,
        workspace: &Tenant,
        ad_account: &AdAccountId,
        changed: ChangedEntity,
    ) -> Result<(), Error> {
        let (table, now) = (&self.connector.table, self.host.clock.now());
        match table.add_changed_entity(workspace, ad_account, &changed, now).await? {
            Some(delay) => {
                let (workspace, ad_account) = (workspace.clone(), ad_account.clone());
                self.host
                    .queues
                    .send_delayed(&Job::SyncChangedEntities { workspace, ad_account }, delay)
                    .await
            }
            None => Ok(()),
        }
    }

    /// Returns whether the invocation ends before another call to Meta is sure to end.
    pub(crate) fn ends_soon(&self) -> bool {
        deadline::soft_deadline().is_some_and(|end| end <= self.host.clock.now() + LONGEST_STEP)
    }
}
