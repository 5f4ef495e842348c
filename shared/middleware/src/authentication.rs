//! Authenticates the sender of a request and authorizes it in the path's workspace.

use bytes::Bytes;
use domain::Error;
use domain::id::{AdAccountId, MemberId, WorkspaceId};
use domain::role::{Role, RoleSource};
use domain::tenant::Tenant;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderValue, Request, StatusCode};
use runtime::router::{self, Parameters};
use runtime::session::{Session, User, VerifyError};
use runtime::{Response, problem, telemetry};

use crate::{Middleware, reject};

impl Middleware {
    /// Authenticates the user of the request's session token.
    pub(crate) async fn authenticate(&self, request: &Request<Bytes>) -> Result<User, Box<Response>> {
        let token = bearer_token(request).map_err(unauthorized)?;
        self.sessions.verify(token, self.clock.now()).await.map_err(|why| match why {
            VerifyError::InvalidToken(why) => unauthorized(&format!("The session token {why}.")),
            VerifyError::IssuerUnavailable => {
                reject(Error::Unavailable("the issuer of sessions does not say its keys".to_owned()))
            }
        })
    }

    /// Authorizes a user for a role in the path's workspace and returns the session. A foreign workspace is
    /// indistinguishable from one that does not exist.
    pub(crate) async fn authorize(
        &self,
        user: User,
        needed: Role,
        path: &Parameters,
    ) -> Result<Session, Box<Response>> {
        let parameter =
            |wanted| path.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_str());
        let wanted: WorkspaceId =
            parameter("workspace").and_then(|value| value.parse().ok()).ok_or_else(router::not_found)?;
        let is_wanted = |(tenant, _): &(Tenant, Role)| **tenant == wanted;
        let (found, role_source) = match user.claimed_role.clone().filter(is_wanted) {
            Some(claimed) => (Some(claimed), RoleSource::Claim),
            None => {
                let member = self.table.member(&wanted, &MemberId::from_subject(&user.subject)).await;
                let member = member.map_err(|error| reject(error.into()))?;
                (member.map(|member| (member.workspace, member.role)), RoleSource::Membership)
            }
        };
        let (workspace, role) = found.filter(is_wanted).ok_or_else(router::not_found)?;
        let ad_account = parameter("ad_account").and_then(|value| value.parse::<AdAccountId>().ok());
        telemetry::record_workspace(&workspace, ad_account.as_ref());
        if role < needed {
            let why = format!("this needs the role {needed} or above; the session has {role}");
            return Err(reject(Error::Forbidden(why)));
        }
        Ok(Session { subject: user.subject, workspace, role, role_source })
    }
}

fn unauthorized(detail: &str) -> Box<Response> {
    let status = StatusCode::UNAUTHORIZED;
    let mut response = problem::plain(status, "unauthorized", "A valid session is needed", detail);
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    Box::new(response)
}

/// Returns the session token of a request, or what is wrong with the header.
fn bearer_token(request: &Request<Bytes>) -> Result<&str, &'static str> {
    let mut headers = request.headers().get_all(AUTHORIZATION).iter();
    let (Some(header), None) = (headers.next(), headers.next()) else {
        return Err("Send one Authorization header: Bearer and a session token.");
    };
    let scheme_and_token = header.to_str().ok().and_then(|text| text.split_once(' '));
    let token = scheme_and_token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    token
        .map(|(_, token)| token.trim_start_matches(' '))
        .ok_or("The Authorization header must be Bearer and a session token.")
}
