//! The login: state, callback, exchanges, and what is kept of them.

use ads::id::MemberId;
use ads::role::Standing;
use ads::tenant::Tenant;
use ads::{Failure, Invalid};
use graph_api::GraphError;
use graph_api::oauth::{Asked, SCOPES, TokenKind};
use jiff::{SignedDuration, Timestamp};
use runtime::route::Visit;
use runtime::{Reply, problem, reply, telemetry};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use store::connection::ConnectionKind;
use store::oauth_state::OauthState;

use crate::browser::{self, Cookie, hash, secret_text, wants_json};
use crate::consent::{Consent, NEEDED_SCOPE};
use crate::page::{self, Connected};
use crate::routes::{CALLBACK, CONNECTS};
use crate::shown::ShownConnection;
use crate::{AuthMeta, Endpoint, LoginConfiguration};

/// A person has this long to decide at Meta.
const LOGIN_LASTS: SignedDuration = SignedDuration::from_mins(10);

/// Binds a login to the browser that began it.
const COOKIE_NAME: &str = "adflight_login";

/// How a person is to be asked. Without a body: classic login, for everything.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginRequest {
    #[serde(default)]
    kind: LoginKind,
    /// Permissions that were declined before and are to be asked for again.
    #[serde(default)]
    #[cfg_attr(feature = "describe", schemars(extend("items" = serde_json::json!({"enum": SCOPES}))))]
    rerequest: Vec<String>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum LoginKind {
    /// Single permissions, each of which can be declined.
    #[default]
    Classic,
    /// The configuration of Facebook Login for Business that this deployment has.
    Business,
}

/// Meta's tokens have a few hundred characters.
const LONGEST_TOKEN: usize = 4096;

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct PastedToken {
    /// Of a system user, made for this app.
    #[cfg_attr(feature = "describe", schemars(with = "String", length(min = 1, max = LONGEST_TOKEN)))]
    token: SecretString,
}

#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct Authorization {
    authorize_url: String,
    expires_at: Timestamp,
}

impl AuthMeta {
    pub(crate) async fn authorize(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let session = visit.session()?;
        let request = if visit.request.body().is_empty() { LoginRequest::default() } else { visit.json()? };
        let (asked, kind) = self.asked(&request)?;
        let state = secret_text()?;
        let browser = secret_text()?;
        let expires_at = self.host.clock.now() + LOGIN_LASTS;
        let public_url = visit.public_url(self.host.public_url.as_deref())?;
        let redirect_uri = format!("{public_url}{CALLBACK}");
        let login = OauthState {
            workspace: session.workspace.clone(),
            subject: session.subject.clone(),
            standing: session.standing,
            browser_hash: hash(&browser),
            redirect_uri,
            expires_at,
            kind,
        };
        self.access.table.begin_login(&hash(&state), &login).await?;
        let authorize_url = self.access.graph.authorize_url(&login.redirect_uri, &state, asked);
        let mut reply = reply::ok(&Authorization { authorize_url, expires_at })?;
        let cookie = Cookie {
            name: COOKIE_NAME,
            value: &browser,
            path: CALLBACK,
            lasts: LOGIN_LASTS,
            // Meta sends the person back, which is another site.
            same_site: "Lax",
            secure: public_url.starts_with("https:"),
        };
        cookie.set(&mut reply)?;
        Ok(reply)
    }

    /// What the dialog is to ask, as this deployment can.
    fn asked(&self, request: &LoginRequest) -> Result<(Asked<'_>, ConnectionKind), Failure> {
        if let Some(place) = request.rerequest.iter().position(|scope| !SCOPES.contains(&scope.as_str())) {
            let problem = format!("is not a permission of this product; those are {}", SCOPES.join(", "));
            return Err(Invalid::new(format!("rerequest[{place}]"), problem).into());
        }
        match (request.kind, &self.settings.login) {
            (LoginKind::Classic, _) if request.rerequest.is_empty() => {
                Ok((Asked::Scopes(&SCOPES), ConnectionKind::Classic))
            }
            // For all of them: what was granted before is merely confirmed.
            (LoginKind::Classic, _) => Ok((Asked::Again(&SCOPES), ConnectionKind::Classic)),
            (LoginKind::Business, _) if !request.rerequest.is_empty() => {
                let problem = "is for the kind classic; a configuration is granted as a whole or not at all";
                Err(Invalid::new("rerequest", problem).into())
            }
            (LoginKind::Business, Some(LoginConfiguration { id, system_user })) => {
                Ok((Asked::Configuration { id, system_user: *system_user }, ConnectionKind::Business))
            }
            (LoginKind::Business, None) => {
                let problem = "is not set up in this deployment: its META_LOGIN_CONFIG_ID names no configuration of \
                               Facebook Login for Business; use classic";
                Err(Invalid::new("kind", problem).into())
            }
        }
    }

