//! Rate limits of workspaces and people, shared by every process that serves their requests.
//!
//! A token bucket that refills steadily, stored as the time at which it will be full again. So one conditional update
//! takes tokens, without a read before it.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::key;
use crate::rate_limit_key::RateLimitKey;
use crate::table::{StoreError, Table, number};

/// Time in which an empty bucket refills, in microseconds.
const BUCKET_WINDOW_MICROS: i64 = 60_000_000;

/// Time until full above which the stored value is implausible, in microseconds: a wrong clock wrote it.
const MAX_PLAUSIBLE_FILL_MICROS: i64 = 5 * BUCKET_WINDOW_MICROS;

/// Maximum attempts while the bucket changes between a rejected update and the following read.
const MAX_ACQUIRE_ATTEMPTS: u32 = 5;

/// A request for tokens from a bucket.
#[derive(Debug, Clone, Copy)]
pub struct AcquireRequest {
    /// Number of tokens, one per API request.
    pub count: u32,
    /// Capacity of the bucket, and its refill per minute.
    pub per_minute: u32,
    /// Whether others have taken tokens recently, as far as the caller knows. Selects which of the two updates is tried
    /// first.
    pub busy: bool,
}

#[derive(Deserialize)]
struct Bucket {
    full_at: i64,
}

impl Table {
    /// Takes tokens from a bucket. Returns how many are left in it, or the time at which enough of them will be
    /// available.
    pub async fn acquire(
        &self,
        caller: &RateLimitKey,
        request: AcquireRequest,
        now: Timestamp,
    ) -> Result<Result<u32, Timestamp>, StoreError> {
        let key = key::rate_limit(caller);
        let token = BUCKET_WINDOW_MICROS / i64::from(request.per_minute.max(1));
        let cost = token * i64::from(request.count);
        let (moment, latest) = (now.as_microsecond(), now.as_microsecond() + BUCKET_WINDOW_MICROS - cost);
        let expires =
            now.saturating_add(SignedDuration::from_hours(1)).map_or(i64::MAX, Timestamp::as_second);
        let expires = (":expires", number(expires));
        let mut from_full = !request.busy;
        for _ in 0..MAX_ACQUIRE_ATTEMPTS {
            for _ in 0..2 {
                let taken: Result<Bucket, _> = if from_full {
                    let nobody = "attribute_not_exists(pk) OR full_at < :now OR full_at > :impossible";
                    let values = vec![
                        (":then", number(moment + cost)),
                        (":now", number(moment)),
                        (":impossible", number(moment + MAX_PLAUSIBLE_FILL_MICROS)),
                        expires.clone(),
                    ];
                    self.update(&key, "SET full_at = :then, #expires = :expires", Some(nobody), values).await
                } else {
                    let enough = "full_at BETWEEN :now AND :latest";
                    let values = vec![
                        (":cost", number(cost)),
                        (":now", number(moment)),
                        (":latest", number(latest)),
                        expires.clone(),
                    ];
                    let take = "SET full_at = full_at + :cost, #expires = :expires";
                    self.update(&key, take, Some(enough), values).await
                };
                match taken {
                    Ok(Bucket { full_at }) => {
                        let left = (moment + BUCKET_WINDOW_MICROS - full_at) / token;
                        return Ok(Ok(u32::try_from(left).unwrap_or(0).min(request.per_minute)));
                    }
                    Err(StoreError::Conflict) => from_full = !from_full,
                    Err(error) => return Err(error),
                }
            }
            let bucket: Option<Bucket> = self.get(&key).await?;
            if let Some(Bucket { full_at }) = bucket.filter(|bucket| bucket.full_at > latest) {
                let wait = SignedDuration::from_micros(full_at - latest);
                return Ok(Err(now.saturating_add(wait).unwrap_or(now)));
            }
        }
        Err(StoreError::Unavailable("too many processes count the same requests at this moment".to_owned()))
    }
}
