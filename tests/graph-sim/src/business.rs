//! Businesses: the ad accounts they own or share with partners, and their members.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::call::GraphCall;
use crate::error::{GraphError, invalid, rule_violation, unsupported, with_blame};
use crate::node::Account;
use crate::object::{Object, plain};
use crate::params::Params;
use crate::state::State;
use crate::token::{Claims, TokenLifetime, TokenOwner};
use crate::world::World;
use crate::write::Write;

/// Tasks that a business can grant in an ad account; the first two allow writes.
const TASK_NAMES: [&str; 4] = ["MANAGE", "ADVERTISE", "ANALYZE", "DRAFT"];

/// Ownership and membership. A user without an entry in `members` is a member of every business of the accounts; a
/// business that a test adds has no members until one is added.
#[derive(Clone, Default)]
pub(crate) struct Businesses {
    /// Names of businesses added by a test, by id.
    pub(crate) added: BTreeMap<String, String>,
    /// Accounts (ids without `act_`) that partners share with a business, by business.
    shared: BTreeMap<String, BTreeSet<String>>,
    /// Businesses, by user or system user.
    members: BTreeMap<String, BTreeSet<String>>,
    /// Accounts (ids without `act_`) that are assigned to no user and can be reached through a business only.
    pub(crate) unassigned: BTreeSet<String>,
    /// Tasks of a user in an account, where they are limited.
    tasks: BTreeMap<(String, String), Vec<String>>,
    system_users: u64,
}

impl Businesses {
    pub(crate) fn share(&mut self, digits: &str, with: &str) {
        self.shared.entry(with.to_owned()).or_default().insert(digits.to_owned());
    }

    pub(crate) fn add_member(&mut self, user: &str, business: &str) {
        self.members.entry(user.to_owned()).or_default().insert(business.to_owned());
    }

    pub(crate) fn set_tasks(&mut self, user: &str, digits: &str, tasks: Vec<String>) {
        self.tasks.insert((user.to_owned(), digits.to_owned()), tasks);
    }

    /// Returns a user's tasks in an account, if a test has limited them.
    pub(crate) fn tasks(&self, user: &str, digits: &str) -> Option<&Vec<String>> {
        self.tasks.get(&(user.to_owned(), digits.to_owned()))
    }

    fn has_member(&self, business: &str, user: &str) -> bool {
        self.members.get(user).map_or(!self.added.contains_key(business), |in_| in_.contains(business))
    }

    fn is_shared(&self, business: &str, digits: &str) -> bool {
        self.shared.get(business).is_some_and(|accounts| accounts.contains(digits))
    }
}

/// Returns the business that owns an account; `None` for a personal account.
fn owner(account: &Account) -> Option<&str> {
    account.fields.get("business")?.get("id")?.as_str()
}

/// Returns whether a token's owner can access an account: through a business that owns it or that it is shared with,
/// and only if the user selected it in the login dialog.
pub(crate) fn can_access(world: &World, claims: &Claims, account: &Account) -> bool {
    let businesses = &world.businesses;
    let through_a_business = || {
        let shared_with = businesses.shared.keys().filter(|with| businesses.is_shared(with, &account.digits));
        owner(account)
            .into_iter()
            .chain(shared_with.map(String::as_str))
            .any(|business| businesses.has_member(business, &claims.user))
    };
    let own = owner(account).is_none() && !claims.system;
    claims.can_see(&account.digits) && (own || through_a_business())
}

/// Returns every business, those of the initial accounts first.
pub(crate) fn all(world: &World) -> Vec<Object<'static>> {
    let mut seen = BTreeSet::new();
    let of_accounts = world.accounts.iter().filter_map(|account| account.fields.get("business").cloned());
    let added = world.businesses.added.iter().map(|(id, name)| json!({ "id": id, "name": name }));
    let all = of_accounts.chain(added).map(|business| plain("Business", business));
    all.filter(|business| seen.insert(business.id())).collect()
}

/// Returns the businesses that a user is a member of.
pub(crate) fn of(world: &World, claims: &Claims) -> Vec<Object<'static>> {
    let mut all = all(world);
    all.retain(|business| world.businesses.has_member(&business.id(), &claims.user));
    all
}

/// Returns the accounts behind an edge of a business.
pub(crate) fn accounts<'a>(world: &'a World, business: &str, edge: &str) -> Vec<Object<'a>> {
    let accounts = world.accounts.iter().filter(|account| match edge {
        "owned_ad_accounts" => owner(account) == Some(business),
        _ => world.businesses.is_shared(business, &account.digits),
    });
    accounts.map(Object::Account).collect()
}

/// Rejects users who are not members of a business or have not granted `business_management`.
pub(crate) fn check_access(world: &World, claims: &Claims, business: Option<&str>) -> Result<(), GraphError> {
    if let Some(id) = business.filter(|id| !world.businesses.has_member(id, &claims.user)) {
        return Err(unsupported("get", id));
    }
    if !claims.has("business_management") {
        let text = "(#200) Requires business_management permission to manage the object";
        return Err(GraphError::new(200, text).status(StatusCode::FORBIDDEN));
    }
    Ok(())
}

