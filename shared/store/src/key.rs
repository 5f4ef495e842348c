//! Every partition and sort key of the table.
//!
//! A key begins with the workspace, so that no query can reach another one, and is made of a [`Tenant`], which only a
//! session check and what it left behind can name. The exceptions are the indexes over all workspaces: from Meta's ids to
//! those that hold them, for webhooks name no workspace, from people, addresses and connections to theirs, and of all
//! that is synced or connected, for the work that goes on by itself; what a person asks in no workspace, beside their
//! index; logins and choices under way and people's requests to be forgotten, for Meta's callbacks and our own forms name no
//! workspace either; and the state of Meta's quotas, which belong to the app and the ad account.

use domain::date::IsoWeek;
use domain::id::{
    AdAccountId, ConnectionId, InvitationId, LaunchId, MemberId, ObjectId, RuleId, WorkspaceId,
};
use domain::object::Level;
use domain::tenant::Tenant;
use jiff::civil::Date;

use crate::limit::LimitScope;
use crate::rate_limit_key::RateLimitKey;

/// One item's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
}

fn key(pk: String, sk: impl Into<String>) -> Key {
    Key { pk, sk: sk.into() }
}

/// Partition of what a workspace has few of: connections, accounts, rules, launches, inbox.
pub fn workspace(workspace: &Tenant) -> String {
    format!("WS#{workspace}")
}

/// Partition of one ad account: objects, chunks, schedules.
pub fn account_partition(workspace: &Tenant, account: &AdAccountId) -> String {
    format!("WS#{workspace}#{account}")
}

/// Partition of one ad account's facts of one level.
pub fn fact_partition(workspace: &Tenant, account: &AdAccountId, level: Level) -> String {
    format!("WS#{workspace}#{account}#FACT#{level}")
}

/// Partition of one rule's decisions.
pub fn decision_partition(workspace: &Tenant, rule: &RuleId) -> String {
    format!("WS#{workspace}#RULE#{rule}")
}

/// A workspace that a person made. Found by its bare id, like [`member`] and [`invitation`]: these rows decide who gets a
/// tenant.
pub fn workspace_row(ws: &WorkspaceId) -> Key {
    key(format!("WS#{ws}"), "WORKSPACE")
}

/// A member of a workspace.
pub fn member(ws: &WorkspaceId, id: &MemberId) -> Key {
    key(format!("WS#{ws}"), format!("MEMBER#{id}"))
}

/// An invitation to a workspace.
pub fn invitation(ws: &WorkspaceId, id: &InvitationId) -> Key {
    key(format!("WS#{ws}"), format!("INVITATION#{id}"))
}

/// Partition of what belongs to a person in no workspace: the index to their workspaces, and what they asked.
pub fn user_partition(person: &MemberId) -> String {
    format!("USER#{person}")
}

/// An entry of that index.
pub fn membership(person: &MemberId, ws: &WorkspaceId) -> Key {
    key(user_partition(person), format!("WS#{ws}"))
}

/// Partition of the index from an address, by its hash, to the invitations that wait for it.
pub fn invitation_index_partition(address: &str) -> String {
    format!("INVITATION_INDEX#{address}")
}

/// An entry of that index.
pub fn invitation_index(address: &str, ws: &WorkspaceId, id: &InvitationId) -> Key {
    key(invitation_index_partition(address), format!("WS#{ws}#{id}"))
}

/// A connection.
pub fn connection(ws: &Tenant, id: &ConnectionId) -> Key {
    key(workspace(ws), format!("CONNECTION#{id}"))
}

/// A pending login, by the hash of its state: the callback brings no session, so the row says whose it is.
pub fn oauth_state(state_hash: &str) -> Key {
    key(format!("LOGIN#{state_hash}"), "LOGIN")
}

/// A choice of ad accounts that waits for a person, by the hash of the secret in its form, which brings no session either.
pub fn account_selection(secret_hash: &str) -> Key {
    key(format!("ACCOUNT_SELECTION#{secret_hash}"), "ACCOUNT_SELECTION")
}

/// An ad account.
pub fn account(ws: &Tenant, id: &AdAccountId) -> Key {
    key(workspace(ws), format!("ACCOUNT#{id}"))
}

/// A rule.
pub fn rule(ws: &Tenant, id: &RuleId) -> Key {
    key(workspace(ws), format!("RULE#{id}"))
}

/// A rule that was removed: its decisions stay, and are found by this.
pub fn removed_rule(ws: &Tenant, id: &RuleId) -> Key {
    key(workspace(ws), format!("{REMOVED_RULE_PREFIX}{id}"))
}

/// How the keys of removed rules begin.
pub const REMOVED_RULE_PREFIX: &str = "REMOVED_RULE#";

/// A launch.
pub fn launch(ws: &Tenant, id: &LaunchId) -> Key {
    key(workspace(ws), format!("LAUNCH#{id}"))
}

/// A webhook change that was accepted.
pub fn inbox(ws: &Tenant, digest: &str) -> Key {
    key(workspace(ws), format!("INBOX#{digest}"))
}

/// Partition of what is known of requests: a workspace's, or those of a person that are for none.
fn caller_partition(caller: &RateLimitKey) -> String {
    match caller {
        RateLimitKey::Workspace(ws) => workspace(ws),
        RateLimitKey::User(person) => user_partition(person),
    }
}

/// What requests have used up.
pub fn rate_limit(caller: &RateLimitKey) -> Key {
    key(caller_partition(caller), "RATE_LIMIT#")
}

/// What was answered under an `Idempotency-Key`, by the hash of that.
pub fn idempotency(caller: &RateLimitKey, key_hash: &str) -> Key {
    key(caller_partition(caller), format!("{IDEMPOTENCY_PREFIX}{key_hash}"))
}

