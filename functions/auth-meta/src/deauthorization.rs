//! Deauthorization and data deletion: Meta sends a `signed_request` when a person removes the app and when they ask for
//! their data to be deleted. Both are confirmed as soon as the job is in the queue.

use bytes::Bytes;
use connector::consent;
use domain::id::{ConnectionId, PlatformUserId};
use domain::job::Job;
use domain::{Error, FieldError};
use graph_api::signed_request::{self, SignedRequest};
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Method, StatusCode};
use jiff::SignedDuration;
use runtime::endpoint::{self, Anonymous, Endpoint};
use runtime::request::{Form, IgnoredQuery, Json, NoPath, NoQuery, RequestContext};
use runtime::{AppSecrets, Response, random};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use store::StoreError;
use store::audit::Actor;
use store::connection::{ConnectionRef, ConnectionState};
use store::deletion::DeletionRequest;

use crate::{AuthMeta, page};

/// Maximum difference between Meta's clock and ours. A connection made this soon after a request is covered by it.
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
        .named("deauthorize", "Receives Meta's deauthorization callback")
        .fails_with(Error::Forbidden, "The request is not signed by Meta, or not of its time.")
        .responds(StatusCode::OK, "The deletion of their tokens is queued.", AuthMeta::deauthorize)
}

pub(crate) fn delete_data() -> Endpoint<AuthMeta> {
    endpoint::public(Method::POST, "/v1/auth/meta/data-deletion")
        .named("delete_data", "Receives Meta's data deletion callback")
        .fails_with(Error::Forbidden, "The request is not signed by Meta, or not of its time.")
        .responds(
            StatusCode::OK,
            "The address of its status, and the confirmation code.",
            AuthMeta::delete_data,
        )
}

pub(crate) fn get_deletion() -> Endpoint<AuthMeta> {
    endpoint::public(Method::GET, "/v1/auth/meta/data-deletion/{code}")
        .named("get_deletion", "Returns the status of a deletion request")
        .fails_with(Error::NotFound, "No deletion request has this code.")
        .fails_as_page()
        .responds(StatusCode::OK, "It is done, or under way.", AuthMeta::get_deletion)
        .with_content::<String>("text/html")
}

impl AuthMeta {
    /// Handles the removal of the app by a person, after which their tokens are useless.
    async fn deauthorize(self, context: SignedContext) -> Result<Json<Map<String, Value>>, Error> {
        let SignedRequest { user, issued_at } = self.verify_signed_request(&context.body.0)?;
        self.host
            .queues
            .send(&[Job::DeauthorizeUser { user, until: (issued_at + MAX_CLOCK_SKEW).as_second() }])
            .await?;
        Ok(Json(Map::new()))
    }

    /// Handles a request to delete a person's data. Stores the request before it queues the job, so that the daily
    /// health check replaces a lost message.
    async fn delete_data(self, context: SignedContext) -> Result<Json<Confirmation>, Error> {
        let SignedRequest { user, issued_at } = self.verify_signed_request(&context.body.0)?;
        let code = random::id()?;
        let request = DeletionRequest {
            code: code.clone(),
            user: Some(user),
            requested_at: issued_at + MAX_CLOCK_SKEW,
            first_pass_at: None,
            completed_at: None,
        };
        self.connector.table.create_deletion_request(&request).await?;
        self.host.queues.send(&[Job::DeleteUserData { code: code.clone() }]).await?;
        tracing::info!(deletion_request = %code, "A person wants their data deleted.");
        let public_url = context.public_url(self.host.public_url.as_deref())?;
        let url = format!("{public_url}/v1/auth/meta/data-deletion/{code}");
        Ok(Json(Confirmation { url, confirmation_code: code }))
    }

    /// Returns the status of a deletion request, for the person who made it.
    async fn get_deletion(
        self,
        context: RequestContext<Anonymous, DeletionPath, IgnoredQuery<NoQuery>>,
    ) -> Result<Response, Error> {
        let request = self.connector.table.deletion_request(&context.path.code).await?;
        let (status, title, text) = status_text(request.as_ref());
        let code = request.as_ref().map(|request| request.code.as_str());
        let mut response = page::deletion(status, title, &text, code);
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }

    /// Reads the one field of Meta's form and verifies its signature.
    fn verify_signed_request(&self, form: &Bytes) -> Result<SignedRequest, Error> {
        let fields: Vec<_> = form_urlencoded::parse(form).collect();
        let [(name, text)] = fields.as_slice() else {
            return Err(FieldError::new("body", "must be a form with the one field signed_request").into());
        };
        if name != "signed_request" {
            return Err(FieldError::new("body", "must be a form with the one field signed_request").into());
        }
        // During a rotation of the app secret Meta may sign with either one.
        let AppSecrets { app_secret, previous_app_secret, .. } = &self.settings.secrets;
        let secrets: Vec<_> = std::iter::once(app_secret).chain(previous_app_secret).collect();
        signed_request::verify(&secrets, text, self.host.clock.now())
            .map_err(|error| Error::Forbidden(error.to_string()))
    }

    /// Deletes a person's tokens in every workspace.
    pub(crate) async fn deauthorize_user(&self, user: &PlatformUserId, until: i64) -> Result<(), Error> {
        let table = &self.connector.table;
        for ConnectionRef { workspace, connection } in
            table.connection_refs(&ConnectionId::of_meta_user(user)?).await?
        {
            let Some(seen) = table.connection(&workspace, &connection).await? else { continue };
            // A connection made after the request is a new consent.
            if seen.connected_at.as_second() > until || seen.sealed_token.is_empty() {
                continue;
            }
            let event =
                consent::connection_event(&workspace, &seen, "connection.token_deleted", "", Actor::Platform);
            let after = json!({"state": ConnectionState::NeedsReconnect});
            let event = event.with_change(json!({"state": seen.state}), after);
            let event = event.done_at(self.host.clock.now());
            let why = "the person removed the app at Meta";
            match table.delete_token(&workspace, &seen, why, Some(&event)).await {
                Err(StoreError::Conflict) => return Err(concurrent_change()),
                forgotten => forgotten?,
            }
            tracing::info!(%workspace, "A person removed the app; their token is forgotten.");
        }
        Ok(())
    }
}

/// A concurrent write resealed, renewed or recreated the connection. The message is redelivered and reads it again.
pub(crate) fn concurrent_change() -> Error {
    Error::Unavailable("a connection was being changed".to_owned())
}

/// Returns the status, title and text that describe a request to its person.
fn status_text(request: Option<&DeletionRequest>) -> (StatusCode, &'static str, String) {
    match request {
        None => {
            let text =
                "No deletion request has this code. Requests are kept for a year after they are completed.";
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
