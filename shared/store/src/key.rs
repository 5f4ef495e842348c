//! Every partition and sort key of the table.
//!
//! A key begins with the workspace, so that no query can reach another one. It is built from a [`Tenant`], which only a
//! checked session, or data stored or queued after such a check, can provide. The exceptions are:
//!
//! - indexes across all workspaces: from the platforms' ids to the accounts that hold them, because webhooks name no
//!   workspace; from people, addresses and connections to their workspaces; and of everything that is synced or
//!   connected, for background work;
//! - state of a person's requests outside of any workspace, next to the person's index;
//! - pending logins, pending account selections and deletion requests, because callbacks and our own forms name
//!   no workspace;
//! - the state of the platforms' quotas, which belong to the app and the ad account, and the versions that an app is
//!   served by.

use domain::dataset::Dataset;
use domain::date::{DateRange, IsoWeek};
use domain::entity::Level;
use domain::id::{
    AdAccountId, BulkChangeId, ConnectionId, EntityId, InvitationId, LaunchId, MemberId, RuleId, SyncRunId,
    WorkspaceId,
};
use domain::media::FileDigest;
use domain::platform::Platform;
use domain::schedule::ScheduledAction;
use domain::tenant::Tenant;
use facts::{BlockLevel, Segment};
use jiff::Timestamp;
use jiff::civil::Date;

use crate::due;
use crate::limit_scope::LimitScope;
use crate::rate_limit_key::RateLimitKey;

/// The primary key of an item.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
}

fn key(pk: String, sk: impl Into<String>) -> Key {
    Key { pk, sk: sk.into() }
}

/// Returns the partition of a workspace's small collections: connections, accounts, rules, launches, inbox.
pub fn workspace(workspace: &Tenant) -> String {
    format!("WS#{workspace}")
}

/// Returns the partition of one ad account: entities, chunks, schedules.
pub fn account_partition(workspace: &Tenant, account: &AdAccountId) -> String {
    format!("WS#{workspace}#{account}")
}

/// Returns the partition of one ad account's facts of one week, which spreads those of a large account.
pub fn fact_partition(workspace: &Tenant, account: &AdAccountId, dataset: Dataset, week: IsoWeek) -> String {
    format!("WS#{workspace}#{account}#FACTS#{}#{week}", dataset.name)
}

/// Returns the partition of one rule's decisions.
pub fn decision_partition(workspace: &Tenant, rule: &RuleId) -> String {
    format!("WS#{workspace}#RULE#{rule}")
}

/// Builds the key of a workspace that a person created. Takes a bare id, like [`member`] and [`invitation`], because
/// these rows decide who gets a tenant.
pub fn workspace_row(ws: &WorkspaceId) -> Key {
    key(format!("WS#{ws}"), "WORKSPACE")
}

/// Builds the key of a workspace member.
pub fn member(ws: &WorkspaceId, id: &MemberId) -> Key {
    key(format!("WS#{ws}"), format!("MEMBER#{id}"))
}

/// Builds the key of an invitation to a workspace.
pub fn invitation(ws: &WorkspaceId, id: &InvitationId) -> Key {
    key(format!("WS#{ws}"), format!("INVITATION#{id}"))
}

/// Returns the partition of a person's data outside of any workspace: the index to their workspaces, and the state of
/// their requests.
pub fn user_partition(person: &MemberId) -> String {
    format!("USER#{person}")
}

/// Builds the key of an entry in that index.
pub fn membership(person: &MemberId, ws: &WorkspaceId) -> Key {
    key(user_partition(person), format!("WS#{ws}"))
}

/// Returns the partition of the index from an address, given its hash, to its pending invitations.
pub fn invitation_index_partition(address: &str) -> String {
    format!("INVITATION_INDEX#{address}")
}

/// Builds the key of an entry in that index.
pub fn invitation_index(address: &str, ws: &WorkspaceId, id: &InvitationId) -> Key {
    key(invitation_index_partition(address), format!("WS#{ws}#{id}"))
}

/// Builds the key of a webhook change that could not be read: it belongs to no workspace.
pub fn unreadable_change(digest: &str) -> Key {
    key("UNREADABLE_CHANGES".to_owned(), format!("CHANGE#{digest}"))
}

/// Builds the key of a connection.
pub fn connection(ws: &Tenant, id: &ConnectionId) -> Key {
    key(workspace(ws), format!("CONNECTION#{id}"))
}

