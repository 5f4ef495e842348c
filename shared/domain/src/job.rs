//! Jobs: the messages that travel through the queues.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::dataset::Dataset;
use crate::date::{DateRange, IsoWeek};
use crate::entity::Level;
use crate::id::{AdAccountId, BulkChangeId, ConnectionId, EntityId, LaunchId, PlatformUserId, WorkspaceId};
use crate::schedule::ScheduledAction;
use crate::tenant::{Tenant, trusted};

/// A job queue: one per function that processes jobs, each with a dead-letter queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Queue {
    /// Queue of `auth-meta`.
    AuthMeta,
    /// Queue of `sync-entities`.
    SyncEntities,
    /// Queue of `sync-metrics-chunk`.
    SyncMetricsChunk,
    /// Queue of `evaluate-rules`.
    EvaluateRules,
    /// Queue of `webhook-ingest`.
    WebhookIngest,
    /// Queue of `manage-campaign`.
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

    /// Returns the queue's name, which is its function's name.
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

/// The reason for an account sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncCause {
    /// The account was just selected.
    Selected,
    /// The recurring job came due.
    Recurring,
    /// A person requested it.
    Request,
    /// The previous sync was interrupted, or the account became stale.
    Resume,
}

impl SyncCause {
    /// Minutes between two syncs of a selected account.
    pub const SYNC_INTERVAL_MINUTES: u32 = 60;
}

/// A unit of work. Delivery is at least once and unordered, so every job may run twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "snake_case")]
pub enum Job {
    /// Syncs an account's entities, then plans the chunks to fetch.
    SyncAccount {
        /// The workspace.
        #[serde(with = "trusted")]
        workspace: Tenant,
        /// The ad account.
        ad_account: AdAccountId,
        /// Reason for the sync.
        cause: SyncCause,
    },
    /// Sends the recurring jobs of accounts that are due.
    TakeDue,
    /// Checks that selected accounts are fresh and that their connections do not expire soon.
    WatchAccounts {
        /// The shard of the due index; absent for the job that sends one for each.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shard: Option<u8>,
    },
    /// Checks every connection of every workspace on its platform.
    CheckConnections {
        /// Where the invocation before ended; absent for the first one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
    },
    /// Checks one connection on its platform and renews its token when it expires soon.
    CheckConnection {
        /// The workspace.
        #[serde(with = "trusted")]
        workspace: Tenant,
        /// The connection.
        connection: ConnectionId,
    },
    /// Searches for the ad accounts of a connection that reaches too many to be listed during a login.
    DiscoverAccounts {
        /// The workspace.
        #[serde(with = "trusted")]
        workspace: Tenant,
        /// The connection.
        connection: ConnectionId,
    },
    /// Deletes the tokens of a person who has removed the app, in every workspace.
    DeauthorizeUser {
        /// App-scoped id of the person on the platform.
        user: PlatformUserId,
        /// Unix seconds; connections made later stay. A number, because the Cloudflare Worker reads jobs as well, where
        /// parsing times from text would be a sixth of the code.
        until: i64,
    },
    /// Deletes the stored data of a person who has requested it.
    DeleteUserData {
        /// Code of the deletion request.
        code: String,
    },
    /// Deletes a workspace that one of its owners has deleted.
    DeleteWorkspace {
        /// The workspace.
        #[serde(with = "trusted")]
        workspace: Tenant,
    },
    /// Syncs the entities of an account that the platform has reported as changed. The table lists them, so that many
    /// changes of the same entities cause one read.
    SyncChangedEntities {
        /// The workspace.
        #[serde(with = "trusted")]
        workspace: Tenant,
        /// The ad account.
        ad_account: AdAccountId,
    },
    /// Measures a dataset of one account for one week.
    SyncChunk {
        /// The workspace.
        #[serde(with = "trusted")]
        workspace: Tenant,
        /// The ad account.
        ad_account: AdAccountId,
        /// What is measured; messages of earlier versions name none.
        #[serde(default)]
        dataset: Dataset,
        /// The week.
        week: IsoWeek,
    },
    /// Holds the sums of measured days against the account's own totals.
    CheckTotals {
        /// The workspace.
        #[serde(with = "trusted")]
        workspace: Tenant,
        /// The ad account.
        ad_account: AdAccountId,
    },
    /// Measures the reach of one level over some periods.
    MeasureReach {
        /// The workspace.
        #[serde(with = "trusted")]
        workspace: Tenant,
        /// The ad account.
        ad_account: AdAccountId,
        /// Whose reach.
        level: Level,
        /// The periods; few, so that one call measures them.
        periods: Vec<DateRange>,
    },
    /// Evaluates the rules against an account's metrics.
    EvaluateRules {
        /// The workspace.
        #[serde(with = "trusted")]
        workspace: Tenant,
        /// The ad account.
        ad_account: AdAccountId,
    },
    /// Processes verified webhook changes.
    WebhookChanges {
        /// The changes of one delivery that concern the same subject.
        changes: Vec<WebhookChange>,
    },
    /// Does what is scheduled for a campaign.
    #[serde(alias = "activate_campaign")]
    RunSchedule {
        /// The workspace.
        #[serde(with = "trusted")]
        workspace: Tenant,
        /// The ad account.
        ad_account: AdAccountId,
        /// The campaign.
        campaign: EntityId,
        /// What is to be done.
        #[serde(default)]
        action: ScheduledAction,
        /// Id of the timer. A timer that has been replaced or withdrawn does nothing.
        timer: String,
    },
    /// Begins to rotate the keys that seal tokens, or resumes a rotation. Requested by an operator.
    RotateKeyring,
    /// Resumes a rotation of the keys, if one is in progress.
    CompleteRotation {
        /// The pass over all connections to go on with; a new one when `None`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pass: Option<ResealingPass>,
    },
    /// Reseals one connection's token.
    Reseal {
        /// The workspace.
        #[serde(with = "trusted")]
        workspace: Tenant,
        /// The connection.
        connection: ConnectionId,
        /// The key to seal with; a later one is accepted too.
        key: String,
    },
    /// Goes on with a bulk change.
    ApplyBulkChange {
        /// The workspace.
        #[serde(with = "trusted")]
        workspace: Tenant,
        /// The ad account.
        ad_account: AdAccountId,
        /// The bulk change.
        bulk_change: BulkChangeId,
    },
    /// Resumes a launch.
    ResumeLaunch {
        /// The workspace.
        #[serde(with = "trusted")]
        workspace: Tenant,
        /// The launch.
        launch: LaunchId,
    },
}

