//! Deleting what is kept of a person: tokens, ad accounts and all that is in them, in every workspace.
//!
//! Every step can be broken off. Rows that name what is left go last: the accounts of a connection before the
//! connection, it before the wish. So the next run finds what this one has not done, whether the queue brings the
//! message again or the daily look does.
//!
//! A sync or an evaluation that had begun before may put something back. So a wish is done only after a second look, when
//! nothing of that can be alive any more.

use std::time::Duration;

use access::audit::{self, Act, Actor};
use ads::Failure;
use ads::id::{AdAccountId, ConnectionId};
use ads::job::{Job, SyncCause};
use ads::tenant::Tenant;
use jiff::SignedDuration;
use runtime::deadline;
use sha2::{Digest, Sha256};
use store::StoreError;
use store::account::AdAccount;
use store::connection::{ConnectionPlace, ConnectionState};
use store::erase::{Erasure, Left, Touched};

use crate::AuthMeta;
use crate::consent::connection_of;
use crate::leaving::being_changed;

/// Less time than this before the end of an invocation is left to the next one.
const ENOUGH: SignedDuration = SignedDuration::from_secs(20);

/// Lambda lets nothing live longer. What is begun later looks at the account first, and finds none.
const SETTLES: SignedDuration = SignedDuration::from_mins(15);

impl AuthMeta {
    /// Wishes whose message was lost or given up are taken up again.
    pub(crate) async fn resume_erasures(&self) -> Result<(), Failure> {
        let open = self.access.table.erasures().await?.into_iter().filter(|wish| wish.done_at.is_none());
        let jobs: Vec<_> = open.map(|wish| Job::ErasePerson { erasure: wish.code }).collect();
        self.host.queues.send(&jobs).await
    }

    /// Does what a person wished, as far as this invocation goes.
    pub(crate) async fn erase_person(&self, code: &str) -> Result<(), Failure> {
        let table = &self.access.table;
        let Some(wish) = table.erasure(code).await? else { return Ok(()) };
        let Some(user) = &wish.user else { return Ok(()) };
        let now = self.host.clock.now();
        if let Some(left) =
            wish.erased_at.map(|at| (at + SETTLES).duration_since(now)).filter(|left| left.is_positive())
        {
            let why = "work that had begun before a deletion may still be under way".to_owned();
            return Err(Failure::Wait { after: left.unsigned_abs(), why });
        }
        let connection = connection_of(user)?;
        let mut fresh = false;
        for place in table.holdings(&connection).await? {
            fresh |= self.erase_connection(&place, &wish).await?;
        }
        if fresh || wish.erased_at.is_none() {
            table.erased_once(code, now).await?;
            let again = Job::ErasePerson { erasure: code.to_owned() };
            return self.host.queues.send_later(&again, SETTLES.unsigned_abs()).await;
        }
        self.erase_what_came_back(&connection, &wish).await?;
        table.finish_erasure(&wish, now).await?;
        tracing::info!(erasure = %code, "A person's data is deleted.");
        Ok(())
    }

