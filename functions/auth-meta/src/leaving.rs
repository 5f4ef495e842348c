//! People leave: Meta says so with a `signed_request`, when a person removes the app, and when they want their data
//! deleted. Both are answered once the work is in the queue.

use access::audit::Actor;
use access::consent;
use ads::id::MetaUserId;
use ads::job::Job;
use ads::{Failure, Invalid};
use graph_api::signed_request::{self, SignedRequest};
use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};
use jiff::SignedDuration;
use runtime::route::Visit;
use runtime::{AppSecrets, Reply, random, reply};
use serde::Serialize;
use serde_json::json;
use store::StoreError;
use store::connection::{ConnectionPlace, ConnectionState};
use store::erase::Erasure;

use crate::consent::connection_of;
use crate::{AuthMeta, Endpoint, page};

/// Meta's clock and ours differ by this much: what was connected so little after a wish is part of it.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// What Meta shows to the person who asked.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct Confirmation {
    url: String,
    confirmation_code: String,
}

impl AuthMeta {
    /// A person has removed the app: their tokens are of no use to anybody.
    pub(crate) async fn deauthorize(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let SignedRequest { user, issued_at } = self.signed(visit)?;
        self.host.queues.send(&[Job::ForgetPerson { user, until: (issued_at + SKEW).as_second() }]).await?;
        reply::ok(&serde_json::json!({}))
    }

    /// A person wants their data deleted. The wish is kept before it is queued, so that a lost message is made up for
    /// by the daily look.
    pub(crate) async fn data_deletion(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let SignedRequest { user, issued_at } = self.signed(visit)?;
        let code = random::id()?;
        let wish = Erasure {
            code: code.clone(),
            user: Some(user),
            asked_at: issued_at + SKEW,
            erased_at: None,
            touched: Vec::new(),
            done_at: None,
        };
        self.access.table.begin_erasure(&wish).await?;
        self.host.queues.send(&[Job::ErasePerson { erasure: code.clone() }]).await?;
        tracing::info!(erasure = %code, "A person wants their data deleted.");
        let public_url = visit.public_url(self.host.public_url.as_deref())?;
        let url = format!("{public_url}/v1/auth/meta/data-deletion/{code}");
        reply::ok(&Confirmation { url, confirmation_code: code })
    }

    /// What became of a wish, for the person who asked.
    pub(crate) async fn deletion_status(&self, visit: &Visit<Endpoint>) -> Result<Reply, Failure> {
        let code: String = visit.path("code")?;
        let wish = self.access.table.erasure(&code).await?;
        let mut reply = page::deletion(wish.as_ref());
        reply.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(reply)
    }

    /// The one field of Meta's form, believed.
    fn signed(&self, visit: &Visit<Endpoint>) -> Result<SignedRequest, Failure> {
        let fields: Vec<_> = form_urlencoded::parse(visit.request.body()).collect();
        let [(name, text)] = fields.as_slice() else {
            return Err(Invalid::new("body", "must be a form with the one field signed_request").into());
        };
        if name != "signed_request" {
            return Err(Invalid::new("body", "must be a form with the one field signed_request").into());
        }
        // While the app's secret is being changed Meta may sign with either.
        let AppSecrets { app_secret, previous_app_secret, .. } = &self.settings.secrets;
        let secrets: Vec<_> = std::iter::once(app_secret).chain(previous_app_secret).collect();
        signed_request::open(&secrets, text, self.host.clock.now())
            .map_err(|unbelieved| Failure::Forbidden(unbelieved.to_string()))
    }

    /// Forgets the tokens of a person in every workspace.
    pub(crate) async fn forget_person(&self, user: &MetaUserId, until: i64) -> Result<(), Failure> {
        let table = &self.access.table;
        for ConnectionPlace { workspace, connection } in table.holdings(&connection_of(user)?).await? {
            let Some(seen) = table.connection(&workspace, &connection).await? else { continue };
            // Who has connected again since has not left.
            if seen.connected_at.as_second() > until || seen.sealed_token.is_empty() {
                continue;
            }
            let act = consent::act(&workspace, &seen, "connection.token_forgotten", "", Actor::Webhook);
            let after = json!({"state": ConnectionState::NeedsReconnect});
            let act =
                self.access.intend(&workspace, act.changing(json!({"state": seen.state}), after)).await?;
            let forgotten =
                match table.forget_token(&workspace, &seen, "the person removed the app at Meta").await {
                    Ok(()) => Ok(()),
                    Err(StoreError::Conflict) => Err(consent::superseded()),
                    // The message comes again, and with it this act.
                    Err(error) => return Err(error.into()),
                };
            act.ended(forgotten, None, self.host.clock.now()).await.map_err(|_| being_changed())?;
            tracing::info!(%workspace, "A person removed the app; their token is forgotten.");
        }
        Ok(())
    }
}

/// A connection was sealed anew, renewed or made again at this moment: the message comes again and looks again.
pub(crate) fn being_changed() -> Failure {
    Failure::Unavailable("a connection was being changed".to_owned())
}

/// What a person is told of their wish.
pub(crate) fn told(wish: Option<&Erasure>) -> (StatusCode, &'static str, String) {
    match wish {
        None => {
            let text =
                "Nothing is known under this code. A deletion is told of for a year after it was done.";
            (StatusCode::NOT_FOUND, "Unknown deletion", text.to_owned())
        }
        Some(Erasure { done_at: Some(at), .. }) => {
            let text =
                format!("Everything that was kept of you and of your ad accounts was deleted on {at}.");
            (StatusCode::OK, "Your data is deleted", text)
        }
        Some(Erasure { asked_at, .. }) => {
            let asked = *asked_at - SKEW;
            let text = format!("You asked for it on {asked}. It is under way and ends within a day.");
            (StatusCode::OK, "Your data is being deleted", text)
        }
    }
}
