//! The page on which a person chooses ad accounts, after Meta has sent them back.
//!
//! Its form brings no session. Two secrets say whose choice it is, one in the form and one in a cookie of the browser that
//! was shown it, and what they may choose is kept beside their hashes. What is changed is what differs from what the page
//! showed: whatever others have changed meanwhile stays.
//!
//! A choice is made once. Whoever works on it says so before, and that it is made after everything else. A process that
//! dies in between leaves some ad accounts set and others not, and a page that was not answered; sent again once that
//! process cannot be alive any more, it sets all of them, which does no harm to those that were. Sent again after that,
//! it is answered and changes nothing.

use std::collections::BTreeSet;

use ads::id::AdAccountId;
use ads::{Failure, Invalid};
use http::header::CONTENT_TYPE;
use jiff::SignedDuration;
use runtime::route::Visit;
use runtime::{Reply, deadline, problem, random, reply, telemetry};
use store::StoreError;
use store::account::AdAccount;
use store::choice::{Choice, Offered};
use store::connection::ConnectionState;
use store::oauth_state::OauthState;

use crate::browser::{self, Cookie, hash, secret_text, wants_json};
use crate::page::{self, Chosen, Connected, Form};
use crate::routes::CHOOSE;
use crate::{AuthMeta, Endpoint};

/// A person has this long to choose.
const CHOICE_LASTS: SignedDuration = SignedDuration::from_mins(30);

/// Binds a choice to the browser that was shown it.
const COOKIE_NAME: &str = "adflight_choice";

/// So many ad accounts stand on one page, and can be set within the time that a browser gets.
const MOST_OFFERED: usize = 200;

/// Room for that many ids.
const LARGEST_FORM: usize = 16 * 1024;

/// How long a worker counts as alive where no host ends its invocation.
const WORKER_LASTS: SignedDuration = SignedDuration::from_mins(5);

/// What a person sent.
struct Sent {
    /// The secret of the page.
    choice: String,
    ticked: BTreeSet<AdAccountId>,
}

impl AuthMeta {
    /// Shows a person what they have connected, and lets them choose of it.
    pub(crate) async fn offer(&self, login: &OauthState, connected: &Connected) -> Result<Reply, Failure> {
        let mut accounts: Vec<_> = connected.ad_accounts.iter().collect();
        if accounts.is_empty() {
            return Ok(page::nothing_to_choose(connected));
        }
        accounts.sort_by_key(|account| {
            (!account.selected, account.name.as_ref().map(|name| name.to_lowercase()))
        });
        let beyond = accounts.split_off(accounts.len().min(MOST_OFFERED)).len();
        let (secret, browser) = (secret_text()?, secret_text()?);
        let offered = accounts
            .iter()
            .map(|account| Offered { account: veiled(&secret, &account.id), synced: account.selected });
        let choice = Choice {
            workspace: login.workspace.clone(),
            subject: login.subject.clone(),
            standing: login.standing,
            browser_hash: hash(&browser),
            connection: veiled(&secret, &connected.connection),
            offered: offered.collect(),
            expires_at: self.host.clock.now() + CHOICE_LASTS,
            worker: None,
            worker_until: None,
            made: None,
        };
        self.access.table.offer_choice(&hash(&secret), &choice).await?;
        let mut reply = page::choose(connected, &Form { secret: &secret, accounts: &accounts, beyond });
        let cookie = Cookie {
            name: COOKIE_NAME,
            value: &browser,
            path: CHOOSE,
            lasts: CHOICE_LASTS,
            same_site: "Strict",
            secure: login.redirect_uri.starts_with("https:"),
        };
        cookie.set(&mut reply)?;
        Ok(reply)
    }

    /// Answers a page, for it is a person's form; JSON for those who ask for it.
    pub(crate) async fn choose(&self, visit: &Visit<Endpoint>) -> Reply {
        let json = wants_json(visit);
        match self.take_choice(visit).await {
            Ok(chosen) if json => reply::ok(&chosen).unwrap_or_else(|failure| problem::answer(&failure)),
            Ok(chosen) => page::chosen(&chosen),
            Err(failure) if json => problem::answer(&failure),
            Err(failure) if failure.may_pass() => {
                page::failed(&failure, "Reload this page to send your choice again.")
            }
            Err(failure) => page::failed(&failure, "To choose anew, begin again from the product."),
        }
    }

