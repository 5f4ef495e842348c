//! What a simulator is started with.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;

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
}

impl Config {
    /// A simulator of this account on a port the system picks, with the ordinary limits and manners of Meta. Change
    /// the other fields afterwards, or with `..Config::new(…)`: more of them come with time.
    pub fn new(source: Source, app: App, clock: Clock) -> Self {
        let (limits, behaviour) = (Limits::default(), Behaviour::default());
        Self { source, app, clock, port: 0, journal: None, limits, behaviour }
    }
}

/// How exact, how slow and how eventful the simulated Meta is.
#[derive(Clone, Debug, Default)]
pub struct Behaviour {
    /// Whether parameters that Graph would silently ignore are refused instead, so that a misspelt one fails its test.
    pub strict: bool,
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

/// Calls per ad account and hour, by business use case.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Structure reads and writes.
    pub ads_management: u64,
    /// Insights reads.
    pub ads_insights: u64,
}

impl Default for Limits {
    /// The quotas of an app with full access, without the part that grows with the number of active ads.
    fn default() -> Self {
        Self { ads_management: 100_000, ads_insights: 190_000 }
    }
}
