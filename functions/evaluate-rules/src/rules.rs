//! Rules as the front end stores them, and their decisions.

use domain::decision::Decision;
use domain::id::{EntityId, RuleId};
use domain::rule::{Action, Rule, RuleSpec};
use domain::tenant::Tenant;
use domain::{Error, FieldError};
use http::{Method, StatusCode};
use jiff::civil::Date;
use middleware::user_event;
use middleware::version::require_match;
use runtime::endpoint::{self, Endpoint};
use runtime::page::{self, Cursor, Limit};
use runtime::random;
use runtime::request::{Json, NoBody, NoPath, NoQuery, RequestContext, idempotency_key};
use runtime::response::{List, NoContent};
use runtime::session::{Role, Session};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use store::StoreError;
use store::audit::EventRecord;

use crate::EvaluateRules;

/// Limit of rules per workspace: each one costs a pass over every entity.
const MAX_RULES_PER_WORKSPACE: usize = 250;

/// Attempts to replace a rule that others change at the same time.
const MAX_ATTEMPTS: usize = 5;

/// Which decisions.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct DecisionsQuery {
    /// Decisions of a page.
    #[serde(default)]
    limit: Limit<100, 1000>,
    /// The `after` of the page before.
    after: Option<Cursor>,
}

/// A rule of the path.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct RulePath {
    /// A rule of the workspace.
    rule: RuleId,
}

pub(crate) fn list_rules() -> Endpoint<EvaluateRules> {
    endpoint::member(Method::GET, "/v1/workspaces/{workspace}/rules", Role::Viewer)
        .named("list_rules", "Lists rules")
        .responds(StatusCode::OK, "Every rule of the workspace.", EvaluateRules::list_rules)
}

pub(crate) fn create_rule() -> Endpoint<EvaluateRules> {
    endpoint::member(Method::POST, "/v1/workspaces/{workspace}/rules", Role::Editor)
        .named("create_rule", "Creates a rule")
        .fails_with(Error::Conflict, "The workspace is full.")
        .responds(StatusCode::CREATED, "The rule with its id.", EvaluateRules::create_rule)
}

pub(crate) fn get_rule() -> Endpoint<EvaluateRules> {
    endpoint::member(Method::GET, "/v1/workspaces/{workspace}/rules/{rule}", Role::Viewer)
        .named("get_rule", "Returns a rule")
        .responds(StatusCode::OK, "The rule.", EvaluateRules::get_rule)
}

pub(crate) fn replace_rule() -> Endpoint<EvaluateRules> {
    endpoint::member(Method::PUT, "/v1/workspaces/{workspace}/rules/{rule}", Role::Editor)
        .named("replace_rule", "Replaces a rule")
        .checks_version()
        .responds(StatusCode::OK, "The rule as it is now.", EvaluateRules::replace_rule)
}

pub(crate) fn delete_rule() -> Endpoint<EvaluateRules> {
    endpoint::member(Method::DELETE, "/v1/workspaces/{workspace}/rules/{rule}", Role::Editor)
        .named("delete_rule", "Deletes a rule")
        .description("What it decided stays.")
        .checks_version()
        .responds(StatusCode::NO_CONTENT, "It is removed.", EvaluateRules::delete_rule)
}

pub(crate) fn list_decisions() -> Endpoint<EvaluateRules> {
    endpoint::member(Method::GET, "/v1/workspaces/{workspace}/rules/{rule}/decisions", Role::Viewer)
        .named("list_decisions", "Lists the decisions of a rule")
        .responds(StatusCode::OK, "The decisions, newest day first.", EvaluateRules::list_decisions)
}

impl EvaluateRules {
    async fn list_rules(self, context: RequestContext<Session>) -> Result<Json<List<Rule>>, Error> {
        let rules = self.connector.table.rules(&context.caller.workspace).await?;
        Ok(Json(List { data: rules, after: None }))
    }

    async fn get_rule(self, context: RequestContext<Session, RulePath>) -> Result<Json<Rule>, Error> {
        self.rule(&context.caller.workspace, &context.path.rule).await.map(Json)
    }

    async fn create_rule(
        self,
        context: RequestContext<Session, NoPath, NoQuery, Json<RuleSpec>>,
    ) -> Result<Json<Rule>, Error> {
        let RequestContext { caller: session, body: Json(spec), request, .. } = context;
        let workspace = &session.workspace;
        self.check(workspace, &spec).await?;
        if self.connector.table.rules(workspace).await?.len() >= MAX_RULES_PER_WORKSPACE {
            return Err(Error::Conflict(format!(
                "a workspace holds {MAX_RULES_PER_WORKSPACE} rules at most"
            )));
        }
        let rule = Rule { id: new_id(idempotency_key(&request)?, workspace)?, spec };
        let recorded = self.recorded(&session, "rule.added", &rule.id, None, Some(&rule))?;
        let added = self.connector.table.create_rule(workspace, &rule, &recorded).await;
        match added {
            Ok(()) => Ok(Json(rule)),
            // The same key with the same document is a retry; with another document it is a conflict.
            Err(StoreError::Conflict) => match self.connector.table.rule(workspace, &rule.id).await? {
                Some(stored) if stored == rule => Ok(Json(stored)),
                _ => {
                    let why = "this Idempotency-Key was used for another rule, or the rule was changed since";
                    Err(Error::KeyReused(why.to_owned()))
                }
            },
            Err(error) => Err(error.into()),
        }
    }

