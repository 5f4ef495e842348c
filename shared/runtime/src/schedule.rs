//! Schedules: jobs for a function's queue at a later time, by EventBridge Scheduler.

use aws_sdk_scheduler::Client;
use aws_sdk_scheduler::error::{DisplayErrorContext, ProvideErrorMetadata};
use aws_sdk_scheduler::types::{ActionAfterCompletion, FlexibleTimeWindow, FlexibleTimeWindowMode, Target};
use domain::Error;
use domain::job::Job;
use jiff::civil::DateTime;
use sha2::{Digest, Sha256};

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

/// Time or period of a schedule.
enum Timing<'a> {
    Once { at: DateTime, timezone: &'a str },
    EveryMinutes(u32),
}

impl Schedules {
    /// Creates the schedules of this group, which send to these queues.
    pub fn new(client: Client, config: ScheduleConfig, queues: Queues) -> Self {
        Self { client, config, queues }
    }

    /// Schedules a job once, at a local time of an IANA zone; the schedule deletes itself afterwards. An existing name
    /// is left unchanged, so that a name stands for one time and one job.
    pub async fn set_timer(&self, name: &str, at: DateTime, timezone: &str, job: &Job) -> Result<(), Error> {
        self.create(name, &Timing::Once { at, timezone }, job).await
    }

    /// Deletes a timer. One that no longer exists counts as deleted.
    pub async fn cancel_timer(&self, name: &str) -> Result<(), Error> {
        self.delete(name).await
    }

    /// Ensures that a job recurs; an existing schedule is left unchanged.
    pub async fn ensure_recurring(&self, job: &Job, minutes: u32) -> Result<(), Error> {
        self.create(&recurring_name(job)?, &Timing::EveryMinutes(minutes), job).await
    }

    /// Deletes a recurring schedule, if there is one.
    pub async fn stop_recurring(&self, job: &Job) -> Result<(), Error> {
        self.delete(&recurring_name(job)?).await
    }

    async fn create(&self, name: &str, when: &Timing<'_>, job: &Job) -> Result<(), Error> {
        let (expression, timezone, window) = schedule_timing(when)?;
        let created = self
            .client
            .create_schedule()
            .name(name)
            .group_name(&self.config.group)
            .schedule_expression(expression)
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

    async fn delete(&self, name: &str) -> Result<(), Error> {
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

/// Returns the name of a job's recurring schedule: a hash, because Scheduler allows 64 characters, which workspace and
/// account may exceed.
fn recurring_name(job: &Job) -> Result<String, Error> {
    let text = serde_json::to_string(job).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(format!("{}-{}", job.queue().name(), hex::encode(&Sha256::digest(text)[..12])))
}

/// Returns the expression, its time zone and the flexible window. Recurring jobs are spread over their period, so that
/// a thousand accounts do not start at the same moment.
fn schedule_timing<'a>(when: &Timing<'a>) -> Result<(String, &'a str, FlexibleTimeWindow), Error> {
    let window = FlexibleTimeWindow::builder();
    let (expression, timezone, window) = match when {
        Timing::Once { at, timezone } => (
            format!("at({})", at.strftime("%Y-%m-%dT%H:%M:%S")),
            *timezone,
            window.mode(FlexibleTimeWindowMode::Off),
        ),
        Timing::EveryMinutes(minutes) => (
            format!("rate({minutes} minutes)"),
            "UTC",
            window
                .mode(FlexibleTimeWindowMode::Flexible)
                .maximum_window_in_minutes(flexible_window_minutes(*minutes)),
        ),
    };
    let window = window.build().map_err(|error| Error::Internal(error.to_string()))?;
    Ok((expression, timezone, window))
}

fn flexible_window_minutes(period: u32) -> i32 {
    i32::try_from(period / 2).unwrap_or(1).max(1)
}

fn unavailable(name: &str, error: impl std::fmt::Display) -> Error {
    Error::Unavailable(format!("schedule {name}: {error}"))
}
