//! Batches: several calls in one HTTP request (Graph API, "Batch requests").
//!
//! A batch saves round trips, not quota: each of its items counts as a call. Items fail independently. An item without
//! a response is null; if it is a write, it may have taken effect.

use std::collections::HashSet;

use bytes::Bytes;
use domain::entity::{Entity, Level};
use domain::id::EntityId;
use reqwest::Method;
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use crate::call::{Call, Effect, use_case};
use crate::client::{Graph, UserClient, retry_delays};
use crate::entities::{GraphEntity, fields_of_one};
use crate::error::{CallKind, Details, GraphError};
use crate::quota_lease::Charge;
use crate::response::{Response, check_success, decode, decode_partly};
use crate::usage::{Usage, UseCase};

/// Meta's maximum number of items per batch.
const MAX_ITEMS_PER_BATCH: usize = 50;

/// The maximum number of ads that Meta advises to create in one batch.
const MAX_ADS_PER_BATCH: usize = 10;

/// One call of a batch.
#[derive(Debug, Clone)]
pub struct Item {
    method: Method,
    path: String,
    params: Vec<(&'static str, String)>,
    effect: Effect,
}

impl Item {
    /// Reads a node, or one page of an edge.
    pub fn get(path: impl Into<String>, params: Vec<(&'static str, String)>) -> Self {
        Self { method: Method::GET, path: path.into(), params, effect: Effect::Read }
    }

    /// Creates an object. Sent once.
    pub fn create(path: impl Into<String>, params: Vec<(&'static str, String)>) -> Self {
        Self { method: Method::POST, path: path.into(), params, effect: Effect::Create }
    }

    /// Sets values of an object. Idempotent, so it is retried.
    pub fn update(path: impl Into<String>, params: Vec<(&'static str, String)>) -> Self {
        Self { method: Method::POST, path: path.into(), params, effect: Effect::Set }
    }

    /// Deletes an object. An object that is already gone counts as deleted.
    pub fn delete(path: impl Into<String>) -> Self {
        Self { method: Method::DELETE, path: path.into(), params: Vec::new(), effect: Effect::Set }
    }

    fn kind(&self) -> CallKind {
        CallKind { creates: self.effect == Effect::Create, case: use_case(&self.path) }
    }

    /// Converts the item to Graph's form: the parameters of a POST in a body, all others in the URL.
    fn to_request(&self, version: &str) -> ItemRequest<'_> {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.params).finish();
        let mut relative_url = format!("{version}/{}", self.path);
        let body = match self.method {
            Method::POST => Some(form),
            _ if form.is_empty() => None,
            _ => {
                relative_url = format!("{relative_url}?{form}");
                None
            }
        };
        ItemRequest { method: self.method.as_str(), relative_url, body }
    }

    /// Returns the usage and the result of this item.
    fn parse(
        &self,
        graph: &Graph,
        received: Option<ItemResponse>,
    ) -> (Option<Usage>, Result<Bytes, GraphError>) {
        let Some(ItemResponse { code, headers, body }) = received else {
            return (None, Err(self.missing_response()));
        };
        let find_header = |name: &str| {
            let found = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
            found.map(|header| header.value.as_str())
        };
        graph.check_version(&self.path, find_header);
        let usage = Usage::read(find_header);
        let body = Bytes::from(body.unwrap_or_default());
        Response { status: code, usage, body }.check(self.kind())
    }

    fn missing_response(&self) -> GraphError {
        GraphError::unconfirmed(Details::of("Meta left this item of a batch without an answer"), self.kind())
    }

    /// Converts the error of a whole batch, which may have created something, to the error of this item.
    fn map_batch_error(&self, error: &GraphError) -> GraphError {
        match error {
            GraphError::Indeterminate(details) => GraphError::unconfirmed(details.clone(), self.kind()),
            error => error.clone(),
        }
    }

    /// Completes the item as if it were a single call: an update must not be denied, and a deleted object may be
    /// missing.
    fn finish(&self, answer: Result<Bytes, GraphError>) -> Result<Bytes, GraphError> {
        match answer {
            Ok(body) if self.effect == Effect::Set => check_success(&body).map(|()| body),
            Err(GraphError::NotFound(_)) if self.method == Method::DELETE => Ok(Bytes::from_static(b"{}")),
            answer => answer,
        }
    }

    /// Returns whether the item may be sent again after this response.
    fn should_retry(&self, answer: &Result<Bytes, GraphError>) -> bool {
        self.effect != Effect::Create && answer.as_ref().is_err_and(GraphError::is_retryable)
    }

    /// Returns the campaign in which the item creates an object.
    fn campaign(&self) -> Option<&str> {
        let creates = self.effect == Effect::Create;
        let campaign = self.params.iter().find(|(name, _)| creates && *name == "campaign_id");
        campaign.map(|(_, campaign)| campaign.as_str())
    }

    fn creates_ad(&self) -> bool {
        self.effect == Effect::Create && self.path.ends_with("/ads")
    }
}

#[derive(Serialize)]
struct ItemRequest<'a> {
    method: &'a str,
    relative_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

#[derive(Deserialize)]
struct ItemResponse {
    code: u16,
    #[serde(default)]
    headers: Vec<Header>,
    body: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    name: String,
    value: String,
}

/// The kind of a whole batch: when it fails, any of its items may have taken effect.
const WHOLE_BATCH: CallKind = CallKind { creates: true, case: UseCase::AdsManagement };

impl UserClient {
    /// Makes calls, up to fifty per batch, and returns their results in the order of the items. Each item is handled as
    /// a single call: reads and updates are retried after retryable errors, creations are sent once.
    ///
    /// The items are independent and may run in any order. Those that the quota lease does not cover follow with the next
    /// one; without another lease they are not sent and fail with [`GraphError::RateLimited`].
    pub async fn batch<T: DeserializeOwned>(&self, items: &[Item]) -> Vec<Result<T, GraphError>> {
        let mut answers: Vec<_> = items.iter().map(|item| Err(item.missing_response())).collect();
        let mut unsure: Vec<Option<GraphError>> = vec![None; items.len()];
        let mut delays = retry_delays();
        let mut pending: Vec<usize> = (0..items.len()).collect();
        while !pending.is_empty() {
            let mut retries = Vec::new();
            while !pending.is_empty() {
                let batch = next_batch(items, &mut pending);
                let sent: Vec<&Item> = batch.iter().filter_map(|index| items.get(*index)).collect();
                let received = self.send_batch(&sent).await;
                let mut uncovered = Vec::new();
                for ((index, item), answer) in batch.into_iter().zip(sent).zip(received) {
                    let Some(answer) = answer else {
                        uncovered.push(index);
                        continue;
                    };
                    let earlier = unsure[index].take();
                    if item.should_retry(&answer) {
                        retries.push(index);
                        unsure[index] =
                            answer.as_ref().err().filter(|_| item.effect != Effect::Read).cloned();
                    }
                    answers[index] = answer.map_err(|error| error.after(earlier));
                }
                pending.splice(..0, uncovered);
            }
            match delays.next() {
                Some(pause) if !retries.is_empty() && self.pause(pause).await => pending = retries,
                _ => {}
            }
        }
        answers.into_iter().map(|answer| decode(&answer?)).collect()
    }

    /// Reads the current state of objects of a level, each as [`UserClient::entity`] does.
    pub async fn entities_by_id(
        &self,
        level: Level,
        ids: &[EntityId],
    ) -> Vec<(EntityId, Result<Entity, GraphError>)> {
        let read =
            |id: &EntityId| Item::get(id.as_str(), vec![("fields", fields_of_one(level).into_owned())]);
        let items: Vec<_> = ids.iter().map(read).collect();
        let answers = self.batch::<Box<RawValue>>(&items).await;
        let objects = answers
            .into_iter()
            .map(|answer| Ok(decode_partly::<GraphEntity>(answer?.get().as_bytes())?.into_entity(level)));
        ids.iter().cloned().zip(objects).collect()
    }

    /// Sends items once. `None` for those that the quota lease does not cover beside the others.
    async fn send_batch(&self, items: &[&Item]) -> Vec<Option<Result<Bytes, GraphError>>> {
        self.renew_lease().await;
        let charge_item =
            |item: &&Item| self.graph().check_not_blocked().and_then(|()| self.charge(item.effect.points()));
        let charges: Vec<_> = items.iter().map(charge_item).collect();
        let sent: Vec<&Item> =
            items.iter().zip(&charges).filter_map(|(item, charge)| charge.is_ok().then_some(*item)).collect();
        let covers_some = !sent.is_empty();
        let mut responses = self.responses(&sent).await.into_iter();
        let record = |(item, charge): (&&Item, Result<Option<Charge>, GraphError>)| {
            let charge = match charge {
                Err(GraphError::RateLimited { .. }) if covers_some => return None,
                Err(error) => return Some(Err(error)),
                Ok(charge) => charge,
            };
            let (usage, answer) = responses.next().unwrap_or_else(|| (None, Err(item.missing_response())));
            self.record_usage(charge.as_ref(), usage.as_ref(), answer.as_ref().err());
            Some(item.finish(answer))
        };
        items.iter().zip(charges).map(record).collect()
    }

    /// Returns the usage and the result of each item.
    async fn responses(&self, items: &[&Item]) -> Vec<(Option<Usage>, Result<Bytes, GraphError>)> {
        if items.is_empty() {
            return Vec::new();
        }
        match self.exchange_items(items).await {
            Ok(received) => {
                let mut received = received.into_iter();
                items.iter().map(|item| item.parse(self.graph(), received.next().flatten())).collect()
            }
            Err(error) => items.iter().map(|item| (None, Err(item.map_batch_error(&error)))).collect(),
        }
    }

    /// Makes one HTTP exchange. A batch requires the token as a parameter; it is sent in the form, not in the URL.
    async fn exchange_items(&self, items: &[&Item]) -> Result<Vec<Option<ItemResponse>>, GraphError> {
        let version = &self.graph().config().version;
        let sent: Vec<_> = items.iter().map(|item| item.to_request(version)).collect();
        let batch = json!(sent).to_string();
        let params = [
            ("batch", batch.as_str()),
            ("include_headers", "true"),
            ("access_token", self.token().expose_secret()),
        ];
        let call =
            Call { method: Method::POST, path: "", params: &params, file: None, effect: Effect::Create };
        let response =
            self.exchange(&call).await.map_err(|error| GraphError::from_transport(error, WHOLE_BATCH))?;
        decode(&response.check(WHOLE_BATCH).1?)
    }
}

/// Takes the items of the next batch from `pending`. Meta forbids two ad sets of one campaign in one batch.
fn next_batch(items: &[Item], pending: &mut Vec<usize>) -> Vec<usize> {
    let (mut taken, mut left) = (Vec::new(), Vec::new());
    let (mut campaigns, mut ads) = (HashSet::new(), 0);
    for index in pending.drain(..) {
        let Some(item) = items.get(index) else { continue };
        let fits = taken.len() < MAX_ITEMS_PER_BATCH
            && (!item.creates_ad() || ads < MAX_ADS_PER_BATCH)
            && item.campaign().is_none_or(|campaign| !campaigns.contains(campaign));
        if !fits {
            left.push(index);
            continue;
        }
        ads += usize::from(item.creates_ad());
        campaigns.extend(item.campaign());
        taken.push(index);
    }
    *pending = left;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(items: &[Item]) -> Vec<usize> {
        let mut pending: Vec<usize> = (0..items.len()).collect();
        let mut sizes = Vec::new();
        while !pending.is_empty() {
            sizes.push(next_batch(items, &mut pending).len());
        }
        sizes
    }

    #[test]
    fn a_batch_holds_fifty_calls_ten_new_ads_and_one_ad_set_of_a_campaign() {
        let read = Item::get("1", Vec::new());
        let ad = Item::create("act_1/ads", Vec::new());
        let ad_set =
            |campaign: &str| Item::create("act_1/adsets", vec![("campaign_id", campaign.to_owned())]);
        assert_eq!(sizes(&vec![read; 101]), [50, 50, 1]);
        assert_eq!(sizes(&vec![ad; 21]), [10, 10, 1]);
        assert_eq!(sizes(&["1", "2", "1", "3", "1"].map(ad_set)), [3, 1, 1]);
    }

    #[test]
    fn parameters_stand_where_their_method_has_them() {
        let params = || vec![("name", "a b&c".to_owned())];
        let written = |item: Item| json!(item.to_request("v26.0"));
        let post = json!({"method": "POST", "relative_url": "v26.0/7", "body": "name=a+b%26c"});
        let get = json!({"method": "GET", "relative_url": "v26.0/7?name=a+b%26c"});
        assert_eq!(written(Item::update("7", params())), post);
        assert_eq!(written(Item::get("7", params())), get);
        assert_eq!(written(Item::delete("7")), json!({"method": "DELETE", "relative_url": "v26.0/7"}));
    }
}
