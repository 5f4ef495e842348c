//! Deletion of everything stored about a person: tokens, ad accounts and their data, in every workspace.
//!
//! Every step can be interrupted. Rows that lead to remaining work are deleted last: the accounts of a connection
//! before the connection, the connection before the request. The next run, started by redelivery or by the daily health
//! check, therefore finds what is left.
//!
//! A sync or an evaluation that started earlier may write rows again. A request is therefore complete only after a
//! second pass, when no such work can still be running.

use std::time::Duration;

use domain::Error;
use domain::id::{AdAccountId, ConnectionId};
use domain::job::Job;
use domain::tenant::Tenant;
use jiff::SignedDuration;
use runtime::deadline;
use sha2::{Digest, Sha256};
use store::StoreError;
use store::account::AdAccount;
use store::audit::{self, Actor, AuditEvent};
use store::connection::{ConnectionRef, ConnectionState};
use store::deletion::{DeletionProgress, DeletionRequest, DeletionScope};

use crate::AuthMeta;
use crate::deauthorization::concurrent_change;

/// Minimum time left in an invocation to continue; below it, the next invocation takes over.
const MIN_REMAINING_TIME: SignedDuration = SignedDuration::from_secs(20);

/// Lambda's maximum duration. Work that starts later reads the account first and finds none.
pub(crate) const SETTLE_DELAY: SignedDuration = SignedDuration::from_mins(15);

impl AuthMeta {
    /// Queues the deletions of people and workspaces whose message was lost or dead-lettered.
    pub(crate) async fn resume_deletions(&self) -> Result<(), Error> {
        let open = self
            .connector
            .table
            .deletion_requests()
            .await?
            .into_iter()
            .filter(|request| request.completed_at.is_none());
        let workspaces = self.connector.table.deleted_workspaces().await?;
        let people = open.map(|request| Job::DeleteUserData { code: request.code });
        let workspaces = workspaces.into_iter().map(|workspace| Job::DeleteWorkspace { workspace });
        self.host.queues.send(&people.chain(workspaces).collect::<Vec<_>>()).await
    }

    /// Deletes a person's data as far as this invocation allows.
    pub(crate) async fn delete_user_data(&self, code: &str) -> Result<(), Error> {
        let table = &self.connector.table;
        let Some(request) = table.deletion_request(code).await? else { return Ok(()) };
        let Some(user) = &request.user else { return Ok(()) };
        let now = self.host.clock.now();
        if let Some(left) = request
            .first_pass_at
            .map(|at| (at + SETTLE_DELAY).duration_since(now))
            .filter(|left| left.is_positive())
        {
            let why = "work that had begun before a deletion may still be under way".to_owned();
            return Err(Error::RateLimited { retry_after: left.unsigned_abs(), reason: why });
        }
        let connection = ConnectionId::of_meta_user(user)?;
        let mut fresh = false;
        for connection_ref in table.connection_refs(&connection).await? {
            fresh |= self.delete_connection(&connection_ref, &request).await?;
        }
        if fresh || request.first_pass_at.is_none() {
            table.record_first_pass(code, now).await?;
            let again = Job::DeleteUserData { code: code.to_owned() };
            return self.host.queues.send_delayed(&again, SETTLE_DELAY.unsigned_abs()).await;
        }
        self.delete_recreated(&connection, &request).await?;
        table.complete_deletion_request(&request, now).await?;
        tracing::info!(deletion_request = %code, "A person's data is deleted.");
        Ok(())
    }

    /// Deletes rows that were recreated by work that had read an account before it was erased. No such work is running
    /// any more, and work that starts now finds no account.
    async fn delete_recreated(
        &self,
        connection: &ConnectionId,
        request: &DeletionRequest,
    ) -> Result<(), Error> {
        let table = &self.connector.table;
        loop {
            let scopes = table.deletion_scopes(&request.code).await?;
            if scopes.is_empty() {
                return Ok(());
            }
            // What is found again adds places, which come next.
            for scope in scopes {
                self.delete_scope(connection, request, &scope).await?;
                table.remove_deletion_scope(&request.code, &scope).await?;
                self.check_time_left()?;
            }
        }
    }

    async fn delete_scope(
        &self,
        connection: &ConnectionId,
        request: &DeletionRequest,
        scope: &DeletionScope,
    ) -> Result<(), Error> {
        let table = &self.connector.table;
        let DeletionScope { workspace, ad_account } = scope;
        match ad_account {
            Some(id) => {
                let account = table.account(workspace, id).await?;
                let connection = account.and_then(|account| account.connection);
                let held = match connection {
                    Some(connection) => table.connection(workspace, &connection).await?.is_some(),
                    None => false,
                };
                // A connection that exists now has taken the account over since.
                if !held {
                    self.delete_account(workspace, id).await?;
                }
            }
            None if table.connection(workspace, connection).await?.is_none() => {
                self.delete_accounts(workspace, connection, request).await?;
                table.delete_idempotency_records(workspace).await?;
            }
            None => {}
        }
        Ok(())
    }

