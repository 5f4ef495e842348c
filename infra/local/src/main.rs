//! `adflight`: the whole system on one machine.

mod bulk;
mod client;
mod launches;
mod uploads;

use std::cell::Cell;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
use graph_api::version::DEFAULT_VERSION;
use graph_sim::{AccountArgs, App, BehaviourArgs, Config, GraphSim};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::SignedDuration;
use local::account::Account;
use local::data::Data;
use local::demo::{self, ApiClient, DemoStage, WORKSPACE};
use local::report::Report;
use local::system::token_for;
use local::verify::TableLocation;
use local::{Options, System};
use runtime::Clock;
use runtime::env::Env;
use runtime::origins::AllowedOrigins;
use runtime::session::Role;
use runtime::telemetry::{self, Format};
use store::audit::digest::{AuditReport, AuditRoot};
use tokio::signal::unix::{SignalKind, signal};

/// The rate limit, as the template has it by default.
const REQUESTS_PER_MINUTE: u32 = 1200;

/// The exit code for a mistake in the command line or the environment.
const USAGE: u8 = 2;

/// The backend of a Meta ads product, whole, on this machine.
#[derive(Parser)]
#[command(name = "adflight", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    up: Up,
}

#[derive(Subcommand)]
enum Command {
    /// Start everything, connect and sync the account, show it, and serve (the default).
    Up(Box<Up>),
    /// Run the Graph API simulator alone.
    Sim(Sim),
    /// Print a session token for curl.
    Token(Token),
    /// Upload images and videos for ads.
    Upload(uploads::Upload),
    /// Launch a document, or check it with --dry-run.
    Launch(launches::Launch),
    /// List the newest launches of a workspace.
    Launches(client::Api),
    /// Change many campaigns, ad sets and ads at once, or undo that.
    Bulk(bulk::Bulk),
    /// The audit log.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// The keys that seal Meta tokens.
    #[command(subcommand)]
    Keyring(KeyringCommand),
}

#[derive(Subcommand)]
enum AuditCommand {
    /// Verify a workspace's entries against their digests and name the first place that does not hold.
    Verify {
        /// The workspace.
        #[arg(long, default_value = WORKSPACE)]
        workspace: String,
        /// The folder of the system, which must not be running.
        #[arg(long, default_value = ".adflight", value_name = "DIR")]
        data: Data,
        /// A table in AWS instead, with the credentials and the region of the environment.
        #[arg(long, value_name = "NAME", conflicts_with = "data")]
        table: Option<String>,
        /// A digest that an earlier verification printed and that was kept elsewhere; may be repeated.
        #[arg(long = "root", value_name = "NUMBER:HASH")]
        roots: Vec<AuditRoot>,
    },
}

#[derive(Subcommand)]
enum KeyringCommand {
    /// Replace the key with a fresh one and reseal every token; the system must not be running.
    Rotate {
        /// The folder of the system.
        #[arg(long, default_value = ".adflight", value_name = "DIR")]
        data: Data,
    },
}

