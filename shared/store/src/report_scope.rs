//! What reported metrics are about: an ad account, its currency and time zone, a range of days, and what is missing.

use domain::Error;
use domain::date::{DateRange, IsoWeek};
use domain::id::AdAccountId;
use domain::money::Currency;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use crate::account::AdAccount;
use crate::chunk::{Chunk, ChunkState};

/// What the metrics of a response are about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct ReportScope {
    /// The ad account.
    pub ad_account: AdAccountId,
    /// The currency of every amount.
    pub currency: Currency,
    /// The IANA time zone of every day.
    pub timezone: String,
    /// First day.
    pub since: Date,
    /// Last day, included.
    pub until: Date,
    /// When the last measured day of the range was measured; absent while none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Timestamp>,
    /// Days whose numbers are missing or may still grow. Every other day was measured after its end.
    pub incomplete_days: Vec<IncompleteDays>,
}

/// Consecutive days whose numbers are not complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct IncompleteDays {
    /// The first of them.
    pub since: Date,
    /// The last of them.
    pub until: Date,
    /// Why.
    pub state: IncompleteState,
}

/// Why the numbers of a day are not complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum IncompleteState {
    /// Measured before the day had ended, as today always is.
    Partial,
    /// Not measured yet.
    Pending,
    /// Not measured, and no measurement is planned: it failed, was never requested, or the day has not begun.
    Unavailable,
    /// Measured, but the sum of all rows is not the account's own total: rows may be missing. `GET sync` has both.
    Differs,
    /// Measured, but the platform has never answered a row of this kind: the advertiser has not switched it on.
    NotEnabled,
}

impl IncompleteState {
    /// Returns the state's name in responses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Partial => "partial",
            Self::Pending => "pending",
            Self::Unavailable => "unavailable",
            Self::Differs => "differs",
            Self::NotEnabled => "not_enabled",
        }
    }
}

impl ReportScope {
    /// Says that none of the days has numbers, because the advertiser has not switched on what is measured.
    #[must_use]
    pub fn not_enabled(self) -> Self {
        let days =
            IncompleteDays { since: self.since, until: self.until, state: IncompleteState::NotEnabled };
        Self { incomplete_days: vec![days], ..self }
    }

    /// Returns what the metrics of an account over a range are about, as far as these chunks of the range have them.
    pub fn new(account: &AdAccount, range: DateRange, chunks: &[Chunk]) -> Result<Self, Error> {
        let (mut as_of, mut incomplete_days) = (None, Vec::<IncompleteDays>::new());
        for day in range.days_within(range) {
            let chunk = chunks.iter().find(|chunk| chunk.week == IsoWeek::of(day));
            let measured_at = chunk.and_then(|chunk| chunk.measured_at(day));
            as_of = measured_at.or(as_of);
            let state = match measured_at {
                Some(measured_at) if measured_at >= account.end_of(day)? => {
                    match chunk.and_then(|chunk| chunk.difference(day)) {
                        Some(_) => IncompleteState::Differs,
                        None => continue,
                    }
                }
                Some(_) => IncompleteState::Partial,
                None if chunk.is_some_and(|chunk| chunk.state != ChunkState::Failed && chunk.is_due(day)) => {
                    IncompleteState::Pending
                }
                None => IncompleteState::Unavailable,
            };
            match incomplete_days.last_mut() {
                Some(days) if days.state == state && days.until.tomorrow().ok() == Some(day) => {
                    days.until = day
                }
                _ => incomplete_days.push(IncompleteDays { since: day, until: day, state }),
            }
        }
        Ok(Self {
            ad_account: account.id.clone(),
            currency: account.currency,
            timezone: account.timezone.clone(),
            since: range.since,
            until: range.until,
            as_of,
            incomplete_days,
        })
    }
}