/// Builds the key of a login that waits for its browser from the hash of its ticket.
pub fn login_ticket(ticket_hash: &str) -> Key {
    key(format!("LOGIN_TICKET#{ticket_hash}"), "LOGIN_TICKET")
}

/// Builds the key of a login that waits for its callback from the hash of its state: the callback carries no session,
/// so the row identifies the workspace.
pub fn oauth_state(state_hash: &str) -> Key {
    key(format!("LOGIN#{state_hash}"), "LOGIN")
}

/// Builds the key of a pending account selection from the hash of the secret in its form, which carries no session
/// either.
pub fn account_selection(secret_hash: &str) -> Key {
    key(format!("ACCOUNT_SELECTION#{secret_hash}"), "ACCOUNT_SELECTION")
}

/// Builds the key of an ad account.
pub fn account(ws: &Tenant, id: &AdAccountId) -> Key {
    key(workspace(ws), format!("ACCOUNT#{id}"))
}

/// Builds the key of a rule.
pub fn rule(ws: &Tenant, id: &RuleId) -> Key {
    key(workspace(ws), format!("RULE#{id}"))
}

/// Builds the key of a removed rule's marker, which leads to the decisions that stay.
pub fn removed_rule(ws: &Tenant, id: &RuleId) -> Key {
    key(workspace(ws), format!("{REMOVED_RULE_PREFIX}{id}"))
}

/// Prefix of the sort keys of removed rules.
pub const REMOVED_RULE_PREFIX: &str = "REMOVED_RULE#";

/// Builds the key of a launch.
pub fn launch(ws: &Tenant, id: &LaunchId) -> Key {
    key(workspace(ws), format!("LAUNCH#{id}"))
}

/// Builds the key of an entry in the list of launches by their beginning.
pub fn launch_listing(ws: &Tenant, started_at: Timestamp, id: &LaunchId) -> Key {
    key(workspace(ws), format!("{LAUNCH_LISTING_PREFIX}{:016x}#{id}", started_at.as_microsecond()))
}

/// Prefix of the sort keys of that list.
pub const LAUNCH_LISTING_PREFIX: &str = "LAUNCHES#";

/// Builds the key of a live event, padded so that events sort by id.
pub fn live_event(ws: &Tenant, id: u64) -> Key {
    key(workspace(ws), format!("{LIVE_EVENT_PREFIX}{id:020}"))
}

/// Prefix of the sort keys of live events.
pub const LIVE_EVENT_PREFIX: &str = "LIVE#";

/// Builds the key of an accepted webhook change.
pub fn inbox(ws: &Tenant, digest: &str) -> Key {
    key(workspace(ws), format!("INBOX#{digest}"))
}

/// Returns the partition of request state: the workspace's, or the person's for requests outside of any workspace.
fn caller_partition(caller: &RateLimitKey) -> String {
    match caller {
        RateLimitKey::Workspace(ws) => workspace(ws),
        RateLimitKey::User(person) => user_partition(person),
    }
}

/// Builds the key of a rate-limit bucket.
pub fn rate_limit(caller: &RateLimitKey) -> Key {
    key(caller_partition(caller), "RATE_LIMIT#")
}

/// Builds the key of a stored response from the hash of its `Idempotency-Key`.
pub fn idempotency(caller: &RateLimitKey, key_hash: &str) -> Key {
    key(caller_partition(caller), format!("{IDEMPOTENCY_PREFIX}{key_hash}"))
}

/// Prefix of the sort keys of stored responses.
pub const IDEMPOTENCY_PREFIX: &str = "IDEMPOTENCY#";

/// Builds the key of the counter that orders the fetches of an account's entities.
pub fn fetch_counter(ws: &Tenant, account: &AdAccountId) -> Key {
    key(account_partition(ws, account), "FETCHES")
}

/// Builds the key of the sync of an account's entities that is to be continued.
pub fn entity_progress(ws: &Tenant, account: &AdAccountId) -> Key {
    key(account_partition(ws, account), "ENTITY_SYNC")
}

/// Builds the key of a part of the entities that a sync has not listed yet.
pub fn entity_progress_part(ws: &Tenant, account: &AdAccountId, fetch_number: u64, part: usize) -> Key {
    key(account_partition(ws, account), format!("ENTITY_SYNC#{fetch_number}#{part:03}"))
}

/// Builds the key of a request to measure days.
pub fn sync_run(ws: &Tenant, account: &AdAccountId, id: &SyncRunId) -> Key {
    key(account_partition(ws, account), format!("SYNC_RUN#{id}"))
}

