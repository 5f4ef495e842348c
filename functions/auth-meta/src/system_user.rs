//! Connects a system user by its token, which needs no login and no review of the app.

use domain::{Error, FieldError};
use graph_api::GraphError;
use graph_api::oauth::{SCOPES, TokenKind};
use http::{Method, StatusCode};
use runtime::endpoint::{self, Endpoint};
use runtime::request::{Json, NoPath, NoQuery, RawJson, RequestContext};
use runtime::session::Session;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use store::connection::ConnectionKind;

use crate::consent::{Consent, REQUIRED_SCOPE};
use crate::views::ConnectionView;
use crate::{AuthMeta, CONNECT_ROLE};

/// Upper bound for a token; Meta's have a few hundred characters.
const MAX_TOKEN_CHARS: usize = 4096;

#[derive(Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct SystemUserToken {
    /// Of a system user, made for this app.
    #[cfg_attr(feature = "describe", schemars(with = "String", length(min = 1, max = MAX_TOKEN_CHARS)))]
    token: SecretString,
}

pub(crate) fn connect_system_user() -> Endpoint<AuthMeta> {
    let path = "/v1/workspaces/{workspace}/connections/meta/token";
    endpoint::member(Method::POST, path, CONNECT_ROLE)
        .named("connect_system_user", "Stores the token of a system user")
        .description(
            "The road that needs no review of the app. The token is sealed, and shown to nobody again.",
        )
        .calls_platform()
        .responds(StatusCode::OK, "The connection.", AuthMeta::connect_system_user)
}

impl AuthMeta {
    /// Stores a system user's token that the caller provides, which needs no app review.
    async fn connect_system_user(
        self,
        context: RequestContext<Session, NoPath, NoQuery, RawJson<SystemUserToken>>,
    ) -> Result<Json<ConnectionView>, Error> {
        let public_url = context.public_url(self.host.public_url.as_deref()).ok().map(str::to_owned);
        let session = context.caller;
        // Parsed here because the decoder's messages quote the input.
        let body = serde_json::from_slice::<SystemUserToken>(&context.body.0);
        let token =
            body.map_err(|_| FieldError::new("body", r#"must be {"token":"..."} and nothing else"#))?.token;
        let wrong = |message: String| Error::from(FieldError::new("token", message));
        if !(1..=MAX_TOKEN_CHARS).contains(&token.expose_secret().len()) {
            return Err(wrong(format!("must have 1 to {MAX_TOKEN_CHARS} characters")));
        }
        let graph = &self.connector.graph;
        let token_info = match graph.debug_token(&token).await {
            // Meta rejects tokens of other apps.
            Err(GraphError::InvalidInput(_)) => {
                return Err(wrong("is no token of this app at Meta".to_owned()));
            }
            token_info => token_info?,
        };
        if let Some(reason) = token_info.invalid_reason() {
            return Err(wrong(format!("does not work: {reason}")));
        }
        if token_info.app_id != graph.config().app_id {
            return Err(wrong("belongs to another app; make one for this app".to_owned()));
        }
        if token_info.kind != TokenKind::SystemUser {
            let message = "is not a system user's; people connect by POST connections/meta/authorize";
            return Err(wrong(message.to_owned()));
        }
        if !token_info.scopes.iter().any(|scope| scope == REQUIRED_SCOPE) {
            return Err(wrong(format!(
                "was made without {REQUIRED_SCOPE}; make one with {}",
                SCOPES.join(", ")
            )));
        }
        let (kind, subject) = (ConnectionKind::SystemUser, session.subject.clone());
        let consent = Consent { token, token_info, kind, subject };
        let (connection, _) = self.save_consent(&session.workspace, consent).await?;
        self.subscribe_app(public_url.as_deref()).await;
        Ok(Json(ConnectionView::of(connection, self.host.clock.now())))
    }
}
