//! The seven functions on this host, and which of them a request or a job is for.

use access::{Access, Entrance};
use ads::Failure;
use ads::job::{Job, Queue};
use auth_meta::{AuthMeta, LoginConfiguration, Settings};
use bytes::Bytes;
use evaluate_rules::EvaluateRules;
use http::Request;
use manage_campaign::ManageCampaign;
use query_insights::QueryInsights;
use runtime::{AppSecrets, Host, Reply, problem, route};
use sync_entities::SyncEntities;
use sync_metrics_chunk::SyncMetricsChunk;
use webhook_ingest::{Door, WebhookIngest};

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
    webhook_door: Door,
    webhook_ingest: WebhookIngest,
}

impl Functions {
    /// The functions on this host.
    pub fn new(access: &Access, host: &Host, secrets: AppSecrets) -> Self {
        let table = || access.table.clone();
        // The simulated Meta knows every configuration, and issues a system user's token for it.
        let login = LoginConfiguration { id: "1000".to_owned(), system_user: true };
        let settings = Settings { secrets: secrets.clone(), login: Some(login) };
        Self {
            auth_meta: AuthMeta::new(access.clone(), host.clone(), settings),
            evaluate_rules: EvaluateRules::new(access.clone(), host.clone()),
            manage_campaign: ManageCampaign::new(access.clone(), host.clone()),
            query_insights: QueryInsights::new(table(), Entrance::new(&access.table, host)),
            sync_entities: SyncEntities::new(access.clone(), host.clone()),
            sync_metrics_chunk: SyncMetricsChunk::new(access.clone(), host.clone()),
            webhook_door: Door::new(host.clock.clone(), host.queues.clone(), secrets),
            webhook_ingest: WebhookIngest::new(table(), host.queues.clone(), host.clock.clone()),
        }
    }

    /// For recovery, which sets the timers of activations again.
    pub(crate) fn manage_campaign(&self) -> &ManageCampaign {
        &self.manage_campaign
    }

    /// Routes a request as the HTTP API does in the cloud: by the functions' own tables of routes.
    pub async fn handle(&self, request: Request<Bytes>) -> Reply {
        let path = request.uri().path();
        if route::knows(auth_meta::ROUTES, path) {
            calls::of("auth-meta", self.auth_meta.handle(request)).await
        } else if route::knows(evaluate_rules::ROUTES, path) {
            calls::of("evaluate-rules", self.evaluate_rules.handle(request)).await
        } else if route::knows(manage_campaign::ROUTES, path) {
            calls::of("manage-campaign", self.manage_campaign.handle(request)).await
        } else if route::knows(query_insights::ROUTES, path) {
            calls::of("query-insights", self.query_insights.handle(request)).await
        } else if route::knows(sync_entities::ROUTES, path) {
            calls::of("sync-entities", self.sync_entities.handle(request)).await
        } else if route::knows(webhook_ingest::ROUTES, path) {
            calls::of("webhook-ingest", self.webhook_door.handle(request)).await
        } else {
            problem::answer(&Failure::NotFound("this path".to_owned()))
        }
    }

    /// Gives a job to the function whose queue it came from.
    pub async fn process(&self, queue: Queue, job: Job) -> Result<(), Failure> {
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
