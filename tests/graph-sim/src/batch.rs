//! `POST /` with `batch`: up to fifty calls in one. Each item is handled like a separate call.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Method;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::auth;
use crate::call::{self, File, GraphCall};
use crate::error::{GraphError, invalid, required};
use crate::exchange::{self, GraphResponse, SendMode};
use crate::fault::Area;
use crate::json_path;
use crate::percent;
use crate::state::State;

const MAX_BATCH_ITEMS: usize = 50;

/// One call of a batch, as sent.
#[derive(Deserialize)]
struct Item {
    method: String,
    relative_url: String,
    /// URL-encoded form.
    #[serde(default)]
    body: String,
    name: Option<String>,
    depends_on: Option<String>,
    omit_response_on_success: Option<bool>,
    /// Comma-separated names of parts of the batch's multipart form.
    attached_files: Option<String>,
}

/// Runs a batch and returns its responses.
pub(crate) fn execute(state: &mut State, batch: &GraphCall, now: Timestamp) -> Result<Value, GraphError> {
    // The batch needs a token even when every item has its own.
    auth::check_token(state, batch)?;
    let text = batch.params.get("batch").ok_or_else(|| required("batch"))?;
    let items: Vec<Item> =
        serde_json::from_str(text).map_err(|_| invalid("Param batch must be a JSON array"))?;
    if items.len() > MAX_BATCH_ITEMS {
        // The message and the type are those Airbyte observed; the code is a guess.
        let text = "An error has occurred. No further information is available.";
        return Err(GraphError::new(1, text).kind("GraphBatchException"));
    }
    let with_headers =
        !matches!(batch.params.get("include_headers").map(String::as_str), Some("false" | "0"));
    let needed: BTreeSet<String> = items.iter().flat_map(Item::dependencies).collect();
    let mut run = BatchRun { batch, results: BTreeMap::new(), campaigns: BTreeSet::new() };
    let mut answers = Vec::with_capacity(items.len());
    for item in &items {
        let response = run.item(state, item, now);
        let omitted = item
            .omit_response_on_success
            .unwrap_or(item.name.as_ref().is_some_and(|name| needed.contains(name)));
        answers.push(match response {
            Some(response) if !(omitted && response.status.is_success()) => item_json(response, with_headers),
            _ => Value::Null,
        });
    }
    Ok(Value::Array(answers))
}

/// The state of a batch that later items need from earlier ones.
struct BatchRun<'a> {
    batch: &'a GraphCall,
    /// Response bodies of named items that succeeded.
    results: BTreeMap<String, Value>,
    /// Campaigns in which an earlier item created an ad set.
    campaigns: BTreeSet<String>,
}