#[derive(Args, Clone)]
struct Up {
    #[command(flatten)]
    account: AccountArgs,
    /// Stop when the job is done; the exit code is not 0 when it failed.
    #[arg(long)]
    exit: bool,
    /// Print one JSON document on stdout, everything else on stderr.
    #[arg(long)]
    json: bool,
    /// Where the table and the secrets are stored; ":memory:" stores nothing.
    #[arg(long, default_value = ".adflight", value_name = "DIR")]
    data: Data,
    /// The port on 127.0.0.1; 0 picks a free one.
    #[arg(long, default_value_t = 8787)]
    port: u16,
    /// The origin of a front end that may call the API from a browser; may be repeated. Pages of this machine always
    /// may.
    #[arg(long = "allow-origin", value_name = "ORIGIN", value_parser = origin)]
    allowed_origins: Vec<String>,
    /// Seconds that an access token of the console lasts, to see how it renews and ends sessions.
    #[arg(long, default_value_t = 900, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(5..=86_400))]
    access_token: u32,
    /// Which Meta to use.
    #[arg(long, value_enum, default_value_t = MetaKind::Simulated, value_name = "KIND")]
    meta: MetaKind,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MetaKind {
    /// The simulator in this process.
    Simulated,
    /// The real Graph API; META_APP_ID and META_APP_SECRET are read from the environment.
    Live,
}

#[derive(Args)]
struct Sim {
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    behaviour: BehaviourArgs,
    /// The port on 127.0.0.1; 0 picks a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
}

#[derive(Args)]
struct Token {
    /// The workspace of the token.
    #[arg(long, default_value = WORKSPACE)]
    workspace: String,
    /// viewer, editor or owner.
    #[arg(long, default_value = "owner")]
    role: Role,
    /// The folder of the system that the token is for.
    #[arg(long, default_value = ".adflight", value_name = "DIR")]
    data: Data,
}

#[tokio::main]
async fn main() -> ExitCode {
    telemetry::init(Format::Text, "warn");
    let cli = Cli::parse();
    let ran = match cli.command {
        None => up(cli.up).await,
        Some(Command::Up(args)) => up(*args).await,
        Some(Command::Sim(args)) => sim(args).await,
        Some(Command::Token(args)) => token(args),
        Some(Command::Upload(args)) => uploads::upload_files(args).await,
        Some(Command::Launch(args)) => launches::launch(args).await,
        Some(Command::Bulk(args)) => bulk::bulk(args).await,
        Some(Command::Launches(api)) => launches::list(&api).await,
        Some(Command::Audit(AuditCommand::Verify { workspace, data, table, roots })) => {
            verify(&table.map_or(TableLocation::Local(data), TableLocation::Aws), &workspace, &roots).await
        }
        Some(Command::Keyring(KeyringCommand::Rotate { data })) => rotate(&data).await,
    };
    ran.unwrap_or_else(|error| {
        say(&format!("adflight: {error:#}"));
        ExitCode::from(USAGE)
    })
}

/// Writes a line to stderr, which takes everything but the result.
fn say(line: &str) {
    // A closed stderr cannot be reported anywhere.
    let _closed = writeln!(std::io::stderr(), "{line}");
}

/// Writes the result to stdout.
fn print(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{text}").context("stdout is closed")
}

/// Checks one origin of the command line.
fn origin(text: &str) -> Result<String, String> {
    match AllowedOrigins::parse(text) {
        Ok(_) if !text.is_empty() => Ok(text.to_owned()),
        Ok(_) => Err("must look like https://app.example.com".to_owned()),
        Err(error) => Err(error.message),
    }
}

async fn up(args: Up) -> anyhow::Result<ExitCode> {
    let account = match args.meta {
        MetaKind::Live => Account::Live,
        MetaKind::Simulated => Account::Simulated(args.account.clone()),
    };
    let options = Options {
        graph_version: Env::optional("META_GRAPH_VERSION").unwrap_or_else(|| DEFAULT_VERSION.to_owned()),
        data: args.data.clone(),
        port: args.port,
        account,
        allowed_origins: AllowedOrigins::parse(&args.allowed_origins.join(","))?,
        requests_per_minute: REQUESTS_PER_MINUTE,
        access_token_ttl: SignedDuration::from_secs(args.access_token.into()),
        ..Options::in_memory()
    };
    let system = System::start(options).await?;
    system.create_workspace(WORKSPACE, "Demo").await?;
    let code = match args.meta {
        MetaKind::Live => {
            live_hint(&system, &args.data)?;
            ExitCode::SUCCESS
        }
        MetaKind::Simulated => run_demo(&system, &args).await.unwrap_or_else(|error| {
            say(&format!("adflight: the job failed: {error:#}"));
            ExitCode::FAILURE
        }),
    };
    if !args.exit {
        // Meta tells of changes at once.
        let pushes = async {
            match system.sim() {
                Some(sim) => sim.deliver_continuously().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            requested = shutdown_requested() => requested?,
            () = pushes => {}
        }
    }
    system.stop().await;
    Ok(code)
}

async fn run_demo(system: &System, args: &Up) -> anyhow::Result<ExitCode> {
    let api = ApiClient::new(system, WORKSPACE, Role::Owner)?;
    let progress = ProgressReporter::new();
    demo::run(system, &api, |stage| progress.show(stage)).await?;
    progress.bar.finish_and_clear();
    let report = Report::gather(system, &api).await?;
    if args.json {
        print(&serde_json::to_string(&report)?)?;
    } else {
        print(&report.to_text())?;
    }
    if !args.exit {
        let hint = serving(system, &api);
        if args.json { say(&hint) } else { print(&hint)? }
    }
    Ok(if report.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Waits for Ctrl-C, or for the signal that a service manager sends.
async fn shutdown_requested() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("signals cannot be heard here")?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed.context("Ctrl-C cannot be heard here"),
        _ = terminate.recv() => Ok(()),
    }
}

fn serving(system: &System, api: &ApiClient) -> String {
    let (account, page) = match system.sim().map(GraphSim::account) {
        Some(account) => (account.id, account.page_id),
        None => Default::default(),
    };
    let url = system.url();
    let meta = system.sim().map(GraphSim::base_url).unwrap_or_default();
    format!(
        "The console: {url}\n\
         The simulated Meta: {meta}\n\n\
         The API is there, too, until Ctrl-C. Try, in another terminal:\n\n\
         curl -s -H 'Authorization: Bearer {}' '{url}/v1/workspaces/{WORKSPACE}/ad-accounts/{account}/campaigns?sort=spend&limit=3'\n\n\
         To launch in this account, take a post of its page, such as {page}_1, as `post_id`.",
        api.token()
    )
}

fn live_hint(system: &System, data: &Data) -> anyhow::Result<()> {
    let url = system.url();
    let token = system.token(WORKSPACE, Role::Owner)?;
    let where_ = if *data == Data::Memory { " (nothing is kept: --data is :memory:)" } else { "" };
    print(&format!(
        "Serving on {url} with the real Graph API{where_}. The console is there, too.\n\
         Valid OAuth redirect URI of the app: {url}/v1/auth/meta/callback\n\
         To connect, use the console, or POST\n  \
         {url}/v1/workspaces/{WORKSPACE}/connections/meta/authorize\n\
         with this session token, and open the start_url that it answers in a browser.\n\n{token}\n"
    ))
}

async fn sim(args: Sim) -> anyhow::Result<ExitCode> {
    let clock = Clock::system();
    let now = clock.clone();
    let source = args.account.source(clock.now())?;
    let app = App {
        app_id: "100000000000001".to_owned(),
        app_secret: "local-app-secret".to_owned(),
        redirect_uris: Vec::new(),
    };
    let clock = Arc::new(move || now.now());
    let config = args.behaviour.apply(Config { port: args.port, ..Config::new(source, app, clock) })?;
    let sim = GraphSim::start(config).await?;
    let token = sim.issue_token("1", &["ads_read", "ads_management"]);
    let url = sim.base_url();
    print(&format!(
        "Graph API simulator on {url} until Ctrl-C. Try:\n\n\
         curl -s -H 'Authorization: Bearer {token}' '{url}/v26.0/{}/campaigns?fields=id,name,status'\n",
        sim.account().id
    ))?;
    tokio::select! {
        requested = shutdown_requested() => requested?,
        () = sim.deliver_continuously() => {}
    }
    sim.stop().await;
    Ok(ExitCode::SUCCESS)
}

fn token(args: Token) -> anyhow::Result<ExitCode> {
    print(&token_for(&args.data, &args.workspace, args.role)?)?;
    Ok(ExitCode::SUCCESS)
}

async fn verify(location: &TableLocation, workspace: &str, roots: &[AuditRoot]) -> anyhow::Result<ExitCode> {
    match local::verify::verify(location, workspace, roots).await? {
        Ok(AuditReport { entries, unsealed, digests, root }) => {
            let root = root.map_or_else(String::new, |root| format!(" Root: {root}"));
            print(&format!(
                "The audit log of {workspace} holds: {entries} entries in {digests} digests, {unsealed} not sealed yet.{root}"
            ))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            print(&format!("The audit log of {workspace} does not hold: {error}."))?;
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn rotate(data: &Data) -> anyhow::Result<ExitCode> {
    print(&local::rotate::rotate(data).await?)?;
    Ok(ExitCode::SUCCESS)
}

/// Reports progress: a bar on a terminal, plain lines elsewhere.
struct ProgressReporter {
    bar: ProgressBar,
    last: Cell<Option<DemoStage>>,
}

impl ProgressReporter {
    fn new() -> Self {
        Self { bar: ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()), last: Cell::new(None) }
    }

    fn show(&self, stage: DemoStage) {
        if self.last.replace(Some(stage)) == Some(stage) {
            return;
        }
        let (message, template) = match stage {
            DemoStage::Connecting => ("Connecting", "{msg}"),
            DemoStage::Entities => ("Entities", "{msg}"),
            DemoStage::Chunks { done, total } => {
                self.bar.set_length(total);
                self.bar.set_position(done);
                ("Measuring", "{msg} {bar:40} {pos} of {len} weeks")
            }
            DemoStage::Rules => ("Rules", "{msg}"),
            DemoStage::Webhook => ("Webhook", "{msg}"),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        self.bar.set_message(message);
        if !std::io::stderr().is_terminal() {
            match stage {
                DemoStage::Chunks { done, total } => say(&format!("{message}: {done} of {total} weeks")),
                _ => say(message),
            }
        }
    }
}
