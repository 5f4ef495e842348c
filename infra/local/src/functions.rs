//! The functions on this host, and the routing of requests and jobs to them.

use std::time::Duration;

use auth_meta::{AuthMeta, LoginConfiguration, Settings};
use bytes::Bytes;
use connector::Connector;
use domain::Error;
use domain::job::{Job, Queue};
use evaluate_rules::EvaluateRules;
use http::Request;
use live_updates::{HubClient, LiveUpdates};
use manage_campaign::ManageCampaign;
use middleware::Middleware;
use query_insights::QueryInsights;
use runtime::origins::AllowedOrigins;
use runtime::router::{self, Fit};
use runtime::stream::{self, WrittenItem};
use runtime::{AppSecrets, Clock, Host, Response};
use sync_entities::SyncEntities;
use sync_metrics_chunk::SyncMetricsChunk;
use webhook_ingest::{WebhookIngest, WebhookReceiver};
use workspaces::Workspaces;

use crate::calls;

/// How long a request may wait for events.
const MAX_WAIT: Duration = Duration::from_secs(20);

/// A function that the table's stream invokes. Each gets every item, whatever becomes of it elsewhere.
#[derive(Debug, Clone, Copy)]
pub(crate) enum StreamConsumer {
    /// Seals audit logs.
    Workspaces,
    /// Appends live events.
    LiveUpdates,
}

/// Every function of the product.
#[derive(Debug, Clone)]
pub struct Functions {
    auth_meta: AuthMeta,
    evaluate_rules: EvaluateRules,
    live_updates: LiveUpdates,
    manage_campaign: ManageCampaign,
    query_insights: QueryInsights,
    sync_entities: SyncEntities,
    sync_metrics_chunk: SyncMetricsChunk,
    webhook_receiver: WebhookReceiver,
    webhook_ingest: WebhookIngest,
    workspaces: Workspaces,
}

impl Functions {
    /// Creates the functions on this host.
    pub fn new(
        connector: &Connector,
        host: &Host,
        secrets: AppSecrets,
        allowed_origins: AllowedOrigins,
        hub: HubClient,
    ) -> Self {
        let table = || connector.table.clone();
        let middleware = || Middleware::new(&connector.table, host);
        // The simulated Meta accepts every configuration, and issues a system user's token for it.
        let login = LoginConfiguration { id: "1000".to_owned(), system_user: true };
        let settings = Settings { secrets: secrets.clone(), login: Some(login), allowed_origins };
        Self {
            auth_meta: AuthMeta::new(connector.clone(), host.clone(), settings),
            evaluate_rules: EvaluateRules::new(connector.clone(), host.clone()),
            live_updates: LiveUpdates::new(table(), host.clock.clone(), middleware(), Some(hub), MAX_WAIT),
            manage_campaign: ManageCampaign::new(connector.clone(), host.clone()),
            query_insights: QueryInsights::new(table(), middleware()),
            sync_entities: SyncEntities::new(connector.clone(), host.clone()),
            sync_metrics_chunk: SyncMetricsChunk::new(connector.clone(), host.clone()),
            webhook_receiver: WebhookReceiver::new(host.clock.clone(), host.queues.clone(), secrets),
            webhook_ingest: WebhookIngest::new(table(), host.queues.clone(), host.clock.clone()),
            workspaces: Workspaces::new(table(), host.clock.clone(), middleware()),
        }
    }

    /// Returns the function that recovery uses to set the timers of activations again.
    pub(crate) fn manage_campaign(&self) -> &ManageCampaign {
        &self.manage_campaign
    }

    /// Routes a request as the HTTP API does in the cloud: by the functions' own route tables.
    pub async fn handle(&self, request: Request<Bytes>) -> Response {
        // Two functions may share a path. One that only shares it knows how to refuse the method.
        for wanted in [Fit::Full, Fit::Path] {
            if router::fit(&auth_meta::ENDPOINTS, &request) == wanted {
                return calls::attributed_to("auth-meta", self.auth_meta.handle(request)).await;
            } else if router::fit(&evaluate_rules::ENDPOINTS, &request) == wanted {
                return calls::attributed_to("evaluate-rules", self.evaluate_rules.handle(request)).await;
            } else if router::fit(&live_updates::ENDPOINTS, &request) == wanted {
                return calls::attributed_to("live-updates", self.live_updates.handle(request)).await;
            } else if router::fit(&manage_campaign::ENDPOINTS, &request) == wanted {
                return calls::attributed_to("manage-campaign", self.manage_campaign.handle(request)).await;
            } else if router::fit(&query_insights::ENDPOINTS, &request) == wanted {
                return calls::attributed_to("query-insights", self.query_insights.handle(request)).await;
            } else if router::fit(&sync_entities::ENDPOINTS, &request) == wanted {
                return calls::attributed_to("sync-entities", self.sync_entities.handle(request)).await;
            } else if router::fit(&sync_metrics_chunk::ENDPOINTS, &request) == wanted {
                return calls::attributed_to("sync-metrics-chunk", self.sync_metrics_chunk.handle(request))
                    .await;
            } else if router::fit(&webhook_ingest::DECLARATIONS, &request) == wanted {
                return calls::attributed_to("webhook-ingest", self.webhook_receiver.handle(request)).await;
            } else if router::fit(&workspaces::ENDPOINTS, &request) == wanted {
                return calls::attributed_to("workspaces", self.workspaces.handle(request)).await;
            }
        }
        *router::not_found()
    }

    /// Passes items that were written into the table to a consumer of its stream, and returns whether they are published.
    pub(crate) async fn publish(
        &self,
        consumer: StreamConsumer,
        clock: &Clock,
        items: Vec<WrittenItem>,
    ) -> bool {
        match consumer {
            StreamConsumer::Workspaces => {
                let publish = |items| async { self.workspaces.publish(items).await };
                calls::attributed_to("workspaces", stream::publish("workspaces", clock, items, publish)).await
            }
            StreamConsumer::LiveUpdates => {
                let publish = |items| async { self.live_updates.publish(items).await };
                calls::attributed_to("live-updates", stream::publish("live-updates", clock, items, publish))
                    .await
            }
        }
    }

    /// Passes a job to the function of the queue that it came from.
    pub async fn process(&self, queue: Queue, job: Job) -> Result<(), Error> {
        match queue {
            Queue::AuthMeta => self.auth_meta.process(job).await,
            Queue::SyncEntities => self.sync_entities.process(job).await,
            Queue::SyncMetricsChunk => self.sync_metrics_chunk.process(job).await,
            Queue::EvaluateRules => self.evaluate_rules.process(job).await,
            Queue::WebhookIngest => self.webhook_ingest.process(job).await,
            Queue::ManageCampaign => self.manage_campaign.process(job).await,
        }
    }
}
