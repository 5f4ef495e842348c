//! How connections are: once a day Meta is asked about each, and tokens that end are renewed.
//!
//! Only what Meta says of the token itself changes a connection. An outage, a throttle or an app secret that is wrong
//! fails the job, which comes again, and says nothing of anybody's consent.

use access::audit::{Actor, Intended};
use access::{consent, token_context};
use ads::Failure;
use ads::id::ConnectionId;
use ads::job::Job;
use ads::tenant::Tenant;
use graph_api::GraphError;
use graph_api::oauth::{TokenFacts, TokenKind};
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Value, json};
use store::StoreError;
use store::connection::{Connection, ConnectionPlace, ConnectionState};

use crate::AuthMeta;
use crate::consent::{Claim, NEEDED_SCOPE, moment, token_of};
use crate::shown::{ENDS_SOON, end};

impl AuthMeta {
    /// A job for each connection of any workspace, so that each is tried again by itself.
    pub(crate) async fn check_connections(&self) -> Result<(), Failure> {
        self.resume_erasures().await?;
        let places = self.access.table.all_connections().await?;
        let check =
            |ConnectionPlace { workspace, connection }| Job::CheckConnection { workspace, connection };
        let jobs: Vec<_> = places.into_iter().map(check).collect();
        self.host.queues.send(&jobs).await?;
        tracing::info!(connections = jobs.len(), "Every connection is looked at.");
        Ok(())
    }

    /// Asks Meta about one connection, renews its token in its last ten days, and keeps what came of it.
    pub(crate) async fn check_connection(
        &self,
        workspace: &Tenant,
        id: &ConnectionId,
    ) -> Result<(), Failure> {
        let table = &self.access.table;
        let Some(seen) = table.connection(workspace, id).await? else {
            let place = ConnectionPlace { workspace: workspace.clone(), connection: id.clone() };
            return Ok(table.unlist_connection(&place).await?);
        };
        if seen.sealed_token.is_empty() {
            // Its person removed the app: there is nothing to ask about.
            return Ok(());
        }
        let token = match self.access.keyring.open(&seen.sealed_token, &token_context(workspace, id)).await {
            Err(Failure::Reconnect(why)) => {
                let now = self.host.clock.now();
                return consent::has_ended(table, workspace, &seen, &why, Actor::Operator, now).await;
            }
            opened => opened?,
        };
        // Asked as the app: what fails here says nothing of the person.
        let facts = self.access.graph.debug_token(&token).await.map_err(not_about_the_person)?;
        let mut checked = Connection { checked_at: Some(self.host.clock.now()), ..seen.clone() };
        let mut acts = Vec::new();
        match facts.death() {
            Some(death) => judge(&mut checked, death)?,
            None => acts.extend(self.look(workspace, &seen, &mut checked, &token, facts).await?),
        }
        if let Some(act) = consent::changed(workspace, &seen, &checked, daily_look()) {
            acts.push(self.access.intend(workspace, act).await?);
        }
        let kept = match table.keep_checked(workspace, &seen.sealed_token, &checked).await {
            Ok(()) => Ok(()),
            // Connected or sealed anew meanwhile: the next look is at that.
            Err(StoreError::Conflict) => Err(consent::superseded()),
            // The look comes again, and with it what it did.
            Err(error) => return Err(error.into()),
        };
        for act in acts {
            let (Ok(()) | Err(_)) = act.ended(kept.clone(), None, self.host.clock.now()).await;
        }
        if kept.is_err() {
            return Ok(());
        }
        let now = self.host.clock.now();
        if let Some((at, what)) = end(&checked).filter(|(at, _)| at.duration_since(now) < ENDS_SOON) {
            tracing::warn!(%workspace, connection = %id, %at, what, "A connection ends soon.");
        }
        if checked.state == ConnectionState::Connected {
            self.refresh_accounts(workspace, &checked, token).await?;
        }
        if checked.state != seen.state {
            tracing::warn!(%workspace, connection = %id, state = ?checked.state, "A connection has changed.");
        }
        Ok(())
    }

