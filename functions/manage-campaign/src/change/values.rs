//! New values of campaigns, ad sets and ads: of one, or the same for many.

use domain::FieldError;
use domain::entity::{Changes, Entity, Status, given};
use domain::local_time;
use domain::money::{Currency, Money};
use domain::text::{deserialize_decimal, is_single_line};
use graph_api::change::complete_change;
use graph_api::id::ObjectId;
use graph_api::launch::{AudienceEdit, Placements, TargetingEdit};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer};

/// Maximum length of a name, in characters.
const MAX_NAME_CHARS: usize = 400;

/// By how much a budget may be changed, in percent.
const MIN_PERCENT: i64 = -99;
const MAX_PERCENT: i64 = 1_000;

/// New values; what is absent stays. `null` takes a value away, where that is possible.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "describe", schemars(extend("minProperties" = 1)))]
pub(crate) struct NewValues {
    /// A status. Deleting has its own request.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "describe", schemars(with = "NewStatus"))]
    pub(crate) status: Option<NewStatus>,
    /// A name.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "describe", schemars(with = "NewName"))]
    name: Option<NewName>,
    /// A daily budget, where the object holds one.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "describe", schemars(with = "NewBudget"))]
    daily_budget: Option<NewBudget>,
    /// A lifetime budget, where the object holds one.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "describe", schemars(with = "NewBudget"))]
    lifetime_budget: Option<NewBudget>,
    /// What a campaign may spend in all; `null` for as much as it likes.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "describe", schemars(with = "Option<domain::money::Budget>"))]
    spend_cap: Option<Option<Money>>,
    /// How the campaign or ad set that holds the budget bids. Amounts that it takes none of go with the strategy before.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "describe", schemars(with = "graph_api::launch::BidStrategy"))]
    bid_strategy: Option<String>,
    /// The bid, or the cost per result, of an ad set whose strategy has one.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "describe", schemars(with = "domain::money::Budget"))]
    bid_amount: Option<Money>,
    /// The least return on ad spend of an ad set whose strategy has one, such as `"1.5"`.
    #[serde(default, deserialize_with = "decimal")]
    #[cfg_attr(feature = "describe", schemars(with = "String", regex(pattern = domain::text::NON_NEGATIVE_DECIMAL_PATTERN)))]
    min_roas: Option<Decimal>,
    /// When an ad set starts that has not yet: a local time of the ad account, `2026-12-01T09:00:00`, or one with an offset.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "describe", schemars(with = "String", regex(pattern = graph_api::launch::TIME_PATTERN)))]
    start: Option<String>,
    /// When an ad set ends; `null` for never.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "describe", schemars(with = "Option<String>", regex(pattern = graph_api::launch::TIME_PATTERN)))]
    end: Option<Option<String>>,
    /// The parameters that an ad's links bring along, such as `utm_source=meta`; `null` for none. The ad gets a creative of
    /// the same content, which Meta looks at again; its post stays, with what people said about it.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "describe", schemars(with = "Option<String>", length(max = 1000), extend("pattern" = domain::text::SINGLE_LINE_PATTERN)))]
    url_tags: Option<Option<String>>,
    /// Another creative of the ad account for an ad. Ads that show the same one share its post, with what people say about it.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "describe", schemars(with = "ObjectId"))]
    creative_id: Option<ObjectId>,
    /// The countries in which an ad set's ads are seen, by two-letter codes.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(
        feature = "describe",
        schemars(with = "Vec<String>", length(max = 250), inner(regex(pattern = "^[A-Z]{2}$")))
    )]
    countries: Option<Vec<String>>,
    /// Who sees an ad set's ads there. What it does not name stays; an empty list, or `null`, takes a value away.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "describe", schemars(with = "graph_api::launch::Audience", extend("minProperties" = 1)))]
    audience: Option<AudienceEdit>,
    /// Whether Meta may look beyond the audience.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "describe", schemars(with = "bool"))]
    advantage_audience: Option<bool>,
    /// Where an ad set's ads appear, instead of where they have; `null` for wherever Meta expects most.
    #[serde(default, deserialize_with = "given")]
    placements: Option<Option<Placements>>,
}

