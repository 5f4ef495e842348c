//! Rules of a workspace.

use ads::id::RuleId;
use ads::rule::Rule;
use ads::tenant::Tenant;

use serde::Serialize;

use crate::key;
use crate::table::{ABSENT, Condition, StoreError, Table};

#[derive(Serialize)]
struct Removed {
    id: RuleId,
}

impl Table {
    /// Adds a rule; [`StoreError::Conflict`] when its id is taken.
    pub async fn add_rule(&self, ws: &Tenant, rule: &Rule) -> Result<(), StoreError> {
        self.put(&key::rule(ws, &rule.id), rule, Some(ABSENT)).await
    }

    /// Replaces a rule; [`StoreError::Conflict`] when there is none.
    pub async fn replace_rule(&self, ws: &Tenant, rule: &Rule) -> Result<(), StoreError> {
        let exists = Condition { expression: "attribute_exists(pk)", values: Vec::new() };
        self.put(&key::rule(ws, &rule.id), rule, Some(exists)).await
    }

    /// One rule.
    pub async fn rule(&self, ws: &Tenant, id: &RuleId) -> Result<Option<Rule>, StoreError> {
        self.get(&key::rule(ws, id)).await
    }

    /// Every rule of a workspace.
    pub async fn rules(&self, ws: &Tenant) -> Result<Vec<Rule>, StoreError> {
        self.list(&key::workspace(ws), "RULE#").await
    }

    /// Removes a rule. Its decisions stay, and so does its id, by which they are found.
    pub async fn remove_rule(&self, ws: &Tenant, id: &RuleId) -> Result<Option<Rule>, StoreError> {
        if let Some(rule) = self.rule(ws, id).await? {
            self.put(&key::removed_rule(ws, id), &Removed { id: rule.id }, None).await?;
        }
        self.take(&key::rule(ws, id)).await
    }
}
