//! Schedules: a job for a function's queue at a later time, by EventBridge Scheduler.

use ads::Failure;
use ads::job::Job;
use aws_sdk_scheduler::Client;
use aws_sdk_scheduler::error::{DisplayErrorContext, ProvideErrorMetadata};
use aws_sdk_scheduler::types::{ActionAfterCompletion, FlexibleTimeWindow, FlexibleTimeWindowMode, Target};
use jiff::civil::DateTime;
use sha2::{Digest, Sha256};

use crate::queue::Queues;

/// Where schedules live and as whom they send.
#[derive(Debug, Clone)]
pub struct ScheduleConfig {
    /// The schedule group.
    pub group: String,
    /// The role that may send to the queues.
    pub role_arn: String,
}

/// The schedules of a deployment. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Schedules {
    client: Client,
    config: ScheduleConfig,
    queues: Queues,
}

/// When a schedule fires.
enum When<'a> {
    Once { at: DateTime, timezone: &'a str },
    EveryMinutes(u32),
}

impl Schedules {
    /// Schedules in this group that send to these queues.
    pub fn new(client: Client, config: ScheduleConfig, queues: Queues) -> Self {
        Self { client, config, queues }
    }

    /// Has a job come once, at a local time of an IANA zone; the schedule deletes itself afterwards. The same
    /// name a second time changes nothing, so a name stands for one time and one job.
    pub async fn set_timer(
        &self,
        name: &str,
        at: DateTime,
        timezone: &str,
        job: &Job,
    ) -> Result<(), Failure> {
        self.create(name, &When::Once { at, timezone }, job).await
    }

    /// Removes a timer. One that is gone already counts as removed.
    pub async fn cancel_timer(&self, name: &str) -> Result<(), Failure> {
        self.delete(name).await
    }

    /// Makes sure that a job comes again and again; a rhythm that exists is kept.
    pub async fn ensure_beat(&self, job: &Job, minutes: u32) -> Result<(), Failure> {
        self.create(&beat_name(job)?, &When::EveryMinutes(minutes), job).await
    }

    /// Ends a rhythm, or finds that there is none.
    pub async fn stop_beat(&self, job: &Job) -> Result<(), Failure> {
        self.delete(&beat_name(job)?).await
    }

    async fn create(&self, name: &str, when: &When<'_>, job: &Job) -> Result<(), Failure> {
        let (expression, timezone, window) = timing(when)?;
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
            answer => answer.map(drop).map_err(|error| unavailable(name, DisplayErrorContext(error))),
        }
    }

    async fn delete(&self, name: &str) -> Result<(), Failure> {
        let deleted = self.client.delete_schedule().name(name).group_name(&self.config.group).send().await;
        match deleted {
            Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(()),
            answer => answer.map(drop).map_err(|error| unavailable(name, DisplayErrorContext(error))),
        }
    }

    fn target(&self, job: &Job) -> Result<Target, Failure> {
        let defect = |error: &dyn std::error::Error| Failure::Defect(error.to_string());
        Target::builder()
            .arn(&self.queues.address(job.queue().name())?.arn)
            .role_arn(&self.config.role_arn)
            .input(serde_json::to_string(job).map_err(|error| defect(&error))?)
            .build()
            .map_err(|error| defect(&error))
    }
}

/// The name of a job's rhythm. Scheduler takes 64 characters, which workspace and account may exceed.
fn beat_name(job: &Job) -> Result<String, Failure> {
    let text = serde_json::to_string(job).map_err(|error| Failure::Defect(error.to_string()))?;
    Ok(format!("{}-{}", job.queue().name(), hex::encode(&Sha256::digest(text)[..12])))
}

/// The expression, its zone, and how freely it may be moved: recurring work is spread over its period,
/// so that a thousand accounts do not all begin on the hour.
fn timing<'a>(when: &When<'a>) -> Result<(String, &'a str, FlexibleTimeWindow), Failure> {
    let window = FlexibleTimeWindow::builder();
    let (expression, timezone, window) = match when {
        When::Once { at, timezone } => (
            format!("at({})", at.strftime("%Y-%m-%dT%H:%M:%S")),
            *timezone,
            window.mode(FlexibleTimeWindowMode::Off),
        ),
        When::EveryMinutes(minutes) => (
            format!("rate({minutes} minutes)"),
            "UTC",
            window.mode(FlexibleTimeWindowMode::Flexible).maximum_window_in_minutes(minutes_of(*minutes)),
        ),
    };
    let window = window.build().map_err(|error| Failure::Defect(error.to_string()))?;
    Ok((expression, timezone, window))
}

fn minutes_of(period: u32) -> i32 {
    i32::try_from(period / 2).unwrap_or(1).max(1)
}

fn unavailable(name: &str, error: impl std::fmt::Display) -> Failure {
    Failure::Unavailable(format!("schedule {name}: {error}"))
}
