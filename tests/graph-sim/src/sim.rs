//! The running simulator, and what a test can inspect and change outside of the Graph API.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::civil::Date;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::call_log::{CallLog, RecordedCall};
use crate::change_limits::ChangeLimiter;
use crate::config::{Config, Source};
use crate::connection::{AbortableListener, ConnectionAbort};
use crate::event::Issue;
use crate::fault::{Fault, FaultPlan, Faults};
use crate::insights::{self, AsOf};
use crate::journal::Journal;
use crate::login::AuthorizationCodes;
use crate::media::video::VideoFault;
use crate::node::Kind;
use crate::people::Callbacks;
use crate::processing::ReviewDecision;
use crate::quota::{Quota, Usage, UseCase};
use crate::reports::{self, ReportOutcome, ReportRun};
use crate::server::{self, SharedState, lock};
use crate::start_error::StartError;
use crate::state::State;
use crate::token::{TokenLifetime, TokenOwner, TokenState, Tokens};
use crate::webhook::{self, DeliveryStats, Webhooks};
use crate::world::World;
use crate::{custom_audience, generator, recorded};

/// A running simulator; it stops when dropped.
pub struct GraphSim {
    pub(crate) state: SharedState,
    base_url: String,
    stop: Option<watch::Sender<()>>,
    served: JoinHandle<()>,
}

/// What a simulator knows at a moment, for others to start from: the world, tokens, quotas and subscriptions.
#[derive(Clone)]
pub struct SimSnapshot {
    world: World,
    tokens: Tokens,
    codes: AuthorizationCodes,
    quota: Quota,
    webhooks: Webhooks,
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
    /// The page that its ads belong to; posts of other pages are rejected.
    pub page_id: String,
}

