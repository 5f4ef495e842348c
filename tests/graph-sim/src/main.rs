//! `graph-sim`: a local Graph API to test clients against.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use graph_sim::{AccountArgs, App, BehaviourArgs, Clock, Config, GraphSim, StartError};

/// A local simulator of Meta's Graph and Marketing API.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    behaviour: BehaviourArgs,
    /// Port on 127.0.0.1; 0 lets the system pick one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    #[arg(long, default_value = "100000000000001")]
    app_id: String,
    #[arg(long, default_value = "local-app-secret")]
    app_secret: String,
    /// Store the objects that callers create in this file.
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
    let sim = GraphSim::start(config(args)?).await?;
    let (url, account) = (sim.base_url(), sim.account());
    let token = sim.issue_token("1", &["ads_read", "ads_management"]);
    println!("{url}");
    println!(
        "curl -H 'Authorization: Bearer {token}' '{url}/v26.0/{}/campaigns?fields=id,name,status'",
        account.id
    );
    let result = tokio::select! {
        result = tokio::signal::ctrl_c() => result,
        () = sim.deliver_continuously() => Ok(()),
    };
    if let Err(error) = result {
        tracing::error!(%error, "Listening for Ctrl-C failed.");
    }
    sim.stop().await;
    Ok(())
}

fn config(args: Args) -> Result<Config, StartError> {
    let clock = wall_clock();
    let app = App { app_id: args.app_id, app_secret: args.app_secret, redirect_uris: Vec::new() };
    let config = Config::new(args.account.source(clock())?, app, clock);
    args.behaviour.apply(Config { port: args.port, journal: args.journal, ..config })
}

#[expect(clippy::disallowed_methods, reason = "the one place where the program's time comes from")]
fn wall_clock() -> Clock {
    Arc::new(jiff::Timestamp::now)
}
