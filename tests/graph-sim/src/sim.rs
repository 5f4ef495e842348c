//! The running simulator, and what a test may see and do behind Graph's back.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::civil::Date;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::{Config, Source};
use crate::event::Issue;
use crate::fault::{Fault, FaultPlan, Faults};
use crate::insights::{self, Moment};
use crate::journal::Journal;
use crate::line::{Cut, Lines};
use crate::login::Codes;
use crate::media::video::VideoTrouble;
use crate::node::Kind;
use crate::pace::Pace;
use crate::people::Callbacks;
use crate::quota::{Quota, Usage, UseCase};
use crate::record::{Record, RecordedCall};
use crate::reports::{self, ReportFate, ReportRun};
use crate::server::{self, SharedState, lock};
use crate::stage::Verdict;
use crate::start_error::StartError;
use crate::state::State;
use crate::token::{Holder, Life, TokenState, Tokens};
use crate::webhook::{self, Deliveries, Webhooks};
use crate::world::World;
use crate::{generator, recorded};

/// A running simulator; it stops when dropped.
pub struct GraphSim {
    pub(crate) state: SharedState,
    base_url: String,
    stop: Option<watch::Sender<()>>,
    served: JoinHandle<()>,
}

/// The main ad account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountInfo {
    /// With its prefix: `act_1`.
    pub id: String,
    /// ISO code.
    pub currency: String,
    /// IANA name.
    pub timezone: String,
    /// The page its ads speak for: posts of other pages are refused.
    pub page_id: String,
}