    /// Work that had read an account before it was erased writes what it has got, and may make rows anew that name it.
    /// Nothing of that is alive any more, and what begins now finds no account.
    async fn erase_what_came_back(&self, connection: &ConnectionId, wish: &Erasure) -> Result<(), Failure> {
        let table = &self.access.table;
        for Touched { workspace, ad_account } in &wish.touched {
            match ad_account {
                Some(id) => {
                    let account = table.account(workspace, id).await?;
                    let held = match &account {
                        Some(account) => table.connection(workspace, &account.connection).await?.is_some(),
                        None => false,
                    };
                    // Somebody who reaches it has connected it since.
                    if !held {
                        self.erase_account(workspace, id).await?;
                    }
                }
                None if table.connection(workspace, connection).await?.is_none() => {
                    self.erase_accounts(workspace, connection, wish).await?;
                    table.forget_answers(workspace).await?;
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Says whether there was something that the wish is about.
    async fn erase_connection(&self, place: &ConnectionPlace, wish: &Erasure) -> Result<bool, Failure> {
        let ConnectionPlace { workspace, connection: id } = place;
        let table = &self.access.table;
        // That it is done stays, without whose it was. However often it is gone on with, it is one act.
        let object = audit::connection(workspace, id);
        let act = hex::encode(&Sha256::digest(format!("{}|{object}", wish.code))[..12]);
        let act = Act::new(act, Actor::Webhook, "connection.erased", object);
        let act = self.access.intend(workspace, act).await?;
        if let Some(seen) = table.connection(workspace, id).await? {
            if seen.connected_at > wish.asked_at {
                let why = Failure::Conflict("they connected again after the wish: a new consent".to_owned());
                let (Ok(()) | Err(_)) = act.ended(Err(why), None, self.host.clock.now()).await;
                return Ok(false);
            }
            // The token first: whatever else is under way comes to an end by it.
            match table.forget_token(workspace, &seen, "the person wants their data deleted").await {
                Err(StoreError::Conflict) => return Err(being_changed()),
                forgotten => forgotten?,
            }
        }
        self.note(wish, workspace, None).await?;
        self.erase_accounts(workspace, id, wish).await?;
        // Answers that are kept for requests that come again may show what was reached.
        table.forget_answers(workspace).await?;
        table.forget_erased(place).await.map_err(|error| match error {
            StoreError::Conflict => being_changed(),
            error => error.into(),
        })?;
        act.ended(Ok(true), None, self.host.clock.now()).await
    }

    /// Every account that nobody reaches but this connection.
    async fn erase_accounts(
        &self,
        workspace: &Tenant,
        connection: &ConnectionId,
        wish: &Erasure,
    ) -> Result<(), Failure> {
        let table = &self.access.table;
        for account in table.accounts(workspace).await? {
            if account.connection != *connection {
                if account.details.reached_by.contains(connection) {
                    table.let_go(workspace, &account.id, connection).await?;
                }
                continue;
            }
            match self.living_other(workspace, &account, connection).await? {
                Some(other) => self.hand_over(workspace, &account.id, connection, &other).await?,
                None => {
                    self.note(wish, workspace, Some(&account.id)).await?;
                    self.erase_account(workspace, &account.id).await?;
                }
            }
        }
        Ok(())
    }

    /// Notes where to look again, before the rows go that say so themselves.
    async fn note(
        &self,
        wish: &Erasure,
        workspace: &Tenant,
        account: Option<&AdAccountId>,
    ) -> Result<(), Failure> {
        let touched = Touched { workspace: workspace.clone(), ad_account: account.cloned() };
        if wish.touched.contains(&touched) {
            return Ok(());
        }
        match self.access.table.touches(&wish.code, &touched).await {
            // Done by another worker, who has found the same.
            Err(StoreError::Conflict) => Err(being_changed()),
            noted => Ok(noted?),
        }
    }

    /// Another connection of the workspace that reaches the account and works.
    async fn living_other(
        &self,
        workspace: &Tenant,
        account: &AdAccount,
        not: &ConnectionId,
    ) -> Result<Option<ConnectionId>, Failure> {
        for id in account.details.reached_by.iter().filter(|id| *id != not) {
            let connection = self.access.table.connection(workspace, id).await?;
            if connection.is_some_and(|connection| connection.state == ConnectionState::Connected) {
                return Ok(Some(id.clone()));
            }
        }
        Ok(None)
    }

    /// The other connection is looked at afterwards, which finds out how it reaches the account.
    async fn hand_over(
        &self,
        workspace: &Tenant,
        account: &AdAccountId,
        from: &ConnectionId,
        to: &ConnectionId,
    ) -> Result<(), Failure> {
        let look = Job::CheckConnection { workspace: workspace.clone(), connection: to.clone() };
        self.host.queues.send(&[look]).await?;
        self.access.table.hand_over(workspace, account, from, to).await?;
        tracing::info!(%workspace, ad_account = %account, connection = %to, "An ad account was handed over.");
        Ok(())
    }

    async fn erase_account(&self, workspace: &Tenant, account: &AdAccountId) -> Result<(), Failure> {
        let table = &self.access.table;
        match table.select_account(workspace, account, false).await {
            // The row itself is gone, and what is left of the rest is not.
            Ok(_) | Err(StoreError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
        let (cause, schedules) = (SyncCause::Schedule, &self.host.schedules);
        let beat = Job::SyncAccount { workspace: workspace.clone(), ad_account: account.clone(), cause };
        schedules.stop_beat(&beat).await?;
        for activation in table.activations(workspace, account).await? {
            schedules.cancel_timer(&activation.timer).await?;
        }
        table.erase_inbox(workspace, account).await?;
        let app = &self.access.graph.config().app_id;
        while table.erase_account(workspace, account, app).await? == Left::More {
            let left = deadline::of_this_invocation().map(|end| end.duration_since(self.host.clock.now()));
            if left.is_some_and(|left| left < ENOUGH) {
                let why = "more is to be deleted than one invocation can".to_owned();
                return Err(Failure::Wait { after: Duration::from_secs(1), why });
            }
        }
        tracing::info!(%workspace, "An ad account was deleted.");
        Ok(())
    }
}
