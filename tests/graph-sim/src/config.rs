//! The configuration of a simulator.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::fault::FaultPlan;
use crate::insights::InsightsLimits;
use crate::reports::ReportSettings;
use crate::sim::SimSnapshot;
use crate::write_settings::{MediaLimits, WriteSettings};

/// The simulator's source of time: it never reads the wall clock itself.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The configuration of a simulator.
pub struct Config {
    /// The content of the main ad account.
    pub source: Source,
    /// The app whose clients may call.
    pub app: App,
    /// The simulator's only source of time.
    pub clock: Clock,
    /// The port on 127.0.0.1; 0 lets the system pick one.
    pub port: u16,
    /// A file to which every successful write is appended as one JSON line. It is replayed at start, so that created
    /// objects survive a restart.
    pub journal: Option<PathBuf>,
    /// Quotas and rate limits.
    pub limits: Limits,
    /// How strict, slow and quirky the simulated Meta is.
    pub behaviour: Behaviour,
    /// The initial fault plan.
    pub faults: FaultPlan,
}

impl Config {
    /// Returns a configuration for this account on a port the system picks, with Meta's ordinary limits and behaviour.
    /// Change the other fields afterwards, or use `..Config::new(…)`, because fields may be added.
    pub fn new(source: Source, app: App, clock: Clock) -> Self {
        let (limits, behaviour) = (Limits::default(), Behaviour::default());
        let faults = FaultPlan::default();
        Self { source, app, clock, port: 0, journal: None, limits, behaviour, faults }
    }
}

/// How strict, slow and quirky the simulated Meta is.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// Whether parameters that Graph would silently ignore are rejected, so that a misspelt one fails its test.
    pub strict: bool,
    /// Whether calls without `appsecret_proof` fail, as with the app setting "Require App Secret".
    pub require_proof: bool,
    /// How much one synchronous read of insights may ask for.
    pub insights_limits: InsightsLimits,
    /// How report runs behave.
    pub reports: ReportSettings,
    /// Whether the app may use parts of the protocol that are closed to new apps.
    pub app_age: AppAge,
    /// Whether calls of a version that has ended are served by the newest one, with a warning, as Meta has done since
    /// July 2026. The app's settings can switch this off; such calls then fail.
    pub auto_upgrade: bool,
    /// How listings are split into pages.
    pub pages: PagingQuirks,
    /// How long Meta processes written objects, and how many it accepts.
    pub writing: WriteSettings,
    /// The sizes of images and videos that Meta accepts, and how long it processes them.
    pub media: MediaLimits,
}

/// How listings are split into pages. Meta does not promise what clients tend to assume: that a page is full when more
/// follow, that a page has rows, or that a next page has rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PagingQuirks {
    /// A third of each page is missing, although more follow.
    pub short: bool,
    /// Between two pages there is one without rows, with `next`.
    pub empty_between: bool,
    /// The last page has `next` too, which leads to an empty page.
    pub empty_last: bool,
}

impl Default for Behaviour {
    /// Meta's behaviour for an app that has changed none of its settings.
    fn default() -> Self {
        Self {
            strict: false,
            require_proof: false,
            app_age: AppAge::default(),
            auto_upgrade: true,
            pages: PagingQuirks::default(),
            insights_limits: InsightsLimits::default(),
            writing: WriteSettings::default(),
            media: MediaLimits::default(),
            reports: ReportSettings::default(),
        }
    }
}

/// Where the main ad account's structure and numbers come from.
pub enum Source {
    /// Generated; the same seed gives the same account.
    Generated(Generator),
    /// Read from recorded responses.
    EventRecord {
        /// Contains `account.json`, `campaigns.json`, `adsets.json`, `ads.json` and `insights_ad_day.json`.
        folder: PathBuf,
        /// The account's time zone, for a recording that does not contain it.
        timezone: Option<String>,
    },
    /// What another simulator knew, with the same app and settings.
    Snapshot(Arc<SimSnapshot>),
}

/// The parameters of a generated account.
#[derive(Clone, Debug)]
pub struct Generator {
    /// Determines every name, id and number.
    pub seed: u64,
    /// Number of ad accounts with numbers: this one, and those of an agency's other clients, which have 20 to 290 ads each
    /// in other currencies and time zones.
    pub accounts: u32,
    /// Number of ads of the last of them, which may be a large one.
    pub largest: Option<u32>,
    /// Number of campaigns.
    pub campaigns: u32,
    /// Number of ad sets, distributed evenly over the campaigns.
    pub adsets: u32,
    /// Number of ads, distributed evenly over the ad sets.
    pub ads: u32,
    /// Number of days with numbers; the last of them is `today`.
    pub days: u32,
    /// Whether every ad delivers on every day. Otherwise some ads pause, end, or find no audience on some days.
    pub every_day: bool,
    /// Whether numbers grow for 28 days, as Meta's do, with an update every quarter of an hour: delivery for three days,
    /// conversions (and with them action types) for all 28, and some rows are retracted after four days. Otherwise a
    /// day's numbers are final from its first moment.
    pub restates: bool,
    /// ISO code of the account's currency.
    pub currency: String,
    /// IANA name of the account's time zone.
    pub timezone: String,
    /// The last day with numbers at the start; it advances with the clock.
    pub today: Date,
}

