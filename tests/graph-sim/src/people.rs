//! Actions that users take at Meta outside of the app: they join businesses, share accounts, withdraw permissions,
//! remove the app, and request the deletion of their data.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::business;
use crate::crypto::sign;
use crate::server::lock;
use crate::sim::GraphSim;
use crate::state::{APP_REMOVED_SUBCODE, State};
use crate::webhook::record_change;
use crate::world;

/// How long Meta waits for the response to a callback.
const CALLBACK_TIMEOUT: Duration = Duration::from_secs(10);

/// The app's callbacks for users who remove it (App settings, "Deauthorize callback URL" and "Data deletion request
/// URL").
#[derive(Default)]
pub(crate) struct Callbacks {
    deauthorize: Option<String>,
    deletion: Option<String>,
}

/// An ad account in addition to those every simulator has.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// With its prefix: `act_1`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// ISO code.
    pub currency: String,
    /// IANA name.
    pub timezone: String,
    /// The id of the business that owns it; `None` for a personal account.
    pub business: Option<String>,
    /// Whether it is assigned to the users who can reach it; otherwise it can be reached through a business only.
    pub assigned: bool,
}

/// An app's response to a callback.
#[derive(Clone, Debug, PartialEq)]
pub struct CallbackResponse {
    /// HTTP status.
    pub status: u16,
    /// The body, if it is JSON.
    pub body: Value,
}

impl GraphSim {
    /// Adds a business without members.
    pub fn add_business(&self, id: &str, name: &str) {
        lock(&self.state).world.businesses.added.insert(id.to_owned(), name.to_owned());
    }

    /// Adds an empty ad account.
    pub fn add_account(&self, new: &NewAccount) {
        let mut state = lock(&self.state);
        let digits = new.id.trim_start_matches("act_");
        let zone = TimeZone::get(&new.timezone).unwrap_or(TimeZone::UTC);
        let mut account = world::account(digits, &new.name, &new.currency, &new.timezone, zone);
        match &new.business {
            Some(id) => {
                let name = business::all(&state.world).into_iter().find(|known| known.id() == *id);
                let name = name.and_then(|known| known.value(&state.world, "name"));
                account.fields.insert("business".into(), json!({ "id": id, "name": name }));
            }
            None => drop(account.fields.remove("business")),
        }
        if !new.assigned {
            state.world.businesses.unassigned.insert(digits.to_owned());
        }
        state.world.accounts.push(account);
    }

    /// Changes fields of an ad account as Meta or its owner would: its status, why it is disabled, who pays. A null
    /// value removes the field.
    pub fn update_account(&self, id: &str, changes: Value) {
        let mut state = lock(&self.state);
        let digits = id.trim_start_matches("act_");
        let account = state.world.accounts.iter_mut().find(|account| account.digits == digits);
        let (Some(account), Value::Object(changes)) = (account, changes) else { return };
        for (name, value) in changes {
            match value {
                Value::Null => drop(account.fields.remove(&name)),
                value => drop(account.fields.insert(name, value)),
            }
        }
    }

    /// Shares an ad account with another business, whose `client_ad_accounts` it joins.
    pub fn share_account(&self, id: &str, business: &str) {
        lock(&self.state).world.businesses.share(id.trim_start_matches("act_"), business);
    }

    /// Creates a system user of a business and returns its id.
    pub fn create_system_user(&self, business: &str) -> String {
        business::create_system_user(&mut lock(&self.state).world, business)
    }

    /// Limits a user's tasks in an ad account: `MANAGE`, `ADVERTISE`, `ANALYZE`, `DRAFT`.
    pub fn set_tasks(&self, user: &str, account: &str, tasks: &[&str]) {
        let tasks = tasks.iter().map(|task| (*task).to_owned()).collect();
        let digits = account.trim_start_matches("act_");
        lock(&self.state).world.businesses.set_tasks(user, digits, tasks);
    }

    /// Withdraws a permission, as the user can in the settings.
    pub fn withdraw_permission(&self, user: &str, scope: &str) {
        let mut state = lock(&self.state);
        let now = state.now();
        state.tokens.withdraw(user, scope, now);
        let value = json!({ "uid": user, "verb": "revoke" });
        record_change(&mut state, "permissions", scope, value, now);
    }

    /// Expires a permission that was granted too long ago.
    pub fn expire_permission(&self, user: &str, scope: &str) {
        let mut state = lock(&self.state);
        let now = state.now();
        state.tokens.expire_permission(user, scope, now);
    }

    /// Sets the URL that is called when a user removes the app.
    pub fn set_deauthorize_url(&self, url: &str) {
        lock(&self.state).callbacks.deauthorize = Some(url.to_owned());
    }

    /// Sets the URL that is called when a user requests the deletion of their data.
    pub fn set_data_deletion_url(&self, url: &str) {
        lock(&self.state).callbacks.deletion = Some(url.to_owned());
    }

    /// Removes the app in a user's settings: its tokens become invalid and the app's callback is called. Returns `None`
    /// when there is no callback URL or it could not be reached.
    pub async fn remove_app(&self, user: &str) -> Option<CallbackResponse> {
        let (url, form, http) = {
            let mut state = lock(&self.state);
            let now = state.now();
            state.tokens.revoke(Some(user), APP_REMOVED_SUBCODE, now);
            let form = [("signed_request", sign_request(&state, user, now))];
            (state.callbacks.deauthorize.clone()?, form, state.http.clone())
        };
        post_callback(&http, &url, &form).await
    }

    /// Requests the deletion of the data of a user who removed the app.
    pub async fn request_deletion(&self, user: &str) -> Option<CallbackResponse> {
        let (url, form, http) = {
            let state = lock(&self.state);
            let form = [("signed_request", sign_request(&state, user, state.now()))];
            (state.callbacks.deletion.clone()?, form, state.http.clone())
        };
        post_callback(&http, &url, &form).await
    }

    /// Returns the `signed_request` that Meta would send for a user now.
    pub fn signed_request(&self, user: &str) -> String {
        let state = lock(&self.state);
        sign_request(&state, user, state.now())
    }
}

fn sign_request(state: &State, user: &str, now: Timestamp) -> String {
    let payload = json!({ "algorithm": "HMAC-SHA256", "issued_at": now.as_second(), "user_id": user });
    let payload = URL_SAFE_NO_PAD.encode(payload.to_string());
    // The signature covers the encoded text.
    format!("{}.{payload}", URL_SAFE_NO_PAD.encode(sign(&state.app.app_secret, &payload)))
}

async fn post_callback(
    http: &reqwest::Client,
    url: &str,
    form: &[(&str, String)],
) -> Option<CallbackResponse> {
    let response = http.post(url).form(form).timeout(CALLBACK_TIMEOUT).send().await;
    let response = match response {
        Ok(response) => response,
        Err(error) => {
            tracing::debug!(error = %error.without_url(), "A callback of the app did not respond.");
            return None;
        }
    };
    let status = response.status().as_u16();
    let body = response.bytes().await.ok()?;
    Some(CallbackResponse { status, body: serde_json::from_slice(&body).unwrap_or_default() })
}
