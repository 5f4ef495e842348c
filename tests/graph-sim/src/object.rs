//! Readable objects: ad accounts, the objects in them, and the related pages and businesses.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::activity::Activity;
use crate::business;
use crate::error::type_name;
use crate::insights::CUSTOM_CONVERSION_ID;
use crate::media::video;
use crate::money;
use crate::node::{Account, Kind, Node};
use crate::world::World;
use crate::write;

/// One object of the graph.
pub(crate) enum Object<'a> {
    Account(&'a Account),
    Node(&'a Node),
    /// An object that consists of its class and its field values only.
    Plain(&'static str, Map<String, Value>),
}

impl<'a> Object<'a> {
    pub(crate) fn find(world: &'a World, id: &str) -> Option<Self> {
        if let Some(digits) = id.strip_prefix("act_") {
            return world.account(digits).map(Object::Account);
        }
        if let Some(node) = world.nodes.get(id) {
            return Some(Object::Node(node));
        }
        if let Some(run) = world.reports.fields(id) {
            return Some(Object::Plain("AdReportRun", run));
        }
        let pages = world.accounts.iter().map(page);
        pages.chain(business::all(world)).find(|object| object.id() == id)
    }

    /// Returns the name of the object's class, which Graph's messages use too.
    pub(crate) fn class(&self) -> &'static str {
        match self {
            Self::Account(_) => type_name(Kind::Account),
            Self::Node(node) => type_name(node.kind),
            Self::Plain(class, _) => class,
        }
    }

    pub(crate) fn id(&self) -> String {
        match self {
            Self::Account(account) => format!("act_{}", account.digits),
            Self::Node(Node { fields, .. }) | Self::Plain(_, fields) => {
                fields.get("id").and_then(Value::as_str).unwrap_or_default().to_owned()
            }
        }
    }

    /// Returns the value of a field; `None` when Graph would omit the field.
    pub(crate) fn value(&self, world: &World, field: &str) -> Option<Value> {
        let stored = match self {
            Self::Account(_) if field == "id" => return Some(json!(self.id())),
            Self::Node(node) if field == "effective_status" && node.kind.delivers() => {
                return Some(json!(world.effective_status(node)));
            }
            Self::Account(account) => &account.fields,
            Self::Node(node) => &node.fields,
            Self::Plain(_, fields) => fields,
        };
        stored.get(field).filter(|value| !value.is_null()).cloned()
    }

    /// Returns the object a field refers to.
    pub(crate) fn linked(&self, world: &'a World, field: &str) -> Option<Self> {
        let Self::Node(node) = self else { return None };
        let id = match (node.kind, field) {
            (Kind::AdSet | Kind::Ad, "campaign") => node.text("campaign_id"),
            (Kind::Ad, "adset") => node.text("adset_id"),
            (Kind::Ad, "creative") => node.fields.get("creative")?.get("id")?.as_str(),
            (Kind::Campaign, "source_campaign") | (Kind::AdSet, "source_adset") | (Kind::Ad, "source_ad") => {
                node.text(&format!("{field}_id"))
            }
            _ => None,
        };
        world.nodes.get(id?).map(Object::Node)
    }

    /// Returns the objects of an edge, in listing order; empty for edges the simulator does not store.
    pub(crate) fn members(&self, world: &'a World, edge: &str) -> Vec<Self> {
        let nodes = match self {
            Self::Account(account) => {
                let kind = match edge {
                    "campaigns" => Kind::Campaign,
                    "adsets" => Kind::AdSet,
                    "ads" => Kind::Ad,
                    "adcreatives" => Kind::Creative,
                    "adimages" => Kind::Image,
                    "advideos" | "video_ads" => Kind::Video,
                    "customaudiences" => Kind::CustomAudience,
                    "minimum_budgets" => return rows("MinimumBudget", money::minimum_budgets()),
                    "dsa_recommendations" => {
                        return rows("AdAccountDsaRecommendations", write::dsa_recommendations(account));
                    }
                    "activities" => return activities(world, |activity| activity.account == account.digits),
                    "assigned_users" => return vec![person("AssignedUser", account)],
                    "adspixels" => return pixels(world, account),
                    "customconversions" => return vec![custom_conversion(account)],
                    "promote_pages" => return vec![page(account)],
                    _ => return Vec::new(),
                };
                world.of_account(kind, &account.digits)
            }
            Self::Node(node) if edge == "thumbnails" => {
                return rows("VideoThumbnail", video::thumbnails(node));
            }
            Self::Node(node) if edge == "activities" => {
                return activities(world, |activity| node.text("id") == Some(&activity.object_id));
            }
            Self::Node(node) => of_node(world, node, edge),
            Self::Plain("Business", _) if matches!(edge, "owned_ad_accounts" | "client_ad_accounts") => {
                return business::accounts(world, &self.id(), edge);
            }
            Self::Plain("Business", _) if edge == "owned_pages" => {
                return world.accounts.iter().map(page).collect();
            }
            Self::Plain(..) => return Vec::new(),
        };
        nodes.into_iter().map(Object::Node).collect()
    }
}

fn of_node<'a>(world: &'a World, node: &Node, edge: &str) -> Vec<&'a Node> {
    let (kind, key) = match (node.kind, edge) {
        (Kind::Campaign, "adsets") => (Kind::AdSet, "campaign_id"),
        (Kind::Campaign, "ads") => (Kind::Ad, "campaign_id"),
        (Kind::AdSet, "ads") => (Kind::Ad, "adset_id"),
        (Kind::Campaign | Kind::AdSet, "budget_schedules") => (Kind::BudgetSchedule, "ad_object_id"),
        (Kind::Campaign, "copies") => (Kind::Campaign, "source_campaign_id"),
        (Kind::AdSet, "copies") => (Kind::AdSet, "source_adset_id"),
        (Kind::Ad, "copies") => (Kind::Ad, "source_ad_id"),
        (Kind::AdSet | Kind::Ad, "adcreatives") => return creatives(world, node),
        _ => return Vec::new(),
    };
    let mut nodes = world.of_account(kind, &node.account);
    let id = node.text("id");
    nodes.retain(|node| node.text(key) == id);
    nodes
}