/// What a person may set. Deleting has its own method.
#[derive(Deserialize, Clone, Copy)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum NewStatus {
    Active,
    Paused,
    Archived,
}

impl From<NewStatus> for Status {
    fn from(status: NewStatus) -> Self {
        match status {
            NewStatus::Active => Self::Active,
            NewStatus::Paused => Self::Paused,
            NewStatus::Archived => Self::Archived,
        }
    }
}

/// A new name: itself, or what becomes of the one before.
#[derive(Deserialize)]
#[serde(untagged, expecting = "must be a name, or an object with replace, prefix or suffix")]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
enum NewName {
    /// This name.
    To(
        #[cfg_attr(feature = "describe", schemars(length(max = MAX_NAME_CHARS), extend("pattern" = domain::text::SINGLE_LINE_PATTERN)))]
         String,
    ),
    /// The name of before, changed.
    Edit(NameEdit),
}

/// What becomes of a name.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
enum NameEdit {
    /// One text is replaced by another wherever it is.
    Replace(Replacement),
    /// A text before it.
    Prefix(#[cfg_attr(feature = "describe", schemars(length(min = 1, max = MAX_NAME_CHARS)))] String),
    /// A text after it.
    Suffix(#[cfg_attr(feature = "describe", schemars(length(min = 1, max = MAX_NAME_CHARS)))] String),
}

/// One text for another.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
struct Replacement {
    /// The text to look for.
    #[cfg_attr(feature = "describe", schemars(length(min = 1, max = MAX_NAME_CHARS)))]
    find: String,
    /// What to put in its place.
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_NAME_CHARS)))]
    with: String,
}

/// A new budget: an amount, or what becomes of the one before.
#[derive(Deserialize)]
#[serde(try_from = "BudgetFields")]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "describe", schemars(!try_from, untagged))]
enum NewBudget {
    /// This amount.
    To(#[cfg_attr(feature = "describe", schemars(with = "domain::money::Budget"))] Money),
    /// The amount of before, changed.
    By(BudgetChange),
}

/// What becomes of a budget.
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "describe", schemars(deny_unknown_fields))]
struct BudgetChange {
    /// By so many percent: 20 is a fifth more, -50 half of it. Rounded to the minor unit.
    #[cfg_attr(feature = "describe", schemars(range(min = MIN_PERCENT, max = MAX_PERCENT)))]
    by_percent: i64,
}

/// The fields of either kind of budget: a number is read as one wherever it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BudgetFields {
    amount: Option<i64>,
    currency: Option<Currency>,
    by_percent: Option<i64>,
}

impl TryFrom<BudgetFields> for NewBudget {
    type Error = &'static str;

    fn try_from(fields: BudgetFields) -> Result<Self, &'static str> {
        match fields {
            BudgetFields { amount: Some(amount), currency: Some(currency), by_percent: None } => {
                Ok(Self::To(Money { amount, currency }))
            }
            BudgetFields { amount: None, currency: None, by_percent: Some(by_percent) } => {
                Ok(Self::By(BudgetChange { by_percent }))
            }
            _ => Err("must be an amount of minor units with its currency, or by_percent"),
        }
    }
}

fn decimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Decimal>, D::Error> {
    deserialize_decimal(deserializer).map(Some)
}

impl NewBudget {
    fn check(&self, currency: Currency) -> Option<(&'static str, String)> {
        match self {
            Self::To(budget) => check_money(budget, currency),
            Self::By(BudgetChange { by_percent: percent })
                if *percent == 0 || !(MIN_PERCENT..=MAX_PERCENT).contains(percent) =>
            {
                Some(("by_percent", format!("must be {MIN_PERCENT} to {MAX_PERCENT}, and not 0")))
            }
            Self::By(_) => None,
        }
    }

    /// Returns the new amount in minor units.
    fn of(&self, before: i64) -> Option<i64> {
        match self {
            Self::To(budget) => Some(budget.amount),
            // Half a minor unit is rounded up.
            Self::By(BudgetChange { by_percent }) => {
                let hundredfold = before.checked_mul(by_percent.checked_add(100)?)?.checked_add(50)?;
                Some(hundredfold.div_euclid(100))
            }
        }
    }
}