    /// Deletes a connection and its accounts. Returns whether there was something to delete.
    async fn delete_connection(
        &self,
        connection_ref: &ConnectionRef,
        request: &DeletionRequest,
    ) -> Result<bool, Error> {
        let ConnectionRef { workspace, connection: id } = connection_ref;
        let table = &self.connector.table;
        // The log keeps that it was done, without the person. All attempts share one event.
        let target = audit::connection_target(workspace, id);
        let event = hex::encode(&Sha256::digest(format!("{}|{target}", request.code))[..12]);
        let event = AuditEvent::new(event, Actor::Platform, "connection.deleted", target);
        let event = self.connector.table.record_intent(workspace, event, self.host.clock.now()).await?;
        if let Some(seen) = table.connection(workspace, id).await? {
            if seen.connected_at > request.requested_at {
                let why = Error::Conflict("they connected again after the request: a new consent".to_owned());
                let (Ok(()) | Err(_)) = event.complete(Err(why), None, self.host.clock.now()).await;
                return Ok(false);
            }
            // The token first, which stops all other work of the connection.
            match table.delete_token(workspace, &seen, "the person wants their data deleted", None).await {
                Err(StoreError::Conflict) => return Err(concurrent_change()),
                forgotten => forgotten?,
            }
        }
        self.record_scope(request, workspace, None).await?;
        self.delete_accounts(workspace, id, request).await?;
        // Stored idempotent responses may contain ad accounts of the connection.
        table.delete_idempotency_records(workspace).await?;
        if let Some(user) = &request.user {
            table.delete_inbox_items_of_user(workspace, user).await?;
        }
        let done = event.done_at(self.host.clock.now());
        table.delete_connection_if_empty(connection_ref, &done).await.map_err(|error| match error {
            StoreError::Conflict => concurrent_change(),
            error => error.into(),
        })?;
        Ok(true)
    }

    /// Deletes the connection's accounts that no other working connection reaches, transfers the others, and detaches
    /// the connection from accounts of other connections.
    async fn delete_accounts(
        &self,
        workspace: &Tenant,
        connection: &ConnectionId,
        request: &DeletionRequest,
    ) -> Result<(), Error> {
        let table = &self.connector.table;
        for account in table.accounts(workspace).await? {
            if account.connection.as_ref() != Some(connection) {
                if account.connections.contains(connection) {
                    table.detach_connection(workspace, &account.id, connection).await?;
                }
                continue;
            }
            match self.other_working_connection(workspace, &account, connection).await? {
                Some(other) => self.transfer_account(workspace, &account.id, connection, &other).await?,
                None => {
                    self.record_scope(request, workspace, Some(&account.id)).await?;
                    self.delete_account(workspace, &account.id).await?;
                }
            }
            self.check_time_left()?;
        }
        Ok(())
    }

    /// Records what the second pass must check, before the rows that lead there are deleted.
    async fn record_scope(
        &self,
        request: &DeletionRequest,
        workspace: &Tenant,
        account: Option<&AdAccountId>,
    ) -> Result<(), Error> {
        let scope = DeletionScope { workspace: workspace.clone(), ad_account: account.cloned() };
        Ok(self.connector.table.add_deletion_scope(&request.code, &scope).await?)
    }

    /// Returns another working connection of the workspace that reaches the account.
    async fn other_working_connection(
        &self,
        workspace: &Tenant,
        account: &AdAccount,
        not: &ConnectionId,
    ) -> Result<Option<ConnectionId>, Error> {
        for id in account.connections.iter().filter(|id| *id != not) {
            let connection = self.connector.table.connection(workspace, id).await?;
            if connection.is_some_and(|connection| connection.state == ConnectionState::Connected) {
                return Ok(Some(id.clone()));
            }
        }
        Ok(None)
    }

    /// Transfers an account to another connection, whose health check then refreshes its permissions on the account.
    async fn transfer_account(
        &self,
        workspace: &Tenant,
        account: &AdAccountId,
        from: &ConnectionId,
        to: &ConnectionId,
    ) -> Result<(), Error> {
        let check = Job::CheckConnection { workspace: workspace.clone(), connection: to.clone() };
        self.host.queues.send(&[check]).await?;
        self.connector.table.transfer_account(workspace, account, from, to).await?;
        tracing::info!(%workspace, ad_account = %account, connection = %to.log_id(), "An ad account was transferred to another connection.");
        Ok(())
    }

    /// Ends an account's syncs and scheduled activations.
    pub(crate) async fn stop_account(&self, workspace: &Tenant, account: &AdAccountId) -> Result<(), Error> {
        let table = &self.connector.table;
        match table.select_account(workspace, account, false, self.host.clock.now(), None).await {
            // The account row is already deleted; related rows may remain.
            Ok(_) | Err(StoreError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
        for activation in table.schedules(workspace, account).await? {
            self.host.schedules.cancel_timer(&activation.timer).await?;
        }
        Ok(())
    }

    /// Stops an account and deletes everything that is stored of it.
    pub(crate) async fn delete_account(
        &self,
        workspace: &Tenant,
        account: &AdAccountId,
    ) -> Result<(), Error> {
        self.stop_account(workspace, account).await?;
        let table = &self.connector.table;
        table.delete_inbox_items(workspace, account).await?;
        let app = &self.connector.graph.config().app_id;
        while table.delete_account_data(workspace, account, app).await? == DeletionProgress::Partial {
            self.check_time_left()?;
        }
        tracing::info!(%workspace, "An ad account was deleted.");
        Ok(())
    }

    /// Hands the rest over to the next invocation when little time is left in this one.
    pub(crate) fn check_time_left(&self) -> Result<(), Error> {
        let left = deadline::soft_deadline().map(|end| end.duration_since(self.host.clock.now()));
        if left.is_some_and(|left| left < MIN_REMAINING_TIME) {
            let why = "more is to be deleted than one invocation can".to_owned();
            return Err(Error::RateLimited { retry_after: Duration::from_secs(1), reason: why });
        }
        Ok(())
    }
}
