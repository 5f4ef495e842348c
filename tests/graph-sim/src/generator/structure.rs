//! The objects of a generated account: names, ids, settings and dates.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::date;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::plan::{Goal, Plan};
use super::seeded_rng::SeededRng;
use crate::config::Generator;
use crate::facts::AdRef;
use crate::money;
use crate::node::{Account, Kind, Node, graph_time};
use crate::processing::ProcessingState;
use crate::world;

const PRODUCTS: [&str; 10] = [
    "Espresso machines",
    "Running shoes",
    "Desk lamps",
    "Rain jackets",
    "Yoga mats",
    "Travel bags",
    "Green tea",
    "Headphones",
    "Bed linen",
    "Skin care",
];
const PHASES: [&str; 4] = ["Prospecting", "Retargeting", "Launch", "Always on"];
const AUDIENCES: [&str; 8] = [
    "Broad 25-54",
    "Lookalike 1% buyers",
    "Lookalike 3% visitors",
    "Visitors 30d",
    "Cart abandoners 14d",
    "Interests home",
    "Interests sport",
    "Newsletter readers",
];
const FORMATS: [&str; 5] = ["Image", "Carousel", "Story", "Collection", "Square"];
const HOOKS: [&str; 8] = [
    "free delivery",
    "new season",
    "five stars",
    "behind the scenes",
    "before and after",
    "two for one",
    "made to last",
    "gift guide",
];

/// Builds the account and its objects; the third part lists the ads in the plan's order.
pub(super) fn build(
    generator: &Generator,
    plan: &Plan,
    (name, prefix): (&str, u64),
    zone: TimeZone,
) -> (Account, BTreeMap<String, Node>, Vec<AdRef>) {
    let digits = plan.rng.derive(1).between(200_000_000_000_000, 899_999_999_999_999).to_string();
    let account = world::account(&digits, name, &generator.currency, &generator.timezone, zone);
    let mut builder = Builder { generator, plan, prefix, account, nodes: BTreeMap::new() };
    for index in 0..plan.campaigns.len() {
        builder.campaign(index);
    }
    for index in 0..plan.adsets.len() {
        builder.adset(index);
    }
    for index in 0..plan.ads.len() {
        builder.creative(index);
        builder.ad(index);
    }
    let ads = (0..plan.ads.len()).map(|index| builder.ad_ref(index)).collect();
    (builder.account, builder.nodes, ads)
}

struct Builder<'a> {
    generator: &'a Generator,
    plan: &'a Plan,
    /// Five digits that the ids of this account's objects share, and no other account's.
    prefix: u64,
    account: Account,
    nodes: BTreeMap<String, Node>,
}