    async fn replace_rule(
        self,
        context: RequestContext<Session, RulePath, NoQuery, Json<RuleSpec>>,
    ) -> Result<Json<Rule>, Error> {
        let RequestContext {
            caller: session, path: RulePath { rule: id }, body: Json(spec), request, ..
        } = context;
        let workspace = &session.workspace;
        self.check(workspace, &spec).await?;
        let rule = Rule { id, spec };
        for _ in 0..MAX_ATTEMPTS {
            let before = self.rule(workspace, &rule.id).await?;
            require_match(&request, &before)?;
            let recorded = self.recorded(&session, "rule.changed", &rule.id, Some(&before), Some(&rule))?;
            match self.connector.table.replace_rule(workspace, &before, &rule, &recorded).await {
                Err(StoreError::Conflict) => {}
                replaced => return Ok(replaced.map(|()| Json(rule))?),
            }
        }
        Err(contended())
    }

    async fn delete_rule(self, context: RequestContext<Session, RulePath>) -> Result<NoContent, Error> {
        let RequestContext { caller: session, path: RulePath { rule: id }, request, .. } = context;
        let workspace = &session.workspace;
        for _ in 0..MAX_ATTEMPTS {
            let before = self.rule(workspace, &id).await?;
            require_match(&request, &before)?;
            let recorded = self.recorded(&session, "rule.removed", &id, Some(&before), None)?;
            match self.connector.table.delete_rule(workspace, &before, &recorded).await {
                Err(StoreError::Conflict) => {}
                removed => return Ok(removed.map(|()| NoContent)?),
            }
        }
        Err(contended())
    }

    async fn rule(&self, workspace: &Tenant, id: &RuleId) -> Result<Rule, Error> {
        let rule = self.connector.table.rule(workspace, id).await?;
        rule.ok_or_else(|| Error::NotFound("this rule".to_owned()))
    }

    /// Lists decisions, newest day first, also those of a rule that was deleted.
    async fn list_decisions(
        self,
        context: RequestContext<Session, RulePath, DecisionsQuery, NoBody>,
    ) -> Result<Json<List<Decision>>, Error> {
        let RequestContext { caller: session, path: RulePath { rule }, query, request, .. } = context;
        let DecisionsQuery { limit, after } = query;
        let (workspace, limit) = (&session.workspace, limit.rows());
        if !self.connector.table.has_had_rule(workspace, &rule).await? {
            return Err(Error::NotFound("this rule".to_owned()));
        }
        let before = after.as_ref().map(Cursor::position);
        if before.is_some_and(|before| !is_position(before)) {
            return Err(Cursor::invalid().into());
        }
        let mut data = self.connector.table.decisions(workspace, &rule, before, limit + 1).await?;
        let more = data.len() > limit;
        data.truncate(limit);
        let position = |decision: &Decision| format!("{}#{}", decision.day, decision.entity);
        let last = data.last().filter(|_| more);
        let after = last.map(|decision| page::encode_cursor(&request, &position(decision)));
        Ok(Json(List { data, after }))
    }

    fn recorded(
        &self,
        session: &Session,
        action: &str,
        id: &RuleId,
        before: Option<&Rule>,
        after: Option<&Rule>,
    ) -> Result<EventRecord, Error> {
        let event = user_event(session, action, format!("rule/{id}"))?;
        Ok(event.with_change(json!(before), json!(after)).done_at(self.host.clock.now()))
    }

    async fn check(&self, workspace: &Tenant, spec: &RuleSpec) -> Result<(), Error> {
        spec.check()?;
        if let Some(account) = &spec.ad_account {
            let account = self.connector.table.require_account(workspace, account).await?;
            if account.connection.is_none() {
                return Err(FieldError::new("ad_account", "is imported, where rules cannot act").into());
            }
            let currency = account.currency;
            if let Action::SetBudget { daily_budget } = &spec.action
                && daily_budget.currency != currency
            {
                let problem = format!("must be {currency}, the ad account's currency");
                return Err(FieldError::new("action.daily_budget.currency", problem).into());
            }
        }
        Ok(())
    }
}

/// Generates a rule id. With an `Idempotency-Key` the id is derived from it, so that a repeated request finds its own
/// rule.
fn new_id(key: Option<&str>, workspace: &Tenant) -> Result<RuleId, Error> {
    let id = match key {
        Some(key) => hex::encode(&Sha256::digest(format!("{workspace}|rule|{key}"))[..12]),
        None => random::id()?,
    };
    Ok(id.parse()?)
}

/// Checks whether a text is a decision's position in the list: day and entity.
fn is_position(position: &str) -> bool {
    let parts = position.split_once('#');
    parts.is_some_and(|(day, entity)| day.parse::<Date>().is_ok() && entity.parse::<EntityId>().is_ok())
}

fn contended() -> Error {
    Error::Unavailable("a rule was changed by others at every attempt".to_owned())
}
