//! Rules as the front end keeps them, and what they decided.

use access::audit::{self, PendingEvent};
use domain::id::{ObjectId, RuleId};
use domain::rule::{Action, Decision, Rule, RuleSpec};
use domain::tenant::Tenant;
use domain::{Error, FieldError};
use http::StatusCode;
use jiff::civil::Date;
use runtime::page::{self, Cursor, Limit};
use runtime::response::List;
use runtime::route::RequestContext;
use runtime::{Response, random, response};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use store::StoreError;

use crate::{Endpoint, EvaluateRules};

/// More rules than this help nobody, and each costs a look at every object.
const MAX_RULES_PER_WORKSPACE: usize = 250;

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

impl EvaluateRules {
    pub(crate) async fn rules(&self, context: &RequestContext<Endpoint>) -> Result<Response, Error> {
        response::ok(&List { data: self.connector.table.rules(context.workspace()?).await?, after: None })
    }

    pub(crate) async fn add(&self, context: &RequestContext<Endpoint>) -> Result<Response, Error> {
        let workspace = context.workspace()?;
        let spec = self.checked_spec(context).await?;
        if self.connector.table.rules(workspace).await?.len() >= MAX_RULES_PER_WORKSPACE {
            return Err(Error::Conflict(format!(
                "a workspace holds {MAX_RULES_PER_WORKSPACE} rules at most"
            )));
        }
        let rule = Rule { id: new_id(context, workspace)?, spec };
        let event = self.begin_event(context, "rule.added", &rule.id, None, Some(&rule)).await?;
        let added = self.connector.table.add_rule(workspace, &rule).await;
        // One that is there already was added by another event.
        let ended = added.as_ref().map_err(|error| Error::Conflict(error.to_string())).copied();
        let _answered_below = event.complete(ended, None, self.host.clock.now()).await;
        match added {
            Ok(()) => response::json(StatusCode::CREATED, &rule),
            // The same key again: the same document is a repetition, another one a mistake.
            Err(StoreError::Conflict) => match self.connector.table.rule(workspace, &rule.id).await? {
                Some(stored) if stored == rule => response::json(StatusCode::CREATED, &stored),
                _ => {
                    let why = "this Idempotency-Key was used for another rule, or the rule was changed since";
                    Err(Error::Conflict(why.to_owned()))
                }
            },
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) async fn replace(&self, context: &RequestContext<Endpoint>) -> Result<Response, Error> {
        let rule = Rule { id: context.path("rule")?, spec: self.checked_spec(context).await? };
        let workspace = context.workspace()?;
        let before = self.connector.table.rule(workspace, &rule.id).await?.ok_or_else(not_found)?;
        let event = self.begin_event(context, "rule.changed", &rule.id, Some(&before), Some(&rule)).await?;
        let replaced =
            self.connector.table.replace_rule(workspace, &rule).await.map_err(|error| match error {
                StoreError::Conflict => not_found(),
                error => error.into(),
            });
        event.complete(replaced, None, self.host.clock.now()).await?;
        response::ok(&rule)
    }

    pub(crate) async fn remove(&self, context: &RequestContext<Endpoint>) -> Result<Response, Error> {
        let (workspace, id): (_, RuleId) = (context.workspace()?, context.path("rule")?);
        let before = self.connector.table.rule(workspace, &id).await?.ok_or_else(not_found)?;
        let event = self.begin_event(context, "rule.removed", &id, Some(&before), None).await?;
        let removed = match self.connector.table.remove_rule(workspace, &id).await {
            Ok(removed) => removed.map(drop).ok_or_else(not_found),
            Err(error) => Err(error.into()),
        };
        event.complete(removed, None, self.host.clock.now()).await?;
        Ok(response::no_content())
    }

    async fn begin_event(
        &self,
        context: &RequestContext<Endpoint>,
        action: &str,
        id: &RuleId,
        before: Option<&Rule>,
        after: Option<&Rule>,
    ) -> Result<PendingEvent, Error> {
        let event = audit::user_event(context, action, format!("rule/{id}"))?
            .with_change(json!(before), json!(after));
        self.connector.record_intent(context.workspace()?, event).await
    }

    /// Newest day first.
    pub(crate) async fn decisions(&self, context: &RequestContext<Endpoint>) -> Result<Response, Error> {
        let DecisionsQuery { limit, after } = context.asked()?;
        let (workspace, rule) = (context.workspace()?, context.path("rule")?);
        let limit = limit.rows();
        self.connector.table.rule(workspace, &rule).await?.ok_or_else(not_found)?;
        let before = after.as_ref().map(Cursor::position);
        if before.is_some_and(|before| !is_position(before)) {
            return Err(Cursor::invalid().into());
        }
        let mut data = self.connector.table.decisions(workspace, &rule, before, limit + 1).await?;
        let more = data.len() > limit;
        data.truncate(limit);
        let position = |decision: &Decision| format!("{}#{}", decision.day, decision.object);
        let after = data.last().filter(|_| more).map(|decision| page::encode_cursor(&position(decision)));
        response::ok(&List { data, after })
    }

    async fn checked_spec(&self, context: &RequestContext<Endpoint>) -> Result<RuleSpec, Error> {
        let spec: RuleSpec = context.json()?;
        spec.check()?;
        if let Some(account) = &spec.ad_account {
            let currency =
                self.connector.table.require_account(context.workspace()?, account).await?.currency;
            if let Action::SetBudget { daily_budget } = &spec.action
                && daily_budget.currency != currency
            {
                let message = format!("must be {currency}, the ad account's currency");
                return Err(FieldError::new("action.daily_budget.currency", message).into());
            }
        }
        Ok(spec)
    }
}

/// With an `Idempotency-Key` the id follows from it, so that a repeated request meets its own rule.
fn new_id(context: &RequestContext<Endpoint>, workspace: &Tenant) -> Result<RuleId, Error> {
    let id = match context.idempotency_key()? {
        Some(key) => hex::encode(&Sha256::digest(format!("{workspace}|rule|{key}"))[..12]),
        None => random::id()?,
    };
    Ok(id.parse()?)
}

/// Whether this is a decision's place in the list: its day and its object.
fn is_position(place: &str) -> bool {
    let parts = place.split_once('#');
    parts.is_some_and(|(day, object)| day.parse::<Date>().is_ok() && object.parse::<ObjectId>().is_ok())
}

fn not_found() -> Error {
    Error::NotFound("this rule".to_owned())
}
