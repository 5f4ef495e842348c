//! What a simulator is started with.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::fault::FaultPlan;
use crate::insights::InsightsLimits;
use crate::reports::ReportSettings;
use crate::write_settings::{MediaLimits, WriteSettings};

/// Where the simulator takes its time from: it never reads the wall clock itself.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What the simulator is started with.
pub struct Config {
    /// What the main ad account holds.
    pub source: Source,
    /// The app whose clients may call.
    pub app: App,
    /// The simulator's only source of time.
    pub clock: Clock,
    /// The port on 127.0.0.1; 0 lets the system pick one.
    pub port: u16,
    /// A file to which every successful write is appended as one JSON line, and which is replayed at start, so
    /// that created objects survive a restart.
    pub journal: Option<PathBuf>,
    /// How many calls an ad account may take.
    pub limits: Limits,
    /// How exact, how slow and how eventful the simulated Meta is.
    pub behaviour: Behaviour,
    /// What goes wrong from the start.
    pub faults: FaultPlan,
}

impl Config {
    /// A simulator of this account on a port the system picks, with the ordinary limits and manners of Meta. Change
    /// the other fields afterwards, or with `..Config::new(…)`: more of them come with time.
    pub fn new(source: Source, app: App, clock: Clock) -> Self {
        let (limits, behaviour) = (Limits::default(), Behaviour::default());
        let faults = FaultPlan::default();
        Self { source, app, clock, port: 0, journal: None, limits, behaviour, faults }
    }
}

/// How exact, how slow and how eventful the simulated Meta is.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// Whether parameters that Graph would silently ignore are refused instead, so that a misspelt one fails its test.
    pub strict: bool,
    /// Whether calls without `appsecret_proof` fail, as with the app setting "Require App Secret".
    pub require_proof: bool,
    /// How much one synchronous read of insights may ask for.
    pub insights_limits: InsightsLimits,
    /// How report runs go.
    pub reports: ReportSettings,
    /// Whether the numbers of a generated account go on growing for 28 days, as Meta's do: delivery for three days,
    /// conversions (and with them kinds of action) for all of them, every quarter of an hour; and some rows are taken
    /// back after four days. Otherwise a day's numbers are final from its first moment.
    pub restates: bool,
    /// Whether calls of a version that has ended are served by the current one, with a warning, as they are since
    /// July 2026; the app's settings can switch it off, and such calls fail.
    pub auto_upgrade: bool,
    /// How listings are cut into pages.
    pub pages: PagingQuirks,
    /// How long Meta works on what was written, and how much it takes.
    pub writing: WriteSettings,
    /// How much Meta takes of images and videos, and how fast it is with them.
    pub media: MediaLimits,
}

/// How listings are cut into pages. Meta promises none of what clients like to take for granted: that a page is full
/// when more follows, that a page has rows, and that what follows has rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PagingQuirks {
    /// A third of each page is missing, although more follows.
    pub short: bool,
    /// Between two pages comes one without rows, with `next`.
    pub empty_between: bool,
    /// The last page has `next` too, which leads to an empty one.
    pub empty_last: bool,
}

impl Default for Behaviour {
    /// Meta as an app finds it that has changed none of its settings.
    fn default() -> Self {
        Self {
            strict: false,
            require_proof: false,
            auto_upgrade: true,
            pages: PagingQuirks::default(),
            insights_limits: InsightsLimits::default(),
            writing: WriteSettings::default(),
            media: MediaLimits::default(),
            reports: ReportSettings::default(),
            restates: false,
        }
    }
}

/// Where the main ad account's structure and numbers come from.
pub enum Source {
    /// Made up, the same for the same seed.
    Generated(Generator),
    /// Read from recorded answers.
    Recorded {
        /// Holds `account.json`, `campaigns.json`, `adsets.json`, `ads.json` and `insights_ad_day.json`.
        folder: PathBuf,
        /// The account's time zone, for a recording that does not name it.
        timezone: Option<String>,
    },
}

