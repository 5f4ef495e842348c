//! The state of a running simulator.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;

use crate::call_log::CallLog;
use crate::change_limits::ChangeLimiter;
use crate::config::{App, AppAge, Clock, PagingQuirks};
use crate::error::GraphError;
use crate::fault::Faults;
use crate::insights::InsightsLimits;
use crate::journal::Journal;
use crate::login::AuthorizationCodes;
use crate::people::Callbacks;
use crate::quota::{Quota, QuotaTarget, UseCase};
use crate::token::Tokens;
use crate::webhook::Webhooks;
use crate::world::World;
use crate::write::{self, Operation, Write};

/// A function that receives the URLs of calls.
/// Gets the path and query of a call, and its answer's status and body.
pub(crate) type AnswerEditor = Box<dyn Fn(&str, &mut u16, &mut String) + Send>;

pub(crate) type CallListener = Box<dyn Fn(&str) + Send>;

/// The state of a running simulator.
pub(crate) struct State {
    pub(crate) world: World,
    pub(crate) app: App,
    pub(crate) clock: Clock,
    pub(crate) base_url: String,
    pub(crate) tokens: Tokens,
    pub(crate) codes: AuthorizationCodes,
    pub(crate) faults: Faults,
    pub(crate) webhooks: Webhooks,
    pub(crate) callbacks: Callbacks,
    /// HTTP client for webhook callbacks.
    pub(crate) http: reqwest::Client,
    /// The last page served of each listing that a fault may repeat a page of.
    pub(crate) last_pages: BTreeMap<String, Value>,
    /// Closes when the simulator stops.
    pub(crate) stopping: watch::Receiver<()>,
    pub(crate) quota: Quota,
    pub(crate) change_limiter: ChangeLimiter,
    pub(crate) journal: Option<Journal>,
    pub(crate) calls: u64,
    pub(crate) throttled: u64,
    pub(crate) strict: bool,
    pub(crate) app_age: AppAge,
    pub(crate) auto_upgrade: bool,
    pub(crate) pages: PagingQuirks,
    pub(crate) require_proof: bool,
    pub(crate) insights_limits: InsightsLimits,
    pub(crate) ignored_params: u64,
    pub(crate) call_log: CallLog,
    /// Called with the URL of each call, without its host.
    pub(crate) call_listener: Option<CallListener>,
    /// Changes answers before they are sent, to those that Meta is known to give at times.
    pub(crate) answer_editor: Option<AnswerEditor>,
}

impl State {
    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    pub(crate) fn is_app_token(&self, token: &str) -> bool {
        token.split_once('|') == Some((&self.app.app_id, &self.app.app_secret))
    }

    /// Counts a call to an ad account, or rejects it.
    pub(crate) fn count(
        &mut self,
        account: &str,
        case: UseCase,
        writes: bool,
        now: Timestamp,
    ) -> Result<(), GraphError> {
        let target = self.target(account, case);
        self.quota.count(target, writes, now)
    }

    /// Returns the quota target of a call to an ad account.
    pub(crate) fn target<'a>(&self, account: &'a str, case: UseCase) -> QuotaTarget<'a> {
        let widened = self.quota.limits().with_active_ads;
        let active_ads = if widened { self.world.active_ads(account) } else { 0 };
        QuotaTarget { account, case, active_ads }
    }

    /// Replays a write from the journal.
    pub(crate) fn replay(&mut self, write: &Write) -> Result<(), GraphError> {
        if let Some(user) = &write.user {
            match write.path.strip_prefix("me/permissions/") {
                Some(scope) => self.tokens.withdraw(user, scope, write.time),
                None => self.tokens.revoke(Some(user), APP_REMOVED_SUBCODE, write.time),
            }
            return Ok(());
        }
        let operation = Operation::of(&self.world, write)?;
        write::execute(&mut self.world, &operation, write).map(drop)
    }

    /// Appends a write to the journal, for the next start.
    pub(crate) fn append_to_journal(&mut self, write: &Write) {
        if let Some(journal) = &mut self.journal {
            journal.append(write);
        }
    }
}

/// Subcode of tokens whose user removed the app.
pub(crate) const APP_REMOVED_SUBCODE: u32 = 458;
