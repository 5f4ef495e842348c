//! The simulated graph: accounts, their nodes and their numbers.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use crate::activity::{self, Activity, Author};
use crate::business::Businesses;
use crate::event::AccountEvent;
use crate::facts::Facts;
use crate::media::video::Uploads;
use crate::money;
use crate::node::{Account, Kind, Node};
use crate::processing::{Deadlines, ProcessingState, has_issues};
use crate::reports::ReportRuns;
use crate::status;
use crate::write_settings::{MediaLimits, WriteSettings};

/// All data of ad accounts.
#[derive(Clone)]
pub(crate) struct World {
    /// The main account comes first.
    pub(crate) accounts: Vec<Account>,
    pub(crate) nodes: BTreeMap<String, Node>,
    /// The owners of the accounts.
    pub(crate) businesses: Businesses,
    /// Times of budget changes, by object: Graph allows four changes an hour.
    pub(crate) budget_changes: BTreeMap<String, Vec<Timestamp>>,
    /// Events since they were last collected.
    pub(crate) events: Vec<AccountEvent>,
    /// The activity log, newest entry last.
    pub(crate) activities: Vec<Activity>,
    /// How this simulator processes writes.
    pub(crate) writing: WriteSettings,
    pub(crate) media: MediaLimits,
    pub(crate) uploads: Uploads,
    /// The simulator's base URL, for upload URLs.
    pub(crate) base_url: String,
    /// The app whose tokens callers have.
    pub(crate) app_id: String,
    pub(crate) deadlines: Deadlines,
    pub(crate) reports: ReportRuns,
    created: i64,
}

impl World {
    /// Creates a world of this main account and two small accounts.
    pub(crate) fn new(main: Account) -> Self {
        let accounts = vec![
            main,
            small_account("1000000000000071", "Small account in yen", "JPY", "Asia/Tokyo"),
            small_account("1000000000000072", "Small account in dollars", "USD", "America/New_York"),
        ];
        Self {
            accounts,
            nodes: BTreeMap::new(),
            businesses: Businesses::default(),
            budget_changes: BTreeMap::new(),
            events: Vec::new(),
            activities: Vec::new(),
            writing: WriteSettings::default(),
            media: MediaLimits::default(),
            uploads: Uploads::default(),
            base_url: String::new(),
            app_id: String::new(),
            deadlines: Deadlines::new(),
            reports: ReportRuns::default(),
            created: 0,
        }
    }

    pub(crate) fn main(&self) -> &Account {
        &self.accounts[0]
    }