/// One look at every connection, page by page: is its token sealed with the current key?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResealingPass {
    /// The current key.
    pub key: String,
    /// When it began.
    pub began_at: Timestamp,
    /// The position after which it goes on.
    pub after: Option<String>,
    /// Whether a token that it came by still needs another key.
    pub held: bool,
}

impl Job {
    /// Returns the queue that carries the job.
    pub fn queue(&self) -> Queue {
        match self {
            Self::SyncAccount { .. }
            | Self::SyncChangedEntities { .. }
            | Self::TakeDue
            | Self::WatchAccounts { .. } => Queue::SyncEntities,
            Self::RotateKeyring | Self::CompleteRotation { .. } | Self::Reseal { .. } => Queue::AuthMeta,
            Self::CheckConnections { .. }
            | Self::CheckConnection { .. }
            | Self::DiscoverAccounts { .. }
            | Self::DeauthorizeUser { .. }
            | Self::DeleteUserData { .. }
            | Self::DeleteWorkspace { .. } => Queue::AuthMeta,
            Self::SyncChunk { .. } | Self::CheckTotals { .. } | Self::MeasureReach { .. } => {
                Queue::SyncMetricsChunk
            }
            Self::EvaluateRules { .. } => Queue::EvaluateRules,
            Self::WebhookChanges { .. } => Queue::WebhookIngest,
            Self::RunSchedule { .. } | Self::ApplyBulkChange { .. } | Self::ResumeLaunch { .. } => {
                Queue::ManageCampaign
            }
        }
    }

    /// Builds the error of a function that receives another function's job.
    pub fn wrong_queue(&self) -> Error {
        Error::Internal(format!("a job of {} came to another function", self.queue().name()))
    }

    /// Returns the message group for fair queues: the workspace, or the job's name where it has none. Webhook changes
    /// are not yet attributed to a workspace, and some jobs cover all of them.
    pub fn message_group_id(&self) -> &str {
        let attributes = self.attributes();
        attributes.workspace.map_or(attributes.name, WorkspaceId::as_str)
    }

