//! Rules of a workspace.

use domain::id::RuleId;
use domain::rule::Rule;
use domain::tenant::Tenant;

use serde::Serialize;

use crate::key;
use crate::table::{ConditionExpression, ITEM_NOT_EXISTS, StoreError, Table};

#[derive(Serialize)]
struct RemovedRule {
    id: RuleId,
}

impl Table {
    /// Adds a rule; [`StoreError::Conflict`] when its id is taken.
    pub async fn add_rule(&self, ws: &Tenant, rule: &Rule) -> Result<(), StoreError> {
        self.put(&key::rule(ws, &rule.id), rule, Some(ITEM_NOT_EXISTS)).await
    }

    /// Replaces a rule; [`StoreError::Conflict`] when there is none.
    pub async fn replace_rule(&self, ws: &Tenant, rule: &Rule) -> Result<(), StoreError> {
        let exists = ConditionExpression { expression: "attribute_exists(pk)", values: Vec::new() };
        self.put(&key::rule(ws, &rule.id), rule, Some(exists)).await
    }

    /// Reads one rule.
    pub async fn rule(&self, ws: &Tenant, id: &RuleId) -> Result<Option<Rule>, StoreError> {
        self.get(&key::rule(ws, id)).await
    }

    /// Lists the rules of a workspace.
    pub async fn rules(&self, ws: &Tenant) -> Result<Vec<Rule>, StoreError> {
        self.query_prefix(&key::workspace(ws), "RULE#").await
    }

    /// Removes a rule and returns it. Its decisions stay, and so does its id, by which they are found.
    pub async fn remove_rule(&self, ws: &Tenant, id: &RuleId) -> Result<Option<Rule>, StoreError> {
        if let Some(rule) = self.rule(ws, id).await? {
            self.put(&key::removed_rule(ws, id), &RemovedRule { id: rule.id }, None).await?;
        }
        self.delete_returning(&key::rule(ws, id)).await
    }
}
