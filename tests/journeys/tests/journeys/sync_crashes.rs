//! A sync whose process dies: at each call to the table and the queues, before the call or after its effect, and once more
//! while it is repeated. The next run completes it, equal to the undisturbed one.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use connector::Connector;
use domain::job::{Job, Queue};
use domain::tenant::Tenant;
use graph_sim::FaultPlan;
use jiff::SignedDuration;
use local::cloud::TABLE;
use local::tenant::tenant;
use runtime::Host;
use runtime::queue::{Queues, dead_letter_queue_name};
use store::Table;
use sync_entities::SyncEntities;
use sync_metrics_chunk::SyncMetricsChunk;

use crate::crash::{self, CrashInterceptor};
use crate::faults::{Fixture, first_difference};

/// A process that dies at a call: no later one is made.
#[derive(Debug, Clone, Copy)]
struct Crash {
    at: i64,
    /// Whether the call has its effect, of which the process does not learn.
    with_effect: bool,
}

/// Processes messages one after another in a process that dies. Returns whether it lived.
async fn process(fixture: &Fixture, crash: Crash, jobs: &[Job]) -> bool {
    let Crash { at, with_effect } = crash;
    let dying = CrashInterceptor { calls: Arc::default(), crash_at: at..=i64::MAX, with_effect };
    let cloud = &fixture.cloud;
    let dynamodb = cloud.dynamodb.config().to_builder().interceptor(dying.clone()).build();
    let table = Table::new(aws_sdk_dynamodb::Client::from_conf(dynamodb), TABLE);
    let sqs = cloud.sqs.config().to_builder().interceptor(dying.clone()).build();
    let names =
        Queue::ALL.into_iter().flat_map(|queue| [queue.name().to_owned(), dead_letter_queue_name(queue)]);
    let addresses = names.map(|name| (name.clone(), cloud.queues.address(&name).unwrap().clone())).collect();
    let host =
        Host { queues: Queues::new(aws_sdk_sqs::Client::from_conf(sqs), addresses), ..fixture.host.clone() };
    let access = Connector::new(table, fixture.access.graph.clone(), fixture.access.keyring.clone());
    let (entities, chunks) =
        (SyncEntities::new(access.clone(), host.clone()), SyncMetricsChunk::new(access, host));
    for job in jobs {
        let outcome = match job {
            Job::SyncChunk { .. } => chunks.process(job.clone()).await,
            _ => entities.process(job.clone()).await,
        };
        if outcome.is_err() {
            break;
        }
    }
    // What a dead process held becomes free.
    fixture.clock.advance(SignedDuration::from_mins(16));
    dying.calls.load(Ordering::SeqCst) < at
}

async fn connected(fixture: &Fixture, name: &str) -> Tenant {
    let workspace = tenant(name).unwrap();
    fixture.connect(&workspace).await;
    workspace
}

#[tokio::test]
async fn a_sync_that_dies_at_any_call_is_completed_by_the_next() {
    let fixture = Fixture::new().await;
    let undisturbed = fixture.sync("undisturbed", FaultPlan::default()).await;
    let mut points = 0;
    for with_effect in [false, true] {
        for at in (1..).step_by(crash::stride(5)) {
            let workspace = connected(&fixture, &format!("at-{at}-{with_effect}")).await;
            let crash = Crash { at, with_effect };
            let lived = process(&fixture, crash, &fixture.jobs(&workspace)).await;
            let end = fixture.sync_connected(&workspace).await;
            assert!(end == undisturbed, "{crash:?}: {}", first_difference(&end, &undisturbed));
            if lived {
                break;
            }
            points += 1;
        }
    }
    println!("{points} points");
    assert!(points * crash::stride(5) > 100, "{points} points");
}

#[tokio::test]
async fn a_chunk_that_dies_and_dies_again_while_it_is_repeated_is_completed() {
    let fixture = Fixture::new().await;
    let workspace = connected(&fixture, "undisturbed").await;
    let job = fixture.plan_last_week(&workspace).await;
    let undisturbed = fixture.deliver_to_end(&workspace, job).await;
    let (mut points, stride) = (0, crash::stride(5));
    for first in (1..).step_by(stride) {
        let mut first_lived = false;
        for second in (1..).step_by(stride) {
            let workspace = connected(&fixture, &format!("at-{first}-{second}")).await;
            let one = Crash { at: first, with_effect: second % 2 == 0 };
            let other = Crash { at: second, with_effect: first % 2 == 0 };
            let jobs = [fixture.plan_last_week(&workspace).await];
            first_lived = process(&fixture, one, &jobs).await;
            let lived = process(&fixture, other, &jobs).await;
            let [job] = jobs;
            let end = fixture.deliver_to_end(&workspace, job).await;
            assert!(end == undisturbed, "{one:?}, {other:?}: {}", first_difference(&end, &undisturbed));
            if first_lived || lived {
                break;
            }
            points += 1;
        }
        if first_lived {
            break;
        }
    }
    println!("{points} pairs");
    assert!(points > 10, "{points} pairs");
}