/// Rejects a write in an account in which the user's tasks allow reading only.
pub(crate) fn check_tasks(world: &World, claims: &Claims, digits: &str) -> Result<(), GraphError> {
    let tasks = world.businesses.tasks(&claims.user, digits);
    let may = tasks.is_none_or(|tasks| tasks.iter().any(|task| TASK_NAMES[..2].contains(&task.as_str())));
    if may {
        return Ok(());
    }
    let text = "(#200) You do not have the task ADVERTISE or MANAGE in this ad account";
    Err(GraphError::new(200, text).status(StatusCode::FORBIDDEN))
}

/// Rejects a system user's write that names a partner's business as the beneficiary, by name or by an identity of that
/// business. A system user acts for its own business: in an account that a partner shares it can do its tasks, but the
/// partner cannot be the beneficiary.
pub(crate) fn check_beneficiary(world: &World, claims: &Claims, write: &Write) -> Result<(), GraphError> {
    let digits = write.path.split('/').next().and_then(|first| first.strip_prefix("act_"));
    let account = match digits {
        Some(digits) => world.account(digits),
        None => write.path.split('/').next().and_then(|id| world.nodes.get(id)).map(|node| world.owner(node)),
    };
    let Some(account) = account.filter(|_| claims.system) else { return Ok(()) };
    let Some(partner) = owner(account).filter(|owner| !world.businesses.has_member(owner, &claims.user))
    else {
        return Ok(());
    };
    let name = account.fields.get("business").and_then(|business| business.get("name")?.as_str());
    let params = Params(&write.params);
    let text = "The business that benefits must be one that the system user belongs to.";
    let named = params.text("dsa_beneficiary").map(str::trim);
    if named.is_some_and(|named| name.is_some_and(|name| named.eq_ignore_ascii_case(name.trim()))) {
        let refused = rule_violation(3858081, text).kind("FacebookApiException");
        return Err(with_blame(refused, &["dsa_beneficiary"]));
    }
    let identities = params.text("regional_regulation_identities").unwrap_or("{}");
    let identities: BTreeMap<String, Value> = serde_json::from_str(identities).unwrap_or_default();
    let of_partner = |(name, id): (&String, &Value)| {
        name.ends_with("_beneficiary") && id.as_str().is_some_and(|id| id.starts_with(partner))
    };
    if identities.iter().any(of_partner) {
        return Err(with_blame(rule_violation(3858550, text), &["regional_regulation_identities"]));
    }
    Ok(())
}

/// Handles `POST /{business}/system_users` and `POST /{business}/system_user_access_tokens`; returns `None` for any
/// other call.
pub(crate) fn handle(
    state: &mut State,
    call: &GraphCall,
    claims: &Claims,
    now: Timestamp,
) -> Option<Result<Value, GraphError>> {
    let path = call.path();
    let [business, edge @ ("system_users" | "system_user_access_tokens")] = path.as_slice() else {
        return None;
    };
    all(&state.world).into_iter().find(|known| known.id() == *business)?;
    if call.method != Method::POST {
        return None;
    }
    Some(check_access(&state.world, claims, Some(business)).and_then(|()| match *edge {
        "system_users" => new_system_user(state, call, business),
        _ => system_user_token(state, call, business, now),
    }))
}

fn new_system_user(state: &mut State, call: &GraphCall, business: &str) -> Result<Value, GraphError> {
    Params(&call.params).required("name")?;
    Ok(json!({ "id": create_system_user(&mut state.world, business) }))
}

/// Creates a system user of a business and returns its id.
pub(crate) fn create_system_user(world: &mut World, business: &str) -> String {
    world.businesses.system_users += 1;
    let id = format!("1001000000000{:05}", world.businesses.system_users);
    world.businesses.add_member(&id, business);
    id
}

fn system_user_token(
    state: &mut State,
    call: &GraphCall,
    business: &str,
    now: Timestamp,
) -> Result<Value, GraphError> {
    let params = Params(&call.params);
    let user = params.required("system_user_id")?;
    if !state.world.businesses.members.get(user).is_some_and(|in_| in_.contains(business)) {
        return Err(invalid("Param system_user_id must be a system user of this business"));
    }
    let list = |name: &str| -> Vec<String> {
        let text = params.text(name).unwrap_or_default();
        serde_json::from_str(text)
            .unwrap_or_else(|_| text.split(',').filter(|item| !item.is_empty()).map(str::to_owned).collect())
    };
    let scopes = list("scope");
    let assets: BTreeSet<String> =
        list("asset").iter().map(|id| id.trim_start_matches("act_").to_owned()).collect();
    let selected = (!assets.is_empty()).then_some(assets);
    let sixty_days = params.text("set_token_expires_in_60_days") == Some("true");
    let life = if sixty_days { TokenLifetime::Long } else { TokenLifetime::NonExpiring };
    let owner = TokenOwner { selected_accounts: selected.as_ref(), ..TokenOwner::new(user, &scopes, true) };
    let token = state.tokens.issue(&state.app.app_secret, owner, life, now);
    Ok(json!({ "access_token": token }))
}