impl Generator {
    /// Returns the hash that the account's ids and numbers are derived from. Another size, currency or time zone gives
    /// another account; more days only extend the same one.
    pub(crate) fn identity(&self) -> u64 {
        let text = format!(
            "{} {} {} {} {} {}",
            self.seed, self.campaigns, self.adsets, self.ads, self.currency, self.timezone
        );
        // FNV-1a: distributes well enough for ids, and is stable across platforms and versions.
        text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }

    /// Returns the parameters of an account of ordinary size, in Singapore.
    pub fn new(today: Date) -> Self {
        Self {
            seed: 1,
            accounts: 1,
            largest: None,
            campaigns: 20,
            adsets: 60,
            ads: 200,
            days: 90,
            every_day: false,
            restates: false,
            currency: "SGD".to_owned(),
            timezone: "Asia/Singapore".to_owned(),
            today,
        }
    }
}

/// The app that the simulator knows.
#[derive(Clone, Debug)]
pub struct App {
    /// The app's id, `client_id` of the login dialog.
    pub app_id: String,
    /// The app's secret, which signs tokens and proofs.
    pub app_secret: String,
    /// Where the login dialog may redirect to; when empty, any URL on this machine is allowed.
    pub redirect_uris: Vec<String>,
}

/// When the app was created at Meta.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum AppAge {
    /// Since 2026-11-04: Meta refuses it the method override, field aliases, JSONP and asynchronous batches.
    #[default]
    New,
    /// Before.
    Old,
}

/// An app's access tier (Marketing API, "Rate limiting").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Tier {
    /// Before the app has full access; headers say `development_access`.
    Limited,
    /// With full access; headers say `standard_access`.
    #[default]
    Full,
}

impl Tier {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Limited => "development_access",
            Self::Full => "standard_access",
        }
    }

    /// Returns the capacity of an ad account's score, in points; a read costs one point, a write three.
    pub(crate) fn max_points(self) -> f64 {
        match self {
            Self::Limited => 60.0,
            Self::Full => 9_000.0,
        }
    }

    /// Returns for how many seconds an ad account with a full score is locked.
    pub(crate) fn lockout_seconds(self) -> i64 {
        match self {
            Self::Limited => 300,
            Self::Full => 60,
        }
    }
}

/// Quotas and rate limits of the app and of each ad account. Calls over a limit are rejected with HTTP 400.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Determines the tier in the headers and the capacity of an ad account's score.
    pub tier: Tier,
    /// Structure reads and writes per ad account and hour.
    pub ads_management: u64,
    /// Insights reads per ad account and hour.
    pub ads_insights: u64,
    /// Audience calls per ad account and hour.
    pub custom_audience: u64,
    /// Whether each active ad raises an ad account's hourly quotas: by 40 calls for structure and 400 for insights.
    pub with_active_ads: bool,
    /// Whether an ad account is locked for a while when its score is full.
    pub score: bool,
    /// The app's daily users; each adds 200 calls an hour to the app's limit. `None` means no limit.
    pub daily_users: Option<u64>,
    /// Writes per ad account and second. `None` means no limit, which suits a clock that stands still.
    pub writes_per_second: Option<u64>,
}

impl Default for Limits {
    /// The quotas of an app with full access, without the part that grows with the number of active ads and without any
    /// other limit that a busy test could reach.
    fn default() -> Self {
        Self { with_active_ads: false, score: false, writes_per_second: None, ..Self::of(Tier::Full) }
    }
}

impl Limits {
    /// Returns all limits Meta documents for a tier, except the limit for the app as a whole.
    pub fn of(tier: Tier) -> Self {
        let (ads_management, ads_insights, custom_audience) = match tier {
            Tier::Limited => (300, 600, 5_000),
            Tier::Full => (100_000, 190_000, 190_000),
        };
        Self {
            tier,
            ads_management,
            ads_insights,
            custom_audience,
            with_active_ads: true,
            score: true,
            daily_users: None,
            writes_per_second: Some(100),
        }
    }
}
