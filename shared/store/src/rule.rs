//! Rules of a workspace.

use domain::id::RuleId;
use domain::rule::Rule;
use domain::tenant::Tenant;

use serde::Serialize;

use crate::audit::EventRecord;
use crate::key;
use crate::table::{ITEM_EXISTS, ITEM_NOT_EXISTS, StoreError, Table};

#[derive(Serialize)]
struct RemovedRule {
    id: RuleId,
}

impl Table {
    /// Adds a rule; [`StoreError::Conflict`] when its id is taken.
    pub async fn create_rule(
        &self,
        ws: &Tenant,
        rule: &Rule,
        recorded: &EventRecord,
    ) -> Result<(), StoreError> {
        let put = self.put_action_if(&key::rule(ws, &rule.id), rule, ITEM_NOT_EXISTS)?;
        self.transact_recorded(ws, vec![put], [recorded]).await
    }

    /// Replaces a rule; [`StoreError::Conflict`] when there is none.
    pub async fn replace_rule(
        &self,
        ws: &Tenant,
        rule: &Rule,
        recorded: &EventRecord,
    ) -> Result<(), StoreError> {
        let put = self.put_action_if(&key::rule(ws, &rule.id), rule, ITEM_EXISTS)?;
        self.transact_recorded(ws, vec![put], [recorded]).await
    }

    /// Reads one rule.
    pub async fn rule(&self, ws: &Tenant, id: &RuleId) -> Result<Option<Rule>, StoreError> {
        self.get(&key::rule(ws, id)).await
    }

    /// Lists the rules of a workspace.
    pub async fn rules(&self, ws: &Tenant) -> Result<Vec<Rule>, StoreError> {
        self.query_prefix(&key::workspace(ws), "RULE#").await
    }

    /// Removes a rule; [`StoreError::Conflict`] when there is none. Its decisions stay, and so does its id, by which they
    /// are found.
    pub async fn delete_rule(
        &self,
        ws: &Tenant,
        id: &RuleId,
        recorded: &EventRecord,
    ) -> Result<(), StoreError> {
        let actions = vec![
            self.delete_action_if(&key::rule(ws, id), ITEM_EXISTS)?,
            self.put_action(&key::removed_rule(ws, id), &RemovedRule { id: id.clone() })?,
        ];
        self.transact_recorded(ws, actions, [recorded]).await
    }
}
