//! People leave: Meta says so with a `signed_request`, when a person removes the app, and when they want their data
//! deleted. Both are answered once the work is in the queue.

use bytes::Bytes;
use connector::consent;
use domain::id::MetaUserId;
use domain::job::Job;
use domain::{Error, FieldError};
use graph_api::signed_request::{self, SignedRequest};
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Method, StatusCode};
use jiff::SignedDuration;
use runtime::endpoint::{self, Anonymous, Endpoint};
use runtime::request::{Form, Json, NoPath, NoQuery, RequestContext, UnreadQuery};
use runtime::{AppSecrets, Response, random};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use store::StoreError;
use store::audit::Actor;
use store::connection::{ConnectionRef, ConnectionState};
use store::deletion::DeletionRequest;

use crate::consent::connection_id_for;
use crate::{AuthMeta, page};

/// Meta's clock and ours differ by this much: what was connected so little after a request is part of it.
const MAX_CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// What Meta shows to the person who asked.
#[derive(Serialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct Confirmation {
    url: String,
    confirmation_code: String,
}

/// Meta's form.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the form is read by hand")]
pub(crate) struct SignedRequestForm {
    /// A signature and what it signs, both in base64url.
    signed_request: String,
}

/// A deletion of the path.
#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub(crate) struct DeletionPath {
    /// The confirmation code of a deletion.
    code: String,
}

type SignedContext = RequestContext<Anonymous, NoPath, NoQuery, Form<SignedRequestForm>>;

pub(crate) fn deauthorize() -> Endpoint<AuthMeta> {
    endpoint::public(Method::POST, "/v1/auth/meta/deauthorize")
        .named("deauthorize", "Hears of a person who removed the app")
        .may(Error::Forbidden, "The request is not signed by Meta, or not of its time.")
        .responds(StatusCode::OK, "Their tokens are being forgotten.", AuthMeta::deauthorize)
}

pub(crate) fn delete_data() -> Endpoint<AuthMeta> {
    endpoint::public(Method::POST, "/v1/auth/meta/data-deletion")
        .named("delete_data", "Hears of a person who wants their data deleted")
        .may(Error::Forbidden, "The request is not signed by Meta, or not of its time.")
        .responds(StatusCode::OK, "Where they can ask what became of it.", AuthMeta::delete_data)
}

pub(crate) fn show_deletion() -> Endpoint<AuthMeta> {
    endpoint::public(Method::GET, "/v1/auth/meta/data-deletion/{code}")
        .named("show_deletion", "Shows what became of a person's request")
        .may(Error::NotFound, "Nothing is known under this code.")
        .fails_as_page()
        .responds(StatusCode::OK, "It is done, or under way.", AuthMeta::show_deletion)
        .or_as::<String>("text/html")
}

impl AuthMeta {
    /// A person has removed the app: their tokens are of no use to anybody.
    async fn deauthorize(self, context: SignedContext) -> Result<Json<Map<String, Value>>, Error> {
        let SignedRequest { user, issued_at } = self.verify_signed_request(&context.body.0)?;
        self.host
            .queues
            .send(&[Job::DeauthorizeUser { user, until: (issued_at + MAX_CLOCK_SKEW).as_second() }])
            .await?;
        Ok(Json(Map::new()))
    }

    /// A person wants their data deleted. The request is kept before it is queued, so that a lost message is made up for
    /// by the daily look.
    async fn delete_data(self, context: SignedContext) -> Result<Json<Confirmation>, Error> {
        let SignedRequest { user, issued_at } = self.verify_signed_request(&context.body.0)?;
        let code = random::id()?;
        let request = DeletionRequest {
            code: code.clone(),
            user: Some(user),
            requested_at: issued_at + MAX_CLOCK_SKEW,
            first_pass_at: None,
            scopes: Vec::new(),
            completed_at: None,
        };
        self.connector.table.create_deletion_request(&request).await?;
        self.host.queues.send(&[Job::DeleteUserData { code: code.clone() }]).await?;
        tracing::info!(deletion_request = %code, "A person wants their data deleted.");
        let public_url = context.public_url(self.host.public_url.as_deref())?;
        let url = format!("{public_url}/v1/auth/meta/data-deletion/{code}");
        Ok(Json(Confirmation { url, confirmation_code: code }))
    }

