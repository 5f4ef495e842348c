//! `graph-sim`: a local Graph API to try a client on.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use graph_sim::{App, Clock, Config, Generator, GraphSim, Limits, Source, StartError};
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// A local stand-in for Meta's Graph and Marketing API.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Serve the account recorded in this folder instead of a made-up one.
    #[arg(long, value_name = "DIR")]
    account: Option<PathBuf>,
    /// Shapes the made-up account.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, default_value_t = 20)]
    campaigns: u32,
    #[arg(long, default_value_t = 60)]
    adsets: u32,
    #[arg(long, default_value_t = 200)]
    ads: u32,
    /// Days of numbers, up to today.
    #[arg(long, default_value_t = 90)]
    days: u32,
    #[arg(long, default_value = "SGD")]
    currency: String,
    /// IANA name; for a recorded account used only when the recording names none. [default: Asia/Singapore]
    #[arg(long)]
    timezone: Option<String>,
    /// The last day with numbers [default: today in the account's time zone].
    #[arg(long, value_name = "DATE")]
    today: Option<Date>,
    /// 0 lets the system pick one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    #[arg(long, default_value = "100000000000001")]
    app_id: String,
    #[arg(long, default_value = "local-app-secret")]
    app_secret: String,
    /// Keep what callers create in this file.
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    match serve(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the address is what the program is run for")]
async fn serve(args: Args) -> Result<(), StartError> {
    let sim = GraphSim::start(config(args)).await?;
    let (url, account) = (sim.base_url(), sim.account());
    let token = sim.issue_token("1", &["ads_read", "ads_management"]);
    println!("{url}");
    println!(
        "curl -H 'Authorization: Bearer {token}' '{url}/v26.0/{}/campaigns?fields=id,name,status'",
        account.id
    );
    if let Err(error) = tokio::signal::ctrl_c().await {
        tracing::error!(%error, "Ctrl-C cannot be heard here.");
    }
    sim.stop().await;
    Ok(())
}

fn config(args: Args) -> Config {
    let clock = wall_clock();
    let source = match args.account {
        Some(folder) => Source::Recorded { folder, timezone: args.timezone },
        None => {
            let timezone = args.timezone.unwrap_or_else(|| "Asia/Singapore".to_owned());
            // An unknown zone is reported at the start.
            let zone = TimeZone::get(&timezone).unwrap_or(TimeZone::UTC);
            Source::Generated(Generator {
                seed: args.seed,
                campaigns: args.campaigns,
                adsets: args.adsets,
                ads: args.ads,
                days: args.days,
                currency: args.currency,
                timezone,
                today: args.today.unwrap_or_else(|| clock().to_zoned(zone).date()),
            })
        }
    };
    Config {
        source,
        app: App { app_id: args.app_id, app_secret: args.app_secret, redirect_uris: Vec::new() },
        clock,
        port: args.port,
        journal: args.journal,
        limits: Limits::default(),
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where the program's time comes from")]
fn wall_clock() -> Clock {
    Arc::new(jiff::Timestamp::now)
}
