//! The complete system: Meta (simulated or real), the embedded AWS, the functions, the runner and HTTP.

use std::fs::File;
use std::sync::Arc;

use anyhow::Context;
use connector::Connector;
use console::Console;
use graph_api::version::DEFAULT_VERSION;
use graph_api::{Graph, Time};
use graph_sim::{AccountArgs, GraphSim};
use jiff::{SignedDuration, Timestamp};
use live_updates::HubClient;
use runtime::origins::AllowedOrigins;
use runtime::session::{Role, SessionConfig};
use runtime::{AppSecrets, Clock, Host, SessionVerifier};
use store::{StoreError, Table};

use crate::account::{Account, AppSettings};
use crate::calls::Recorders;
use crate::cloud::Cloud;
use crate::data::{Data, LocalSecrets};
use crate::demo::WORKSPACE;
use crate::functions::Functions;
use crate::http_server::{self, HttpServer, Site};
use crate::hub::Hubs;
use crate::issuer::{CONSOLE_CLIENT, Issuer, SignIn};
use crate::meter::Meter;
use crate::observer::Observer;
use crate::recover::{self, AccountSnapshots};
use crate::runner::Runner;
use crate::snapshot::Snapshot;
use crate::tenant::tenant;

/// How long an access token lasts unless an option says otherwise.
pub const ACCESS_TOKEN_TTL: SignedDuration = SignedDuration::from_mins(15);

/// The options of a system.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it stores its data.
    pub data: Data,
    /// The port on 127.0.0.1; 0 lets the operating system choose.
    pub port: u16,
    /// The ad account, and its day.
    pub account: Account,
    /// The version of the Graph API to ask for.
    pub graph_version: String,
    /// Seconds after which a received and unfinished message becomes visible again.
    pub visibility_seconds: u32,
    /// Front ends that may call the API from a browser, besides those of this machine.
    pub allowed_origins: AllowedOrigins,
    /// Requests per minute and workspace; also the size of a burst.
    pub requests_per_minute: u32,
    /// How long an access token of the local issuer lasts.
    pub access_token_ttl: SignedDuration,
    /// The trusted issuer of sessions; the local issuer when `None`.
    pub sessions: Option<SessionConfig>,
    /// Receives all calls, requests and responses.
    pub observer: Option<Observer>,
    /// Counts what functions use of AWS.
    pub meter: Option<Meter>,
    /// The system that this one begins as a copy of.
    pub snapshot: Option<Arc<Snapshot>>,
}

impl Options {
    /// Returns the options for a generated account, in-memory data, and any port.
    pub fn in_memory() -> Self {
        Self {
            data: Data::Memory,
            port: 0,
            account: Account::Simulated(AccountArgs::default()),
            graph_version: DEFAULT_VERSION.to_owned(),
            visibility_seconds: 30,
            allowed_origins: AllowedOrigins::default(),
            requests_per_minute: 60_000,
            access_token_ttl: ACCESS_TOKEN_TTL,
            sessions: None,
            observer: None,
            meter: None,
            snapshot: None,
        }
    }
}

/// The running system.
pub struct System {
    /// The system's clock.
    pub clock: Clock,
    /// The table, for tests and reports.
    pub table: Table,
    /// The event sources.
    pub runner: Runner,
    /// The app at Meta, for its count of calls.
    pub graph: Graph,
    /// The embedded AWS.
    pub cloud: Cloud,
    /// When it started.
    pub started_at: Timestamp,
    /// The state of the accounts on this data at the start.
    pub snapshots: AccountSnapshots,
    /// The app's secrets: the app secret signs Meta's webhooks, the verify token authenticates their handshake.
    pub secrets: AppSecrets,
    /// What functions get from this host.
    pub host: Host,
    sim: Option<GraphSim>,
    issuer: Issuer,
    server: HttpServer,
    url: String,
    local: LocalSecrets,
    _lock: Option<File>,
}

impl System {
    /// Starts everything, and resumes what the last process on this data left unfinished.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let lock = options.data.lock()?;
        let (listener, address) = http_server::bind(options.port)?;
        let url = format!("http://{address}");
        let copied = options.snapshot.as_deref();
        let mut local = copied.map_or_else(|| options.data.secrets(), |copied| Ok(copied.secrets.clone()))?;
        let clock = Clock::system();
        let before = clock.now();
        let settings = AppSettings {
            data: &options.data,
            snapshot: copied,
            graph_version: &options.graph_version,
            app_secret: &local.app_secret,
            verify_token: &local.verify_token,
            redirect_uri: format!("{url}/v1/auth/meta/callback"),
        };
        let meta = options.account.start(&clock, settings).await?;
        if let Some(sim) = &meta.sim {
            sim.set_deauthorize_url(&format!("{url}/v1/auth/meta/deauthorize"));
            sim.set_data_deletion_url(&format!("{url}/v1/auth/meta/data-deletion"));
        }
        let ahead = clock.now().duration_since(before).as_secs();
        options.data.save_run(&mut local, ahead, &url)?;

