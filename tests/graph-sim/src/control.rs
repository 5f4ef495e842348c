//! What people and reviewers at Meta do, for programs outside of this process: `POST /simulator/{act}`.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::login::LOGIN_USER_ID;
use crate::processing::ReviewDecision;
use crate::state::State;
use crate::token::{TokenLifetime, TokenOwner};

/// The subcode of tokens that end because the person changed the password.
const PASSWORD_CHANGED_SUBCODE: u32 = 460;

/// Handles an act:
///
/// - `review` ends the review of the ad `ad`, which is disapproved where a `reason` is given;
/// - `change-password` ends every token of the person of the login dialog;
/// - `token` answers a token of that person, for other clients of the simulated Graph API.
pub(crate) fn handle(
    state: &mut State,
    act: &str,
    mut params: BTreeMap<String, String>,
) -> (StatusCode, Value) {
    let now = state.now();
    match act {
        "review" => {
            let decision = match params.remove("reason") {
                Some(reason) => ReviewDecision::Disapproved(reason),
                None => ReviewDecision::Approved,
            };
            let ad = params.remove("ad").unwrap_or_default();
            if !state.world.nodes.contains_key(&ad) {
                return (StatusCode::NOT_FOUND, json!({"error": "there is no such ad"}));
            }
            state.world.finish_review(&ad, Some(decision));
            (StatusCode::OK, json!({"success": true}))
        }
        "change-password" => {
            state.tokens.revoke(Some(LOGIN_USER_ID), PASSWORD_CHANGED_SUBCODE, now);
            (StatusCode::OK, json!({"success": true}))
        }
        "token" => {
            let scopes = ["ads_read", "ads_management"].map(str::to_owned);
            let owner = TokenOwner::new(LOGIN_USER_ID, &scopes, false);
            let token = state.tokens.issue(&state.app.app_secret, owner, TokenLifetime::Long, now);
            (StatusCode::OK, json!({"access_token": token}))
        }
        _ => (StatusCode::NOT_FOUND, json!({"error": "there is no such act"})),
    }
}
