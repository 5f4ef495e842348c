//! Pages: `limit`, opaque cursors and the links to the neighbouring pages.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::call::GraphCall;
use crate::config::Pages;
use crate::error::{GraphError, invalid};
use crate::percent;

const DEFAULT_LIMIT: usize = 25;

/// Which part of a listing a caller asks for.
#[derive(Debug, PartialEq)]
pub(crate) struct Window {
    pub(crate) limit: usize,
    pub(crate) from: From,
    /// Meta's manners of cutting pages.
    pub(crate) pages: Pages,
}

/// Where a page begins. The numbers are places of elements, ascending within the listing.
#[derive(Debug, PartialEq)]
pub(crate) enum From {
    Start,
    After(i64),
    /// Behind an element too, but an empty page comes first.
    Gap(i64),
    Before(i64),
}

impl Window {
    /// Reads `limit`, `after` and `before`.
    pub(crate) fn read(call: &GraphCall, max: usize) -> Result<Self, GraphError> {
        let limit = match call.params.get("limit") {
            None => DEFAULT_LIMIT,
            Some(text) => match text.parse::<usize>() {
                Ok(limit) if (1..=max).contains(&limit) => limit,
                _ => return Err(invalid(format!("Param limit must be a number from 1 to {max}"))),
            },
        };
        let given = |name: &str| call.params.get(name).filter(|text| !text.is_empty());
        let from = match (given("after"), given("before")) {
            (Some(cursor), _) => decode(cursor)?,
            (None, Some(cursor)) => match decode(cursor)? {
                From::After(place) | From::Gap(place) => From::Before(place),
                other => other,
            },
            (None, None) => From::Start,
        };
        Ok(Self { limit, from, pages: call.pages })
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
        let length = if self.pages.short { (self.limit - self.limit / 3).max(1) } else { self.limit };
        match self.from {
            From::Start => 0..length.min(count),
            From::After(cursor) => {
                let start = first(&|place| place <= cursor);
                start..(start + length).min(count)
            }
            From::Gap(cursor) => {
                let start = first(&|place| place <= cursor);
                start..start
            }
            From::Before(cursor) => {
                let end = first(&|place| place < cursor);
                end.saturating_sub(length)..end
            }
        }
    }
}

const CURSOR: &str = "QVFI";
const GAP: &str = "QVFG";

/// A cursor at this place.
fn encode(mark: &str, place: i64) -> String {
    URL_SAFE_NO_PAD.encode(format!("{mark}{place}"))
}

fn decode(cursor: &str) -> Result<From, GraphError> {
    let text = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let place = |mark: &str| text.as_ref()?.strip_prefix(mark)?.parse().ok();
    let from = place(CURSOR).map(From::After).or_else(|| place(GAP).map(From::Gap));
    from.ok_or_else(|| invalid("Invalid cursors values"))
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
    window: &Window,
    link: &Link<'_>,
) -> Value {
    let (pages, more) = (window.pages, range.end < count);
    let (before, after) = match window.from {
        From::Gap(place) => (encode(CURSOR, place), encode(CURSOR, place)),
        _ if range.is_empty() => return json!({ "data": data }),
        _ => {
            let mark = if pages.empty_between && more { GAP } else { CURSOR };
            (encode(CURSOR, place(range.start)), encode(mark, place(range.end - 1)))
        }
    };
    let mut paging = Map::new();
    paging.insert("cursors".into(), json!({ "before": before, "after": after }));
    if more || pages.empty_last {
        paging.insert("next".into(), json!(link.url(window.limit, ("after", after))));
    }
    if range.start > 0 {
        paging.insert("previous".into(), json!(link.url(window.limit, ("before", before))));
    }
    json!({ "data": data, "paging": paging })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(query: &str) -> Result<Window, GraphError> {
        Window::read(&GraphCall { params: percent::pairs(query), ..GraphCall::default() }, 500)
    }

    #[test]
    fn limits_have_bounds() {
        assert_eq!(window("").unwrap(), Window { limit: 25, from: From::Start, pages: Pages::default() });
        assert_eq!(window("limit=500").unwrap().limit, 500);
        assert_eq!(window("limit=501").unwrap_err().code, 100);
        assert_eq!(window("limit=0").unwrap_err().code, 100);
    }

    #[test]
    fn cursors_come_back_as_they_were_given() {
        for place in [-3, 0, 17_999] {
            let (after, before) = (encode(CURSOR, place), encode(GAP, place));
            assert_eq!(window(&format!("after={after}")).unwrap().from, From::After(place));
            assert_eq!(window(&format!("before={before}")).unwrap().from, From::Before(place));
        }
        assert_eq!(window("after=bogus!").unwrap_err().code, 100);
        assert_eq!(window("before=MTIz").unwrap_err().code, 100);
    }

    #[test]
    fn pages_meet_without_overlap_even_when_elements_come_and_go() {
        let places = [-2, -1, 0, 4, 5, 9];
        let at = |index: usize| places[index];
        let cut = |from: From| Window { limit: 2, from, pages: Pages::default() }.cut(places.len(), at);
        assert_eq!(cut(From::Start), 0..2);
        assert_eq!(cut(From::After(-1)), 2..4);
        assert_eq!(cut(From::After(3)), 3..5);
        assert_eq!(cut(From::After(9)), 6..6);
        assert_eq!(cut(From::Before(5)), 2..4);
        assert_eq!(cut(From::Before(-2)), 0..0);
    }
}
