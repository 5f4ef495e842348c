//! `/oauth/access_token` and `/debug_token`.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::call::GraphCall;
use crate::error::{GraphError, invalid};
use crate::login::LOGIN_USER_ID;
use crate::params::Params;
use crate::state::State;
use crate::token::{Claims, TokenLifetime, TokenOwner};

/// The id of the system user that a Login for Business configuration creates.
const SYSTEM_USER_ID: &str = "122100000000000043";

/// Exchanges a code or a token for a new token.
pub(crate) fn access_token(state: &mut State, call: &GraphCall, now: Timestamp) -> Result<Value, GraphError> {
    let params = Params(&call.params);
    let client_id = oauth_param(params, "client_id")?;
    if client_id != state.app.app_id {
        return Err(GraphError::new(
            101,
            "Error validating application. Cannot get application info due to a system error.",
        ));
    }
    if oauth_param(params, "client_secret")? != state.app.app_secret {
        return Err(GraphError::new(1, "Error validating client secret."));
    }
    let secret = state.app.app_secret.clone();
    let (token, life) = match params.text("grant_type") {
        Some("client_credentials") => {
            let token = format!("{}|{secret}", state.app.app_id);
            return Ok(json!({ "access_token": token, "token_type": "bearer" }));
        }
        Some("fb_exchange_token") => {
            let old = state.tokens.verify(&secret, oauth_param(params, "fb_exchange_token")?, now)?;
            let owner = TokenOwner {
                selected_accounts: old.selected_accounts.as_ref(),
                // An exchanged token does not renew the user's consent.
                consented_at: Some(old.consented_at),
                ..TokenOwner::new(&old.user, &old.scopes, old.system)
            };
            // Only a system user's token can be non-expiring, and only until it is exchanged for one that expires.
            let sixty_days = params.text("set_token_expires_in_60_days") == Some("true");
            let life = if old.kind == TokenLifetime::NonExpiring && !sixty_days {
                TokenLifetime::NonExpiring
            } else {
                TokenLifetime::Long
            };
            (state.tokens.issue(&secret, owner, life, now), life)
        }
        Some("authorization_code") | None => {
            let redirect_uri = oauth_param(params, "redirect_uri")?;
            let grant = state.codes.redeem(oauth_param(params, "code")?, redirect_uri, now)?;
            let life = if grant.system { TokenLifetime::NonExpiring } else { TokenLifetime::Short };
            let user = if grant.system { SYSTEM_USER_ID } else { LOGIN_USER_ID };
            let owner = TokenOwner {
                selected_accounts: grant.selected_accounts.as_ref(),
                ..TokenOwner::new(user, &grant.scopes, grant.system)
            };
            let token = state.tokens.issue(&secret, owner, life, now);
            for scope in &grant.declined {
                state.tokens.withdraw(user, scope, now);
            }
            (token, life)
        }
        Some(_) => return Err(invalid("Param grant_type must be fb_exchange_token or client_credentials")),
    };
    let mut response = json!({ "access_token": token, "token_type": "bearer" });
    if let Some(seconds) = life.seconds() {
        response["expires_in"] = json!(seconds);
    }
    Ok(response)
}

fn oauth_param<'a>(params: Params<'a>, name: &str) -> Result<&'a str, GraphError> {
    params
        .text(name)
        .filter(|text| !text.is_empty())
        .ok_or_else(|| GraphError::new(101, format!("Missing {name} parameter.")))
}

/// Returns a scope with the assets it is limited to.
fn granular(scope: &str, claims: &Claims) -> Value {
    match &claims.accounts {
        Some(accounts) if scope.starts_with("ads_") => json!({ "scope": scope, "target_ids": accounts }),
        _ => json!({ "scope": scope }),
    }
}

/// Returns the details of a token, valid or not. Only the app itself may ask.
pub(crate) fn debug_token(state: &State, call: &GraphCall, now: Timestamp) -> Result<Value, GraphError> {
    if !call.token.as_deref().is_some_and(|token| state.is_app_token(token)) {
        return Err(invalid(
            "You must provide an app access token, or a user access token that is an owner or developer of the app",
        ));
    }
    let token = Params(&call.params).required("input_token")?;
    let app_id = &state.app.app_id;
    if state.is_app_token(token) {
        return Ok(json!({ "data": {
            "app_id": app_id, "type": "APP", "application": "Adflight", "is_valid": true, "scopes": [],
        } }));
    }
    let error = state.tokens.verify(&state.app.app_secret, token, now).err();
    let mut data = json!({ "is_valid": error.is_none(), "scopes": [] });
    if let Some(claims) = state.tokens.inspect(&state.app.app_secret, token) {
        data["app_id"] = json!(claims.app.as_ref().unwrap_or(app_id));
        data["type"] = json!(if claims.system { "SYSTEM_USER" } else { "USER" });
        data["application"] = json!("Adflight");
        data["issued_at"] = json!(claims.issued_at);
        data["expires_at"] = json!(claims.expires_at);
        data["data_access_expires_at"] = json!(claims.data_access_expires_at());
        data["scopes"] = json!(claims.scopes);
        data["granular_scopes"] = claims.scopes.iter().map(|scope| granular(scope, &claims)).collect();
        data["user_id"] = json!(claims.user);
    }
    if let Some(error) = error {
        data["error"] = json!({ "code": error.code, "message": error.message });
        if let Some(subcode) = error.subcode {
            data["error"]["subcode"] = json!(subcode);
        }
    }
    Ok(json!({ "data": data }))
}
