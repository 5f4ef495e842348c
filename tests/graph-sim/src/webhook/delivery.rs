//! Deliveries: changes are packed into deliveries, and a rejected delivery is retried, with growing delays, for 36
//! hours (Webhooks, "Getting started").

use std::mem;
use std::time::Duration;

use axum::http::Method;
use jiff::{SignedDuration, Timestamp};

use super::{Change, Webhooks, envelope, source};
use crate::fault::{Area, FaultKind, RequestInfo};
use crate::server::{SharedState, lock};
use crate::state::State;

/// Maximum number of changes in one delivery.
const MAX_CHANGES_PER_DELIVERY: usize = 1_000;
const MAX_RETRY_AGE: SignedDuration = SignedDuration::from_hours(36);
/// Minutes between attempts; the last value repeats. Meta documents only "immediately" and "with decreasing frequency".
const RETRY_DELAYS_MINUTES: [i64; 8] = [0, 1, 5, 15, 60, 120, 240, 480];
/// How long Meta waits for a response.
const CALLBACK_TIMEOUT: Duration = Duration::from_secs(10);

/// One delivery to be sent.
#[derive(Clone)]
pub(super) struct WebhookDelivery {
    url: String,
    body: String,
    signatures: [(&'static str, String); 2],
    first_attempt: Timestamp,
    due: Timestamp,
    attempts: usize,
}

/// The results of the deliveries that were due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryStats {
    /// Accepted with 200; a duplicate counts twice.
    pub accepted: u64,
    /// Not accepted.
    pub failed: u64,
    /// Dropped after 36 hours.
    pub dropped: u64,
    /// Deliveries that are sent later.
    pub pending: u64,
}

/// A delivery attempt with its injected fault.
struct Attempt {
    delivery: WebhookDelivery,
    fault: Option<FaultKind>,
}

/// Sends every due delivery.
pub(crate) async fn deliver_due(state: &SharedState) -> DeliveryStats {
    let mut stats = DeliveryStats::default();
    loop {
        let (http, attempts) = {
            let mut state = lock(state);
            (state.http.clone(), due_attempts(&mut state))
        };
        if attempts.is_empty() {
            break;
        }
        for Attempt { delivery, fault } in attempts {
            let times = if matches!(fault, Some(FaultKind::Duplicate)) { 2 } else { 1 };
            let mut accepted = false;
            for _ in 0..times {
                accepted = !matches!(fault, Some(FaultKind::LostRequest)) && send(&http, &delivery).await;
                stats.accepted += u64::from(accepted);
            }
            if !accepted {
                stats.failed += 1;
                let mut state = lock(state);
                let now = state.now();
                stats.dropped += u64::from(!state.webhooks.schedule_retry(delivery, now));
            }
        }
    }
    stats.pending = lock(state).webhooks.deliveries.len() as u64;
    stats
}

/// Returns the due deliveries in sending order.
fn due_attempts(state: &mut State) -> Vec<Attempt> {
    let now = state.now();
    source::collect_changes(state, now);
    let secret = state.app.app_secret.clone();
    state.webhooks.pack(&secret, now);
    let (due, later) =
        mem::take(&mut state.webhooks.deliveries).into_iter().partition(|delivery| delivery.due <= now);
    state.webhooks.deliveries = later;
    let due: Vec<WebhookDelivery> = due;
    let alone = due.len() == 1;
    let (mut attempts, mut out_of_order) = (Vec::new(), Vec::new());
    for mut delivery in due {
        let fault = state.faults.next(RequestInfo {
            method: &Method::POST,
            path: &delivery.url,
            area: Area::Webhook,
        });
        match fault {
            Some(FaultKind::OutOfOrder) if alone => {
                // No later delivery exists yet.
                delivery.due = now + SignedDuration::from_mins(1);
                state.webhooks.deliveries.push(delivery);
            }
            Some(FaultKind::OutOfOrder) => out_of_order.push(Attempt { delivery, fault: None }),
            fault => attempts.push(Attempt { delivery, fault }),
        }
    }
    attempts.extend(out_of_order);
    attempts
}

impl Webhooks {
    /// Packs the changes since the last call into deliveries.
    fn pack(&mut self, secret: &str, now: Timestamp) {
        let mut changes = mem::take(&mut self.changes);
        for (object, subscription) in &self.subscriptions {
            let (own, others): (Vec<Change>, _) =
                changes.into_iter().partition(|change| change.object == *object);
            changes = others;
            for changes in own.chunks(MAX_CHANGES_PER_DELIVERY) {
                let body = envelope::body(object, changes, subscription.include_values);
                let signatures = [
                    ("X-Hub-Signature", envelope::signature_1(secret, &body)),
                    ("X-Hub-Signature-256", envelope::signature_256(secret, &body)),
                ];
                let url = subscription.callback_url.clone();
                self.deliveries.push(WebhookDelivery {
                    url,
                    body,
                    signatures,
                    first_attempt: now,
                    due: now,
                    attempts: 0,
                });
            }
        }
    }

    /// Schedules a retry; returns false when the delivery is dropped.
    fn schedule_retry(&mut self, mut delivery: WebhookDelivery, now: Timestamp) -> bool {
        let delay = RETRY_DELAYS_MINUTES
            .get(delivery.attempts)
            .or(RETRY_DELAYS_MINUTES.last())
            .copied()
            .unwrap_or_default();
        delivery.attempts += 1;
        delivery.due = now + SignedDuration::from_mins(delay);
        if delivery.due > delivery.first_attempt + MAX_RETRY_AGE {
            tracing::warn!(url = delivery.url, "A webhook delivery was given up.");
            return false;
        }
        self.deliveries.push(delivery);
        true
    }
}

/// Returns whether the callback accepts a delivery.
async fn send(http: &reqwest::Client, delivery: &WebhookDelivery) -> bool {
    let mut request =
        http.post(&delivery.url).header("Content-Type", "application/json").timeout(CALLBACK_TIMEOUT);
    for (name, value) in &delivery.signatures {
        request = request.header(*name, value);
    }
    match request.body(delivery.body.clone()).send().await {
        Ok(response) => response.status() == reqwest::StatusCode::OK,
        Err(error) => {
            tracing::debug!(%error, "A webhook delivery did not arrive.");
            false
        }
    }
}
