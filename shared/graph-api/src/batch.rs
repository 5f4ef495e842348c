//! Several calls in one (Graph API, "Batch requests").
//!
//! A batch saves round trips, not quota: each of its items counts as a call. Items fail alone. An item without an
//! answer is null, and a write among them may have happened all the same.

use std::collections::HashSet;

use ads::id::ObjectId;
use ads::object::{AdObject, Level};
use bytes::Bytes;
use reqwest::Method;
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::allowance::Paid;
use crate::answer::{Answer, confirmed, decode};
use crate::call::{Call, Effect, use_case};
use crate::client::{Caller, pauses};
use crate::error::{Asked, Details, GraphError};
use crate::structure::{GraphObject, fields};
use crate::usage::{Usage, UseCase};

/// A call takes no more items.
const MOST: usize = 50;

/// Meta advises to create no more ads in one batch.
const MOST_ADS: usize = 10;

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

    /// Creates. Sent once.
    pub fn create(path: impl Into<String>, params: Vec<(&'static str, String)>) -> Self {
        Self { method: Method::POST, path: path.into(), params, effect: Effect::Create }
    }

    /// Sets values of an object; the same call twice is the same as once.
    pub fn update(path: impl Into<String>, params: Vec<(&'static str, String)>) -> Self {
        Self { method: Method::POST, path: path.into(), params, effect: Effect::Set }
    }

    /// Deletes an object. One that is gone already counts as deleted.
    pub fn delete(path: impl Into<String>) -> Self {
        Self { method: Method::DELETE, path: path.into(), params: Vec::new(), effect: Effect::Set }
    }

    fn asked(&self) -> Asked {
        Asked { creates: self.effect == Effect::Create, case: use_case(&self.path) }
    }

    /// As Graph wants it: the parameters of a POST in a body of its own, all others in the URL.
    fn written(&self, version: &str) -> Sent<'_> {
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
        Sent { method: self.method.as_str(), relative_url, body }
    }

    /// What came back for this item.
    fn read(&self, received: Option<Received>) -> (Option<Usage>, Result<Bytes, GraphError>) {
        let Some(Received { code, headers, body }) = received else {
            return (None, Err(self.unanswered()));
        };
        let said = |name: &str| headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        let usage = Usage::read(|name| Some(said(name)?.value.as_str()));
        let body = Bytes::from(body.unwrap_or_default());
        Answer { status: code, usage, body }.judge(self.asked())
    }

    fn unanswered(&self) -> GraphError {
        GraphError::passing(Details::of("Meta left this item of a batch without an answer"), self.asked())
    }

    /// What the failure of a whole batch, which may have created something, means for this item.
    fn share_of(&self, error: &GraphError) -> GraphError {
        match error {
            GraphError::UnknownOutcome(details) => GraphError::passing(details.clone(), self.asked()),
            error => error.clone(),
        }
    }

    /// The end of a call of this kind, as if it had been made alone.
    fn end(&self, answer: Result<Bytes, GraphError>) -> Result<Bytes, GraphError> {
        match answer {
            Ok(body) if self.effect == Effect::Set => confirmed(&body).map(|()| body),
            Err(GraphError::Gone(_)) if self.method == Method::DELETE => Ok(Bytes::from_static(b"{}")),
            answer => answer,
        }
    }

    /// Whether it may be sent again after this answer.
    fn may_be_repeated(&self, answer: &Result<Bytes, GraphError>) -> bool {
        self.effect != Effect::Create && answer.as_ref().is_err_and(GraphError::may_pass)
    }

    /// The campaign in which it creates something.
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
struct Sent<'a> {
    method: &'a str,
    relative_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

#[derive(Deserialize)]
struct Received {
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

/// A batch that fails as a whole may have had any effect of its items.
const WHOLE: Asked = Asked { creates: true, case: UseCase::AdsManagement };

impl Caller {
    /// Makes calls, up to fifty at a time, and gives their answers in the order of the items. Each is judged as if
    /// it had been called alone: what may pass is sent again, what creates is sent once.
    ///
    /// The items are independent: they may be carried out in any order. What the allowance does not cover is not
    /// sent, and waits ([`GraphError::Wait`]).
    pub async fn batch<T: DeserializeOwned>(&self, items: &[Item]) -> Vec<Result<T, GraphError>> {
        let mut answers: Vec<_> = items.iter().map(|item| Err(item.unanswered())).collect();
        let mut pauses = pauses();
        let mut open: Vec<usize> = (0..items.len()).collect();
        while !open.is_empty() {
            let mut again = Vec::new();
            while !open.is_empty() {
                let portion = portion(items, &mut open);
                let sent: Vec<&Item> = portion.iter().filter_map(|index| items.get(*index)).collect();
                let received = self.send_batch(&sent).await;
                for ((index, item), answer) in portion.into_iter().zip(sent).zip(received) {
                    if item.may_be_repeated(&answer) {
                        again.push(index);
                    }
                    answers[index] = answer;
                }
            }
            match pauses.next() {
                Some(pause) if !again.is_empty() && self.pause(pause).await => open = again,
                _ => {}
            }
        }
        answers.into_iter().map(|answer| decode(&answer?)).collect()
    }

    /// Objects of a level as they stand now, each as [`Caller::object`] would show it.
    pub async fn objects_by_id(
        &self,
        level: Level,
        ids: &[ObjectId],
    ) -> Vec<(ObjectId, Result<AdObject, GraphError>)> {
        let read = |id: &ObjectId| Item::get(id.as_str(), vec![("fields", fields(level).to_owned())]);
        let items: Vec<_> = ids.iter().map(read).collect();
        let answers = self.batch::<GraphObject>(&items).await;
        let objects = answers.into_iter().map(|answer| answer.map(|object| object.into_object(level)));
        ids.iter().cloned().zip(objects).collect()
    }

    /// Sends once, as far as it can be paid for.
    async fn send_batch(&self, items: &[&Item]) -> Vec<Result<Bytes, GraphError>> {
        let pay = |item: &&Item| self.graph().admit().and_then(|()| self.pay(item.effect.points()));
        let paid: Vec<_> = items.iter().map(pay).collect();
        let sent: Vec<&Item> =
            items.iter().zip(&paid).filter_map(|(item, paid)| paid.is_ok().then_some(*item)).collect();
        let mut answers = self.answers(&sent).await.into_iter();
        let heard = |(item, paid): (&&Item, Result<Option<Paid>, GraphError>)| {
            let paid = paid?;
            let (usage, answer) = answers.next().unwrap_or_else(|| (None, Err(item.unanswered())));
            self.hear(paid.as_ref(), usage.as_ref(), answer.as_ref().err());
            item.end(answer)
        };
        items.iter().zip(paid).map(heard).collect()
    }

    /// What each item was answered, and what that says of quotas.
    async fn answers(&self, items: &[&Item]) -> Vec<(Option<Usage>, Result<Bytes, GraphError>)> {
        if items.is_empty() {
            return Vec::new();
        }
        match self.exchange_items(items).await {
            Ok(received) => {
                let mut received = received.into_iter();
                items.iter().map(|item| item.read(received.next().flatten())).collect()
            }
            Err(error) => items.iter().map(|item| (None, Err(item.share_of(&error)))).collect(),
        }
    }

    /// One exchange over HTTP. A batch demands the token as a parameter; it stands in the form, not in the URL.
    async fn exchange_items(&self, items: &[&Item]) -> Result<Vec<Option<Received>>, GraphError> {
        let version = &self.graph().config().version;
        let sent: Vec<_> = items.iter().map(|item| item.written(version)).collect();
        let batch = json!(sent).to_string();
        let params = [
            ("batch", batch.as_str()),
            ("include_headers", "true"),
            ("access_token", self.token().expose_secret()),
        ];
        let call =
            Call { method: Method::POST, path: "", params: &params, file: None, effect: Effect::Create };
        let answer = self.exchange(&call).await.map_err(|error| GraphError::of_transport(error, WHOLE))?;
        decode(&answer.judge(WHOLE).1?)
    }
}

/// Takes what goes into the next batch: never two ad sets of one campaign, which Meta forbids.
fn portion(items: &[Item], open: &mut Vec<usize>) -> Vec<usize> {
    let (mut taken, mut left) = (Vec::new(), Vec::new());
    let (mut campaigns, mut ads) = (HashSet::new(), 0);
    for index in open.drain(..) {
        let Some(item) = items.get(index) else { continue };
        let fits = taken.len() < MOST
            && (!item.creates_ad() || ads < MOST_ADS)
            && item.campaign().is_none_or(|campaign| !campaigns.contains(campaign));
        if !fits {
            left.push(index);
            continue;
        }
        ads += usize::from(item.creates_ad());
        campaigns.extend(item.campaign());
        taken.push(index);
    }
    *open = left;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(items: &[Item]) -> Vec<usize> {
        let mut open: Vec<usize> = (0..items.len()).collect();
        let mut sizes = Vec::new();
        while !open.is_empty() {
            sizes.push(portion(items, &mut open).len());
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
        let written = |item: Item| json!(item.written("v26.0"));
        let post = json!({"method": "POST", "relative_url": "v26.0/7", "body": "name=a+b%26c"});
        let get = json!({"method": "GET", "relative_url": "v26.0/7?name=a+b%26c"});
        assert_eq!(written(Item::update("7", params())), post);
        assert_eq!(written(Item::get("7", params())), get);
        assert_eq!(written(Item::delete("7")), json!({"method": "DELETE", "relative_url": "v26.0/7"}));
    }
}
