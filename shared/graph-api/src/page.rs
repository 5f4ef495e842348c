//! Pages of an edge, followed by cursor.

use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::client::Caller;
use crate::error::{Details, GraphError};

/// Below this page size "reduce the amount of data" is not about the page any more.
const MIN_PAGE_ROWS: u32 = 5;

/// After so many pages without complaint a page that was made smaller grows again.
const PAGES_TO_GROW: u32 = 8;

/// An edge being read, page by page.
///
/// `paging.next` holds the access token, so only `cursors.after` is kept. A page may be short or empty
/// and still have a successor; the end is a missing `next` (Graph API, "Paginated results"). After an error
/// [`Pages::next`] may be called again: it asks for the same page.
#[derive(Debug)]
pub struct Pages<T> {
    caller: Caller,
    path: String,
    query: Vec<(&'static str, String)>,
    size: u32,
    max_size: u32,
    /// Pages read at this size.
    pages_at_size: u32,
    after: Option<String>,
    ended: bool,
    rows: PhantomData<fn() -> T>,
}

#[derive(Deserialize)]
pub(crate) struct Page<T> {
    pub(crate) data: Vec<T>,
    paging: Option<Paging>,
}

#[derive(Deserialize)]
struct Paging {
    cursors: Option<Cursors>,
    next: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Cursors {
    after: Option<String>,
}

impl<T: DeserializeOwned> Pages<T> {
    pub(crate) fn new(caller: Caller, path: String, query: Vec<(&'static str, String)>, size: u32) -> Self {
        let (after, rows) = (None, PhantomData);
        Self { caller, path, query, size, max_size: size, pages_at_size: 0, after, ended: false, rows }
    }

    /// Starts with smaller pages than the usual ones, because the account is known to bear no larger.
    #[must_use]
    pub fn with_page_size(self, size: u32) -> Self {
        Self { size: size.clamp(MIN_PAGE_ROWS.min(self.max_size), self.max_size), ..self }
    }

    /// Goes on after the page that ended with this cursor.
    #[must_use]
    pub fn after(self, cursor: Option<String>) -> Self {
        Self { after: cursor, ..self }
    }

    /// Rows asked for at a time, at the moment.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Where the next page begins: to be kept, and given to [`Pages::after`] by whoever goes on. None at the
    /// beginning. It holds no token, and says nothing once the edge [has ended](Pages::has_ended).
    pub fn cursor(&self) -> Option<&str> {
        self.after.as_deref()
    }

    /// Whether the last page has been read: going on from the cursor would read it again.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// The next page; `None` after the last one. A page that is too much for Meta is asked for again
    /// at half the size.
    pub async fn next(&mut self) -> Result<Option<Vec<T>>, GraphError> {
        loop {
            match self.next_at_current_size().await {
                Err(GraphError::RequestTooLarge(_)) if self.shrink() => {}
                answer => return answer,
            }
        }
    }

    /// The next page at the size in use.
    pub(crate) async fn next_at_current_size(&mut self) -> Result<Option<Vec<T>>, GraphError> {
        if self.ended {
            return Ok(None);
        }
        let size = self.size.to_string();
        let mut query: Vec<_> = self.query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        query.push(("limit", &size));
        query.extend(self.after.as_deref().map(|after| ("after", after)));
        let page: Page<T> = self.caller.get(&self.path, &query).await?;
        self.advance(page.paging)?;
        self.pages_at_size += 1;
        if self.pages_at_size >= PAGES_TO_GROW && self.size < self.max_size {
            (self.size, self.pages_at_size) = ((self.size * 2).min(self.max_size), 0);
        }
        Ok(Some(page.data))
    }

    /// Halves the page. False when it is as small as it can usefully be.
    pub(crate) fn shrink(&mut self) -> bool {
        let smaller = self.size / 2;
        if smaller < MIN_PAGE_ROWS {
            return false;
        }
        (self.size, self.pages_at_size) = (smaller, 0);
        true
    }

    /// Every row of every remaining page.
    pub async fn all(mut self) -> Result<Vec<T>, GraphError> {
        let mut rows = Vec::new();
        while let Some(page) = self.next().await? {
            rows.extend(page);
        }
        Ok(rows)
    }

    fn advance(&mut self, paging: Option<Paging>) -> Result<(), GraphError> {
        let Some(Paging { cursors, next: Some(_) }) = paging else {
            self.ended = true;
            return Ok(());
        };
        let after = cursors.and_then(|cursors| cursors.after);
        if after.is_none() || after == self.after {
            // Going on would read the same page for ever.
            return Err(GraphError::Transient(Details::of("a page names a successor without a new cursor")));
        }
        self.after = after;
        Ok(())
    }
}