impl Builder<'_> {
    fn campaign(&mut self, index: usize) {
        let plan = self.plan.campaigns[index];
        let rng = self.rng(Kind::Campaign, index);
        let (objective, label) = match plan.goal {
            Goal::Sales => ("OUTCOME_SALES", "Sales"),
            Goal::Traffic => ("OUTCOME_TRAFFIC", "Traffic"),
            Goal::Leads => ("OUTCOME_LEADS", "Leads"),
        };
        let name = format!("{label} | {} | {}", rng.derive(1).pick(&PRODUCTS), rng.derive(2).pick(&PHASES));
        let mut fields = self.common(Kind::Campaign, index, &name, plan.status);
        set(
            &mut fields,
            json!({
                "objective": objective,
                "buying_type": "AUCTION",
                "special_ad_categories": [],
                "budget_remaining": "0",
                "budget_rebalance_flag": false,
            }),
        );
        if plan.holds_budget {
            set(
                &mut fields,
                json!({
                    "daily_budget": self.budget(rng, 40_000),
                    "bid_strategy": "LOWEST_COST_WITHOUT_CAP",
                }),
            );
        } else {
            set(&mut fields, json!({ "is_adset_budget_sharing_enabled": false }));
        }
        self.add(Kind::Campaign, index, fields);
    }

    fn adset(&mut self, index: usize) {
        let plan = self.plan.adsets[index];
        let campaign = self.plan.campaigns[plan.campaign];
        let rng = self.rng(Kind::AdSet, index);
        let audience = rng.derive(1).pick(&AUDIENCES);
        let name = format!("{audience} | {:03}", index + 1);
        let mut fields = self.common(Kind::AdSet, index, &name, plan.status);
        let (goal, event) = match campaign.goal {
            Goal::Sales => ("OFFSITE_CONVERSIONS", "PURCHASE"),
            Goal::Traffic => ("LINK_CLICKS", ""),
            Goal::Leads => ("OFFSITE_CONVERSIONS", "LEAD"),
        };
        let created = fields.get("created_time").cloned();
        set(
            &mut fields,
            json!({
                "campaign_id": self.id(Kind::Campaign, plan.campaign),
                "billing_event": "IMPRESSIONS",
                "optimization_goal": goal,
                "budget_remaining": "0",
                "is_dynamic_creative": false,
                "start_time": created,
                "targeting": {
                    "age_min": 25,
                    "age_max": 54,
                    "geo_locations": {"countries": ["SG"]},
                    "targeting_automation": {"advantage_audience": 0},
                },
                "attribution_spec": [
                    {"event_type": "CLICK_THROUGH", "window_days": 7},
                    {"event_type": "VIEW_THROUGH", "window_days": 1},
                ],
            }),
        );
        if !event.is_empty() {
            let pixel = format!("9{}", &self.account.digits[1..]);
            set(&mut fields, json!({"promoted_object": {"pixel_id": pixel, "custom_event_type": event}}));
        }
        if !campaign.holds_budget {
            set(
                &mut fields,
                json!({
                    "daily_budget": self.budget(rng, 15_000),
                    "bid_strategy": "LOWEST_COST_WITHOUT_CAP",
                }),
            );
        }
        self.add(Kind::AdSet, index, fields);
    }

    fn creative(&mut self, index: usize) {
        let name = format!("Creative {:03}", index + 1);
        let story = format!("{}_{}", self.account.page_id, 700_000_000_000_000_u64 + index as u64);
        let fields = json!({
            "id": self.id(Kind::Creative, index),
            "account_id": self.account.digits,
            "name": name,
            "status": "ACTIVE",
            "object_type": if self.plan.ads[index].video { "VIDEO" } else { "SHARE" },
            "object_story_id": story,
            "effective_object_story_id": story,
        });
        self.add(Kind::Creative, index, fields.as_object().cloned().unwrap_or_default());
    }

    fn ad(&mut self, index: usize) {
        let plan = self.plan.ads[index];
        let rng = self.rng(Kind::Ad, index);
        let format = if plan.video { "Video" } else { rng.derive(1).pick(&FORMATS) };
        let name = format!("{format} | {} | {:03}", rng.derive(2).pick(&HOOKS), index + 1);
        let mut fields = self.common(Kind::Ad, index, &name, plan.status);
        set(
            &mut fields,
            json!({
                "adset_id": self.id(Kind::AdSet, plan.adset),
                "campaign_id": self.id(Kind::Campaign, plan.campaign),
                "creative": {"id": self.id(Kind::Creative, index)},
            }),
        );
        self.add(Kind::Ad, index, fields);
    }

    fn ad_ref(&self, index: usize) -> AdRef {
        let plan = self.plan.ads[index];
        AdRef {
            ad: self.id(Kind::Ad, index),
            adset: self.id(Kind::AdSet, plan.adset),
            campaign: self.id(Kind::Campaign, plan.campaign),
        }
    }

    fn common(&self, kind: Kind, index: usize, name: &str, status: &str) -> Map<String, Value> {
        let created = graph_time(self.created(kind, index), &self.account.zone);
        let fields = json!({
            "id": self.id(kind, index),
            "account_id": self.account.digits,
            "name": name,
            "status": status,
            "configured_status": status,
            "created_time": created,
            "updated_time": created,
        });
        fields.as_object().cloned().unwrap_or_default()
    }

    /// Returns the creation time: campaigns were created in 2025, the objects in them some hours later.
    fn created(&self, kind: Kind, index: usize) -> Timestamp {
        let campaign = match kind {
            Kind::AdSet => self.plan.adsets[index].campaign,
            Kind::Ad => self.plan.ads[index].campaign,
            _ => index,
        };
        let rng = self.rng(Kind::Campaign, campaign);
        let later =
            if kind == Kind::Campaign { 0 } else { self.rng(kind, index).derive(9).between(600, 20_000) };
        let seconds = rng.derive(8).between(0, 300) * 86_400 + rng.derive(9).between(6, 16) * 3_600 + later;
        let first = date(2025, 1, 6).at(0, 0, 0, 0).to_zoned(self.account.zone.clone());
        let first = first.map_or(Timestamp::UNIX_EPOCH, |first| first.timestamp());
        first + jiff::SignedDuration::from_secs(seconds.cast_signed())
    }

    fn budget(&self, rng: SeededRng, most: u64) -> String {
        // Budgets are round amounts, in a size that is usual for the currency.
        let step = if money::decimals(&self.generator.currency) == 0 { 100 } else { 500 };
        (rng.derive(5).between(2_000, most) / step * step).to_string()
    }

    fn rng(&self, kind: Kind, index: usize) -> SeededRng {
        self.plan.rng.derive(10 + kind as u64).derive(index as u64)
    }

    /// Returns an id of eighteen digits, like Meta's; ids differ by account and kind.
    fn id(&self, kind: Kind, index: usize) -> String {
        format!("1202{:05}{}{index:06}04", self.prefix, kind as u8)
    }

    fn add(&mut self, kind: Kind, index: usize, fields: Map<String, Value>) {
        let node = Node {
            kind,
            account: self.account.digits.clone(),
            position: index as i64,
            fields,
            processing: ProcessingState::Idle,
        };
        self.nodes.insert(self.id(kind, index), node);
    }
}

fn set(fields: &mut Map<String, Value>, more: Value) {
    if let Value::Object(more) = more {
        fields.extend(more);
    }
}
