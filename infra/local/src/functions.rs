//! The seven functions on this host, and which of them a request or a job is for.

use access::{Connector, MiddlewareStack};
use auth_meta::{AuthMeta, LoginConfiguration, Settings};
use bytes::Bytes;
use domain::Error;
use domain::job::{Job, Queue};
use evaluate_rules::EvaluateRules;
use http::Request;
use manage_campaign::ManageCampaign;
use query_insights::QueryInsights;
use runtime::{AppSecrets, Host, Response, problem, route};
use sync_entities::SyncEntities;
use sync_metrics_chunk::SyncMetricsChunk;
use webhook_ingest::{WebhookIngest, WebhookReceiver};

use crate::calls;

/// Every function of the product.
#[derive(Debug, Clone)]
pub struct Functions {
    auth_meta: AuthMeta,
    evaluate_rules: EvaluateRules,
    manage_campaign: ManageCampaign,
    query_insights: QueryInsights,
    sync_entities: SyncEntities,
    sync_metrics_chunk: SyncMetricsChunk,
    webhook_receiver: WebhookReceiver,
    webhook_ingest: WebhookIngest,
}

impl Functions {
    /// The functions on this host.
    pub fn new(connector: &Connector, host: &Host, secrets: AppSecrets) -> Self {
        let table = || connector.table.clone();
        // The simulated Meta knows every configuration, and issues a system user's token for it.
        let login = LoginConfiguration { id: "1000".to_owned(), system_user: true };
        let settings = Settings { secrets: secrets.clone(), login: Some(login) };
        Self {
            auth_meta: AuthMeta::new(connector.clone(), host.clone(), settings),
            evaluate_rules: EvaluateRules::new(connector.clone(), host.clone()),
            manage_campaign: ManageCampaign::new(connector.clone(), host.clone()),
            query_insights: QueryInsights::new(table(), MiddlewareStack::new(&connector.table, host)),
            sync_entities: SyncEntities::new(connector.clone(), host.clone()),
            sync_metrics_chunk: SyncMetricsChunk::new(connector.clone(), host.clone()),
            webhook_receiver: WebhookReceiver::new(host.clock.clone(), host.queues.clone(), secrets),
            webhook_ingest: WebhookIngest::new(table(), host.queues.clone(), host.clock.clone()),
        }
    }

    /// For recovery, which sets the timers of activations again.
    pub(crate) fn manage_campaign(&self) -> &ManageCampaign {
        &self.manage_campaign
    }

    /// Routes a request as the HTTP API does in the cloud: by the functions' own tables of routes.
    pub async fn handle(&self, request: Request<Bytes>) -> Response {
        let path = request.uri().path();
        if route::knows(auth_meta::ROUTES, path) {
            calls::attributed_to("auth-meta", self.auth_meta.handle(request)).await
        } else if route::knows(evaluate_rules::ROUTES, path) {
            calls::attributed_to("evaluate-rules", self.evaluate_rules.handle(request)).await
        } else if route::knows(manage_campaign::ROUTES, path) {
            calls::attributed_to("manage-campaign", self.manage_campaign.handle(request)).await
        } else if route::knows(query_insights::ROUTES, path) {
            calls::attributed_to("query-insights", self.query_insights.handle(request)).await
        } else if route::knows(sync_entities::ROUTES, path) {
            calls::attributed_to("sync-entities", self.sync_entities.handle(request)).await
        } else if route::knows(webhook_ingest::ROUTES, path) {
            calls::attributed_to("webhook-ingest", self.webhook_receiver.handle(request)).await
        } else {
            problem::to_response(&Error::NotFound("this path".to_owned()))
        }
    }

    /// Gives a job to the function whose queue it came from.
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
