//! Pages: `limit`, opaque cursors and links to neighbouring pages.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::call::GraphCall;
use crate::config::PagingQuirks;
use crate::error::{GraphError, invalid};
use crate::percent;

const DEFAULT_PAGE_ROWS: usize = 25;

/// The part of a listing that a caller requests.
#[derive(Debug, PartialEq)]
pub(crate) struct PageRequest {
    pub(crate) limit: usize,
    pub(crate) from: PageStart,
    /// How listings are split into pages.
    pub(crate) pages: PagingQuirks,
}

/// Where a page begins. The numbers are positions of elements, ascending within the listing.
#[derive(Debug, PartialEq)]
pub(crate) enum PageStart {
    Start,
    After(i64),
    /// After an element too, but an empty page comes first.
    EmptyAfter(i64),
    Before(i64),
}

impl PageRequest {
    /// Reads `limit`, `after` and `before`.
    pub(crate) fn read(call: &GraphCall, max: usize) -> Result<Self, GraphError> {
        let limit = match call.params.get("limit") {
            None => DEFAULT_PAGE_ROWS,
            Some(text) => match text.parse::<usize>() {
                Ok(limit) if (1..=max).contains(&limit) => limit,
                _ => return Err(invalid(format!("Param limit must be a number from 1 to {max}"))),
            },
        };
        let given = |name: &str| call.params.get(name).filter(|text| !text.is_empty());
        let from = match (given("after"), given("before")) {
            (Some(cursor), _) => decode(cursor)?,
            (None, Some(cursor)) => match decode(cursor)? {
                PageStart::After(place) | PageStart::EmptyAfter(place) => PageStart::Before(place),
                other => other,
            },
            (None, None) => PageStart::Start,
        };
        Ok(Self { limit, from, pages: call.pages })
    }

    /// Returns the index range of the page in a listing of `count` elements with the given positions.
    pub(crate) fn range(&self, count: usize, place: impl Fn(usize) -> i64) -> std::ops::Range<usize> {
        // Returns the number of leading elements for which the predicate holds; positions ascend.
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
            PageStart::Start => 0..length.min(count),
            PageStart::After(cursor) => {
                let start = first(&|place| place <= cursor);
                start..(start + length).min(count)
            }
            PageStart::EmptyAfter(cursor) => {
                let start = first(&|place| place <= cursor);
                start..start
            }
            PageStart::Before(cursor) => {
                let end = first(&|place| place < cursor);
                end.saturating_sub(length)..end
            }
        }
    }
}

const CURSOR_PREFIX: &str = "QVFI";
const EMPTY_PAGE_CURSOR_PREFIX: &str = "QVFG";

/// Encodes a cursor for a position.
fn encode(prefix: &str, place: i64) -> String {
    URL_SAFE_NO_PAD.encode(format!("{prefix}{place}"))
}

fn decode(cursor: &str) -> Result<PageStart, GraphError> {
    let text = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let place = |prefix: &str| text.as_ref()?.strip_prefix(prefix)?.parse().ok();
    let from = place(CURSOR_PREFIX)
        .map(PageStart::After)
        .or_else(|| place(EMPTY_PAGE_CURSOR_PREFIX).map(PageStart::EmptyAfter));
    from.ok_or_else(|| invalid("Invalid cursors values"))
}

/// The data needed to write a link to another page of the same listing.
pub(crate) struct Link<'a> {
    pub(crate) base_url: &'a str,
    pub(crate) path: &'a str,
    pub(crate) params: &'a BTreeMap<String, String>,
    /// Links contain the token, as Meta's do.
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

/// Returns the response for the elements in `range` of a listing of `count`.
pub(crate) fn page(
    data: Vec<Value>,
    range: std::ops::Range<usize>,
    count: usize,
    place: impl Fn(usize) -> i64,
    window: &PageRequest,
    link: &Link<'_>,
) -> Value {
    let (pages, more) = (window.pages, range.end < count);
    let (before, after) = match window.from {
        PageStart::EmptyAfter(place) => (encode(CURSOR_PREFIX, place), encode(CURSOR_PREFIX, place)),
        _ if range.is_empty() => return json!({ "data": data }),
        _ => {
            let prefix = if pages.empty_between && more { EMPTY_PAGE_CURSOR_PREFIX } else { CURSOR_PREFIX };
            (encode(CURSOR_PREFIX, place(range.start)), encode(prefix, place(range.end - 1)))
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

    fn window(query: &str) -> Result<PageRequest, GraphError> {
        PageRequest::read(&GraphCall { params: percent::pairs(query), ..GraphCall::default() }, 500)
    }

    #[test]
    fn limits_have_bounds() {
        assert_eq!(
            window("").unwrap(),
            PageRequest { limit: 25, from: PageStart::Start, pages: PagingQuirks::default() }
        );
        assert_eq!(window("limit=500").unwrap().limit, 500);
        assert_eq!(window("limit=501").unwrap_err().code, 100);
        assert_eq!(window("limit=0").unwrap_err().code, 100);
    }

    #[test]
    fn cursors_come_back_as_they_were_given() {
        for place in [-3, 0, 17_999] {
            let (after, before) = (encode(CURSOR_PREFIX, place), encode(EMPTY_PAGE_CURSOR_PREFIX, place));
            assert_eq!(window(&format!("after={after}")).unwrap().from, PageStart::After(place));
            assert_eq!(window(&format!("before={before}")).unwrap().from, PageStart::Before(place));
        }
        assert_eq!(window("after=bogus!").unwrap_err().code, 100);
        assert_eq!(window("before=MTIz").unwrap_err().code, 100);
    }

    #[test]
    fn pages_meet_without_overlap_even_when_elements_come_and_go() {
        let places = [-2, -1, 0, 4, 5, 9];
        let at = |index: usize| places[index];
        let range = |from: PageStart| {
            PageRequest { limit: 2, from, pages: PagingQuirks::default() }.range(places.len(), at)
        };
        assert_eq!(range(PageStart::Start), 0..2);
        assert_eq!(range(PageStart::After(-1)), 2..4);
        assert_eq!(range(PageStart::After(3)), 3..5);
        assert_eq!(range(PageStart::After(9)), 6..6);
        assert_eq!(range(PageStart::Before(5)), 2..4);
        assert_eq!(range(PageStart::Before(-2)), 0..0);
    }
}
