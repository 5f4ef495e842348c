//! Scheduled activations of campaigns.

use domain::entity::Level;
use domain::id::{AdAccountId, EntityId};
use domain::tenant::Tenant;
use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use crate::audit::EventRecord;
use crate::key;
use crate::table::{ConditionExpression, ITEM_NOT_EXISTS, StoreError, Table, number};

/// When a campaign is to be activated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Activation {
    /// The campaign.
    pub campaign: EntityId,
    /// Local time.
    pub at: DateTime,
    /// The IANA zone in which `at` is read.
    pub timezone: String,
    /// Raised with every change; each change is conditional on the one before.
    pub version: u64,
    /// The timer that activates it: any other that comes due does nothing.
    pub timer: String,
    /// What is activated with the campaign. Until it is activated that may be open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<ActivationScope>,
    /// Where it stands.
    pub state: ActivationState,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Ad sets and ads that cannot deliver although they were to, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<ActivationProblem>,
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
pub struct ActivationProblem {
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

/// Where an activation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ActivationState {
    /// Waiting for its time.
    Scheduled,
    /// Its time has come and the campaign is being activated: too late to cancel.
    Activating,
    /// Withdrawn by a person.
    Cancelled,
    /// The campaign was activated.
    Activated,
    /// The platform refused, or nothing in the campaign can deliver; `failure` says why.
    Failed,
}

impl Table {
    /// Reads a campaign's activation.
    pub async fn activation(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        campaign: &EntityId,
    ) -> Result<Option<Activation>, StoreError> {
        self.get(&key::schedule(ws, account, campaign)).await
    }

    /// Lists the activations of an account.
    pub async fn activations(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
    ) -> Result<Vec<Activation>, StoreError> {
        self.query_prefix(&key::account_partition(ws, account), "SCHEDULE#").await
    }

    /// Writes an activation whose version is one above `before`, and records its event. [`StoreError::Conflict`] when
    /// it changed in the meantime.
    pub async fn upsert_activation(
        &self,
        ws: &Tenant,
        account: &AdAccountId,
        activation: &Activation,
        before: Option<&Activation>,
        event: Option<&EventRecord>,
    ) -> Result<(), StoreError> {
        let condition = match before {
            None => ITEM_NOT_EXISTS,
            Some(before) => ConditionExpression {
                expression: "version = :version",
                values: vec![(":version", number(before.version))],
            },
        };
        let key = key::schedule(ws, account, &activation.campaign);
        self.transact_recorded(ws, vec![self.put_action_if(&key, activation, condition)?], event).await
    }
}
