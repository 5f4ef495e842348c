//! Deletion of a workspace by one of its owners.
//!
//! First everything is stopped: members and invitations, tokens, syncs and schedules. Work that had begun before may
//! still write rows. When none of it can be running any more, everything is deleted.

use domain::Error;
use domain::job::Job;
use domain::tenant::Tenant;
use http::{Method, StatusCode};
use middleware::user_event;
use runtime::endpoint::{self, Endpoint};
use runtime::request::RequestContext;
use runtime::response::NoContent;
use runtime::session::{Role, Session};
use store::StoreError;
use store::audit::{Actor, AuditEvent, connection_target};
use store::connection::ConnectionRef;
use store::deletion::DeletionProgress;

use crate::AuthMeta;
use crate::deauthorization::concurrent_change;
use crate::deletion::SETTLE_DELAY;

pub(crate) fn delete_workspace() -> Endpoint<AuthMeta> {
    endpoint::member(Method::DELETE, "/v1/workspaces/{workspace}", Role::Owner)
        .named("delete_workspace", "Deletes a workspace")
        .description(
            "With its connections, ad accounts, metrics and rules. At Meta nothing changes: active ads go on. Its \
             audit log stays for as long as every audit log.",
        )
        .fails_with(Error::Conflict, "Only the issuer of sessions knows the workspace, and keeps it.")
        .responds(
            StatusCode::ACCEPTED,
            "Its deletion is queued: nobody will be in it, and its data is gone within half an hour.",
            AuthMeta::delete_workspace,
        )
}

impl AuthMeta {
    /// The mark comes first: after a crash before the job is queued, the owner, who is still a member, asks again, or the
    /// daily health check queues it.
    async fn delete_workspace(self, context: RequestContext<Session>) -> Result<NoContent, Error> {
        let session = context.caller;
        let (table, workspace) = (&self.connector.table, &session.workspace);
        if table.workspace(workspace).await?.is_none() {
            let why = "only the issuer of sessions knows this workspace; it is deleted there";
            return Err(Error::Conflict(why.to_owned()));
        }
        let event = user_event(&session, "workspace.deleted", format!("workspace/{workspace}"))?;
        match table.mark_workspace_deleted(workspace, &event.done_at(self.host.clock.now())).await {
            Ok(()) | Err(StoreError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
        self.host.queues.send(&[Job::DeleteWorkspace { workspace: workspace.clone() }]).await?;
        Ok(NoContent)
    }

    /// Handles the job, as far as this invocation allows.
    pub(crate) async fn delete_workspace_data(&self, workspace: &Tenant) -> Result<(), Error> {
        let table = &self.connector.table;
        let Some(row) = table.workspace(workspace).await?.filter(|row| row.deleted_at.is_some()) else {
            return Ok(());
        };
        let now = self.host.clock.now();
        let Some(stopped_at) = row.stopped_at else {
            self.stop_workspace(workspace).await?;
            table.record_workspace_stopped(workspace, now).await?;
            let again = Job::DeleteWorkspace { workspace: workspace.clone() };
            return self.host.queues.send_delayed(&again, SETTLE_DELAY.unsigned_abs()).await;
        };
        let left = (stopped_at + SETTLE_DELAY).duration_since(now);
        if left.is_positive() {
            let why = "work that had begun before a deletion may still be under way".to_owned();
            return Err(Error::RateLimited { retry_after: left.unsigned_abs(), reason: why });
        }
        for account in table.accounts(workspace).await? {
            self.delete_account(workspace, &account.id).await?;
            self.check_time_left()?;
        }
        self.delete_tokens(workspace).await?;
        for connection in table.connections(workspace).await? {
            let target = connection_target(workspace, &connection.id);
            let event = format!("workspace_deleted/{}", connection.id.log_id());
            let event = AuditEvent::new(event, Actor::Operator, "connection.deleted", target).done_at(now);
            let connection = ConnectionRef { workspace: workspace.clone(), connection: connection.id };
            table.delete_connection_if_empty(&connection, &event).await.map_err(|error| match error {
                StoreError::Conflict => concurrent_change(),
                error => error.into(),
            })?;
        }
        while table.delete_workspace_rows(workspace).await? == DeletionProgress::Partial {
            self.check_time_left()?;
        }
        tracing::info!(%workspace, "A workspace was deleted.");
        Ok(())
    }

    /// Ends what could begin work, tokens first and members last: until then an owner can ask again.
    async fn stop_workspace(&self, workspace: &Tenant) -> Result<(), Error> {
        let table = &self.connector.table;
        self.delete_tokens(workspace).await?;
        for account in table.accounts(workspace).await? {
            self.stop_account(workspace, &account.id).await?;
            self.check_time_left()?;
        }
        Ok(table.delete_members(workspace).await?)
    }

    async fn delete_tokens(&self, workspace: &Tenant) -> Result<(), Error> {
        let table = &self.connector.table;
        for connection in table.connections(workspace).await? {
            match table.delete_token(workspace, &connection, "the workspace was deleted", None).await {
                Err(StoreError::Conflict) => return Err(concurrent_change()),
                deleted => deleted?,
            }
        }
        Ok(())
    }
}