    async fn take_choice(&self, visit: &Visit<Endpoint>) -> Result<Chosen, Failure> {
        visit.takes_no_query()?;
        let sent = read(visit)?;
        let over = || {
            let why = "this page is over or was opened in another browser; begin again from the product";
            Failure::Conflict(why.to_owned())
        };
        let key = hash(&sent.choice);
        let choice = self.access.table.choice(&key).await?.ok_or_else(over)?;
        let same_browser = browser::is_same(visit, COOKIE_NAME, &choice.browser_hash);
        if !same_browser || choice.expires_at <= self.host.clock.now() {
            return Err(over());
        }
        telemetry::concerns(&choice.workspace, None);
        self.still_may(&choice.workspace, &choice.subject, choice.standing).await?;
        if choice.made.is_some() {
            return self.made(&choice, &sent).await;
        }
        let changes = self.changes(&choice, &sent).await?;
        let Some(choice) = self.begin(&key, choice).await? else {
            // Somebody else has just begun: the same person, who pressed twice.
            let choice = self.access.table.choice(&key).await?.ok_or_else(over)?;
            return self.made(&choice, &sent).await;
        };
        match self.make(&key, &choice, &sent, &changes).await {
            Ok(made) => self.made(&made, &sent).await,
            Err(failure) => {
                self.leave(&key, &choice).await;
                Err(failure)
            }
        }
    }

    async fn make(
        &self,
        key: &str,
        choice: &Choice,
        sent: &Sent,
        changes: &[(AdAccount, bool)],
    ) -> Result<Choice, Failure> {
        self.select_for(&choice.subject, &choice.workspace, changes).await?;
        let made = Choice { made: Some(sent.hash()), ..choice.clone() };
        match self.access.table.keep_choice(key, &made, choice.worker.as_deref()).await {
            // When it took so long that another one has begun anew, what is set is set all the same.
            Ok(()) | Err(StoreError::Conflict) => Ok(made),
            Err(error) => Err(error.into()),
        }
    }

    /// What is to be set, and how. Nothing of a choice is done when a part of it cannot be.
    async fn changes(&self, choice: &Choice, sent: &Sent) -> Result<Vec<(AdAccount, bool)>, Failure> {
        let veil = |id: &AdAccountId| veiled(&sent.choice, id);
        let is_offered = |id: &AdAccountId| choice.offered.iter().any(|offered| offered.account == veil(id));
        if let Some(foreign) = sent.ticked.iter().find(|id| !is_offered(id)) {
            let problem = format!("{foreign} is none of those on the page; tick what it shows");
            return Err(Invalid::new("ad_account", problem).into());
        }
        let table = &self.access.table;
        let connections = table.connections(&choice.workspace).await?;
        let connection = connections
            .into_iter()
            .find(|connection| veiled(&sent.choice, &connection.id) == choice.connection)
            .ok_or_else(|| {
                let why = "the connection was removed meanwhile; connect again from the product";
                Failure::Conflict(why.to_owned())
            })?;
        if connection.state == ConnectionState::NeedsReconnect {
            let why = connection.reason.unwrap_or_else(|| "Meta no longer accepts its token".to_owned());
            return Err(Failure::Reconnect(format!("the connection must be renewed: {why}")));
        }
        let mut accounts = table.accounts(&choice.workspace).await?;
        accounts.retain(|account| account.connection == connection.id && !account.details.reached.is_empty());
        if let Some(gone) = sent.ticked.iter().find(|id| accounts.iter().all(|account| account.id != **id)) {
            let why = format!(
                "{gone} is not within reach of this connection any more; connect again from the product"
            );
            return Err(Failure::Conflict(why));
        }
        let change = |account: AdAccount| {
            let account_hash = veil(&account.id);
            let offered = choice.offered.iter().find(|offered| offered.account == account_hash)?;
            let ticked = sent.ticked.contains(&account.id);
            (ticked != offered.synced).then_some((account, ticked))
        };
        Ok(accounts.into_iter().filter_map(change).collect())
    }

