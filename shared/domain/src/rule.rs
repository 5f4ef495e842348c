//! Rules: a condition on metrics, a guard and an action.

use jiff::ToSpan;
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use crate::FieldError;
use crate::date::DateRange;
use crate::entity::Level;
use crate::id::{AdAccountId, RuleId};
use crate::metrics::{Measures, Metric};
use crate::money::Money;
use crate::text::is_single_line;

/// Maximum length of a rule's name, in characters.
const MAX_NAME_CHARS: usize = 200;

/// Maximum of `min_impressions`: more than any window can have.
const MAX_MIN_IMPRESSIONS: u64 = 1_000_000_000_000;

/// What a person writes: `POST rules` and `PUT rules/{id}` take this document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", schemars(extend("not" = ads_without_budgets())))]
pub struct RuleSpec {
    /// Shown with every decision.
    #[cfg_attr(feature = "describe", schemars(length(max = MAX_NAME_CHARS), extend("pattern" = crate::text::SINGLE_LINE_PATTERN)))]
    pub name: String,
    /// A disabled rule is kept and not evaluated.
    #[serde(default)]
    pub state: RuleState,
    /// One ad account; absent means every account of the workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ad_account: Option<AdAccountId>,
    /// What is looked at, one by one: campaigns, ad sets or ads.
    #[cfg_attr(feature = "describe", schemars(extend("enum" = ["campaign", "adset", "ad"])))]
    pub level: Level,
    /// When the rule applies.
    pub when: Condition,
    /// How much must have happened before the numbers mean anything.
    #[serde(default)]
    pub guard: Guard,
    /// What to do then.
    pub action: Action,
}

/// Describes the combination that the schema excludes: ads hold no budget that a rule could set.
#[cfg(feature = "describe")]
fn ads_without_budgets() -> serde_json::Value {
    serde_json::json!({
        "properties": {"level": {"const": "ad"}, "action": {"properties": {"type": {"const": "set_budget"}}}},
    })
}

/// Describes the combination that the schema excludes: rates are fractions, so that 1 and more is meant in percent.
#[cfg(feature = "describe")]
fn rates_in_percent() -> serde_json::Value {
    let rates: Vec<_> = Metric::ALL.iter().filter(|metric| metric.is_rate()).collect();
    serde_json::json!({
        "properties": {"measure": {"enum": rates}, "value": {"pattern": "^0*[1-9]"}},
    })
}

/// Whether a rule is evaluated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RuleState {
    /// Evaluated.
    #[default]
    Enabled,
    /// Kept, not evaluated.
    Disabled,
}

/// A rule as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Rule {
    /// Its id.
    pub id: RuleId,
    /// The document.
    #[serde(flatten)]
    pub spec: RuleSpec,
}

/// A comparison of one measure over one window with a constant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "describe", schemars(extend("not" = rates_in_percent())))]
pub struct Condition {
    /// What is compared.
    pub measure: Metric,
    /// Over which days.
    pub window: Window,
    /// How.
    pub operator: ComparisonOperator,
    /// With what: a decimal string; money in major units, rates such as `ctr` as fractions.
    #[serde(deserialize_with = "crate::text::deserialize_decimal")]
    #[cfg_attr(feature = "describe", schemars(with = "String", extend("pattern" = crate::text::DECIMAL_PATTERN)))]
    pub value: Decimal,
    /// What a missing number means.
    #[serde(default)]
    pub missing: Missing,
}

/// How the measure must stand to the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ComparisonOperator {
    /// `>`
    Above,
    /// `>=`
    AtLeast,
    /// `<`
    Below,
    /// `<=`
    AtMost,
}

/// What a number means that the platform did not report, such as conversions of an ad without any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// Unknown: the condition does not hold.
    #[default]
    Unknown,
    /// Zero: for "spent this much without a purchase".
    Zero,
}

/// Days before or up to the account's today.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// Today so far. Partial.
    Today,
    /// The last whole day.
    Yesterday,
    /// The last 3 whole days.
    #[serde(rename = "last_3_days")]
    Last3Days,
    /// The last 7 whole days.
    #[serde(rename = "last_7_days")]
    Last7Days,
    /// The last 14 whole days.
    #[serde(rename = "last_14_days")]
    Last14Days,
    /// The last 30 whole days.
    #[serde(rename = "last_30_days")]
    Last30Days,
}

impl Window {
    /// Returns the days of the window, relative to the account's today.
    pub fn days(&self, today: Date) -> DateRange {
        let yesterday = today.saturating_sub(1.day());
        match self {
            Self::Today => DateRange::ending(today, 1),
            Self::Yesterday => DateRange::ending(yesterday, 1),
            Self::Last3Days => DateRange::ending(yesterday, 3),
            Self::Last7Days => DateRange::ending(yesterday, 7),
            Self::Last14Days => DateRange::ending(yesterday, 14),
            Self::Last30Days => DateRange::ending(yesterday, 30),
        }
    }
}