        let secrets = AppSecrets {
            app_secret: meta.graph.app_secret.clone(),
            previous_app_secret: None,
            verify_token: meta.verify_token.into(),
        };
        let time = clock.clone();
        let graph = Graph::new(meta.graph, Time::new(move || time.now()));
        let recorders = Recorders { observer: options.observer.clone(), meter: options.meter };
        let cloud =
            Cloud::start(&options.data, &local, &clock, options.visibility_seconds, recorders).await?;
        if let Some(copied) = copied {
            copied.restore(&cloud.database)?;
            cloud.timers.restore(copied.timers.clone());
        }
        let issuer = Issuer::new(&local.issuer_seed, &url)?;
        let sessions = options.sessions.unwrap_or_else(|| issuer.config());
        let host = Host {
            clock: clock.clone(),
            queues: cloud.queues.clone(),
            schedules: cloud.schedules.clone(),
            sessions: SessionVerifier::new(sessions.clone())?,
            requests_per_minute: options.requests_per_minute,
            public_url: Some(url.as_str().into()),
        };
        let table = cloud.table.clone();
        let connector = Connector::new(table.clone(), graph.clone(), cloud.keyring.clone());
        let origins = options.allowed_origins.with_loopback();
        let hubs = Hubs::new(clock.clone())?;
        let hub = HubClient::new(&url, hubs.key())?;
        let functions = Functions::new(&connector, &host, secrets.clone(), origins.clone(), hub);
        let started_at = clock.now();
        // A copied system had nothing to resume.
        let snapshots = match copied {
            Some(_) => AccountSnapshots::default(),
            None => recover::recover(&cloud, &functions).await?,
        };
        let runner = Runner::start(&cloud, &functions);
        let sign_in = SignIn::new(
            issuer.clone(),
            tenant(WORKSPACE)?,
            clock.clone(),
            origins.clone(),
            options.access_token_ttl,
        );
        let settings = console::Settings {
            issuer: sessions.issuer,
            client_id: CONSOLE_CLIENT.to_owned(),
            audience: sessions.audience,
            token_url: None,
            hub: Some(url.clone()),
            previews: meta.sim.as_ref().map(GraphSim::base_url),
            scope: "openid profile email offline_access".to_owned(),
        };
        let console = Console::new(&settings).context("the issuer of sessions is no URL")?;
        let site = Site { functions, console, observer: options.observer, clock: clock.clone() };
        let server = HttpServer::start(listener, site, sign_in.router().merge(hubs.router()), origins);
        Ok(Self {
            clock,
            table,
            runner,
            graph,
            cloud,
            started_at,
            snapshots,
            secrets,
            host,
            sim: meta.sim,
            issuer,
            server,
            url,
            local,
            _lock: lock,
        })
    }

    /// Returns the API's URL, without a trailing slash.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the simulator; `None` when Meta is the real one.
    pub fn sim(&self) -> Option<&GraphSim> {
        self.sim.as_ref()
    }

    /// Creates a workspace, unless it exists, whose owner is the local developer.
    pub async fn create_workspace(&self, id: &str, name: &str) -> anyhow::Result<()> {
        let now = self.clock.now();
        let owner = self.issuer.claims(id, Role::Owner, now)?.sub;
        match self.table.create_workspace(&id.parse()?, name, &owner, now).await {
            Ok(()) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the issuer of session tokens.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// Returns a session token that is valid now.
    pub fn token(&self, workspace: &str, role: Role) -> anyhow::Result<String> {
        self.issuer.sign(&self.issuer.claims(workspace, role, self.clock.now())?)
    }

    /// Copies the system, which must be idle: messages in queues are not copied.
    pub fn snapshot(&self) -> anyhow::Result<Snapshot> {
        let sim = self.sim.as_ref().context("only a simulated Meta can be copied")?.snapshot();
        let timers = self.cloud.timers.all();
        Snapshot::of(&self.cloud.database, sim, timers, self.local.clone(), self.clock.now())
    }

    /// Stops everything in order: new requests first, then new messages, then Meta.
    pub async fn stop(self) {
        self.server.stop().await;
        self.runner.stop().await;
        if let Some(sim) = self.sim {
            sim.stop().await;
        }
    }
}

/// Returns a session token for the system that runs, or ran last, on this data.
pub fn token_for(data: &Data, workspace: &str, role: Role) -> anyhow::Result<String> {
    let local = data.existing_secrets()?;
    let issuer = Issuer::new(&local.issuer_seed, &local.url)?;
    let now = Clock::system().now() + SignedDuration::from_secs(local.clock_ahead_seconds);
    issuer.sign(&issuer.claims(workspace, role, now)?)
}
