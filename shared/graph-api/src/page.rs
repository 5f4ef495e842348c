//! Pages of an edge, followed by cursor.

use std::collections::VecDeque;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::client::Caller;
use crate::error::{Details, GraphError};

/// Below this page size "reduce the amount of data" is not about the page any more.
const SMALLEST_PAGE: u32 = 10;

/// An edge being read, page by page.
///
/// `paging.next` holds the access token, so only `cursors.after` is kept. A page may be short or empty
/// and still have a successor; the end is a missing `next` (Graph API, "Paginated results").
#[derive(Debug)]
pub struct Pages<T> {
    caller: Caller,
    path: String,
    query: Vec<(&'static str, String)>,
    limit: u32,
    after: Option<String>,
    ended: bool,
    rows: PhantomData<VecDeque<T>>,
}

#[derive(Deserialize)]
struct Page<T> {
    data: Vec<T>,
    paging: Option<Paging>,
}

#[derive(Deserialize)]
struct Paging {
    cursors: Option<Cursors>,
    next: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Cursors {
    after: Option<String>,
}

impl<T: DeserializeOwned> Pages<T> {
    pub(crate) fn new(caller: Caller, path: String, query: Vec<(&'static str, String)>, limit: u32) -> Self {
        Self { caller, path, query, limit, after: None, ended: false, rows: PhantomData }
    }

    /// The next page; `None` after the last one. A page that is too much for Meta is asked for again
    /// at half the size.
    pub async fn next(&mut self) -> Result<Option<Vec<T>>, GraphError> {
        while !self.ended {
            let limit = self.limit.to_string();
            let mut query: Vec<_> = self.query.iter().map(|(name, value)| (*name, value.as_str())).collect();
            query.push(("limit", &limit));
            query.extend(self.after.as_deref().map(|after| ("after", after)));
            let page: Page<T> = match self.caller.get(&self.path, &query).await {
                Ok(page) => page,
                Err(GraphError::MakeSmaller(_)) if self.limit / 2 >= SMALLEST_PAGE => {
                    self.limit /= 2;
                    continue;
                }
                Err(error) => return Err(error),
            };
            self.step(page.paging)?;
            return Ok(Some(page.data));
        }
        Ok(None)
    }

    /// Every row of every remaining page.
    pub async fn all(mut self) -> Result<Vec<T>, GraphError> {
        let mut rows = Vec::new();
        while let Some(page) = self.next().await? {
            rows.extend(page);
        }
        Ok(rows)
    }

    fn step(&mut self, paging: Option<Paging>) -> Result<(), GraphError> {
        let Some(Paging { cursors, next: Some(_) }) = paging else {
            self.ended = true;
            return Ok(());
        };
        let after = cursors.and_then(|cursors| cursors.after);
        if after.is_none() || after == self.after {
            // Going on would read the same page for ever.
            let message = "a page names a successor without a new cursor".to_owned();
            return Err(GraphError::TryLater(Details::of(message)));
        }
        self.after = after;
        Ok(())
    }
}