impl GraphSim {
    /// Starts a simulator on 127.0.0.1.
    ///
    /// # Errors
    /// When the port is taken, or a recording or the journal cannot be read.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let mut known = snapshot(&config)?;
        let world = &mut known.world;
        world.writing = config.behaviour.writing;
        world.media = config.behaviour.media;
        let port = |cause| StartError::Port { port: config.port, cause };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, config.port)).await.map_err(port)?;
        let address = listener.local_addr().map_err(port)?;
        let base_url = format!("http://{address}");
        world.base_url.clone_from(&base_url);
        world.app_id.clone_from(&config.app.app_id);
        let (stop, mut stopped) = watch::channel(());
        world.reports.settings = config.behaviour.reports;
        if matches!(&config.source, Source::Generated(generator) if generator.restates) {
            for account in &mut world.accounts {
                account.facts.enable_restatement();
            }
        }
        let mut state = State {
            world: known.world,
            app: config.app,
            clock: config.clock,
            base_url: base_url.clone(),
            tokens: known.tokens,
            codes: known.codes,
            faults: Faults::default(),
            webhooks: known.webhooks,
            callbacks: Callbacks::default(),
            http: reqwest::Client::builder().no_proxy().build()?,
            last_pages: BTreeMap::new(),
            stopping: stopped.clone(),
            quota: known.quota,
            change_limiter: ChangeLimiter::default(),
            journal: None,
            calls: 0,
            throttled: 0,
            strict: config.behaviour.strict,
            app_age: config.behaviour.app_age,
            auto_upgrade: config.behaviour.auto_upgrade,
            pages: config.behaviour.pages,
            require_proof: config.behaviour.require_proof,
            insights_limits: config.behaviour.insights_limits,
            ignored_params: 0,
            call_log: CallLog::default(),
            call_listener: None,
            answer_editor: None,
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
        // Discards events from before the start, which are not delivered again.
        let now = state.now();
        state.world.advance(now);
        state.world.events.clear();
        let state = Arc::new(Mutex::new(state));
        let service =
            server::router(Arc::clone(&state)).into_make_service_with_connect_info::<ConnectionAbort>();
        let served = tokio::spawn(async move {
            let serve =
                axum::serve(AbortableListener(listener), service).with_graceful_shutdown(async move {
                    // Nothing is ever sent on this channel: it closes when the simulator is dropped.
                    drop(stopped.changed().await);
                });
            if let Err(error) = serve.await {
                tracing::error!(%error, "The simulator stopped serving.");
            }
        });
        Ok(Self { state, base_url, stop: Some(stop), served })
    }

    /// Copies what the simulator knows now. A simulator that starts from it must have the same app and settings.
    pub fn snapshot(&self) -> SimSnapshot {
        let state = lock(&self.state);
        SimSnapshot {
            world: state.world.clone(),
            tokens: state.tokens.clone(),
            codes: state.codes.clone(),
            quota: state.quota.clone(),
            webhooks: state.webhooks.clone(),
        }
    }

    /// Stops the simulator; waits until open calls are answered and the port is free.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        if let Err(error) = (&mut self.served).await {
            tracing::error!(%error, "The simulator did not stop in order.");
        }
    }

    /// Adds a URI to the app's valid OAuth redirect URIs; from then on only those are accepted.
    pub fn allow_redirect(&self, uri: &str) {
        lock(&self.state).app.redirect_uris.push(uri.to_owned());
    }

    /// Returns the base URL of Graph and the login dialog, without a trailing slash.
    pub fn base_url(&self) -> String {
        self.base_url.clone()
    }

    /// Returns the main ad account.
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

    /// Returns the ids of the main account's custom audiences, in listing order.
    pub fn custom_audiences(&self) -> Vec<String> {
        let state = lock(&self.state);
        let main = &state.world.main().digits;
        let audiences = state.world.of_account(Kind::CustomAudience, main);
        audiences.iter().filter_map(|audience| audience.text("id").map(str::to_owned)).collect()
    }

    /// Returns the number of Graph calls served so far, including batches and their items, but not pages of the login
    /// dialog.
    pub fn calls(&self) -> u64 {
        lock(&self.state).calls
    }

    /// Returns the number of parameters ignored so far because Graph does not know them for their call.
    pub fn ignored_params(&self) -> u64 {
        lock(&self.state).ignored_params
    }

    /// Sets a listener that receives the URL (path and query as sent) of every future Graph call, including the items
    /// of batches.
    pub fn on_graph_call(&self, call_listener: impl Fn(&str) + Send + 'static) {
        lock(&self.state).call_listener = Some(Box::new(call_listener));
    }

    /// Changes answers before they are sent: gets the path and query of each call, and its answer's status and body.
    pub fn edit_answers(&self, edit: impl Fn(&str, &mut u16, &mut String) + Send + 'static) {
        lock(&self.state).answer_editor = Some(Box::new(edit));
    }

    /// Returns the newest 10,000 calls that clients sent, oldest first.
    pub fn requests(&self) -> Vec<RecordedCall> {
        lock(&self.state).call_log.calls()
    }

    /// Returns a campaign as it is stored now.
    pub fn campaign(&self, id: &str) -> Option<Value> {
        let mut state = lock(&self.state);
        let now = state.now();
        state.world.advance(now);
        let node = state.world.nodes.get(id).filter(|node| node.kind == Kind::Campaign)?;
        Some(Value::Object(state.world.all_fields(node)))
    }

    /// Returns any campaign, ad set, ad, creative or ad account as it is stored now.
    pub fn node(&self, id: &str) -> Option<Value> {
        let mut state = lock(&self.state);
        let now = state.now();
        state.world.advance(now);
        if let Some(account) = id.strip_prefix("act_").and_then(|digits| state.world.account(digits)) {
            return Some(Value::Object(account.fields.clone()));
        }
        state.world.nodes.get(id).map(|node| Value::Object(state.world.all_fields(node)))
    }

    /// Changes a node as a user would in Ads Manager; a null value removes the field. Not written to the journal.
    pub fn update_node(&self, id: &str, changes: Value) {
        let mut state = lock(&self.state);
        let now = state.now();
        state.world.update(id, changes, now);
    }

    /// Ends the review of an ad, or overrides its decision.
    pub fn review(&self, ad_id: &str, decision: ReviewDecision) {
        lock(&self.state).world.finish_review(ad_id, Some(decision));
    }

    /// Makes a campaign, ad set or ad WITH_ISSUES; `None` clears its issues.
    pub fn set_issue(&self, id: &str, issue: Option<Issue>) {
        let mut state = lock(&self.state);
        let now = state.now();
        state.world.set_issue(id, issue, now);
    }

    /// Requires verified identities for ad sets in Taiwan, Singapore, Thailand and Brazil from now on.
    /// [`WriteSettings::require_regional_identities`](crate::WriteSettings::require_regional_identities) does the same
    /// from the start.
    pub fn require_regional_identities(&self) {
        lock(&self.state).world.writing.require_regional_identities = true;
    }

    /// Switches a feature on in every new creative from now on, whatever is asked for.
    pub fn enroll_feature(&self, name: &str) {
        lock(&self.state).world.writing.enrolled_features.push(name.to_owned());
    }

    /// Drops the budget schedules of every new object from now on, without a word.
    pub fn drop_budget_schedules(&self) {
        lock(&self.state).world.writing.drops_budget_schedules = true;
    }

    /// Queues a fault for a future video.
    pub fn fail_next_video(&self, fault: VideoFault) {
        lock(&self.state).world.uploads.faults.push_back(fault);
    }

    /// Returns the ad-day rows of the main account from `since` to `until`, both included, exactly as insights return
    /// them with all stored fields.
    pub fn insights_rows(&self, since: Date, until: Date) -> Vec<Value> {
        let mut state = lock(&self.state);
        let now = state.now();
        state.world.generate_until(now);
        let account = state.world.main();
        insights::ad_day_rows(&state.world, account, since, until, AsOf::new(account, now))
    }

    /// Queues the outcomes of the next report runs, one each.
    pub fn queue_report_outcomes(&self, outcomes: Vec<ReportOutcome>) {
        lock(&self.state).world.reports.queue_outcomes(outcomes);
    }

    /// Returns the report runs of the last thirty days in their current state, in the order they were requested.
    pub fn report_runs(&self) -> Vec<ReportRun> {
        let mut state = lock(&self.state);
        let now = state.now();
        reports::advance(&mut state.world, now);
        state.world.reports.list()
    }

    /// Changes fields of an ad-day row, as Meta restates numbers. A null value removes the field; null instead of an
    /// object removes the row, which Meta does too. A row that did not exist is created.
    pub fn restate(&self, ad_id: &str, day: Date, changes: Value) {
        let mut state = lock(&self.state);
        let now = state.now();
        // Runs that completed before do not change any more.
        reports::advance(&mut state.world, now);
        insights::restate(&mut state.world, ad_id, day, &changes, now);
    }

    /// Queues a fault.
    pub fn fail_next(&self, fault: Fault) {
        lock(&self.state).faults.add(fault);
    }

    /// Replaces the fault plan from now on. Queued faults take precedence over it.
    pub fn set_plan(&self, plan: FaultPlan) {
        lock(&self.state).faults.set_plan(plan);
    }

    /// Returns the number of faults injected so far, queued or planned.
    pub fn faults_injected(&self) -> u64 {
        lock(&self.state).faults.injected()
    }

    /// Returns what an ad account, with or without `act_`, has used of a quota.
    pub fn usage(&self, account: &str, case: UseCase) -> Usage {
        let state = lock(&self.state);
        let target = state.target(account.trim_start_matches("act_"), case);
        state.quota.usage(target, state.now())
    }

    /// Returns the number of calls rejected because a quota was exhausted or something was changed too often; injected
    /// faults are not counted.
    pub fn throttled(&self) -> u64 {
        lock(&self.state).throttled
    }

    /// Posts a change that webhooks report, such as `with_issues_ad_objects` of an `ad_account`. Returns whether it
    /// will be delivered: the app must have subscribed to the field, and to the ad account or page.
    pub fn post_change(&self, object: &str, field: &str, value: Value) -> bool {
        let mut state = lock(&self.state);
        let now = state.now();
        webhook::record_change(&mut state, object, field, value, now)
    }

    /// Sends the webhook deliveries that are due by the simulator's clock; failed ones are retried once immediately.
    pub async fn deliver_due(&self) -> DeliveryStats {
        webhook::deliver_due(&self.state).await
    }

    /// Sends webhook deliveries as they fall due, until the future is dropped: for a simulator with a real clock.
    pub async fn deliver_continuously(&self) {
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        loop {
            seconds.tick().await;
            self.deliver_due().await;
        }
    }

    /// Returns the `X-Hub-Signature-256` that Meta would send with this body.
    pub fn webhook_signature(&self, body: &str) -> String {
        webhook::signature_256(&lock(&self.state).app.app_secret, body)
    }

    /// Revokes all tokens issued so far: calls with them fail with code 190 and this subcode.
    pub fn revoke_token(&self, subcode: u32) {
        let mut state = lock(&self.state);
        let now = state.now();
        state.tokens.revoke(None, subcode, now);
    }

    /// Invalidates every token of a user, with this subcode as the reason.
    pub fn revoke_tokens_of(&self, user: &str, subcode: u32) {
        let mut state = lock(&self.state);
        let now = state.now();
        state.tokens.revoke(Some(user), subcode, now);
    }

    /// Issues a user token of sixty days, without the login dialog.
    pub fn issue_token(&self, user: &str, scopes: &[&str]) -> String {
        self.issue(user, scopes, false, TokenLifetime::Long)
    }

    /// Issues a token of a system user, which never expires.
    pub fn issue_system_token(&self, user: &str, scopes: &[&str]) -> String {
        self.issue(user, scopes, true, TokenLifetime::NonExpiring)
    }

    fn issue(&self, user: &str, scopes: &[&str], system: bool, life: TokenLifetime) -> String {
        let mut state = lock(&self.state);
        let state = &mut *state;
        let now = state.now();
        let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        state.tokens.issue(&state.app.app_secret, TokenOwner::new(user, &scopes, system), life, now)
    }

    /// Makes `debug_token` report future tokens as belonging to this other app. Meta exchanges no code of another app;
    /// this simulates an attacker who can put such a token into the response.
    pub fn issue_tokens_as_app(&self, app_id: &str) {
        lock(&self.state).tokens.set_app(app_id);
    }

    /// Sets the state of one token: invalid in some way, or valid again.
    pub fn set_token_state(&self, token: &str, state: TokenState) {
        lock(&self.state).tokens.set_state(token, state);
    }

    /// Limits the ad accounts (`act_1`) that a user can see; `debug_token` lists them as `target_ids`. The user of the
    /// login dialog is [`LOGIN_USER_ID`](crate::LOGIN_USER_ID).
    pub fn set_visible_accounts(&self, user: &str, accounts: &[&str]) {
        let digits = accounts.iter().map(|id| id.trim_start_matches("act_").to_owned()).collect();
        lock(&self.state).tokens.limit_accounts(user, digits);
    }
}

impl Drop for GraphSim {
    fn drop(&mut self) {
        // Closing the channel is the signal; the task is not awaited.
        drop(self.stop.take());
    }
}

/// What a simulator knows at its start.
fn snapshot(config: &Config) -> Result<SimSnapshot, StartError> {
    let mut world = match &config.source {
        Source::Generated(measures) => generator::world(measures, (config.clock)())?,
        Source::EventRecord { folder, timezone } => recorded::world(folder, timezone.as_deref())?,
        Source::Snapshot(known) => return Ok(SimSnapshot::clone(known)),
    };
    custom_audience::add_to(&mut world);
    let quota = Quota::new(config.limits);
    Ok(SimSnapshot {
        world,
        quota,
        tokens: Tokens::default(),
        codes: AuthorizationCodes::default(),
        webhooks: Webhooks::default(),
    })
}