    /// Keeps the token of a system user that somebody hands over: the road that needs no review of the app.
    pub(crate) async fn paste(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let session = visit.session()?;
        // Read here, because the messages of the decoder quote what they do not like.
        let pasted = serde_json::from_slice::<PastedToken>(visit.request.body());
        let token =
            pasted.map_err(|_| Invalid::new("body", r#"must be {"token":"..."} and nothing else"#))?.token;
        let wrong = |problem: String| Failure::from(Invalid::new("token", problem));
        if !(1..=LONGEST_TOKEN).contains(&token.expose_secret().len()) {
            return Err(wrong(format!("must have 1 to {LONGEST_TOKEN} characters")));
        }
        let graph = &self.access.graph;
        let facts = match graph.debug_token(&token).await {
            // Meta says nothing of the tokens of other apps.
            Err(GraphError::FixInput(_)) => return Err(wrong("is no token of this app at Meta".to_owned())),
            facts => facts?,
        };
        if let Some(death) = facts.death() {
            return Err(wrong(format!("does not work: {death}")));
        }
        if facts.app_id != graph.config().app_id {
            return Err(wrong("belongs to another app; make one for this app".to_owned()));
        }
        if facts.kind != TokenKind::SystemUser {
            let problem = "is not a system user's; people connect by POST connections/meta/authorize";
            return Err(wrong(problem.to_owned()));
        }
        if !facts.scopes.iter().any(|scope| scope == NEEDED_SCOPE) {
            return Err(wrong(format!(
                "was made without {NEEDED_SCOPE}; make one with {}",
                SCOPES.join(", ")
            )));
        }
        let (kind, subject) = (ConnectionKind::SystemUser, session.subject.clone());
        let consent = Consent { token, facts, kind, subject };
        let (connection, _) = self.keep_consent(&session.workspace, consent).await?;
        reply::ok(&ShownConnection::of(connection, self.host.clock.now()))
    }

    /// Answers a page, for it is a browser that comes; JSON for those who ask for it.
    pub(crate) async fn callback(&self, visit: &Visit<Endpoint>) -> Reply {
        let json = wants_json(visit);
        match self.come_back(visit, json).await {
            Ok(reply) => reply,
            Err(failure) if json => problem::answer(&failure),
            Err(failure) => {
                page::failed(&failure, "You can close this page and begin again from the product.")
            }
        }
    }

    async fn come_back(&self, visit: &Visit<Endpoint>, json: bool) -> Result<Reply, Failure> {
        let login = self.take_login(visit).await?;
        if let Some(error) = visit.query::<String>("error")? {
            let cancelled = error == "access_denied";
            if cancelled && !json {
                return Ok(page::cancelled());
            }
            let why = if cancelled { "the login was cancelled at Meta" } else { "Meta refused the login" };
            return Err(Failure::Refused(why.to_owned()));
        }
        self.still_may(&login.workspace, &login.subject, login.standing).await?;
        let connected = self.finish_login(visit, &login).await?;
        if json { reply::ok(&connected) } else { self.offer(&login, &connected).await }
    }

    async fn finish_login(&self, visit: &Visit<Endpoint>, login: &OauthState) -> Result<Connected, Failure> {
        let code: String = visit.required("code", "the code that Meta sent")?;
        let graph = &self.access.graph;
        let mut token = graph.exchange_code(&code, &login.redirect_uri).await?.access_token;
        let mut facts = graph.debug_token(&token).await?;
        // A person's token lives two hours until it is exchanged; a system user's came as it is to stay.
        if facts.kind != TokenKind::SystemUser {
            token = graph.extend(&token).await?.access_token;
            facts = graph.debug_token(&token).await?;
        }
        if !facts.is_valid || facts.app_id != graph.config().app_id {
            return Err(Failure::Refused("Meta gave a token that is not valid for this app".to_owned()));
        }
        let consent = Consent { token, facts, kind: login.kind, subject: login.subject.clone() };
        let (connection, ad_accounts) = self.keep_consent(&login.workspace, consent).await?;
        let workspace = login.workspace.clone();
        Ok(Connected { connection: connection.id, workspace, declined: connection.declined, ad_accounts })
    }

    /// The login that this callback belongs to. It is taken away whatever comes next.
    async fn take_login(&self, visit: &Visit<Endpoint>) -> Result<OauthState, Failure> {
        let refused = || {
            let why = "this login is unknown, over, or was used already; begin again from the product";
            Failure::Conflict(why.to_owned())
        };
        let state: String = visit.required("state", "the state that Meta sent")?;
        let login = self.access.table.take_login(&hash(&state)).await?.ok_or_else(refused)?;
        let same_browser = browser::is_same(visit, COOKIE_NAME, &login.browser_hash);
        if !same_browser || login.expires_at <= self.host.clock.now() {
            return Err(refused());
        }
        telemetry::concerns(&login.workspace, None);
        Ok(login)
    }

    /// Whether whoever began a login may still do so, for no session comes with what follows. A member's row is asked
    /// again. What only the issuer says cannot be asked without a session: it is taken as it was when they began, which
    /// is as long ago as a login and a choice last together.
    pub(crate) async fn still_may(
        &self,
        workspace: &Tenant,
        subject: &str,
        standing: Standing,
    ) -> Result<(), Failure> {
        if standing == Standing::Claimed {
            return Ok(());
        }
        let why = match self.access.table.member(workspace, &MemberId::of(subject)).await? {
            Some(member) if member.role >= CONNECTS => return Ok(()),
            Some(member) => format!(
                "this needs the role {CONNECTS}, and by now you have {}; ask an owner of the workspace",
                member.role
            ),
            None => "you are no member of this workspace any more; ask an owner to invite you".to_owned(),
        };
        Err(Failure::Forbidden(why))
    }
}
