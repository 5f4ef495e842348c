//! Jobs: every message that travels through a queue.

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::date::IsoWeek;
use crate::id::{AdAccountId, ConnectionId, LaunchId, MetaUserId, ObjectId, WorkspaceId};
use crate::object::Level;
use crate::tenant::{Tenant, trusted};

/// A queue: one per function that processes jobs, with a dead-letter queue beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Queue {
    /// Of `auth-meta`.
    AuthMeta,
    /// Of `sync-entities`.
    SyncEntities,
    /// Of `sync-metrics-chunk`.
    SyncMetricsChunk,
    /// Of `evaluate-rules`.
    EvaluateRules,
    /// Of `webhook-ingest`.
    WebhookIngest,
    /// Of `manage-campaign`.
    ManageCampaign,
}

impl Queue {
    /// Every queue.
    pub const ALL: [Self; 6] = [
        Self::AuthMeta,
        Self::SyncEntities,
        Self::SyncMetricsChunk,
        Self::EvaluateRules,
        Self::WebhookIngest,
        Self::ManageCampaign,
    ];

    /// The queue's name, which is its function's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::AuthMeta => "auth-meta",
            Self::SyncEntities => "sync-entities",
            Self::SyncMetricsChunk => "sync-metrics-chunk",
            Self::EvaluateRules => "evaluate-rules",
            Self::WebhookIngest => "webhook-ingest",
            Self::ManageCampaign => "manage-campaign",
        }
    }
}

/// Why an account is synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncCause {
    /// It was just selected.
    Selected,
    /// Its schedule came due.
    Recurring,
    /// A person asked.
    Request,
    /// The process that worked on it went away.
    Resume,
}

impl SyncCause {
    /// Minutes between two syncs of a selected account.
    pub const SYNC_INTERVAL_MINUTES: u32 = 60;
}

/// A unit of work. Delivery is at least once and unordered; every job may be done twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "snake_case")]
pub enum Job {
    /// Mirror an account's structure, then plan what must be measured.
    SyncAccount {
        /// Whose.
        #[serde(with = "trusted")]
        workspace: Tenant,
        /// Which account.
        ad_account: AdAccountId,
        /// Why.
        cause: SyncCause,
    },
    /// Look over all selected accounts: whether they are fresh, and whether their connections last.
    WatchAccounts,
    /// Ask Meta how every connection of every workspace is.
    CheckConnections,
    /// Ask Meta how one connection is, and renew its token when it ends soon.
    CheckConnection {
        /// Whose.
        #[serde(with = "trusted")]
        workspace: Tenant,
        /// Which.
        connection: ConnectionId,
    },
    /// Forget the tokens of a person who has removed the app, in every workspace.
    DeauthorizeUser {
        /// As our app knows them at Meta.
        user: MetaUserId,
        /// Unix seconds; what was connected later stays. A number, for jobs are read at the edge as well, where what
        /// reads times as text would be a sixth of the code.
        until: i64,
    },
    /// Delete what is kept of a person who wants it.
    DeleteUserData {
        /// Under which their request is stored.
        code: String,
    },
    /// Mirror one object that Meta said has changed.
    SyncObject {
        /// Whose.
        #[serde(with = "trusted")]
        workspace: Tenant,
        /// Which account.
        ad_account: AdAccountId,
        /// Campaign, ad set or ad.
        level: Level,
        /// Which object.
        object: ObjectId,
    },
    /// Fetch one account's numbers for one week.
    SyncChunk {
        /// Whose.
        #[serde(with = "trusted")]
        workspace: Tenant,
        /// Which account.
        ad_account: AdAccountId,
        /// Which week.
        week: IsoWeek,
    },
    /// Compare an account's numbers with the rules.
    EvaluateRules {
        /// Whose.
        #[serde(with = "trusted")]
        workspace: Tenant,
        /// Which account.
        ad_account: AdAccountId,
    },
    /// One verified change out of a webhook.
    WebhookChange(WebhookChange),
    /// A scheduled activation has come due.
    ActivateCampaign {
        /// Whose.
        #[serde(with = "trusted")]
        workspace: Tenant,
        /// Which account.
        ad_account: AdAccountId,
        /// Which campaign.
        campaign: ObjectId,
        /// Which timer this is: one that was replaced or withdrawn since does nothing.
        timer: String,
    },
    /// Begin to change the keys that seal tokens, or go on with it. An operator asks for it.
    RotateKeyring,
    /// Go on with changing the keys, if that is under way.
    CompleteRotation,
    /// Seal one connection's token anew.
    Reseal {
        /// Whose.
        #[serde(with = "trusted")]
        workspace: Tenant,
        /// Which connection.
        connection: ConnectionId,
        /// With this key, or a later one.
        key: String,
    },
    /// Take a launch up again.
    ResumeLaunch {
        /// Whose.
        #[serde(with = "trusted")]
        workspace: Tenant,
        /// Which launch.
        launch: LaunchId,
    },
}

impl Job {
    /// The queue it travels through.
    pub fn queue(&self) -> Queue {
        match self {
            Self::SyncAccount { .. } | Self::WatchAccounts | Self::SyncObject { .. } => Queue::SyncEntities,
            Self::RotateKeyring | Self::CompleteRotation | Self::Reseal { .. } => Queue::AuthMeta,
            Self::CheckConnections
            | Self::CheckConnection { .. }
            | Self::DeauthorizeUser { .. }
            | Self::DeleteUserData { .. } => Queue::AuthMeta,
            Self::SyncChunk { .. } => Queue::SyncMetricsChunk,
            Self::EvaluateRules { .. } => Queue::EvaluateRules,
            Self::WebhookChange(_) => Queue::WebhookIngest,
            Self::ActivateCampaign { .. } | Self::ResumeLaunch { .. } => Queue::ManageCampaign,
        }
    }

