//! Page on which a person chooses ad accounts after Meta's redirect.
//!
//! The form carries no session. Two secrets authenticate it, one in the form and one in a cookie of the browser; the
//! available accounts are stored under their hashes. Only differences from what the page showed are applied, so that
//! concurrent changes by others stay.
//!
//! A selection is applied once. Its completion is recorded last, and submitting the same form again returns the result
//! without changes. A crash in between leaves some accounts set and the person without a response; submitting again
//! sets them all. Two concurrent submissions apply the selection twice. Both cases are harmless, because setting an
//! account is idempotent.

use std::collections::BTreeSet;

use bytes::Bytes;
use domain::id::AdAccountId;
use domain::tenant::Tenant;
use domain::{Error, FieldError};
use http::header::CONTENT_TYPE;
use http::{Method, Request, StatusCode};
use jiff::SignedDuration;
use runtime::endpoint::{self, Anonymous, Endpoint};
use runtime::request::{self, Form, IgnoredQuery, Json, NoPath, NoQuery, RequestContext};
use runtime::response::IntoResponse;
use runtime::{Response, problem, telemetry};
use serde::Deserialize;
use store::StoreError;
use store::account::AdAccount;
use store::account_selection::{AccountSelection, SelectableAccount};
use store::connection::ConnectionState;
use store::login::Login;

use crate::AuthMeta;
use crate::browser::{CookieKind, hash, keyed_hash, random_secret, wants_json};
use crate::page::{self, ConnectResponse, SELECTION_PATH, SelectionForm, SelectionResponse};
use crate::return_url::{Outcome, ReturnLink};
use crate::views::AdAccountView;

/// Maximum time to choose.
const SELECTION_TTL: SignedDuration = SignedDuration::from_mins(30);

/// Binds a selection to the browser that was shown it.
const COOKIE: CookieKind =
    CookieKind { name: "adflight_selection", path: SELECTION_PATH, same_site: "Strict" };

/// Maximum number of ad accounts on one page: as many as one request can set before its timeout.
const MAX_LISTED_ACCOUNTS: usize = 200;

/// Large enough for [`MAX_LISTED_ACCOUNTS`] ids.
const MAX_FORM_BYTES: usize = 16 * 1024;

/// The submitted form.
struct SubmittedForm {
    /// Secret of the page.
    secret: String,
    selected: BTreeSet<AdAccountId>,
    /// Whether every ad account of the page is selected.
    all: bool,
}

/// The form of our own page.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the form is read by hand")]
pub(crate) struct AccountSelectionForm {
    /// The secret of the page.
    selection: String,
    /// Those that are selected; it is there once for each.
    #[serde(default)]
    #[cfg_attr(feature = "describe", schemars(extend("uniqueItems" = true)))]
    ad_account: Vec<AdAccountId>,
    /// Whether every ad account of the page is selected, with a tick or without.
    #[serde(default)]
    all: bool,
}

pub(crate) fn submit_account_selection() -> Endpoint<AuthMeta> {
    endpoint::public(Method::POST, SELECTION_PATH)
        .named("submit_account_selection", "Submits the selection of ad accounts after a login")
        .description(
            "The form of the page that ends a login, with the cookie that came with it. What differs from what that page \
             showed is changed, once.",
        )
        .fails_with(Error::Conflict, "The page is over, of another browser, or was used for another selection.")
        .fails_with(Error::Reconnect, "A person must connect to Meta again.")
        .fails_with(Error::Forbidden, "The person may not connect any more.")
        .fails_as_page()
        .responds(StatusCode::OK, "What is synced now.", AuthMeta::submit_account_selection)
        .or_redirects(StatusCode::SEE_OTHER, "The login's `return_url`, with the outcome.")
        .with_content::<SelectionResponse>("application/json")
        .with_content::<String>("text/html")
}

