//! Schedules: jobs for a function's queue at a later time, by EventBridge Scheduler.

use aws_sdk_scheduler::Client;
use aws_sdk_scheduler::error::{DisplayErrorContext, ProvideErrorMetadata};
use aws_sdk_scheduler::types::{ActionAfterCompletion, FlexibleTimeWindow, FlexibleTimeWindowMode, Target};
use domain::Error;
use domain::job::Job;
use jiff::civil::DateTime;

use crate::queue::Queues;

/// Configuration of EventBridge Scheduler.
#[derive(Debug, Clone)]
pub struct ScheduleConfig {
    /// Schedule group.
    pub group: String,
    /// Role that may send to the queues.
    pub role_arn: String,
}

/// Schedules of a deployment. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Schedules {
    client: Client,
    config: ScheduleConfig,
    queues: Queues,
}

impl Schedules {
    /// Creates the schedules of this group, which send to these queues.
    pub fn new(client: Client, config: ScheduleConfig, queues: Queues) -> Self {
        Self { client, config, queues }
    }

    /// Schedules a job once, at a local time of an IANA zone; the schedule deletes itself afterwards. An existing name
    /// is left unchanged, so that a name stands for one time and one job.
    pub async fn set_timer(&self, name: &str, at: DateTime, timezone: &str, job: &Job) -> Result<(), Error> {
        let window = FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off).build();
        let window = window.map_err(|error| Error::Internal(error.to_string()))?;
        let created = self
            .client
            .create_schedule()
            .name(name)
            .group_name(&self.config.group)
            .schedule_expression(format!("at({})", at.strftime("%Y-%m-%dT%H:%M:%S")))
            .schedule_expression_timezone(timezone)
            .flexible_time_window(window)
            .action_after_completion(ActionAfterCompletion::Delete)
            .target(self.target(job)?)
            .send()
            .await;
        match created {
            Err(error) if error.code() == Some("ConflictException") => Ok(()),
            result => result.map(drop).map_err(|error| unavailable(name, DisplayErrorContext(error))),
        }
    }

    /// Deletes a timer. One that no longer exists counts as deleted.
    pub async fn cancel_timer(&self, name: &str) -> Result<(), Error> {
        let deleted = self.client.delete_schedule().name(name).group_name(&self.config.group).send().await;
        match deleted {
            Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(()),
            result => result.map(drop).map_err(|error| unavailable(name, DisplayErrorContext(error))),
        }
    }

    fn target(&self, job: &Job) -> Result<Target, Error> {
        let defect = |error: &dyn std::error::Error| Error::Internal(error.to_string());
        Target::builder()
            .arn(&self.queues.address(job.queue().name())?.arn)
            .role_arn(&self.config.role_arn)
            .input(serde_json::to_string(job).map_err(|error| defect(&error))?)
            .build()
            .map_err(|error| defect(&error))
    }
}

fn unavailable(name: &str, error: impl std::fmt::Display) -> Error {
    Error::Unavailable(format!("schedule {name}: {error}"))
}