    /// Asks how the connection's ad accounts are by now: their status, why they rest, what may be done in them.
    async fn refresh_accounts(
        &self,
        workspace: &Tenant,
        connection: &Connection,
        token: SecretString,
    ) -> Result<(), Failure> {
        let mut found = match self.access.graph.on_behalf_of(token).reachable_accounts().await {
            // Meta lists nothing for it at the moment, which says nothing of the accounts.
            Err(GraphError::NeedPermission(details) | GraphError::Gone(details)) => {
                tracing::warn!(%workspace, connection = %connection.id, %details, "Accounts are not listed.");
                return Ok(());
            }
            found => found.map_err(not_about_the_person)?,
        };
        let chosen = connection.chosen.as_ref();
        found.retain(|found| chosen.is_none_or(|chosen| chosen.contains(&found.account.id)));
        self.keep_accounts(workspace, connection, found, Claim::Own).await.map(drop)
    }

    /// A token that lives: what it may do by now, and until when. Answers the renewal that is still to be kept, if there
    /// is one: a try that fails leaves it as intended, and the next one goes on with it.
    async fn look(
        &self,
        workspace: &Tenant,
        seen: &Connection,
        checked: &mut Connection,
        token: &SecretString,
        mut facts: TokenFacts,
    ) -> Result<Option<Intended>, Failure> {
        let mut renewal = None;
        if ends_soon(&facts, self.host.clock.now()) {
            let ends = |facts: &TokenFacts| json!({"expires_at": moment(facts.expires_at)});
            let act = consent::act(workspace, seen, "connection.renewed", "", daily_look());
            let act = self.access.intend(workspace, act.changing(ends(&facts), Value::Null)).await?;
            let graph = &self.access.graph;
            let renewed = match facts.kind {
                TokenKind::SystemUser => graph.extend_system_user(token).await,
                _ => graph.extend(token).await,
            };
            let renewed = renewed.map_err(not_about_the_person)?.access_token;
            facts = graph.debug_token(&renewed).await.map_err(not_about_the_person)?;
            checked.sealed_token =
                self.access.keyring.seal(&renewed, &token_context(workspace, &checked.id)).await?;
            renewal = Some(act.changing_into(ends(&facts)));
            tracing::info!(%workspace, connection = %checked.id, "A token was renewed.");
        }
        let granted = self.granted(token, &facts).await?;
        (checked.scopes, checked.declined) = (granted.scopes, granted.declined);
        checked.token_of = token_of(facts.kind).or(checked.token_of);
        checked.expires_at = moment(facts.expires_at);
        checked.data_access_expires_at = moment(facts.data_access_expires_at);
        checked.chosen = facts.chosen_accounts().map(|chosen| chosen.into_iter().collect());
        let may_read = checked.scopes.iter().any(|scope| scope == NEEDED_SCOPE);
        (checked.state, checked.reason) = if may_read {
            (ConnectionState::Connected, None)
        } else {
            let why = format!("the permission {NEEDED_SCOPE} was taken back at Meta");
            (ConnectionState::LostPermission, Some(why))
        };
        Ok(renewal)
    }
}

/// Who finds out what is different, and renews.
pub(crate) fn daily_look() -> Actor {
    Actor::Schedule { timer: "check-connections".to_owned() }
}

/// Whether a token has an end within its last days. One without an end keeps none.
fn ends_soon(facts: &TokenFacts, now: Timestamp) -> bool {
    moment(facts.expires_at).is_some_and(|at| at > now && at.duration_since(now) < ENDS_SOON)
}

/// What a dead token means for its connection.
fn judge(checked: &mut Connection, death: GraphError) -> Result<(), Failure> {
    match death {
        GraphError::Reconnect(details) if details.is_for_the_person() => {
            checked.state = ConnectionState::LostPermission;
            checked.reason = Some(details.message);
        }
        GraphError::Reconnect(details) if details.ends_the_consent() => {
            checked.state = ConnectionState::NeedsReconnect;
            checked.reason = Some(details.message);
        }
        other => return Err(not_about_the_person(other)),
    }
    Ok(())
}

/// A fault that must not be taken for a word about somebody's consent: the job comes again.
fn not_about_the_person(error: GraphError) -> Failure {
    match Failure::from(error) {
        Failure::Reconnect(why) | Failure::NeedPermission(why) | Failure::Refused(why) => {
            Failure::Unavailable(why)
        }
        failure => failure,
    }
}