    /// What a function says of a job that is not one of its own.
    pub fn wrong_queue(&self) -> Error {
        Error::Internal(format!("a job of {} came to another function", self.queue().name()))
    }

    /// Whom it belongs to, for fair queues; a webhook is not attributed yet, and a look over all belongs to nobody.
    pub fn message_group_id(&self) -> &str {
        let attributes = self.attributes();
        attributes.workspace.map_or(attributes.name, WorkspaceId::as_str)
    }

    /// What may be told of it.
    pub fn attributes(&self) -> JobAttributes<'_> {
        let of = |name, workspace, ad_account| JobAttributes { name, workspace: Some(workspace), ad_account };
        let unattributed = |name| JobAttributes { name, workspace: None, ad_account: None };
        match self {
            Self::SyncAccount { workspace, ad_account, .. } => {
                of("sync_account", workspace, Some(ad_account))
            }
            Self::SyncObject { workspace, ad_account, .. } => of("sync_object", workspace, Some(ad_account)),
            Self::SyncChunk { workspace, ad_account, .. } => of("sync_chunk", workspace, Some(ad_account)),
            Self::EvaluateRules { workspace, ad_account } => {
                of("evaluate_rules", workspace, Some(ad_account))
            }
            Self::WebhookChange(_) => unattributed("webhook_change"),
            Self::WatchAccounts => unattributed("watch_accounts"),
            Self::RotateKeyring => unattributed("rotate_keyring"),
            Self::CompleteRotation => unattributed("complete_rotation"),
            Self::Reseal { workspace, .. } => of("reseal", workspace, None),
            Self::CheckConnections => unattributed("check_connections"),
            Self::DeauthorizeUser { .. } => unattributed("deauthorize_user"),
            Self::DeleteUserData { .. } => unattributed("delete_user_data"),
            Self::CheckConnection { workspace, .. } => of("check_connection", workspace, None),
            Self::ActivateCampaign { workspace, ad_account, .. } => {
                of("activate_campaign", workspace, Some(ad_account))
            }
            Self::ResumeLaunch { workspace, .. } => of("resume_launch", workspace, None),
        }
    }
}

/// What may be told of a job: its name and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobAttributes<'a> {
    /// Its name, as in its JSON.
    pub name: &'static str,
    /// Whose it is, where it says so.
    pub workspace: Option<&'a WorkspaceId>,
    /// Which account it is about, where it is one.
    pub ad_account: Option<&'a AdAccountId>,
}

/// One change of a webhook, verified and cut out of its envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookChange {
    /// SHA-256 over object, entry, time, field and canonical value, in hex: Meta sends no delivery id.
    pub digest: String,
    /// The subscribed object, such as `ad_account`.
    pub object: String,
    /// The field, such as `with_issues_ad_objects`.
    pub field: String,
    /// Unix seconds, as Meta says.
    pub time: i64,
    /// What the change is about, as far as it names an ad object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<WebhookSubject>,
}

/// The ad object that a change is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookSubject {
    /// A campaign, ad set or ad.
    Object {
        /// Which.
        id: ObjectId,
        /// Of which level.
        level: Level,
        /// In which account, where Meta says so: the object may be one that we have never seen.
        ad_account: Option<AdAccountId>,
    },
    /// The status of a whole ad account.
    Account(AdAccountId),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_reads_the_same_after_the_queue() {
        let text = r#"{"job":"sync_chunk","workspace":"demo","ad_account":"act_1","week":"2026-W21"}"#;
        let job: Job = serde_json::from_str(text).unwrap();
        assert!(matches!(&job, Job::SyncChunk { workspace, .. } if workspace.as_str() == "demo"));
        assert_eq!(serde_json::to_string(&job).unwrap(), text);
    }

    #[test]
    fn job_attributes_match_the_json() {
        let account = r#""workspace":"demo","ad_account":"act_1""#;
        for fields in [
            format!(r#""job":"sync_account",{account},"cause":"request""#),
            format!(r#""job":"sync_object",{account},"level":"ad","object":"1""#),
            format!(r#""job":"sync_chunk",{account},"week":"2026-W21""#),
            format!(r#""job":"evaluate_rules",{account}"#),
            r#""job":"webhook_change","digest":"d","object":"o","field":"f","time":1"#.to_owned(),
            format!(r#""job":"activate_campaign",{account},"campaign":"1","timer":"t""#),
            r#""job":"watch_accounts""#.to_owned(),
            r#""job":"rotate_keyring""#.to_owned(),
            r#""job":"complete_rotation""#.to_owned(),
            r#""job":"reseal","workspace":"demo","connection":"meta-1","key":"k2""#.to_owned(),
            r#""job":"resume_launch","workspace":"demo","launch":"l""#.to_owned(),
        ] {
            let text = format!("{{{fields}}}");
            let job: Job = serde_json::from_str(&text).unwrap();
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            let attributes = job.attributes();
            assert_eq!(json["job"], attributes.name);
            assert_eq!(json["workspace"].as_str(), attributes.workspace.map(WorkspaceId::as_str));
            assert_eq!(
                json["ad_account"].as_str().map(str::to_owned),
                attributes.ad_account.map(ToString::to_string)
            );
        }
    }
}
