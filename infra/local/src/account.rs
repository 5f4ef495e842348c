//! Which ad account the system works with, and what day it is there.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use graph_api::GraphConfig;
use graph_sim::{App, Config, Generator, GraphSim, Limits, Source};
use jiff::civil::{Date, time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use runtime::Clock;
use runtime::env::Env;

use crate::data::Data;

/// The id of the simulated app.
const SIMULATED_APP: &str = "100000000000001";

/// Where the ad account comes from.
#[derive(Debug, Clone)]
pub enum Account {
    /// Made up, the same for the same seed.
    Generated(Sizes),
    /// Recorded from a real one.
    Recorded {
        /// The folder with account.json and its neighbours.
        folder: PathBuf,
        /// Used when the recording names no zone.
        timezone: Option<String>,
    },
    /// Meta's own, with the credentials of the environment.
    Live,
}

/// The size and shape of a generated account.
#[derive(Debug, Clone)]
pub struct Sizes {
    /// The same seed gives the same account.
    pub seed: u64,
    /// Campaigns.
    pub campaigns: u32,
    /// Ad sets.
    pub adsets: u32,
    /// Ads.
    pub ads: u32,
    /// Days with numbers, up to today.
    pub days: u32,
    /// Currency.
    pub currency: String,
    /// IANA zone.
    pub timezone: String,
}

impl Default for Sizes {
    fn default() -> Self {
        let standard = Generator::new(Date::constant(2026, 1, 1));
        Self {
            seed: standard.seed,
            campaigns: standard.campaigns,
            adsets: standard.adsets,
            ads: standard.ads,
            days: standard.days,
            currency: standard.currency,
            timezone: standard.timezone,
        }
    }
}

/// Meta as the functions reach it.
pub(crate) struct Meta {
    /// The simulator, unless Meta is the real one.
    pub(crate) sim: Option<GraphSim>,
    pub(crate) graph: GraphConfig,
    pub(crate) verify_token: String,
}

/// What Meta needs to know of us.
pub(crate) struct Us<'a> {
    pub(crate) data: &'a Data,
    pub(crate) app_secret: &'a str,
    pub(crate) verify_token: &'a str,
    pub(crate) redirect_uri: String,
}

impl Account {
    /// Starts the simulator, or reads the credentials, and sets the clock to the account's day.
    pub(crate) async fn start(&self, clock: &Clock, today: Option<Date>, us: Us<'_>) -> anyhow::Result<Meta> {
        let source = match self {
            Self::Live => return live(us),
            Self::Generated(sizes) => {
                let zone = TimeZone::get(&sizes.timezone)
                    .map_err(|_| anyhow!("--timezone {}: not a known IANA time zone", sizes.timezone))?;
                if let Some(today) = today {
                    set_to_noon(clock, today, &zone)?;
                }
                Source::Generated(Generator {
                    seed: sizes.seed,
                    campaigns: sizes.campaigns,
                    adsets: sizes.adsets,
                    ads: sizes.ads,
                    days: sizes.days,
                    currency: sizes.currency.clone(),
                    timezone: sizes.timezone.clone(),
                    today: clock.now().to_zoned(zone).date(),
                })
            }
            Self::Recorded { folder, timezone } => {
                Source::Recorded { folder: folder.clone(), timezone: timezone.clone() }
            }
        };
        let sim_clock = clock.clone();
        let sim = GraphSim::start(Config {
            source,
            app: App {
                app_id: SIMULATED_APP.to_owned(),
                app_secret: us.app_secret.to_owned(),
                redirect_uris: vec![us.redirect_uri.clone()],
            },
            clock: Arc::new(move || sim_clock.now()),
            port: 0,
            journal: us.data.journal(&self.journal_name()),
            limits: Limits::default(),
        })
        .await?;
        if let Self::Recorded { folder, .. } = self {
            // The day after the last recorded one, so that every recorded day is over.
            let day_after = graph_sim::last_recorded_day(folder)?.saturating_add(1.day());
            let zone = TimeZone::get(&sim.account().timezone).context("the recorded account's time zone")?;
            set_to_noon(clock, today.unwrap_or(day_after), &zone)?;
        }
        let url = sim.base_url();
        let graph = GraphConfig {
            graph_url: url.clone(),
            dialog_url: url,
            version: "v26.0".to_owned(),
            app_id: SIMULATED_APP.to_owned(),
            app_secret: us.app_secret.to_owned().into(),
        };
        Ok(Meta { sim: Some(sim), graph, verify_token: us.verify_token.to_owned() })
    }

    /// Writes to one simulated account must not appear in another.
    fn journal_name(&self) -> String {
        match self {
            Self::Generated(sizes) => format!("generated-{}", sizes.seed),
            Self::Recorded { folder, .. } => {
                let name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
                format!("recorded-{}", name.unwrap_or_default())
            }
            Self::Live => "live".to_owned(),
        }
    }
}

fn live(us: Us<'_>) -> anyhow::Result<Meta> {
    let mut env = Env::default();
    let app_id = env.required("META_APP_ID");
    let app_secret = env.required("META_APP_SECRET");
    env.check()?;
    let graph = GraphConfig {
        graph_url: "https://graph.facebook.com".to_owned(),
        dialog_url: "https://www.facebook.com".to_owned(),
        version: Env::optional("META_GRAPH_VERSION").unwrap_or_else(|| "v26.0".to_owned()),
        app_id,
        app_secret: app_secret.into(),
    };
    let verify_token = Env::optional("META_VERIFY_TOKEN").unwrap_or_else(|| us.verify_token.to_owned());
    Ok(Meta { sim: None, graph, verify_token })
}

fn set_to_noon(clock: &Clock, day: Date, zone: &TimeZone) -> anyhow::Result<()> {
    let noon: Timestamp = zone.to_timestamp(day.to_datetime(time(12, 0, 0, 0)))?;
    clock.advance(noon.duration_since(clock.now()));
    Ok(())
}
