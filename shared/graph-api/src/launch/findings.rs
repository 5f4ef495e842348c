//! What is wrong with a launch document.

use domain::FieldError;
use domain::money::{Currency, Money};

use super::spec::MAX_LIST_ENTRIES;

/// Collects every finding of a document, each with its path and what to do.
pub(crate) struct Findings {
    currency: Currency,
    errors: Vec<FieldError>,
}

impl Findings {
    /// Begins to check a document of an ad account with this currency.
    pub(super) fn new(currency: Currency) -> Self {
        Self { currency, errors: Vec::new() }
    }

    pub(super) fn into_errors(self) -> Vec<FieldError> {
        self.errors
    }

    /// Adds what another check found.
    pub(super) fn extend(&mut self, errors: impl IntoIterator<Item = FieldError>) {
        for error in errors {
            // What several ad sets share is wrong once.
            if !self.errors.contains(&error) {
                self.errors.push(error);
            }
        }
    }

    pub(super) fn require(&mut self, holds: bool, field: &str, message: impl Into<String>) {
        if !holds {
            self.extend([FieldError::new(field, message.into())]);
        }
    }

    pub(super) fn require_budget(&mut self, money: Option<Money>, field: &str) {
        let Some(money) = money else { return };
        self.require(money.is_budget(), &format!("{field}.amount"), Money::invalid_budget_message());
        let message = format!("must be {}, the ad account's currency", self.currency);
        self.require(money.currency == self.currency, &format!("{field}.currency"), message);
    }

    pub(super) fn require_short(&mut self, entries: usize, field: &str) {
        let message = format!("may have {MAX_LIST_ENTRIES} entries at most");
        self.require(entries <= MAX_LIST_ENTRIES, field, message);
    }

    pub(super) fn require_countries(&mut self, countries: &[String], field: &str) {
        let country = |code: &String| code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase());
        self.require(countries.iter().all(country), field, "must hold two-letter country codes, such as SG");
    }
}