/// Builds the key of the list of an account's entities that have changed at the platform.
pub fn changed_entities(ws: &Tenant, account: &AdAccountId) -> Key {
    key(account_partition(ws, account), "CHANGED_ENTITIES")
}

/// Builds the key of a campaign, ad set or ad.
pub fn entity(ws: &Tenant, account: &AdAccountId, level: Level, id: &EntityId) -> Key {
    key(account_partition(ws, account), format!("ENTITY#{level}#{id}"))
}

/// Prefix of the sort keys of the index of a level's entities.
pub fn entity_blocks_prefix(level: Level) -> String {
    format!("INDEX#{level}#")
}

/// Returns the sort key of a block of that index: one of `2^bits`.
pub fn entity_block(level: Level, bits: u8, shard: usize) -> String {
    format!("{}{bits:02}.{shard:04}", entity_blocks_prefix(level))
}

/// Returns the bits of a block's sort key.
pub fn parse_entity_block(sk: &str) -> Option<u8> {
    sk.rsplit('#').next()?.split_once('.')?.0.parse().ok()
}

/// Builds the key of a change that the blocks do not have yet. It sorts before them.
pub fn entity_change(ws: &Tenant, account: &AdAccountId, level: Level, id: &EntityId) -> Key {
    key(account_partition(ws, account), format!("{}!{id}", entity_blocks_prefix(level)))
}

/// Builds the key of a chunk. Weeks sort as text because they have a fixed width.
pub fn chunk(ws: &Tenant, account: &AdAccountId, dataset: Dataset, week: IsoWeek) -> Key {
    key(account_partition(ws, account), format!("{CHUNK_PREFIX}{}#{week}", dataset.name))
}

/// Prefix of the sort keys of chunks.
pub const CHUNK_PREFIX: &str = "CHUNK#";

/// Returns the dataset and week of a chunk's sort key.
pub fn parse_chunk(sk: &str) -> Option<(Dataset, IsoWeek)> {
    let (name, week) = sk.strip_prefix(CHUNK_PREFIX)?.split_once('#')?;
    let dataset = Dataset::ALL.into_iter().find(|dataset| dataset.name == name)?;
    Some((dataset, week.parse().ok()?))
}

/// Builds the key of a bulk change of an account.
pub fn bulk_change(ws: &Tenant, account: &AdAccountId, id: &BulkChangeId) -> Key {
    key(account_partition(ws, account), format!("{BULK_CHANGE_PREFIX}{id}"))
}

/// Builds the key of an idempotency key that has begun a bulk change.
pub fn bulk_change_key(ws: &Tenant, account: &AdAccountId, hash: &str) -> Key {
    key(account_partition(ws, account), format!("BULK_KEY#{hash}"))
}

/// That a bulk change was stopped.
pub fn bulk_change_stop(ws: &Tenant, account: &AdAccountId, id: &BulkChangeId) -> Key {
    key(account_partition(ws, account), format!("BULK_STOP#{id}"))
}

/// Prefix of the sort keys of bulk changes.
pub const BULK_CHANGE_PREFIX: &str = "BULK_CHANGE#";

/// Builds the key of a file that was uploaded for an account's library.
pub fn upload(ws: &Tenant, account: &AdAccountId, sha256: &FileDigest) -> Key {
    key(account_partition(ws, account), format!("FILE#{sha256}"))
}

/// Builds the key of a period whose reach was asked for.
pub fn reach(ws: &Tenant, account: &AdAccountId, level: Level, period: DateRange) -> Key {
    let DateRange { since, until } = period;
    key(account_partition(ws, account), format!("{REACH_PREFIX}{level}#{since}#{until}"))
}

/// Prefix of the sort keys of such periods.
pub const REACH_PREFIX: &str = "REACH#";

/// Returns the level and period of such a key's sort key.
pub fn parse_reach(sk: &str) -> Option<(Level, DateRange)> {
    let mut parts = sk.strip_prefix(REACH_PREFIX)?.split('#');
    let level = parts.next()?.parse().ok()?;
    Some((level, DateRange { since: parts.next()?.parse().ok()?, until: parts.next()?.parse().ok()? }))
}

/// Returns the prefix of the sort keys of the rows of all counts of a period.
pub fn reach_rows_prefix(level: Level, DateRange { since, until }: DateRange) -> String {
    format!("REACH_ROWS#{level}#{since}#{until}#")
}