impl AuthMeta {
    /// Renders the page with the connected ad accounts.
    pub(crate) async fn render_selection(
        &self,
        login: &Login,
        connected: &ConnectResponse,
    ) -> Result<Response, Error> {
        let workspace = self.display_name(&login.workspace).await?;
        let origins = &self.settings.allowed_origins;
        let back = ReturnLink::new(login.return_url.as_deref(), origins, &Outcome::Connected);
        if connected.discovery.is_some() {
            return Ok(page::discovering(&workspace, &connected.declined, back.as_ref()));
        }
        let mut accounts: Vec<_> = connected.ad_accounts.iter().collect();
        if accounts.is_empty() {
            return Ok(page::no_accounts(&workspace, &connected.declined, back.as_ref()));
        }
        accounts.sort_by_key(|account| {
            (!account.selected, account.name.as_ref().map(|name| name.to_lowercase()))
        });
        let remaining = accounts.split_off(accounts.len().min(MAX_LISTED_ACCOUNTS)).len();
        let (secret, browser) = (random_secret()?, random_secret()?);
        let offered = accounts.iter().map(|account| SelectableAccount {
            account: keyed_hash(&secret, &account.id),
            synced: account.selected,
        });
        let selection = AccountSelection {
            workspace: login.workspace.clone(),
            subject: login.subject.clone(),
            role_source: login.role_source,
            browser_hash: hash(&browser),
            connection: keyed_hash(&secret, &connected.connection),
            accounts: offered.collect(),
            expires_at: self.host.clock.now() + SELECTION_TTL,
            selection_hash: None,
            return_url: login.return_url.clone(),
        };
        self.connector.table.create_account_selection(&hash(&secret), &selection).await?;
        let mut response = page::selection_form(
            &workspace,
            &connected.declined,
            &SelectionForm { secret: &secret, accounts: &accounts, remaining },
            back.as_ref(),
        );
        let secure = login.redirect_uri.starts_with("https:");
        COOKIE.with(&browser, SELECTION_TTL, secure).set(&mut response)?;
        Ok(response)
    }

    /// Responds with an HTML page, or with JSON to clients that accept it.
    async fn submit_account_selection(
        self,
        context: RequestContext<Anonymous, NoPath, IgnoredQuery<NoQuery>, Form<AccountSelectionForm>>,
    ) -> Result<Response, Error> {
        let request = &context.request;
        let json = wants_json(request);
        let secure = context.public_url(self.host.public_url.as_deref())?.starts_with("https:");
        let form = parse_form(request);
        let selection = match &form {
            Ok(form) => self.connector.table.account_selection(&hash(&form.secret)).await,
            Err(_) => Ok(None),
        };
        let return_url = selection.as_ref().ok().and_then(|known| known.as_ref()?.return_url.clone());
        let submitted = async { self.apply_selection(request, secure, form?, selection?).await }.await;
        let back = |outcome: &Outcome<'_>| {
            ReturnLink::new(return_url.as_deref(), &self.settings.allowed_origins, outcome)
        };
        match submitted {
            Ok(selected) if json => Json(selected).into_response(StatusCode::OK),
            Err(error) if json => Ok(problem::to_response(&error)),
            Ok(selected) => match (&return_url, back(&Outcome::Connected)) {
                (Some(_), Some(back)) => page::redirect(StatusCode::SEE_OTHER, &back.url),
                (_, back) => {
                    let workspace = self.display_name(&selected.workspace).await?;
                    Ok(page::selection_result(&workspace, &selected.ad_accounts, back.as_ref()))
                }
            },
            Err(error) => {
                let next = match error.is_retryable() {
                    true => "Reload this page to send your selection again.",
                    false => "To choose anew, begin again from the product.",
                };
                Ok(page::failed(&error, next, back(&Outcome::Failed(&error)).as_ref()))
            }
        }
    }

    /// Returns a workspace's name, or its id where only the issuer knows the workspace.
    pub(crate) async fn display_name(&self, workspace: &Tenant) -> Result<String, Error> {
        let known = self.connector.table.workspace(workspace).await?;
        Ok(known.map_or_else(|| workspace.to_string(), |known| known.name))
    }

    async fn apply_selection(
        &self,
        request: &Request<Bytes>,
        secure: bool,
        form: SubmittedForm,
        selection: Option<AccountSelection>,
    ) -> Result<SelectionResponse, Error> {
        let NoQuery {} = request::query(request)?;
        let expired = || {
            let why = "this page is over or was opened in another browser; begin again from the product";
            Error::Conflict(why.to_owned())
        };
        let key = hash(&form.secret);
        let selection = selection.ok_or_else(expired)?;
        let same_browser = COOKIE.matches(request, secure, &selection.browser_hash);
        if !same_browser || selection.expires_at <= self.host.clock.now() {
            return Err(expired());
        }
        telemetry::record_workspace(&selection.workspace, None);
        self.check_may_connect(&selection.workspace, &selection.subject, selection.role_source).await?;
        if selection.selection_hash.is_some() {
            return self.selection_response(&selection, &form).await;
        }
        let changes = self.selection_changes(&selection, &form).await?;
        for (account, selected) in &changes {
            self.select_account(&selection.subject, &selection.workspace, account, *selected).await?;
        }
        let applied = AccountSelection { selection_hash: Some(form.hash()), ..selection };
        let applied = match self.connector.table.complete_account_selection(&key, &applied).await {
            Ok(()) => applied,
            // Submitted twice at the same moment.
            Err(StoreError::Conflict) => {
                self.connector.table.account_selection(&key).await?.ok_or_else(expired)?
            }
            Err(error) => return Err(error.into()),
        };
        self.selection_response(&applied, &form).await
    }

    /// Returns the accounts to change and their new state. Applies nothing when any part is invalid.
    async fn selection_changes(
        &self,
        selection: &AccountSelection,
        form: &SubmittedForm,
    ) -> Result<Vec<(AdAccount, bool)>, Error> {
        let hash_of = |id: &AdAccountId| keyed_hash(&form.secret, id);
        let is_listed =
            |id: &AdAccountId| selection.accounts.iter().any(|offered| offered.account == hash_of(id));
        if let Some(foreign) = form.selected.iter().find(|id| !is_listed(id)) {
            let message = format!("{foreign} is none of those on the page; tick what it shows");
            return Err(FieldError::new("ad_account", message).into());
        }
        let table = &self.connector.table;
        let connections = table.connections(&selection.workspace).await?;
        let connection = connections
            .into_iter()
            .find(|connection| keyed_hash(&form.secret, &connection.id) == selection.connection)
            .ok_or_else(|| {
                let why = "the connection was removed meanwhile; connect again from the product";
                Error::Conflict(why.to_owned())
            })?;
        if connection.state == ConnectionState::NeedsReconnect {
            let why = connection.reason.unwrap_or_else(|| "Meta no longer accepts its token".to_owned());
            return Err(Error::Reconnect(format!("the connection must be renewed: {why}")));
        }
        let mut accounts = table.accounts(&selection.workspace).await?;
        // Another connection of the workspace may reach them by now.
        accounts.retain(|account| account.accessible);
        if let Some(gone) = form.selected.iter().find(|id| accounts.iter().all(|account| account.id != **id))
        {
            let why = format!("{gone} is not within reach any more; connect again from the product");
            return Err(Error::Conflict(why));
        }
        let change = |account: AdAccount| {
            let account_hash = hash_of(&account.id);
            let offered = selection.accounts.iter().find(|offered| offered.account == account_hash)?;
            let selected = form.all || form.selected.contains(&account.id);
            (selected != offered.synced).then_some((account, selected))
        };
        Ok(accounts.into_iter().filter_map(change).collect())
    }

    /// Returns the result of an applied selection, with the current state of the accounts. The first response may have
    /// been lost, so the same selection gets it again.
    async fn selection_response(
        &self,
        selection: &AccountSelection,
        form: &SubmittedForm,
    ) -> Result<SelectionResponse, Error> {
        if selection.selection_hash != Some(form.hash()) {
            let why = "this page was used for another selection already; the product shows what is synced";
            return Err(Error::Conflict(why.to_owned()));
        }
        let mut accounts = self.connector.table.accounts(&selection.workspace).await?;
        accounts.retain(|account| {
            let account = keyed_hash(&form.secret, &account.id);
            selection.accounts.iter().any(|offered| offered.account == account)
        });
        let ad_accounts = accounts.into_iter().map(AdAccountView::try_from).collect::<Result<_, _>>()?;
        Ok(SelectionResponse { workspace: selection.workspace.clone(), ad_accounts })
    }
}

