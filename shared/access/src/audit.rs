//! Leaving a trace of what is done: an intent before it, and how it ended.

use ads::Failure;
use ads::id::ConnectionId;
use ads::tenant::Tenant;
use jiff::Timestamp;
use runtime::route::Visit;
use runtime::{problem, random};
use sha2::{Digest, Sha256};
use store::Table;
pub use store::audit::{Act, Actor, Stage};

use crate::Access;

/// An act whose intent is in the log. It is to be ended, whatever comes of it; what is not is shown as an act that
/// may have happened.
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
    /// Says how it ended, by what is about to be answered, and hands that on. The act stands as it is, whether or
    /// not this can be written: then its intent remains.
    pub async fn ended<T>(
        self,
        result: Result<T, Failure>,
        meta: Option<String>,
        now: Timestamp,
    ) -> Result<T, Failure> {
        let (stage, reason) = match &result {
            Ok(_) => (Stage::Done, None),
            Err(failure @ (Failure::UnknownOutcome(_) | Failure::Unavailable(_))) => {
                (Stage::Unknown, Some(problem::detail(failure)))
            }
            Err(failure) => (Stage::Failed, Some(problem::detail(failure))),
        };
        let act = Act { stage, reason, meta, ..self.act };
        if let Err(failure) = leave(&self.table, &self.workspace, &act, now).await {
            tracing::error!(workspace = %self.workspace, what = act.what, %failure, "The end of an act left no trace.");
        }
        result
    }
}

/// Leaves an entry, and its hash where nobody can change it any more.
pub async fn leave(table: &Table, workspace: &Tenant, act: &Act, now: Timestamp) -> Result<(), Failure> {
    if let Some(head) = table.audit(workspace, std::slice::from_ref(act), now).await? {
        tracing::info!(%workspace, seq = head.seq, hash = head.hash, "An entry of the audit log.");
    }
    Ok(())
}