pub(super) fn check_money(money: &Money, currency: Currency) -> Option<(&'static str, String)> {
    if money.currency != currency {
        return Some(("currency", format!("must be {currency}, the ad account's currency")));
    }
    (!money.is_budget()).then(|| ("amount", Money::invalid_budget_message()))
}

impl NewName {
    /// The texts of it, each with its place and whether it may be empty.
    fn texts(&self) -> Vec<(&'static str, &str, bool)> {
        match self {
            Self::To(name) => vec![("", name, false)],
            Self::Edit(NameEdit::Replace(Replacement { find, with })) => {
                vec![(".replace.find", find, false), (".replace.with", with, true)]
            }
            Self::Edit(NameEdit::Prefix(text)) => vec![(".prefix", text, false)],
            Self::Edit(NameEdit::Suffix(text)) => vec![(".suffix", text, false)],
        }
    }

    fn of(&self, before: &str) -> String {
        match self {
            Self::To(name) => name.clone(),
            Self::Edit(NameEdit::Replace(Replacement { find, with })) => before.replace(find, with),
            Self::Edit(NameEdit::Prefix(text)) => format!("{text}{before}"),
            Self::Edit(NameEdit::Suffix(text)) => format!("{before}{text}"),
        }
    }
}

impl NewValues {
    /// Returns whether a value is made of the one before, so that a repetition would do it once more.
    pub(crate) fn is_relative(&self) -> bool {
        let budgets = [&self.daily_budget, &self.lifetime_budget];
        matches!(self.name, Some(NewName::Edit(_)))
            || budgets.iter().any(|budget| matches!(budget, Some(NewBudget::By(_))))
    }

    /// Returns whether it is checked against values of before, which may be old in the table.
    pub(crate) fn depends_on_values(&self) -> bool {
        let bids = self.bid_strategy.is_some() || self.bid_amount.is_some() || self.min_roas.is_some();
        // An amount for a campaign that holds none any more would take those of its ad sets away.
        let budgets = self.daily_budget.is_some() || self.lifetime_budget.is_some();
        let times = self.start.is_some() || self.end.is_some();
        self.is_relative() || self.sets_content() || bids || budgets || times
    }

    /// Returns whether it sets what is only known of an entity that is read alone.
    pub(crate) fn sets_content(&self) -> bool {
        self.url_tags.is_some() || self.creative_id.is_some() || !self.targeting().is_empty()
    }