/// The sample that must exist in the window before the rule may decide.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// Spend of at least this much, major units.
    #[serde(default, deserialize_with = "crate::text::deserialize_decimal")]
    #[cfg_attr(feature = "describe", schemars(with = "String", extend("pattern" = crate::text::NON_NEGATIVE_DECIMAL_PATTERN)))]
    pub min_spend: Decimal,
    /// Impressions of at least this many.
    #[serde(default = "Guard::default_impressions")]
    #[cfg_attr(feature = "describe", schemars(range(max = MAX_MIN_IMPRESSIONS)))]
    pub min_impressions: u64,
}

impl Guard {
    /// Returns the default minimum. A rate over fewer impressions is noise.
    fn default_impressions() -> u64 {
        500
    }

    /// Describes, as a sentence, what is missing before the rule may decide; `None` when the sample is sufficient.
    pub fn insufficient_data(&self, measures: &Measures) -> Option<String> {
        if measures.spend < self.min_spend {
            return Some(format!("spend {} is below the guard's {}", measures.spend, self.min_spend));
        }
        (measures.impressions < self.min_impressions).then(|| {
            format!("{} impressions are below the guard's {}", measures.impressions, self.min_impressions)
        })
    }
}

impl Default for Guard {
    fn default() -> Self {
        Self { min_spend: Decimal::ZERO, min_impressions: Self::default_impressions() }
    }
}

/// What a rule does to an entity that meets its condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    // Struct variants, because `deny_unknown_fields` has no effect on unit variants.
    /// Keep the decision for people to see.
    Notify {},
    /// Pause the entity.
    Pause {},
    /// Set the daily budget.
    SetBudget {
        /// The target; not a step, so that doing it twice is doing it once. Accounts of another currency are left alone.
        #[cfg_attr(feature = "describe", schemars(with = "crate::money::Budget"))]
        daily_budget: Money,
    },
}

/// The fields of an action of any type. A derived `Deserialize` of [`Action`] would also accept numbers and lists.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ActionFields {
    r#type: ActionType,
    daily_budget: Option<Money>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ActionType {
    Notify,
    Pause,
    SetBudget,
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ActionFields { r#type, daily_budget } = ActionFields::deserialize(deserializer)?;
        match (r#type, daily_budget) {
            (ActionType::Notify, None) => Ok(Self::Notify {}),
            (ActionType::Pause, None) => Ok(Self::Pause {}),
            (ActionType::SetBudget, Some(daily_budget)) => Ok(Self::SetBudget { daily_budget }),
            (ActionType::SetBudget, None) => Err(D::Error::missing_field("daily_budget")),
            (_, Some(_)) => Err(D::Error::unknown_field("daily_budget", &["type"])),
        }
    }
}

impl Action {
    /// Returns the action's name in responses.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Notify {} => "notify",
            Self::Pause {} => "pause",
            Self::SetBudget { .. } => "set_budget",
        }
    }
}

/// The result of evaluating a condition for one entity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Evaluation {
    /// The condition holds, with this value.
    Met(Decimal),
    /// The condition does not hold, with this value.
    NotMet(Decimal),
    /// The measure is unknown.
    Unknown,
}

impl Condition {
    /// Evaluates the condition on these measures.
    pub fn evaluate(&self, measures: &Measures) -> Evaluation {
        let value = match (self.measure.of(measures), self.missing) {
            (Some(value), _) => value,
            // Results that are not one number, or that nothing is divided by, are reported all the same.
            (None, _) if self.measure.is_of_results() && !measures.results.is_empty() => {
                return Evaluation::Unknown;
            }
            (None, Missing::Zero) => Decimal::ZERO,
            (None, Missing::Unknown) => return Evaluation::Unknown,
        };
        let holds = match self.operator {
            ComparisonOperator::Above => value > self.value,
            ComparisonOperator::AtLeast => value >= self.value,
            ComparisonOperator::Below => value < self.value,
            ComparisonOperator::AtMost => value <= self.value,
        };
        if holds { Evaluation::Met(value) } else { Evaluation::NotMet(value) }
    }
}

impl RuleSpec {
    /// Returns whether the rule is enabled and covers `account`.
    pub fn applies_to(&self, account: &AdAccountId) -> bool {
        self.state == RuleState::Enabled && self.ad_account.as_ref().is_none_or(|only| only == account)
    }