impl SubmittedForm {
    /// Identifies a selection without revealing it.
    fn hash(&self) -> String {
        if self.all {
            return keyed_hash(&self.secret, "all");
        }
        let selected: Vec<_> = self.selected.iter().map(ToString::to_string).collect();
        keyed_hash(&self.secret, selected.join(","))
    }
}

/// Parses the form and rejects any field that our page does not send.
fn parse_form(request: &Request<Bytes>) -> Result<SubmittedForm, Error> {
    let stated = request::header(request, CONTENT_TYPE.as_str()).unwrap_or_default();
    let kind = stated.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(FieldError::new("Content-Type", "must be application/x-www-form-urlencoded").into());
    }
    let body = request.body();
    if body.len() > MAX_FORM_BYTES {
        let message = format!("may have {MAX_FORM_BYTES} bytes at most; send the form of the page as it is");
        return Err(FieldError::new("body", message).into());
    }
    let (mut secret, mut selected, mut all) = (None, BTreeSet::new(), None);
    for (name, value) in form_urlencoded::parse(body) {
        let is_new = match &*name {
            "selection" => secret.replace(value.into_owned()).is_none(),
            "ad_account" => {
                let id = value
                    .parse::<AdAccountId>()
                    .map_err(|error| FieldError::new("ad_account", error.message))?;
                selected.insert(id)
            }
            "all" => {
                let said = value.parse().map_err(|_| FieldError::new("all", "must be true or false"))?;
                all.replace(said).is_none()
            }
            other => {
                let message = "is no field of this form, which has selection, ad_account and all";
                return Err(FieldError::new(other, message).into());
            }
        };
        if !is_new {
            return Err(FieldError::new(&*name, "is there more than once; send each value once").into());
        }
    }
    let missing = || FieldError::new("selection", "is missing; send the form of the page as it is");
    Ok(SubmittedForm { secret: secret.ok_or_else(missing)?, selected, all: all.unwrap_or_default() })
}
