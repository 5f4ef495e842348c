//! The counts behind one generated row, and the row they make.

use std::ops::AddAssign;

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use crate::money::{major, ratio};

/// What was counted for an ad on a day. Money is in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) spend: u64,
    pub(crate) impressions: u64,
    pub(crate) reach: u64,
    pub(crate) clicks: u64,
    pub(crate) link_clicks: u64,
    pub(crate) landing_page_views: u64,
    pub(crate) video_views: u64,
    pub(crate) reactions: u64,
    pub(crate) page_likes: u64,
    pub(crate) adds_to_cart: u64,
    pub(crate) purchases: u64,
    pub(crate) purchase_value: u64,
    pub(crate) form_leads: u64,
    pub(crate) web_leads: u64,
}

impl AddAssign<&Self> for Numbers {
    /// Adds everything up. For reach the sum is only an upper bound of what was really reached.
    fn add_assign(&mut self, other: &Self) {
        self.spend += other.spend;
        self.impressions += other.impressions;
        self.reach += other.reach;
        self.clicks += other.clicks;
        self.link_clicks += other.link_clicks;
        self.landing_page_views += other.landing_page_views;
        self.video_views += other.video_views;
        self.reactions += other.reactions;
        self.page_likes += other.page_likes;
        self.adds_to_cart += other.adds_to_cart;
        self.purchases += other.purchases;
        self.purchase_value += other.purchase_value;
        self.form_leads += other.form_leads;
        self.web_leads += other.web_leads;
    }
}

/// The fields a generated row is made of; others follow from them.
pub(crate) const STORED: [&str; 9] = [
    "impressions",
    "reach",
    "frequency",
    "clicks",
    "inline_link_clicks",
    "spend",
    "actions",
    "action_values",
    "purchase_roas",
];

/// The same purchase as Meta lists it, once per name: never to be added up.
const PURCHASE: [&str; 5] = [
    "omni_purchase",
    "purchase",
    "offsite_conversion.fb_pixel_purchase",
    "onsite_web_purchase",
    "web_in_store_purchase",
];
const ADD_TO_CART: [&str; 3] = ["omni_add_to_cart", "add_to_cart", "offsite_conversion.fb_pixel_add_to_cart"];

impl Numbers {
    /// The row's fields that are wanted; what did not happen is absent from the lists, empty lists are absent.
    pub(crate) fn row(&self, currency: &str, wants: impl Fn(&str) -> bool) -> Map<String, Value> {
        let mut row = Map::new();
        let mut put = |name: &str, value: &dyn Fn() -> Option<Value>| {
            if wants(name)
                && let Some(value) = value()
            {
                row.insert(name.to_owned(), value);
            }
        };
        let count = |number: u64| Some(json!(number.to_string()));
        put("impressions", &|| count(self.impressions));
        put("reach", &|| count(self.reach));
        put("frequency", &|| {
            ratio(Decimal::from(self.impressions), Decimal::from(self.reach)).map(|r| json!(r.to_string()))
        });
        put("clicks", &|| count(self.clicks));
        put("inline_link_clicks", &|| count(self.link_clicks));
        put("spend", &|| Some(json!(major(self.spend, currency).to_string())));
        put("actions", &|| list(self.actions()));
        put("action_values", &|| {
            let value = major(self.purchase_value, currency).to_string();
            list(
                (self.purchases > 0)
                    .then(|| PURCHASE.map(|name| (name, value.clone())))
                    .into_iter()
                    .flatten(),
            )
        });
        put("purchase_roas", &|| {
            let roas = ratio(Decimal::from(self.purchase_value), Decimal::from(self.spend))?;
            list((self.purchases > 0).then(|| ("omni_purchase", roas.to_string())))
        });
        row
    }

    fn actions(&self) -> impl Iterator<Item = (&'static str, String)> {
        let post_engagement = self.link_clicks + self.video_views + self.reactions;
        let leads = self.form_leads + self.web_leads;
        let purchases = PURCHASE.map(|name| (name, self.purchases));
        let adds_to_cart = ADD_TO_CART.map(|name| (name, self.adds_to_cart));
        let others = [
            ("link_click", self.link_clicks),
            ("landing_page_view", self.landing_page_views),
            ("omni_landing_page_view", self.landing_page_views),
            ("video_view", self.video_views),
            ("post_reaction", self.reactions),
            ("like", self.page_likes),
            ("post_engagement", post_engagement),
            ("page_engagement", post_engagement + self.page_likes),
            ("lead", leads),
            ("onsite_conversion.lead_grouped", self.form_leads),
            ("offsite_conversion.fb_pixel_lead", self.web_leads),
        ];
        others
            .into_iter()
            .chain(adds_to_cart)
            .chain(purchases)
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| (name, count.to_string()))
    }
}

fn list(entries: impl IntoIterator<Item = (&'static str, String)>) -> Option<Value> {
    let entries: Vec<Value> = entries
        .into_iter()
        .map(|(name, value)| {
            let mut entry = Map::new();
            entry.insert("action_type".to_owned(), Value::String(name.to_owned()));
            entry.insert("value".to_owned(), Value::String(value));
            Value::Object(entry)
        })
        .collect();
    (!entries.is_empty()).then_some(Value::Array(entries))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_made_of_text_and_leaves_out_what_did_not_happen() {
        let numbers =
            Numbers { spend: 4210, impressions: 8801, reach: 7000, clicks: 3, ..Numbers::default() };
        assert_eq!(
            Value::Object(numbers.row("SGD", |_| true)),
            json!({"spend": "42.1", "impressions": "8801", "reach": "7000", "frequency": "1.257286",
                   "clicks": "3", "inline_link_clicks": "0"})
        );
    }

    #[test]
    fn the_stored_fields_are_the_ones_a_full_row_has() {
        let full = Numbers {
            spend: 1,
            impressions: 1,
            reach: 1,
            purchases: 1,
            purchase_value: 5,
            ..Numbers::default()
        };
        let row = full.row("SGD", |_| true);
        assert!(STORED.iter().all(|name| row.contains_key(*name)) && row.len() == STORED.len(), "{row:?}");
    }
}
