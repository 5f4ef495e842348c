//! Deliveries: changes are packed into parcels, and a parcel that is not taken is brought again, ever less often, for
//! 36 hours (Webhooks, "Getting started").

use std::mem;
use std::time::Duration;

use axum::http::Method;
use jiff::{SignedDuration, Timestamp};

use super::{Change, Webhooks, envelope, source};
use crate::fault::{Area, FaultKind, Sight};
use crate::server::{SharedState, lock};
use crate::state::State;

/// Changes in one delivery.
const MOST_CHANGES: usize = 1_000;
const GIVEN_UP_AFTER: SignedDuration = SignedDuration::from_hours(36);
/// Minutes between the tries; the last goes on. Meta says no more than "immediately", and "with decreasing frequency".
const PAUSES: [i64; 8] = [0, 1, 5, 15, 60, 120, 240, 480];
/// How long Meta waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// One delivery on its way.
pub(super) struct Parcel {
    url: String,
    body: String,
    signatures: [(&'static str, String); 2],
    first_try: Timestamp,
    due: Timestamp,
    tries: usize,
}

/// What came of the deliveries that were due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deliveries {
    /// Taken with 200; one that was made twice counts twice.
    pub taken: u64,
    /// Not taken.
    pub failed: u64,
    /// Given up, after 36 hours.
    pub dropped: u64,
    /// Parcels that are to be brought later.
    pub waiting: u64,
}

/// A parcel, and what a fault makes of this try.
struct Errand {
    parcel: Parcel,
    fault: Option<FaultKind>,
}

/// Brings all that is due.
pub(crate) async fn deliver_due(state: &SharedState) -> Deliveries {
    let mut deliveries = Deliveries::default();
    loop {
        let (http, errands) = {
            let mut state = lock(state);
            (state.http.clone(), errands(&mut state))
        };
        if errands.is_empty() {
            break;
        }
        for Errand { parcel, fault } in errands {
            let times = if matches!(fault, Some(FaultKind::Duplicate)) { 2 } else { 1 };
            let mut taken = false;
            for _ in 0..times {
                taken = !matches!(fault, Some(FaultKind::LostCall)) && bring(&http, &parcel).await;
                deliveries.taken += u64::from(taken);
            }
            if !taken {
                deliveries.failed += 1;
                let mut state = lock(state);
                let now = state.now();
                deliveries.dropped += u64::from(!state.webhooks.put_back(parcel, now));
            }
        }
    }
    deliveries.waiting = lock(state).webhooks.parcels.len() as u64;
    deliveries
}

/// Takes what is due, in the order in which it goes out.
fn errands(state: &mut State) -> Vec<Errand> {
    let now = state.now();
    source::gather(state, now);
    let secret = state.app.app_secret.clone();
    state.webhooks.pack(&secret, now);
    let (due, later) =
        mem::take(&mut state.webhooks.parcels).into_iter().partition(|parcel| parcel.due <= now);
    state.webhooks.parcels = later;
    let due: Vec<Parcel> = due;
    let alone = due.len() == 1;
    let (mut errands, mut overtaken) = (Vec::new(), Vec::new());
    for mut parcel in due {
        let fault =
            state.faults.next(Sight { method: &Method::POST, path: &parcel.url, area: Area::Webhook });
        match fault {
            Some(FaultKind::Overtaken) if alone => {
                // There is nothing yet to be overtaken by.
                parcel.due = now + SignedDuration::from_mins(1);
                state.webhooks.parcels.push(parcel);
            }
            Some(FaultKind::Overtaken) => overtaken.push(Errand { parcel, fault: None }),
            fault => errands.push(Errand { parcel, fault }),
        }
    }
    errands.extend(overtaken);
    errands
}

impl Webhooks {
    /// Packs the changes that have come since.
    fn pack(&mut self, secret: &str, now: Timestamp) {
        let mut changes = mem::take(&mut self.changes);
        for (object, subscription) in &self.subscriptions {
            let (own, others): (Vec<Change>, _) =
                changes.into_iter().partition(|change| change.object == *object);
            changes = others;
            for changes in own.chunks(MOST_CHANGES) {
                let body = envelope::body(object, changes, subscription.include_values);
                let signatures = [
                    ("X-Hub-Signature", envelope::signature_1(secret, &body)),
                    ("X-Hub-Signature-256", envelope::signature_256(secret, &body)),
                ];
                let url = subscription.callback_url.clone();
                self.parcels.push(Parcel { url, body, signatures, first_try: now, due: now, tries: 0 });
            }
        }
    }

    /// Keeps a parcel for another try; false when it is given up.
    fn put_back(&mut self, mut parcel: Parcel, now: Timestamp) -> bool {
        let pause = PAUSES.get(parcel.tries).or(PAUSES.last()).copied().unwrap_or_default();
        parcel.tries += 1;
        parcel.due = now + SignedDuration::from_mins(pause);
        if parcel.due > parcel.first_try + GIVEN_UP_AFTER {
            tracing::warn!(url = parcel.url, "A webhook delivery was given up.");
            return false;
        }
        self.parcels.push(parcel);
        true
    }
}

/// Whether the callback takes a parcel.
async fn bring(http: &reqwest::Client, parcel: &Parcel) -> bool {
    let mut request = http.post(&parcel.url).header("Content-Type", "application/json").timeout(PATIENCE);
    for (name, value) in &parcel.signatures {
        request = request.header(*name, value);
    }
    match request.body(parcel.body.clone()).send().await {
        Ok(response) => response.status() == reqwest::StatusCode::OK,
        Err(error) => {
            tracing::debug!(%error, "A webhook delivery did not arrive.");
            false
        }
    }
}