/// What the sort keys of those begin with.
pub const IDEMPOTENCY_PREFIX: &str = "IDEMPOTENCY#";

/// The counter that orders fetches of an account's structure.
pub fn fetch_counter(ws: &Tenant, account: &AdAccountId) -> Key {
    key(account_partition(ws, account), "FETCHES")
}

/// A campaign, ad set or ad.
pub fn entity(ws: &Tenant, account: &AdAccountId, level: Level, id: &ObjectId) -> Key {
    key(account_partition(ws, account), format!("ENTITY#{level}#{id}"))
}

/// A chunk.
pub fn chunk(ws: &Tenant, account: &AdAccountId, week: IsoWeek) -> Key {
    key(account_partition(ws, account), format!("CHUNK#{week}"))
}

/// A campaign's scheduled activation.
pub fn schedule(ws: &Tenant, account: &AdAccountId, campaign: &ObjectId) -> Key {
    key(account_partition(ws, account), format!("SCHEDULE#{campaign}"))
}

/// One object's numbers of one week. Weeks sort as text because they have a fixed width.
pub fn fact(ws: &Tenant, account: &AdAccountId, level: Level, week: IsoWeek, id: &ObjectId) -> Key {
    key(fact_partition(ws, account, level), format!("{week}#{id}"))
}

/// A decision: at most one for a rule, an object and a day.
pub fn decision(ws: &Tenant, rule: &RuleId, day: Date, object: &ObjectId) -> Key {
    key(decision_partition(ws, rule), format!("DECISION#{day}#{object}"))
}

/// The index from one of Meta's ids (an ad account's or object's digits) to who holds it.
pub fn meta_index(id: &str, ws: &Tenant, account: &AdAccountId) -> Key {
    key(meta_partition(id), format!("WS#{ws}#{account}"))
}

/// The index of the ad accounts that are synced, over all workspaces.
pub fn selected(ws: &Tenant, account: &AdAccountId) -> Key {
    key(SELECTED_PARTITION.to_owned(), format!("WS#{ws}#{account}"))
}

/// Partition of that index.
pub const SELECTED_PARTITION: &str = "SELECTED";

/// The index of all connections, over all workspaces.
pub fn connection_listing(ws: &Tenant, id: &ConnectionId) -> Key {
    key(CONNECTIONS_PARTITION.to_owned(), format!("WS#{ws}#{id}"))
}

/// Partition of that index.
pub const CONNECTIONS_PARTITION: &str = "CONNECTIONS";

/// Partition of the index from a connection to the workspaces in which something may be stored of it.
pub fn connection_index_partition(id: &ConnectionId) -> String {
    format!("CONNECTION_INDEX#{id}")
}

/// An entry of that index. It outlives the connection.
pub fn connection_index(ws: &Tenant, id: &ConnectionId) -> Key {
    key(connection_index_partition(id), format!("WS#{ws}"))
}

/// Partition of a workspace's audit log. Roles name it by its end.
pub fn audit_partition(ws: &WorkspaceId) -> String {
    format!("WS#{ws}#AUDIT")
}

/// An entry's place in it.
pub fn audit_position(seq: u64) -> String {
    format!("ENTRY#{seq:020}")
}

/// An entry of the audit log.
pub fn audit_entry(ws: &WorkspaceId, seq: u64) -> Key {
    key(audit_partition(ws), audit_position(seq))
}

/// Where the audit log ends.
pub fn audit_head(ws: &WorkspaceId) -> Key {
    key(audit_partition(ws), "HEAD")
}

/// That an act has its entry.
pub fn audit_event_marker(ws: &WorkspaceId, event_id: &str) -> Key {
    key(audit_partition(ws), format!("EVENT#{event_id}"))
}

/// A person's request to be forgotten.
pub fn deletion_request(code: &str) -> Key {
    key(DELETION_REQUESTS_PARTITION.to_owned(), code)
}

/// Partition of those requests.
pub const DELETION_REQUESTS_PARTITION: &str = "DELETION_REQUESTS";

/// What is known of one of Meta's limits for an app.
pub fn limit(app: &str, of: LimitScope<'_>) -> Key {
    let sk = match of {
        LimitScope::App => "APP".to_owned(),
        LimitScope::Account(account) => format!("ACCOUNT#{account}"),
        LimitScope::Budget(object) => format!("BUDGET#{object}"),
        LimitScope::Insights(account) => format!("INSIGHTS#{account}"),
    };
    key(format!("LIMIT#{app}"), sk)
}

/// Partition of that index.
pub fn meta_partition(id: &str) -> String {
    format!("META#{id}")
}

#[cfg(test)]
mod tests {
    use domain::tenant::trusted;
    use serde::de::value::{Error, StrDeserializer};

    use super::*;

    #[test]
    fn one_workspace_cannot_name_another_ones_items() {
        // Ids admit neither '#' nor capital letters, so no id can imitate a longer key.
        let tenant = |name| trusted::deserialize(StrDeserializer::<Error>::new(name));
        assert!(tenant("a#act_1").is_err());
        let (a, b) = (tenant("a").unwrap(), tenant("ab").unwrap());
        let act = "act_1".parse().unwrap();
        assert_ne!(account_partition(&a, &act), account_partition(&b, &act));
        assert_eq!(
            fact(&a, &act, Level::Ad, "2026-W05".parse().unwrap(), &"9".parse().unwrap()),
            Key { pk: "WS#a#act_1#FACT#ad".into(), sk: "2026-W05#9".into() }
        );
    }
}