    /// Checks what deserialization does not.
    pub fn check(&self) -> Result<(), FieldError> {
        if !is_single_line(&self.name, MAX_NAME_CHARS) {
            let message = format!("must have 1 to {MAX_NAME_CHARS} characters, and no control characters");
            return Err(FieldError::new("name", message));
        }
        if self.level == Level::Account {
            return Err(FieldError::new(
                "level",
                "must be campaign, adset or ad: an account cannot be acted on",
            ));
        }
        if self.when.measure.is_rate() && self.when.value >= Decimal::ONE {
            let message =
                format!("must be below 1: {} is a fraction, so that 1 % is 0.01", self.when.measure.as_str());
            return Err(FieldError::new("when.value", message));
        }
        if self.guard.min_spend.is_sign_negative() {
            return Err(FieldError::new("guard.min_spend", "must not be negative"));
        }
        if self.guard.min_impressions > MAX_MIN_IMPRESSIONS {
            return Err(FieldError::new(
                "guard.min_impressions",
                format!("must be {MAX_MIN_IMPRESSIONS} at most"),
            ));
        }
        if let Action::SetBudget { daily_budget } = self.action {
            if self.level == Level::Ad {
                return Err(FieldError::new(
                    "action.type",
                    "set_budget needs level campaign or adset: ads hold no budget",
                ));
            }
            if !daily_budget.is_budget() {
                return Err(FieldError::new("action.daily_budget.amount", Money::invalid_budget_message()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn spec(json: &str) -> Result<RuleSpec, String> {
        let spec: RuleSpec = serde_json::from_str(json).map_err(|error| error.to_string())?;
        spec.check().map_err(|error| error.to_string())?;
        Ok(spec)
    }

    #[test]
    fn a_rule_reads_as_a_sentence() {
        let rule = spec(
            r#"{"name":"Stop the bleeding","level":"adset",
                "when":{"measure":"purchases","window":"last_7_days","operator":"below","value":"1","missing":"zero"},
                "guard":{"min_spend":"50"},"action":{"type":"pause"}}"#,
        )
        .unwrap();
        let spent = Measures { spend: Decimal::from(60), impressions: 9000, ..Measures::default() };
        assert_eq!(rule.when.evaluate(&spent), Evaluation::Met(Decimal::ZERO));
        assert_eq!(rule.guard.insufficient_data(&spent), None);
        let little = Measures { spend: Decimal::from(6), ..spent };
        assert_eq!(rule.guard.insufficient_data(&little).unwrap(), "spend 6 is below the guard's 50");
    }

    #[test]
    fn missing_numbers_do_not_decide_unless_told() {
        let condition = Condition {
            measure: Metric::Roas,
            window: Window::Yesterday,
            operator: ComparisonOperator::Below,
            value: Decimal::TWO,
            missing: Missing::Unknown,
        };
        let spent = Measures { spend: Decimal::from(60), ..Measures::default() };
        assert_eq!(condition.evaluate(&spent), Evaluation::Unknown);
    }

    #[test]
    fn results_of_different_goals_are_not_none() {
        let condition = Condition {
            measure: Metric::Results,
            window: Window::Yesterday,
            operator: ComparisonOperator::Below,
            value: Decimal::ONE,
            missing: Missing::Zero,
        };
        let with = |results: &[(&str, u32)]| {
            let results = results.iter().map(|(measure, count)| ((*measure).to_owned(), (*count).into()));
            condition.evaluate(&Measures { results: results.collect(), ..Measures::default() })
        };
        assert_eq!(with(&[("purchases", 300), ("leads", 40)]), Evaluation::Unknown);
        assert_eq!(with(&[("", 0)]), Evaluation::Unknown);
        assert_eq!(with(&[("purchases", 0)]), Evaluation::Met(Decimal::ZERO));
        assert_eq!(with(&[]), Evaluation::Met(Decimal::ZERO));
    }

    #[test]
    fn windows_end_yesterday_except_today() {
        let today = date(2026, 3, 1);
        assert_eq!(
            Window::Last7Days.days(today),
            DateRange { since: date(2026, 2, 22), until: date(2026, 2, 28) }
        );
        assert_eq!(Window::Today.days(today), DateRange { since: today, until: today });
    }

    #[test]
    fn malformed_rules_name_the_field() {
        let rule = |level: &str, action: &str, more: &str| {
            spec(&format!(
                r#"{{"name":"x","level":"{level}","when":{{"measure":"ctr","window":"today","operator":"below","value":"0.01"}},"action":{action}{more}}}"#
            ))
        };
        assert!(rule("campaign", r#"{"type":"pause"}"#, "").is_ok());
        for (level, action, more, word) in [
            ("account", r#"{"type":"pause"}"#, "", "level"),
            (
                "ad",
                r#"{"type":"set_budget","daily_budget":{"amount":500,"currency":"SGD"}}"#,
                "",
                "set_budget",
            ),
            (
                "adset",
                r#"{"type":"set_budget","daily_budget":{"amount":0,"currency":"SGD"}}"#,
                "",
                "daily_budget",
            ),
            ("adset", r#"{"type":"explode"}"#, "", "explode"),
            ("adset", r#"{"type":"pause","until":"noon"}"#, "", "until"),
            ("adset", r#"{"type":"pause"}"#, r#","extra":1"#, "extra"),
            ("adset", r#"{"type":"pause"}"#, r#","guard":{"min_spend":"-1"}"#, "min_spend"),
        ] {
            let error = rule(level, action, more).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
