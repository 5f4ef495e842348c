//! Webhook subscriptions: to object types, and to single ad accounts.
//!
//! Both are needed (Graph API, "Webhooks"; Marketing API, "Ad account subscribed apps"): the app subscribes to the
//! fields of an object type, and then to each single object. [`crate::webhook`] parses the deliveries.

use domain::id::AdAccountId;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::client::{Graph, UserClient};
use crate::error::GraphError;

/// Fields of campaigns, ad sets and ads that we mirror and that people edit. Statuses have a push of their own.
const MIRRORED_FIELDS: [&str; 4] = ["name", "objective", "daily_budget", "lifetime_budget"];

/// An object type to subscribe to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum Topic {
    /// Ad accounts: objects with issues, creative fatigue.
    AdAccount,
    /// The app: the status of ad accounts, finished reports.
    Application,
    /// Pages: leads.
    Page,
    /// Users and their permissions.
    Permissions,
    /// Another type, which this crate does not parse.
    Other(String),
}

impl Topic {
    /// Returns Meta's name of the type.
    pub fn as_str(&self) -> &str {
        match self {
            Self::AdAccount => "ad_account",
            Self::Application => "application",
            Self::Page => "page",
            Self::Permissions => "permissions",
            Self::Other(word) => word,
        }
    }
}

impl From<String> for Topic {
    fn from(word: String) -> Self {
        let known = [Self::AdAccount, Self::Application, Self::Page, Self::Permissions];
        known.into_iter().find(|topic| topic.as_str() == word).unwrap_or(Self::Other(word))
    }
}

/// The app's subscription to an object type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The object type.
    pub topic: Topic,
    /// The URL that receives deliveries.
    pub callback_url: String,
    /// Whether Meta delivers: it stops for callbacks that fail for a long time.
    pub active: bool,
    /// The subscribed fields.
    pub fields: Vec<String>,
}

#[derive(Deserialize)]
struct Data<T> {
    data: Vec<T>,
}

#[derive(Deserialize)]
struct Row {
    object: Topic,
    #[serde(default)]
    callback_url: String,
    #[serde(default)]
    active: bool,
    #[serde(default)]
    fields: Vec<Field>,
}

#[derive(Deserialize)]
struct Field {
    name: String,
}

/// An app that is subscribed to an ad account.
#[derive(Deserialize)]
struct App {
    #[serde(alias = "app_id")]
    id: String,
}

/// A subscription of the app to events in one ad account.
#[derive(Deserialize)]
struct EditSubscription {
    event_type: String,
    #[serde(default)]
    field: Option<String>,
}

impl Graph {
    /// Subscribes the app to fields of an object type, replacing its previous ones. Meta verifies the callback at once,
    /// which must echo the challenge; fails with [`GraphError::InvalidInput`] when it does not.
    pub async fn subscribe(
        &self,
        topic: &Topic,
        fields: &[&str],
        callback_url: &str,
        verify_token: &SecretString,
    ) -> Result<(), GraphError> {
        let form = [
            ("object", topic.as_str()),
            ("fields", &fields.join(",")),
            ("callback_url", callback_url),
            ("verify_token", verify_token.expose_secret()),
            // Without values a change names only its field, not its object.
            ("include_values", "true"),
        ];
        self.as_app().update(&self.subscriptions_path(), &form).await
    }

    /// Reads the app's subscriptions.
    pub async fn subscriptions(&self) -> Result<Vec<Subscription>, GraphError> {
        let rows: Data<Row> = self.as_app().get(&self.subscriptions_path(), &[]).await?;
        Ok(rows.data.into_iter().map(Subscription::from).collect())
    }

    fn subscriptions_path(&self) -> String {
        format!("{}/subscriptions", self.config().app_id)
    }
}

impl From<Row> for Subscription {
    fn from(row: Row) -> Self {
        Self {
            topic: row.object,
            callback_url: row.callback_url,
            active: row.active,
            fields: row.fields.into_iter().map(|field| field.name).collect(),
        }
    }
}

impl UserClient {
    /// Subscribes the app to an ad account. Needs `ads_management`, and a user who may edit the account.
    pub async fn subscribe_account(&self, account: &AdAccountId) -> Result<(), GraphError> {
        self.update(&subscribed_apps_path(account), &[("app_id", &self.graph().config().app_id)]).await
    }

    /// Has Meta report every new object of an ad account, and every edit of what is mirrored, as changes of the field
    /// `subscriptions`. Idempotent. The app must be subscribed to that field and to the account. (Marketing API, ads
    /// webhooks, July 2026; the SDKs do not have this edge yet.)
    pub async fn subscribe_to_edits(&self, account: &AdAccountId) -> Result<(), GraphError> {
        let path = format!("{account}/subscriptions");
        let known: Data<EditSubscription> = self.get(&path, &[]).await?;
        let is_known = |event: &str, field: Option<&str>| {
            known.data.iter().any(|one| one.event_type == event && one.field.as_deref() == field)
        };
        let edits = MIRRORED_FIELDS.iter().map(|field| ("OBJECT_UPDATED", Some(*field)));
        for (event, field) in std::iter::once(("OBJECT_CREATED", None)).chain(edits) {
            if !is_known(event, field) {
                let mut form = vec![("event_type", event), ("status", "ENABLED")];
                form.extend(field.map(|field| ("field", field)));
                self.update(&path, &form).await?;
            }
        }
        Ok(())
    }

    /// Returns whether the app is subscribed to an ad account.
    pub async fn is_subscribed_to_account(&self, account: &AdAccountId) -> Result<bool, GraphError> {
        let apps: Data<App> = self.get(&subscribed_apps_path(account), &[]).await?;
        Ok(apps.data.into_iter().any(|app| app.id == self.graph().config().app_id))
    }
}

fn subscribed_apps_path(account: &AdAccountId) -> String {
    format!("{account}/subscribed_apps")
}