impl GraphSim {
    /// Starts a simulator on 127.0.0.1.
    ///
    /// # Errors
    /// When the port is taken, or a recording or the journal cannot be read.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let mut world = world(&config)?;
        world.writing = config.behaviour.writing;
        world.media = config.behaviour.media;
        let port = |cause| StartError::Port { port: config.port, cause };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, config.port)).await.map_err(port)?;
        let address = listener.local_addr().map_err(port)?;
        let base_url = format!("http://{address}");
        world.base_url.clone_from(&base_url);
        let (stop, mut stopped) = watch::channel(());
        world.reports.plan = config.behaviour.reports;
        if config.behaviour.restates {
            world.facts.ripen();
        }
        let mut state = State {
            world,
            app: config.app,
            clock: config.clock,
            base_url: base_url.clone(),
            tokens: Tokens::default(),
            codes: Codes::default(),
            faults: Faults::default(),
            webhooks: Webhooks::default(),
            callbacks: Callbacks::default(),
            http: reqwest::Client::builder().no_proxy().build()?,
            last_pages: BTreeMap::new(),
            stopping: stopped.clone(),
            quota: Quota::new(config.limits),
            pace: Pace::default(),
            journal: None,
            calls: 0,
            throttled: 0,
            strict: config.behaviour.strict,
            auto_upgrade: config.behaviour.auto_upgrade,
            pages: config.behaviour.pages,
            require_proof: config.behaviour.require_proof,
            heaviest: config.behaviour.heaviest,
            ignored_params: 0,
            record: Record::default(),
            hears: None,
        };
        state.faults.set_plan(config.faults);
        if let Some(path) = config.journal {
            let (journal, writes) = Journal::open(&path)?;
            for (line, write) in writes {
                state.replay(&write).map_err(|error| StartError::Journal {
                    file: path.clone(),
                    line,
                    message: error.message,
                })?;
            }
            state.journal = Some(journal);
        }
        // What happened before the start has been told.
        let now = state.now();
        state.world.settle(now);
        state.world.events.clear();
        let state = Arc::new(Mutex::new(state));
        let service = server::router(Arc::clone(&state)).into_make_service_with_connect_info::<Cut>();
        let served = tokio::spawn(async move {
            let serve = axum::serve(Lines(listener), service).with_graceful_shutdown(async move {
                // Nothing is ever sent: the channel ends when the simulator is dropped.
                drop(stopped.changed().await);
            });
            if let Err(error) = serve.await {
                tracing::error!(%error, "The simulator stopped serving.");
            }
        });
        Ok(Self { state, base_url, stop: Some(stop), served })
    }

    /// Stops, and waits until the port is free and open calls are answered.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        if let Err(error) = (&mut self.served).await {
            tracing::error!(%error, "The simulator did not stop in order.");
        }
    }

    /// Enters an address into the app's settings as a valid OAuth redirect URI; from then on only such are taken.
    pub fn allow_redirect(&self, uri: &str) {
        lock(&self.state).app.redirect_uris.push(uri.to_owned());
    }

    /// Where Graph and the login dialog are, without a slash at the end.
    pub fn base_url(&self) -> String {
        self.base_url.clone()
    }

    /// The main ad account.
    pub fn account(&self) -> AccountInfo {
        let state = lock(&self.state);
        let main = state.world.main();
        AccountInfo {
            id: format!("act_{}", main.digits),
            currency: main.currency.clone(),
            timezone: main.zone_name.clone(),
            page_id: main.page_id.clone(),
        }
    }

    /// Graph calls served so far, batches as well as their items; pages of the login dialog are not counted.
    pub fn calls(&self) -> u64 {
        lock(&self.state).calls
    }

    /// Parameters that were ignored so far because Graph does not know them for their call.
    pub fn ignored_params(&self) -> u64 {
        lock(&self.state).ignored_params
    }

    /// Has somebody hear the URL of every Graph call from now on, path and query as they came; also those of the items
    /// of batches.
    pub fn listen(&self, hears: impl Fn(&str) + Send + 'static) {
        lock(&self.state).hears = Some(Box::new(hears));
    }

    /// What clients sent: the newest 10,000 calls, the oldest of them first.
    pub fn requests(&self) -> Vec<RecordedCall> {
        lock(&self.state).record.calls()
    }

    /// A campaign as it is stored now.
    pub fn campaign(&self, id: &str) -> Option<Value> {
        let mut state = lock(&self.state);
        let now = state.now();
        state.world.settle(now);
        let node = state.world.nodes.get(id).filter(|node| node.kind == Kind::Campaign)?;
        Some(Value::Object(state.world.whole(node)))
    }

    /// Any campaign, ad set, ad, creative or ad account as it is stored now.
    pub fn node(&self, id: &str) -> Option<Value> {
        let mut state = lock(&self.state);
        let now = state.now();
        state.world.settle(now);
        if let Some(account) = id.strip_prefix("act_").and_then(|digits| state.world.account(digits)) {
            return Some(Value::Object(account.fields.clone()));
        }
        state.world.nodes.get(id).map(|node| Value::Object(state.world.whole(node)))
    }

    /// Changes a node as a person would in Ads Manager; null takes a field away. Not kept in the journal.
    pub fn update_node(&self, id: &str, changes: Value) {
        let mut state = lock(&self.state);
        let now = state.now();
        state.world.change(id, changes, now);
    }

    /// Ends the review of an ad, or overturns it.
    pub fn review(&self, ad_id: &str, verdict: Verdict) {
        lock(&self.state).world.judge(ad_id, Some(verdict));
    }

    /// Makes a campaign, ad set or ad WITH_ISSUES; none takes its issues away.
    pub fn set_issue(&self, id: &str, issue: Option<Issue>) {
        let mut state = lock(&self.state);
        let now = state.now();
        state.world.set_issue(id, issue, now);
    }

    /// From now on ad sets for Taiwan, Singapore, Thailand and Brazil must name verified identities, as
    /// [`Writing::regional_identities`](crate::Writing::regional_identities) says from the start.
    pub fn demand_regional_identities(&self) {
        lock(&self.state).world.writing.regional_identities = true;
    }

    /// Orders trouble for a coming video.
    pub fn trouble_next_video(&self, trouble: VideoTrouble) {
        lock(&self.state).world.uploads.troubles.push_back(trouble);
    }

    /// The ad-day rows of the main account from `since` to `until`, both included, exactly as insights give them
    /// with all stored fields.
    pub fn fact_rows(&self, since: Date, until: Date) -> Vec<Value> {
        let mut state = lock(&self.state);
        let now = state.now();
        let moment = Moment::of(state.world.main(), now);
        state.world.facts.grow(moment.today);
        insights::ad_day_rows(&state.world, since, until, moment)
    }

    /// Orders the fates of the next report runs, one each.
    pub fn report_fates(&self, fates: Vec<ReportFate>) {
        lock(&self.state).world.reports.order_fates(fates);
    }

    /// The report runs of the last thirty days as they are by now, the first ordered first.
    pub fn report_runs(&self) -> Vec<ReportRun> {
        let mut state = lock(&self.state);
        let now = state.now();
        reports::settle(&mut state.world, now);
        state.world.reports.seen()
    }

    /// Changes fields of an ad-day row, as Meta restates numbers; null takes a field away, and null instead of
    /// fields takes the row away, which Meta does too. A row that did not
    /// exist comes to be.
    pub fn restate(&self, ad_id: &str, day: Date, changes: Value) {
        let mut state = lock(&self.state);
        let now = state.now();
        // Runs that were complete before do not change any more.
        reports::settle(&mut state.world, now);
        let moment = Moment::of(state.world.main(), now);
        insights::restate(&mut state.world, ad_id, day, &changes, moment);
    }

    /// Orders a fault.
    pub fn fail_next(&self, fault: Fault) {
        lock(&self.state).faults.add(fault);
    }

    /// Lets calls go wrong by this plan from now on, instead of by the one before. Faults ordered one by one come
    /// first.
    pub fn set_plan(&self, plan: FaultPlan) {
        lock(&self.state).faults.set_plan(plan);
    }

    /// Faults that struck so far, ordered or planned.
    pub fn faults_struck(&self) -> u64 {
        lock(&self.state).faults.struck()
    }

    /// What an ad account, with or without its `act_`, has used of a quota.
    pub fn usage(&self, account: &str, case: UseCase) -> Usage {
        let state = lock(&self.state);
        let target = state.target(account.trim_start_matches("act_"), case);
        state.quota.usage(target, state.now())
    }

    /// Calls that were refused because a quota was really used up, or something was changed too often; faults are
    /// not counted.
    pub fn throttled(&self) -> u64 {
        lock(&self.state).throttled
    }

    /// Lets something happen that webhooks tell of, such as `with_issues_ad_objects` of an `ad_account`. Whether
    /// anybody will be told: the app must have subscribed to the field, and to the ad account or page.
    pub fn post_change(&self, object: &str, field: &str, value: Value) -> bool {
        let mut state = lock(&self.state);
        let now = state.now();
        webhook::happen(&mut state, object, field, value, now)
    }

    /// Makes the webhook deliveries that are due by the simulator's clock, and those that fail at once a second time.
    pub async fn deliver_due(&self) -> Deliveries {
        webhook::deliver_due(&self.state).await
    }

    /// Makes webhook deliveries as they fall due, until it is dropped: for a simulator whose clock is the real one.
    pub async fn keep_delivering(&self) {
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        loop {
            seconds.tick().await;
            self.deliver_due().await;
        }
    }

    /// The `X-Hub-Signature-256` with which Meta would deliver this body.
    pub fn webhook_signature(&self, body: &str) -> String {
        webhook::signature_256(&lock(&self.state).app.app_secret, body)
    }

    /// Kills all tokens issued so far: they are answered code 190 with this subcode.
    pub fn revoke_token(&self, subcode: u32) {
        let mut state = lock(&self.state);
        let now = state.now();
        state.tokens.revoke(None, subcode, now);
    }

    /// A token of sixty days for a person, without the login dialog.
    pub fn issue_token(&self, user: &str, scopes: &[&str]) -> String {
        self.issue(user, scopes, false, Life::Long)
    }

    /// A token of a system user, which never expires.
    pub fn issue_system_token(&self, user: &str, scopes: &[&str]) -> String {
        self.issue(user, scopes, true, Life::Endless)
    }

    fn issue(&self, user: &str, scopes: &[&str], system: bool, life: Life) -> String {
        let mut state = lock(&self.state);
        let state = &mut *state;
        let now = state.now();
        let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        state.tokens.issue(&state.app.app_secret, Holder::new(user, &scopes, system), life, now)
    }

    /// From now on `debug_token` says of the tokens that are issued that they belong to this other app. Meta exchanges no
    /// code of another app; whoever can put such a token into the answer tries it this way.
    pub fn issue_for_another_app(&self, app_id: &str) {
        lock(&self.state).tokens.issue_for(app_id);
    }

    /// Breaks one token, or mends it.
    pub fn break_token(&self, token: &str, becomes: TokenState) {
        lock(&self.state).tokens.set(token, becomes);
    }

    /// Limits the ad accounts (`act_1`) that a person sees; `debug_token` names them as `target_ids`. The person of
    /// the login dialog is [`PERSON`](crate::PERSON).
    pub fn show_accounts(&self, user: &str, accounts: &[&str]) {
        let digits = accounts.iter().map(|id| id.trim_start_matches("act_").to_owned()).collect();
        lock(&self.state).tokens.show_accounts(user, digits);
    }
}

impl Drop for GraphSim {
    fn drop(&mut self) {
        // The end of the channel is the signal; the task is not waited for.
        drop(self.stop.take());
    }
}

fn world(config: &Config) -> Result<World, StartError> {
    match &config.source {
        Source::Generated(measures) => generator::world(measures, (config.clock)()),
        Source::Recorded { folder, timezone } => recorded::world(folder, timezone.as_deref()),
    }
}