    pub(crate) fn account(&self, digits: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.digits == digits)
    }

    /// Returns the account that something belongs to; what a recording does not assign belongs to the main one.
    pub(crate) fn account_of(&self, digits: &str) -> &Account {
        self.account(digits).unwrap_or(self.main())
    }

    /// Returns an account's numbers, to change them.
    pub(crate) fn facts_of(&mut self, digits: &str) -> Option<&mut Facts> {
        let account = self.accounts.iter_mut().find(|account| account.digits == digits);
        account.map(|account| &mut account.facts)
    }

    /// Generates the numbers of every account up to its own day.
    pub(crate) fn generate_until(&mut self, now: Timestamp) {
        for account in &mut self.accounts {
            account.facts.generate_until(now.to_zoned(account.zone.clone()).date());
        }
    }

    /// Returns the account that owns a node; every node belongs to one of `accounts`.
    pub(crate) fn owner(&self, node: &Node) -> &Account {
        self.account_of(&node.account)
    }

    /// Adds an object created by a caller before all others and returns its id. Ids are derived from the number of
    /// objects created so far, so that a replayed journal gives the same ones.
    pub(crate) fn create(&mut self, kind: Kind, account: &str, mut fields: Map<String, Value>) -> String {
        let id = self.next_id();
        fields.insert("id".into(), json!(id));
        self.insert(kind, account, &id, fields);
        id
    }

    /// Adds an object that already has an id, before all others.
    pub(crate) fn insert(&mut self, kind: Kind, account: &str, id: &str, fields: Map<String, Value>) {
        let (account, position) = (account.to_owned(), -self.created);
        let node = Node { kind, account, position, fields, processing: ProcessingState::Idle };
        self.activities.extend(activity::for_created(&node, self.owner(&node), Author::App(&self.app_id)));
        self.nodes.insert(id.to_owned(), node);
    }

    /// Logs how an object differs from its earlier state.
    pub(crate) fn log_change(&mut self, before: &Node, at: Timestamp, is_of_app: bool) {
        let id = before.text("id").unwrap_or_default();
        let Some(after) = self.nodes.get(id) else { return };
        let author = if is_of_app { Author::App(&self.app_id) } else { Author::Person };
        self.activities.extend(activity::for_changed(before, after, self.owner(after), (at, author)));
    }

    /// Returns an id that no object has yet.
    pub(crate) fn next_id(&mut self) -> String {
        loop {
            self.created += 1;
            let id = (120_290_000_000_000_000 + self.created * 10_000).to_string();
            if !self.nodes.contains_key(&id) {
                return id;
            }
        }
    }

    /// Returns the nodes of one kind in an account, in listing order.
    pub(crate) fn of_account(&self, kind: Kind, account: &str) -> Vec<&Node> {
        let mut nodes: Vec<&Node> =
            self.nodes.values().filter(|node| node.kind == kind && node.account == account).collect();
        nodes.sort_by_key(|node| node.position);
        nodes
    }

    /// Returns the number of active ads in an account.
    pub(crate) fn active_ads(&self, account: &str) -> u64 {
        let ads = self.nodes.values().filter(|node| node.kind == Kind::Ad && node.account == account);
        ads.filter(|ad| self.effective_status(ad) == "ACTIVE").count() as u64
    }

    /// Returns a node's effective status, which takes its parents, processing and issues into account.
    pub(crate) fn effective_status(&self, node: &Node) -> String {
        let inherited = self.inherited_status(node);
        if matches!(inherited.as_str(), "ARCHIVED" | "DELETED") {
            return inherited;
        }
        match node.processing {
            ProcessingState::InProcess(..) => "IN_PROCESS".to_owned(),
            ProcessingState::InReview(_) => "PENDING_REVIEW".to_owned(),
            ProcessingState::Disapproved => "DISAPPROVED".to_owned(),
            ProcessingState::Idle | ProcessingState::Encoding(..)
                if inherited == "ACTIVE" && has_issues(node.fields.get("issues_info")) =>
            {
                "WITH_ISSUES".to_owned()
            }
            ProcessingState::Idle | ProcessingState::Encoding(..) => inherited,
        }
    }

    /// Returns the effective status of a node without regard to processing and issues.
    fn inherited_status(&self, node: &Node) -> String {
        if let Some(recorded) = node.text("effective_status") {
            return recorded.to_owned();
        }
        let parent = node.parent_id().and_then(|id| self.nodes.get(id));
        let above = parent.map(|parent| (parent.kind, self.inherited_status(parent)));
        let above = above.as_ref().map(|(kind, status)| (*kind, status.as_str()));
        status::effective(node.configured_status(), above).to_owned()
    }

    /// Changes a node's status and removes the recorded effective statuses below it, which are no longer valid.
    pub(crate) fn set_status(&mut self, id: &str, status: &str) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.set_status(status);
        }
        let below: Vec<String> = self
            .nodes
            .iter()
            .filter(|(_, node)| self.is_descendant(node, id))
            .map(|(below, _)| below.clone())
            .collect();
        for below in below {
            if let Some(node) = self.nodes.get_mut(&below) {
                node.fields.remove("effective_status");
            }
        }
    }

    /// Applies a change made by a user outside of the API; a null value removes the field.
    pub(crate) fn update(&mut self, id: &str, changes: Value, now: Timestamp) {
        let Value::Object(changes) = changes else { return };
        let Some(before) = self.nodes.get(id).cloned() else { return };
        let status =
            changes.get("status").or_else(|| changes.get("configured_status")).and_then(Value::as_str);
        if let Some(status) = status {
            self.set_status(id, status);
        }
        let zone = self.owner(&before).zone.clone();
        let Some(node) = self.nodes.get_mut(id) else { return };
        // Graph leaves a campaign's updated_time unchanged when only money fields change.
        let only_money = changes.keys().all(|name| name.contains("budget") || name == "spend_cap");
        if node.kind.delivers() && !(node.kind == Kind::Campaign && only_money) {
            node.touch(now, &zone);
        }
        for (name, value) in changes {
            match value {
                Value::Null => drop(node.fields.remove(&name)),
                value => drop(node.fields.insert(name, value)),
            }
        }
        self.log_change(&before, now, false);
    }

    fn is_descendant(&self, node: &Node, id: &str) -> bool {
        match node.parent_id() {
            Some(parent) if parent == id => true,
            Some(parent) => self.nodes.get(parent).is_some_and(|parent| self.is_descendant(parent, id)),
            None => false,
        }
    }

    /// Returns the node's fields, with those derived from other nodes.
    pub(crate) fn all_fields(&self, node: &Node) -> Map<String, Value> {
        let mut fields = node.fields.clone();
        if node.kind.delivers() {
            fields.insert("effective_status".into(), json!(self.effective_status(node)));
        }
        fields
    }

    /// Returns the current day in an account's time zone.
    pub(crate) fn today(&self, account: &Account, now: Timestamp) -> Date {
        now.to_zoned(account.zone.clone()).date()
    }
}

/// Returns an account with the fields that every account of the simulator has.
pub(crate) fn account(digits: &str, name: &str, currency: &str, zone_name: &str, zone: TimeZone) -> Account {
    let page_id = format!("61{}", digits.get(digits.len().saturating_sub(12)..).unwrap_or(digits));
    let fields = json!({
        "id": format!("act_{digits}"),
        "account_id": digits,
        "name": name,
        "account_status": 1,
        "disable_reason": 0,
        "age": 700,
        "amount_spent": "0",
        "balance": "0",
        "spend_cap": "0",
        "min_daily_budget": money::min_daily_budget(currency),
        "currency": currency,
        "timezone_name": zone_name,
        "is_personal": 0,
        "is_prepay_account": false,
        "created_time": "2024-12-02T09:00:00+0000",
        "owner": "900000000000001",
        "fb_entity": 1,
        "is_notifications_enabled": true,
        "is_direct_deals_enabled": false,
        "has_migrated_permissions": true,
        "business_name": "Adflight test company",
        "business": {"id": "900000000000001", "name": "Adflight test company"},
        "user_tasks": ["DRAFT", "ANALYZE", "ADVERTISE", "MANAGE"],
        "capabilities": [],
    });
    Account {
        digits: digits.to_owned(),
        currency: currency.to_owned(),
        zone,
        zone_name: zone_name.to_owned(),
        page_id,
        facts: Facts::default(),
        fields: fields.as_object().cloned().unwrap_or_default(),
    }
}

fn small_account(digits: &str, name: &str, currency: &str, zone_name: &str) -> Account {
    account(digits, name, currency, zone_name, TimeZone::get(zone_name).unwrap_or(TimeZone::UTC))
}
