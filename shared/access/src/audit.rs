//! Leaving a trace of what is done: an intent before it, and how it ended.

use ads::Failure;
use ads::id::ConnectionId;
use ads::tenant::Tenant;
use jiff::Timestamp;
use runtime::route::Visit;
use runtime::{problem, random};
use serde_json::Value;
use sha2::{Digest, Sha256};
use store::Table;
pub use store::audit::{Act, Actor, Stage};

use crate::Access;

/// As many acts as one transaction of the log has room for.
pub const TOGETHER: usize = 49;

/// An act whose intent is in the log. It is to be ended, whatever comes of it; what is not is shown as an act that
/// may have happened. Work that comes again under the same act ends it then.
#[derive(Debug)]
#[must_use]
pub struct Intended {
    table: Table,
    workspace: Tenant,
    act: Act,
}

/// What a person does with a request. Each request is an act of its own.
pub fn by_person<E>(visit: &Visit<E>, what: &str, object: String) -> Result<Act, Failure> {
    let who = Actor::Person { subject: visit.session()?.subject.clone() };
    Ok(Act::new(random::id()?, who, what, object))
}

/// A connection in the log. Its id holds Meta's id of a person, which must not outlive them there.
pub fn connection(workspace: &Tenant, id: &ConnectionId) -> String {
    let digest = Sha256::digest(format!("{workspace}|connection|{id}"));
    format!("connection/{}", hex::encode(&digest[..8]))
}

impl Access {
    /// Leaves the intent to act. Nothing may be done before this has succeeded.
    pub async fn intend(&self, workspace: &Tenant, act: Act) -> Result<Intended, Failure> {
        intend(&self.table, workspace, act, self.graph.now()).await
    }

    /// [`Access::intend`] for up to [`TOGETHER`] acts: the log has all of them or none.
    pub async fn intend_all(&self, workspace: &Tenant, acts: Vec<Act>) -> Result<Vec<Intended>, Failure> {
        leave_all(&self.table, workspace, &acts, self.graph.now()).await?;
        let intended = |act| Intended { table: self.table.clone(), workspace: workspace.clone(), act };
        Ok(acts.into_iter().map(intended).collect())
    }
}

/// [`Access::intend`] where nobody calls Meta.
pub async fn intend(
    table: &Table,
    workspace: &Tenant,
    act: Act,
    now: Timestamp,
) -> Result<Intended, Failure> {
    leave(table, workspace, &act, now).await?;
    Ok(Intended { table: table.clone(), workspace: workspace.clone(), act })
}

impl Intended {
    /// Says what it has changed things into, where that was not known before.
    pub fn changing_into(mut self, after: Value) -> Self {
        self.act.after = after;
        self
    }

    /// Says how it ended, by what is about to be answered, and hands that on. The act stands as it is, whether or
    /// not this can be written: then its intent remains.
    pub async fn ended<T>(
        self,
        result: Result<T, Failure>,
        meta: Option<String>,
        now: Timestamp,
    ) -> Result<T, Failure> {
        let Self { table, workspace, act } = self;
        let act = end(act, &result, meta);
        if let Err(failure) = leave(&table, &workspace, &act, now).await {
            tracing::error!(%workspace, what = act.what, %failure, "The end of an act left no trace.");
        }
        result
    }

    /// [`Intended::ended`] for acts that were intended together.
    pub async fn all_ended<T>(
        all: Vec<Self>,
        results: Vec<Result<T, Failure>>,
        now: Timestamp,
    ) -> Vec<Result<T, Failure>> {
        let Some(Self { table, workspace, .. }) = all.first() else { return results };
        let (table, workspace) = (table.clone(), workspace.clone());
        let ends = all.into_iter().zip(&results).map(|(one, result)| end(one.act, result, None));
        let ends: Vec<_> = ends.collect();
        if let Err(failure) = leave_all(&table, &workspace, &ends, now).await {
            tracing::error!(%workspace, acts = ends.len(), %failure, "The ends of acts left no trace.");
        }
        results
    }
}

/// What the log says of how an act ended.
fn end<T>(act: Act, result: &Result<T, Failure>, meta: Option<String>) -> Act {
    let (stage, reason) = match result {
        Ok(_) => (Stage::Done, None),
        Err(failure @ (Failure::UnknownOutcome(_) | Failure::Unavailable(_))) => {
            (Stage::Unknown, Some(problem::detail(failure)))
        }
        Err(failure) => (Stage::Failed, Some(problem::detail(failure))),
    };
    Act { stage, reason, meta, ..act }
}

/// Leaves an entry, and its hash where nobody can change it any more.
pub async fn leave(table: &Table, workspace: &Tenant, act: &Act, now: Timestamp) -> Result<(), Failure> {
    leave_all(table, workspace, std::slice::from_ref(act), now).await
}

async fn leave_all(table: &Table, workspace: &Tenant, acts: &[Act], now: Timestamp) -> Result<(), Failure> {
    if let Some(head) = table.audit(workspace, acts, now).await? {
        tracing::info!(%workspace, seq = head.seq, hash = head.hash, "An entry of the audit log.");
    }
    Ok(())
}
