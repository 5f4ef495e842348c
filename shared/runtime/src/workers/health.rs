//! What a Worker says of itself when nobody asks.

use ads::Failure;
use worker::Env;

use super::queues::backlog;
use super::sqs::Sqs;
use super::{DEAD_LETTERS, QUEUE, app_secrets, telemetry};
use crate::Clock;
use crate::telemetry::{Outcome, Unit, ends, names};

/// Writes one line about what this Worker can reach: whether its secrets are there, whether SQS answers for its
/// queue with its key, and how much waits on either side, as far as the queues tell.
pub async fn report_health(env: &Env, function: &'static str) {
    telemetry::init();
    Unit::event(function, &Clock::system()).run(Box::pin(look_around(env))).await;
}

async fn look_around(env: &Env) {
    names("report_health");
    let (waiting, dead) = (backlog(env, QUEUE).await, backlog(env, DEAD_LETTERS).await);
    let secrets = app_secrets(env).err().map(|why| why.to_string());
    let at_aws = ask(env).await;
    let unreached = at_aws.as_ref().err().map(ToString::to_string);
    let (waiting_at_aws, in_flight_at_aws) =
        at_aws.map_or((None, None), |(waits, flies)| (Some(waits), Some(flies)));
    let healthy = secrets.is_none() && unreached.is_none() && dead.unwrap_or(0) == 0;
    ends(if healthy { Outcome::Done } else { Outcome::Failed });
    tracing::info!(
        healthy,
        secrets,
        sqs = unreached,
        waiting,
        dead,
        waiting_at_aws,
        in_flight_at_aws,
        "The Worker looked around."
    );
}

async fn ask(env: &Env) -> Result<(u64, u64), Failure> {
    Sqs::of(env)?.asking()?.send().await?.backlog()
}
