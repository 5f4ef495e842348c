//! Command-line options that choose what to simulate.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::config::{AppAge, Config, Generator, Limits, Source, Tier};
use crate::fault::FaultPlan;
use crate::start_error::StartError;

/// Time zone of a generated account unless `--timezone` is given.
const DEFAULT_TIMEZONE: &str = "Asia/Singapore";

/// Options that choose the ad account.
#[derive(Args, Clone, Debug)]
pub struct AccountArgs {
    /// Replay a recorded ad account instead of generating one: a folder with account.json, campaigns.json, adsets.json,
    /// ads.json and insights_ad_day.json in Graph's format.
    #[arg(long, value_name = "DIR")]
    pub account: Option<PathBuf>,
    /// The account's current day [default: the real one; for a recording the day after its last].
    #[arg(long, value_name = "DATE", value_parser = day)]
    pub today: Option<Date>,
    /// Seed of the generated account: the same seed gives the same account.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Number of generated ad accounts: as an agency has them, in other currencies and time zones, with 20 to 290 ads each
    /// besides the first.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub accounts: u32,
    /// Number of ads of the last of several generated ad accounts.
    #[arg(long, value_name = "ADS", value_parser = clap::value_parser!(u32).range(..=100_000))]
    pub largest: Option<u32>,
    /// Number of campaigns in the generated account.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(..=100_000))]
    pub campaigns: u32,
    /// Number of ad sets in the generated account.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(..=100_000))]
    pub adsets: u32,
    /// Number of ads in the generated account.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(..=100_000))]
    pub ads: u32,
    /// Number of days with insights in the generated account, up to its current day.
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(..=1_123))]
    pub days: u32,
    /// Let every ad of the generated account deliver on every day: one row per ad and day, for benchmarks.
    #[arg(long)]
    pub every_day: bool,
    /// Let a generated account's numbers grow for 28 days, as Meta's do.
    #[arg(long)]
    pub restates: bool,
    /// Currency of the generated account.
    #[arg(long, default_value = "SGD", value_parser = currency)]
    pub currency: String,
    /// IANA time zone of the generated account [default: Asia/Singapore], or of a recording that does not contain one.
    #[arg(long, value_name = "ZONE")]
    pub timezone: Option<String>,
}

/// Options that choose how the simulated Meta behaves.
#[derive(Args, Clone, Debug, Default)]
pub struct BehaviourArgs {
    /// Enforce every limit Meta documents for an app of this tier [default: quotas too large to be reached].
    #[arg(long, value_enum)]
    pub tier: Option<Tier>,
    /// When the app was created: Meta refuses new ones old parts of its protocol [default: new].
    #[arg(long, value_enum, value_name = "AGE")]
    pub app: Option<AppAge>,
    /// Reject parameters that Graph would silently ignore.
    #[arg(long)]
    pub strict: bool,
    /// Reject calls without appsecret_proof.
    #[arg(long)]
    pub require_proof: bool,
    /// How long new and edited objects are IN_PROCESS.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub in_process: u64,
    /// How long new and changed ads are under review.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub review: u64,
    /// How long videos are processing.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub encoding: u64,
    /// Inject the faults of the plan in this JSON file.
    #[arg(long, value_name = "FILE", conflicts_with = "fault_seed")]
    pub faults: Option<PathBuf>,
    /// Inject transient faults; the same seed gives the same faults.
    #[arg(long, value_name = "SEED")]
    pub fault_seed: Option<u64>,
}

impl BehaviourArgs {
    /// Applies these options to a configuration.
    ///
    /// # Errors
    /// When the fault plan cannot be read.
    pub fn apply(&self, config: Config) -> Result<Config, StartError> {
        let limits = self.tier.map_or(config.limits, Limits::of);
        let mut behaviour = config.behaviour;
        behaviour.app_age = self.app.unwrap_or(behaviour.app_age);
        behaviour.strict |= self.strict;
        behaviour.require_proof |= self.require_proof;
        behaviour.writing.in_process = Duration::from_secs(self.in_process);
        behaviour.writing.review = Duration::from_secs(self.review);
        behaviour.media.encoding = Duration::from_secs(self.encoding);
        let faults = match (&self.faults, self.fault_seed) {
            (Some(file), _) => FaultPlan::read(file)?,
            (None, Some(seed)) => FaultPlan::from_seed(seed),
            (None, None) => config.faults,
        };
        Ok(Config { limits, behaviour, faults, ..config })
    }
}

impl Default for AccountArgs {
    /// Returns the options of an empty command line.
    fn default() -> Self {
        #[derive(Parser)]
        struct Empty {
            #[command(flatten)]
            args: AccountArgs,
        }
        Empty::parse_from([""]).args
    }
}

impl AccountArgs {
    /// Returns the time zone of a generated account.
    ///
    /// # Errors
    /// When the time zone is unknown.
    pub fn zone(&self) -> Result<TimeZone, StartError> {
        let name = self.timezone.as_deref().unwrap_or(DEFAULT_TIMEZONE);
        TimeZone::get(name).map_err(|_| StartError::Timezone { name: name.to_owned() })
    }

    /// Returns the source that these options describe at `now`.
    ///
    /// # Errors
    /// When the time zone of a generated account is unknown.
    pub fn source(&self, now: Timestamp) -> Result<Source, StartError> {
        if let Some(folder) = &self.account {
            return Ok(Source::EventRecord { folder: folder.clone(), timezone: self.timezone.clone() });
        }
        let zone = self.zone()?;
        Ok(Source::Generated(Generator {
            seed: self.seed,
            accounts: self.accounts,
            largest: self.largest,
            campaigns: self.campaigns,
            adsets: self.adsets,
            ads: self.ads,
            days: self.days,
            every_day: self.every_day,
            restates: self.restates,
            currency: self.currency.clone(),
            timezone: self.timezone.clone().unwrap_or_else(|| DEFAULT_TIMEZONE.to_owned()),
            today: self.today.unwrap_or_else(|| now.to_zoned(zone).date()),
        }))
    }
}

/// Parses a currency code as Meta writes it.
fn currency(text: &str) -> Result<String, String> {
    let code = text.len() == 3 && text.bytes().all(|letter| letter.is_ascii_uppercase());
    if code { Ok(text.to_owned()) } else { Err("must be three capital letters, such as SGD".to_owned()) }
}

/// Parses a day that an ad account's data may have.
fn day(text: &str) -> Result<Date, String> {
    let day: Date = text.parse().map_err(|error: jiff::Error| error.to_string())?;
    if (2004..=2100).contains(&day.year()) {
        Ok(day)
    } else {
        Err("must lie between 2004 and 2100".to_owned())
    }
}
