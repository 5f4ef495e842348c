//! Authentication and authorization of calls.

use axum::http::StatusCode;
use jiff::Timestamp;

use crate::call::GraphCall;
use crate::crypto::proof;
use crate::error::{GraphError, invalid};
use crate::state::State;
use crate::token::Claims;

/// Returns the claims of the user token that a call carries.
pub(crate) fn authenticate(state: &State, call: &GraphCall, now: Timestamp) -> Result<Claims, GraphError> {
    let token = check_token(state, call)?;
    if state.is_app_token(token) {
        // An app token stands for no user.
        return Err(missing_token(call));
    }
    state.tokens.verify(&state.app.app_secret, token, now)
}

/// Rejects a call without a token, or without a proof of it where one is required. Does not check who owns the token.
pub(crate) fn check_token<'a>(state: &State, call: &'a GraphCall) -> Result<&'a str, GraphError> {
    let token = call.token.as_deref().ok_or_else(|| missing_token(call))?;
    check_proof(state, call)?;
    Ok(token)
}

/// Rejects a wrong `appsecret_proof`, and a missing one where it is required. The messages are those observed in
/// practice.
pub(crate) fn check_proof(state: &State, call: &GraphCall) -> Result<(), GraphError> {
    let token = call.token.as_deref().unwrap_or_default();
    match &call.proof {
        Some(given) if *given != proof(&state.app.app_secret, token) => {
            Err(invalid("Invalid appsecret_proof provided in the API argument").kind("GraphMethodException"))
        }
        None if state.require_proof => {
            let text = "API calls from the server require an appsecret_proof argument";
            Err(GraphError::new(100, text).kind("GraphMethodException"))
        }
        _ => Ok(()),
    }
}

fn missing_token(call: &GraphCall) -> GraphError {
    if call.segments.first().is_some_and(|first| first == "me") {
        let text = "An active access token must be used to query information about the current user.";
        return GraphError::new(2500, text);
    }
    GraphError::new(104, "An access token is required to request this resource.")
}

/// Rejects a token that may not call ad accounts.
pub(crate) fn check_permission(claims: &Claims, writes: bool) -> Result<(), GraphError> {
    if let Some(denial) = &claims.denial {
        return Err(denial.clone());
    }
    if claims.has("ads_management") || (!writes && claims.has("ads_read")) {
        return Ok(());
    }
    Err(GraphError::new(200, "(#200) Ad account owner has NOT grant ads_management or ads_read permission")
        .status(StatusCode::FORBIDDEN))
}
