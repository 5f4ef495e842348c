//! Rate limit per workspace or user, across all processes.
//!
//! Each request is one write to the bucket, so that a burst over many processes is admitted to the last request. Only
//! where a limit allows more than an item of the table takes, requests are acquired in batches; a process loses the rest
//! of its last one.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::Error;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use store::Table;
use store::rate_limit::AcquireRequest;
use store::rate_limit_key::RateLimitKey;

/// Writes per minute to one bucket at most: DynamoDB takes five times as many to one item.
const MAX_WRITES_PER_MINUTE: u32 = 12_000;

/// Lifetime of a batch: otherwise many old batches could be used at once.
const BATCH_TTL: SignedDuration = SignedDuration::from_secs(10);

/// Maximum number of cached keys per process.
const MAX_CACHED_KEYS: usize = 10_000;

/// Counts requests, with a cache of acquired batches.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    per_minute: u32,
    cache: Mutex<HashMap<RateLimitKey, CachedState>>,
    /// Held while a batch is acquired, so that parallel requests share it instead of each acquiring one and losing the
    /// rest.
    acquiring: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone, Copy)]
enum CachedState {
    /// Acquired and unused requests, and those left in the bucket when they were acquired.
    Available { count: u32, left: u32, until: Timestamp },
    /// No request is available before `until`.
    Exhausted { until: Timestamp },
}

impl RateLimiter {
    pub(crate) fn new(per_minute: u32) -> Self {
        Self {
            per_minute: per_minute.max(1),
            cache: Mutex::default(),
            acquiring: tokio::sync::Mutex::default(),
        }
    }

    /// Counts a request.
    pub(crate) async fn acquire(
        &self,
        table: &Table,
        rate_limit_key: &RateLimitKey,
        now: Timestamp,
    ) -> Result<Admission, Error> {
        match self.acquire_cached(rate_limit_key, now) {
            CacheLookup::Known(admission) => return Ok(admission),
            CacheLookup::Unknown { .. } => {}
        }
        let _taking = self.acquiring.lock().await;
        let busy = match self.acquire_cached(rate_limit_key, now) {
            CacheLookup::Known(admission) => return Ok(admission),
            CacheLookup::Unknown { busy } => busy,
        };
        let batch = (self.per_minute / MAX_WRITES_PER_MINUTE).max(1);
        let mut until = now;
        // One request may be available when a batch is not.
        for count in [batch, 1] {
            let wanted = AcquireRequest { count, per_minute: self.per_minute, busy };
            match table.acquire(rate_limit_key, wanted, now).await? {
                Ok(left) => {
                    let cached = CachedState::Available { count: count - 1, left, until: now + BATCH_TTL };
                    self.put(rate_limit_key, cached, now);
                    return Ok(Admission::Granted { left: left + count - 1 });
                }
                Err(later) => until = later,
            }
        }
        self.put(rate_limit_key, CachedState::Exhausted { until }, now);
        Ok(Admission::Exhausted { until })
    }

    /// Returns the headers of the IETF draft on rate limits: the limit per minute, and what is left of it for how many
    /// seconds.
    pub(crate) fn headers(&self, left: u32, seconds: u64) -> HeaderMap {
        let policy = format!("\"requests\";q={};w=60", self.per_minute);
        let limit = format!("\"requests\";r={left};t={seconds}");
        let header = |name, text: String| HeaderValue::try_from(text).ok().map(|value| (name, value));
        let policy = header(HeaderName::from_static("ratelimit-policy"), policy);
        policy.into_iter().chain(header(HeaderName::from_static("ratelimit"), limit)).collect()
    }

    fn acquire_cached(&self, rate_limit_key: &RateLimitKey, now: Timestamp) -> CacheLookup {
        match self.cache().get_mut(rate_limit_key) {
            Some(CachedState::Available { count, left, until }) if *count > 0 && is_before(now, *until) => {
                *count -= 1;
                CacheLookup::Known(Admission::Granted { left: *left + *count })
            }
            Some(CachedState::Exhausted { until }) if is_before(now, *until) => {
                CacheLookup::Known(Admission::Exhausted { until: *until })
            }
            Some(CachedState::Available { until, .. } | CachedState::Exhausted { until }) => {
                CacheLookup::Unknown { busy: is_before(now, *until + BATCH_TTL) }
            }
            None => CacheLookup::Unknown { busy: false },
        }
    }

    fn put(&self, rate_limit_key: &RateLimitKey, state: CachedState, now: Timestamp) {
        let mut cache = self.cache();
        if cache.len() >= MAX_CACHED_KEYS {
            cache.retain(|_, one| {
                let (CachedState::Available { until, .. } | CachedState::Exhausted { until }) = *one;
                is_before(now, until)
            });
        }
        if cache.len() >= MAX_CACHED_KEYS {
            cache.clear();
        }
        cache.insert(rate_limit_key.clone(), state);
    }

    fn cache(&self) -> MutexGuard<'_, HashMap<RateLimitKey, CachedState>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a request is admitted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Admission {
    /// It is, and this many more would be.
    Granted { left: u32 },
    /// None is before `until`.
    Exhausted { until: Timestamp },
}

enum CacheLookup {
    Known(Admission),
    Unknown {
        /// Whether this process asked the table recently.
        busy: bool,
    },
}

/// Checks that `until` is ahead. False after the clock was set back: nothing is cached for longer than a minute.
fn is_before(now: Timestamp, until: Timestamp) -> bool {
    now < until && until.duration_since(now) <= SignedDuration::from_mins(1)
}
