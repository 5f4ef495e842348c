//! Rules of a workspace.

use domain::id::RuleId;
use domain::rule::{Rule, RuleSpec};
use domain::tenant::Tenant;

use serde::{Deserialize, Serialize};
use serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value;

use crate::audit::EventRecord;
use crate::key;
use crate::table::{ConditionExpression, ITEM_NOT_EXISTS, StoreError, Table};

#[derive(Serialize, Deserialize)]
struct RemovedRule {
    id: RuleId,
}

/// The condition that a stored rule is this one, field by field.
fn is_still(rule: &Rule) -> Result<ConditionExpression, StoreError> {
    let RuleSpec { name, state, level, ad_account, when, guard, action } = &rule.spec;
    let mut values = vec![
        (":name", to_attribute_value(name)?),
        (":state", to_attribute_value(state)?),
        (":level", to_attribute_value(level)?),
        (":when", to_attribute_value(when)?),
        (":guard", to_attribute_value(guard)?),
        (":action", to_attribute_value(action)?),
    ];
    let expression = match ad_account {
        Some(account) => {
            values.push((":account", to_attribute_value(account)?));
            "#name = :name AND #state = :state AND #level = :level AND #when = :when AND #guard = :guard AND #action = :action AND ad_account = :account"
        }
        None => {
            "#name = :name AND #state = :state AND #level = :level AND #when = :when AND #guard = :guard AND #action = :action AND attribute_not_exists(ad_account)"
        }
    };
    Ok(ConditionExpression { expression, values })
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

    /// Replaces a rule; [`StoreError::Conflict`] when it is not `before` any more.
    pub async fn replace_rule(
        &self,
        ws: &Tenant,
        before: &Rule,
        rule: &Rule,
        recorded: &EventRecord,
    ) -> Result<(), StoreError> {
        let put = self.put_action_if(&key::rule(ws, &rule.id), rule, is_still(before)?)?;
        self.transact_recorded(ws, vec![put], [recorded]).await
    }

    /// Reads one rule.
    pub async fn rule(&self, ws: &Tenant, id: &RuleId) -> Result<Option<Rule>, StoreError> {
        self.get(&key::rule(ws, id)).await
    }

    /// Returns whether there is a rule with this id, or was one: its decisions stay.
    pub async fn has_had_rule(&self, ws: &Tenant, id: &RuleId) -> Result<bool, StoreError> {
        if self.rule(ws, id).await?.is_some() {
            return Ok(true);
        }
        Ok(self.get::<RemovedRule>(&key::removed_rule(ws, id)).await?.is_some())
    }

    /// Lists the rules of a workspace.
    pub async fn rules(&self, ws: &Tenant) -> Result<Vec<Rule>, StoreError> {
        self.query_prefix(&key::workspace(ws), "RULE#").await
    }

    /// Removes a rule; [`StoreError::Conflict`] when it is not `before` any more. Its decisions stay, and so does its id, by which they
    /// are found.
    pub async fn delete_rule(
        &self,
        ws: &Tenant,
        before: &Rule,
        recorded: &EventRecord,
    ) -> Result<(), StoreError> {
        let id = &before.id;
        let actions = vec![
            self.delete_action_if(&key::rule(ws, id), is_still(before)?)?,
            self.put_action(&key::removed_rule(ws, id), &RemovedRule { id: id.clone() })?,
        ];
        self.transact_recorded(ws, actions, [recorded]).await
    }
}
