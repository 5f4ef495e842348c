//! Rules as the front end keeps them, and what they decided.

use access::audit::{self, Intended};
use ads::id::{ObjectId, RuleId};
use ads::rule::{Action, Decision, Rule, RuleSpec};
use ads::tenant::Tenant;
use ads::{Failure, Invalid};
use http::StatusCode;
use jiff::civil::Date;
use runtime::page::{self, After, Limit};
use runtime::reply::List;
use runtime::route::Visit;
use runtime::{Reply, random, reply};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use store::StoreError;

use crate::{Endpoint, EvaluateRules};

/// More rules than this help nobody, and each costs a look at every object.
const MOST_RULES: usize = 250;

/// Which decisions.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    /// Decisions of a page.
    #[serde(default)]
    limit: Limit<100, 1000>,
    /// The `after` of the page before.
    after: Option<After>,
}

impl EvaluateRules {
    pub(crate) async fn rules(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        reply::ok(&List { data: self.access.table.rules(visit.workspace()?).await?, after: None })
    }

    pub(crate) async fn add(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let workspace = visit.workspace()?;
        let spec = self.checked_spec(visit).await?;
        if self.access.table.rules(workspace).await?.len() >= MOST_RULES {
            return Err(Failure::Conflict(format!("a workspace holds {MOST_RULES} rules at most")));
        }
        let rule = Rule { id: new_id(visit, workspace)?, spec };
        let act = self.intended(visit, "rule.added", &rule.id, None, Some(&rule)).await?;
        let added = self.access.table.add_rule(workspace, &rule).await;
        // One that is there already was added by another act.
        let ended = added.as_ref().map_err(|error| Failure::Conflict(error.to_string())).copied();
        let _answered_below = act.ended(ended, None, self.host.clock.now()).await;
        match added {
            Ok(()) => reply::json(StatusCode::CREATED, &rule),
            // The same key again: the same document is a repetition, another one a mistake.
            Err(StoreError::Conflict) => match self.access.table.rule(workspace, &rule.id).await? {
                Some(kept) if kept == rule => reply::json(StatusCode::CREATED, &kept),
                _ => {
                    let why = "this Idempotency-Key was used for another rule, or the rule was changed since";
                    Err(Failure::Conflict(why.to_owned()))
                }
            },
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) async fn replace(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let rule = Rule { id: visit.path("rule")?, spec: self.checked_spec(visit).await? };
        let workspace = visit.workspace()?;
        let before = self.access.table.rule(workspace, &rule.id).await?.ok_or_else(not_found)?;
        let act = self.intended(visit, "rule.changed", &rule.id, Some(&before), Some(&rule)).await?;
        let replaced = self.access.table.replace_rule(workspace, &rule).await.map_err(|error| match error {
            StoreError::Conflict => not_found(),
            error => error.into(),
        });
        act.ended(replaced, None, self.host.clock.now()).await?;
        reply::ok(&rule)
    }

    pub(crate) async fn remove(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let (workspace, id): (_, RuleId) = (visit.workspace()?, visit.path("rule")?);
        let before = self.access.table.rule(workspace, &id).await?.ok_or_else(not_found)?;
        let act = self.intended(visit, "rule.removed", &id, Some(&before), None).await?;
        let removed = match self.access.table.remove_rule(workspace, &id).await {
            Ok(removed) => removed.map(drop).ok_or_else(not_found),
            Err(error) => Err(error.into()),
        };
        act.ended(removed, None, self.host.clock.now()).await?;
        Ok(reply::no_content())
    }

    async fn intended(
        &self,
        visit: &Visit<Endpoint>,
        what: &str,
        id: &RuleId,
        before: Option<&Rule>,
        after: Option<&Rule>,
    ) -> Result<Intended, Failure> {
        let act = audit::by_person(visit, what, format!("rule/{id}"))?.changing(json!(before), json!(after));
        self.access.intend(visit.workspace()?, act).await
    }

    /// Newest day first.
    pub(crate) async fn decisions(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let Asked { limit, after } = visit.asked()?;
        let (workspace, rule) = (visit.workspace()?, visit.path("rule")?);
        let limit = limit.rows();
        self.access.table.rule(workspace, &rule).await?.ok_or_else(not_found)?;
        let before = after.as_ref().map(After::place);
        if before.is_some_and(|before| !is_position(before)) {
            return Err(After::unknown().into());
        }
        let mut data = self.access.table.decisions(workspace, &rule, before, limit + 1).await?;
        let more = data.len() > limit;
        data.truncate(limit);
        let position = |decision: &Decision| format!("{}#{}", decision.day, decision.object);
        let after = data.last().filter(|_| more).map(|decision| page::cursor(&position(decision)));
        reply::ok(&List { data, after })
    }

    async fn checked_spec(&self, visit: &Visit<Endpoint>) -> Result<RuleSpec, Failure> {
        let spec: RuleSpec = visit.json()?;
        spec.check()?;
        if let Some(account) = &spec.ad_account {
            let currency = self.access.table.known_account(visit.workspace()?, account).await?.currency;
            if let Action::SetBudget { daily_budget } = &spec.action
                && daily_budget.currency != currency
            {
                let problem = format!("must be {currency}, the ad account's currency");
                return Err(Invalid::new("action.daily_budget.currency", problem).into());
            }
        }
        Ok(spec)
    }
}

/// With an `Idempotency-Key` the id follows from it, so that a repeated request meets its own rule.
fn new_id(visit: &Visit<Endpoint>, workspace: &Tenant) -> Result<RuleId, Failure> {
    let id = match visit.idempotency_key()? {
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

fn not_found() -> Failure {
    Failure::NotFound("this rule".to_owned())
}