/// Returns the creatives of an ad, or of the ads of an ad set.
fn creatives<'a>(world: &'a World, node: &Node) -> Vec<&'a Node> {
    let id = node.text("id");
    let uses_creative = |ad: &Node| ad.text("id") == id || ad.text("adset_id") == id;
    let ads = world.of_account(Kind::Ad, &node.account).into_iter().filter(|ad| uses_creative(ad));
    let mut ids: Vec<&str> = ads.filter_map(|ad| ad.fields.get("creative")?.get("id")?.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut creatives: Vec<&Node> = ids.into_iter().filter_map(|id| world.nodes.get(id)).collect();
    creatives.sort_by_key(|creative| creative.position);
    creatives
}

/// Returns entries of the activity log, newest first.
fn activities(world: &World, wanted: impl Fn(&Activity) -> bool) -> Vec<Object<'static>> {
    let matching = world.activities.iter().rev().filter(|activity| wanted(activity));
    matching.map(|activity| plain("AdActivity", activity.fields.clone())).collect()
}

/// Returns the pixels that ad sets are optimised for.
fn pixels(world: &World, account: &Account) -> Vec<Object<'static>> {
    let adsets = world.of_account(Kind::AdSet, &account.digits);
    let ids: BTreeSet<&str> = adsets
        .iter()
        .filter_map(|adset| adset.fields.get("promoted_object")?.get("pixel_id")?.as_str())
        .collect();
    ids.into_iter().map(|id| plain("AdsPixel", json!({ "id": id, "name": "Simulated pixel" }))).collect()
}

/// Returns the one thing that an account counts by a rule of its own.
fn custom_conversion(account: &Account) -> Object<'static> {
    let fields = json!({
        "id": CUSTOM_CONVERSION_ID, "name": "Booked a demo", "account_id": account.digits, "is_archived": false,
        "custom_event_type": "LEAD", "rule": r#"{"url":{"i_contains":"/demo/booked"}}"#,
    });
    plain("CustomConversion", fields)
}

/// Returns the page that an account's ads belong to.
pub(crate) fn page(account: &Account) -> Object<'static> {
    plain("Page", json!({ "id": account.page_id, "name": "Simulated Page" }))
}

/// Returns the one user of the business who works in its accounts, as an object of the given class.
pub(crate) fn person(class: &'static str, account: &Account) -> Object<'static> {
    let field = |name: &str| account.fields.get(name).cloned().unwrap_or_default();
    let person = json!({
        "id": "900000000000011",
        "name": "Simulated Person",
        "business": field("business"),
        "tasks": field("user_tasks"),
        "role": "ADMIN",
    });
    plain(class, person)
}

/// Returns rows as objects of a class.
fn rows(class: &'static str, rows: Vec<Value>) -> Vec<Object<'static>> {
    rows.into_iter().map(|row| plain(class, row)).collect()
}

pub(crate) fn plain(class: &'static str, values: Value) -> Object<'static> {
    Object::Plain(class, values.as_object().cloned().unwrap_or_default())
}