/// Builds the key of a part of the rows of a count. Those of an earlier count sort before it.
pub fn reach_rows(
    ws: &Tenant,
    account: &AdAccountId,
    (level, period): (Level, DateRange),
    counted_at: Timestamp,
    part: usize,
) -> Key {
    let (prefix, counted_at) = (reach_rows_prefix(level, period), counted_at.as_millisecond());
    key(account_partition(ws, account), format!("{prefix}{counted_at:013}#{part:03}"))
}

/// Where a segment of a block of facts is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SegmentPlace {
    /// Level of its rows.
    pub level: BlockLevel,
    /// Which segment.
    pub segment: Segment,
    /// Day of its rows.
    pub day: Date,
    /// Number of bits that tell the day's shards apart.
    pub bits: u8,
    /// The shard.
    pub shard: usize,
    /// Which of the two slots, between which generations alternate.
    pub slot: u8,
}

impl SegmentPlace {
    /// Returns the sort key, inside the partition of its week.
    pub fn sort_key(&self) -> String {
        let Self { level, segment, day, bits, shard, slot } = self;
        let slot = if *slot == 0 { 'a' } else { 'b' };
        format!("{}#{}#{day}#{bits}.{shard:03}#{slot}", level.level(), segment.as_str())
    }
}

/// Builds the key of a segment of a block of facts.
pub fn segment(ws: &Tenant, account: &AdAccountId, dataset: Dataset, place: &SegmentPlace) -> Key {
    key(fact_partition(ws, account, dataset, IsoWeek::of(place.day)), place.sort_key())
}

/// Begins the sort key of a schedule.
pub const SCHEDULE_PREFIX: &str = "SCHEDULE#";

/// Builds the key of a campaign's schedule for an action.
pub fn schedule(ws: &Tenant, account: &AdAccountId, campaign: &EntityId, action: ScheduledAction) -> Key {
    key(account_partition(ws, account), format!("{SCHEDULE_PREFIX}{}", schedule_position(campaign, action)))
}

/// Returns what tells a schedule from the others of its account.
pub fn schedule_position(campaign: &EntityId, action: ScheduledAction) -> String {
    match action {
        ScheduledAction::Activate => campaign.to_string(),
        ScheduledAction::Pause | ScheduledAction::Archive => format!("{campaign}#{}", action.as_str()),
    }
}

/// Builds the key of how far the platform's log of an ad account was read.
pub fn activity_progress(ws: &Tenant, account: &AdAccountId) -> Key {
    key(account_partition(ws, account), "ACTIVITIES")
}

/// Builds the key of the custom conversions of an ad account.
pub fn custom_conversions(ws: &Tenant, account: &AdAccountId) -> Key {
    key(account_partition(ws, account), "CUSTOM_CONVERSIONS")
}

/// Builds the key of a change in the log of an ad account.
pub fn account_change(ws: &Tenant, account: &AdAccountId, id: &str) -> Key {
    key(account_partition(ws, account), format!("{ACCOUNT_CHANGE_PREFIX}{id}"))
}

/// Prefix of the sort keys of changes.
pub const ACCOUNT_CHANGE_PREFIX: &str = "CHANGE#";

/// Builds the key of a decision: at most one per rule, entity and day.
pub fn decision(ws: &Tenant, rule: &RuleId, day: Date, entity: &EntityId) -> Key {
    key(decision_partition(ws, rule), format!("DECISION#{day}#{entity}"))
}

/// Builds the key of an entry in the index from an ad account or entity of a platform to the accounts that have it.
pub fn entity_index(id: &EntityId, ws: &Tenant, account: &AdAccountId) -> Key {
    key(entity_index_partition(account.platform(), id), format!("WS#{ws}#{account}"))
}

/// Builds the key of an entry in the due index, over all workspaces.
pub fn due(ws: &Tenant, account: &AdAccountId) -> Key {
    key(due_partition(due::shard(ws, account)), format!("WS#{ws}#{account}"))
}

/// Returns the partition of a shard of that index.
pub fn due_partition(shard: u8) -> String {
    format!("DUE#{shard:02}")
}

/// Builds the key of an entry in the listing of all connections, over all workspaces.
pub fn connection_listing(ws: &Tenant, id: &ConnectionId) -> Key {
    key(CONNECTIONS_PARTITION.to_owned(), format!("WS#{ws}#{id}"))
}

/// Partition of that listing.
pub const CONNECTIONS_PARTITION: &str = "CONNECTIONS";

/// Returns the partition of the index from a connection to the workspaces in which its data may be stored.
pub fn connection_index_partition(id: &ConnectionId) -> String {
    format!("CONNECTION_INDEX#{id}")
}

