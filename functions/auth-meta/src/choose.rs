//! The page on which a person chooses ad accounts, after Meta has sent them back.
//!
//! Its form brings no session. Two secrets say whose choice it is, one in the form and one in a cookie of the browser that
//! was shown it, and what they may choose is kept beside their hashes. What is changed is what differs from what the page
//! showed: whatever others have changed meanwhile stays.
//!
//! A choice is made once: that it is made is noted after everything else, and whoever sends it again then is answered
//! and changes nothing. A process that dies in between leaves some ad accounts set and others not, and a person without
//! an answer; sent again, all of them are set, which does no harm to those that were. Pressed twice at the same moment it
//! is done twice, which does no harm either.

use std::collections::BTreeSet;

use ads::id::AdAccountId;
use ads::tenant::Tenant;
use ads::{Failure, Invalid};
use http::header::CONTENT_TYPE;
use jiff::SignedDuration;
use runtime::route::Visit;
use runtime::{Reply, problem, reply, telemetry};
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

/// What a person sent.
struct Sent {
    /// The secret of the page.
    choice: String,
    ticked: BTreeSet<AdAccountId>,
}

impl AuthMeta {
    /// Shows a person what they have connected, and lets them choose of it.
    pub(crate) async fn offer(&self, login: &OauthState, connected: &Connected) -> Result<Reply, Failure> {
        let workspace = self.called(&login.workspace).await?;
        let mut accounts: Vec<_> = connected.ad_accounts.iter().collect();
        if accounts.is_empty() {
            return Ok(page::nothing_to_choose(&workspace, &connected.declined));
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
            made: None,
        };
        self.access.table.offer_choice(&hash(&secret), &choice).await?;
        let mut reply = page::choose(
            &workspace,
            &connected.declined,
            &Form { secret: &secret, accounts: &accounts, beyond },
        );
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
        match self.answer_choice(visit, json).await {
            Ok(reply) => reply,
            Err(failure) if json => problem::answer(&failure),
            Err(failure) if failure.may_pass() => {
                page::failed(&failure, "Reload this page to send your choice again.")
            }
            Err(failure) => page::failed(&failure, "To choose anew, begin again from the product."),
        }
    }

    async fn answer_choice(&self, visit: &Visit<Endpoint>, json: bool) -> Result<Reply, Failure> {
        let chosen = self.take_choice(visit).await?;
        if json {
            return reply::ok(&chosen);
        }
        Ok(page::chosen(&self.called(&chosen.workspace).await?, &chosen.ad_accounts))
    }

    /// What people call a workspace: its name, or its id where only the issuer knows it.
    async fn called(&self, workspace: &Tenant) -> Result<String, Failure> {
        let known = self.access.table.workspace(workspace).await?;
        Ok(known.map_or_else(|| workspace.to_string(), |known| known.name))
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
        self.select_for(&choice.subject, &choice.workspace, &changes).await?;
        let made = Choice { made: Some(sent.hash()), ..choice };
        let made = match self.access.table.make_choice(&key, &made).await {
            Ok(()) => made,
            // Sent twice at the same moment.
            Err(StoreError::Conflict) => self.access.table.choice(&key).await?.ok_or_else(over)?,
            Err(error) => return Err(error.into()),
        };
        self.made(&made, &sent).await
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
        // Whichever connection of the workspace it is by now that reaches them.
        accounts.retain(|account| !account.details.reached.is_empty());
        if let Some(gone) = sent.ticked.iter().find(|id| accounts.iter().all(|account| account.id != **id)) {
            let why = format!("{gone} is not within reach any more; connect again from the product");
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

    /// The answer to a choice that is made. The first one may not have arrived: the same choice gets it again, and shows
    /// how things are now.
    async fn made(&self, choice: &Choice, sent: &Sent) -> Result<Chosen, Failure> {
        if choice.made != Some(sent.hash()) {
            let why = "this page was used for another choice already; the product shows what is synced";
            return Err(Failure::Conflict(why.to_owned()));
        }
        let mut accounts = self.access.table.accounts(&choice.workspace).await?;
        accounts.retain(|account| {
            let account = veiled(&sent.choice, &account.id);
            choice.offered.iter().any(|offered| offered.account == account)
        });
        Ok(Chosen { workspace: choice.workspace.clone(), ad_accounts: accounts })
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