    /// Says that this process works on a choice; none when another one does or has done.
    async fn begin(&self, key: &str, choice: Choice) -> Result<Option<Choice>, Failure> {
        let now = self.host.clock.now();
        if choice.worker_until.is_some_and(|until| until > now) {
            return Ok(None);
        }
        let before = choice.worker.clone();
        let until = deadline::end_of_this_invocation().unwrap_or(now + WORKER_LASTS);
        let choice = Choice { worker: Some(random::id()?), worker_until: Some(until), ..choice };
        match self.access.table.keep_choice(key, &choice, before.as_deref()).await {
            Ok(()) => Ok(Some(choice)),
            Err(StoreError::Conflict) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Lets the person try again at once, for this process has given up.
    async fn leave(&self, key: &str, choice: &Choice) {
        let left = Choice { worker_until: None, ..choice.clone() };
        if let Err(error) = self.access.table.keep_choice(key, &left, choice.worker.as_deref()).await {
            tracing::warn!(%error, "A choice that failed can be made again only later.");
        }
    }

    /// The answer to a choice that is made, or that somebody else works on. The first answer may not have arrived: the
    /// same choice gets it again, and shows how things are now.
    async fn made(&self, choice: &Choice, sent: &Sent) -> Result<Chosen, Failure> {
        let refused = |why: &str| Err(Failure::Conflict(why.to_owned()));
        match &choice.made {
            None => refused("your choice is being saved; reload this page in a moment"),
            Some(made) if *made != sent.hash() => {
                refused("this page was used for another choice already, and nothing has changed now")
            }
            Some(_) => {
                let mut accounts = self.access.table.accounts(&choice.workspace).await?;
                accounts.retain(|account| {
                    let account = veiled(&sent.choice, &account.id);
                    choice.offered.iter().any(|offered| offered.account == account)
                });
                Ok(Chosen { workspace: choice.workspace.clone(), ad_accounts: accounts })
            }
        }
    }
}

impl Sent {
    /// Tells two choices apart, and says nothing of either.
    fn hash(&self) -> String {
        let ticked: Vec<_> = self.ticked.iter().map(ToString::to_string).collect();
        veiled(&self.choice, ticked.join(","))
    }
}

/// What a row may keep of an id: whoever does not have the page cannot tell which it is.
fn veiled(secret: &str, id: impl std::fmt::Display) -> String {
    hash(format!("{secret}|{id}"))
}

/// Reads the form, which has nothing that our page does not send.
fn read(visit: &Visit<Endpoint>) -> Result<Sent, Failure> {
    let stated = visit.header(CONTENT_TYPE.as_str()).unwrap_or_default();
    let kind = stated.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Invalid::new("Content-Type", "must be application/x-www-form-urlencoded").into());
    }
    let body = visit.request.body();
    if body.len() > LARGEST_FORM {
        let problem = format!("may have {LARGEST_FORM} bytes at most; send the form of the page as it is");
        return Err(Invalid::new("body", problem).into());
    }
    let (mut choice, mut ticked) = (None, BTreeSet::new());
    for (name, value) in form_urlencoded::parse(body) {
        let is_new = match &*name {
            "choice" => choice.replace(value.into_owned()).is_none(),
            "ad_account" => {
                let id = value
                    .parse::<AdAccountId>()
                    .map_err(|error| Invalid::new("ad_account", error.problem))?;
                ticked.insert(id)
            }
            other => {
                let problem = "is no field of this form, which has choice and ad_account";
                return Err(Invalid::new(other, problem).into());
            }
        };
        if !is_new {
            return Err(Invalid::new(&*name, "is there more than once; send each value once").into());
        }
    }
    let missing = || Invalid::new("choice", "is missing; send the form of the page as it is");
    Ok(Sent { choice: choice.ok_or_else(missing)?, ticked })
}
