//! The ad account that the system works with, and today's date there.

use std::sync::Arc;

use anyhow::Context;
use graph_api::GraphConfig;
use graph_sim::{AccountArgs, App, Config, GraphSim, Source};
use jiff::civil::{Date, time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use runtime::Clock;
use runtime::env::Env;

use crate::data::Data;
use crate::snapshot::Snapshot;

/// The id of the simulated app.
const SIMULATED_APP: &str = "100000000000001";

/// The source of the ad account.
#[derive(Debug, Clone)]
pub enum Account {
    /// The simulator in this process, with a generated or recorded account.
    Simulated(AccountArgs),
    /// Meta itself, with credentials from the environment.
    Live,
}

/// Meta as the functions call it.
pub(crate) struct MetaBackend {
    /// The simulator; `None` when Meta is the real one.
    pub(crate) sim: Option<GraphSim>,
    pub(crate) graph: GraphConfig,
    pub(crate) verify_token: String,
}

/// What Meta has to know about this app.
pub(crate) struct AppSettings<'a> {
    pub(crate) data: &'a Data,
    /// What a simulated Meta begins with, and when.
    pub(crate) snapshot: Option<&'a Snapshot>,
    pub(crate) graph_version: &'a str,
    pub(crate) app_secret: &'a str,
    pub(crate) verify_token: &'a str,
    pub(crate) redirect_uri: String,
}

impl Account {
    /// Starts the simulator or reads the credentials, and sets the clock to the account's day.
    pub(crate) async fn start(
        &self,
        clock: &Clock,
        settings: AppSettings<'_>,
    ) -> anyhow::Result<MetaBackend> {
        let args = match self {
            Self::Live => return live(settings),
            Self::Simulated(args) => args,
        };
        if let Some(snapshot) = settings.snapshot {
            clock.advance(snapshot.taken_at.duration_since(clock.now()));
        } else if let (None, Some(today)) = (&args.account, args.today) {
            set_to_noon(clock, today, &args.zone()?)?;
        }
        let sim_clock = clock.clone();
        let app = App {
            app_id: SIMULATED_APP.to_owned(),
            app_secret: settings.app_secret.to_owned(),
            redirect_uris: vec![settings.redirect_uri.clone()],
        };
        let source = match settings.snapshot {
            Some(snapshot) => Source::Snapshot(snapshot.sim.clone()),
            None => args.source(clock.now())?,
        };
        let config = Config::new(source, app, Arc::new(move || sim_clock.now()));
        let sim =
            GraphSim::start(Config { journal: settings.data.journal(&journal_name(args)), ..config }).await?;
        if let Some(folder) = &args.account {
            // The day after the last recorded one, so that every recorded day is over.
            let day_after = graph_sim::last_recorded_day(folder)?.saturating_add(1.day());
            let zone = TimeZone::get(&sim.account().timezone).context("the recorded account's time zone")?;
            set_to_noon(clock, args.today.unwrap_or(day_after), &zone)?;
        }
        let url = sim.base_url();
        let graph = GraphConfig {
            graph_url: url.clone(),
            dialog_url: url,
            version: settings.graph_version.to_owned(),
            app_id: SIMULATED_APP.to_owned(),
            app_secret: settings.app_secret.to_owned().into(),
            timeout: GraphConfig::DEFAULT_TIMEOUT,
        };
        Ok(MetaBackend { sim: Some(sim), graph, verify_token: settings.verify_token.to_owned() })
    }
}

/// Returns the journal's name: writes to one simulated account must not appear in another.
fn journal_name(args: &AccountArgs) -> String {
    match &args.account {
        Some(folder) => {
            let name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
            format!("recorded-{}", name.unwrap_or_default())
        }
        None => {
            let AccountArgs { seed, accounts, campaigns, adsets, ads, .. } = args;
            format!("generated-{seed}-{accounts}-{campaigns}-{adsets}-{ads}")
        }
    }
}

fn live(settings: AppSettings<'_>) -> anyhow::Result<MetaBackend> {
    let mut env = Env::default();
    let app_id = env.required("META_APP_ID");
    let app_secret = env.required("META_APP_SECRET");
    env.check()?;
    let graph = GraphConfig {
        graph_url: "https://graph.facebook.com".to_owned(),
        dialog_url: "https://www.facebook.com".to_owned(),
        version: settings.graph_version.to_owned(),
        app_id,
        app_secret: app_secret.into(),
        timeout: GraphConfig::DEFAULT_TIMEOUT,
    };
    let verify_token = Env::optional("META_VERIFY_TOKEN").unwrap_or_else(|| settings.verify_token.to_owned());
    Ok(MetaBackend { sim: None, graph, verify_token })
}

fn set_to_noon(clock: &Clock, day: Date, zone: &TimeZone) -> anyhow::Result<()> {
    let noon: Timestamp = zone.to_timestamp(day.to_datetime(time(12, 0, 0, 0)))?;
    clock.advance(noon.duration_since(clock.now()));
    Ok(())
}
