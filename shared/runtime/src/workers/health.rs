//! What a Worker says of itself when nobody asks.

use ads::Failure;
use worker::Env;

use super::queues::backlog;
use super::sqs::Sqs;
use super::{DEAD_LETTERS, QUEUE, app_secrets, telemetry};

/// Writes one line about what this Worker can reach: whether its secrets are there, whether SQS answers for its
/// queue with its key, and how much waits on either side, as far as the queues tell.
pub async fn report_health(env: &Env) {
    telemetry::init();
    let began = worker::Date::now().as_millis();
    let (waiting, dead) = (backlog(env, QUEUE).await, backlog(env, DEAD_LETTERS).await);
    let secrets = app_secrets(env).err().map(|why| why.to_string());
    let at_aws = ask(env).await;
    let unreached = at_aws.as_ref().err().map(ToString::to_string);
    let (waiting_at_aws, in_flight_at_aws) =
        at_aws.map_or((None, None), |(waits, flies)| (Some(waits), Some(flies)));
    let healthy = secrets.is_none() && unreached.is_none() && dead.unwrap_or(0) == 0;
    let duration_ms = worker::Date::now().as_millis().saturating_sub(began);
    tracing::info!(
        kind = "cron",
        healthy,
        secrets,
        sqs = unreached,
        waiting,
        dead,
        waiting_at_aws,
        in_flight_at_aws,
        duration_ms,
        "The Worker looked around."
    );
}

async fn ask(env: &Env) -> Result<(u64, u64), Failure> {
    Sqs::of(env)?.asking()?.send().await?.backlog()
}