/// The measures of a generated account.
#[derive(Clone, Debug)]
pub struct Generator {
    /// Shapes every name, id and number.
    pub seed: u64,
    /// How many campaigns there are.
    pub campaigns: u32,
    /// How many ad sets there are, dealt out over the campaigns.
    pub adsets: u32,
    /// How many ads there are, dealt out over the ad sets.
    pub ads: u32,
    /// How many days of numbers there are, the last of them `today`.
    pub days: u32,
    /// Whether every ad delivers on every day. Usually ads rest, end, or find no audience for a day.
    pub every_day: bool,
    /// ISO code of the account's currency.
    pub currency: String,
    /// IANA name of the account's time zone.
    pub timezone: String,
    /// The last day with numbers while the clock stands where it was at the start; it moves on with the clock.
    pub today: Date,
}

impl Generator {
    /// What the account's ids and numbers follow from: another size, currency or zone is another account, while
    /// more days are more of the same.
    pub(crate) fn identity(&self) -> u64 {
        let text = format!(
            "{} {} {} {} {} {}",
            self.seed, self.campaigns, self.adsets, self.ads, self.currency, self.timezone
        );
        // FNV-1a: spread well enough for ids, and the same everywhere and always.
        text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }

    /// An account of ordinary size, in Singapore.
    pub fn new(today: Date) -> Self {
        Self {
            seed: 1,
            campaigns: 20,
            adsets: 60,
            ads: 200,
            days: 90,
            every_day: false,
            currency: "SGD".to_owned(),
            timezone: "Asia/Singapore".to_owned(),
            today,
        }
    }
}

/// The app known to the simulator.
#[derive(Clone, Debug)]
pub struct App {
    /// The app's id, `client_id` of the login dialog.
    pub app_id: String,
    /// The app's secret: signs tokens and proofs.
    pub app_secret: String,
    /// Where the login dialog may send people back to; empty allows any address on this machine.
    pub redirect_uris: Vec<String>,
}

/// How far Meta trusts the app (Marketing API, "Rate limiting").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Tier {
    /// Before the app has full access; headers still say `development_access`.
    Limited,
    /// After it; headers still say `standard_access`.
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

    /// What the score of an ad account can hold; a read is one point, a write three.
    pub(crate) fn max_points(self) -> f64 {
        match self {
            Self::Limited => 60.0,
            Self::Full => 9_000.0,
        }
    }

    /// For how many seconds an ad account is closed whose score is full.
    pub(crate) fn lockout_seconds(self) -> i64 {
        match self {
            Self::Limited => 300,
            Self::Full => 60,
        }
    }
}

/// How many calls the app and each ad account may take. Refused calls are answered with HTTP 400.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// What the headers say, and how much an ad account's score holds.
    pub tier: Tier,
    /// Structure reads and writes per ad account and hour.
    pub ads_management: u64,
    /// Insights reads per ad account and hour.
    pub ads_insights: u64,
    /// Calls for audiences per ad account and hour.
    pub custom_audience: u64,
    /// Whether active ads widen an ad account's quotas: by 40 calls each for structure, and 400 for insights.
    pub with_active_ads: bool,
    /// Whether an ad account is closed for a while when its score is full.
    pub score: bool,
    /// The app's daily users, of whom each brings it 200 calls an hour; when absent the app has no limit.
    pub daily_users: Option<u64>,
    /// Writes per ad account and second; when absent there is no limit, which suits a clock that stands still.
    pub writes_per_second: Option<u64>,
}

impl Default for Limits {
    /// The quotas of an app with full access, without the part that grows with the number of active ads, and nothing
    /// else that a busy test could meet.
    fn default() -> Self {
        Self { with_active_ads: false, score: false, writes_per_second: None, ..Self::of(Tier::Full) }
    }
}

impl Limits {
    /// Everything Meta documents for a tier, but no limit for the app as a whole.
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