    fn targeting(&self) -> TargetingEdit<'_> {
        TargetingEdit {
            countries: self.countries.as_deref(),
            audience: self.audience.as_ref(),
            advantage_audience: self.advantage_audience,
            placements: self.placements.as_ref().map(Option::as_ref),
        }
    }

    /// Returns every mistake that can be found without an object.
    pub(crate) fn check(&self, currency: Currency, zone: &TimeZone) -> Vec<FieldError> {
        let mut mistakes = Vec::new();
        let Self { status, name, daily_budget, lifetime_budget, spend_cap, bid_strategy, .. } = self;
        let Self { bid_amount, min_roas, start, end, url_tags, creative_id, .. } = self;
        let is_set = [
            status.is_some(),
            name.is_some(),
            daily_budget.is_some(),
            lifetime_budget.is_some(),
            spend_cap.is_some(),
            bid_strategy.is_some(),
            bid_amount.is_some(),
            min_roas.is_some(),
            start.is_some(),
            end.is_some(),
            url_tags.is_some(),
            creative_id.is_some(),
            !self.targeting().is_empty(),
        ];
        if is_set == [false; 13] {
            let message = "must set a value, such as name, status or daily_budget";
            mistakes.push(FieldError::new("", message));
        }
        for (place, text, may_be_empty) in name.iter().flat_map(NewName::texts) {
            let length = text.chars().count();
            let fits = match place {
                "" => is_single_line(text, MAX_NAME_CHARS),
                _ => length <= MAX_NAME_CHARS && (length > 0 || may_be_empty),
            };
            if !fits {
                let message =
                    format!("must have 1 to {MAX_NAME_CHARS} characters, and no control characters");
                mistakes.push(FieldError::new(format!("name{place}"), message));
            }
        }
        let budget = |budget: &Option<NewBudget>| budget.as_ref().and_then(|budget| budget.check(currency));
        let money = |money: Option<Money>| money.and_then(|money| check_money(&money, currency));
        for (field, found) in [
            ("daily_budget", budget(daily_budget)),
            ("lifetime_budget", budget(lifetime_budget)),
            ("spend_cap", money(spend_cap.flatten())),
            ("bid_amount", money(*bid_amount)),
        ] {
            mistakes.extend(found.map(|(part, message)| FieldError::new(format!("{field}.{part}"), message)));
        }
        for (field, time) in [("start", start.as_ref()), ("end", end.as_ref().and_then(Option::as_ref))] {
            let is_moment = |time: &String| {
                local_time::read(time, zone).is_some_and(|zoned| zoned.subsec_nanosecond() == 0)
            };
            if time.is_some_and(|time| !is_moment(time)) {
                let message = "must be a time of the ad account that exists there, such as 2026-12-01T09:00:00, or one with an offset";
                mistakes.push(FieldError::new(field, message));
            }
        }
        mistakes.extend(self.targeting().check(currency));
        mistakes
    }

    /// Returns the kind of a budget that is to be set and that the object does not hold.
    pub(crate) fn missing_budget(&self, entity: &Entity) -> Option<&'static str> {
        let is_missing = |new: &Option<NewBudget>, before: Option<i64>| new.is_some() && before.is_none();
        if is_missing(&self.daily_budget, entity.daily_budget) {
            return Some("daily");
        }
        is_missing(&self.lifetime_budget, entity.lifetime_budget).then_some("lifetime")
    }

    /// Returns the values of one object, which pass [`Self::check`], or each mistake with its field.
    pub(crate) fn changes(
        &self,
        entity: &Entity,
        zone: &TimeZone,
        now: Timestamp,
    ) -> Result<Changes, Vec<(&'static str, String)>> {
        let mut mistakes = Vec::new();
        let Entity { level, id, .. } = entity;
        let mut budget = |field: &'static str, new: &Option<NewBudget>, before: Option<i64>| {
            let new = new.as_ref()?;
            let amount = before.and_then(|before| new.of(before)).filter(|amount| *amount >= 1);
            if amount.is_none() {
                let message = match before {
                    None => format!("must be absent: {level} {id} holds no such budget"),
                    Some(_) => "would be less than one minor unit".to_owned(),
                };
                mistakes.push((field, message));
            }
            amount
        };
        let daily_budget = budget("daily_budget", &self.daily_budget, entity.daily_budget);
        let lifetime_budget = budget("lifetime_budget", &self.lifetime_budget, entity.lifetime_budget);
        let name = self.name.as_ref().map(|name| name.of(entity.name.as_deref().unwrap_or_default()));
        if name.as_ref().is_some_and(|name| !is_single_line(name, MAX_NAME_CHARS)) {
            let message =
                format!("would not have 1 to {MAX_NAME_CHARS} characters without control characters");
            mistakes.push(("name", message));
        }
        let moment = |time: &String| local_time::read(time, zone).map(|zoned| zoned.timestamp());
        let mut changes = Changes {
            name,
            status: self.status.map(Into::into),
            daily_budget,
            lifetime_budget,
            spend_cap: self.spend_cap.map(|cap| cap.map(|cap| cap.amount)),
            bid_strategy: self.bid_strategy.clone(),
            bid_amount: self.bid_amount.map(|bid| Some(bid.amount)),
            min_roas: self.min_roas.map(Some),
            start: self.start.as_ref().and_then(moment),
            end: self.end.as_ref().map(|end| end.as_ref().and_then(moment)),
            url_tags: self.url_tags.clone(),
            creative_id: self.creative_id.as_ref().map(ObjectId::to_string),
            targeting: self.targeting().values(),
        };
        mistakes.extend(complete_change(entity, &mut changes, now));
        if mistakes.is_empty() { Ok(changes) } else { Err(mistakes) }
    }
}
