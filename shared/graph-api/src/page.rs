//! Reads the pages of an edge by cursor.

use std::marker::PhantomData;

use domain::gap::Gap;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::client::{UserClient, retry_delays};
use crate::error::{Details, GraphError};
use crate::lenient::OddFields;

/// The minimum page size. Below it "reduce the amount of data" is not about the page.
const MIN_PAGE_ROWS: u32 = 5;

/// The number of pages without an error after which a reduced page size grows again.
const PAGES_TO_GROW: u32 = 8;

/// A reader of an edge, page by page.
///
/// `paging.next` holds the access token, so only `cursors.after` is stored. A page may be short or empty and still have
/// a successor; the end is a missing `next` (Graph API, "Paginated results"). After an error [`Pages::next`] may be
/// called again, and requests the same page.
#[derive(Debug)]
pub struct Pages<T> {
    caller: UserClient,
    path: String,
    query: Vec<(&'static str, String)>,
    size: u32,
    max_size: u32,
    /// Pages read at this size.
    pages_at_size: u32,
    after: Option<String>,
    ended: bool,
    odd_fields: OddFields,
    gaps: Vec<Gap>,
    rows: PhantomData<fn() -> T>,
}

#[derive(Deserialize)]
pub(crate) struct Page<T> {
    pub(crate) data: Vec<T>,
    pub(crate) paging: Option<Paging>,
}

#[derive(Deserialize)]
pub(crate) struct Paging {
    cursors: Option<Cursors>,
    next: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Cursors {
    after: Option<String>,
}

impl<T: DeserializeOwned> Pages<T> {
    pub(crate) fn new(
        caller: UserClient,
        path: String,
        query: Vec<(&'static str, String)>,
        size: u32,
    ) -> Self {
        Self {
            caller,
            path,
            query,
            size,
            max_size: size,
            pages_at_size: 0,
            after: None,
            ended: false,
            odd_fields: OddFields::LeaveOut,
            gaps: Vec::new(),
            rows: PhantomData,
        }
    }

    /// Leaves out whole rows that have an odd field.
    #[must_use]
    pub(crate) fn rejecting_odd_rows(self) -> Self {
        Self { odd_fields: OddFields::RejectRow, ..self }
    }

    /// Takes what was left out of the pages since the last time.
    pub fn take_gaps(&mut self) -> Vec<Gap> {
        std::mem::take(&mut self.gaps)
    }

    /// Starts with smaller pages than usual, for an account that is known to serve no larger ones.
    #[must_use]
    pub fn with_page_size(self, size: u32) -> Self {
        Self { size: size.clamp(MIN_PAGE_ROWS.min(self.max_size), self.max_size), ..self }
    }

    /// Continues after the page that ended with this cursor.
    #[must_use]
    pub fn after(self, cursor: Option<String>) -> Self {
        Self { after: cursor, ..self }
    }

    /// Returns the current page size in rows.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Returns the cursor of the next page, to be stored and passed to [`Pages::after`] to continue; `None` at the
    /// beginning. It holds no token, and has no meaning once the edge [has ended](Pages::has_ended).
    pub fn cursor(&self) -> Option<&str> {
        self.after.as_deref()
    }

    /// Returns whether the last page has been read. Continuing from the cursor would read it again.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Returns the next page; `None` after the last one. A page that is too large for Meta is requested again at half
    /// the size.
    pub async fn next(&mut self) -> Result<Option<Vec<T>>, GraphError> {
        loop {
            match self.next_at_current_size().await {
                Err(GraphError::RequestTooLarge(_)) if self.shrink() => {}
                answer => return answer,
            }
        }
    }

    /// Returns the next page at the current size.
    pub(crate) async fn next_at_current_size(&mut self) -> Result<Option<Vec<T>>, GraphError> {
        if self.ended {
            return Ok(None);
        }
        let size = self.size.to_string();
        let mut query: Vec<_> = self.query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        query.push(("limit", &size));
        query.extend(self.after.as_deref().map(|after| ("after", after)));
        let mut pauses = retry_delays();
        let (page, gaps, next) = loop {
            let (page, gaps) = self.caller.get_page::<T>(&self.path, &query, self.odd_fields).await?;
            match (self.successor(page.paging), pauses.next()) {
                (Ok(next), _) => break (page.data, gaps, next),
                // The page before this one came again. That passes.
                (Err(_), Some(pause)) if self.caller.pause(pause).await => {}
                (Err(error), _) => return Err(error),
            }
        };
        self.gaps.extend(gaps);
        match next {
            Some(after) => self.after = Some(after),
            None => self.ended = true,
        }
        self.pages_at_size += 1;
        if self.pages_at_size >= PAGES_TO_GROW && self.size < self.max_size {
            (self.size, self.pages_at_size) = ((self.size * 2).min(self.max_size), 0);
        }
        Ok(Some(page))
    }

    /// Halves the page size. Returns false when it cannot usefully be smaller.
    pub(crate) fn shrink(&mut self) -> bool {
        let smaller = self.size / 2;
        if smaller < MIN_PAGE_ROWS {
            return false;
        }
        (self.size, self.pages_at_size) = (smaller, 0);
        true
    }

    /// Reads every row of the remaining pages. What cannot be read is logged.
    pub async fn all(self) -> Result<Vec<T>, GraphError> {
        let (rows, gaps) = self.all_with_gaps().await?;
        for Gap { id, field, reason, .. } in gaps {
            tracing::warn!(?id, ?field, reason, "A row of Meta's is odd, and what is odd of it is left out.");
        }
        Ok(rows)
    }

    /// [`Self::all_with_gaps`] if there are not more than `max` rows; stops reading when there are.
    pub(crate) async fn up_to_with_gaps(
        mut self,
        max: usize,
    ) -> Result<Option<(Vec<T>, Vec<Gap>)>, GraphError> {
        let mut rows = Vec::new();
        while let Some(page) = self.next().await? {
            rows.extend(page);
            if rows.len() > max {
                return Ok(None);
            }
        }
        Ok(Some((rows, self.gaps)))
    }

    /// Reads every row of the remaining pages, and returns what was left out of them.
    pub(crate) async fn all_with_gaps(mut self) -> Result<(Vec<T>, Vec<Gap>), GraphError> {
        let mut rows = Vec::new();
        while let Some(page) = self.next().await? {
            rows.extend(page);
        }
        Ok((rows, self.gaps))
    }

    /// Returns the cursor of the next page; `None` where this one is the last.
    fn successor(&self, paging: Option<Paging>) -> Result<Option<String>, GraphError> {
        let Some(Paging { cursors, next: Some(_) }) = paging else { return Ok(None) };
        let after = cursors.and_then(|cursors| cursors.after);
        if after.is_none() || after == self.after {
            // Continuing would read the same page forever.
            return Err(GraphError::Transient(Details::of("a page names a successor without a new cursor")));
        }
        Ok(after)
    }
}
