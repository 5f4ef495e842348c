//! Health report of a Worker.

use domain::Error;
use worker::Env;

use super::queues::backlog;
use super::sqs::Sqs;
use super::{DEAD_LETTER_BINDING, QUEUE_BINDING, app_secrets, telemetry};
use crate::Clock;
use crate::telemetry::{Outcome, UnitOfWork, record_operation, record_outcome};

/// Logs what this Worker can reach: whether its secrets are set, whether SQS accepts its key for its queue, and the
/// backlog on either side, as far as the queues report it.
pub async fn report_health(env: &Env, function: &'static str) {
    telemetry::init();
    UnitOfWork::event(function, &Clock::system()).run(Box::pin(check_health(env))).await;
}

async fn check_health(env: &Env) {
    record_operation("report_health");
    let (waiting, dead) = (backlog(env, QUEUE_BINDING).await, backlog(env, DEAD_LETTER_BINDING).await);
    let secrets = app_secrets(env).err().map(|why| why.to_string());
    let at_aws = sqs_backlog(env).await;
    let sqs_error = at_aws.as_ref().err().map(ToString::to_string);
    let (waiting_at_aws, in_flight_at_aws) =
        at_aws.map_or((None, None), |(waiting, in_flight)| (Some(waiting), Some(in_flight)));
    let healthy = secrets.is_none() && sqs_error.is_none() && dead.unwrap_or(0) == 0;
    record_outcome(if healthy { Outcome::Done } else { Outcome::Failed });
    tracing::info!(
        healthy,
        secrets,
        sqs = sqs_error,
        waiting,
        dead,
        waiting_at_aws,
        in_flight_at_aws,
        "The Worker's health was checked."
    );
}

async fn sqs_backlog(env: &Env) -> Result<(u64, u64), Error> {
    Sqs::from_env(env)?.queue_attributes_call()?.send().await?.backlog()
}