impl BatchRun<'_> {
    /// Returns the response to an item; `None` when no response arrives.
    fn item(&mut self, state: &mut State, item: &Item, now: Timestamp) -> Option<GraphResponse> {
        // An item that depends on a failed or lost item is skipped. Meta documents this for lost items only and says
        // nothing about failed ones.
        if item.dependencies().iter().any(|name| !self.results.contains_key(name)) {
            return None;
        }
        let call = self.call(item);
        let method = call.as_ref().map_or(Method::GET, |call| call.method.clone());
        let path = format!("/{}", item.relative_url.trim_start_matches('/'));
        let response = exchange::respond(state, call, &method, &path, Area::BatchItem, now);
        if matches!(response.send_mode, SendMode::Abort | SendMode::Never) {
            return None;
        }
        if let (Some(name), true) = (&item.name, response.status.is_success()) {
            let body = serde_json::from_str(&response.body).unwrap_or_default();
            self.results.insert(name.clone(), body);
        }
        Some(response)
    }

    /// Builds the call that an item stands for.
    fn call(&mut self, item: &Item) -> Result<GraphCall, GraphError> {
        let (path, query) = item.relative_url.split_once('?').unwrap_or((&item.relative_url, ""));
        let (version, segments) = call::split_path(path);
        let named = call::has_version(path);
        let mut params = percent::pairs(query);
        params.extend(percent::pairs(&item.body));
        for value in params.values_mut() {
            *value = self.resolve_references(value)?;
        }
        let call = GraphCall {
            method: item
                .method
                .to_ascii_uppercase()
                .parse()
                .map_err(|_| invalid("An item's method is unknown"))?,
            version: if named { version } else { self.batch.version.clone() },
            segments: segments
                .iter()
                .map(|part| self.resolve_references(&percent::decode(part)))
                .collect::<Result<_, _>>()?,
            files: self.files(item),
            ..GraphCall::default()
        };
        let mut call = call.with_params(params);
        if call.token.is_none() || call.token == self.batch.token {
            call.token.clone_from(&self.batch.token);
            call.proof.clone_from(&self.batch.proof);
        }
        if call.segments.is_empty() {
            return Err(invalid("A batch cannot be an item of a batch"));
        }
        self.check_campaign(&call)?;
        Ok(call)
    }

    fn files(&self, item: &Item) -> BTreeMap<String, File> {
        let names = item.attached_files.iter().flat_map(|names| names.split(',')).map(str::trim);
        names.filter_map(|name| Some((name.to_owned(), self.batch.files.get(name)?.clone()))).collect()
    }

    /// Rejects a second ad set of the same campaign. Meta's documentation forbids several in one batch, but not how it
    /// rejects them.
    fn check_campaign(&mut self, call: &GraphCall) -> Result<(), GraphError> {
        let makes_ad_set =
            call.method == Method::POST && call.segments.get(1).is_some_and(|edge| edge == "adsets");
        match call.params.get("campaign_id").filter(|_| makes_ad_set) {
            Some(campaign) if !self.campaigns.insert(campaign.clone()) => {
                Err(invalid("A batch must not make several ad sets of one campaign"))
            }
            _ => Ok(()),
        }
    }

    /// Replaces every `{result=name:$.path}` in a text by that value in the named item's response.
    fn resolve_references(&self, text: &str) -> Result<String, GraphError> {
        let (mut filled, mut rest) = (String::new(), text);
        while let Some((before, name, path, after)) = reference(rest) {
            let result = self.results.get(name).unwrap_or(&Value::Null);
            let found = json_path::find(result, path)
                .ok_or_else(|| invalid(format_args!("Nothing stands at {path} in the result of {name}")))?;
            filled.push_str(before);
            filled.push_str(&found);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

impl Item {
    /// Returns the names of the items that must have succeeded before this one.
    fn dependencies(&self) -> Vec<String> {
        let texts = [&self.relative_url, &self.body].map(|text| percent::decode(text));
        let mut dependencies: Vec<String> = self.depends_on.iter().cloned().collect();
        for text in &texts {
            let mut rest = text.as_str();
            while let Some((_, name, _, after)) = reference(rest) {
                dependencies.push(name.to_owned());
                rest = after;
            }
        }
        dependencies
    }
}

/// Splits a text at its first `{result=name:path}`: the text before it, the name, the path and the text after it.
fn reference(text: &str) -> Option<(&str, &str, &str, &str)> {
    let (before, inner) = text.split_once("{result=")?;
    let (inner, after) = inner.split_once('}')?;
    let (name, path) = inner.split_once(':')?;
    Some((before, name, path, after))
}

fn item_json(response: GraphResponse, with_headers: bool) -> Value {
    let mut item = json!({ "code": response.status.as_u16(), "body": response.body });
    if with_headers {
        let kind = ("Content-Type".to_owned(), response.content_type.to_owned());
        // Of two headers with the same name, the later one is sent.
        let headers: BTreeMap<String, String> = [kind].into_iter().chain(response.headers).collect();
        item["headers"] =
            headers.into_iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    }
    item
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_in_url_and_body() {
        let item: Item = serde_json::from_value(json!({
            "method": "POST",
            "relative_url": "{result=a:$.id}/ads?x={result=b:$.data.*.id}",
            "body": "adset_id=%7Bresult%3Dc%3A%24.id%7D",
            "depends_on": "d",
        }))
        .unwrap();
        assert_eq!(item.dependencies(), ["d", "a", "b", "c"]);
        assert_eq!(reference("1{result=a:$.id}2"), Some(("1", "a", "$.id", "2")));
        assert_eq!(reference("{result=a}"), None);
    }
}
