//! Pages: `limit`, opaque cursors and the links to the neighbouring pages.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::error::{GraphError, invalid};
use crate::percent;

const DEFAULT_LIMIT: usize = 25;

/// Which part of a listing a caller asks for.
#[derive(Debug, PartialEq)]
pub(crate) struct Window {
    pub(crate) limit: usize,
    pub(crate) from: From,
}

/// Where a page begins. The numbers are places of elements, ascending within the listing.
#[derive(Debug, PartialEq)]
pub(crate) enum From {
    Start,
    After(i64),
    Before(i64),
}

impl Window {
    /// Reads `limit`, `after` and `before`.
    pub(crate) fn read(params: &BTreeMap<String, String>, max: usize) -> Result<Self, GraphError> {
        let limit = match params.get("limit") {
            None => DEFAULT_LIMIT,
            Some(text) => match text.parse::<usize>() {
                Ok(limit) if (1..=max).contains(&limit) => limit,
                _ => return Err(invalid(format!("Param limit must be a number from 1 to {max}"))),
            },
        };
        let given = |name: &str| params.get(name).filter(|text| !text.is_empty());
        let from = match (given("after"), given("before")) {
            (Some(cursor), _) => From::After(decode(cursor)?),
            (None, Some(cursor)) => From::Before(decode(cursor)?),
            (None, None) => From::Start,
        };
        Ok(Self { limit, from })
    }

    /// The range of a listing whose elements' places are given, as indexes.
    pub(crate) fn cut(&self, count: usize, place: impl Fn(usize) -> i64) -> std::ops::Range<usize> {
        // The number of elements for which the predicate holds; they stand first, because places ascend.
        let first = |holds: &dyn Fn(i64) -> bool| {
            let (mut low, mut high) = (0, count);
            while low < high {
                let middle = low + (high - low) / 2;
                if holds(place(middle)) { low = middle + 1 } else { high = middle }
            }
            low
        };
        match self.from {
            From::Start => 0..self.limit.min(count),
            From::After(cursor) => {
                let start = first(&|place| place <= cursor);
                start..(start + self.limit).min(count)
            }
            From::Before(cursor) => {
                let end = first(&|place| place < cursor);
                end.saturating_sub(self.limit)..end
            }
        }
    }
}

/// A cursor for the element at this place.
fn encode(place: i64) -> String {
    URL_SAFE_NO_PAD.encode(format!("QVFI{place}"))
}

fn decode(cursor: &str) -> Result<i64, GraphError> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| text.strip_prefix("QVFI")?.parse().ok())
        .ok_or_else(|| invalid("Invalid cursors values"))
}

/// What is needed to write a link to another page of the same listing.
pub(crate) struct Link<'a> {
    pub(crate) base_url: &'a str,
    pub(crate) path: &'a str,
    pub(crate) params: &'a BTreeMap<String, String>,
    /// As Meta does, links carry the token.
    pub(crate) token: &'a str,
}

impl Link<'_> {
    fn url(&self, limit: usize, cursor: (&str, String)) -> String {
        let mut params: BTreeMap<&str, &str> =
            self.params.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let limit = limit.to_string();
        params.retain(|name, _| !matches!(*name, "after" | "before" | "appsecret_proof"));
        params.insert("access_token", self.token);
        params.insert("limit", &limit);
        params.insert(cursor.0, &cursor.1);
        let query: Vec<String> =
            params.iter().map(|(name, value)| format!("{name}={}", percent::encode(value))).collect();
        format!("{}{}?{}", self.base_url, self.path, query.join("&"))
    }
}

/// The answer for the elements at `range` of `count`.
pub(crate) fn page(
    data: Vec<Value>,
    range: std::ops::Range<usize>,
    count: usize,
    place: impl Fn(usize) -> i64,
    limit: usize,
    link: &Link<'_>,
) -> Value {
    if range.is_empty() {
        return json!({ "data": data });
    }
    let (before, after) = (encode(place(range.start)), encode(place(range.end - 1)));
    let mut paging = Map::new();
    paging.insert("cursors".into(), json!({ "before": before, "after": after }));
    if range.end < count {
        paging.insert("next".into(), json!(link.url(limit, ("after", after))));
    }
    if range.start > 0 {
        paging.insert("previous".into(), json!(link.url(limit, ("before", before))));
    }
    json!({ "data": data, "paging": paging })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(pairs: &[(&str, &str)]) -> Result<Window, GraphError> {
        let params = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Window::read(&params, 500)
    }

    #[test]
    fn limits_have_bounds() {
        assert_eq!(window(&[]).unwrap(), Window { limit: 25, from: From::Start });
        assert_eq!(window(&[("limit", "500")]).unwrap().limit, 500);
        assert_eq!(window(&[("limit", "501")]).unwrap_err().code, 100);
        assert_eq!(window(&[("limit", "0")]).unwrap_err().code, 100);
    }

    #[test]
    fn cursors_come_back_as_they_were_given() {
        for place in [-3, 0, 17_999] {
            assert_eq!(window(&[("after", &encode(place))]).unwrap().from, From::After(place));
        }
        assert_eq!(window(&[("after", "bogus!")]).unwrap_err().code, 100);
        assert_eq!(window(&[("before", "MTIz")]).unwrap_err().code, 100);
    }

    #[test]
    fn pages_meet_without_overlap_even_when_elements_come_and_go() {
        let places = [-2, -1, 0, 4, 5, 9];
        let at = |index: usize| places[index];
        let cut = |from: From| Window { limit: 2, from }.cut(places.len(), at);
        assert_eq!(cut(From::Start), 0..2);
        assert_eq!(cut(From::After(-1)), 2..4);
        assert_eq!(cut(From::After(3)), 3..5);
        assert_eq!(cut(From::After(9)), 6..6);
        assert_eq!(cut(From::Before(5)), 2..4);
        assert_eq!(cut(From::Before(-2)), 0..0);
    }
}
