//! The app's own webhook subscriptions at Meta: which changes it wants to hear of.
//!
//! They are completed after every login and by the daily health check. An address that somebody has subscribed, such as
//! that of the Worker, is kept.

use graph_api::GraphError;
use graph_api::subscription::{Subscription, Topic};

use crate::AuthMeta;

/// What the app wants to hear of, by object type.
const WANTED: [(Topic, &[&str]); 2] = [
    (
        Topic::AdAccount,
        &[
            "creative_fatigue",
            "effective_status",
            "in_process_ad_objects",
            "subscriptions",
            "with_issues_ad_objects",
        ],
    ),
    (Topic::Permissions, &["ads_management", "ads_read", "business_management"]),
];

const PATH: &str = "/v1/webhooks/meta";

impl AuthMeta {
    /// Completes the subscriptions. `public_url` is where the API is, where that is known. A failure stops nothing: what
    /// is not pushed is read by the hourly sync.
    pub(crate) async fn subscribe_app(&self, public_url: Option<&str>) {
        let public_url = public_url.or(self.host.public_url.as_deref());
        if let Err(error) = self.complete_subscriptions(public_url).await {
            tracing::warn!(%error, "The app's webhooks could not be subscribed to.");
        }
    }

    async fn complete_subscriptions(&self, public_url: Option<&str>) -> Result<(), GraphError> {
        let graph = &self.connector.graph;
        let known = graph.subscriptions().await?;
        for (topic, wanted) in &WANTED {
            let current = known.iter().find(|subscription| subscription.topic == *topic);
            let callback = match (current, public_url) {
                (Some(Subscription { callback_url, .. }), _) if !callback_url.is_empty() => {
                    callback_url.clone()
                }
                (_, Some(public_url)) => format!("{public_url}{PATH}"),
                (_, None) => continue,
            };
            // Subscribing replaces the fields: what somebody added stays.
            let mut fields: Vec<&str> =
                current.map_or(Vec::new(), |current| current.fields.iter().map(String::as_str).collect());
            let missing: Vec<&str> = wanted.iter().copied().filter(|field| !fields.contains(field)).collect();
            if missing.is_empty() && current.is_some_and(|current| current.active) {
                continue;
            }
            fields.extend(missing);
            graph.subscribe(topic, &fields, &callback, &self.settings.secrets.verify_token).await?;
            tracing::info!(topic = topic.as_str(), fields = fields.len(), "Subscribed to webhooks.");
        }
        Ok(())
    }
}