    /// What became of a request, for the person who asked.
    async fn show_deletion(
        self,
        context: RequestContext<Anonymous, DeletionPath, UnreadQuery<NoQuery>>,
    ) -> Result<Response, Error> {
        let request = self.connector.table.deletion_request(&context.path.code).await?;
        let mut response = page::deletion(request.as_ref());
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }

    /// The one field of Meta's form, believed.
    fn verify_signed_request(&self, form: &Bytes) -> Result<SignedRequest, Error> {
        let fields: Vec<_> = form_urlencoded::parse(form).collect();
        let [(name, text)] = fields.as_slice() else {
            return Err(FieldError::new("body", "must be a form with the one field signed_request").into());
        };
        if name != "signed_request" {
            return Err(FieldError::new("body", "must be a form with the one field signed_request").into());
        }
        // While the app's secret is being changed Meta may sign with either.
        let AppSecrets { app_secret, previous_app_secret, .. } = &self.settings.secrets;
        let secrets: Vec<_> = std::iter::once(app_secret).chain(previous_app_secret).collect();
        signed_request::verify(&secrets, text, self.host.clock.now())
            .map_err(|error| Error::Forbidden(error.to_string()))
    }

    /// Forgets the tokens of a person in every workspace.
    pub(crate) async fn forget_person(&self, user: &MetaUserId, until: i64) -> Result<(), Error> {
        let table = &self.connector.table;
        for ConnectionRef { workspace, connection } in
            table.connection_refs(&connection_id_for(user)?).await?
        {
            let Some(seen) = table.connection(&workspace, &connection).await? else { continue };
            // Who has connected again since has not left.
            if seen.connected_at.as_second() > until || seen.sealed_token.is_empty() {
                continue;
            }
            let event = consent::connection_event(
                &workspace,
                &seen,
                "connection.token_forgotten",
                "",
                Actor::Webhook,
            );
            let after = json!({"state": ConnectionState::NeedsReconnect});
            let event = event.with_change(json!({"state": seen.state}), after);
            let event = table.record_intent(&workspace, event, self.host.clock.now()).await?;
            let forgotten =
                match table.delete_token(&workspace, &seen, "the person removed the app at Meta").await {
                    Ok(()) => Ok(()),
                    Err(StoreError::Conflict) => Err(consent::superseded()),
                    // The message comes again, and with it this event.
                    Err(error) => return Err(error.into()),
                };
            event.complete(forgotten, None, self.host.clock.now()).await.map_err(|_| concurrent_change())?;
            tracing::info!(%workspace, "A person removed the app; their token is forgotten.");
        }
        Ok(())
    }
}

/// A connection was sealed anew, renewed or made again at this moment: the message comes again and looks again.
pub(crate) fn concurrent_change() -> Error {
    Error::Unavailable("a connection was being changed".to_owned())
}

/// What a person is told of their request.
pub(crate) fn status_text(request: Option<&DeletionRequest>) -> (StatusCode, &'static str, String) {
    match request {
        None => {
            let text =
                "Nothing is known under this code. A deletion is told of for a year after it was done.";
            (StatusCode::NOT_FOUND, "Unknown deletion", text.to_owned())
        }
        Some(DeletionRequest { completed_at: Some(at), .. }) => {
            let text =
                format!("Everything that was kept of you and of your ad accounts was deleted on {at}.");
            (StatusCode::OK, "Your data is deleted", text)
        }
        Some(DeletionRequest { requested_at, .. }) => {
            let requested_at = *requested_at - MAX_CLOCK_SKEW;
            let text = format!("You asked for it on {requested_at}. It is under way and ends within a day.");
            (StatusCode::OK, "Your data is being deleted", text)
        }
    }
}
