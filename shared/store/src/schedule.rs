//! Schedules of campaigns.

use domain::entity::Level;
use domain::id::{AdAccountId, EntityId};
use domain::schedule::ScheduledAction;
use domain::tenant::Tenant;
use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use crate::audit::EventRecord;
use crate::key;
use crate::table::{ConditionExpression, ITEM_NOT_EXISTS, StoreError, Table, number};

/// When something is to be done with a campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Schedule {
    /// The campaign.
    pub campaign: EntityId,
    /// What is to be done.
    #[serde(default)]
    pub action: ScheduledAction,
    /// Local time.
    pub at: DateTime,
    /// The IANA zone in which `at` is read.
    pub timezone: String,
    /// Raised with every change; each change is conditional on the one before.
    pub version: u64,
    /// The timer that runs it: any other that comes due does nothing.
    pub timer: String,
    /// What is activated with the campaign. Until it is activated that may be open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<ActivationScope>,
    /// Where it stands.
    pub state: ScheduleState,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Ad sets and ads that cannot deliver although they were to, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<ScheduleProblem>,
}

/// What is activated with a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ActivationScope {
    /// The campaign alone: ad sets and ads keep their status.
    Campaign,
    /// Also every ad set and ad that it holds then.
    Everything,
}

/// Something that cannot deliver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct ScheduleProblem {
    /// Ad set or ad.
    pub level: Level,
    /// Its id.
    pub id: EntityId,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Why.
    pub reason: String,
}

/// Where a schedule stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ScheduleState {
    /// Waiting for its time.
    Scheduled,
    /// Its time has come and it is being done: too late to cancel.
    #[serde(alias = "activating")]
    Running,
    /// Withdrawn by a person.
    Cancelled,
    /// It was done.
    #[serde(alias = "activated")]
    Done,
    /// The platform refused, or nothing in an activated campaign can deliver; `failure` says why.
    Failed,
}

impl Schedule {
    /// Returns what tells it from the others of its account.
    pub fn position(&self) -> String {
        key::schedule_position(&self.campaign, self.action)
    }
}

impl Table {
    /// Reads a campaign's schedule for an action.
    pub async fn schedule(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        campaign: &EntityId,
        action: ScheduledAction,
    ) -> Result<Option<Schedule>, StoreError> {
        self.get(&key::schedule(ws, account, campaign, action)).await
    }

    /// Lists the schedules of an account.
    pub async fn schedules(&self, ws: &Tenant, account: &AdAccountId) -> Result<Vec<Schedule>, StoreError> {
        self.query_prefix(&key::account_partition(ws, account), key::SCHEDULE_PREFIX).await
    }

    /// Lists the schedules of an account by campaign, or those of one: a page, after a position if there is one.
    pub async fn schedules_after(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        campaign: Option<&EntityId>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Schedule>, StoreError> {
        let prefix = key::SCHEDULE_PREFIX;
        let of = campaign.map_or_else(|| prefix.to_owned(), |campaign| format!("{prefix}{campaign}"));
        // '\u{1}' sorts before every character of an id, '#' before its digits, '\u{7f}' after.
        let first = after.map_or_else(|| of.clone(), |after| format!("{prefix}{after}\u{1}"));
        let last = if campaign.is_some() { format!("{of}#\u{7f}") } else { format!("{of}\u{7f}") };
        let partition = key::account_partition(ws, account);
        self.query_first(&partition, first.max(of).as_str(), &last, limit, |_| true).await
    }

    /// Writes a schedule whose version is one above `before`, and records its event. [`StoreError::Conflict`] when
    /// it changed in the meantime.
    pub async fn upsert_schedule(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        schedule: &Schedule,
        before: Option<&Schedule>,
        event: Option<&EventRecord>,
    ) -> Result<(), StoreError> {
        let condition = match before {
            None => ITEM_NOT_EXISTS,
            Some(before) => ConditionExpression {
                expression: "version = :version",
                values: vec![(":version", number(before.version))],
            },
        };
        let key = key::schedule(ws, account, &schedule.campaign, schedule.action);
        self.transact_recorded(ws, vec![self.put_action_if(&key, schedule, condition)?], event).await
    }
}