    /// Returns the attributes for telemetry.
    pub fn attributes(&self) -> JobAttributes<'_> {
        let of = |name, workspace, ad_account| JobAttributes { name, workspace: Some(workspace), ad_account };
        let unattributed = |name| JobAttributes { name, workspace: None, ad_account: None };
        match self {
            Self::SyncAccount { workspace, ad_account, .. } => {
                of("sync_account", workspace, Some(ad_account))
            }
            Self::SyncChangedEntities { workspace, ad_account } => {
                of("sync_changed_entities", workspace, Some(ad_account))
            }
            Self::SyncChunk { workspace, ad_account, .. } => of("sync_chunk", workspace, Some(ad_account)),
            Self::CheckTotals { workspace, ad_account } => of("check_totals", workspace, Some(ad_account)),
            Self::MeasureReach { workspace, ad_account, .. } => {
                of("measure_reach", workspace, Some(ad_account))
            }
            Self::EvaluateRules { workspace, ad_account } => {
                of("evaluate_rules", workspace, Some(ad_account))
            }
            Self::WebhookChanges { .. } => unattributed("webhook_changes"),
            Self::TakeDue => unattributed("take_due"),
            Self::WatchAccounts { .. } => unattributed("watch_accounts"),
            Self::RotateKeyring => unattributed("rotate_keyring"),
            Self::CompleteRotation { .. } => unattributed("complete_rotation"),
            Self::Reseal { workspace, .. } => of("reseal", workspace, None),
            Self::CheckConnections { .. } => unattributed("check_connections"),
            Self::DeauthorizeUser { .. } => unattributed("deauthorize_user"),
            Self::DeleteUserData { .. } => unattributed("delete_user_data"),
            Self::DiscoverAccounts { workspace, .. } => of("discover_accounts", workspace, None),
            Self::DeleteWorkspace { workspace } => of("delete_workspace", workspace, None),
            Self::CheckConnection { workspace, .. } => of("check_connection", workspace, None),
            Self::RunSchedule { workspace, ad_account, .. } => {
                of("run_schedule", workspace, Some(ad_account))
            }
            Self::ApplyBulkChange { workspace, ad_account, .. } => {
                of("apply_bulk_change", workspace, Some(ad_account))
            }
            Self::ResumeLaunch { workspace, .. } => of("resume_launch", workspace, None),
        }
    }
}

/// The attributes of a job that telemetry may record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobAttributes<'a> {
    /// The job's name, as in its JSON.
    pub name: &'static str,
    /// The workspace, where the job names one.
    pub workspace: Option<&'a WorkspaceId>,
    /// The ad account, where the job concerns one.
    pub ad_account: Option<&'a AdAccountId>,
}

/// One verified change, extracted from a webhook delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookChange {
    /// SHA-256 over object, entry, time, field and canonical value, in hex. Identifies the change, because Meta sends
    /// no delivery id.
    pub digest: String,
    /// The subscribed object, such as `ad_account`.
    pub object: String,
    /// The field, such as `with_issues_ad_objects`.
    pub field: String,
    /// Unix seconds, as the platform reported it.
    pub time: i64,
    /// The entity concerned, where the change names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<WebhookSubject>,
    /// Why the change could not be read; it is kept aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
}

/// The entity that a change concerns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Hash)]
#[serde(rename_all = "snake_case")]
pub enum WebhookSubject {
    /// A campaign, ad set or ad.
    Entity {
        /// The platform's id.
        id: EntityId,
        /// The entity's level.
        level: Level,
        /// The entity's ad account, where the platform names it. The entity may be one that we have never seen.
        ad_account: Option<AdAccountId>,
    },
    /// The status of a whole ad account.
    Account(AdAccountId),
    /// The permissions of a person.
    User(PlatformUserId),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_reads_the_same_after_the_queue() {
        let text = r#"{"job":"sync_chunk","workspace":"demo","ad_account":"act_1","dataset":"ad_day","week":"2026-W21"}"#;
        let job: Job = serde_json::from_str(text).unwrap();
        assert!(matches!(&job, Job::SyncChunk { workspace, .. } if workspace.as_str() == "demo"));
        assert_eq!(serde_json::to_string(&job).unwrap(), text);
        // A message under way while this version replaces one that knew a single dataset.
        let earlier = text.replace(r#""dataset":"ad_day","#, "");
        assert_eq!(serde_json::from_str::<Job>(&earlier).unwrap(), job);
    }

    #[test]
    fn job_attributes_match_the_json() {
        let account = r#""workspace":"demo","ad_account":"act_1""#;
        for fields in [
            format!(r#""job":"sync_account",{account},"cause":"request""#),
            format!(r#""job":"sync_changed_entities",{account}"#),
            format!(r#""job":"sync_chunk",{account},"dataset":"ad_hour","week":"2026-W21""#),
            format!(r#""job":"check_totals",{account}"#),
            format!(r#""job":"measure_reach",{account},"level":"ad","periods":[]"#),
            format!(r#""job":"evaluate_rules",{account}"#),
            r#""job":"webhook_changes","changes":[{"digest":"d","object":"o","field":"f","time":1}]"#
                .to_owned(),
            format!(r#""job":"run_schedule",{account},"campaign":"1","action":"pause","timer":"t""#),
            r#""job":"take_due""#.to_owned(),
            r#""job":"watch_accounts""#.to_owned(),
            r#""job":"watch_accounts","shard":3"#.to_owned(),
            r#""job":"check_connections""#.to_owned(),
            r#""job":"check_connections","after":"demo#meta-1""#.to_owned(),
            r#""job":"check_connection","workspace":"demo","connection":"meta-1""#.to_owned(),
            r#""job":"discover_accounts","workspace":"demo","connection":"meta-1""#.to_owned(),
            r#""job":"deauthorize_user","user":"1","until":1"#.to_owned(),
            r#""job":"delete_user_data","code":"c""#.to_owned(),
            r#""job":"delete_workspace","workspace":"demo""#.to_owned(),
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