/// Builds the key of an entry in that index. The entry outlives the connection.
pub fn connection_index(ws: &Tenant, id: &ConnectionId) -> Key {
    key(connection_index_partition(id), format!("WS#{ws}"))
}

/// Returns the partition of a workspace's audit log. IAM policies match it by its suffix.
pub fn audit_partition(ws: &WorkspaceId) -> String {
    format!("WS#{ws}#AUDIT")
}

/// Returns the sort key of an audit entry. Ids sort by time.
pub fn audit_entry_sort_key(id: &str) -> String {
    format!("ENTRY#{id}")
}

/// Returns the sort key of a digest, padded so that digests sort by number.
pub fn audit_digest_sort_key(seq: u64) -> String {
    format!("DIGEST#{seq:020}")
}

/// Builds the key of the last digest's copy.
pub fn audit_head(ws: &WorkspaceId) -> Key {
    key(audit_partition(ws), "HEAD")
}

/// Builds the key of the marker that an event has its audit entry.
pub fn audit_event_marker(ws: &WorkspaceId, event_id: &str) -> Key {
    key(audit_partition(ws), format!("EVENT#{event_id}"))
}

/// Builds the key of a person's deletion request.
pub fn deletion_request(code: &str) -> Key {
    key(DELETION_REQUESTS_PARTITION.to_owned(), code)
}

/// Returns the partition of the places in which a deletion request deletes.
pub fn deletion_scopes_partition(code: &str) -> String {
    format!("DELETION_SCOPES#{code}")
}

/// Builds the key of one of these places: an ad account, or a workspace's connection.
pub fn deletion_scope(code: &str, ws: &Tenant, account: Option<&AdAccountId>) -> Key {
    let account = account.map(|account| format!("#{account}")).unwrap_or_default();
    key(deletion_scopes_partition(code), format!("WS#{ws}{account}"))
}

/// Builds the key of an entry in the listing of workspaces that are being deleted.
pub fn deleted_workspace(ws: &Tenant) -> Key {
    key(DELETED_WORKSPACES_PARTITION.to_owned(), format!("WS#{ws}"))
}

/// Partition of that listing.
pub const DELETED_WORKSPACES_PARTITION: &str = "DELETED_WORKSPACES";

/// Partition of deletion requests.
pub const DELETION_REQUESTS_PARTITION: &str = "DELETION_REQUESTS";

/// Builds the key of the state of one of the platform's limits for an app.
pub fn limit(app: &str, of: LimitScope<'_>) -> Key {
    let sk = match of {
        LimitScope::App => "APP".to_owned(),
        LimitScope::Account(account) => format!("ACCOUNT#{account}"),
        LimitScope::Budget(entity) => format!("BUDGET#{entity}"),
        LimitScope::Insights(account, dataset) => format!("INSIGHTS#{account}#{}", dataset.name),
        LimitScope::RemovedFields(version) => format!("REMOVED_FIELDS#{version}"),
    };
    key(format!("LIMIT#{app}"), sk)
}

/// Builds the key of what a platform says about a version of its API that an app asks for.
pub fn served_version(app: &str, requested: &str) -> Key {
    key(format!("VERSION#{app}"), requested)
}

/// Returns the partition of the index from an entity of a platform to the ad accounts that have it.
pub fn entity_index_partition(platform: Platform, id: &EntityId) -> String {
    format!("PLATFORM#{}#{id}", platform.as_str())
}

#[cfg(test)]
mod tests {
    use domain::tenant::trusted;
    use serde::de::value::{Error, StrDeserializer};

    use super::*;

    #[test]
    fn one_workspace_cannot_name_another_ones_items() {
        // No id admits '#', so none can imitate a longer key.
        let tenant = |name| trusted::deserialize(StrDeserializer::<Error>::new(name));
        assert!(tenant("a#act_1").is_err());
        let (a, b) = (tenant("a").unwrap(), tenant("ab").unwrap());
        let act = "act_1".parse().unwrap();
        assert_ne!(account_partition(&a, &act), account_partition(&b, &act));
        let place = SegmentPlace {
            level: BlockLevel::Ad,
            segment: Segment::Detail,
            day: jiff::civil::date(2026, 11, 18),
            bits: 3,
            shard: 5,
            slot: 1,
        };
        let pk = "WS#a#act_1#FACTS#ad_day#2026-W47".to_owned();
        let sk = "ad#detail#2026-11-18#3.005#b".to_owned();
        assert_eq!(segment(&a, &act, Dataset::AD_DAY, &place), Key { pk, sk });
    }
}
